"""How metrics are computed from samples, where that takes more than a line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from residua.metrics._confidence import two_sided_z
from residua.metrics.calibration import calibration_error_of
from residua.metrics.confusion_bounds import mean_recall
from residua.metrics.delong import roc_auc_interval
from residua.metrics.intervals import f1_of_share, share_interval
from residua.metrics.multilabel import multilabel_average_precision
from residua.metrics.precision_intervals import average_precision_interval
from residua.metrics.samples import (
    ClassProbabilities,
    Floats,
    OneClass,
    PredictedClasses,
    ScoredImages,
    SeveralLabels,
    mean_ends,
)
from residua.records import Estimate


def ranked(interval: Callable[..., Estimate], **options: Any) -> Callable[[ScoredImages], Estimate]:
    """An area under a curve of scores; without a value where only one kind is there."""

    def rank(sample: ScoredImages) -> Estimate:
        if not sample.has_both:
            return sample.without_interval(np.nan, len(sample.scores))
        more: dict[str, Any] = {"seed": sample.seed} if options.get("is_resampled") else {}
        if sample.groups is not None:
            more["groups"] = sample.groups
        return interval(sample.is_anomalous, sample.scores, confidence=sample.confidence, **more)

    return rank


def precision_of_flags(sample: ScoredImages) -> Estimate | None:
    """Of the flagged images, the share that is anomalous."""
    found = sample.decided(lambda flagged, anomalous: (anomalous, flagged))
    return found if found is None or sample.has_both else sample.without_interval(np.nan, 0)


def f1_of_flags(sample: ScoredImages) -> Estimate | None:
    """Harmonic mean of precision and recall."""
    if sample.flagged is None or not sample.has_both:
        return None if sample.flagged is None else sample.without_interval(np.nan, 0)
    share = sample.decided(lambda flagged, anomalous: (flagged & anomalous, flagged | anomalous))
    return share if share is None else f1_of_share(share)


def recall_of_flags(sample: ScoredImages) -> Estimate | None:
    """Of the anomalous images, the share that is flagged."""
    return sample.decided(lambda flagged, anomalous: (flagged, anomalous))


def false_alarms(sample: ScoredImages) -> Estimate | None:
    """Of the normal images, the share that is flagged."""
    return sample.decided(lambda flagged, anomalous: (flagged, ~anomalous))


def right_decisions(sample: ScoredImages) -> Estimate | None:
    """The share of decisions that are right."""
    return sample.decided(lambda flagged, anomalous: (flagged == anomalous, np.ones_like(flagged)))


def balanced_decisions(sample: ScoredImages) -> Estimate | None:
    """Mean of recall and specificity, as that of a classifier of two classes."""
    if sample.flagged is None:
        return None
    if not sample.has_both:
        return sample.without_interval(np.nan, len(sample.scores))
    two = PredictedClasses(
        sample.confidence,
        sample.seed,
        groups=sample.groups,
        true=sample.is_anomalous.astype(np.int64),
        predicted=sample.flagged.astype(np.int64),
        n_classes=2,
        scores=sample.scores,
    )
    return two.average(lambda matrix: matrix.balanced_accuracy, mean_recall)


def smallest_found(sample: ScoredImages) -> Estimate | None:
    """The fewest defective pixels of an anomalous image that is flagged.

    None where no mask is known, or nothing is found. The estimate's ``n`` counts the masks.
    """
    if sample.flagged is None or sample.areas is None:
        return None
    known = sample.is_anomalous & (sample.areas > 0)
    found = sample.areas[known & sample.flagged]
    if not len(found):
        return None
    return sample.without_interval(float(found.min()), int(known.sum()))


def flagged_rate(sample: ScoredImages) -> Estimate | None:
    """Of all judged images, labelled or not, the share that is flagged."""
    flags = sample.all_flagged
    if flags is None:
        return None
    groups, effect = sample.all_groups, None
    if groups is not None and len(flags) == len(sample.scores):  # all have labels
        effect = groups.effect_on_share(flags, sample.scores, classes=sample.is_anomalous)
    return share_interval(flags, groups, effect=effect, confidence=sample.confidence)


def roc_auc_of_classes(sample: ClassProbabilities) -> Estimate:
    """Of two classes the second's; of more the mean of one-against-rest areas.

    Its interval is the mean of theirs: on the safe side, as if the areas moved together.
    """
    p = sample.probabilities.astype(np.float64)
    areas = [
        roc_auc_interval(
            sample.true == column,
            p[:, column],
            confidence=sample.confidence,
            groups=sample.groups,
        )
        for column in ([1] if p.shape[1] == 2 else range(p.shape[1]))
    ]
    if len(areas) == 1:
        return areas[0]
    values = [np.nan if area.value is None else area.value for area in areas]
    estimate = sample.without_interval(float(np.mean(values)), len(sample.true))
    if estimate.value is None:
        return estimate
    worth = [area.n_effective for area in areas if area.n_effective is not None]
    caveats = [area.caveat for area in areas if area.caveat is not None]
    return estimate.model_copy(
        update={
            **mean_ends(areas),
            "n_groups": areas[0].n_groups,
            "n_effective": min(worth, default=None),
            "caveat": caveats[0] if caveats else None,
        }
    )


def log_loss_of_classes(sample: ClassProbabilities) -> Estimate:
    """Mean negative logarithm of the true class's probability, in nats.

    The largest loss that any of the probabilities could have had bounds those of unseen images.
    """
    p = sample.probabilities.astype(np.float64)
    smallest = float(np.finfo(sample.probabilities.dtype).eps)
    p /= np.maximum(p.sum(axis=1, keepdims=True), smallest)
    of_truth, least = p[np.arange(len(p)), sample.true], p.min(axis=1, initial=1.0)
    losses, worst = (-np.log(np.clip(one, smallest, 1 - smallest)) for one in (of_truth, least))
    return _mean_loss(sample, losses, float(worst.max(initial=0.0)))


def brier_score_of_classes(sample: ClassProbabilities) -> Estimate:
    """Squared distance of the probabilities from the truth; of two classes half of it."""
    off = sample.probabilities.astype(np.float64)
    off[np.arange(len(off)), sample.true] -= 1
    is_binary = off.shape[1] == 2
    losses = (off**2).sum(axis=1) / (2 if is_binary else 1)
    return _mean_loss(sample, losses, 1.0 if is_binary else 2.0)


def _mean_loss(sample: ClassProbabilities, losses: Floats, most: float) -> Estimate:
    p = sample.probabilities
    right = p.argmax(axis=1) == sample.true
    return sample.bounded_mean(losses, right, p[np.arange(len(p)), sample.true], most=most)


def calibration_error_of_classes(sample: ClassProbabilities) -> Estimate:
    """Expected calibration error of the population in 15 bins of even width."""
    p = sample.probabilities.astype(np.float64)
    n, sure, right = len(p), p.max(axis=1, initial=0.0), p.argmax(axis=1) == sample.true
    if n == 0:
        return sample.without_interval(np.nan, 0)
    spread = sample.spread(right, sure - right, sure)
    # Of too few groups chance is not known, and would be taken for all of the error.
    wider = spread.reach * spread.effect**0.5 / two_sided_z(sample.confidence)
    found = calibration_error_of(
        sure,
        right,
        level=sample.confidence,
        spread=wider if spread.is_enough else 1.0,
        seed=sample.seed,
    )
    return spread.told(sample.without_interval(found.value, n), lambda: (found.low, found.high))


def average_precision_of_label(sample: OneClass) -> Estimate | None:
    """Average precision of one label of several."""
    if sample.holds is None or sample.scores is None:
        return None
    return average_precision_interval(
        sample.holds, sample.scores, confidence=sample.confidence, groups=sample.groups
    )


def average_precision_of_labels(sample: SeveralLabels) -> Estimate | None:
    """Mean average precision of several labels; None for decisions, which rank no images."""
    if not sample.are_ranked:
        return None
    return sample.over_labels(
        lambda holds, given: multilabel_average_precision(holds, given, average="macro"),
        sample.given.astype(np.float64),
        average_precision_of_label,
    )


def wrong_labels(sample: SeveralLabels, *, is_loss: bool) -> Estimate:
    """The share of labels that is wrong, or right."""
    return sample.bounded_mean(
        sample.wrong if is_loss else 1 - sample.wrong, sample.wrong == 0, most=1
    )
