"""Judging a wrapped model: scores, baselines, findings and pictures, by the same judge as our own
models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._version import __version__
from residua.baselines import DETECTORS, RECONSTRUCTORS
from residua.engines import score_with
from residua.engines.interface import Progress
from residua.errors import InputError
from residua.evaluation import Evidence, evaluate_classification, evaluate_detection
from residua.evaluation.labels import DetectionLabels
from residua.evaluation.reconstruction import baseline_errors, judge_reconstruction
from residua.findings import Checks, find_random_model, find_test_reused, leakage
from residua.findings.figures import Figure
from residua.images import ImageSet
from residua.images.duplicates import Leaks
from residua.images.resize import fit_to
from residua.metrics import mse, psnr, ssim
from residua.records import Assumption, Evaluation, Finding, Job, with_assumptions
from residua.runs.detection_findings import errors_shown, notice_in_detection
from residua.runs.leaks import MOST_COMPARED, look_for_leaks
from residua.runs.selection import choose_images
from residua.runs.wrapped.pictures import fitted, make_gallery, make_thumbnails
from residua.runs.wrapped.readings import look_at_readings
from residua.runs.wrapped.targets import targets_of

if TYPE_CHECKING:
    from residua.runs.wrapped.model import WrappedModel

_MOST_TRAINING = 5000
_SEVERAL = (2, 8, 32, 128)  # numbers of a code whose size is not known
_MOST_TWICE = 256  # images that a random model is asked for again


@dataclass(frozen=True)
class Asked:
    """What is judged: images, what the model was trained on where that is known, and what was
    noticed between the two.

    `known` is a sample of `train` for baselines; `leaks` says which images are copies of training
    images; `targets` are what should come out, in the order of the images, where that is not what
    goes in.
    """

    images: ImageSet
    train: ImageSet | None
    known: ImageSet | None
    leaks: Leaks | None
    leak_pictures: Figure | None
    seed: int
    split: str
    progress: Progress | None
    job: Job
    targets: ImageSet | None = None


def judge(  # noqa: PLR0917  the call of `WrappedModel.judge`
    model: WrappedModel,
    images: ImageSet,
    job: Job | None,
    train: ImageSet | None,
    seed: int,
    split: str,
    progress: Progress | None = None,
    targets: Any = None,
) -> tuple[Evaluation, Evidence]:
    """The evaluation of `model` on `images`, and the arrays behind it."""
    if len(images) == 0:
        raise InputError("evaluate: there must be images to judge. Got none. Name others.")
    if targets is not None:
        if job not in (None, "reconstruct"):
            raise InputError(
                f"evaluate: targets must be judged as reconstructions. Got job={job!r}. Leave job"
                " or targets out."
            )
        job = "reconstruct"
    job = job or (
        "detect" if images.labels is not None and images.normal is not None else "reconstruct"
    )
    train = None if train is None or len(train) == 0 else train
    leaks: Leaks | None = None
    shown: Figure | None = None
    not_made: tuple[Finding, ...] = ()
    if train is not None and len(train) + len(images) <= MOST_COMPARED:
        leaks, shown, not_made = look_for_leaks(train, images, progress=progress)
    known = None if train is None else train[_some(len(train), seed)]
    asked = Asked(images, train, known, leaks, shown, seed, split, progress, job)
    if targets is not None:
        asked = replace(asked, targets=targets_of(targets, images))
    kinds: dict[Job, Callable[[WrappedModel, Asked], tuple[Evaluation, Evidence]]] = {
        "detect": _judge_detection,
        "reconstruct": _judge_reconstruction,
        "classify": _judge_classes,
    }
    evaluation, evidence = kinds[job](model, asked)
    return _with_findings(evaluation, not_made), evidence


def images_of(images: Any, labels: Any, normal: Any) -> ImageSet:
    """Judged images from what was passed: an `ImageSet`, or arrays with their labels.

    Raises
    ------
    InputError
        If labels are passed beside an `ImageSet`, which has its own.
    """
    if isinstance(images, ImageSet):
        if labels is not None:
            raise InputError(
                "evaluate: an ImageSet has its own labels. Got others beside it. Leave them out, or"
                " pass arrays and labels."
            )
        return images if normal is None else images.with_normal(normal)
    return ImageSet.from_arrays(images, labels, normal=normal)


def _judge_detection(model: WrappedModel, asked: Asked) -> tuple[Evaluation, Evidence]:
    images, point = asked.images, model.operating_point_
    scores = score_with(model, images, maps=images.has_masks, progress=asked.progress)
    flags, labelled = (
        images.presumed_anomalous,
        (images.labelled if images.normal is not None else np.zeros(len(images), np.bool_)),
    )
    train_scores = None if asked.known is None else model.anomaly_scores(asked.known)
    beside = _detecting_baselines(model, asked)
    evaluation = evaluate_detection(
        DetectionLabels(flags, labelled),
        scores.score,
        operating_point=point,
        masks=list(images.masks) if images.has_masks else None,
        maps=scores.maps,
        train_scores=train_scores,
        baselines=beside,
        leaks=asked.leaks,
        seed=asked.seed,
        split=asked.split,
        provenance=_provenance(model, asked),
    )
    calibration = model.calibration_scores_[~model.calibration_is_anomalous_]
    found, figures = notice_in_detection(
        model.anomaly_scores,
        images,
        scores,
        (flags, labelled),
        evaluation=evaluation,
        calibration=calibration,
    )
    checks, chosen_on = Checks(), np.array(model.calibration_pixels_, object)
    reused = checks.make(
        "images used before", lambda: find_test_reused(chosen_on, images.pixel_hashes, images.paths)
    )
    prepared = model.prepare(images[_normal_rows(flags)])
    readings = look_at_readings(model, prepared, fit_to(prepared, model.contract.output_size))
    again = _again(model, asked, scores.score, threshold=None if point is None else point.threshold)
    evaluation = _with_findings(evaluation, [*found, reused, *readings, again, *checks.not_made])
    new = scores.score[labelled & ~flags] if labelled.any() else scores.score
    known = flags if labelled.all() else None
    shown = choose_images(scores.score, known, None if point is None else point.threshold)
    return evaluation, Evidence(
        **_shared(model, asked, shown, {**figures, **errors_shown(evaluation, train_scores, new)}),
        scores=scores.score,
        is_anomalous=flags if labelled.any() else None,
        labelled=labelled if labelled.any() else None,
        calibration_scores=model.calibration_scores_,
        calibration_is_anomalous=model.calibration_is_anomalous_,
        train_scores=train_scores,
        per_image=dict(scores.columns),
        baselines=beside,
        threshold_from=(
            "calibration" if point is None or len(model.calibration_scores_) else "elsewhere"
        ),
        thumbnails=make_thumbnails(model.contract.size, images, scores.score, known),
    )


def _judge_reconstruction(model: WrappedModel, asked: Asked) -> tuple[Evaluation, Evidence]:
    images, size = asked.images, model.contract.output_size
    prepared = model.prepare(images)
    expected = fit_to(prepared, size) if asked.targets is None else fitted(asked.targets, size)
    rebuilt = score_with(
        model, images, reconstructions=True, progress=asked.progress
    ).reconstructions
    train_errors = None
    if asked.known is not None and asked.targets is None:
        train_errors = mse(fit_to(model.prepare(asked.known), size), model.reconstruct(asked.known))
    beside = _rebuilding_baselines(model, asked, prepared, expected)
    evaluation, columns = judge_reconstruction(
        expected,
        rebuilt,
        ids=images.paths,
        train_errors=train_errors,
        baselines=baseline_errors(beside, seed=asked.seed),
        leaks=asked.leaks,
        seed=asked.seed,
        split=asked.split,
        provenance=_provenance(model, asked),
    )
    found = look_at_readings(model, prepared, expected)
    evaluation = _with_findings(
        evaluation, [*found, _again(model, asked, columns["mse"], expected=expected)]
    )
    shown = choose_images(columns["mse"], None, None)
    return evaluation, Evidence(
        **_shared(model, asked, shown, errors_shown(evaluation, train_errors, columns["mse"])),
        per_image=dict(columns),
        train_scores=train_errors,
        baselines=beside,
        thumbnails=make_thumbnails(model.contract.size, images, columns["mse"], None),
    )


def _judge_classes(model: WrappedModel, asked: Asked) -> tuple[Evaluation, Evidence]:
    images = asked.images
    if images.labels is None:
        raise InputError(
            "evaluate: images must have labels to judge classes by. Got none. Name images with"
            " labels."
        )
    probabilities = model.probabilities(images)
    evaluation = evaluate_classification(
        images.labels,
        probabilities,
        classes=model.contract.classes,
        leaks=asked.leaks,
        split=asked.split,
        provenance=_provenance(model, asked),
    )
    unsure = 1 - probabilities.max(axis=1)
    evaluation = _with_findings(evaluation, [_again(model, asked, unsure, of=_doubt)])
    return evaluation, Evidence(
        **_shared(model, asked, choose_images(unsure, None, None), {}),
        probabilities=probabilities,
        thumbnails=make_thumbnails(model.contract.size, images, unsure, None),
    )


def _shared(
    model: WrappedModel, asked: Asked, shown: NDArray[np.int64], figures: dict[str, Figure]
) -> dict[str, Any]:
    """What the evidence of every job holds."""
    images = asked.images
    return {
        "paths": images.paths,
        "labels": images.labels,
        "pixel_hashes": images.pixel_hashes,
        "gallery": make_gallery(model, images, shown, asked.known, asked.targets),
        "quarantined": tuple((path, reason) for path, reason in images.quarantined),
        "figures": {
            **figures,
            **({} if asked.leak_pictures is None else {leakage.CODE: asked.leak_pictures}),
        },
        "seed": asked.seed,
    }


def _doubt(model: WrappedModel, images: ImageSet) -> NDArray[Any]:
    return 1 - np.asarray(model.probabilities(images).max(axis=1))


def _again(
    model: WrappedModel,
    asked: Asked,
    first: NDArray[Any],
    *,
    threshold: float | None = None,
    expected: NDArray[np.float32] | None = None,
    of: Callable[[WrappedModel, ImageSet], NDArray[Any]] | None = None,
) -> Finding | None:
    """What a random model says of the same images when it is asked again; None of one that is
    not.
    """
    if not model.is_random:
        return None
    rows = np.arange(min(len(asked.images), _MOST_TWICE))
    some = asked.images[rows]
    second: NDArray[Any]
    if expected is not None:
        second = mse(expected[rows], model.reconstruct(some))
    else:
        second = model.anomaly_scores(some) if of is None else of(model, some)
    return find_random_model(first[rows], second, threshold=threshold)


def _normal_rows(flags: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Some of the normal images; of all, where none is."""
    rows = np.flatnonzero(~flags) if not flags.all() else np.arange(len(flags))
    return rows[:_MOST_TWICE].astype(np.int64)


def _detecting_baselines(model: WrappedModel, asked: Asked) -> dict[str, NDArray[Any]]:
    if asked.known is None:
        return {}
    known, images = model.prepare(asked.known), model.prepare(asked.images)
    latent, made = model.contract.latent, {}
    # as many rebuild everything, and detect nothing
    if latent is not None and latent >= min(len(known), known[0].size):
        latent = None
    for name, detect in DETECTORS.items():
        for title, size in _sizes(name, latent, known).items():
            made[title] = detect(known, images, latent=size, seed=asked.seed)
    return made


def _sizes(name: str, latent: int | None, known: NDArray[np.float32]) -> dict[str, int]:
    """Under which names, and with how many numbers, a baseline stands beside a model whose code has
    `latent`.
    """
    if name != "pca" or latent is not None:
        return {name: latent or 1}
    return {f"pca_{size}": size for size in _SEVERAL if size < min(len(known), known[0].size)} or {
        "pca_1": 1
    }


def _rebuilding_baselines(
    model: WrappedModel, asked: Asked, prepared: NDArray[np.float32], expected: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Each baseline's error of each image, under names like ``pca/mse``."""
    size, made = model.contract.output_size, {}
    if asked.targets is not None:
        made["input_unchanged"] = fit_to(prepared, size)
    if asked.known is not None:
        known = model.prepare(asked.known)
        for name, rebuild in RECONSTRUCTORS.items():
            for title, latent in _sizes(name, model.contract.latent, known).items():
                one = rebuild(known, prepared, latent=latent, seed=asked.seed)
                if one is not None:
                    made[title] = fit_to(np.clip(one, 0, 1), size)
    return {
        f"{name}/{metric}": measure(expected, one)
        for name, one in made.items()
        for metric, measure in {"mse": mse, "psnr": psnr, "ssim": ssim}.items()
    }


def _with_findings(evaluation: Evaluation, more: Iterable[Finding | None]) -> Evaluation:
    found = tuple(finding for finding in more if finding is not None)
    return evaluation.model_copy(update={"findings": (*evaluation.findings, *found)})


def _provenance(model: WrappedModel, asked: Asked) -> dict[str, Any]:
    contract, images = model.contract, asked.images
    told = {
        "source": images.source,
        "judged_on": (
            f"{asked.split} part of {images.source}" if asked.split == "test" else images.source
        ),
        "normal": ", ".join(images.normal) if images.normal else None,
        "recipe": f"wrapped {contract.origin} model",
        "architecture": f"wrapped: {contract.origin}, {contract.layout}",
        "inputs": contract.inputs.words,
        "outputs": contract.outputs.words,
        "latent": contract.latent,
        "image_size": [*contract.size, contract.channels],
        **(
            {}
            if contract.rebuilt is None
            else {"output_size": [*contract.rebuilt, contract.channels]}
        ),
        **({} if asked.targets is None else {"targets": asked.targets.source}),
        **({} if not model.is_random else {"random": True, "samples": contract.samples}),
        "error": contract.error,
        "version": __version__,
        "fingerprints": {"judged": images.fingerprint},
        "baselines_learnt_from": None if asked.known is None else len(asked.known),
    }
    return with_assumptions(told, (*images.assumptions, *model.assumptions, *_labels_aside(asked)))


def _labels_aside(asked: Asked) -> list[Assumption]:
    images = asked.images
    if images.labels is None or images.normal is not None or asked.job == "classify":
        return []
    return [
        Assumption(
            about="labels of the images",
            taken="left aside, reconstructions are judged",
            because="nothing says which labels are normal",
            to_tell='normal=, or job="classify" of a model that gives probabilities',
        )
    ]


def _some(n: int, seed: int) -> NDArray[np.int64]:
    return np.sort(
        np.random.default_rng(seed).choice(n, min(n, _MOST_TRAINING), replace=False)
    ).astype(np.int64)
