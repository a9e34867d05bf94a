"""A bound on missed anomalies that holds with the stated confidence."""

from __future__ import annotations

from dataclasses import dataclass

from residua.errors import PolicyError
from residua.thresholds.bounds import allowed_faults, images_needed
from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import (
    Choice,
    NumberPolicy,
    Promise,
    require_anomalies,
)


@dataclass(frozen=True)
class Recall(NumberPolicy):
    """The highest threshold that finds at least `rate` of anomalies, shown at the confidence.

    The labelled anomalies show it.

    The mirror image of `FalseAlarms`, an order statistic of the anomalous scores: 30 anomalies
    can't show recall 0.99. It speaks of anomalies like the labelled ones; a new kind of defect is
    promised nothing.
    """

    usage = "recall>=0.99"
    keyword = "recall"
    rate: float

    @property
    def miss_rate(self) -> float:
        """The share of anomalies that may be missed, freed of the rounding in ``1 - rate``."""
        return round(1 - self.rate, 15)

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return f"at least {100 * self.rate:g}% caught"

    def choose(self, calibration: Calibration) -> Choice:
        """Allow as many misses as the binomial bound does.

        Refuse where not even none would show it.
        """
        require_anomalies(calibration, self)
        n, confidence = len(calibration.anomalous), calibration.confidence
        allowed = allowed_faults(n, self.miss_rate, confidence)
        if allowed is None:
            raise PolicyError(
                f"choose_threshold: {n} anomalous calibration images can't show {self} with"
                f" {percent(confidence)} confidence; {images_needed(self.miss_rate, confidence)}"
                f" without a miss would, one-sided. Got {n}. Label more anomalies, promise a lower"
                " recall, or lower the confidence."
            )
        threshold = calibration.just_below(calibration.anomalous[allowed])
        n_missed = int((calibration.anomalous <= threshold).sum())
        how = (
            f"The highest threshold that shows, with {percent(confidence)} confidence (one-sided),"
            f" that at least {percent(self.rate)} of anomalies like these are found: of {n}"
            f" anomalous calibration images up to {allowed} may be missed, and {n_missed}"
            f" {'is' if n_missed == 1 else 'are'}. {calibration.place(threshold)}"
        )
        return Choice(threshold, how)

    def promise(self) -> Promise:
        """At most ``1 - rate`` of anomalous images are missed."""
        return Promise("anomalous", "misses", self.miss_rate)
