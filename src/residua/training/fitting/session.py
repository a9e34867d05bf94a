"""What a fit works with beside its options, and what it leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from residua.images import ImageSet
from residua.training.bundle import Bundle
from residua.training.loop.settings import StepReport, is_busy
from residua.training.loop.train import TrainingPlan, TrainingResult
from residua.training.recipes import Recipe
from residua.training.scoring.engine import Scores, prepared_chunks, prepared_one_by_one
from residua.training.scoring.image_list import ImageList
from residua.training.scoring.prepare import Prepare
from residua.training.scoring.prepared_store import PreparedStore

Note = Callable[[str], None]


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
    on_note: Note | None = None


@dataclass(frozen=True)
class Fitted:
    """A bundle and how it came about."""

    bundle: Bundle
    trained: TrainingResult
    notes: tuple[str, ...]
    parts: dict[str, ImageSet]
    train_sample: Scores


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


class Hold:
    """Prepares images and keeps them within the bound on memory, else in a file beside the
    checkpoint.
    """

    def __init__(self, session: FitSession) -> None:
        folder = None if session.checkpoint is None else session.checkpoint.parent
        self.store = PreparedStore(session.memory_megabytes, folder)

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
