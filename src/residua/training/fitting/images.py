"""The part of a fit that learns from images alone: a reconstructor's and a detector's.

Sets that may hold a few bad images are trimmed: train briefly, drop the worst share, train again
from the start, which is iterative trimming in one round (Rousseeuw and Van Driessen's concentration
step, 1999). It looks at scores alone, so that it works for every recipe, and all that is random in
it follows from the seed, so that a resumed run drops the same images. A recipe that keeps its
images would find them normal: each third of them is scored by what the others make of it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from residua._text import few
from residua.errors import InputError
from residua.images import ImageSet
from residua.images.summary import looks_of
from residua.thresholds import pixel_threshold_of
from residua.thresholds.defaults import choose_operating_point
from residua.thresholds.pixels import MapPeaks
from residua.thresholds.product_choice import choose_products
from residua.thresholds.products import common_point
from residua.training.bundle import Bundle, score_set
from residua.training.fitting.options import DetectOptions, RecipeOptions, flag
from residua.training.fitting.recipe_choice import choose_recipe
from residua.training.fitting.session import FitSession, FitWork, Hold, Notes, TrainedModel
from residua.training.fitting.splits import CALIBRATION_SHARE, hold_out, sample_rows
from residua.training.loop.batches import MemoryBatches, all_to_unit, to_unit
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import HISTORY, TrainingPlan, TrainingResult, batch_size_of
from residua.training.networks import ImageShape
from residua.training.recipes import Recipe, make_recipe
from residua.training.recipes.closed_form import ClosedFormRecipe
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.image_list import Images, at_once, taken

_FEWEST_IMAGES = 4
_CHUNK = 64
_OF_STEPS = (
    "epochs",
    "minutes",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "patience",
    "precision",
    "device",
    "augment",
)
_PARTS = 3  # of the images, each judged by a model of the others
_FIRST = 4  # the first training takes one epoch of so many
SHARE_OF_MINUTES = 1 / (1 + 1 / _FIRST)
"""Of a time budget, for the second training: the first takes a quarter of its length."""


def usable_parts(
    options: RecipeOptions, train: ImageSet, calibration: ImageSet | None, notes: Notes
) -> tuple[ImageSet, ImageSet | None]:
    """Train, and calibration, which a detector holds out of train where it has none.

    What would be refused after training is refused before it: too few images, and a policy that
    even perfect scores could not support.
    """
    seed = options.settings.seed
    if calibration is None and isinstance(options, DetectOptions):
        train, calibration = hold_out(train, CALIBRATION_SHARE, seed=seed + 1)
        notes.add(f"{len(calibration)} images were held out of train for calibration (seed {seed})")
    if len(train) < _FEWEST_IMAGES:
        raise InputError(
            f"fit: train must hold at least {_FEWEST_IMAGES} normal images. Got {len(train)}. "
            "Add images, name other normal labels with --normal, or check the split."
        )
    if calibration is not None and isinstance(options, DetectOptions):
        if len(calibration) == 0:
            raise InputError(
                "fit: calibration must hold images. Got none. Pass calibration=None to hold a fifth"
                " out of train."
            )
        is_anomalous, codes = calibration.presumed_anomalous, calibration.group_codes
        # The best scores there could be: the images of a group lie far apart.
        place = np.zeros(len(calibration)) if codes is None else _places(codes)
        ranks = np.argsort(np.lexsort((place, is_anomalous)))
        choose_operating_point(
            ranks.astype(np.float32),
            is_anomalous,
            options.policy,
            groups=codes,
            contamination=options.contamination,
        )
    return train, calibration


def _places(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many images of its group stand before each, (n_images,)."""
    order = np.argsort(codes, kind="stable")
    places = np.empty(len(codes), np.int64)
    places[order] = np.arange(len(codes)) - np.searchsorted(codes[order], codes[order])
    return places


def find_recipe(
    options: RecipeOptions,
    fitted_on: ImageSet,
    validation: ImageSet,
    session: FitSession,
    notes: Notes,
) -> Recipe:
    """The recipe of the session, that of the options, or one chosen by made anomalies."""
    if session.recipe is not None:
        return session.recipe
    if not options.chooses_recipe:
        return make_recipe(options.recipe, **options.recipe_options)
    choice = choose_recipe(
        fitted_on,
        validation,
        options.settings,
        size=options.size,
        aspect=options.aspect,
        backbone=options.takes_backbone,
        hold=Hold(session),
        on_note=notes.add,
    )
    if session.on_choice is not None:
        session.on_choice(choice.recipe)
    return choice.recipe


def train_recipe(work: FitWork, trim: float) -> TrainedModel:
    """Train once; with `trim`, drop the share of the images that scores worst and train again."""
    if isinstance(work.recipe, ClosedFormRecipe):
        return _compute(work, work.recipe, trim)
    images = (
        work.prepared(work.fitted_on),
        work.prepared(work.validation),
        work.prepared(work.validation, keep_float=True),
    )
    network = work.begin()
    plan = work.plan(work.recipe, network, images[0], share=SHARE_OF_MINUTES if trim else 1.0)
    model = _train(work, network, images, plan_first(plan) if trim else plan, "")
    model = replace(model, trained=replace(model.trained, plan=plan), facts={"trimmed": 0})
    return _train_again(work, model, images, trim) if trim else model


def _compute(work: FitWork, recipe: ClosedFormRecipe, trim: float) -> TrainedModel:
    """What a recipe without steps makes of the images, or of a sample of them; with `trim`, once
    more without those that score worst.
    """
    started = time.perf_counter()
    _tell_unused(work.settings, recipe, work.notes)
    n_images = len(work.fitted_on)
    shape = ImageShape(*work.prepare.size, work.fitted_on.channels)
    rows = sample_rows(n_images, recipe.most_images(shape), work.settings.seed)
    if len(rows) < n_images:
        work.notes.add(
            f"{recipe.name} learns from {len(rows):,} of the {n_images:,} training images, drawn by"
            f" seed {work.settings.seed}"
        )
    images = work.prepared(work.fitted_on[rows])
    work.tell_of_file()
    held_out = work.prepared(work.validation, keep_float=True) if recipe.holds_out else None
    graph = work.graph(work.fresh_network().eval())
    _fit(work, graph, images, held_out)
    kept, validation, n_trimmed = np.arange(n_images), work.validation, 0
    if trim:
        fitted_on, n_judged, dropped = work.fitted_on[rows], len(rows), np.zeros(0, object)
        if held_out is not None:
            left = keep_best(graph.scorer, held_out, trim)
            n_judged, dropped = n_judged + len(held_out), np.delete(validation.paths, left)
            held_out, validation = taken(held_out, left), validation[left]
        if recipe.keeps_images:
            best = least(_scores_by_others(work, graph, images, fitted_on), trim)
        else:
            best = keep_best(graph.scorer, images, trim)
        dropped = np.concatenate([np.delete(fitted_on.paths, best), dropped])
        kept, n_trimmed = np.delete(kept, np.delete(rows, best)), len(dropped)
        work.notes.add(say_dropped(dropped, n_judged))
        _fit(work, graph, taken(images, best), held_out)
    work.tell_of_network(graph.scorer.network)
    trained = TrainingResult(
        history={name: np.zeros(0) for name in HISTORY},
        best_epoch=0,
        seconds=time.perf_counter() - started,
        plan=TrainingPlan(0, 0, bfloat16=False),
        device="cpu",
        threads=torch.get_num_threads(),
    )
    facts = {"trimmed": n_trimmed, "learnt_from": len(rows) - (n_images - len(kept))}
    return TrainedModel(graph, trained, work.fitted_on[kept], validation, facts)


def _scores_by_others(
    work: FitWork, graph: InferenceGraph, images: Images, kept: ImageSet
) -> NDArray[Any]:
    """How anomalous each third of the prepared `images` is to what `graph` learns of the others,
    (n_images,).

    Whole groups of `kept`, the same images, are in one third.
    """
    codes = kept.group_codes
    if codes is None or not codes.any():
        codes = np.arange(len(kept))
    order = np.random.default_rng(work.settings.seed).permutation(codes.max() + 1)
    scores = np.empty(len(kept), np.float32)
    for third in range(min(_PARTS, len(order))):
        is_judged = order[codes] % _PARTS == third
        judged = taken(images, np.flatnonzero(is_judged))
        _fit(work, graph, taken(images, np.flatnonzero(~is_judged)), judged)
        scores[is_judged] = _scores_of(graph.scorer, judged)
    return scores


def _fit(work: FitWork, graph: InferenceGraph, images: Images, held_out: Images | None) -> None:
    seen = all_to_unit(images)
    with work.threads(), torch.inference_mode():
        graph.fit_score(seen, seen if held_out is None else all_to_unit(held_out))


def _tell_unused(settings: TrainingSettings, recipe: Recipe, notes: Notes) -> None:
    """Name what was asked of training, where there is none."""
    standard = TrainingSettings()
    unused = [name for name in _OF_STEPS if getattr(settings, name) != getattr(standard, name)]
    if unused:
        names = ", ".join(map(flag, unused))
        notes.add(
            f"recipe {recipe.name} is computed, not trained in steps: {names}"
            f" {'is' if len(unused) == 1 else 'are'} not used"
        )


def _train_again(
    work: FitWork, first: TrainedModel, images: tuple[Images, Images, Images], trim: float
) -> TrainedModel:
    """Drop the share of the images that a short training finds worst, and train from scratch."""
    kept, kept_validation = (
        keep_best(first.graph.scorer.without_memory, some, trim) for some in (images[0], images[2])
    )
    parts = ((work.fitted_on, kept), (work.validation, kept_validation))
    dropped = np.concatenate([np.delete(part.paths, rows) for part, rows in parts])
    work.notes.add(say_dropped(dropped, len(work.fitted_on) + len(work.validation)))
    left = [
        taken(some, rows)
        for some, rows in zip(images, (kept, kept_validation, kept_validation), strict=True)
    ]
    plan = plan_again(first.trained.plan, work.recipe, left[0], work.settings)
    model = _train(work, work.fresh_network(), (left[0], left[1], left[2]), plan, "again")
    if (checkpoint := work.checkpoint("again")) is not None:
        checkpoint.unlink(missing_ok=True)
    return TrainedModel(
        model.graph,
        replace(model.trained, seconds=first.trained.seconds + model.trained.seconds),
        work.fitted_on[kept],
        work.validation[kept_validation],
        {"trimmed": len(dropped)},
    )


def _train(
    work: FitWork,
    network: torch.nn.Module,
    images: tuple[Images, Images, Images],
    plan: TrainingPlan,
    ending: str,
) -> TrainedModel:
    """Train `network` and fit its score; `images` are train, validation, and that as scored."""
    train, validation, exact = images
    trained = work.train(work.recipe, network, train, validation, plan, work.checkpoint(ending))
    graph = work.graph(network)
    with torch.inference_mode():
        graph.fit_score(all_to_unit(train), exact)
    return TrainedModel(graph, trained, work.fitted_on, work.validation)


def calibrate_scores(
    bundle: Bundle,
    calibration: ImageSet | None,
    options: RecipeOptions,
    trained: NDArray[Any] | None = None,
) -> Bundle:
    """The bundle with its calibration scores, and with a detector's operating point."""
    if calibration is None or len(calibration) == 0:
        return bundle
    peaks = MapPeaks(len(calibration)) if isinstance(options, DetectOptions) else None
    scores = score_set(bundle, calibration, on_map=peaks).score
    is_anomalous = calibration.presumed_anomalous
    looks = looks_of(calibration[np.flatnonzero(~is_anomalous)])
    if peaks is not None:
        looks["pixel_threshold"] = pixel_threshold_of(peaks.of[~is_anomalous])
    calibrated = replace(
        bundle.noting(calibration_images=looks),
        calibration_scores=scores,
        calibration_is_anomalous=is_anomalous,
        calibration_groups=calibration.group_codes,
    )
    if not isinstance(options, DetectOptions):
        return calibrated
    if calibration.products is not None:
        return _with_products(calibrated, calibration, trained, options)
    return calibrated.with_operating_point(
        choose_operating_point(
            scores,
            is_anomalous,
            options.policy,
            groups=calibration.group_codes,
            contamination=options.contamination,
        )
    )


def _with_products(
    bundle: Bundle, calibration: ImageSet, trained: NDArray[Any] | None, options: DetectOptions
) -> Bundle:
    """The bundle with a threshold for each product."""
    assert calibration.products is not None
    names, flags = calibration.products, bundle.calibration_is_anomalous
    products = choose_products(
        bundle.calibration_scores,
        flags,
        names,
        options.policy,
        rule=options.product or "product",
        groups=bundle.calibration_groups,
        contamination=options.contamination,
        trained=() if trained is None else trained.tolist(),
    )
    point = common_point(
        products, bundle.calibration_scores, flags, names, bundle.calibration_groups
    )
    places = replace(bundle, calibration_products=products.places(names))
    return places.with_operating_point(point, products)


def keep_best(scorer: nn.Module, images: Images, trim: float) -> NDArray[np.int64]:
    """Which of the prepared `images` stay, in order.

    All but the share `trim` (rounded) that `scorer` finds most anomalous.
    """
    return least(_scores_of(scorer, images), trim)


def least(scores: NDArray[Any], trim: float) -> NDArray[np.int64]:
    """Which rows have the least scores, all but the share `trim` (rounded), in order."""
    n_kept = len(scores) - round(trim * len(scores))
    return np.sort(np.argsort(scores, kind="stable")[:n_kept])


def _scores_of(scorer: nn.Module, images: Images) -> NDArray[Any]:
    with torch.inference_mode():
        chunks = images.split(at_once(images, _CHUNK))
        return torch.cat([scorer(to_unit(chunk)).score for chunk in chunks]).numpy()  # type: ignore[no-any-return]


def plan_first(plan: TrainingPlan) -> TrainingPlan:
    """A quarter of the epochs.

    What is rare is learnt last, and a network that has learnt an anomaly does not point at it.
    """
    return replace(plan, epochs=max(1, plan.epochs // _FIRST))


def plan_again(
    plan: TrainingPlan, recipe: Recipe, kept: Images, settings: TrainingSettings
) -> TrainingPlan:
    """The plan for what is left: as many epochs, of no more steps than there are batches."""
    n_batches = len(
        MemoryBatches(
            kept, batch_size=batch_size_of(recipe, settings), seed=settings.seed, shuffle=True
        )
    )
    return replace(plan, steps_per_epoch=min(plan.steps_per_epoch, n_batches))


def say_dropped(paths: NDArray[np.object_], n_images: int, *, most: int = 5) -> str:
    """What was dropped, in a sentence that names the first few.

    >>> say_dropped(np.array(["a.png", "b.png"], dtype=object), 20)
    'trim: the 2 of 20 images that scored worst were dropped, and the fit began again: a.png,
    b.png'
    """
    which = (
        f"the {len(paths)} of {n_images} images that scored worst were dropped, and the fit began"
        " again"
    )
    return (
        f"trim: {which}: {few(paths, most)}"
        if len(paths)
        else f"trim: {n_images} images are too few for that share; none was dropped"
    )
