"""A bound on false alarms that holds with the stated confidence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from residua.thresholds.bounds import highest_rate, images_needed
from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import (
    Choice,
    NumberPolicy,
    Promise,
    none_or,
    plain,
    require_normals,
    up_to,
)
from residua.thresholds.quantile import strictest_quantile
from residua.thresholds.shown import hidden_words, most_faults, with_hidden

_STEP = 0.05
"""What the default policy promises, or the smallest multiple of it that the images can show."""


def strictest_bound(n: int, confidence: float = 0.95) -> str:
    """At most 5% false alarms, or the smallest multiple of 5% that `n` normal images can show.

    - `n`: Normal calibration images, or groups of them.
    - `confidence`: Of the bound, one-sided.

    >>> [strictest_bound(n).partition("<=")[2] for n in (300, 59, 58, 20, 5)]
    ['0.05', '0.05', '0.1', '0.15', '0.5']
    """
    rate = _STEP if n == 0 else max(_STEP, float(highest_rate(0, n, confidence)))
    stepped = _STEP * math.ceil(rate / _STEP - 1e-9)
    return f"false-alarms<={stepped if stepped < 1 - 1e-9 else math.ceil(rate * 1e4) / 1e4:g}"


@dataclass(frozen=True)
class FalseAlarms(NumberPolicy):
    """The lowest threshold with at most `rate` false alarms, shown at the confidence.

    The normal calibration scores show it.

    An order statistic of the normals (a tolerance bound, also called a conformal bound conditional
    on the calibration set): whatever the distribution of scores, at most ``1 - confidence`` of
    calibration sets yield a threshold that flags more than `rate` of the normal images. Ties only
    make it safer. For 1% at 95% it takes 299 normals.
    """

    usage = "false-alarms<=0.01"
    keyword = "false-alarms"
    rate: float

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return f"at most {100 * self.rate:g}% false alarms"

    def choose(self, calibration: Calibration) -> Choice:
        """Allow as many exceedances as the images show (`most_faults`), or refuse without one."""
        require_normals(calibration, self)
        n, confidence = len(calibration.normal), calibration.confidence
        hidden = calibration.contamination
        limit = with_hidden(self.rate, hidden)
        groups = calibration.normal_groups
        is_grouped = groups is not None and calibration.promised == "new-groups"
        units = groups.n_groups if groups is not None and is_grouped else n
        shown = most_faults(
            self,
            calibration,
            "normal",
            limit,
            mend=(
                f"Add normal images{' of more groups' if is_grouped else ''}, or lower the"
                f" confidence. Or take {self._instead(units, confidence)}."
            ),
        )
        threshold = calibration.just_above(calibration.normal[n - 1 - shown.n_allowed])
        n_above = int((calibration.normal > threshold).sum())
        how = (
            f"The lowest threshold that shows, with {percent(confidence)} confidence (one-sided),"
            f" that at most {percent(self.rate)} of {shown.whose.format('normal images')} are"
            f" flagged. For that it may flag {up_to(shown.n_allowed)} of the {n} normal"
            f" calibration images{shown.among}, and it flags {none_or(n_above)}.{shown.beside}"
            f"{hidden_words(hidden, limit)} {calibration.place(threshold)}"
            f"{self._more(units, confidence, is_grouped=is_grouped)}"
        )
        return Choice(threshold, how, shown.promise)

    def _more(self, n: int, confidence: float, *, is_grouped: bool) -> str:
        """How many images or groups the stricter promise takes, as a sentence, if `n` are few."""
        needed = images_needed(_STEP, confidence)
        if self.rate <= _STEP or n >= needed:
            return ""
        units = "groups of such images" if is_grouped else "such images"
        return f" To promise {percent(_STEP)}, it takes {needed} {units}."

    def _instead(self, n: int, confidence: float) -> str:
        """What `n` images or groups can show, and the quantile of this rate, or their strictest."""
        same = f"quantile:{plain(round(1 - self.rate, 12))}"
        average = strictest_quantile(n) if n > 0 and (n + 1) * self.rate < 1 - 1e-9 else same
        bound = strictest_bound(n, confidence)
        return f"{bound}, which they can show, or {average}, which holds on average only"

    def promise(self) -> Promise:
        """At most `rate` of normal images are flagged."""
        return Promise("normal", "false alarms", self.rate)
