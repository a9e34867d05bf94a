"""From images to a trained, calibrated bundle: what every estimator and `residua fit` go through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.bundle import Bundle, BundleConfig, build_graph
from residua.errors import InputError, ShapeError
from residua.estimators.sizing import choose_size
from residua.images import ImageSet
from residua.models import ImageShape, n_parameters
from residua.recipes import Recipe
from residua.records import OperatingPoint
from residua.scoring.engine import Scores, prepare_images, score_images
from residua.scoring.graph import InferenceGraph
from residua.scoring.prepare import Aspect, Prepare
from residua.thresholds import choose_threshold
from residua.training.batches import to_unit
from residua.training.fit import Trained, TrainingPlan, plan_training, train_network
from residua.training.lightning_parts import StepReport
from residua.training.robust import keep_best, plan_again, say_dropped, second_checkpoint
from residua.training.settings import TrainingSettings, is_busy, training_threads

VALIDATION_SHARE = 0.1
CALIBRATION_SHARE = 0.2
_FEWEST_IMAGES = 4
_DEFAULT_BOUND = "false-alarms<=0.05"
_DEFAULT_QUANTILE = "quantile:0.95"
_NORMALS_FOR_BOUND = 59  # the smallest n with 0.95**n <= 0.05
_NORMALS_FOR_QUANTILE = 19  # the smallest n with 0.95 * (n + 1) <= n

Note = Callable[[str], None]


@dataclass(frozen=True)
class FitOptions:
    """What a fit needs beyond the recipe; `on_step` and `on_note` are for who watches."""

    job: Literal["reconstruct", "detect"]
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    size: int | None = None
    aspect: Aspect = "stretch"
    policy: str | None = None
    confidence: float = 0.95
    checkpoint: Path | None = None
    checkpoint_seconds: float = 10.0
    resume: bool = False
    plan: TrainingPlan | None = None
    on_plan: Callable[[TrainingPlan], None] | None = None
    on_step: StepReport | None = None
    on_note: Note | None = None


@dataclass(frozen=True)
class Fitted:
    """A bundle and how it came about."""

    bundle: Bundle
    trained: Trained
    notes: tuple[str, ...]
    parts: dict[str, ImageSet]
    train_sample: Scores


def fit_bundle(recipe: Recipe, train: ImageSet, calibration: ImageSet | None, options: FitOptions) -> Fitted:
    """Train on `train` less its validation slice, fit the score on that slice, choose the threshold on `calibration`.

    `train` holds normal images only. Without `calibration` (and for detection) a fifth of train is held out for it.
    """
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        if options.on_note is not None:
            options.on_note(text)

    seed = options.settings.seed
    if calibration is None and options.job == "detect":
        train, calibration = hold_out(train, CALIBRATION_SHARE, seed=seed + 1)
        note(f"{len(calibration)} images were held out of train for calibration (seed {seed})")
    _enough(train)
    _check_calibration(train, calibration, options)
    fitted_on, validation = hold_out(train, VALIDATION_SHARE, seed=seed)
    size, words = choose_size(
        train, options.size, options.aspect, default_side=recipe.default_side, smallest_side=recipe.smallest_side
    )
    note(words)
    prepare = Prepare(size, options.aspect)
    train_images, validation_images = prepare_images(prepare, fitted_on), prepare_images(prepare, validation)

    network = _fresh_network(recipe, ImageShape(*size, train.channels), seed)
    note(f"network: {recipe.describe(network)}, {n_parameters(network):,} parameters")
    with training_threads(options.settings.threads, size[0] * size[1]) as n_threads:
        if n_threads > 1 and is_busy():
            note(f"the machine is busy: training waits for {n_threads} threads at each step, and --threads 1 may be faster")
        plan = options.plan or plan_training(recipe, network, train_images, options.settings)
    if options.on_plan is not None:
        options.on_plan(plan)
    exact = prepare_images(prepare, validation, keep_float=True)
    graph, trained = _train(recipe, network, prepare, (train_images, validation_images, exact), plan, options)
    dropped: list[NDArray[Any]] = []
    if options.settings.trim:
        first, n_images = trained.seconds, len(fitted_on) + len(validation)
        kept, kept_validation = (keep_best(graph.scorer, x, options.settings.trim) for x in (train_images, exact))
        dropped = [np.delete(part.paths, rows) for part, rows in ((fitted_on, kept), (validation, kept_validation))]
        note(say_dropped(np.concatenate(dropped), n_images))
        fitted_on, validation = fitted_on[kept], validation[kept_validation]
        images = (train_images[kept], validation_images[kept_validation], exact[kept_validation])
        network = _fresh_network(recipe, ImageShape(*size, train.channels), seed)
        again = replace(options, checkpoint=second_checkpoint(options.checkpoint))
        plan = plan_again(plan, recipe, images[0], options.settings)
        graph, trained = _train(recipe, network, prepare, images, plan, again)
        trained = replace(trained, seconds=first + trained.seconds)
        if again.checkpoint is not None:
            again.checkpoint.unlink(missing_ok=True)
    config = BundleConfig(
        job=options.job,
        recipe=recipe.name,
        recipe_options=recipe.model_dump(mode="json"),
        size=size,
        channels=train.channels,
        bits="8" if train.dtype == np.uint8 else "more",
        aspect=options.aspect,
        batch_size=_scoring_batch(size),
        normal=train.normal,
        training=_training_words(
            recipe,
            network,
            trained,
            options,
            n_train=len(fitted_on),
            n_validation=len(validation),
            n_trimmed=sum(map(len, dropped)),
        ),
        fingerprints={"train": train.fingerprint},
    )
    bundle = _calibrated(Bundle(config, graph), calibration, options)
    sample = fitted_on[_sample(len(fitted_on), 2000, seed)]
    train_sample = score_images(graph, sample, batch_size=config.batch_size)
    parts = {"fitted": fitted_on, "validation": validation}
    if calibration is not None:
        parts["calibration"] = calibration
    return Fitted(bundle, trained, tuple(notes), parts, train_sample)


def _fresh_network(recipe: Recipe, shape: ImageShape, seed: int) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = recipe.build_network(shape)
    recipe.load_pretrained(network)
    return network


def _train(  # noqa: PLR0917
    recipe: Recipe,
    network: torch.nn.Module,
    prepare: Prepare,
    images: tuple[Tensor, Tensor, Tensor],
    plan: TrainingPlan,
    options: FitOptions,
) -> tuple[InferenceGraph, Trained]:
    """Train `network` and fit its score; `images` are training, validation, and validation as scoring sees it."""
    train, validation, exact = images
    with training_threads(options.settings.threads, prepare.size[0] * prepare.size[1]):
        trained = train_network(
            recipe,
            network,
            train,
            validation,
            options.settings,
            plan,
            checkpoint=options.checkpoint,
            resume=options.resume,
            checkpoint_seconds=options.checkpoint_seconds,
            on_step=options.on_step,
        )
    graph = build_graph(recipe, network, prepare.size, options.aspect)
    with torch.inference_mode():
        graph.scorer.fit(to_unit(train), exact)
    return graph, trained


def hold_out(images: ImageSet, share: float, *, seed: int) -> tuple[ImageSet, ImageSet]:
    """`images` without, and with only, a seeded share of them (at least one); whole groups stay together."""
    groups = images.groups
    units = np.arange(len(images)) if groups is None else _unit_numbers(groups)
    names = np.unique(units)
    chosen = np.random.default_rng([seed, len(names)]).permutation(names)
    sizes = np.bincount(units)[chosen]
    n_units = int(np.searchsorted(np.cumsum(sizes), share * len(images))) + 1
    held = np.isin(units, chosen[: min(n_units, len(names) - 1)])
    return images[np.flatnonzero(~held)], images[np.flatnonzero(held)]


def score_set(bundle: Bundle, images: ImageSet, **wanted: Any) -> Scores:
    """Score `images` with the bundle's graph, after checking that they are of its kind."""
    check_fits(bundle.config, images)
    return score_images(bundle.graph, images, batch_size=bundle.config.batch_size, **wanted)


def check_fits(config: BundleConfig, images: ImageSet) -> None:
    """Refuse images of another channel count than the model's."""
    if images.channels != config.channels:
        colour = {1: "grey (1 channel)", 3: "colour (3 channels)"}
        raise ShapeError(
            f"score: images must be {colour.get(config.channels, config.channels)} like those the model was trained on. "
            f"Got {colour.get(images.channels, images.channels)}. Convert the images, or train a model on images of this kind."
        )


def default_policy(n_normals: int) -> str:
    """At most 5% false alarms as a bound where the normals suffice, else a quantile, else the strictest they allow.

    Examples
    --------
    >>> [default_policy(n) for n in (59, 19, 12)]
    ['false-alarms<=0.05', 'quantile:0.95', 'quantile:0.92']
    """
    if n_normals >= _NORMALS_FOR_BOUND:
        return _DEFAULT_BOUND
    if n_normals >= _NORMALS_FOR_QUANTILE or n_normals == 0:
        return _DEFAULT_QUANTILE
    return f"quantile:{100 * n_normals // (n_normals + 1) / 100:g}"


def _calibrated(bundle: Bundle, calibration: ImageSet | None, options: FitOptions) -> Bundle:
    if calibration is None or len(calibration) == 0:
        return bundle
    scores = score_set(bundle, calibration).score
    is_anomalous = anomalies_of(calibration)
    calibrated = Bundle(bundle.config, bundle.graph, scores, is_anomalous)
    if options.job != "detect":
        return calibrated
    return calibrated.with_operating_point(
        choose_operating_point(scores, is_anomalous, options.policy, confidence=options.confidence)
    )


def choose_operating_point(
    scores: NDArray[Any], is_anomalous: NDArray[np.bool_], policy: str | None, *, confidence: float = 0.95
) -> OperatingPoint:
    """Apply `policy` (or the default) to calibration scores."""
    policy = policy or default_policy(int((~is_anomalous).sum()))
    return choose_threshold(policy, scores, is_anomalous, confidence=confidence)


def anomalies_of(images: ImageSet) -> NDArray[np.bool_]:
    """Which images are anomalous; all are presumed normal where the source has no labels or names no normal one."""
    if images.labels is None or images.normal is None:
        return np.zeros(len(images), np.bool_)
    return images.is_anomalous


def _enough(train: ImageSet) -> None:
    if len(train) < _FEWEST_IMAGES:
        raise InputError(
            f"fit: train must hold at least {_FEWEST_IMAGES} normal images. Got {len(train)}. "
            "Add images, name other normal labels with --normal, or check the split."
        )


def _check_calibration(train: ImageSet, calibration: ImageSet | None, options: FitOptions) -> None:
    """Refuse before training what would be refused after it: a policy that even perfect scores could not support."""
    if calibration is None:
        return
    if len(calibration) and calibration.channels != train.channels:
        raise ShapeError(
            f"fit: train and calibration must have the same number of channels. Got {train.channels} and {calibration.channels}. "
            "Convert one of them."
        )
    if options.job == "detect":
        if len(calibration) == 0:
            raise InputError("fit: calibration must hold images. Got none. Pass calibration=None to hold a fifth out of train.")
        is_anomalous = anomalies_of(calibration)
        perfect = np.argsort(np.argsort(is_anomalous, kind="stable"), kind="stable").astype(np.float32)
        choose_operating_point(perfect, is_anomalous, options.policy, confidence=options.confidence)


def _unit_numbers(groups: NDArray[Any]) -> NDArray[np.int64]:
    """A number a group; images without a group are groups of their own."""
    numbers: dict[Any, int] = {}
    return np.array(
        [
            numbers.setdefault((True, group) if group is not None else (False, row), len(numbers))
            for row, group in enumerate(groups)
        ],
        np.int64,
    )


def _sample(n: int, most: int, seed: int) -> NDArray[np.int64]:
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng([seed, n]).choice(n, most, replace=False))


def _scoring_batch(size: tuple[int, int]) -> int:
    """Images that fit a processor's cache in one go: 64 small ones, fewer large ones."""
    return int(min(64, max(4, 64 * 64 * 64 // (size[0] * size[1]))))


def _training_words(
    recipe: Recipe,
    network: torch.nn.Module,
    trained: Trained,
    options: FitOptions,
    *,
    n_train: int,
    n_validation: int,
    n_trimmed: int,
) -> dict[str, Any]:
    return {
        "network": recipe.describe(network),
        "parameters": n_parameters(network),
        "images": n_train,
        "validation_images": n_validation,
        "trimmed": n_trimmed,
        "epochs": len(trained.history["epoch"]),
        "epochs_planned": trained.plan.epochs,
        "best_epoch": trained.best_epoch,
        "seconds": round(trained.seconds, 1),
        "device": trained.device,
        "threads": trained.threads,
        "precision": "bfloat16" if trained.plan.bfloat16 else "float32",
        "settings": options.settings.model_dump(mode="json"),
    }
