"""The precision-recall curve of a detector, with its threshold and its baselines."""

from __future__ import annotations

from typing import Any

import numpy as np

from residua.evaluation.plots.plot import (
    ABNORMAL,
    MODEL,
    MUTED,
    Plot,
    axes,
    threshold_label,
    unit_square,
)
from residua.evaluation.plots.roc import baseline_scores, ranked
from residua.evaluation.report import words
from residua.metrics import average_precision, precision_recall_curve
from residua.metrics.names import baseline_title
from residua.records import Evaluation

_VERTICES = 400


def draw(record: Evaluation, ax: Any) -> Any:
    """Precision over recall; the dotted line is what flagging at random gives."""
    ax = axes(ax, (4.8, 4.8))
    evidence = record.evidence
    found = ranked(evidence)
    assert found is not None
    anomalous, known = found
    share = float(anomalous[known].mean())
    ax.axhline(share, color=MUTED, linestyle=":", linewidth=1, label=f"at random: {share:.3f}")
    for name, own in baseline_scores(evidence).items():
        area = average_precision(anomalous[known], own[known])
        label = f"{baseline_title(name)}: {area:.3f}"
        _curve(ax, anomalous[known], own[known], color=MUTED, linewidth=0.9, label=label)
    scores = np.asarray(evidence.scores)
    said = words.interval("average_precision", record.metrics["average_precision"])
    label = f"this model: {said}"
    _curve(ax, anomalous[known], scores[known], color=MODEL, linewidth=2, label=label)
    point = record.operating_point
    if point is not None and (flagged := scores > point.threshold)[known].any():
        right = flagged & anomalous & known
        at = right.sum() / anomalous[known].sum(), right.sum() / flagged[known].sum()
        ax.plot(*at, "o", color=ABNORMAL, label=threshold_label(point))
    ax.legend(frameon=False, fontsize="small", loc="best", title="Average precision")
    return unit_square(ax, "Recall", "Precision")


def _curve(ax: Any, labels: Any, scores: Any, **looks: Any) -> None:
    precision, recall, _ = precision_recall_curve(labels, scores, max_points=_VERTICES)
    order = np.argsort(recall, kind="stable")
    ax.plot(recall[order], precision[order], **looks)


PLOT = Plot(
    "precision-recall",
    draw,
    lambda record: record.job == "detect" and ranked(record.evidence) is not None,
    "scores of normal and anomalous images",
)
