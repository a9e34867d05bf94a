"""The scores of images as a histogram, with the threshold; errors where there are no scores."""

from __future__ import annotations

from typing import Any

import numpy as np

from residua.evaluation.plots.plot import MUTED, SERIES, Plot, axes, threshold_label, tidy
from residua.evaluation.report.payload import histogram
from residua.metrics.names import metric_words
from residua.records import Evaluation


def draw(record: Evaluation, ax: Any) -> Any:
    """Shares of each kind of image by score."""
    ax = axes(ax, (6.4, 3.6))
    drawn = histogram(record, record.evidence)
    assert drawn is not None
    edges = np.asarray(drawn["edges"])
    judged = [name for name in drawn["counts"] if name not in ("calibration", "train")]
    for name, counts in drawn["counts"].items():
        shares = np.asarray(counts) / max(1, sum(counts))
        label = f"{'anomalous' if name == 'abnormal' else name} (n = {sum(counts):,})"
        colour, is_judged = SERIES.get(name, MUTED), name in judged
        ax.stairs(
            shares, edges, color=colour, label=label, fill=is_judged, alpha=0.55 if is_judged else 1
        )
    if record.operating_point is not None:
        point = record.operating_point
        label = threshold_label(point)
        ax.axvline(point.threshold, color="#b3261e", linestyle="--", label=label)
    quantity = drawn["quantity"]
    if drawn["log"]:
        ax.set_xscale("log")
    title = "Score" if quantity == "score" else metric_words(quantity).label
    ax.set(xlabel=title, ylabel="Share of the images")
    ax.legend(frameon=False, fontsize="small")
    return tidy(ax)


PLOT = Plot(
    "scores",
    draw,
    lambda record: histogram(record, record.evidence) is not None,
    "a score or an error of each image",
    first_for=("detect",),
)
