"""All scores of two classes in 4 bytes each, merged from many processes into exact metrics."""

from __future__ import annotations

import math
import struct
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from residua.errors import InputError
from residua.metrics._ranks import labelled_scores, sorted_class, twice_wins
from residua.metrics.ranking import summed_precision

_HEADER = struct.Struct("<4sBQQ")
_MAGIC = b"RXS1"


class ExactScores:
    """Sorted scores of both classes.

    4 bytes per float32 score, 8 as soon as one float64 score is among them.

    The state is a function of the scores alone, so its bytes and its metrics are the same whatever
    the order of updates and merges.

    Examples
    --------
    >>> first, second = ExactScores(), ExactScores()
    >>> first.update([0, 1], [0.1, 0.35])
    >>> second.update([0, 1], [0.4, 0.8])
    >>> first.merge(second).roc_auc()
    0.75
    """

    def __init__(self) -> None:
        self._positives: list[NDArray[Any]] = []
        self._negatives: list[NDArray[Any]] = []

    @property
    def n_scores(self) -> int:
        """How many scores went in."""
        return sum(map(len, self._positives)) + sum(map(len, self._negatives))

    def update(self, labels: Any, scores: Any) -> None:
        """Add scores, higher = more anomalous, with labels True or 1 = anomalous.

        NaN and infinities are refused.
        """
        truth, values = labelled_scores("ExactScores.update", labels, scores)
        # Adding 0 makes -0.0 a 0.0, so that equal scores are equal bytes.
        self._positives.append(sorted_class(truth, values, True) + 0.0)
        self._negatives.append(sorted_class(truth, values, False) + 0.0)

    def merge(self, other: Self) -> Self:
        """Add what `other` holds; returns self."""
        self._positives += other._positives
        self._negatives += other._negatives
        return self

    def _runs(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Both classes as one sorted run each, of one dtype."""
        held = [run for run in self._positives + self._negatives if len(run)]
        dtype = np.result_type(*held) if held else np.dtype(np.float32)
        positives, negatives = _one_run(self._positives, dtype), _one_run(self._negatives, dtype)
        self._positives, self._negatives = [positives], [negatives]
        return positives, negatives

    def roc_auc(self) -> float:
        """As `residua.metrics.roc_auc` of all scores; ``nan`` with one class only."""
        positives, negatives = self._runs()
        n_pairs = len(positives) * len(negatives)
        if n_pairs == 0:
            return math.nan
        keys = positives if len(positives) <= len(negatives) else negatives
        wins = twice_wins(keys, np.sort(np.concatenate((positives, negatives))))
        return (wins if keys is positives else 2 * n_pairs - wins) / (2 * n_pairs)

    def average_precision(self) -> float:
        """As `residua.metrics.average_precision` of all scores; ``nan`` with one class only."""
        positives, negatives = self._runs()
        if not len(positives) or not len(negatives):
            return math.nan
        return summed_precision(positives, np.sort(np.concatenate((positives, negatives)))) / len(
            positives
        )

    def to_bytes(self) -> bytes:
        """The sorted scores as plain data, little-endian.

        Equal for equal scores, however they were gathered.
        """
        positives, negatives = self._runs()
        size = positives.dtype.itemsize
        return (
            _HEADER.pack(_MAGIC, size, len(positives), len(negatives))
            + positives.astype(f"<f{size}").tobytes()
            + negatives.astype(f"<f{size}").tobytes()
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote; executes nothing, and refuses what is damaged."""
        size, n_positive, n_negative = 0, 0, 0
        if len(data) >= _HEADER.size and data[:4] == _MAGIC:
            _, size, n_positive, n_negative = _HEADER.unpack_from(data)
        if size not in (4, 8) or len(data) != _HEADER.size + size * (n_positive + n_negative):
            raise InputError(
                f"ExactScores.from_bytes: the data must be whole exact scores. Got {len(data)}"
                " bytes. Pass what to_bytes gave."
            )
        values = np.frombuffer(data, f"<f{size}", offset=_HEADER.size).astype(f"f{size}")
        if not np.isfinite(values).all():
            raise InputError(
                "ExactScores.from_bytes: scores must be finite. Got NaN or infinite values. Copy"
                " the data again."
            )
        exact = cls()
        exact._positives, exact._negatives = [values[:n_positive]], [values[n_positive:]]
        return exact


def _without_negative_zero(values: NDArray[Any]) -> NDArray[Any]:
    values += 0.0
    return values


def _one_run(runs: list[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    if len(runs) == 1 and runs[0].dtype == dtype:
        return np.sort(runs[0]) if (runs[0][1:] < runs[0][:-1]).any() else runs[0]
    joined = np.concatenate([np.zeros(0, dtype), *runs], dtype=dtype, casting="unsafe")
    joined.sort()
    return joined
