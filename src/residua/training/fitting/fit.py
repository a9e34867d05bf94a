"""From images to a trained, calibrated bundle: what estimators and `residua fit` go through."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from residua.errors import ShapeError
from residua.images import ImageSet
from residua.images.resize import network_size, say_narrowest
from residua.images.tiling import Framing, Tiling, choose_tiling
from residua.metrics.compression import code_words
from residua.training.bundle import (
    Bundle,
    BundleConfig,
    TrainingRecord,
    score_set,
    with_tile_statistics,
)
from residua.training.fitting.images import (
    calibrate_scores,
    find_recipe,
    train_recipe,
    usable_parts,
)
from residua.training.fitting.labelled import (
    calibrate_classifier,
    choose_settings,
    hold_out_labelled,
    make_classifier,
    train_classifier,
    usable,
)
from residua.training.fitting.options import (
    ClassifyOptions,
    DetectOptions,
    RecipeOptions,
    SharedOptions,
)
from residua.training.fitting.recipe_choice import candidates
from residua.training.fitting.session import FitSession, Fitted, FitWork, Notes, TrainedModel
from residua.training.fitting.sizes import choose_prepare, scoring_batch
from residua.training.fitting.splits import VALIDATION_SHARE, hold_out, sample_rows
from residua.training.fitting.targets import LabelledSet, calibration_set, images_of, labelled_set
from residua.training.loop.augmentation import check_names
from residua.training.loop.devices import find_device
from residua.training.networks import n_parameters
from residua.training.networks.base import why_no_code
from residua.training.recipes import make_recipe
from residua.training.recipes.closed_form import ClosedFormRecipe
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.scorer import Scorer
from residua.training.strategies import STRATEGIES

_MOST_SAMPLED = 2000
_PRIVATE = {"source", "root"}  # where images lay on this machine says nothing of the model


def fit(
    options: SharedOptions,
    train: ImageSet | LabelledSet,
    calibration: ImageSet | LabelledSet | None = None,
    session: FitSession | None = None,
) -> Fitted:
    """Train on `train` less its validation slice, and calibrate on `calibration`.

    Raises InputError, LabelError or ShapeError if there are too few images, or calibration cannot
    support what is asked of it.

    - `options`: ReconstructOptions, DetectOptions or ClassifyOptions. What is asked; of a
      classifier with an `ImageSet`, its labels are the targets.
    - `train`: Normal images only, unless the job is to classify. Unlabelled images take part in the
      reconstruction loss of strategies that have one, and are left out by the others.
    - `calibration`: Where the threshold, or the temperature of a classifier, comes from. None: a
      fifth of `train` for a detector, the validation slice for a classifier.
    """
    session = session or FitSession()
    notes = Notes(session.on_note)
    find_device(options.settings.device)
    # First weights and dropout come from torch's global generators, which are the user's.
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        if isinstance(options, ClassifyOptions):
            labelled = labelled_set(train, options.multilabel)
            held = None if calibration is None else calibration_set(calibration, labelled.targets)
            return _fit_classifier(options, labelled, held, session, notes)
        assert isinstance(options, RecipeOptions)
        return _fit_images(options, images_of(train), images_of(calibration), session, notes)


def expected_size(options: SharedOptions, images: ImageSet) -> tuple[int, int] | None:
    """(height, width) at which images will be seen, known before training: of several candidates
    the largest, of tiles that of a whole image; None without images.
    """
    if len(images) == 0:
        return None
    framing, _ = _framing(options, images)
    size = _network_size(options, framing.cut_all(images))
    return framing.seen_size(size)


def _framing(options: SharedOptions, images: ImageSet) -> tuple[Framing, str]:
    """The region and the tiles that are asked for, and the sentence that says what is cut."""
    region, asked = getattr(options, "region", None), getattr(options, "tiles", None)
    within = Framing(region=region)
    parts, words = within.cut_all(images), ""
    if region is not None:
        words = f"images are cut to the box around the region, {region.share:.0%} of the picture; "
        drawn = region.height / region.width
        seen = float(np.median(images.sizes[:, 0] / images.sizes[:, 1]))
        if not 0.9 < drawn / seen < 1.1:
            words += (
                f"it was drawn with height / width {drawn:.2f}, and is stretched to the images'"
                f" {seen:.2f}; "
            )
    if asked is None:
        return within, words
    side = max(_network_size(options, parts, is_whole=False))
    tiling, told = choose_tiling(parts.sizes, side, asked)
    told = told if region is None else told.replace("images", "boxes", 1)
    return Framing(tiling or Tiling(), region), f"{words}{told}; "


def _network_size(
    options: SharedOptions, images: ImageSet, *, is_whole: bool = True
) -> tuple[int, int]:
    """Of several candidates the largest; large images are seen finer where they stay whole."""
    tried: list[Any] = []
    if isinstance(options, ClassifyOptions):
        tried = [STRATEGIES[options.strategy]]
    elif isinstance(options, RecipeOptions) and options.chooses_recipe:
        tried = list(candidates(images, backbone=options.takes_backbone).values())
    elif isinstance(options, RecipeOptions):
        tried = [make_recipe(options.recipe, **options.recipe_options)]
    return max(
        network_size(
            images.sizes, one.sides if is_whole else one.sides._replace(largest=None), options.size
        )
        for one in tried
    )


def _fit_images(
    options: RecipeOptions,
    train: ImageSet,
    calibration: ImageSet | None,
    session: FitSession,
    notes: Notes,
) -> Fitted:
    _same_channels(train, calibration)
    check_names(options.settings.augment)  # a recipe that is computed would never meet them
    train, calibration = usable_parts(options, train, calibration, notes)
    framing, words = _framing(options, train)
    tiling = framing.tiling if framing.tiling.n_places > 1 else None
    fitted_on, validation = hold_out(train, VALIDATION_SHARE, seed=options.settings.seed)
    parts = framing.cut_all(fitted_on), framing.cut_all(validation)
    recipe = find_recipe(options, *parts, session, notes)
    if isinstance(recipe, ClosedFormRecipe) and not recipe.holds_out and tiling is None:
        # All images teach it; tiles take some that did not, for their statistics.
        fitted_on, validation = train, train[:0]
        parts = framing.cut_all(fitted_on), framing.cut_all(validation)
    prepare, told = choose_prepare(framing.cut_all(train), recipe, options.size, options.aspect)
    if words:
        whole = "images" if framing.region is None else "boxes"
        told = words + told.replace("images", whole if tiling is None else "tiles", 1)
    if options.job == "detect":
        told += "; " + say_narrowest(train.sizes, framing.seen_size(prepare.size))
    notes.add(told)
    work = FitWork(recipe, prepare, *parts, options.settings, session, notes)
    model = train_recipe(work, options.trim)
    if options.trim and isinstance(options, DetectOptions) and options.contamination is None:
        notes.add(
            "trim: no calibration image was dropped. If anomalies may be hidden there too, say what"
            " share with --contamination, or the threshold may lie above them"
        )
    if model.graph.scorer.decided:
        notes.add(model.graph.scorer.decided)
    if framing != Framing():
        model = replace(model, fitted_on=fitted_on, validation=validation)
    facts = {"normal": train.normal, "tiling": tiling, "region": framing.region}
    bundle = with_tile_statistics(_bundle(options, work, model, train, facts), validation)
    return _fitted(
        calibrate_scores(bundle, calibration, options, train.products), model, calibration, work
    )


def _fit_classifier(
    options: ClassifyOptions,
    train: LabelledSet,
    calibration: LabelledSet | None,
    session: FitSession,
    notes: Notes,
) -> Fitted:
    _same_channels(train.images, images_of(calibration))
    train = usable(options, train, notes)
    fitted_on, validation = hold_out_labelled(train, options.settings.seed)
    settings = choose_settings(options.settings, fitted_on, notes)
    strategy = make_classifier(options, fitted_on.targets, mirrored="flip" in settings.augment)
    prepare, words = choose_prepare(train.images, strategy, options.size, options.aspect)
    notes.add(words)
    work = FitWork(strategy, prepare, fitted_on.images, validation.images, settings, session, notes)
    held = calibration if calibration is not None and len(calibration.images) else validation
    model = train_classifier(work, fitted_on, validation)
    model = calibrate_classifier(model, held, notes, batch_size=scoring_batch(prepare))
    facts = {"classes": train.targets.classes, "multilabel": strategy.multilabel}
    bundle = _bundle(options, work, model, train.images, facts)
    return _fitted(bundle, model, images_of(calibration), work)


def _sha256_of_backbone(scorer: Scorer) -> str | None:
    found = (getattr(module, "weights_sha256", None) for module in scorer.modules())
    return next((one for one in found if one is not None), None)


def _same_channels(train: ImageSet, calibration: ImageSet | None) -> None:
    if calibration is not None and len(calibration) and calibration.channels != train.channels:
        raise ShapeError(
            "fit: train and calibration must have the same number of channels. Got"
            f" {train.channels} and {calibration.channels}. Convert one of them."
        )


def _bundle(
    options: SharedOptions,
    work: FitWork,
    model: TrainedModel,
    train: ImageSet,
    facts: dict[str, Any],
) -> Bundle:
    """The model with all that later commands ask of it; `facts` are those of its job."""
    network: Any = model.graph.scorer.network
    trained = model.trained
    training = TrainingRecord(
        network=work.recipe.describe(network),
        parameters=n_parameters(network),
        images=len(model.fitted_on),
        validation_images=len(model.validation),
        epochs=len(trained.history["epoch"]),
        epochs_planned=trained.plan.epochs,
        best_epoch=trained.best_epoch,
        seconds=round(trained.seconds, 1),
        device=trained.device,
        threads=trained.threads,
        precision="bfloat16" if trained.plan.bfloat16 else "float32",
        backbone_sha256=_sha256_of_backbone(model.graph.scorer),
        settings=work.settings.model_dump(mode="json"),
        options=options.model_dump(mode="json", exclude=_PRIVATE),
        **model.facts,
    )
    config = BundleConfig(
        job=options.job,
        recipe=work.recipe.name,
        recipe_options=work.recipe.model_dump(mode="json"),
        size=work.prepare.size,
        channels=train.channels,
        bits="8" if train.dtype == np.uint8 else "more",
        reading=train.reading,
        aspect=work.prepare.aspect,
        batch_size=scoring_batch(work.prepare),
        training=training,
        fingerprints={"train": train.fingerprint},
        **facts,
    )
    work.notes.add(_code_words(model.graph, train))
    return Bundle(config, model.graph)


def _code_words(graph: InferenceGraph, images: ImageSet) -> str:
    """How much the code compresses, or why there is none."""
    network: Any = graph.scorer.network
    why = why_no_code(network) if graph.scorer.reconstructs else "it rebuilds no image"
    if why is not None:
        return f"compression: not measured, because {why}"
    values = math.prod(graph.prepare.size) * images.channels
    bits = 8 if images.dtype == np.uint8 else images.reading.bits or 16
    return f"compression: {code_words(values, int(network.latent), bits_a_value=bits)}"


def _fitted(
    bundle: Bundle, model: TrainedModel, calibration: ImageSet | None, work: FitWork
) -> Fitted:
    """Everything of a fit, with the scores of some training images."""
    rows = sample_rows(len(model.fitted_on), _MOST_SAMPLED, work.settings.seed)
    seen = model.fitted_on[rows]
    keeps = work.recipe.keeps_images
    sample = None if keeps else score_set(bundle, seen)
    parts = {"fitted": model.fitted_on, "validation": model.validation}
    if calibration is not None:
        parts["calibration"] = calibration
    return Fitted(bundle, model.trained, tuple(work.notes.told), parts, sample)
