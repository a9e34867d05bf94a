"""As many anomalies found as can be, with few of the flagged images normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from residua.errors import PolicyError
from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import (
    Choice,
    NumberPolicy,
    Promise,
    hits_and_alarms,
)


@dataclass(frozen=True)
class Precision(NumberPolicy):
    """The lowest threshold whose precision on the calibration set is at least `rate`.

    Precision is taken at the assumed prevalence.

    Precision depends on how many images are anomalous where the detector works: the prevalence is
    part of the policy and stands in the words of how. It is an estimate with an interval, not a
    bound.
    """

    usage = "precision>=0.9"
    keyword = "precision"
    rate: float

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return f"at least {100 * self.rate:g}% of alarms right"

    def choose(self, calibration: Calibration) -> Choice:
        """Lower the threshold as far as the precision allows; refuse where it is never reached."""
        cuts, hits, alarms = hits_and_alarms(calibration, self)
        precision = np.divide(hits, hits + alarms, out=np.zeros_like(hits), where=hits > 0)
        reached = np.flatnonzero(precision >= self.rate - 1e-12)
        if len(reached) == 0:
            raise PolicyError(
                f"choose_threshold: {self} must be reached by some threshold. Got a precision of"
                f" {precision.max():.3g} at best, {calibration.prevalence_words}. Ask for a lower"
                " precision, or train a better detector."
            )
        best = int(reached[0])
        threshold = calibration.threshold(best)
        found = int(cuts.true_positives[best])
        how = (
            f"The lowest threshold at which at least {percent(self.rate)} of the flagged images are"
            f" anomalous, {calibration.prevalence_words}: on the calibration set"
            f" {percent(float(precision[best]))}, with {found} of"
            f" {len(calibration.anomalous)} anomalies found."
            f" {self._shown(calibration, found, int(cuts.false_positives[best]))}"
            f" {calibration.place(threshold)}"
        )
        return Choice(threshold, how)

    def _shown(self, calibration: Calibration, hits: int, alarms: int) -> str:
        """What these images show with confidence, as against what they suggest."""
        from residua.metrics.intervals import rate_interval

        confidence, share = calibration.confidence, calibration.assumed_prevalence
        # Both tails are one-sided; each has half of the error, so that together they keep the
        # confidence.
        recall = (
            rate_interval(
                hits, len(calibration.anomalous), confidence=confidence, method="clopper-pearson"
            ).low
            or 0.0
        )
        alarm = (
            rate_interval(
                alarms, len(calibration.normal), confidence=confidence, method="clopper-pearson"
            ).high
            or 0.0
        )
        low = share * recall / (share * recall + (1 - share) * alarm)
        return (
            f"That is an estimate: what these images show with {percent(confidence)} confidence"
            f" (one-sided) is {percent(low)}"
            + (
                "."
                if low >= self.rate
                else f", less than {percent(self.rate)}; more labelled images would narrow it."
            )
        )

    def promise(self) -> Promise:
        """At most ``1 - rate`` of flagged images are normal."""
        return Promise("flagged", "false alarms", round(1 - self.rate, 15))
