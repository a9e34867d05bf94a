"""How fast engines are, measured side by side on one machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines.interface import Engine
from residua.images import ImageSet

_TURNS = 5
_SECONDS = 0.15  # that a turn takes at least


def images_a_second(
    engines: Mapping[str, Engine],
    images: ImageSet,
    batches: Sequence[int],
    *,
    turns: int = _TURNS,
    tiles: int = 1,
    on_turn: Callable[[int, int], None] | None = None,
) -> dict[str, dict[int, float]]:
    """Median images a second of each engine at each batch size.

    They take turns, so that a busy moment hits all alike.

    Score and decision only, from decoded images in memory. Fewer images than a batch are repeated
    to fill it. Where an image is seen in `tiles`, a batch holds as many images as make its size.
    """
    lengths = {n: max(1, n // tiles) for n in batches}
    pictures = {
        n: list(islice(cycle(images[row] for row in range(min(length, len(images)))), length))
        for n, length in lengths.items()
    }
    for engine in engines.values():
        for batch in pictures.values():
            _score(engine, batch)
    found: dict[str, dict[int, list[float]]] = {name: {n: [] for n in batches} for name in engines}
    for turn in range(turns):
        for name, engine in engines.items():
            for n, batch in pictures.items():
                found[name][n].append(_rate(engine, batch))
        if on_turn is not None:
            on_turn(turn + 1, turns)
    return {
        name: {n: float(np.median(rates)) for n, rates in one.items()}
        for name, one in found.items()
    }


def _rate(engine: Engine, batch: Sequence[NDArray[Any]]) -> float:
    done, elapsed, start = 0, 0.0, time.perf_counter()
    while elapsed < _SECONDS:
        _score(engine, batch)
        done += len(batch)
        elapsed = time.perf_counter() - start
    return done / elapsed


def _score(engine: Engine, batch: Sequence[NDArray[Any]]) -> None:
    engine.score(batch, columns=False)
