"""Numbers with their intervals: the metrics of a model, the model among its baselines, and the
differences of several models.
"""

from __future__ import annotations

from typing import Any

from residua.errors import InputError
from residua.evaluation.comparison import Comparison
from residua.evaluation.plots.plot import MUTED, Plot, axes, forest
from residua.evaluation.report import words
from residua.metrics.names import baseline_title, metric_words
from residua.records import Estimate, Evaluation


def _shares(record: Evaluation) -> list[tuple[str, Estimate]]:
    return [
        (_directed(name, record), record.metrics[name])
        for name in words.headline_names(record)
        if metric_words(name).kind == "share" and record.metrics[name].value is not None
    ]


def _directed(name: str, record: Evaluation) -> str:
    label = words.label(name, record)
    return label if metric_words(name).higher_is_better else f"{label} (lower is better)"


def metrics(record: Evaluation, ax: Any) -> Any:
    """The main metrics that are shares, with their intervals."""
    named = _shares(record)
    ax = forest(axes(ax, (5.6, 0.8 + 0.5 * len(named))), named, "roc_auc")
    ax.set_xlim(min(0.0, *(one.low or 0.0 for _, one in named)), 1.02)
    ax.set_xlabel(f"Share, with its {named[0][1].confidence:.0%} interval")
    return ax


def baselines(record: Evaluation, ax: Any, *, metric: str | None = None) -> Any:
    """The model and its baselines in `metric`, by default the main one of the job."""
    name = metric or words.primary_metric(record)
    if name is None or name not in record.metrics:
        raise InputError(
            f"plot: metric must be one of this record: {', '.join(record.metrics)}. Got {name!r}."
            " Choose one of them."
        )
    rivals = words.baselines_in(record, name)
    named = [("this model", record.metrics[name])]
    named += [(baseline_title(title), one) for title, one in rivals.items()]
    ax = forest(axes(ax, (5.6, 0.8 + 0.5 * len(named))), named, name)
    better = "higher" if metric_words(name).higher_is_better else "lower"
    ax.set_xlabel(f"{words.label(name, record)}, {better} is better")
    return ax


def differences(found: Comparison, ax: Any, *, metric: str | None = None) -> Any:
    """Paired differences in `metric`, by default the first; intervals beyond 0 show one."""
    names = list(dict.fromkeys(pair.metric for pair in found.pairs))
    chosen = metric or names[0]
    if chosen not in names:
        raise InputError(
            f"plot: metric must be one of this comparison: {', '.join(names)}. Got {chosen!r}."
            " Choose one of them."
        )
    named = [(f"{one.a} - {one.b}", one.difference) for one in found.pairs if one.metric == chosen]
    ax = forest(axes(ax, (5.6, 0.9 + 0.5 * len(named))), named, chosen)
    ax.axvline(0, color=MUTED, linestyle=":", linewidth=1)
    ax.set_xlabel(f"Difference in {metric_words(chosen).label}")
    return ax


METRICS = Plot("metrics", metrics, lambda record: bool(_shares(record)), "metrics that are shares")
BASELINES = Plot(
    "baselines",
    baselines,
    lambda record: bool(record.baselines) and words.primary_metric(record) is not None,
    "baselines",
)
DIFFERENCES = Plot(
    "differences", differences, lambda found: bool(found.pairs), "pairs", of=Comparison
)
