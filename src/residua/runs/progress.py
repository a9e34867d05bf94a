"""Who is told how a run gets on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from residua.training.loop.settings import EpochReport, StepReport


@dataclass(frozen=True)
class Watcher:
    """Who is told how a run gets on; all of it is optional."""

    on_read: Callable[[int, int], None] | None = None
    on_note: Callable[[str], None] | None = None
    on_step: StepReport | None = None
    on_epoch: EpochReport | None = None

    def note(self, text: str) -> None:
        """Tell a sentence."""
        if self.on_note is not None:
            self.on_note(text)
