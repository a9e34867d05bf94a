"""A bound on missed anomalies that holds with the stated confidence."""

from __future__ import annotations

from dataclasses import dataclass

from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import (
    Choice,
    NumberPolicy,
    Promise,
    none_or,
    require_anomalies,
    up_to,
)
from residua.thresholds.shown import most_faults

_UNTOUCHED = " Hidden anomalies among the normal images do not change it."


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
        """Allow as many misses as the images show (see `most_faults`), or refuse without one."""
        require_anomalies(calibration, self)
        n, confidence = len(calibration.anomalous), calibration.confidence
        is_grouped = (
            calibration.anomalous_groups is not None and calibration.promised == "new-groups"
        )
        more = "anomalies of more groups" if is_grouped else "more anomalies"
        shown = most_faults(
            self,
            calibration,
            "anomalous",
            self.miss_rate,
            mend=f"Label {more}, promise a lower recall, or lower the confidence.",
        )
        threshold = calibration.just_below(calibration.anomalous[shown.n_allowed])
        n_missed = int((calibration.anomalous <= threshold).sum())
        how = (
            f"The highest threshold that shows, with {percent(confidence)} confidence (one-sided),"
            f" that at least {percent(self.rate)} of {shown.whose.format('anomalies')} are found."
            f" For that it may miss {up_to(shown.n_allowed)} of the {n} anomalous calibration"
            f" images{shown.among}, and it misses {none_or(n_missed)}."
            f"{shown.beside}{_UNTOUCHED if calibration.contamination else ''}"
            f" {calibration.place(threshold)}"
        )
        return Choice(threshold, how, shown.promise)

    def promise(self) -> Promise:
        """At most ``1 - rate`` of anomalous images are missed."""
        return Promise("anomalous", "misses", self.miss_rate)
