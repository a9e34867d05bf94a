"""How Keras turns hits into one number: its versions, its shape fitting, its weights and masks.

Follows Keras 3.15 (``reduce_to_samplewise_values``, ``squeeze_or_expand_to_same_rank``,
``apply_mask``); where versions differ, the constants below name the first that has the newer
behaviour.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, is_tensor
from residua.errors import RangeError, ShapeError

Version = tuple[int, int]

OLDEST: Version = (1, 0)
# Before, the loss had a say, and binary accuracy rounded instead of comparing.
SHAPES_DECIDE: Version = (2, 4)
KERAS_3: Version = (3, 0)
LABELS_TAKE_PREDICTION_DTYPE: Version = (3, 4)
THRESHOLD_UNCHECKED: Version = (3, 5)
MASK_WITHOUT_WEIGHTS: Version = (3, 12)
_NEWEST_OF = {"1": (1, 2), "2": (2, 15), "3": (3, 999)}  # what a major version alone stands for


def parse_version(where: str, version: str) -> Version:
    """(major, minor) of ``"X.Y"`` or ``"X.Y.Z"``; a major number alone is its newest release."""
    text = str(version).strip()
    found = re.fullmatch(r"(\d+)\.(\d+)(\..*)?", text)
    parsed: Version = _NEWEST_OF.get(text, (int(found[1]), int(found[2])) if found else (0, 0))
    if not OLDEST <= parsed < (4, 0):
        raise RangeError(
            f"{where}: version must be a Keras version from 1.0 to 3. Got {version!r}. Pass"
            " '3', or 'X.Y' such as '2.3'."
        )
    return parsed


def as_tensor(values: Any, name: str, problems: Problems) -> NDArray[Any]:
    """The array that Keras would make.

    NumPy arrays keep their type, Python numbers become float32 or integers.
    """
    # Keras counts in the type that it gets, so 16 bits stay.
    array = np.asarray(values.detach().cpu() if is_tensor(values) else values)
    if array.dtype == np.float64 and not isinstance(values, np.ndarray | np.generic):
        array = array.astype(np.float32)
    # "V" is how NumPy files types it did not bring itself: bfloat16 and float8 of ml_dtypes.
    if array.dtype.kind not in "biufV" or array.dtype.names is not None:
        return problems.instead(
            np.zeros(1, np.float32),
            f"{name} must be numbers",
            f"dtype {array.dtype}",
            "Convert them; class names to indices",
            RangeError,
        )
    if array.ndim == 0:
        return problems.instead(
            np.zeros(1, np.float32),
            f"{name} must have at least one axis",
            "a single number",
            "Pass one row a sample",
            ShapeError,
        )
    return array


def same_rank(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Make ranks agree that differ by a last axis of 1, as Keras does.

    That axis is dropped, or given to the other where that has rank 1.
    """
    if x.ndim == y.ndim + 1 and x.shape[-1] == 1:
        return (x, y[..., np.newaxis]) if y.ndim == 1 else (x[..., 0], y)
    if y.ndim == x.ndim + 1 and y.shape[-1] == 1:
        return (x[..., np.newaxis], y) if x.ndim == 1 else (x, y[..., 0])
    return x, y


def mean_of_hits(
    where: str, hits: NDArray[Any], sample_weight: Any, mask: Any, version: Version
) -> float:
    """sum(v w) / sum(w), 0.0 where nothing counts.

    A lower-rank weight takes the mean of what it covers.
    """
    weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
    if mask is not None and (weight is not None or not KERAS_3 <= version < MASK_WITHOUT_WEIGHTS):
        weight = _masked(where, weight, np.asarray(mask).astype(bool).astype(np.float64))
    if weight is None:
        return float(hits.mean(dtype=np.float64)) if hits.size else 0.0
    values, weight = same_rank(hits.astype(np.float64), weight)
    if values.ndim > weight.ndim:
        values = values.mean(axis=tuple(range(weight.ndim, values.ndim)))
    weight = _broadcast(where, weight, values.shape)
    total = float(weight.sum())
    return float((values * weight).sum()) / total if total else 0.0


def _masked(
    where: str, weight: NDArray[np.float64] | None, mask: NDArray[np.float64]
) -> NDArray[np.float64]:
    if weight is None:
        return mask
    mask, weight = same_rank(mask, weight)
    return weight * _broadcast(where, mask, weight.shape)


def _broadcast(
    where: str, weight: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64]:
    if len(weight.shape) > len(shape) or any(
        a not in (1, b) for a, b in zip(weight.shape[::-1], shape[::-1], strict=False)
    ):
        raise ShapeError(
            f"{where}: sample_weight and mask must fit the samples. Got {weight.shape} for values"
            f" of shape {shape}. Pass one weight a sample."
        )
    return np.broadcast_to(weight, shape)
