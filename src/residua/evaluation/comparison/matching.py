"""Which images several models were tested on: by the hashes of their pixels, whatever their
paths.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def common_rows(hashes: Sequence[NDArray[Any]]) -> list[NDArray[np.int64]]:
    """Rows of each set that hold the same images in the same order, that of the first set.

    An image that occurs several times is matched as often as it occurs in every set.

    Parameters
    ----------
    hashes : sequence of arrays of str, (n_images,) each

    Examples
    --------
    >>> rows = common_rows([np.array(["a", "b", "c"]), np.array(["c", "x", "a"])])
    >>> [one.tolist() for one in rows]
    [[0, 2], [2, 0]]
    """
    keyed = [_numbered(one) for one in hashes]
    places = [{key: row for row, key in enumerate(keys)} for keys in keyed]
    shared = [key for key in keyed[0] if all(key in place for place in places[1:])]
    return [np.array([place[key] for key in shared], np.int64) for place in places]


def _numbered(hashes: NDArray[Any]) -> list[tuple[str, int]]:
    """Each hash with how often it came before."""
    seen: Counter[str] = Counter()
    keys = []
    for one in map(str, hashes.tolist()):
        keys.append((one, seen[one]))
        seen[one] += 1
    return keys
