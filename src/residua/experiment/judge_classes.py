"""A classifier's record: classes and probabilities, the reconstruction beside them, the baselines, and the worst mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.baselines import CLASSIFIERS, RECONSTRUCTORS
from residua.bundle import Bundle
from residua.engines import Engine, score_with
from residua.estimators.classifier import class_array
from residua.estimators.targets import index_targets
from residua.evaluation import evaluate_classification
from residua.evaluation.mistakes import show_mistakes
from residua.evaluation.reconstruction import baseline_errors, judge_reconstruction
from residua.experiment.beside import latent_of, sampled, seed_of, training_arrays
from residua.experiment.classes import label_values
from residua.experiment.parts import JudgedImages
from residua.experiment.run_folder import RunState
from residua.images import ImageSet
from residua.metrics import mse, psnr, ssim
from residua.records import Evaluation
from residua.scoring.engine import prepare_images

_SMALLEST = 1e-7
_RECONSTRUCTION_METRICS = {"mse": mse, "psnr": psnr, "ssim": ssim}


@dataclass(frozen=True)
class JudgedClasses:
    """The record, the columns of the per-image table, what else the evidence holds, and by what the gallery is ordered."""

    evaluation: Evaluation
    columns: dict[str, NDArray[Any]]
    more: dict[str, Any]
    ranked_by: NDArray[Any]


def judge_classes(
    bundle: Bundle, engine: Engine, state: RunState, judged: JudgedImages, provenance: dict[str, Any]
) -> JudgedClasses:
    """Judge a classifier on `judged`; `LabelError` where an image is of a class that the model does not know."""
    images, config, seed = judged.images, bundle.config, state.options.settings.seed
    classes = class_array(config.classes or ())
    scores = score_with(engine, images, reconstructions=True)
    probabilities = np.asarray(scores.probabilities)
    labels = _labels(images, bundle, state)
    prepared = prepare_images(bundle.graph.prepare, images, keep_float=True).permute(0, 2, 3, 1).numpy()
    columns: dict[str, NDArray[Any]] = {}
    beside = {} if judged.fitted_on is None else _baselines(bundle, judged, prepared, labels)
    rebuilt = None
    if bundle.graph.scorer.reconstructs:
        rebuilt, columns = judge_reconstruction(prepared, scores.reconstructions, ids=images.paths, seed=seed)
        beside |= {} if judged.fitted_on is None else _reconstructions(bundle, judged, prepared)
    baselines = baseline_errors({name: column[~np.isnan(column)] for name, column in beside.items()}, seed=seed)
    evaluation = evaluate_classification(
        labels,
        probabilities,
        classes=classes.tolist(),
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
            update={"metrics": metrics, "findings": (*evaluation.findings, *_worth_telling(rebuilt))}
        )
    columns = {**_per_image(labels, probabilities, bundle), **columns}
    more: dict[str, Any] = {
        # Several labels at once are no classes of which the largest probability names one.
        "classes": None if config.multilabel else np.array([str(name) for name in classes.tolist()]),
        "probabilities": probabilities,
        "baselines": beside,
        "seed": seed,
    }
    if not config.multilabel:
        shown = show_mistakes(labels, probabilities, classes, lambda row: images[int(row)], images.paths)
        more["exhibits"] = {} if shown is None else {"most-confused": shown}
    return JudgedClasses(evaluation, columns, more, columns.get("mse", scores.score))


def _per_image(labels: Any, probabilities: NDArray[Any], bundle: Bundle) -> dict[str, NDArray[np.float64]]:
    """How sure the model is of each image, whether it is right, and its log loss: NaN without a label.

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
    return {"confidence": sure, "right": np.where(known, right, np.nan), "log_loss": np.where(known, loss, np.nan)}


def _labels(images: ImageSet, bundle: Bundle, state: RunState) -> Any:
    """Labels as they are, after a look whether the model knows them all; a 0/1 matrix where several may hold."""
    config = bundle.config
    if config.multilabel:
        values = label_values(images, state.options.separator, config.classes)
        return np.full((len(images), len(config.classes or ())), np.nan) if values is None else values
    labels = np.full(len(images), None, object) if images.labels is None else np.asarray(images.labels)
    index_targets(labels, config.classes or (), where=f"evaluate {images.source}")
    return labels


def _baselines(
    bundle: Bundle, judged: JudgedImages, prepared: NDArray[np.float32], labels: Any
) -> dict[str, NDArray[np.float64]]:
    """Whether each baseline is right on each image, under names like ``majority_class/accuracy``; NaN without a label."""
    if bundle.config.multilabel or judged.fitted_on is None or judged.fitted_on.labels is None:
        return {}
    classes = bundle.config.classes or ()
    known = judged.fitted_on[np.flatnonzero(judged.fitted_on.labelled)]
    known = sampled(known, seed_of(bundle))
    train = prepare_images(bundle.graph.prepare, known, keep_float=True).permute(0, 2, 3, 1).numpy()
    given = index_targets(known.labels, classes, where="train")
    truth = index_targets(labels, classes, where="test")
    made = {
        name: classify(train, given, prepared, n_classes=len(classes), seed=seed_of(bundle))
        for name, classify in CLASSIFIERS.items()
    }
    return {f"{name}/accuracy": np.where(truth >= 0, said == truth, np.nan) for name, said in made.items()}


def _reconstructions(bundle: Bundle, judged: JudgedImages, prepared: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
    """Each reconstructing baseline's error of each image, under names like ``pca/mse``."""
    assert judged.fitted_on is not None
    train = training_arrays(bundle, judged.fitted_on)
    made = {
        name: np.clip(rebuild(train, prepared, latent=latent_of(bundle), seed=seed_of(bundle)), 0, 1)
        for name, rebuild in RECONSTRUCTORS.items()
    }
    return {
        f"{name}/{metric}": measure(prepared, rebuilt)
        for name, rebuilt in made.items()
        for metric, measure in _RECONSTRUCTION_METRICS.items()
    }


def _worth_telling(rebuilt: Evaluation) -> list[Any]:
    """Findings on the reconstruction that the record of the classes does not already hold."""
    return [finding for finding in rebuilt.findings if finding.code in ("collapsed-reconstruction", "scale")]
