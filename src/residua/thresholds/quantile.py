"""A quantile of the normal calibration scores: false alarms on average."""

from __future__ import annotations

import math
from dataclasses import dataclass

from residua.errors import PolicyError
from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import Choice, NumberPolicy, require_normals


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

        Refuse where it would lie beyond the highest normal score.
        """
        require_normals(calibration, self)
        n = len(calibration.normal)
        rank = math.ceil(self.q * (n + 1) - 1e-9)
        if rank > n:
            needed = math.ceil(self.q / (1 - self.q) - 1e-9)
            raise PolicyError(
                f"choose_threshold: {self} needs at least {needed} normal images in the calibration"
                f" set. Got {n}. Add normal images, or ask for a lower quantile."
            )
        threshold = calibration.just_above(calibration.normal[max(rank, 1) - 1])
        how = (
            f"The {percent(self.q)} quantile of {n} normal calibration scores (number {rank} from"
            f" below, with the n + 1 correction): on average at most {percent(1 - self.q)} of"
            " normal images like these are flagged; single batches may have more or fewer."
            f" {calibration.place(threshold)}"
        )
        return Choice(threshold, how)
