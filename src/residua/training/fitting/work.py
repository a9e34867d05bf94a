"""A fit under way: its images, its network and its trainings, for every job alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from residua.images import ImageSet
from residua.training.bundle import build_graph
from residua.training.fitting.session import FitSession, Hold, Notes
from residua.training.loop.batches import TrainingData
from residua.training.loop.settings import StepReport, TrainingSettings, training_threads
from residua.training.loop.train import TrainingPlan, TrainingResult, plan_training, train_network
from residua.training.networks import ImageShape, n_parameters
from residua.training.recipes import Recipe
from residua.training.recipes.base import Trainable
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.prepare import Prepare


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
        if stored := self.hold.store.stored_bytes:
            self.notes.add(
                f"prepared images beyond {self.session.memory_megabytes:g} MB lie in a file of"
                f" {stored / 2**20:,.0f} MB; the batches are those of memory"
            )
        network = self.fresh_network()
        self.notes.add(
            f"network: {self.recipe.describe(network)}, {n_parameters(network):,} parameters"
        )
        return network

    def plan(
        self, trainable: Trainable, network: Any, train: TrainingData, *, share: float = 1.0
    ) -> TrainingPlan:
        """The plan of the session, else a new one, for which `share` of the minutes may be used."""
        settings = self.settings
        if settings.minutes is not None:
            settings = settings.model_copy(update={"minutes": share * settings.minutes})
        with self._threads() as n_threads:
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
        with self._threads():
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
            )

    def graph(self, network: Any) -> InferenceGraph:
        """The graph around a trained network, its score not fitted yet."""
        return build_graph(self.recipe, network, self.prepare.size, self.prepare.aspect)

    def checkpoint(self, ending: str = "") -> Path | None:
        """Where a training keeps its state: those after the first beside that of the first."""
        path = self.session.checkpoint
        return path and path.with_name(f"{path.stem}{ending and f'-{ending}'}{path.suffix}")

    def _threads(self) -> Any:
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
