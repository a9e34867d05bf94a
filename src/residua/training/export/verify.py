"""Whether an engine is what the reference is: scores, maps and every decision on real images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import Deviation, Engine, Price
from residua.errors import GateError
from residua.images import ImageSet
from residua.images.listing import Progress
from residua.metrics import roc_auc

_TOLERANCE = 1e-3  # of the spread of the scores, and of the map's peak
_ROUNDING = 1e-5  # of the largest score: where scores hardly spread
_ALONE = 16  # images that are also scored one at a time
_CROPS = 4  # images of which an odd part is scored too
_MOST_LOST = 0.02  # ROC AUC
_LEAST_CORRELATION = 0.95  # of the ranks of scores, for a reduced precision


@dataclass(frozen=True)
class ScorePair:
    """Scores of the reference and of the engine on the same images, and how far maps differ."""

    reference: NDArray[np.float32]
    engine: NDArray[np.float32]
    score_difference: float
    map_difference: float
    map_peak: float
    probability_difference: float = 0.0
    changed_classes: int = 0


def compare(
    reference: Engine, engine: Engine, images: ImageSet, *, progress: Progress | None = None
) -> ScorePair:
    """Score all `images` by both, with their maps.

    A few again one at a time, and a few cut to odd sizes.
    """
    pairs = []
    done = 0
    for batch in images.batches(engine.batch_size):
        pairs.append(_pair(reference, engine, batch))
        done += len(batch)
        if progress is not None:
            progress(done, len(images))
    few = [images[row] for row in range(min(_ALONE, len(images)))]
    more = [_pair(reference, engine, [image]) for image in few]
    more += [
        _pair(reference, engine, [crop]) for image in few[:_CROPS] for crop in _odd_crops(image)
    ]
    return ScorePair(
        reference=np.concatenate([pair.reference for pair in pairs]),
        engine=np.concatenate([pair.engine for pair in pairs]),
        score_difference=_largest([pair.score_difference for pair in pairs + more]),
        map_difference=_largest([pair.map_difference for pair in pairs + more]),
        map_peak=_largest([pair.map_peak for pair in pairs + more]),
        probability_difference=_largest([pair.probability_difference for pair in pairs + more]),
        changed_classes=sum(pair.changed_classes for pair in pairs),
    )


def measure_deviation(compared: ScorePair, threshold: float, own_threshold: float) -> Deviation:
    """The differences, and the decisions under each one's threshold."""
    reference, engine = compared.reference, compared.engine
    low, high = np.quantile(reference.astype(np.float64), [0.05, 0.95])
    different = (reference > np.float32(threshold)) != (engine > np.float32(own_threshold))
    return Deviation(
        n_images=len(reference),
        score=compared.score_difference,
        score_spread=float(high - low),
        error_map=compared.map_difference,
        error_map_peak=compared.map_peak,
        probabilities=compared.probability_difference,
        different_decisions=int(different.sum()) + compared.changed_classes,
        near_threshold=int(
            (np.abs(reference.astype(np.float64) - threshold) <= compared.score_difference).sum()
        ),
    )


def refuse_if_different(name: str, compared: ScorePair, deviation: Deviation) -> None:
    """Say no to an export that does not reproduce the reference.

    Raises GateError with the numbers: scores or maps beyond a thousandth of what they spread over,
    or any decision that differs.
    """
    most_score = max(
        _TOLERANCE * deviation.score_spread, _ROUNDING * float(np.abs(compared.reference).max())
    )
    most_map = _TOLERANCE * deviation.error_map_peak
    bounds = (
        ("scores", deviation.score, f"{most_score:.3g}", deviation.score <= most_score),
        ("error maps", deviation.error_map, f"{most_map:.3g}", deviation.error_map <= most_map),
        (
            "probabilities",
            deviation.probabilities,
            f"{_TOLERANCE}",
            deviation.probabilities <= _TOLERANCE,
        ),
    )
    problems = [
        f"{what} differ by up to {found:.3g}, where {most} is allowed"
        for what, found, most, holds in bounds
        if not holds
    ]
    if deviation.different_decisions:
        problems.append(
            f"{deviation.different_decisions} of {deviation.n_images:,} decisions differ"
        )
    if problems:
        raise GateError(
            f"export {name}: the exported model must reproduce the run's scores. On"
            f" {deviation.n_images:,} calibration images {', '.join(problems)}. Nothing was"
            " written. Score with --engine torch, and report this."
        )


def measure_price(
    compared: ScorePair, deviation: Deviation, is_anomalous: NDArray[np.bool_]
) -> Price:
    """What a reduced precision costs.

    ROC AUC where calibration holds both normal and anomalous images.
    """
    both = is_anomalous.any() and not is_anomalous.all()
    return Price(
        roc_auc=float(roc_auc(is_anomalous, compared.engine)) if both else None,
        roc_auc_reference=float(roc_auc(is_anomalous, compared.reference)) if both else None,
        rank_correlation=_rank_correlation(compared.reference, compared.engine),
        changed_decisions=deviation.different_decisions,
        n_images=deviation.n_images,
    )


def refuse_if_dear(name: str, price: Price) -> None:
    """Say no to a reduced precision that ranks images otherwise.

    Raises GateError if it loses more than .02 of the ROC AUC, or (without anomalies to rank)
    correlates by less than .95.
    """
    lost = (
        0.0
        if price.roc_auc is None or price.roc_auc_reference is None
        else price.roc_auc_reference - price.roc_auc
    )
    known = price.roc_auc is not None
    if lost > _MOST_LOST or not (known or price.rank_correlation >= _LEAST_CORRELATION):
        cost = (
            f"it loses {lost:.4f} of the ROC AUC ({price.roc_auc_reference:.4f} to"
            f" {price.roc_auc:.4f})"
            if known
            else f"its ranks correlate by {price.rank_correlation:.4f} only"
        )
        raise GateError(
            f"export {name}: reduced precision must keep the ranking (lose {_MOST_LOST} of the ROC"
            f" AUC at most, else a rank correlation of {_LEAST_CORRELATION}). On {price.n_images:,}"
            f" calibration images {cost}, and {price.changed_decisions} decisions change. Nothing"
            " was written. Export with --precision float32."
        )


def _pair(reference: Engine, engine: Engine, images: Sequence[NDArray[Any]]) -> ScorePair:
    one = reference.score(images, maps=True, columns=False)
    other = engine.score(images, maps=True, columns=False)
    pairs = [
        (a, b)
        for a, b in zip(one.maps or [], other.maps or [], strict=True)
        if not (np.isnan(a).all() and np.isnan(b).all())
    ]
    classes = (one.probabilities, other.probabilities)
    return ScorePair(
        one.score,
        other.score,
        _largest([np.abs(one.score.astype(np.float64) - other.score).max(initial=0)]),
        _largest([np.abs(a - b).max() for a, b in pairs]),
        _largest([np.abs(a).max() for a, _ in pairs]),
        *_classes_apart(*classes),
    )


def _classes_apart(one: NDArray[Any] | None, other: NDArray[Any] | None) -> tuple[float, int]:
    """The largest difference of probabilities, and how many images get another class."""
    if one is None or other is None or not one.size:
        return 0.0, 0
    return _largest([np.abs(one - other).max()]), int(
        (one.argmax(axis=1) != other.argmax(axis=1)).sum()
    )


def _largest(values: Sequence[Any]) -> float:
    """The maximum; infinite where a value is no number, so that it can never pass as small."""
    worst = float(np.max(np.asarray(values, np.float64), initial=0))
    return worst if np.isfinite(worst) else float(np.finfo(np.float32).max)


def _odd_crops(image: NDArray[Any]) -> list[NDArray[Any]]:
    """Parts of an image whose sides are another odd number each."""
    height, width = image.shape[:2]
    sides = [
        (max(1, height - 1 - height % 2 + 1), max(1, width - 2)),
        (max(1, height // 2 | 1), max(1, width // 3 | 1)),
    ]
    return [np.ascontiguousarray(image[:rows, :columns]) for rows, columns in sides]


def _rank_correlation(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Spearman's; 1 where neither ranks anything, 0 where one of them does not."""
    from scipy.stats import rankdata

    a, b = (rankdata(scores) - (len(scores) + 1) / 2 for scores in (one, other))
    scale = float(np.sqrt((a @ a) * (b @ b)))
    if scale:
        return float(np.clip(a @ b / scale, -1, 1))
    return 1.0 if not (a.any() or b.any()) else 0.0
