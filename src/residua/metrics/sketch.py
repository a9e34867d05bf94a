"""Summaries of scores that merge across processes.

One bounded with guaranteed bounds, one exact at 4 bytes a score.
"""

from __future__ import annotations

import math
import struct
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from residua._check import check_within
from residua.errors import InputError, RangeError
from residua.metrics._ranks import labelled_scores
from residua.metrics.alarms_at_recall import missed_at, with_threshold_unknown
from residua.metrics.exact_scores import ExactScores
from residua.metrics.intervals import rate_interval
from residua.records import Estimate

__all__ = ["Bounds", "ExactScores", "ScoreSketch"]

_HEADER = struct.Struct("<4sBIQ")
_MAGIC = b"RSK1"
_CHUNK = 1 << 20
# Average precision is summed in float64; its bounds are moved outwards by more than that can err.
_ROUNDING = 1e-12


class Bounds(NamedTuple):
    """The exact value lies in [low, high]: a guarantee, not a confidence.

    Both are ``nan`` where it is undefined.
    """

    low: float
    high: float


class ScoreSketch:
    """Counts of normal and anomalous scores in at most `n_bins` bins.

    They are filled in one pass, and merged in any order.

    A bin is a range of floating-point numbers that share their leading bits, so its width is
    *relative* to the score: an outlier of 1e30 costs one bin and blurs nothing else. The sketch
    starts with every distinct score a bin of its own and drops one trailing bit of all of them
    whenever there are too many. So the state is a function of the scores alone, whatever the order
    of updates and merges, and it is exact while there are at most `n_bins` distinct scores.

    Parameters
    ----------
    n_bins : int in [2, 2**24]
        Each costs at most 24 bytes. Scores spread over k powers of two are told apart to about ``k
        / n_bins`` of their size. Sketches of different `n_bins` merge into the smaller.

    Examples
    --------
    >>> first, second = ScoreSketch(), ScoreSketch()
    >>> first.update([0, 1], [0.1, 0.35])
    >>> second.update([0, 1], [0.4, 0.8])
    >>> first.merge(second).roc_auc_bounds()
    Bounds(low=0.75, high=0.75)
    """

    def __init__(self, n_bins: int = 65536) -> None:
        check_within("ScoreSketch", "n_bins", n_bins, "[2, 16777216]", "Pass 65536")
        self.n_bins = int(n_bins)
        self._shift = 0
        self._keys = np.zeros(0, np.uint64)
        self._positives = np.zeros(0, np.int64)
        self._negatives = np.zeros(0, np.int64)

    @property
    def is_exact(self) -> bool:
        """Whether every bin still holds one distinct score, so that low equals high."""
        return self._shift == 0

    @property
    def n_scores(self) -> int:
        """How many scores went in."""
        return int(self._positives.sum() + self._negatives.sum())

    def update(self, labels: Any, scores: Any) -> None:
        """Add scores, higher = more anomalous, with labels True or 1 = anomalous.

        NaN and infinities are refused.
        """
        truth, values = labelled_scores("ScoreSketch.update", labels, scores)
        for start in range(0, len(values), _CHUNK):
            keys = _ordered_integers(values[start : start + _CHUNK]) >> np.uint64(self._shift)
            positive = truth[start : start + _CHUNK].astype(np.int64)
            self._add(keys, positive, 1 - positive)

    def merge(self, other: Self) -> Self:
        """Add what `other` has seen; returns self."""
        self.n_bins = min(self.n_bins, other.n_bins)
        self._coarsen(other._shift)
        self._add(
            other._keys >> np.uint64(self._shift - other._shift), other._positives, other._negatives
        )
        return self

    def _add(
        self, keys: NDArray[np.uint64], positives: NDArray[np.int64], negatives: NDArray[np.int64]
    ) -> None:
        self._keys, (self._positives, self._negatives) = _grouped(
            np.concatenate((self._keys, keys)),
            np.concatenate((self._positives, positives)),
            np.concatenate((self._negatives, negatives)),
        )
        self._coarsen(self._shift + _bits_to_drop(self._keys, self.n_bins))

    def _coarsen(self, shift: int) -> None:
        if shift > self._shift:
            self._keys, (self._positives, self._negatives) = _grouped(
                self._keys >> np.uint64(shift - self._shift), self._positives, self._negatives
            )
            self._shift = shift

    def roc_auc_bounds(self) -> Bounds:
        """Bounds on `roc_auc` of all scores seen.

        Wide by the share of pairs that fall into one bin.
        """
        # Python integers: a product of two counts may exceed 64 bits.
        positives, negatives = self._positives.astype(object), self._negatives.astype(object)
        n_pairs = int(positives.sum()) * int(negatives.sum())
        if n_pairs == 0:
            return Bounds(math.nan, math.nan)
        won = int(np.dot(positives, negatives.cumsum() - negatives))
        open_pairs = int(np.dot(positives, negatives))
        if self.is_exact:
            return Bounds(*[(2 * won + open_pairs) / (2 * n_pairs)] * 2)
        return Bounds(won / n_pairs, (won + open_pairs) / n_pairs)

    def average_precision_bounds(self) -> Bounds:
        """Bounds on `average_precision` of all scores seen, rounded outwards by 1e-12."""
        n_positive, n_negative = int(self._positives.sum()), int(self._negatives.sum())
        if n_positive == 0 or n_negative == 0:
            return Bounds(math.nan, math.nan)
        filled = np.flatnonzero(self._positives[::-1])
        own, false = self._positives[::-1][filled], self._negatives[::-1].cumsum()[filled]
        true, clear = own.cumsum(), false - self._negatives[::-1][filled]
        if self.is_exact:
            low = high = math.fsum(own * (true / (true + false)))
        else:
            # Best: the bin's anomalous scores are one tie above its normal ones. Worst: all
            # distinct and below them; the sum over i of i / (i + false) is then bounded by the
            # midpoint rule, 1 / x being convex.
            high = math.fsum(own * (true / (true + clear)))
            low = math.fsum(own - false * np.log1p(own / (true - own + false + 0.5)))
        return Bounds(
            max(low / n_positive - _ROUNDING, 0.0), min(high / n_positive + _ROUNDING, 1.0)
        )

    def false_alarms_at_recall(self, recall: float = 0.9, *, confidence: float = 0.95) -> Estimate:
        """As `residua.metrics.false_alarms_at_recall`: exact while the sketch is.

        Else the value is the middle of its bounds, and the interval lies around those of both.

        Examples
        --------
        >>> sketch = ScoreSketch()
        >>> sketch.update([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> sketch.false_alarms_at_recall().value
        0.5
        """
        n_anomalous, n_normal = int(self._positives.sum()), int(self._negatives.sum())
        if not n_anomalous or not n_normal:
            return Estimate(value=None, confidence=confidence, n=n_normal)
        ranks, normal = self._positives.cumsum(), self._negatives[::-1].cumsum()[::-1]

        def estimate(own: int) -> Estimate:
            """With the normal images of a threshold's own bin (1), or without them (0)."""
            at = normal if own else normal - self._negatives

            def n_above(rank: int) -> int:
                return int(at[np.searchsorted(ranks, rank, side="right")])

            share = rate_interval(
                n_above(missed_at(recall, n_anomalous)), n_normal, confidence=confidence
            )
            return with_threshold_unknown(
                share,
                lambda rank: n_above(rank) / n_normal,
                n_anomalous,
                float(n_anomalous),
                recall=recall,
            )

        most = estimate(1)
        if self.is_exact:
            return most
        least = estimate(0)
        return most.model_copy(
            update={"value": (least.value + most.value) / 2, "low": least.low}  # type: ignore[operator]
        )

    def rates_bounds(self, threshold: float) -> dict[str, Bounds]:
        """Bounds on the rates at ``score > threshold``.

        ``recall``, ``false_alarm_rate`` and ``precision``.

        >>> sketch = ScoreSketch()
        >>> sketch.update([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        >>> sketch.rates_bounds(0.35)["recall"]
        Bounds(low=0.5, high=0.5)
        """
        if not math.isfinite(threshold):
            raise RangeError(
                f"ScoreSketch.rates_bounds: threshold must be finite. Got {threshold}. Pass a"
                " score."
            )
        key = int(_ordered_integers(np.array([threshold]))[0])
        own = np.uint64(key >> self._shift)
        # The threshold's own bin holds scores above it, unless the threshold is the last number of
        # its bin.
        is_last = key & ((1 << self._shift) - 1) == (1 << self._shift) - 1
        surely = int(np.searchsorted(self._keys, own, "right"))
        perhaps = surely if is_last else int(np.searchsorted(self._keys, own, "left"))
        true = Bounds(int(self._positives[surely:].sum()), int(self._positives[perhaps:].sum()))
        false = Bounds(int(self._negatives[surely:].sum()), int(self._negatives[perhaps:].sum()))
        return {
            "recall": _share(true, int(self._positives.sum())),
            "false_alarm_rate": _share(false, int(self._negatives.sum())),
            "precision": _precision(true, false),
        }

    def to_bytes(self) -> bytes:
        """The state as plain data, little-endian.

        Equal for equal scores, however they were gathered.
        """
        header = _HEADER.pack(_MAGIC, self._shift, self.n_bins, len(self._keys))
        columns = (
            self._keys.astype("<u8"),
            self._positives.astype("<i8"),
            self._negatives.astype("<i8"),
        )
        return header + b"".join(column.tobytes() for column in columns)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote; executes nothing, and refuses what is damaged."""
        if len(data) < _HEADER.size or data[:4] != _MAGIC:
            raise InputError(
                f"ScoreSketch.from_bytes: the data must be a sketch. Got {len(data)} bytes of"
                " another kind. Pass what to_bytes gave."
            )
        _, shift, n_bins, n_keys = _HEADER.unpack_from(data)
        if shift > 63 or not 2 <= n_bins <= 1 << 24 or len(data) != _HEADER.size + 24 * n_keys:
            raise InputError(
                f"ScoreSketch.from_bytes: the sketch must be whole. Got {len(data)} bytes for"
                f" {n_keys} bins. Copy it again."
            )
        sketch = cls(n_bins)
        keys, positives, negatives = np.frombuffer(data, "<u8", offset=_HEADER.size).reshape(
            3, n_keys
        )
        sketch._shift, sketch._keys = shift, keys.astype(np.uint64)
        sketch._positives, sketch._negatives = (
            positives.astype(np.int64),
            negatives.astype(np.int64),
        )
        counts_hold = (sketch._positives >= 0).all() and (sketch._negatives >= 0).all()
        in_range = n_keys == 0 or int(sketch._keys[-1]) >> (64 - shift) == 0
        if (
            n_keys > n_bins
            or not counts_hold
            or not in_range
            or (sketch._keys[1:] <= sketch._keys[:-1]).any()
        ):
            raise InputError(
                "ScoreSketch.from_bytes: bins must ascend and hold counts. Got bins that do not."
                " Copy the sketch again."
            )
        return sketch


def _ordered_integers(values: NDArray[Any]) -> NDArray[np.uint64]:
    """Integers in the order of the floats.

    Sign bit flipped, negatives mirrored; -0.0 and 0.0 are one number.
    """
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    sign = np.uint64(1 << 63)
    return np.where(bits & sign, ~bits, bits | sign)


def _grouped(
    keys: NDArray[np.uint64], *counts: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], list[NDArray[np.int64]]]:
    """Distinct keys, ascending, and the counts summed over equal ones."""
    if not len(keys):
        return keys, list(counts)
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    return keys[first], [np.add.reduceat(count[order], first) for count in counts]


def _bits_to_drop(keys: NDArray[np.uint64], n_bins: int) -> int:
    """The fewest trailing bits to drop so that at most `n_bins` distinct keys remain."""
    differing = keys[1:] ^ keys[:-1]
    bits = 0
    while 1 + np.count_nonzero(differing >> np.uint64(bits)) > n_bins:
        bits += 1
    return bits


def _share(counts: Bounds, total: int) -> Bounds:
    return Bounds(counts.low / total, counts.high / total) if total else Bounds(math.nan, math.nan)


def _precision(true: Bounds, false: Bounds) -> Bounds:
    if true.high + false.high == 0:
        return Bounds(math.nan, math.nan)
    low = true.low / (true.low + false.high) if true.low + false.high else 1.0
    return Bounds(low, true.high / (true.high + false.low) if true.high + false.low else 0.0)
