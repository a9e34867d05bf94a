"""ROC curves: of a detector with its threshold and its baselines, of a classifier by class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.evidence import Evidence
from residua.evaluation.plots.plot import (
    ABNORMAL,
    MODEL,
    MUTED,
    Plot,
    axes,
    threshold_label,
    unit_square,
)
from residua.evaluation.report import words
from residua.evaluation.report.classes import truth_of_classes
from residua.evaluation.report.kinds import UNKNOWN, truth
from residua.metrics import roc_auc, roc_curve
from residua.metrics.names import baseline_title
from residua.records import Evaluation

_VERTICES = 400
_MOST_CLASSES = 10


def ranked(evidence: Evidence) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Which images are anomalous and which have a label; None without scores of both kinds."""
    known = truth(evidence)
    if evidence.scores is None or known is None or not {0, 1} <= set(np.unique(known).tolist()):
        return None
    return known == 1, known != UNKNOWN


def baseline_scores(evidence: Evidence) -> dict[str, NDArray[Any]]:
    """The scores of baselines that gave one an image."""
    n = len(evidence.paths)
    return {name: np.asarray(one) for name, one in evidence.baselines.items() if len(one) == n}


def draw(record: Evaluation, ax: Any) -> Any:
    """True-positive over false-positive rate."""
    ax = axes(ax, (4.8, 4.8))
    ax.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1)
    evidence = record.evidence
    if record.job == "classify":
        for name, holds, scores in _one_against_rest(evidence):
            rate, recall, _ = roc_curve(holds, scores, max_points=_VERTICES)
            ax.plot(rate, recall, label=f"{name}: {roc_auc(holds, scores):.3f}")
        ax.legend(frameon=False, fontsize="small", loc="lower right", title="ROC AUC")
        return unit_square(ax, "False-positive rate", "True-positive rate")
    found = ranked(evidence)
    assert found is not None
    anomalous, known = found
    for name, own in baseline_scores(evidence).items():
        rate, recall, _ = roc_curve(anomalous[known], own[known], max_points=_VERTICES)
        area = roc_auc(anomalous[known], own[known])
        ax.plot(
            rate, recall, color=MUTED, linewidth=0.9, label=f"{baseline_title(name)}: {area:.3f}"
        )
    scores = np.asarray(evidence.scores)
    rate, recall, _ = roc_curve(anomalous[known], scores[known], max_points=_VERTICES)
    said = words.interval("roc_auc", record.metrics["roc_auc"])
    ax.plot(rate, recall, color=MODEL, linewidth=2, label=f"this model: {said}")
    if record.operating_point is not None:
        flagged = scores > record.operating_point.threshold
        point = flagged[known & ~anomalous].mean(), flagged[known & anomalous].mean()
        ax.plot(*point, "o", color=ABNORMAL, label=threshold_label(record.operating_point))
    ax.legend(frameon=False, fontsize="small", loc="lower right", title="ROC AUC")
    return unit_square(ax, "False-alarm rate", "Recall")


def _one_against_rest(
    evidence: Evidence,
) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[Any]]]:
    found = truth_of_classes(evidence)
    assert found is not None
    names, true, probabilities = found
    places = [1] if len(names) == 2 else range(min(len(names), _MOST_CLASSES))
    for place in places:
        holds = true == place
        if holds.any() and not holds.all():
            yield names[place], holds, probabilities[:, place]


def _has(record: Evaluation) -> bool:
    evidence = record.evidence
    if record.job == "classify":
        return truth_of_classes(evidence) is not None
    return ranked(evidence) is not None


PLOT = Plot("roc", draw, _has, "scores of normal and anomalous images, or probabilities of classes")
