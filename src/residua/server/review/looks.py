"""Which images look unlike the others, so that few answers show many kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._files import atomic_write, read_arrays
from residua.errors import BundleError
from residua.images.listing import Progress
from residua.images.resize import fit_to

MOST_LOOKED_AT = 128  # images of each side of the threshold
_SIDE = 16
_FILE = "looks.npz"
_LEAST = _SIDE / 255  # the length of a contrast of one grey level: less is rounding

Read = Callable[[str], NDArray[Any] | None]
"""The pixels of an image, (h, w, c), uint8 or float32 in [0, 1], by its path; None where it cannot
be read."""


def look_of(pixels: NDArray[Any]) -> NDArray[np.float32]:
    """A small grey picture of an image, (256,), whatever its light and contrast.

    >>> bright = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    >>> bool(np.allclose(look_of(bright), look_of(bright // 2), atol=0.01))
    True
    """
    full = 255 if pixels.dtype == np.uint8 else 1
    grey = (pixels.mean(axis=-1, keepdims=True) / full).astype(np.float32)
    small = fit_to(grey[np.newaxis], (_SIDE, _SIDE)).ravel()
    small = small - small.mean()
    length = max(float(np.linalg.norm(small)), _LEAST)
    return np.asarray(small / length, np.float32)


def farthest_first(looks: NDArray[np.float32]) -> list[int]:
    """The rows of `looks` (n, d), from the first on each the one that is farthest from all before.

    >>> farthest_first(np.array([[0.0], [0.1], [5.0], [2.0]], np.float32))
    [0, 2, 3, 1]
    """
    order: list[int] = []
    distance = np.full(len(looks), np.inf, np.float32)
    for _ in range(len(looks)):
        row = int(np.argmax(distance)) if order else 0
        order.append(row)
        distance = np.minimum(distance, np.linalg.norm(looks - looks[row], axis=1))
        distance[row] = -1
    return order


def candidates(
    scores: NDArray[np.float32], flagged: NDArray[np.bool_], *, side: bool
) -> NDArray[np.int64]:
    """Rows that are looked at, the highest score first.

    Flagged ones lie evenly over their scores; of the others they are the nearest to the threshold.
    """
    rows = np.flatnonzero(np.isfinite(scores) & (flagged == side))
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    if not side or len(rows) <= MOST_LOOKED_AT:
        return rows[:MOST_LOOKED_AT]
    return rows[np.linspace(0, len(rows) - 1, MOST_LOOKED_AT).round().astype(np.int64)]


def unlike_others(
    sides: Sequence[NDArray[np.int64]],
    paths: Mapping[int, str],
    read: Read,
    folder: Path,
    progress: Progress | None = None,
) -> list[int]:
    """The rows of each of the `sides`, those first that look unlike all before.

    Looks are kept in `folder`, so that they are computed once.
    """
    known, order = _kept(folder), list[int]()
    n_new = sum(paths[int(row)] not in known for side in sides for row in side)
    done = 0
    for side in sides:
        rows, looks = [], []
        for row in side.tolist():
            path = paths[row]
            if path not in known:
                pixels, done = read(path), done + 1
                known[path] = None if pixels is None else look_of(pixels)
                if progress is not None:
                    progress(done, n_new)
            if (look := known[path]) is not None:
                rows.append(row)
                looks.append(look)
        if looks:
            order += [rows[place] for place in farthest_first(np.stack(looks))]
    if n_new:
        there = {path: look for path, look in known.items() if look is not None}
        with atomic_write(folder / _FILE) as file:
            np.savez(
                file,
                paths=np.array([path.encode() for path in there], np.bytes_),
                looks=np.array(list(there.values()), np.float32).reshape(-1, _SIDE**2),
            )
    return order


def _kept(folder: Path) -> dict[str, NDArray[np.float32] | None]:
    """The looks in `folder`; none where the file is not there or damaged: they are made again."""
    with suppress(BundleError, OSError, ValueError, KeyError):
        arrays = read_arrays(folder / _FILE)
        if arrays["looks"].shape[1:] == (_SIDE**2,):
            named = [path.decode() for path in arrays["paths"].tolist()]
            return dict(zip(named, arrays["looks"].astype(np.float32), strict=True))
    return {}
