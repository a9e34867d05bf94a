"""How sure a classifier is against how often it is right."""

from __future__ import annotations

from typing import Any

import numpy as np

from residua.evaluation.plots.plot import MODEL, MUTED, Plot, axes, unit_square
from residua.evaluation.report.classes import truth_of_classes
from residua.metrics import reliability_table
from residua.records import Evaluation


def draw(record: Evaluation, ax: Any, *, bins: int = 10) -> Any:
    """A dot for each bin of confidence, as large as it has images; the diagonal is right."""
    ax = axes(ax, (4.8, 4.8))
    found = truth_of_classes(record.evidence)
    assert found is not None
    _, true, probabilities = found
    shares = probabilities / probabilities.sum(axis=1, keepdims=True)
    table = reliability_table(true, shares, bins=bins, classes=list(range(shares.shape[1])))
    filled = table.n > 0
    ax.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1)
    ax.plot(table.confidence[filled], table.accuracy[filled], color=MODEL, linewidth=1.5)
    area = 20 + 180 * table.n[filled] / max(1, int(np.max(table.n)))
    ax.scatter(table.confidence[filled], table.accuracy[filled], s=area, color=MODEL, alpha=0.6)
    return unit_square(ax, "Confidence", "Share that is right")


PLOT = Plot(
    "reliability",
    draw,
    lambda record: record.job == "classify" and truth_of_classes(record.evidence) is not None,
    "labels and probabilities of classes",
)
