"""In which order images are asked about: what is worth a label first, and a share at random."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from math import floor
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_ASKED = 10_000
FLAGGED, NEAR, UNLIKE, DRAWN = (
    "flagged",
    "near the threshold",
    "unlike the others",
    "drawn at random",
)


@dataclass(frozen=True)
class Draw:
    """An image of the random share.

    It counts from the moment that the first `after` images of the queue are answered: whether it
    counts must not depend on whether it had been asked already.
    """

    row: int
    is_flagged: bool
    after: int


@dataclass
class Queue:
    """Rows of a table of scores in the order asked, with reasons; ``draws`` are random."""

    rows: list[int] = field(default_factory=list)
    why: list[str] = field(default_factory=list)
    draws: list[Draw] = field(default_factory=list)


def draw_key(path: str) -> int:
    """A number by which images are drawn.

    It depends on the path alone, so that the draw goes on where it stopped, and takes in new images
    as if they had been there from the start.

    >>> draw_key("a.png") == draw_key("a.png"), draw_key("a.png") == draw_key("b.png")
    (True, False)
    """
    digest = hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


def order_images(
    scores: NDArray[np.float32],
    flagged: NDArray[np.bool_],
    keys: NDArray[np.uint64],
    *,
    share: float,
    unlike: Sequence[int] = (),
    most: int = MOST_ASKED,
) -> Queue:
    """The queue of images by their `scores` (n,), float32, higher = more anomalous.

    Flagged ones come first, in turn from the highest score and from the threshold, then those that
    are not, nearest to the threshold first. The rows in `unlike` are mixed in. Of every
    ``1 / share`` images one is drawn by its key, in turn from those that are `flagged` and those
    that are not.

    >>> scores = np.array([0.1, 0.9, 0.7, 0.4], np.float32)
    >>> order_images(scores, scores > 0.5, np.arange(4, dtype=np.uint64), share=0).rows
    [1, 2, 3, 0]
    """
    readable = np.flatnonzero(np.isfinite(scores))
    picks = _picks(scores, flagged, readable, unlike)
    by_key = readable[np.argsort(keys[readable], kind="stable")]
    drawn = {side: iter(by_key[flagged[by_key] == side].tolist()) for side in (True, False)}
    left = Counter(flagged[readable].tolist())  # images that were not asked yet
    queue, asked, turns, slot = Queue(), set[int](), cycle((True, False)), 0

    def ask(row: int, why: str) -> None:
        asked.add(row)
        left[bool(flagged[row])] -= 1
        queue.rows.append(row)
        queue.why.append(why)

    while len(asked) < min(len(readable), most):
        slot += 1
        if floor(slot * share) > floor((slot - 1) * share):
            side = next(turns)
            side = side if left[side] else not side  # of a side that is asked to the end all count
            row = next(drawn[side])
            if row not in asked:
                ask(row, DRAWN)
            queue.draws.append(Draw(row, side, len(queue.rows) + 1))
            continue
        pick = next((one for one in picks if one[0] not in asked), None)
        if pick is not None:
            ask(*pick)
    return queue


def _picks(
    scores: NDArray[np.float32],
    flagged: NDArray[np.bool_],
    readable: NDArray[np.int64],
    unlike: Sequence[int],
) -> Iterator[tuple[int, str]]:
    """Rows that are worth a label, best first; one may come twice."""
    falling = readable[np.argsort(-scores[readable], kind="stable")]
    for side in (True, False):
        high = falling[flagged[falling] == side]
        others = iter([row for row in unlike if flagged[row] == side])
        # Below the threshold the highest score is the nearest.
        turns: list[tuple[Any, str]] = [(iter(high.tolist()), FLAGGED if side else NEAR)]
        turns += [(iter(high[::-1].tolist()), NEAR)] if side else []
        turns.append((others, UNLIKE))
        for _ in range(len(high)):
            for stream, why in turns:
                row = next(stream, None)
                if row is not None:
                    yield row, why
