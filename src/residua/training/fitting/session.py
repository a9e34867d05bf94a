"""A fit: what it works with beside its options, its images, network and trainings while it is under
way, and what it leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from residua._log import logger
from residua.images import ImageSet
from residua.training.bundle import Bundle, build_graph
from residua.training.loop.batches import TrainingData
from residua.training.loop.settings import (
    Epoch,
    EpochReport,
    StepReport,
    TrainingSettings,
    is_busy,
    training_threads,
)
from residua.training.loop.train import TrainingPlan, TrainingResult, plan_training, train_network
from residua.training.networks import ImageShape, n_parameters
from residua.training.recipes import Recipe
from residua.training.recipes.base import Trainable
from residua.training.scoring.engine import Scores, prepared_chunks, prepared_one_by_one
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.image_list import ImageList
from residua.training.scoring.prepare import Prepare
from residua.training.scoring.prepared_store import PreparedStore

Note = Callable[[str], None]
_log = logger("fit")


@dataclass(frozen=True)
class FitSession:
    """Memory, the state to go on from, and who watches.

    `plan` and `recipe` are what was decided before training was stopped; a `recipe` made by hand
    may stand there too.
    """

    memory_megabytes: float = 2048
    checkpoint: Path | None = None
    checkpoint_seconds: float = 10.0
    resume: bool = False
    plan: TrainingPlan | None = None
    recipe: Recipe | None = None
    on_plan: Callable[[TrainingPlan], None] | None = None
    on_choice: Callable[[Recipe], None] | None = None
    on_step: StepReport | None = None
    on_epoch: EpochReport | None = None
    on_note: Note | None = None


@dataclass(frozen=True)
class Fitted:
    """A bundle and how it came about.

    `train_sample` are scores of some training images; None where the model keeps those images.
    """

    bundle: Bundle
    trained: TrainingResult
    notes: tuple[str, ...]
    parts: dict[str, ImageSet]
    train_sample: Scores | None


class Notes:
    """What was decided on the way, kept and told."""

    def __init__(self, tell: Note | None) -> None:
        self.told: list[str] = []
        self._tell = tell

    def add(self, text: str) -> None:
        """Keep a sentence and tell it."""
        self.told.append(text)
        _log.info("%s", text)
        if self._tell is not None:
            self._tell(text)

    def add_if_busy(self, n_threads: int) -> None:
        """Say that others want the processor too: threads that wait are many times slower then."""
        if n_threads > 1 and is_busy():
            self.add(
                f"the machine is busy: training waits for {n_threads} threads a step, and --threads"
                " 1 may be faster"
            )


class Hold:
    """Prepares images and keeps them in memory or, beyond the bound, in a file."""

    def __init__(self, session: FitSession) -> None:
        self.store = PreparedStore(
            session.memory_megabytes,
            None if session.checkpoint is None else session.checkpoint.parent,
        )

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
        return self.store.keep(
            prepared_chunks(prepare, images, keep_float=keep_float),
            (len(images), images.channels, *prepare.size),
            dtype,
        )


@dataclass(frozen=True)
class FitWork:
    """A recipe (or a strategy), the size that its network sees, and the images it learns from.

    `settings` are those asked for, with what was chosen by itself filled in.
    """

    recipe: Recipe
    prepare: Prepare
    fitted_on: ImageSet
    validation: ImageSet
    settings: TrainingSettings
    session: FitSession
    notes: Notes

    @cached_property
    def trainings(self) -> list[TrainingPlan]:
        """The plans of the trainings that were begun."""
        return []

    @cached_property
    def hold(self) -> Hold:
        """Keeps prepared images."""
        return Hold(self.session)

    def prepared(self, images: ImageSet, *, keep_float: bool = False) -> Any:
        """Images as the network sees them, in memory or in a file."""
        return self.hold(self.prepare, images, keep_float=keep_float)

    def fresh_network(self) -> Any:
        """A network with weights drawn by the seed, or those that others trained."""
        torch.manual_seed(self.settings.seed)
        network = self.recipe.build_network(ImageShape(*self.prepare.size, self.fitted_on.channels))
        self.recipe.load_pretrained(network)
        return network

    def begin(self) -> Any:
        """The first network, told of; before it, whether the prepared images needed a file."""
        self.tell_of_file()
        network = self.fresh_network()
        self.tell_of_network(network)
        return network

    def tell_of_file(self) -> None:
        """Say so if the prepared images needed a file."""
        if stored := self.hold.store.stored_bytes:
            self.notes.add(
                f"prepared images beyond {self.session.memory_megabytes:g} MB lie in a file of"
                f" {stored / 2**20:,.0f} MB; the batches are those of memory"
            )

    def tell_of_network(self, network: Any) -> None:
        """Say what the network is and how large."""
        self.notes.add(
            f"network: {self.recipe.describe(network)}, {n_parameters(network):,} parameters"
        )

    def plan(
        self, trainable: Trainable, network: Any, train: TrainingData, *, share: float = 1.0
    ) -> TrainingPlan:
        """The plan of the session, else a new one, for which `share` of the minutes may be used."""
        settings = self.settings
        if settings.minutes is not None:
            settings = settings.model_copy(update={"minutes": share * settings.minutes})
        with self.threads() as n_threads:
            self.notes.add_if_busy(n_threads)
            plan = self.session.plan or plan_training(trainable, network, train, settings)
        if self.session.on_plan is not None:
            self.session.on_plan(plan)
        return plan

    def train(  # noqa: PLR0917  as `train_network`, which needs all of them
        self,
        trainable: Trainable,
        network: Any,
        train: TrainingData,
        validation: TrainingData,
        plan: TrainingPlan,
        checkpoint: Path | None,
        on_step: StepReport | None = None,
    ) -> TrainingResult:
        """Train `network` as the session has it."""
        self.trainings.append(plan)
        training = len(self.trainings)

        def on_epoch(epoch: Epoch) -> Any:
            epoch = replace(epoch, training=training)
            _log.debug(
                "epoch %d of %d: training loss %.6g, validation loss %.6g, %.2f s",
                epoch.epoch,
                epoch.n_epochs,
                epoch.train_loss,
                epoch.validation_loss,
                epoch.seconds,
            )
            return None if self.session.on_epoch is None else self.session.on_epoch(epoch)

        with self.threads():
            return train_network(
                trainable,
                network,
                train,
                validation,
                self.settings,
                plan,
                checkpoint=checkpoint,
                resume=self.session.resume,
                checkpoint_seconds=self.session.checkpoint_seconds,
                on_step=on_step or self.session.on_step,
                on_epoch=on_epoch,
            )

    def graph(self, network: Any) -> InferenceGraph:
        """The graph around a trained network, its score not fitted yet."""
        return build_graph(self.recipe, network, self.prepare.size, self.prepare.aspect)

    def checkpoint(self, ending: str = "") -> Path | None:
        """Where a training keeps its state: those after the first beside that of the first."""
        path = self.session.checkpoint
        return path and path.with_name(f"{path.stem}{ending and f'-{ending}'}{path.suffix}")

    def threads(self) -> Any:
        """Within it, as many threads compute as were asked for, or as suit the images."""
        height, width = self.prepare.size
        return training_threads(self.settings.threads, height * width)


@dataclass(frozen=True)
class TrainedModel:
    """A trained graph, the images it was made from, and what its job records beside."""

    graph: InferenceGraph
    trained: TrainingResult
    fitted_on: ImageSet
    validation: ImageSet
    facts: dict[str, Any] = field(default_factory=dict)
