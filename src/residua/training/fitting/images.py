"""From images to a trained, calibrated bundle: what every estimator and `residua fit` go
through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from residua.errors import InputError, ShapeError
from residua.images import ImageSet
from residua.images.looks import looks_of
from residua.records import Job
from residua.thresholds.defaults import choose_operating_point
from residua.training.bundle import Bundle, BundleConfig, build_graph, score_set
from residua.training.fitting.recipe_choice import choose_recipe
from residua.training.fitting.sizes import choose_aspect, choose_size
from residua.training.fitting.splits import (
    CALIBRATION_SHARE,
    VALIDATION_SHARE,
    hold_out,
    sample_rows,
)
from residua.training.loop.batches import all_to_unit
from residua.training.loop.robust import (
    keep_best,
    plan_again,
    plan_first,
    say_dropped,
    second_checkpoint,
)
from residua.training.loop.settings import StepReport, TrainingSettings, is_busy, training_threads
from residua.training.loop.train import TrainingPlan, TrainingResult, plan_training, train_network
from residua.training.networks import ImageShape, n_parameters
from residua.training.recipes import Recipe
from residua.training.scoring.engine import (
    Scores,
    prepared_chunks,
    prepared_one_by_one,
    score_images,
)
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.image_list import ImageList, Images, taken
from residua.training.scoring.prepare import Aspect, Prepare
from residua.training.scoring.prepared_store import PreparedStore

_FEWEST_IMAGES = 4

Note = Callable[[str], None]


@dataclass(frozen=True)
class FitOptions:
    """What a fit needs beyond the recipe; `on_step` and `on_note` are for who watches."""

    job: Job
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    size: int | None = None
    aspect: Aspect | None = None
    policy: str | None = None
    confidence: float = 0.95
    memory_megabytes: float = 2048
    checkpoint: Path | None = None
    checkpoint_seconds: float = 10.0
    resume: bool = False
    plan: TrainingPlan | None = None
    on_plan: Callable[[TrainingPlan], None] | None = None
    on_choice: Callable[[Recipe], None] | None = None
    on_step: StepReport | None = None
    on_note: Note | None = None


@dataclass(frozen=True)
class Fitted:
    """A bundle and how it came about."""

    bundle: Bundle
    trained: TrainingResult
    notes: tuple[str, ...]
    parts: dict[str, ImageSet]
    train_sample: Scores


def fit_bundle(
    recipe: Recipe | None, train: ImageSet, calibration: ImageSet | None, options: FitOptions
) -> Fitted:
    """Train on `train` less its validation slice, fit the score on that slice, choose the threshold
    on `calibration`.

    `train` holds normal images only. Without `calibration` (and for detection) a fifth of train is
    held out for it. Without `recipe` one is chosen by made anomalies; see
    `residua.training.fitting.recipe_choice`.
    """
    notes = Notes(options.on_note)
    train, calibration = _with_calibration(train, calibration, options, notes)
    _enough(train)
    _check_calibration(train, calibration, options)
    fitted_on, validation = hold_out(train, VALIDATION_SHARE, seed=options.settings.seed)
    hold = Hold(options)
    if recipe is None:
        recipe = _chosen(fitted_on, validation, options, notes)
    aspect = choose_aspect(train, options.aspect, name=recipe.name, any_size=recipe.any_size)
    size, words = choose_size(
        train,
        options.size,
        aspect,
        default_side=recipe.default_side,
        smallest_side=recipe.smallest_side,
    )
    notes.add(words)
    work = _Work(recipe, Prepare(size, aspect), fitted_on, validation, options, notes, hold)
    made = _train_trimmed(work) if options.settings.trim else _train_once(work)
    config = BundleConfig(
        job=options.job,
        recipe=recipe.name,
        recipe_options=recipe.model_dump(mode="json"),
        size=size,
        channels=train.channels,
        bits="8" if train.dtype == np.uint8 else "more",
        reading=train.reading,
        aspect=aspect,
        batch_size=scoring_batch(size, aspect),
        normal=train.normal,
        training={
            **training_words(
                recipe,
                made.graph.scorer.network,
                made.trained,
                (len(made.fitted_on), len(made.validation)),
                options,
            ),
            "trimmed": made.n_trimmed,
        },
        fingerprints={"train": train.fingerprint},
    )
    bundle = _calibrated(Bundle(config, made.graph), calibration, options)
    sample = made.fitted_on[sample_rows(len(made.fitted_on), 2000, options.settings.seed)]
    train_sample = score_images(made.graph, sample, batch_size=config.batch_size)
    parts = {"fitted": made.fitted_on, "validation": made.validation}
    if calibration is not None:
        parts["calibration"] = calibration
    return Fitted(bundle, made.trained, tuple(notes.told), parts, train_sample)


class Notes:
    """What was decided on the way, kept and told."""

    def __init__(self, tell: Note | None) -> None:
        self.told: list[str] = []
        self._tell = tell

    def add(self, text: str) -> None:
        """Keep a sentence and tell it."""
        self.told.append(text)
        if self._tell is not None:
            self._tell(text)

    def add_if_busy(self, n_threads: int) -> None:
        """Say that others want the processor too, if they do: threads that wait for each other are
        many times slower then.
        """
        if n_threads > 1 and is_busy():
            self.add(
                f"the machine is busy: training waits for {n_threads} threads a step, and --threads"
                " 1 may be faster"
            )


@dataclass(frozen=True)
class _Work:
    """What a training needs; a second one (of what trimming leaves) differs in the images and the
    checkpoint.
    """

    recipe: Recipe
    prepare: Prepare
    fitted_on: ImageSet
    validation: ImageSet
    options: FitOptions
    notes: Notes
    hold: Hold


class Hold:
    """Prepares images and keeps them within the bound on memory, else in a file beside the
    checkpoint.
    """

    def __init__(self, options: FitOptions) -> None:
        folder = None if options.checkpoint is None else options.checkpoint.parent
        self.store = PreparedStore(options.memory_megabytes, folder)

    def __call__(self, prepare: Prepare, images: ImageSet, *, keep_float: bool = False) -> Any:
        """As `prepare_each`."""
        dtype = torch.uint8 if images.dtype == np.uint8 and not keep_float else torch.float32
        if prepare.aspect == "area":
            shapes = [
                (images.channels, *prepare.target(int(height), int(width)))
                for height, width in images.sizes
            ]
            return ImageList(
                self.store.keep_each(
                    prepared_one_by_one(prepare, images, keep_float=keep_float), shapes, dtype
                )
            )
        shape = (len(images), images.channels, *prepare.size)
        return self.store.keep(
            prepared_chunks(prepare, images, keep_float=keep_float), shape, dtype
        )


@dataclass(frozen=True)
class _Made:
    """A trained graph and the images it was made from."""

    graph: InferenceGraph
    trained: TrainingResult
    fitted_on: ImageSet
    validation: ImageSet
    images: tuple[Images, Images, Images]
    n_trimmed: int = 0


def _with_calibration(
    train: ImageSet, calibration: ImageSet | None, options: FitOptions, notes: Notes
) -> tuple[ImageSet, ImageSet | None]:
    if calibration is not None or options.job != "detect":
        return train, calibration
    train, calibration = hold_out(train, CALIBRATION_SHARE, seed=options.settings.seed + 1)
    notes.add(
        f"{len(calibration)} images were held out of train for calibration (seed"
        f" {options.settings.seed})"
    )
    return train, calibration


def _chosen(fitted_on: ImageSet, validation: ImageSet, options: FitOptions, notes: Notes) -> Recipe:
    choice = choose_recipe(
        fitted_on,
        validation,
        options.settings,
        size=options.size,
        aspect=options.aspect,
        hold=Hold(options),
        on_note=notes.add,
    )
    if options.on_choice is not None:
        options.on_choice(choice.recipe)
    return choice.recipe


def _train_once(work: _Work) -> _Made:
    recipe, prepare, options = work.recipe, work.prepare, work.options
    train_images, validation_images = (
        work.hold(prepare, part) for part in (work.fitted_on, work.validation)
    )
    exact = work.hold(prepare, work.validation, keep_float=True)
    if stored := work.hold.store.stored_bytes:
        work.notes.add(
            f"prepared images beyond {options.memory_megabytes:g} MB lie in a file of"
            f" {stored / 2**20:,.0f} MB; the batches are those of memory"
        )
    network = fresh_network(
        recipe, ImageShape(*prepare.size, work.fitted_on.channels), options.settings.seed
    )
    work.notes.add(f"network: {recipe.describe(network)}, {n_parameters(network):,} parameters")
    with training_threads(options.settings.threads, prepare.size[0] * prepare.size[1]) as n_threads:
        work.notes.add_if_busy(n_threads)
        plan = options.plan or plan_training(recipe, network, train_images, options.settings)
    if options.on_plan is not None:
        options.on_plan(plan)
    images = (train_images, validation_images, exact)
    first = plan_first(plan) if options.settings.trim else plan
    graph, trained = _train(recipe, network, prepare, images, first, options)
    return _Made(graph, replace(trained, plan=plan), work.fitted_on, work.validation, images)


def _train_trimmed(work: _Work) -> _Made:
    """Train for a quarter of the time, drop the share of the images that scores worst, train again
    from scratch.
    """
    first, options, trim = _train_once(work), work.options, work.options.settings.trim
    kept, kept_validation = (
        keep_best(first.graph.scorer, images, trim) for images in (first.images[0], first.images[2])
    )
    dropped = [
        np.delete(part.paths, rows)
        for part, rows in ((work.fitted_on, kept), (work.validation, kept_validation))
    ]
    n_images = len(work.fitted_on) + len(work.validation)
    work.notes.add(say_dropped(np.concatenate(dropped), n_images))
    fitted, validation, exact = first.images
    images = (
        taken(fitted, kept),
        taken(validation, kept_validation),
        taken(exact, kept_validation),
    )
    network = fresh_network(
        work.recipe, ImageShape(*work.prepare.size, work.fitted_on.channels), options.settings.seed
    )
    again = replace(options, checkpoint=second_checkpoint(options.checkpoint))
    plan = plan_again(first.trained.plan, work.recipe, images[0], options.settings)
    graph, trained = _train(work.recipe, network, work.prepare, images, plan, again)
    if again.checkpoint is not None:
        again.checkpoint.unlink(missing_ok=True)
    trained = replace(trained, seconds=first.trained.seconds + trained.seconds)
    return _Made(
        graph,
        trained,
        work.fitted_on[kept],
        work.validation[kept_validation],
        images,
        n_trimmed=sum(map(len, dropped)),
    )


def fresh_network(recipe: Recipe, shape: ImageShape, seed: int) -> torch.nn.Module:
    """A network with weights drawn by `seed`, or those that others trained."""
    torch.manual_seed(seed)
    network = recipe.build_network(shape)
    recipe.load_pretrained(network)
    return network


def _train(  # noqa: PLR0917
    recipe: Recipe,
    network: torch.nn.Module,
    prepare: Prepare,
    images: tuple[Images, Images, Images],
    plan: TrainingPlan,
    options: FitOptions,
) -> tuple[InferenceGraph, TrainingResult]:
    """Train `network` and fit its score; `images` are training, validation, and validation as
    scoring sees it.
    """
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
    graph = build_graph(recipe, network, prepare.size, prepare.aspect)
    with torch.inference_mode():
        graph.fit_score(all_to_unit(train), exact)
    return graph, trained


def _calibrated(bundle: Bundle, calibration: ImageSet | None, options: FitOptions) -> Bundle:
    if calibration is None or len(calibration) == 0:
        return bundle
    scores = score_set(bundle, calibration).score
    is_anomalous = calibration.presumed_anomalous
    looks = {"calibration_images": looks_of(calibration[np.flatnonzero(~is_anomalous)])}
    config = bundle.config.model_copy(update={"training": {**bundle.config.training, **looks}})
    calibrated = Bundle(config, bundle.graph, scores, is_anomalous)
    if options.job != "detect":
        return calibrated
    return calibrated.with_operating_point(
        choose_operating_point(scores, is_anomalous, options.policy, confidence=options.confidence)
    )


def _enough(train: ImageSet) -> None:
    if len(train) < _FEWEST_IMAGES:
        raise InputError(
            f"fit: train must hold at least {_FEWEST_IMAGES} normal images. Got {len(train)}. "
            "Add images, name other normal labels with --normal, or check the split."
        )


def _check_calibration(train: ImageSet, calibration: ImageSet | None, options: FitOptions) -> None:
    """Refuse before training what would be refused after it: a policy that even perfect scores
    could not support.
    """
    if calibration is None:
        return
    if len(calibration) and calibration.channels != train.channels:
        raise ShapeError(
            "fit: train and calibration must have the same number of channels. Got"
            f" {train.channels} and {calibration.channels}. Convert one of them."
        )
    if options.job == "detect":
        if len(calibration) == 0:
            raise InputError(
                "fit: calibration must hold images. Got none. Pass calibration=None to hold a fifth"
                " out of train."
            )
        is_anomalous = calibration.presumed_anomalous
        perfect = np.argsort(np.argsort(is_anomalous, kind="stable"), kind="stable").astype(
            np.float32
        )
        choose_operating_point(perfect, is_anomalous, options.policy, confidence=options.confidence)


def scoring_batch(size: tuple[int, int], aspect: Aspect) -> int:
    """Images that fit a processor's cache in one go: 64 small ones, fewer large ones; one where
    each has its own size.

    Examples
    --------
    >>> [scoring_batch((side, side), "stretch") for side in (28, 128, 256, 512, 1024)]
    [64, 16, 4, 4, 1]
    """
    if aspect == "area":
        return 1
    n_pixels = size[0] * size[1]
    return int(min(64, max(4, 2**18 // n_pixels), max(1, 2**20 // n_pixels)))


def training_words(
    recipe: Recipe,
    network: Any,
    trained: TrainingResult,
    n_images: tuple[int, int],
    options: FitOptions,
) -> dict[str, Any]:
    """What a bundle records of its training; `n_images` fitted and in the validation slice."""
    return {
        "network": recipe.describe(network),
        "parameters": n_parameters(network),
        "images": n_images[0],
        "validation_images": n_images[1],
        "epochs": len(trained.history["epoch"]),
        "epochs_planned": trained.plan.epochs,
        "best_epoch": trained.best_epoch,
        "seconds": round(trained.seconds, 1),
        "device": trained.device,
        "threads": trained.threads,
        "precision": "bfloat16" if trained.plan.bfloat16 else "float32",
        "settings": options.settings.model_dump(mode="json"),
    }
