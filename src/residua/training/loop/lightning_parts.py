"""The pieces that Lightning runs.

The module, and callbacks for progress, history, best weights and checkpoints.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from residua._files import atomic_write
from residua.errors import TrainingError
from residua.training.loop.augmentation import augment
from residua.training.loop.batches import MemoryBatches, seeded
from residua.training.loop.optimisers import make_optimiser
from residua.training.loop.processes import share_of_loss
from residua.training.loop.settings import Epoch, EpochReport, StepReport, TrainingSettings
from residua.training.recipes.base import LabelledBatch, Trainable

_VALIDATION = 1  # a stream of random numbers of its own
_TRAINING = 0


class RecipeModule(L.LightningModule):
    """A recipe's network and loss; randomness follows from the seed and the step alone."""

    def __init__(
        self, recipe: Trainable, network: torch.nn.Module, settings: TrainingSettings, n_steps: int
    ) -> None:
        super().__init__()
        self.recipe, self.network, self.settings, self.n_steps = recipe, network, settings, n_steps
        self.learning_rate = settings.learning_rate or recipe.schedule.learning_rate
        self.weight_decay = (
            recipe.schedule.weight_decay if settings.weight_decay is None else settings.weight_decay
        )

    def training_step(self, batch: Tensor | LabelledBatch, batch_index: int) -> Tensor:
        """Loss of one batch; stops clearly when it is no longer a number."""
        numbers = (self.settings.seed, _TRAINING, self.global_step)
        generator = seeded(*numbers, self.global_rank) if self.global_rank else seeded(*numbers)
        loss = self.recipe.loss(self.network, self._augmented(batch, generator), generator)
        if not torch.isfinite(loss):
            raise TrainingError(
                f"fit: the loss must stay finite. Got {loss.item()} at step {self.global_step + 1}"
                f" of {self.n_steps}. Lower the learning rate (it is {self.learning_rate:g}), or"
                " train with --precision fp32."
            )
        return share_of_loss(loss, len(batch.images if isinstance(batch, LabelledBatch) else batch))

    def _augmented(
        self, batch: Tensor | LabelledBatch, generator: torch.Generator
    ) -> Tensor | LabelledBatch:
        if not self.settings.augment:
            return batch
        if isinstance(batch, LabelledBatch):
            return batch._replace(images=augment(batch.images, self.settings.augment, generator))
        return augment(batch, self.settings.augment, generator)

    def validation_step(self, batch: Tensor | LabelledBatch, batch_index: int) -> None:
        """Loss on the validation slice, in float32, with the same randomness every epoch."""
        generator = seeded(self.settings.seed, _VALIDATION, batch_index)
        with torch.autocast(self.device.type, enabled=False):
            loss = self.recipe.loss(self.network, batch, generator)
        self.log(
            "validation_loss",
            loss,
            batch_size=len(batch.images if isinstance(batch, LabelledBatch) else batch),
        )

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient's norm to 1; Lightning's own clipping refuses fused optimisers."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)

    def configure_optimizers(self) -> Any:
        """The recipe's optimiser under a one-cycle schedule over the whole run."""
        optimiser = make_optimiser(
            self.network,
            self.recipe.schedule,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
        )
        return {
            "optimizer": optimiser,
            "lr_scheduler": {
                "scheduler": torch.optim.lr_scheduler.LambdaLR(optimiser, one_cycle(self.n_steps)),
                "interval": "step",
            },
        }


def one_cycle(n_steps: int) -> Callable[[int], float]:
    """Factor on the learning rate.

    Up over the first tenth, then down along a cosine to a thousandth.
    """
    # torch's OneCycleLR warms up along a cosine: up to a tenth of the highest rate off this line.
    warm = max(1, n_steps // 10)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        progress = min(1.0, (step - warm) / max(1, n_steps - warm))
        return 0.001 + 0.999 * 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * progress))))

    return factor


class Seeds(L.Callback):
    """Sets the order of batches and torch's generator from the epoch's number.

    So resuming changes nothing.
    """

    def __init__(self, batches: MemoryBatches, seed: int) -> None:
        self.batches, self.seed = batches, seed

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Seed the epoch."""
        self.batches.epoch = trainer.current_epoch
        self.batches.rank, self.batches.world = trainer.global_rank, trainer.world_size
        torch.manual_seed(seeded(self.seed, 2, trainer.current_epoch).initial_seed())


class History(L.Callback):
    """A row an epoch, the best weights so far, and early stopping.

    All of it survives in checkpoints.
    """

    def __init__(
        self,
        patience: int,
        on_step: StepReport | None,
        *,
        on_epoch: EpochReport | None = None,
        keep: Literal["best", "last"] = "best",
    ) -> None:
        self.patience, self.on_step, self.on_epoch, self.keep = patience, on_step, on_epoch, keep
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}
        self.best_loss, self.best_epoch = float("inf"), -1
        self._losses: list[Tensor] = []
        self._started = time.perf_counter()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin a row."""
        self._losses = []
        self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *args: Any
    ) -> None:
        """Note the loss and tell who watches."""
        loss = outputs["loss"].detach()
        self._losses.append(loss)
        if self.on_step is not None:
            validation = self.rows[-1]["validation_loss"] if self.rows else None
            self.on_step(
                trainer.global_step,
                pl_module.n_steps,
                trainer.current_epoch + 1,
                float(loss),
                validation,
            )  # type: ignore[arg-type]

    def on_validation_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Complete the row; keep the weights if they are the best.

        Stop if there was nothing better for long.
        """
        validation = float(trainer.callback_metrics["validation_loss"])
        if not math.isfinite(validation):
            raise TrainingError(
                f"fit: the validation loss must stay finite. Got {validation} after epoch"
                f" {trainer.current_epoch + 1}. Lower the learning rate, or train with --precision"
                " fp32."
            )
        train = float(trainer.strategy.reduce(torch.stack(self._losses).mean(), reduce_op="mean"))
        self.rows.append(
            {
                "epoch": trainer.current_epoch + 1,
                "train_loss": train,
                "validation_loss": validation,
                "seconds": time.perf_counter() - self._started,
            }
        )
        if validation < self.best_loss or self.keep == "last":
            self.best_loss, self.best_epoch = validation, trainer.current_epoch
            weights = pl_module.network.state_dict()  # type: ignore[operator]
            self.best = {name: value.detach().clone() for name, value in weights.items()}
        elif trainer.current_epoch - self.best_epoch >= self.patience:
            trainer.should_stop = True
        if self._is_enough(trainer):
            trainer.should_stop = True

    def _is_enough(self, trainer: L.Trainer) -> bool:
        """Whether who is told of epochs wants no more; only the first process asks."""
        stop = False
        if self.on_epoch is not None and trainer.is_global_zero:
            row = {**self.rows[-1], "epoch": trainer.current_epoch + 1}
            stop = bool(self.on_epoch(Epoch(n_epochs=int(trainer.max_epochs or 0), **row)))
        return bool(trainer.strategy.broadcast(stop))

    def state_dict(self) -> dict[str, Any]:
        """Tensors and primitives only."""
        return {
            "rows": [dict(row) for row in self.rows],
            "best": self.best,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.rows, self.best = state_dict["rows"], state_dict["best"]
        self.best_loss, self.best_epoch = state_dict["best_loss"], state_dict["best_epoch"]


class Checkpoints(L.Callback):
    """Saves the whole state of training at the end of an epoch, at most every few seconds."""

    def __init__(self, path: Path, every_seconds: float) -> None:
        self.path, self.every_seconds = path, every_seconds
        self._last = time.monotonic()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Save if it is time, unless training stops early.

        A checkpoint does not say that it stopped, and resuming would go on.
        """
        if trainer.should_stop:
            return
        # Clocks differ; all processes have to save together.
        if trainer.strategy.broadcast(time.monotonic() - self._last >= self.every_seconds):
            trainer.save_checkpoint(self.path)
            self._last = time.monotonic()


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoint files, whole or absent, and read without executing anything."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write beside, sync, rename.

        By way of memory, since torch hides the system's error when a disk is full.
        """
        whole = io.BytesIO()
        torch.save(checkpoint, whole)
        with atomic_write(path) as file:
            file.write(whole.getbuffer())

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Tensors and primitives only."""
        return torch.load(path, map_location="cpu", weights_only=True)  # type: ignore[no-any-return]


_WARM = 10  # the decay of step n is at most (1 + n) / (10 + n)


def averaging(decay: float) -> WeightAveraging:
    """Lightning's averaging of weights and batch norm's statistics.

    The decay is ``decay`` once as many steps are past.

    Validation and what is kept after it see the averages, training goes on from the weights
    themselves; checkpoints hold both. Before, the decay of step n is (1 + n) / (10 + n): where
    training began is soon forgotten, however short it is.
    """

    def average(averaged: Tensor, current: Tensor, n_averaged: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():  # batch norm's count of batches
            return current
        n = int(n_averaged)
        return averaged.lerp(current, 1 - min(decay, (1 + n) / (_WARM + n)))

    return WeightAveraging(avg_fn=average)
