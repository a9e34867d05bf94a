"""Records as tables of pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from residua.errors import InputError, MissingExtraError
from residua.evaluation.comparison import Comparison
from residua.evaluation.report.kinds import truth
from residua.evaluation.report.page import with_arrays
from residua.records import Estimate, Evaluation

_ESTIMATE = ("value", "low", "high", "confidence", "n", "n_groups", "n_effective")


def frame_of(record: Any, what: str | None = None) -> Any:
    """The table `what` of a record as a ``DataFrame``; the first one that it has where None.

    >>> record = Evaluation(
    ...     job="detect", n_images=9, split="test", metrics={"roc_auc": Estimate(value=0.75, n=9)}
    ... )
    >>> frame_of(record).loc["roc_auc", "value"].item()
    0.75
    """
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtraError("pandas", "frames", "to_frame") from None
    tables = _TABLES[type(record)]
    chosen = next(iter(tables)) if what is None else what
    if chosen not in tables:
        raise InputError(
            f"to_frame: what must be one of {', '.join(tables)}. Got {what!r}. Choose one of them."
        )
    index, rows = tables[chosen](record)
    frame = pd.DataFrame(rows)
    return frame.set_index(list(index)) if len(frame) else frame


def _numbers(estimate: Estimate) -> dict[str, Any]:
    return {name: getattr(estimate, name) for name in _ESTIMATE}


_Rows = tuple[tuple[str, ...], Iterable[dict[str, Any]] | dict[str, Any]]


def _metrics(record: Evaluation) -> _Rows:
    return ("metric",), [{"metric": name, **_numbers(one)} for name, one in record.metrics.items()]


def _baselines(record: Evaluation) -> _Rows:
    return ("baseline", "metric"), [
        {"baseline": title, "metric": name, **_numbers(one)}
        for title, values in record.baselines.items()
        for name, one in values.items()
    ]


def _findings(record: Evaluation) -> _Rows:
    return ("code",), [
        {
            "code": one.code,
            "severity": one.severity,
            "meaning": one.meaning,
            "what_to_do": one.what_to_do,
            "measured": one.measured,
        }
        for one in record.findings
    ]


def _images(record: Evaluation) -> _Rows:
    _, evidence = with_arrays(record, "to_frame")
    columns: dict[str, Any] = {"path": np.asarray(evidence.paths)}
    for name in ("labels", "groups", "scores"):
        if (column := getattr(evidence, name)) is not None:
            columns[name.removesuffix("s")] = np.asarray(column)
    if (known := truth(evidence)) is not None:
        columns["anomalous"] = [bool(one) if one < 2 else None for one in known.tolist()]
    if record.operating_point is not None and evidence.scores is not None:
        columns["flagged"] = np.asarray(evidence.scores) > record.operating_point.threshold
    columns |= {name: np.asarray(column) for name, column in evidence.per_image.items()}
    if evidence.said is not None:
        columns["predicted"] = np.asarray(evidence.classes)[evidence.said]
    if evidence.probabilities is not None:
        for place, name in enumerate(np.asarray(evidence.classes).tolist()):
            columns[f"probability[{name}]"] = np.asarray(evidence.probabilities)[:, place]
    return ("path",), columns


def _pairs(found: Comparison) -> _Rows:
    return ("metric", "a", "b"), [
        {
            "metric": pair.metric,
            "a": pair.a,
            "b": pair.b,
            **_numbers(pair.difference),
            "p_value": pair.p_value,
            "p_adjusted": pair.p_adjusted,
            "better": pair.better,
        }
        for pair in found.pairs
    ]


def _models(found: Comparison) -> _Rows:
    return ("model", "metric"), [
        {"model": one.name, "metric": name, **_numbers(estimate)}
        for one in found.standings
        for name, estimate in one.metrics.items()
    ]


_TABLES: dict[type, dict[str, Callable[[Any], _Rows]]] = {
    Evaluation: {
        "metrics": _metrics,
        "baselines": _baselines,
        "findings": _findings,
        "images": _images,
    },
    Comparison: {"pairs": _pairs, "models": _models},
}
