"""From labelled images to a trained, calibrated classifier: what the estimator and `residua fit
--job classify` go through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from residua.errors import InputError, LabelError, ShapeError
from residua.images import ImageSet
from residua.training.bundle import Bundle, BundleConfig, build_graph
from residua.training.fitting.augmentation_choice import choose_augmentations
from residua.training.fitting.images import (
    FitOptions,
    Fitted,
    Hold,
    Notes,
    fresh_network,
    scoring_batch,
    training_words,
)
from residua.training.fitting.sizes import choose_aspect, choose_size
from residua.training.fitting.splits import held_rows, sample_rows
from residua.training.fitting.targets import Targets
from residua.training.fitting.temperature import fit_temperature
from residua.training.loop.batches import LabelledImages, make_batches
from residua.training.loop.settings import StepReport, training_threads
from residua.training.loop.train import TrainingPlan, TrainingResult, plan_training, train_network
from residua.training.networks import ImageShape, n_parameters
from residua.training.scoring.engine import score_images
from residua.training.scoring.image_list import taken
from residua.training.scoring.prepare import Prepare
from residua.training.strategies import Phase, Strategy, make_strategy

ClassWeight = Literal["balanced"] | Mapping[Any, float] | None

_VALIDATION_SHARE, _MOST_VALIDATION = 0.1, 1000
_FEWEST_LABELLED = 4


@dataclass(frozen=True)
class LabelledSet:
    """Images with their targets, a row an image."""

    images: ImageSet
    targets: Targets

    def take(self, rows: NDArray[Any]) -> LabelledSet:
        """Some of them."""
        return LabelledSet(self.images[rows], self.targets.take(rows))


@dataclass(frozen=True)
class Chosen:
    """A strategy's name and the options that differ from its defaults; `class_weight` as
    scikit-learn has it.
    """

    strategy: str
    options: Mapping[str, Any]
    class_weight: ClassWeight = None


def fit_classifier(
    chosen: Chosen, train: LabelledSet, calibration: LabelledSet | None, options: FitOptions
) -> Fitted:
    """Train on `train` less its validation slice, phase by phase; set the temperature on
    `calibration`, else on that slice.

    Unlabelled images take part in the reconstruction loss of strategies that have one, and are left
    out by the others.
    """
    notes = Notes(options.on_note)
    for text in train.targets.notes:
        notes.add(text)
    _check(train, calibration)
    train = _without_unlabelled(chosen, train, notes)
    fitted_on, validation = _hold_out(train, options.settings.seed)
    settings = options.settings
    if "auto" in settings.augment:
        names, words = choose_augmentations(fitted_on.images, fitted_on.targets, seed=settings.seed)
        settings = settings.model_copy(update={"augment": names})
        notes.add(words)
    options = replace(options, settings=settings)
    strategy = _strategy(chosen, fitted_on.targets, mirrored="flip" in settings.augment)
    aspect = choose_aspect(train.images, options.aspect, name=strategy.name, any_size=False)
    size, words = choose_size(
        train.images, options.size, aspect, default_side=strategy.default_side
    )
    notes.add(words)
    trained, network = _train(
        strategy, Prepare(size, aspect), fitted_on, validation, options, notes
    )
    graph = build_graph(strategy, network, size, aspect)
    batch_size = scoring_batch(size, aspect)
    held = calibration if calibration is not None and len(calibration.images) else validation
    scorer: Any = graph.scorer
    notes.add(
        fit_temperature(
            graph, held.images, held.targets, batch_size=batch_size, n_classes=strategy.n_classes
        )
    )
    config = BundleConfig(
        job="classify",
        recipe=strategy.name,
        recipe_options=strategy.model_dump(mode="json"),
        size=size,
        channels=train.images.channels,
        bits="8" if train.images.dtype == np.uint8 else "more",
        reading=train.images.reading,
        aspect=aspect,
        batch_size=batch_size,
        classes=train.targets.classes,
        multilabel=strategy.multilabel,
        training={
            **training_words(
                strategy, network, trained, (len(fitted_on.images), len(validation.images)), options
            ),
            "labelled_images": int(fitted_on.targets.labelled.sum()),
            "temperature": float(scorer.temperature),
        },
        fingerprints={"train": train.images.fingerprint},
    )
    sample = fitted_on.images[sample_rows(len(fitted_on.images), 2000, settings.seed)]
    train_sample = score_images(graph, sample, batch_size=batch_size)
    parts = {"fitted": fitted_on.images, "validation": validation.images}
    if calibration is not None:
        parts["calibration"] = calibration.images
    return Fitted(Bundle(config, graph), trained, tuple(notes.told), parts, train_sample)


def check_strategy(chosen: Chosen, *, n_classes: int = 2) -> None:
    """Refuse an unknown strategy or option before any image is read."""
    make_strategy(chosen.strategy, **{**chosen.options, "n_classes": n_classes})


def _check(train: LabelledSet, calibration: LabelledSet | None) -> None:
    n_known = int(train.targets.labelled.sum())
    if n_known < _FEWEST_LABELLED:
        raise InputError(
            f"fit: train must hold at least {_FEWEST_LABELLED} labelled images. Got {n_known}. Add"
            " labels, or check the split."
        )
    if (
        calibration is not None
        and len(calibration.images)
        and calibration.images.channels != train.images.channels
    ):
        raise ShapeError(
            "fit: train and calibration must have the same number of channels. "
            f"Got {train.images.channels} and {calibration.images.channels}. Convert one of them."
        )


def _without_unlabelled(chosen: Chosen, train: LabelledSet, notes: Notes) -> LabelledSet:
    known = train.targets.labelled
    n_unknown = int((~known).sum())
    if not n_unknown:
        return train
    if make_strategy(chosen.strategy, n_classes=2).uses_unlabelled:
        notes.add(
            f"{n_unknown:,} of {len(known):,} training images have no label: they take part in the"
            " reconstruction alone"
        )
        return train
    notes.add(
        f"{n_unknown:,} of {len(known):,} training images have no label: {chosen.strategy} leaves"
        " them out"
    )
    return train.take(np.flatnonzero(known))


def _hold_out(train: LabelledSet, seed: int) -> tuple[LabelledSet, LabelledSet]:
    """`train` without, and with only, a tenth of each class and of the unlabelled; whole groups
    where groups are named.
    """
    if train.images.groups is not None:
        held = held_rows(train.images, _VALIDATION_SHARE, seed=seed)
    else:
        held = _stratified(train.targets, seed)
    return train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))


def _stratified(targets: Targets, seed: int) -> NDArray[np.bool_]:
    strata = np.where(targets.labelled, 0, -1) if targets.multilabel else targets.values
    held = np.zeros(len(strata), np.bool_)
    n_known = int((strata >= 0).sum())
    for stratum in np.unique(strata).tolist():
        rows = np.flatnonzero(strata == stratum)
        most = _MOST_VALIDATION * len(rows) / (n_known if stratum >= 0 else len(rows))
        n = int(min(_VALIDATION_SHARE * len(rows), most))
        held[np.random.default_rng([seed, len(rows), stratum + 1]).permutation(rows)[:n]] = True
    if (
        not held.any()
    ):  # a few images a class: one image is held, so that there is something to look at
        held[
            np.random.default_rng(seed).choice(
                np.flatnonzero(strata == np.bincount(strata[strata >= 0]).argmax())
            )
        ] = True
    return held


def _strategy(chosen: Chosen, targets: Targets, *, mirrored: bool) -> Strategy:
    """The strategy for these classes; it averages over mirror images where training has seen some,
    unless told otherwise.
    """
    weights = None if chosen.class_weight is None else _class_weights(chosen.class_weight, targets)
    fixed = {
        "n_classes": len(targets.classes),
        "multilabel": targets.multilabel,
        "class_weights": weights,
    }
    return make_strategy(chosen.strategy, **{"mirrored": mirrored, **chosen.options, **fixed})


def _class_weights(
    asked: Literal["balanced"] | Mapping[Any, float], targets: Targets
) -> tuple[float, ...]:
    counts = targets.counts()
    if isinstance(asked, Mapping):
        given = {str(name): float(weight) for name, weight in asked.items()}
        unknown = sorted(set(given) - {str(name) for name in targets.classes})
        if unknown:
            known = ", ".join(map(str, targets.classes))
            raise LabelError(
                f"class_weight: must name classes. Got {', '.join(unknown)}, where there are"
                f" {known}. Name those."
            )
        return tuple(given.get(str(name), 1.0) for name in targets.classes)
    if asked != "balanced":
        raise InputError(
            f"class_weight: must be balanced or a weight a class. Got {asked!r}. Pass one of these,"
            " or None."
        )
    n_known, n_classes = int(targets.labelled.sum()), len(targets.classes)
    if targets.multilabel:  # of the images that have it against those that have not
        return tuple(float(weight) for weight in (n_known - counts).clip(1) / counts.clip(1))
    return tuple(float(weight) for weight in n_known / (n_classes * counts.clip(1)))


def _train(  # noqa: PLR0917  a private step of one function, given what that function has
    strategy: Strategy,
    prepare: Prepare,
    fitted_on: LabelledSet,
    validation: LabelledSet,
    options: FitOptions,
    notes: Notes,
) -> tuple[TrainingResult, torch.nn.Module]:
    """Train a fresh network, one phase after the other."""
    settings, hold = options.settings, Hold(options)
    prepared = [
        LabelledImages(hold(prepare, one.images), torch.tensor(one.targets.values))
        for one in (fitted_on, validation)
    ]
    network: Any = fresh_network(
        strategy, ImageShape(*prepare.size, fitted_on.images.channels), settings.seed
    )
    notes.add(f"network: {strategy.describe(network)}, {n_parameters(network):,} parameters")
    phases = strategy.phases()
    with training_threads(settings.threads, prepare.size[0] * prepare.size[1]) as n_threads:
        notes.add_if_busy(n_threads)
        plan = options.plan or plan_training(
            phases[0], network, _seen(phases[0], prepared[0], fitted_on), settings
        )
        if options.on_plan is not None:
            options.on_plan(plan)
        done: list[TrainingResult] = []
        for phase in phases:
            train, held_out = (
                _seen(phase, *pair) for pair in zip(prepared, (fitted_on, validation), strict=True)
            )
            own = _phase_plan(phase, train, plan, settings.batch_size)
            if len(phases) > 1:
                notes.add(
                    f"phase {phase.name}: {own.epochs:,} x {own.steps_per_epoch:,} steps on"
                    f" {len(train):,} images"
                )
            phase.begin(network)
            done.append(
                train_network(
                    phase,
                    network,
                    train,
                    held_out if len(held_out) else train,
                    settings,
                    own,
                    checkpoint=_checkpoint(options, phase, first=not done),
                    resume=options.resume,
                    checkpoint_seconds=options.checkpoint_seconds,
                    on_step=_offset(options.on_step, done, plan.n_steps),
                )
            )
    network.freeze_encoder(
        False
    )  # a frozen part is no smaller: what counts parameters later counts all
    for phase in phases[1:]:
        checkpoint = _checkpoint(options, phase, first=False)
        if checkpoint is not None:
            checkpoint.unlink(missing_ok=True)
    return _joined(done, plan), network


def _seen(phase: Phase, data: LabelledImages, labelled: LabelledSet) -> LabelledImages:
    """The images that a phase uses."""
    known = labelled.targets.labelled
    if phase.uses == "all" or known.all():
        return data
    rows = np.flatnonzero(known)
    return LabelledImages(taken(data.images, rows), data.targets[torch.from_numpy(rows)])


def _phase_plan(
    phase: Phase, train: LabelledImages, plan: TrainingPlan, batch_size: int | None
) -> TrainingPlan:
    """The phase's share of all steps, in whole epochs over the images that it uses."""
    n_steps = max(1, round(phase.share * plan.n_steps))
    n_batches = len(
        make_batches(
            train, batch_size=batch_size or phase.schedule.batch_size, seed=0, shuffle=True
        )
    )
    return TrainingPlan(max(1, round(n_steps / n_batches)), min(n_steps, n_batches), plan.bfloat16)


def _checkpoint(options: FitOptions, phase: Phase, *, first: bool) -> Any:
    """Each phase after the first keeps its state beside that of the first."""
    path = options.checkpoint
    return (
        path if path is None or first else path.with_name(f"{path.stem}-{phase.name}{path.suffix}")
    )


def _offset(
    on_step: StepReport | None, done: list[TrainingResult], n_steps: int
) -> StepReport | None:
    """Steps counted over all phases."""
    if on_step is None:
        return None
    before, epochs = (
        sum(one.plan.n_steps for one in done),
        sum(len(one.history["epoch"]) for one in done),
    )

    def report(step: int, _: int, epoch: int, loss: float, validation: float | None) -> None:
        on_step(min(before + step, n_steps), n_steps, epochs + epoch, loss, validation)

    return report


def _joined(done: list[TrainingResult], plan: TrainingPlan) -> TrainingResult:
    """The phases' histories one after the other, with a column that says which phase a row is
    of.
    """
    history = {
        name: np.concatenate([one.history[name] for one in done]) for name in done[0].history
    }
    history["epoch"] = np.arange(1, len(history["epoch"]) + 1)
    history["phase"] = np.concatenate(
        [np.full(len(one.history["epoch"]), number) for number, one in enumerate(done, start=1)]
    )
    before = sum(len(one.history["epoch"]) for one in done[:-1])
    seconds = sum(one.seconds for one in done)
    return replace(
        done[-1],
        history=history,
        best_epoch=before + done[-1].best_epoch,
        seconds=seconds,
        plan=plan,
    )
