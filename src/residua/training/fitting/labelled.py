"""The part of a fit that is a classifier's: unlabelled images, the strategy, its phases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from residua.errors import InputError, LabelError
from residua.training.fitting.augmentation_choice import choose_augmentations
from residua.training.fitting.options import AUTO, ClassifyOptions
from residua.training.fitting.session import FitWork, Notes, TrainedModel
from residua.training.fitting.splits import VALIDATION_SHARE, held_rows
from residua.training.fitting.targets import LabelledSet, Targets
from residua.training.fitting.temperature import fit_temperature
from residua.training.loop.batches import LabelledImages, make_batches
from residua.training.loop.settings import StepReport, TrainingSettings
from residua.training.loop.train import TrainingPlan, TrainingResult
from residua.training.scoring.image_list import taken
from residua.training.strategies import Phase, Strategy, make_strategy

_MOST_VALIDATION = 1000
_FEWEST_LABELLED = 4


def usable(options: ClassifyOptions, train: LabelledSet, notes: Notes) -> LabelledSet:
    """What the strategy learns from: unlabelled images where a loss reconstructs."""
    for text in train.targets.notes:
        notes.add(text)
    known = train.targets.labelled
    n_unknown = int((~known).sum())
    if known.sum() < _FEWEST_LABELLED:
        raise InputError(
            f"fit: train must hold at least {_FEWEST_LABELLED} labelled images. Got"
            f" {int(known.sum())}. Add labels, or check the split."
        )
    if not n_unknown:
        return train
    uses = make_strategy(options.strategy, n_classes=2).uses_unlabelled
    how = (
        "they take part in the reconstruction alone"
        if uses
        else f"{options.strategy} leaves them out"
    )
    notes.add(f"{n_unknown:,} of {len(known):,} training images have no label: {how}")
    return train if uses else train.take(np.flatnonzero(known))


def hold_out_labelled(train: LabelledSet, seed: int) -> tuple[LabelledSet, LabelledSet]:
    """`train` without, and with only, a tenth of each class and of the unlabelled, by groups."""
    if train.images.groups is not None:
        held = held_rows(train.images, VALIDATION_SHARE, seed=seed)
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
        n = int(min(VALIDATION_SHARE * len(rows), most))
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


def choose_settings(
    settings: TrainingSettings, fitted_on: LabelledSet, notes: Notes
) -> TrainingSettings:
    """`settings` with the augmentation that the labels survive, where it is to be chosen."""
    if AUTO not in settings.augment:
        return settings
    names, words = choose_augmentations(fitted_on.images, fitted_on.targets, seed=settings.seed)
    notes.add(words)
    return settings.model_copy(update={"augment": names})


def make_classifier(options: ClassifyOptions, targets: Targets, *, mirrored: bool) -> Strategy:
    """The strategy for these classes, averaging mirror images where training has seen some."""
    weights = options.class_weight and _class_weights(options.class_weight, targets)
    fixed = {
        "n_classes": len(targets.classes),
        "multilabel": targets.multilabel,
        "class_weights": weights,
    }
    return make_strategy(
        options.strategy, **{"mirrored": mirrored, **options.recipe_options, **fixed}
    )


def _class_weights(
    asked: Literal["balanced"] | Mapping[str, float], targets: Targets
) -> tuple[float, ...]:
    counts = targets.counts()
    if isinstance(asked, Mapping):
        unknown = sorted(set(asked) - {str(name) for name in targets.classes})
        if unknown:
            known = ", ".join(map(str, targets.classes))
            raise LabelError(
                f"class_weight: must name classes. Got {', '.join(unknown)}, where there are"
                f" {known}. Name those."
            )
        return tuple(asked.get(str(name), 1.0) for name in targets.classes)
    n_known, n_classes = int(targets.labelled.sum()), len(targets.classes)
    if targets.multilabel:  # of the images that have it against those that have not
        return tuple(float(weight) for weight in (n_known - counts).clip(1) / counts.clip(1))
    return tuple(float(weight) for weight in n_known / (n_classes * counts.clip(1)))


def train_classifier(
    work: FitWork, fitted_on: LabelledSet, validation: LabelledSet
) -> TrainedModel:
    """Train a fresh network, one phase after the other."""
    strategy: Any = work.recipe
    parts = (fitted_on, validation)
    prepared = [
        LabelledImages(work.prepared(part.images), torch.tensor(part.targets.values))
        for part in parts
    ]
    network = work.begin()
    phases: tuple[Phase, ...] = strategy.phases()
    plan = work.plan(phases[0], network, _seen(phases[0], prepared[0], fitted_on))
    done: list[TrainingResult] = []
    for phase in phases:
        train, held_out = (_seen(phase, *pair) for pair in zip(prepared, parts, strict=True))
        own = _phase_plan(phase, train, plan, work.settings.batch_size)
        if len(phases) > 1:
            work.notes.add(
                f"phase {phase.name}: {own.epochs:,} x {own.steps_per_epoch:,} steps on"
                f" {len(train):,} images"
            )
        phase.begin(network)
        done.append(
            work.train(
                phase,
                network,
                train,
                held_out if len(held_out) else train,
                own,
                work.checkpoint(phase.name if done else ""),
                _offset(work.session.on_step, done, plan.n_steps),
            )
        )
    network.freeze_encoder(False)  # a frozen part is no smaller: what counts parameters counts all
    for phase in phases[1:]:
        if (checkpoint := work.checkpoint(phase.name)) is not None:
            checkpoint.unlink(missing_ok=True)
    facts = {"labelled_images": int(fitted_on.targets.labelled.sum())}
    return TrainedModel(
        work.graph(network), _joined(done, plan), work.fitted_on, work.validation, facts
    )


def calibrate_classifier(
    model: TrainedModel, held: LabelledSet, notes: Notes, *, batch_size: int
) -> TrainedModel:
    """Set the temperature on labelled images kept aside."""
    images, targets = held.images, held.targets
    notes.add(
        fit_temperature(
            model.graph, images, targets, batch_size=batch_size, n_classes=len(targets.classes)
        )
    )
    scorer: Any = model.graph.scorer
    return replace(model, facts={**model.facts, "temperature": float(scorer.temperature)})


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
    """The phases' histories one after the other, with a column for the phase."""
    history = {
        name: np.concatenate([one.history[name] for one in done]) for name in done[0].history
    }
    history["epoch"] = np.arange(1, len(history["epoch"]) + 1)
    history["phase"] = np.concatenate(
        [np.full(len(one.history["epoch"]), number) for number, one in enumerate(done, start=1)]
    )
    before = sum(len(one.history["epoch"]) for one in done[:-1])
    return replace(
        done[-1],
        history=history,
        best_epoch=before + done[-1].best_epoch,
        seconds=sum(one.seconds for one in done),
        plan=plan,
    )
