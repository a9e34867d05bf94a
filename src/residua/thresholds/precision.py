"""As many anomalies found as can be, with few of the flagged images normal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from residua.errors import PolicyError
from residua.thresholds.bounds import highest_rate
from residua.thresholds.calibration import Calibration, Cuts, percent
from residua.thresholds.policy import (
    Choice,
    NumberPolicy,
    Promise,
    hidden_among_normals,
    hits_and_alarms,
    without_hidden,
)
from residua.thresholds.shown import Side, share_above

# Cuts at which the bound is computed, of groups at fewer; and how many times the images at most.
_CUTS = 128
_CUTS_OF_GROUPS = 24
_TIMES = 4096


@dataclass(frozen=True)
class Precision(NumberPolicy):
    """The lowest threshold whose precision is at least `rate`, at the assumed prevalence.

    It is a bound where the calibration images show one: a lower bound of recall and an upper one of
    false alarms, which hold together at the confidence (Bonferroni), give the precision. Else it is
    the lowest threshold at which the precision on the calibration set is as high: an estimate,
    which promises nothing, and the words of how say so.

    Precision depends on how many images are anomalous where the detector works: the prevalence is
    part of the policy and stands in the words of how.
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
        looked_at = _evenly(reached, _CUTS)
        groups = calibration.normal_groups or calibration.anomalous_groups
        # What too few images show, still fewer groups do not.
        candidates = looked_at[self._by_images(calibration, cuts, looked_at, 1.0)]
        if groups is not None and calibration.promised == "new-groups":
            candidates = _evenly(candidates, _CUTS_OF_GROUPS)
            shown = next(
                (int(c) for c in candidates if self._by_groups(calibration, cuts, c)), None
            )
        else:
            shown = int(candidates[0]) if len(candidates) else None
        best = int(reached[0]) if shown is None else shown
        threshold = calibration.threshold(best)
        whose = (
            "flagged images"
            if groups is None
            else "flagged images of new groups"
            if calibration.promised == "new-groups"
            else "flagged new images of these groups"
        )
        what = (
            "at which" if shown is None else f"that shows, with {percent(calibration.confidence)}"
        )
        how = (
            f"The lowest threshold {what}{'' if shown is None else ' confidence, that'} at least"
            f" {percent(self.rate)} of the {whose} are anomalous, {calibration.prevalence_words}"
            f"{hidden_among_normals(calibration)}: on the calibration set"
            f" {percent(float(precision[best]))}, with {cuts.true_positives[best]} of"
            f" {len(calibration.anomalous)} anomalies found."
            f"{self._estimated(calibration, cuts, looked_at) if shown is None else ''}"
            f"{_weighing(calibration) if shown is not None else ''}"
            f" {calibration.place(threshold)}"
        )
        promise = "images" if groups is None else calibration.promised.replace("-", " ")
        promise = "none" if shown is None else promise
        return Choice(threshold, how, promise, calibration.assumed_prevalence)

    def _by_images(
        self, calibration: Calibration, cuts: Cuts, rows: NDArray[np.intp], times: float
    ) -> NDArray[np.bool_]:
        """Where bounds of recall and false alarms give the precision, with `times` the images."""
        each = 1 - (1 - calibration.confidence) / 2
        n_anomalous, n_normal = len(calibration.anomalous), len(calibration.normal)
        missed = n_anomalous - cuts.true_positives[rows]
        recall = 1 - highest_rate(times * missed, times * n_anomalous, each)
        flagged = highest_rate(times * cuts.false_positives[rows], times * n_normal, each)
        return self._at(calibration, recall, flagged) >= self.rate - 1e-12

    def _by_groups(self, calibration: Calibration, cuts: Cuts, cut: int) -> bool:
        """Whether the bounds of recall and of false alarms in new groups give the precision."""
        each = 1 - (1 - calibration.confidence) / 2
        missed = len(calibration.anomalous) - int(cuts.true_positives[cut])
        alarms = int(cuts.false_positives[cut])
        highest_missed, flagged = (
            np.array(share_above(side, n_faults, each, calibration.promised))
            for side, n_faults in (
                (Side.of(calibration, "anomalous"), missed),
                (Side.of(calibration, "normal"), alarms),
            )
        )
        return bool(self._at(calibration, 1 - highest_missed, flagged) >= self.rate - 1e-12)

    @staticmethod
    def _at(
        calibration: Calibration, recall: NDArray[np.float64], flagged: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Precision at a recall and at a share of flagged images among those taken for normal."""
        share = calibration.assumed_prevalence
        hits = share * recall
        alarms = (1 - share) * without_hidden(flagged, recall, calibration.contamination)
        return np.divide(hits, hits + alarms, out=np.zeros_like(hits), where=hits > 0)

    def _estimated(self, calibration: Calibration, cuts: Cuts, looked_at: NDArray[np.intp]) -> str:
        """That it is no bound, and how many images would make it one, as a sentence."""
        of = len(calibration.anomalous), len(calibration.normal)

        def is_shown(times: float) -> bool:
            return bool(self._by_images(calibration, cuts, looked_at, times).any())

        words = f" That is an estimate and no promise: {percent(calibration.confidence)} confidence"
        low, high = 1.0, 2.0
        while not is_shown(high) and high < _TIMES:
            low, high = high, 2 * high
        if not is_shown(high):
            return f"{words} would take another detector, or a lower precision."
        while high > 1.02 * low:
            middle = (low * high) ** 0.5
            low, high = (low, middle) if is_shown(middle) else (middle, high)
        unit = "independent ones" if calibration.normal_groups is not None else "images"
        return (
            f"{words} would take about {np.ceil(high * of[0]):.0f} anomalous and"
            f" {np.ceil(high * of[1]):.0f} normal {unit} like these."
        )

    def promise(self) -> Promise:
        """At most ``1 - rate`` of flagged images are normal."""
        return Promise("flagged", "false alarms", round(1 - self.rate, 15))


def _weighing(calibration: Calibration) -> str:
    """How groups of unequal size count in a bound for new groups, as a sentence; else nothing."""
    if calibration.promised != "new-groups":
        return ""
    sides = (Side.of(calibration, kind) for kind in ("normal", "anomalous"))
    return next((side.weighing for side in sides if side.weighing), "")


def _evenly(rows: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """About `n` of the rows, from the first to the last."""
    places = np.unique(np.linspace(0, max(len(rows) - 1, 0), n).astype(np.intp))[: len(rows)]
    return np.asarray(rows[places])
