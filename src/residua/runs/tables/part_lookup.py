"""The part of each image of a run, looked up by path.

It takes 9 bytes per image, where a dictionary takes two hundred.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images.columns import strings


@dataclass(frozen=True)
class PartLookup:
    """The part of an image by its path.

    Paths are kept as 64-bit digests, sorted: of a million, two coincide once in 4e7 runs.
    """

    keys: NDArray[np.uint64]
    codes: NDArray[np.uint8]
    names: tuple[str, ...]

    @classmethod
    def of(cls, paths: Iterable[str], parts: NDArray[Any]) -> PartLookup:
        """From the columns that `fit` recorded."""
        keys = _keys(paths, len(parts))
        numbers: dict[str, int] = {}
        codes = np.fromiter(
            (numbers.setdefault(part, len(numbers)) for part in parts), np.uint8, len(parts)
        )
        order = np.argsort(keys, kind="stable")
        return cls(keys[order], codes[order], tuple(numbers))

    def find(self, paths: Iterable[str], n: int) -> NDArray[Any]:
        """The part of each of `n` paths, None where it was not recorded; object array.

        >>> lookup = PartLookup.of(["a.png", "b.png"], np.array(["train", "test"], object))
        >>> lookup.find(["b.png", "c.png"], 2).tolist()
        ['test', None]
        """
        wanted = _keys(paths, n)
        place = np.searchsorted(self.keys, wanted)
        place[place == len(self.keys)] = 0
        found = (
            np.full(n, -1)
            if not len(self.keys)
            else np.where(self.keys[place] == wanted, self.codes[place].astype(np.int64), -1)
        )
        return strings((*self.names, None))[found]


def _keys(paths: Iterable[str], n: int) -> NDArray[np.uint64]:
    digests = (
        hashlib.blake2b(path.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        for path in paths
    )
    return np.fromiter((int.from_bytes(digest, "big") for digest in digests), np.uint64, n)
