"""A quantile of the normal calibration scores: false alarms on average."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from residua.errors import PolicyError
from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import Choice, NumberPolicy, none_or, require_normals
from residua.thresholds.shown import Side, hidden_words, with_hidden


def strictest_quantile(n: int) -> str:
    """The strictest quantile, in whole percent, that `n` normal images or groups have.

    >>> strictest_quantile(12), strictest_quantile(19)
    ('quantile:0.92', 'quantile:0.95')
    """
    return f"quantile:{100 * n // (n + 1) / 100:g}"


def _such_as(n: int) -> str:
    return f", such as {strictest_quantile(n)}" if n > 0 else ""


@dataclass(frozen=True)
class Quantile(NumberPolicy):
    """At most ``1 - q`` of normal images flagged *on average* over calibration sets of this size.

    The threshold is not below the ceil(q (n + 1))-th smallest normal score, the conformal
    correction: a plain 99% quantile of 100 normals gives about 1.9% false alarms on average, this
    one 1%. Half of all calibration sets still give more than the average; `FalseAlarms` is the
    bound.
    """

    usage = "quantile:0.99"
    keyword = "quantile"
    q: float

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return f"about {100 * (1 - self.q):.3g}% false alarms"

    def choose(self, calibration: Calibration) -> Choice:
        """Take the conformal quantile.

        Refuse where it would lie beyond the highest normal score. For images of new groups it is
        the quantile over groups of images (Lee, Barber and Willett, arXiv:2306.06342).
        """
        require_normals(calibration, self)
        hidden, n = calibration.contamination, len(calibration.normal)
        limit = with_hidden(1 - self.q, hidden)
        q = self.q if hidden == 0 else 1 - limit
        side = Side.of(calibration, "normal")
        grouped = side.groups is not None and calibration.promised == "new-groups"
        units = side.groups.n_groups if side.groups is not None and grouped else n
        rank = math.ceil(q * (units + 1) - 1e-9)
        if rank > units:
            needed = math.ceil(q / (1 - q) - 1e-9)
            raise PolicyError(
                f"choose_threshold: {self} needs at least {needed} normal"
                f" {'groups of images' if grouped else 'images'} in the calibration set. Got"
                f" {units}. Add normal images{' of more groups' if grouped else ''}, or ask"
                f" for a lower quantile{_such_as(units) if hidden == 0 else ''}."
                + (" Or let it hold for new images of these groups alone" if grouped else "")
                + (" (--known-groups, promise='known-groups')." if grouped else "")
            )
        if grouped:
            most = units - q * (units + 1) + 1e-9
            n_above = bisect_right(range(n), most, key=lambda k: float(side.shares(k).sum())) - 1
        else:
            n_above = n - max(rank, 1)
        threshold = calibration.just_above(side.scores[n_above])
        whose, among, promise = "normal images like these", "", None
        if side.groups is not None:
            whose = (
                "normal images of new groups"
                if grouped
                else f"new normal images of these {side.groups.n_groups} groups"
            )
            among = f" in {side.groups.n_groups} groups"
            promise = "new groups" if grouped else "known groups"
        how = (
            f"The {percent(self.q)} quantile of {n} normal calibration scores{among}, corrected for"
            f" the number of {'groups' if grouped else 'images'}: it flags {none_or(n_above)} of"
            f" them. On average, at most {percent(1 - self.q)} of {whose} are flagged; single"
            f" batches may have more or fewer.{side.weighing if grouped else ''}"
            f"{hidden_words(hidden, limit)} {calibration.place(threshold)}"
        )
        return Choice(threshold, how, promise)
