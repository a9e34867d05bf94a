"""A bound on false alarms that holds with the stated confidence."""

from __future__ import annotations

from dataclasses import dataclass

from residua.errors import PolicyError
from residua.thresholds.bounds import allowed_faults, images_needed
from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import (
    Choice,
    NumberPolicy,
    Promise,
    plain,
    require_normals,
)


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
        """Allow as many exceedances as the binomial bound does.

        Refuse where not even none would show it.
        """
        require_normals(calibration, self)
        n, confidence = len(calibration.normal), calibration.confidence
        allowed = allowed_faults(n, self.rate, confidence)
        if allowed is None:
            raise PolicyError(
                f"choose_threshold: {n} normal calibration images can't show {self} with"
                f" {percent(confidence)} confidence. {images_needed(self.rate, confidence)} without"
                f" a false alarm would, one-sided. Got {n}. Add normal images, allow more false"
                f" alarms, lower the confidence, or use quantile:{plain(round(1 - self.rate, 12))},"
                " which holds on average only."
            )
        threshold = calibration.just_above(calibration.normal[n - 1 - allowed])
        n_above = int((calibration.normal > threshold).sum())
        how = (
            f"The lowest threshold that shows, with {percent(confidence)} confidence (one-sided),"
            f" that at most {percent(self.rate)} of normal images like these are flagged: of {n}"
            f" normal calibration scores up to {allowed} may lie above it, and {n_above}"
            f" {'does' if n_above == 1 else 'do'}. {calibration.place(threshold)}"
        )
        return Choice(threshold, how)

    def promise(self) -> Promise:
        """At most `rate` of normal images are flagged."""
        return Promise("normal", "false alarms", self.rate)
