"""Scores that cannot depend on their neighbours, from engines whose batches might make them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from residua.engines.interface import Endable, Engine, Scores, join_scores

_AT_ONCE = 16


class OneByOne:
    """An engine that runs `engine` on one image at a time.

    So no score depends on company, bit for bit.

    Exported files take as many images as there are, and runtimes choose other kernels for another
    number: last digits may follow. ``batch_size`` is how many images it likes to be handed at once,
    not how many run together.
    """

    batch_size = _AT_ONCE

    def __init__(self, engine: Engine) -> None:
        self._engine, self.name = engine, engine.name

    def end(self) -> None:
        """End what `engine` runs now, where it can be ended."""
        if isinstance(self._engine, Endable):
            self._engine.end()

    def score(
        self,
        images: Sequence[NDArray[Any]],
        *,
        maps: bool = False,
        reconstructions: bool = False,
        columns: bool = True,
    ) -> Scores:
        """Scores of decoded images, in order, each from a run of its own."""
        alone = [[image] for image in images] or [[]]
        return join_scores(
            [
                self._engine.score(one, maps=maps, reconstructions=reconstructions, columns=columns)
                for one in alone
            ]
        )
