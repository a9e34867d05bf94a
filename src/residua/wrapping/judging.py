"""Judging a wrapped model: scores, baselines and findings, by the same judge as our own models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import residua
from residua.baselines import DETECTORS, RECONSTRUCTORS
from residua.engines import Scores, score_with
from residua.errors import InputError
from residua.evaluation import Evidence, Gallery, evaluate_classification, evaluate_detection
from residua.evaluation.reconstruction import baseline_errors, judge_reconstruction
from residua.images import ImageSet
from residua.metrics import mse, psnr, ssim
from residua.records import Evaluation, Job

if TYPE_CHECKING:
    from residua.wrapping.model import WrappedModel

_MOST_TRAINING = 5000
_LATENT = 32
_SHOWN = 8


def judge(
    model: WrappedModel, images: ImageSet, *, job: Job | None, train: ImageSet | None, seed: int, split: str
) -> tuple[Evaluation, Evidence]:
    """The evaluation of `model` on `images`, and the arrays behind it."""
    if len(images) == 0:
        raise InputError("evaluate: there must be images to judge. Got none. Name others.")
    job = job or ("detect" if images.labels is not None and images.normal is not None else "reconstruct")
    known = None if train is None else train[_some(len(train), seed)]
    if job == "classify":
        return _judge_classes(model, images, split)
    return (_judge_detection if job == "detect" else _judge_reconstruction)(model, images, known, seed, split)


def is_anomalous_of(images: ImageSet) -> NDArray[np.bool_]:
    """Which images are anomalous; all are presumed normal where nothing says."""
    if images.labels is None or images.normal is None:
        return np.zeros(len(images), np.bool_)
    return images.is_anomalous


def _judge_detection(
    model: WrappedModel, images: ImageSet, train: ImageSet | None, seed: int, split: str
) -> tuple[Evaluation, Evidence]:
    has_masks = images.has_masks
    scores = score_with(model, images, maps=has_masks)
    flags, labelled = is_anomalous_of(images), images.labelled if images.normal is not None else np.zeros(len(images), np.bool_)
    labels = np.array([bool(flag) if known else None for flag, known in zip(flags, labelled, strict=True)], dtype=object)
    train_scores = None if train is None else model.anomaly_scores(train)
    beside: dict[str, NDArray[Any]] = {}
    if train is not None:
        known, asked = model.prepare(train), model.prepare(images)
        beside = {name: detect(known, asked, latent=_LATENT, seed=seed) for name, detect in DETECTORS.items()}
    evaluation = evaluate_detection(
        labels,
        scores.score,
        operating_point=model.operating_point_,
        masks=list(images.masks) if has_masks else None,
        maps=scores.maps,
        train_scores=train_scores,
        baselines=beside,
        seed=seed,
        split=split,
        provenance=_provenance(model, images, train),
    )
    order = np.argsort(scores.score, kind="stable")
    shown = np.unique(
        np.concatenate([order[:_SHOWN], order[-_SHOWN:], order[flags[order]][:_SHOWN], order[~flags[order]][-_SHOWN:]])
    )
    return evaluation, Evidence(
        paths=images.paths,
        scores=scores.score,
        labels=images.labels,
        is_anomalous=flags if labelled.any() else None,
        labelled=labelled if labelled.any() else None,
        calibration_scores=model.calibration_scores_,
        calibration_is_anomalous=model.calibration_is_anomalous_,
        train_scores=train_scores,
        per_image=dict(scores.columns),
        baselines=beside,
        gallery=_gallery(model, images, shown),
        quarantined=tuple((path, reason) for path, reason in images.quarantined),
        seed=seed,
    )


def _judge_reconstruction(
    model: WrappedModel, images: ImageSet, train: ImageSet | None, seed: int, split: str
) -> tuple[Evaluation, Evidence]:
    prepared, rebuilt = model.prepare(images), model.reconstruct(images)
    beside: dict[str, NDArray[Any]] = {}
    train_errors = None
    if train is not None:
        known = model.prepare(train)
        train_errors = mse(known, model.reconstruct(train))
        measures = {"mse": mse, "psnr": psnr, "ssim": ssim}
        made = {name: rebuild(known, prepared, latent=_LATENT, seed=seed) for name, rebuild in RECONSTRUCTORS.items()}
        beside = {
            f"{name}/{metric}": measure(prepared, np.clip(one, 0, 1))
            for name, one in made.items()
            if one is not None
            for metric, measure in measures.items()
        }
    evaluation, columns = judge_reconstruction(
        prepared,
        rebuilt,
        ids=images.paths,
        train_errors=train_errors,
        baselines=baseline_errors(beside, seed=seed),
        seed=seed,
        split=split,
        provenance=_provenance(model, images, train),
    )
    order = np.argsort(columns["mse"], kind="stable")
    return evaluation, Evidence(
        paths=images.paths,
        labels=images.labels,
        per_image=dict(columns),
        train_scores=train_errors,
        baselines=beside,
        gallery=_gallery(model, images, np.unique(np.concatenate([order[:_SHOWN], order[-_SHOWN:]]))),
        quarantined=tuple((path, reason) for path, reason in images.quarantined),
        seed=seed,
    )


def _judge_classes(model: WrappedModel, images: ImageSet, split: str) -> tuple[Evaluation, Evidence]:
    if images.labels is None:
        raise InputError("evaluate: images must have labels to judge classes by. Got none. Name images with labels.")
    probabilities = model.probabilities(images)
    evaluation = evaluate_classification(images.labels, probabilities, split=split, provenance=_provenance(model, images, None))
    return evaluation, Evidence(paths=images.paths, labels=images.labels, probabilities=probabilities)


def _gallery(model: WrappedModel, images: ImageSet, index: NDArray[Any]) -> Gallery:
    shown = images[index.astype(np.int64)]
    found: Scores = score_with(model, shown, reconstructions=True)
    prepared = model.prepare(shown)
    assert found.reconstructions is not None
    return Gallery(
        index=index.astype(np.int64),
        images=_bytes(prepared),
        reconstructions=_bytes(found.reconstructions),
        error_maps=np.square(prepared - found.reconstructions).mean(axis=3).astype(np.float32),
    )


def _provenance(model: WrappedModel, images: ImageSet, train: ImageSet | None) -> dict[str, Any]:
    contract = model.contract
    return {
        "source": images.source,
        "judged_on": images.source,
        "normal": ", ".join(images.normal) if images.normal else None,
        "recipe": f"wrapped {contract.origin} model",
        "architecture": f"wrapped: {contract.origin}, {contract.layout}, {contract.values}",
        "image_size": [*contract.size, contract.channels],
        "error": contract.error,
        "version": residua.__version__,
        "fingerprints": {"judged": images.fingerprint},
        "baselines_learnt_from": None if train is None else len(train),
    }


def _some(n: int, seed: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).choice(n, min(n, _MOST_TRAINING), replace=False)).astype(np.int64)


def _bytes(images: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
