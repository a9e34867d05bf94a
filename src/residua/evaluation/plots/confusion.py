"""The confusion matrix: of a classifier, or of a detector at its threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.plots.plot import Plot, axes
from residua.evaluation.report import classes
from residua.evaluation.report.payload import outcome
from residua.records import Evaluation

_MOST_NUMBERS = 30


def _counts(record: Evaluation) -> tuple[list[str], NDArray[np.int64]] | None:
    """Names, and counts with true classes as rows."""
    if record.job != "detect":
        return classes.confusion(record.evidence)
    if (found := outcome(record, record.evidence)) is None:
        return None
    rows = [[found["tn"], found["fp"]], [found["fn"], found["tp"]]]
    return ["normal", "anomalous"], np.array(rows)


def draw(record: Evaluation, ax: Any) -> Any:
    """Counts, coloured by the share of their row."""
    found = _counts(record)
    assert found is not None
    names, counts = found
    side = min(9.0, 2.2 + 0.5 * len(names))
    ax = axes(ax, (side + 0.6, side))
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    image = ax.imshow(shares, cmap="BuGn", vmin=0, vmax=1)
    if len(names) <= _MOST_NUMBERS:
        for (true, said), count in np.ndenumerate(counts):
            colour = "white" if shares[true, said] > 0.55 else "black"
            ax.text(
                said, true, f"{count:,}" if count else "·", ha="center", va="center", color=colour
            )
    flagged = ["not flagged", "flagged"] if record.job == "detect" else names
    turned = 90 if max(map(len, flagged)) > 3 and len(names) > 2 else 0
    ax.set_xticks(range(len(names)), flagged, rotation=turned)
    ax.set_yticks(range(len(names)), names)
    ax.set(xlabel="What the model says", ylabel="What the images are")
    ax.figure.colorbar(image, ax=ax, label="Share of the row", shrink=0.8)
    return ax


PLOT = Plot(
    "confusion",
    draw,
    lambda record: _counts(record) is not None,
    "labels and predicted classes, or scores with labels and a threshold",
    first_for=("classify",),
)
