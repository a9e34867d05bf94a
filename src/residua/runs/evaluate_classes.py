"""A classifier's record: classes and probabilities, the reconstruction beside them, the baselines,
and the worst mistakes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.baselines import CLASSIFIERS
from residua.engines import score_with
from residua.errors import InputError
from residua.evaluation.classification import classification_facts
from residua.evaluation.conclusion import conclude
from residua.evaluation.reconstruction import errors_of, evaluate_errors
from residua.evaluation.standings import by_baseline
from residua.findings import OF_MODEL, not_applicable
from residua.images import ImageSet
from residua.metrics._classes import in_order
from residua.records import Evaluation, Finding
from residua.runs.baselines import Columns, chunk_size, in_chunks, reconstructing_baselines, sampled
from residua.runs.job_result import EvaluationRequest, JobResult, with_findings, with_model
from residua.runs.labels import label_values
from residua.runs.model import Floats, JudgedModel
from residua.runs.parts import JudgedImages
from residua.runs.pictures import choose_images, make_thumbnails
from residua.training.fitting.targets import index_targets

# A probability of 0 would make the log loss of one image infinite.
_SMALLEST = 1e-7
_P, _SCORE = "probabilities", "score"
# Findings on the reconstruction that the record of the classes does not already hold.
_OF_PICTURES = ("collapsed-reconstruction", "scale")

Classes = tuple[int | str, ...]


def judge_classifier(
    model: JudgedModel, judged: JudgedImages, request: EvaluationRequest
) -> JobResult:
    """A classifier on `judged`.

    Raises InputError if the images have no labels. Raises LabelError if an image is of a class that
    the model does not know.
    """
    images, seed, multilabel = judged.images, model.seed, model.facts.multilabel
    if images.labels is None and model.facts.classes is None:
        raise InputError(
            "evaluate: images must have labels to judge classes by. Got none. Name images with"
            " labels."
        )
    classes = model.facts.classes or tuple(in_order(_known(images.labels)))
    labels = _labels(images, classes, request.separator, multilabel=multilabel)
    fitted_on = judged.fitted_on
    classified_beside = _classifying_baselines(model, classes, fitted_on)
    rebuilt_beside = reconstructing_baselines(model, fitted_on if model.reconstructs else None)
    found: list[Finding | None] = []

    def columns_of(chunk: ImageSet, rows: slice) -> Columns:
        scores = score_with(model.engine, chunk, reconstructions=model.reconstructs)
        prepared, expected = model.prepare(chunk), model.prepare(chunk, model.rebuilt_size)
        columns: Columns = {_P: np.asarray(scores.probabilities), _SCORE: scores.score}
        if model.reconstructs:
            errors, of_pictures = errors_of(expected, scores.reconstructions)
            columns |= errors
            found.extend(of_pictures if rows.start == 0 else [])
        return (
            columns | classified_beside(prepared, labels[rows]) | rebuilt_beside(prepared, expected)
        )

    columns, beside = in_chunks(images, chunk_size(model), columns_of)
    probabilities, score = columns.pop(_P), columns.pop(_SCORE)
    baselines = by_baseline(beside)
    facts = classification_facts(
        labels,
        probabilities,
        classes=None if model.facts.classes is None else list(classes),
        positive=request.positive,
        baselines=baselines,
        leaks=judged.leaks,
        groups=images.groups,
        seed=seed,
    )
    unsure = 1 - probabilities.max(axis=1)
    facts = with_model(facts, model, judged, unsure, partial(_doubt, model))
    facts = replace(facts, paths=images.paths, picture_of=lambda row: images[row])
    made = conclude(facts, split=judged.part, provenance=request.provenance)
    evaluation = made.evaluation
    if model.reconstructs:
        rebuilt = evaluate_errors(
            columns, baselines=baselines, groups=images.groups, seed=seed, findings=found
        )
        evaluation = _with_reconstruction(evaluation, rebuilt)
    ranked_by = columns.get("mse", score)
    return JobResult(
        evaluation,
        {**_per_image(labels, probabilities, classes, multilabel=multilabel), **columns},
        choose_images(ranked_by, None, None),
        {
            # Several labels at once are no classes of which the largest probability names one.
            "classes": None if multilabel else np.array([str(name) for name in classes]),
            "probabilities": probabilities,
            "baselines": beside,
            "figures": made.figures,
            "thumbnails": make_thumbnails(model, images, ranked_by, None),
        },
        not_applicable(facts, OF_MODEL),
    )


def _known(labels: NDArray[Any] | None) -> list[Any]:
    return [] if labels is None else [one for one in labels.tolist() if one is not None]


def _with_reconstruction(evaluation: Evaluation, rebuilt: Evaluation) -> Evaluation:
    told = [finding for finding in rebuilt.findings if finding.code in _OF_PICTURES]
    update = {
        "metrics": {**evaluation.metrics, **rebuilt.metrics},
        "standings": {**rebuilt.standings, **evaluation.standings},
    }
    return with_findings(evaluation.model_copy(update=update), told)


def _per_image(
    labels: Any, probabilities: NDArray[Any], classes: Classes, *, multilabel: bool
) -> dict[str, NDArray[np.float64]]:
    """How sure the model is of each image, whether it is right, and its log loss: NaN without a
    label.

    Of several labels at once: right in full, and the mean loss over labels.
    """
    p = np.clip(probabilities.astype(np.float64), _SMALLEST, 1 - _SMALLEST)
    if multilabel:
        truth = np.asarray(labels, np.float64)
        known = ~np.isnan(truth).any(axis=1)
        right = ((probabilities > 0.5) == (truth > 0.5)).all(axis=1)
        loss = -(np.log(p) * (truth > 0.5) + np.log(1 - p) * (truth <= 0.5)).mean(axis=1)
        sure = np.maximum(p, 1 - p).mean(axis=1)
    else:
        place = index_targets(labels, classes, where="evaluate")
        known = place >= 0
        right, sure = probabilities.argmax(axis=1) == place, p.max(axis=1)
        loss = -np.log(p[np.arange(len(p)), place])
    return {
        "confidence": sure,
        "right": np.where(known, right, np.nan),
        "log_loss": np.where(known, loss, np.nan),
    }


def _labels(images: ImageSet, classes: Classes, separator: str | None, *, multilabel: bool) -> Any:
    """Labels that the model knows, as they are; a 0/1 matrix where several may hold."""
    if multilabel:
        values = label_values(images, separator, classes)
        return np.full((len(images), len(classes)), np.nan) if values is None else values
    labels = (
        np.full(len(images), None, object) if images.labels is None else np.asarray(images.labels)
    )
    index_targets(labels, classes, where=f"evaluate {images.source}")
    return labels


def _classifying_baselines(
    model: JudgedModel, classes: Classes, fitted_on: ImageSet | None
) -> Callable[[Floats, Any], Columns]:
    """Whether each baseline is right on each image (``NAME/accuracy``); NaN without a label."""
    if model.facts.multilabel or fitted_on is None or fitted_on.labels is None:
        return lambda prepared, labels: {}
    known = sampled(fitted_on[np.flatnonzero(fitted_on.labelled)], model.seed)
    train, given = model.prepare(known), index_targets(known.labels, classes, where="train")

    def right(prepared: Floats, labels: Any) -> Columns:
        truth = index_targets(labels, classes, where="test")
        made = {
            name: classify(train, given, prepared, n_classes=len(classes), seed=model.seed)
            for name, classify in CLASSIFIERS.items()
        }
        return {
            f"{name}/accuracy": np.where(truth >= 0, said == truth, np.nan)
            for name, said in made.items()
        }

    return right


def _doubt(model: JudgedModel, images: ImageSet) -> NDArray[Any]:
    """1 minus the largest probability of each image."""
    return 1 - np.asarray(score_with(model.engine, images).probabilities).max(axis=1)
