"""`residua fit`: from a SOURCE to a RUN."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from residua._text import count
from residua.errors import InputError, LabelError, OutputError
from residua.images import ImageSet
from residua.runs.check import check_images
from residua.runs.classes import labelled_parts
from residua.runs.learning.features import keep_features
from residua.runs.open_run import is_wrapped
from residua.runs.origin import MEMORY_MEGABYTES, mark_of_here
from residua.runs.progress import Watcher
from residua.runs.run_record import training_columns
from residua.runs.run_state import RunState
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import save_bundle
from residua.training.fitting.fit import expected_size, fit
from residua.training.fitting.options import (
    ClassifyOptions,
    FitOptions,
    RecipeOptions,
    SharedOptions,
    check_options,
)
from residua.training.fitting.session import FitSession, Fitted
from residua.training.fitting.splits import normals_of
from residua.training.loop.processes import is_follower
from residua.training.loop.train import TrainingPlan
from residua.training.recipes import Recipe


def fit_run(
    options: FitOptions,
    out: str | Path,
    *,
    resume: bool = False,
    watcher: Watcher | None = None,
    memory_megabytes: float = MEMORY_MEGABYTES,
    checkpoint_seconds: float = 10.0,
) -> TrainedRun:
    """Load, split, train, calibrate and save; the run's folder holds everything that later commands
    need.

    With `resume`, a run that was stopped goes on from its last checkpoint and ends where it would
    have ended; a finished one is left as it is. Without it, a folder that already holds a run is
    refused. Up to `memory_megabytes` of pixels are kept in memory, half as decoded and half as the
    network sees them; what is more lies in a file, and changes no score.
    """
    watcher = watcher or Watcher()
    check_options(options)  # before a large source is read
    run = TrainedRun(Path(out))
    if (
        options.source
        and Path(options.source).is_dir()
        and run.path.exists()
        and run.path.samefile(options.source)
    ):
        raise OutputError(
            f"{out}: the output folder must not be the source. It is. Name another folder with"
            " --out."
        )
    # Half of the memory is for pixels as decoded, half for pixels as the network sees them.
    session = FitSession(
        memory_megabytes=memory_megabytes / 2,
        checkpoint=run.checkpoint,
        checkpoint_seconds=checkpoint_seconds,
        resume=resume,
    )
    if is_follower():
        return _follow(run, options, session)
    with run.locked():
        state = _begin(run, options, resume=resume)
        if state.finished:
            watcher.note(f"{run.path} is finished already: nothing to resume")
        else:
            images = state.origin().load(watcher, session.memory_megabytes, named=True)
            state = _same_images(run, state, images)
            for text in (*images.notes, *(f"assumed {one.sentence}" for one in images.assumptions)):
                watcher.note(text)
            check_images(
                run,
                images,
                options.job,
                watcher,
                options=_how_read(options),
                network_size=expected_size(options, images.train),
            )
            _write(run, _fit(run, state, images, watcher, session), images, watcher)
        run.checkpoint.unlink(missing_ok=True)  # of a finished run, if it was stopped right here
    return run


def _how_read(options: FitOptions) -> list[str]:
    """The options of a command that reads the source as `fit` did."""
    normal: tuple[str, ...] = getattr(options, "normal", None) or ()
    given = {
        "--normal": ",".join(normal),
        "--groups": options.groups if isinstance(options.groups, str) else None,
        "--root": options.root,
        "--bits": options.bits,
        "--seed": options.settings.seed or None,
    }
    told = [text for name, value in given.items() if value for text in (name, str(value))]
    return [*told, *(["--follow-links"] if options.follow_links else [])]


def _write(run: TrainedRun, fitted: Fitted, images: ImageSet, watcher: Watcher) -> None:
    """Write the model and all that later commands need; last of all that it is finished."""
    save_bundle(fitted.bundle, run.bundle)
    keep_features(run, fitted.bundle, fitted.parts, watcher)
    run.write_images(_parts(fitted, images))
    run.write_training(training_columns(fitted))
    facts = {
        "finished": True,
        "notes": (*images.notes, *fitted.notes),
        "assumptions": images.assumptions,
        "reading": images.reading,
        "grouping": images.grouping,
    }
    run.write_state(run.read_state().model_copy(update=facts))


def _follow(run: TrainedRun, options: FitOptions, session: FitSession) -> TrainedRun:
    """Train beside the first process, which alone reads and writes the run's state."""
    state = _new_state(options)
    # made into steps by the first process, before it started this one
    if options.settings.minutes is not None:
        state = state.model_copy(update={"plan": run.read_state().plan})
    images = state.origin().load(memory_megabytes=session.memory_megabytes, named=True)
    _fit(run, state, images, Watcher(), replace(session, checkpoint_seconds=0.0))
    return run


def _new_state(options: FitOptions) -> RunState:
    here = str(Path.cwd())
    return RunState(
        options=options, working_folder=here, made_here=mark_of_here(here, options.source)
    )


def _begin(run: TrainedRun, options: FitOptions, *, resume: bool) -> RunState:
    if is_wrapped(run.path):
        raise OutputError(
            f"{run.path}: the output folder must not hold a run yet. It holds a wrapped one. Name"
            " another folder."
        )
    state = run.read_state() if run.exists() else None
    if state is None or _nothing_to_lose(run, state, resume=resume):
        state = _new_state(options)
        run.write_state(state)
        return state
    if not resume:
        raise OutputError(
            f"{run.path}: the output folder must not hold a run yet. It holds"
            f" one{'' if state.finished else ', not finished'}. Pass --resume to go on with it, or"
            " name another folder."
        )
    if state.options != options:
        changed = _changed(state.options.model_dump(), options.model_dump())
        raise InputError(
            f"{run.path}: a run must be resumed with the options it was begun with. Got others for"
            f" {', '.join(changed)}. Repeat the first command with --resume, or name another"
            " folder."
        )
    return state


def _nothing_to_lose(run: TrainedRun, state: RunState, *, resume: bool) -> bool:
    """Whether no step was kept: a mistyped first attempt stands in nobody's way."""
    kept = state.finished or run.bundle.exists() or any(run.path.glob("*.ckpt"))
    return state.plan is None or not (resume or kept)


def _changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """The names of the options that differ, those of training and of the recipe among them."""
    changed: list[str] = []
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            changed += _changed(old, new)
        elif old != new:
            changed.append(name)
    return changed


def _same_images(run: TrainedRun, state: RunState, images: ImageSet) -> RunState:
    if state.fingerprint not in (None, images.fingerprint):
        raise InputError(
            f"{run.path}: a run must be resumed on the images it was begun with. Got others: files"
            f" of {images.source} were added, removed or changed. Restore them, or begin a new run"
            " in another folder."
        )
    state = state.model_copy(update={"fingerprint": images.fingerprint})
    run.write_state(state)
    return state


def _fit(
    run: TrainedRun, state: RunState, images: ImageSet, watcher: Watcher, session: FitSession
) -> Fitted:
    options = state.options

    def on_plan(plan: TrainingPlan) -> None:
        if is_follower():
            return
        run.write_state(run.read_state().model_copy(update={"plan": asdict(plan)}))
        length = f"{count(plan.epochs, 'epoch')} of {count(plan.steps_per_epoch, 'step')}"
        watcher.note(f"training: {length}, in {'bfloat16' if plan.bfloat16 else 'float32'}")

    def on_choice(recipe: Recipe) -> None:
        choice = {"recipe": recipe.name, "options": recipe.model_dump(mode="json")}
        run.write_state(run.read_state().model_copy(update={"choice": choice}))

    session = replace(
        session,
        plan=state.training_plan(),
        recipe=state.chosen_recipe(),
        on_plan=on_plan,
        on_choice=on_choice,
        on_step=watcher.on_step,
        on_epoch=watcher.on_epoch,
        on_note=watcher.on_note,
    )
    if isinstance(options, ClassifyOptions):
        fitted = _fit_classes(options, images, watcher, session)
    else:
        fitted = _fit_images(options, images, watcher, session)
    fingerprints = {
        **fitted.bundle.config.fingerprints,
        "test": images.test.fingerprint,
        "calibration": fitted.parts.get("calibration", images.calibration).fingerprint,
    }
    config = fitted.bundle.config.model_copy(update={"fingerprints": fingerprints})
    return replace(fitted, bundle=replace(fitted.bundle, config=config))


def _fit_images(
    options: RecipeOptions, images: ImageSet, watcher: Watcher, session: FitSession
) -> Fitted:
    """A reconstructor or a detector, which learn from images alone."""
    train, left_out = _train_images(images, options)
    if options.job == "detect" and images.normal is None:
        watcher.note(
            f"no label names the normal images: all {len(train):,} training images are assumed"
            " to be normal"
        )
    if left_out:
        watcher.note(f"{left_out} images of other classes in train were left out and counted")
    calibration = images.calibration
    return fit(options, train, calibration if len(calibration) else None, session)


def _fit_classes(
    options: ClassifyOptions, images: ImageSet, watcher: Watcher, session: FitSession
) -> Fitted:
    """A classifier, which learns from labels too."""
    if len(images.train) == 0:
        raise InputError(_no_train(options))
    train, calibration, told = labelled_parts(images, options)
    if told is not None:
        watcher.note(told)
    fitted = fit(options, train, calibration, session)
    return fitted if told is None else replace(fitted, notes=(told, *fitted.notes))


def _no_train(options: SharedOptions) -> str:
    return (
        f"{options.source}: there must be images to train on. The train part is empty. Check the"
        " split column or folders."
    )


def _train_images(images: ImageSet, options: RecipeOptions) -> tuple[ImageSet, int]:
    train = images.train
    if len(train) == 0:
        raise InputError(_no_train(options))
    if options.job == "reconstruct" and options.normal is None:
        return train, 0
    labels = images.labels
    if (
        images.normal is None
        and labels is not None
        and len({str(label) for label in labels if label is not None}) > 1
    ):
        names = sorted({str(label) for label in labels if label is not None})
        shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
        raise LabelError(
            f"{options.source}: with several labels, the normal ones must be named. Got the labels"
            f" {shown}. Pass --normal LABEL (or several, separated by commas)."
        )
    normals, left_out = normals_of(train)
    if len(normals) == 0:
        raise LabelError(
            f"{options.source}: train must hold normal images. Got {len(train)} images, none of"
            " them normal. Check --normal."
        )
    return normals, left_out


def _parts(fitted: Fitted, images: ImageSet) -> dict[str, ImageSet]:
    fitted_on = {"train": fitted.parts["fitted"], "validation": fitted.parts["validation"]}
    calibration = fitted.parts.get("calibration", images.calibration)
    left = images[np.flatnonzero(images.splits != "test")].without(
        calibration, *fitted.parts.values()
    )
    return {**fitted_on, "calibration": calibration, "test": images.test, "left out": left}
