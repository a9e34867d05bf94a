"""Records drawn by matplotlib: one file for each kind of figure, one line in `PLOTS`."""

from __future__ import annotations

from typing import Any

from residua.errors import InputError
from residua.evaluation.evidence import Evidence
from residua.evaluation.plots import (
    confusion,
    history,
    metrics,
    pictures,
    precision_recall,
    reliability,
    roc,
    scores,
)
from residua.evaluation.plots.plot import Plot, pyplot
from residua.evaluation.report.page import mend_bare
from residua.records import Evaluation

__all__ = ["PLOTS", "Plot", "draw"]

PLOTS: tuple[Plot, ...] = (
    scores.PLOT,
    roc.PLOT,
    precision_recall.PLOT,
    confusion.PLOT,
    reliability.PLOT,
    pictures.RECONSTRUCTIONS,
    pictures.MAPS,
    history.PLOT,
    metrics.METRICS,
    metrics.BASELINES,
    metrics.DIFFERENCES,
)


def draw(record: Any, kind: str | None, ax: Any, options: dict[str, Any]) -> Any:
    """Draw `record` as `kind` on `ax`; see `residua.records.Evaluation.plot`."""
    pyplot()  # without matplotlib nothing else matters
    fitting = [one for one in PLOTS if isinstance(record, one.of)]
    if kind is not None and kind not in {one.name for one in fitting}:
        raise InputError(
            f"plot: the kind must be one of {', '.join(one.name for one in fitting)}. Got"
            f" {kind!r}. Choose one of them."
        )
    is_bare = isinstance(record, Evaluation) and record.evidence is None
    seen = record.with_evidence(Evidence(paths=())) if is_bare else record  # type: ignore[arg-type]
    can = [one for one in fitting if one.has(seen)]
    job = record.job
    first = sorted(can, key=lambda one: job not in one.first_for)
    chosen = next((one for one in first if kind in (None, one.name)), None)
    if chosen is None:
        asked = [one for one in fitting if one.name == kind]
        needs = asked[0].needs if asked else "metrics"
        listed = ", ".join(one.name for one in can) or "nothing"
        mend = mend_bare(record) if is_bare else "Choose one of those"
        raise InputError(
            f"plot: {kind or 'a plot'} must have {needs}. Got a record without them, which can be"
            f" drawn as: {listed}. {mend}."
        )
    return chosen.draw(seen, ax, **options)
