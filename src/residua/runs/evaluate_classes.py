"""A classifier's record: classes and probabilities, the reconstruction beside them, the baselines,
and the worst mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.baselines import CLASSIFIERS
from residua.engines import Engine, score_with
from residua.evaluation import evaluate_classification
from residua.evaluation.reconstruction import baseline_errors, errors_of, evaluate_errors
from residua.findings.most_confused import draw_mistakes
from residua.images import ImageSet
from residua.records import Evaluation, Finding
from residua.runs.baselines import as_seen, sampled, seed_of
from residua.runs.chunks import Columns, images_at_once, in_chunks, reconstructing_baselines
from residua.runs.classes import label_values
from residua.runs.parts import JudgedImages
from residua.runs.run_folder import RunState
from residua.training.bundle import Bundle
from residua.training.fitting.targets import class_array, index_targets

_SMALLEST = 1e-7
_P, _SCORE = "probabilities", "score"


@dataclass(frozen=True)
class JudgedClasses:
    """The record, the columns of the per-image table, what else the evidence holds, and by what the
    gallery is ordered.
    """

    evaluation: Evaluation
    columns: dict[str, NDArray[Any]]
    more: dict[str, Any]
    ranked_by: NDArray[Any]


def judge_classes(
    bundle: Bundle,
    engine: Engine,
    state: RunState,
    judged: JudgedImages,
    provenance: dict[str, Any],
    *,
    positive: str | None = None,
) -> JudgedClasses:
    """Judge a classifier on `judged`; `LabelError` where an image is of a class that the model does
    not know.
    """
    images, config, seed = judged.images, bundle.config, state.options.settings.seed
    classes = class_array(config.classes or ())
    labels = _labels(images, bundle, state)
    reconstructs = bundle.graph.scorer.reconstructs
    said_beside = _classifying_baselines(bundle, judged)
    rebuilt_beside = reconstructing_baselines(bundle, judged.fitted_on if reconstructs else None)
    found: list[Finding | None] = []

    def columns_of(chunk: ImageSet, rows: slice) -> Columns:
        scores = score_with(engine, chunk, reconstructions=True)
        prepared = as_seen(bundle, chunk)
        columns: Columns = {_P: np.asarray(scores.probabilities), _SCORE: scores.score}
        if reconstructs:
            errors, told = errors_of(prepared, scores.reconstructions)
            columns |= errors
            found.extend(told if rows.start == 0 else [])
        return columns | said_beside(prepared, labels[rows]) | rebuilt_beside(prepared)

    columns, beside = in_chunks(images, images_at_once(bundle), columns_of)
    probabilities, score = columns.pop(_P), columns.pop(_SCORE)
    rebuilt = evaluate_errors(columns, seed=seed, findings=found) if reconstructs else None
    baselines = baseline_errors(
        {name: column[~np.isnan(column)] for name, column in beside.items()}, seed=seed
    )
    evaluation = evaluate_classification(
        labels,
        probabilities,
        classes=classes.tolist(),
        positive=positive,
        baselines=baselines,
        leaks=judged.leaks,
        seed=seed,
        split=judged.part,
        provenance=provenance,
    )
    if config.multilabel:
        evaluation = evaluation.model_copy(update={"baselines": baselines})
    if rebuilt is not None:
        metrics = {**evaluation.metrics, **rebuilt.metrics}
        evaluation = evaluation.model_copy(
            update={
                "metrics": metrics,
                "findings": (*evaluation.findings, *_worth_telling(rebuilt)),
            }
        )
    columns = {**_per_image(labels, probabilities, bundle), **columns}
    more: dict[str, Any] = {
        # Several labels at once are no classes of which the largest probability names one.
        "classes": (
            None if config.multilabel else np.array([str(name) for name in classes.tolist()])
        ),
        "probabilities": probabilities,
        "baselines": beside,
        "seed": seed,
    }
    if not config.multilabel:
        true = index_targets(labels, config.classes or (), where="evaluate")
        names = [str(name) for name in classes.tolist()]
        shown = draw_mistakes(
            true, probabilities, names, lambda row: images[int(row)], images.paths
        )
        more["figures"] = {} if shown is None else {"most-confused": shown}
    return JudgedClasses(evaluation, columns, more, columns.get("mse", score))


def _per_image(
    labels: Any, probabilities: NDArray[Any], bundle: Bundle
) -> dict[str, NDArray[np.float64]]:
    """How sure the model is of each image, whether it is right, and its log loss: NaN without a
    label.

    Of several labels at once: right in full, and the mean loss over labels.
    """
    p = np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    if bundle.config.multilabel:
        truth = np.asarray(labels, np.float64)
        known = ~np.isnan(truth).any(axis=1)
        right = ((probabilities > 0.5) == (truth > 0.5)).all(axis=1)
        loss = -(np.log(p) * (truth > 0.5) + np.log(1 - p) * (truth <= 0.5)).mean(axis=1)
        sure = np.maximum(p, 1 - p).mean(axis=1)
    else:
        place = index_targets(labels, bundle.config.classes or (), where="evaluate")
        known = place >= 0
        right, sure = probabilities.argmax(axis=1) == place, p.max(axis=1)
        loss = -np.log(p[np.arange(len(p)), place])
    return {
        "confidence": sure,
        "right": np.where(known, right, np.nan),
        "log_loss": np.where(known, loss, np.nan),
    }


def _labels(images: ImageSet, bundle: Bundle, state: RunState) -> Any:
    """Labels as they are, after a look whether the model knows them all; a 0/1 matrix where several
    may hold.
    """
    config = bundle.config
    if config.multilabel:
        values = label_values(images, getattr(state.options, "separator", None), config.classes)
        return (
            np.full((len(images), len(config.classes or ())), np.nan) if values is None else values
        )
    labels = (
        np.full(len(images), None, object) if images.labels is None else np.asarray(images.labels)
    )
    index_targets(labels, config.classes or (), where=f"evaluate {images.source}")
    return labels


def _classifying_baselines(
    bundle: Bundle, judged: JudgedImages
) -> Callable[[NDArray[np.float32], Any], Columns]:
    """What says whether each baseline is right on each image (``majority_class/accuracy``); NaN
    without a label.
    """
    if bundle.config.multilabel or judged.fitted_on is None or judged.fitted_on.labels is None:
        return lambda prepared, labels: {}
    classes, seed = bundle.config.classes or (), seed_of(bundle)
    known = sampled(judged.fitted_on[np.flatnonzero(judged.fitted_on.labelled)], seed)
    train, given = as_seen(bundle, known), index_targets(known.labels, classes, where="train")

    def right(prepared: NDArray[np.float32], labels: Any) -> Columns:
        truth = index_targets(labels, classes, where="test")
        made = {
            name: classify(train, given, prepared, n_classes=len(classes), seed=seed)
            for name, classify in CLASSIFIERS.items()
        }
        return {
            f"{name}/accuracy": np.where(truth >= 0, said == truth, np.nan)
            for name, said in made.items()
        }

    return right


def _worth_telling(rebuilt: Evaluation) -> list[Any]:
    """Findings on the reconstruction that the record of the classes does not already hold."""
    return [
        finding
        for finding in rebuilt.findings
        if finding.code in ("collapsed-reconstruction", "scale")
    ]
