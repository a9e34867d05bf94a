"""Train a recipe's network on prepared images, on Lightning."""

from __future__ import annotations

import copy
import logging
import pickle
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.errors import BundleError
from residua.training.loop.augmentation import check_names
from residua.training.loop.batches import LabelledImages, TrainingData, make_batches, seeded
from residua.training.loop.devices import find_device
from residua.training.loop.optimisers import make_optimiser
from residua.training.loop.processes import is_spread, shared_statistics
from residua.training.loop.settings import EpochReport, StepReport, TrainingSettings, uses_bfloat16
from residua.training.recipes.base import LabelledBatch, Trainable
from residua.training.scoring.image_list import n_pixels

if TYPE_CHECKING:
    import lightning as L

HISTORY = ("epoch", "train_loss", "validation_loss", "seconds")
"""The columns of a history, a row an epoch."""
_CHECKPOINT_PARTS = frozenset(
    {"state_dict", "optimizer_states", "lr_schedulers", "loops", "callbacks"}
)
_LIGHTNING_LOGGERS = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.pytorch.accelerators.cuda",
    "lightning.pytorch",
)
_WARM_UP_SECONDS = 4.0  # of timed steps, before --minutes becomes a number of steps
_BUDGET_SHARE = 0.95  # the rest of --minutes is for loading, scoring and saving


@dataclass(frozen=True)
class TrainingPlan:
    """How many steps a run takes, decided once and stored, so that resuming repeats it."""

    epochs: int
    steps_per_epoch: int
    bfloat16: bool

    @property
    def n_steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch


@dataclass(frozen=True)
class TrainingResult:
    """What training leaves: the history's columns, best epoch (from 1), seconds, device."""

    history: dict[str, NDArray[Any]]
    best_epoch: int
    seconds: float
    plan: TrainingPlan
    device: str
    threads: int


def plan_training(
    recipe: Trainable, network: torch.nn.Module, train: TrainingData, settings: TrainingSettings
) -> TrainingPlan:
    """Epochs, or minutes by timing a few steps on a copy, as a number of steps."""
    check_names(settings.augment)
    steps = len(
        make_batches(
            train, batch_size=batch_size_of(recipe, settings), seed=settings.seed, shuffle=True
        )
    )
    bfloat16 = uses_bfloat16(
        settings.precision,
        n_pixels(train.images if isinstance(train, LabelledImages) else train),
        on_gpu=find_device(settings.device).type == "cuda",
    )
    if settings.minutes is None:
        return TrainingPlan(settings.epochs or recipe.schedule.n_epochs(steps), steps, bfloat16)
    seconds_per_step = _time_steps(recipe, network, train, settings, bfloat16=bfloat16)
    affordable = max(1, int(settings.minutes * 60 * _BUDGET_SHARE / seconds_per_step))
    return TrainingPlan(max(1, affordable // steps), min(steps, affordable), bfloat16)


def train_network(  # noqa: PLR0917
    recipe: Trainable,
    network: torch.nn.Module,
    train: TrainingData,
    validation: TrainingData,
    settings: TrainingSettings,
    plan: TrainingPlan,
    *,
    checkpoint: Path | None = None,
    resume: bool = False,
    checkpoint_seconds: float = 10.0,
    on_step: StepReport | None = None,
    on_epoch: EpochReport | None = None,
) -> TrainingResult:
    """Minimise the recipe's loss on `train`, and leave the best weights in `network`.

    Best are those with the lowest loss on `validation`.

    Both are prepared images, uint8 or float32 (n, channels, height, width) or a list, with targets
    where the loss asks for them. With `resume` and a checkpoint there, training goes on from it and
    ends where the uninterrupted run would have ended.
    """
    # Lightning takes four seconds to load, which only training should cost.
    from residua.training.loop.lightning_parts import (
        Checkpoints,
        History,
        RecipeModule,
        Seeds,
        averaging,
    )

    batch_size = batch_size_of(recipe, settings)
    batches = make_batches(
        train, batch_size=batch_size, seed=settings.seed, shuffle=True, limit=plan.steps_per_epoch
    )
    held_out = make_batches(validation, batch_size=batch_size, seed=settings.seed, shuffle=False)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module = RecipeModule(recipe, network, settings, plan.n_steps)
    history = History(
        settings.patience or max(10, plan.epochs // 5),
        on_step,
        on_epoch=on_epoch,
        keep=recipe.schedule.keep if settings.patience is None else "best",
    )
    callbacks: list[L.Callback] = [Seeds(batches, settings.seed), history]
    if recipe.schedule.average:
        # After the history, which must see the averages.
        callbacks.append(averaging(recipe.schedule.average))
    if checkpoint is not None:
        callbacks.append(Checkpoints(checkpoint, checkpoint_seconds))
    start_from = _resumable(checkpoint) if resume and checkpoint is not None else None
    started = time.perf_counter()
    with _quiet_lightning():
        trainer = _trainer(settings, plan, callbacks)
        try:
            with shared_statistics(network, spread=is_spread(settings)):
                trainer.fit(module, batches, held_out, ckpt_path=start_from)
        except SystemExit as ended:  # what Lightning makes of Ctrl-C
            if isinstance(ended.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
            raise
    if trainer.global_rank:  # the first process has the same weights, and goes on alone
        raise SystemExit(0)
    network.load_state_dict(history.best)
    network.cpu().eval()
    return TrainingResult(
        history={name: np.array([row[name] for row in history.rows]) for name in history.rows[0]},
        best_epoch=history.best_epoch + 1,
        seconds=float(sum(row["seconds"] for row in history.rows)) or time.perf_counter() - started,
        plan=plan,
        device=_device_words(trainer),
        threads=torch.get_num_threads(),
    )


def batch_size_of(recipe: Trainable, settings: TrainingSettings) -> int:
    """Images a step: as asked, else as the recipe has it."""
    return settings.batch_size or recipe.schedule.batch_size


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Without Lightning's advice, which is not for our users; its loggers are then as before."""
    levels = {logger: logger.level for logger in map(logging.getLogger, _LIGHTNING_LOGGERS)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in levels:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in levels.items():
                logger.setLevel(level)


def _trainer(
    settings: TrainingSettings, plan: TrainingPlan, callbacks: list[L.Callback]
) -> L.Trainer:
    import lightning as L

    from residua.training.loop.lightning_parts import AtomicCheckpoints

    device = find_device(settings.device)
    return L.Trainer(
        accelerator=device.type,
        devices=settings.devices if device.index is None else [device.index],
        num_nodes=settings.nodes,
        strategy="ddp" if is_spread(settings) else "auto",
        use_distributed_sampler=False,
        precision="bf16-mixed" if plan.bfloat16 else "32-true",
        max_epochs=plan.epochs,
        callbacks=callbacks,
        plugins=[AtomicCheckpoints()],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


def _resumable(checkpoint: Path) -> Path | None:
    if not checkpoint.exists():
        return None
    try:
        with warnings.catch_warnings():
            # What torch thinks of a foreign file, the error says better.
            warnings.simplefilter("ignore")
            state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        if not isinstance(state, dict) or not state.keys() >= _CHECKPOINT_PARTS:
            raise ValueError("a file without the state of training")  # noqa: TRY301  said in one place with the others
    except (
        RuntimeError,
        EOFError,
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        pickle.UnpicklingError,
    ) as error:
        raise BundleError(
            f"{checkpoint}: the checkpoint must be a whole file that residua wrote. Got: {error}."
            " Delete it to start again."
        ) from error
    return checkpoint


def _time_steps(
    recipe: Trainable,
    network: torch.nn.Module,
    train: TrainingData,
    settings: TrainingSettings,
    *,
    bfloat16: bool,
) -> float:
    """Median seconds a step, on a copy, without the first ones, which compile."""
    copied = copy.deepcopy(network).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    device = find_device(settings.device)
    copied.to(device)
    optimiser = make_optimiser(copied, recipe.schedule, learning_rate=1e-5, weight_decay=0.0)
    batches = make_batches(
        train, batch_size=batch_size_of(recipe, settings), seed=settings.seed, shuffle=True
    )
    seconds: list[float] = []
    deadline = time.perf_counter() + _WARM_UP_SECONDS
    while time.perf_counter() < deadline or len(seconds) < 3:
        for batch in batches:
            started = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                loss = recipe.loss(
                    copied, _moved(batch, device), seeded(settings.seed, len(seconds))
                )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            wait_for(device)
            seconds.append(time.perf_counter() - started)
            if time.perf_counter() > deadline and len(seconds) >= 3:
                break
    return float(np.median(seconds[len(seconds) // 3 :]))


def wait_for(device: torch.device) -> None:
    """Wait until a device has done what it was given: a GPU works on while Python goes ahead."""
    if device.type != "cpu":
        getattr(torch, device.type).synchronize(device)


def _moved(batch: Tensor | LabelledBatch, device: torch.device) -> Tensor | LabelledBatch:
    return (
        LabelledBatch(*(part.to(device) for part in batch))
        if isinstance(batch, LabelledBatch)
        else batch.to(device)
    )


def _device_words(trainer: L.Trainer) -> str:
    device = trainer.strategy.root_device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device.type)
