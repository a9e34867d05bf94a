"""Which images a report shows, and which training image is nearest to each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_EACH = 8
_ASKED_AT_ONCE = 64


def choose_images(
    scores: NDArray[Any], is_anomalous: NDArray[np.bool_] | None, threshold: float | None
) -> NDArray[np.int64]:
    """The worst and the best images; of labelled ones also the most missed, the falsest alarms, and
    examples of each kind.
    """
    order = np.argsort(scores, kind="stable")
    chosen = [order[::-1][:_EACH], order[:_EACH]]
    if is_anomalous is not None:
        normal, anomalous = order[~is_anomalous[order]], order[is_anomalous[order]]
        chosen += [anomalous[:_EACH], anomalous[::-1][:_EACH], normal[::-1][:_EACH], normal[:_EACH]]
        if threshold is not None:
            near = order[np.argsort(np.abs(scores[order] - threshold), kind="stable")]
            chosen.append(near[:_EACH])
    return np.unique(np.concatenate(chosen)).astype(np.int64)


def nearest_rows(known: NDArray[np.float32], asked: NDArray[np.float32]) -> NDArray[np.int64]:
    """Which of `known` is nearest to each of `asked` by Euclidean distance; the first of
    several.
    """
    flat, wanted = (array.reshape(len(array), -1) for array in (known, asked))
    squares = np.einsum("ij,ij->i", flat, flat)
    best = np.empty(len(wanted), np.int64)
    for start in range(0, len(wanted), _ASKED_AT_ONCE):
        part = slice(start, start + _ASKED_AT_ONCE)
        best[part] = (squares - 2 * wanted[part] @ flat.T).argmin(axis=1)
    return best
