"""How baselines stand to the model: read, measured, and compared with it in pairs on the same
images.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import RangeError, ShapeError
from residua.evaluation.paired import Paired, paired_means, paired_roc_auc, paired_shares
from residua.metrics.groups import Groups
from residua.metrics.intervals import mean_interval, share_interval
from residua.metrics.names import metric_words
from residua.records import Estimate, Standing

Columns = Mapping[str, NDArray[Any]]
_CHANCE = 0.5
# Of what is known of each image, the metric that is compared: the first that both have.
_COMPARED = ("accuracy", "linear_probe_accuracy", "neighbours_probe_accuracy", "mse")


@dataclass(frozen=True)
class Beside:
    """The metrics of each baseline, and how it stands to the model where images are known."""

    metrics: dict[str, dict[str, Estimate]] = field(default_factory=dict)
    standings: dict[str, Standing] = field(default_factory=dict)


def by_baseline(columns: Columns) -> dict[str, dict[str, NDArray[Any]]]:
    """Columns named ``pca/mse`` as what each baseline gives by metric.

    >>> sorted(by_baseline({"pca/mse": np.zeros(2), "pca/ssim": np.ones(2)})["pca"])
    ['mse', 'ssim']
    """
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for name, column in columns.items():
        baseline, _, metric = name.partition("/")
        found.setdefault(baseline, {})[metric] = column
    return found


def beside_columns(
    where: str,
    baselines: Mapping[str, Mapping[str, Any]] | None,
    own: Columns,
    *,
    groups: Groups | None,
    confidence: float,
    seed: int,
) -> Beside:
    """Baselines of which each metric is an `Estimate`, or a value an image.

    Raises ShapeError or RangeError if values are not one number an image.

    - `where`: The call, for messages.
    - `baselines`: mapping of str to mapping of str to Estimate or float array, (n_images,). NaN is
      an image without a value. In ``accuracy`` a value says whether the image is right.
    - `own`: mapping of str to float array, (n_images,). The model's values by metric, NaN where an
      image has none.

    >>> errors = np.linspace(1, 2, 40)
    >>> found = beside_columns(
    ...     "example",
    ...     {"pca": {"mse": errors + 0.5}},
    ...     {"mse": errors + np.tile([0, 0.1], 20)},
    ...     groups=None,
    ...     confidence=0.95,
    ...     seed=0,
    ... )
    >>> found.standings["pca"].baseline, round(found.standings["pca"].difference.value, 2)
    ('worse', -0.45)
    """
    read = _read(where, baselines, len(next(iter(own.values()))))
    metrics: dict[str, dict[str, Estimate]] = {}
    standings: dict[str, Standing] = {}
    for name, values in read.items():
        metrics[name] = {
            metric: value
            if isinstance(value, Estimate)
            else _estimate(metric, value, groups, confidence, seed)
            for metric, value in values.items()
        }
        compared = next((one for one in _COMPARED if one in own and one in values), None)
        if compared is None or isinstance(values[compared], Estimate):
            continue
        pair = own[compared], values[compared]
        standing = _of_columns(compared, pair, groups, confidence, seed)
        standings |= {} if standing is None else {name: standing}
    return Beside(metrics, standings)


def standing_of_areas(
    is_anomalous: NDArray[np.bool_],
    scores: NDArray[Any],
    baseline: NDArray[Any],
    area: Estimate,
    *,
    groups: Groups | None = None,
    confidence: float = 0.95,
) -> Standing | None:
    """How a detecting baseline stands to the model in ROC AUC; None with one class only.

    A baseline whose interval lies wholly below .5 separates, and does so backwards: its scores are
    turned around. One that may be at chance is not, since the better direction of chance would
    flatter it.

    - `is_anomalous`: bool array, (n_images,).
    - `scores`, `baseline`: float arrays, (n_images,). Higher = more anomalous.
    - `area`: The baseline's own ROC AUC.

    >>> labels, dark = np.arange(60) >= 30, -np.arange(60.0)
    >>> area = Estimate(value=0.0, low=0.0, high=0.1)
    >>> scores = np.tile([0.0, 1.0], 30)
    >>> found = standing_of_areas(labels, scores, dark, area)
    >>> found.baseline, found.is_backwards, found.difference.value
    ('better', True, -0.5)
    """
    is_backwards = area.high is not None and area.high < _CHANCE
    rival = np.asarray(baseline, np.float64) * (-1 if is_backwards else 1)
    found = paired_roc_auc(is_anomalous, scores, rival, confidence=confidence, groups=groups)
    return _standing("roc_auc", found, confidence, is_backwards=is_backwards)


def _read(
    where: str, baselines: Mapping[str, Mapping[str, Any]] | None, n_images: int
) -> dict[str, dict[str, Any]]:
    problems = Problems(where)
    read: dict[str, dict[str, Any]] = {}
    for name, values in (baselines or {}).items():
        read[name] = {}
        for metric, value in values.items():
            if isinstance(value, Estimate):
                read[name][metric] = value
                continue
            try:
                column = np.asarray(value, np.float64)
            except (TypeError, ValueError):
                mend = "Pass an Estimate, or one number an image"
                got = type(value).__name__
                problems.add(f"baseline {name}: {metric} must be numbers", got, mend, RangeError)
                continue
            if column.shape != (n_images,):
                must = f"baseline {name}: {metric} must have one value for each of {n_images}"
                mend = "Pass the values of the judged images, in their order"
                problems.add(f"{must} images", f"shape {column.shape}", mend, ShapeError)
            read[name][metric] = column
    problems.raise_any()
    return read


def _estimate(
    metric: str, column: NDArray[Any], groups: Groups | None, confidence: float, seed: int
) -> Estimate:
    kept = ~np.isnan(column)
    own = None if groups is None else groups.of(kept)
    if metric.endswith("accuracy"):
        return share_interval(column[kept] > 0.5, own, confidence=confidence)
    return mean_interval(column[kept], seed=seed, groups=own, confidence=confidence)


def _of_columns(
    metric: str,
    pair: tuple[NDArray[Any], NDArray[Any]],
    groups: Groups | None,
    confidence: float,
    seed: int,
) -> Standing | None:
    kept = ~(np.isnan(pair[0]) | np.isnan(pair[1]))
    own = None if groups is None else groups.of(kept)
    a, b = (column[kept] for column in pair)
    if metric.endswith("accuracy"):
        found = paired_shares(a > 0.5, b > 0.5, confidence=confidence, seed=seed, groups=own)
    else:
        found = paired_means(a, b, confidence=confidence, seed=seed, groups=own)
    return _standing(metric, found, confidence)


def _standing(
    metric: str, found: Paired, confidence: float, *, is_backwards: bool = False
) -> Standing | None:
    value = found.difference.value
    if value is None:
        return None
    word: Literal["better", "worse", "no difference shown"] = "no difference shown"
    if found.is_shown(1 - confidence):
        is_ahead = (value > 0) == metric_words(metric).higher_is_better
        word = "worse" if is_ahead else "better"
    return Standing(
        metric=metric, difference=found.difference, baseline=word, is_backwards=is_backwards
    )
