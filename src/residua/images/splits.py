"""Train, calibration and test parts, drawn by a seed.

Stratified by label, whole groups together, independent of the order of files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import RangeError
from residua.images.columns import grouped, shared

ALL_PARTS = {"train": 0.6, "calibration": 0.2, "test": 0.2}
OUT_OF_TRAIN = {"train": 0.8, "calibration": 0.2}
# What is purely anomalous is never trained on by a one-class model; test, which has to show the
# rates, gets more of it.
ANOMALOUS = {"calibration": 0.3, "test": 0.7}
NO_SPLIT = "the source has no split"  # how the note on a draw of all parts begins
_DRAWN_AGAIN = "drawn by split()"  # the same, where a user asked for it
_OF_SPLIT = (NO_SPLIT, _DRAWN_AGAIN, "the source has no calibration part", "the test part holds no")


_CALIBRATION = frozenset({"calibration"})


@dataclass(frozen=True)
class _Units:
    """Images that stay together, a row a unit.

    The order that seed and name give them, their stratum and number of images.

    ``of_row`` names the unit of every row that is shared out. Arrays, not objects: a million images
    are a million units.
    """

    keys: NDArray[np.uint64]
    strata: NDArray[np.int64]
    names: list[str]
    has_normal: NDArray[np.bool_]
    sizes: NDArray[np.int64]
    of_row: NDArray[np.int64]


def make_splits(
    names: Sequence[str] | NDArray[Any],
    labels: Sequence[Any] | NDArray[Any] | None,
    *,
    splits: Sequence[str] | NDArray[Any] | None = None,
    groups: Sequence[str | None] | NDArray[Any] | None = None,
    normal: Sequence[str] | None = None,
    seed: int = 0,
    shares: Mapping[str, float] = ALL_PARTS,
) -> tuple[NDArray[Any], list[str]]:
    """The part of every image, and sentences about what was held out.

    A source without a split is divided by `shares`, 60/20/20; with `normal` named, groups that hold
    no normal image go 30/70 to calibration and test, or all to the one of them that there is.
    Where the source names its parts but no calibration, a fifth of train becomes calibration. The
    draw depends on the seed and the names alone.

    Returns
    -------
    splits : object array of ``train``, ``calibration``, ``test``, (n_images,)
    notes : list of str

    Examples
    --------
    >>> parts, notes = make_splits([f"{i}.png" for i in range(10)], None)
    >>> [int((parts == part).sum()) for part in ("train", "calibration", "test")]
    [6, 2, 2]
    """
    parts = np.full(len(names), "train", object) if splits is None else shared(splits)
    if not drawn_parts(splits):
        return parts, []
    if splits is None:
        rows, fractions = np.arange(len(names)), shares
        drawn = ", ".join(f"{100 * share:.3g}% {part}" for part, share in shares.items())
        note = f"{NO_SPLIT}: {drawn} were drawn"
    else:
        rows, fractions = np.flatnonzero(parts == "train"), OUT_OF_TRAIN
        note = "the source has no calibration part: 20% of train were held out for it"
    units = _units(names, labels, groups, normal, seed=seed, rows=rows)
    withheld = ~units.has_normal if splits is None else np.zeros(len(units.keys), np.bool_)
    given = np.empty(len(units.keys), object)
    aside = {part: share for part, share in ANOMALOUS.items() if part in fractions} or fractions
    whole = sum(aside.values())
    aside = {part: share / whole for part, share in aside.items()}
    for chosen, own in ((~withheld, fractions), (withheld, aside)):
        where, found = _share_out(units, np.flatnonzero(chosen), own)
        given[where] = found
    parts[rows] = given[units.of_row]
    note += f" (seed {seed}, stratified by label" + (
        ", groups kept together)" if groups is not None else ")"
    )
    if withheld.any():
        note += "; anomalies went " + ", ".join(
            f"{100 * share:.3g}% to {part}" for part, share in aside.items()
        )
    return parts, [note]


def drawn_parts(splits: Sequence[str] | NDArray[Any] | None) -> frozenset[str]:
    """The parts that `make_splits` draws, where the source names `splits` or (None) has none.

    >>> sorted(drawn_parts(["train", "test"])), sorted(drawn_parts(None))
    (['calibration'], ['calibration', 'test', 'train'])
    """
    if splits is None:
        return frozenset(ALL_PARTS)
    named = set(splits)
    return frozenset() if "calibration" in named or "train" not in named else _CALIBRATION


def shares_of(calibration: float, test: float) -> dict[str, float]:
    """The share of each part that is not empty; `RangeError` where train would be.

    >>> shares_of(0.25, 0)
    {'train': 0.75, 'calibration': 0.25}
    """
    if not (calibration >= 0 and test >= 0 and calibration + test < 1):
        raise RangeError(
            "ImageSet.split: calibration and test must be shares from 0 that leave some images for"
            f" train. Got {calibration} and {test}. Pass such as 0.2 and 0.2."
        )
    shares = {"train": 1 - calibration - test, "calibration": calibration, "test": test}
    return {part: share for part, share in shares.items() if share}


def notes_of_split(before: Sequence[str], drawn: Sequence[str]) -> tuple[str, ...]:
    """The notes of a set whose parts were `drawn` anew, without those that no longer hold."""
    kept = (
        note
        for note in before
        if not note.startswith(_OF_SPLIT) and "in more than one of train" not in note
    )
    return (*kept, *(note.replace(NO_SPLIT, _DRAWN_AGAIN) for note in drawn))


def groups_in_two_splits(
    splits: NDArray[Any], groups: Sequence[str | None] | NDArray[Any] | None
) -> list[str]:
    """The groups of which images lie in more than one part, sorted."""
    if groups is None:
        return []
    parts_of = grouped(zip(groups, splits.tolist(), strict=True))
    return sorted(
        group for group, parts in parts_of.items() if group is not None and len(set(parts)) > 1
    )


def _units(
    names: Sequence[str] | NDArray[Any],
    labels: Sequence[Any] | NDArray[Any] | None,
    groups: Sequence[str | None] | NDArray[Any] | None,
    normal: Sequence[str] | None,
    *,
    seed: int,
    rows: NDArray[np.int64],
) -> _Units:
    of_row, first = _unit_of_rows(names, groups, rows)
    n = len(first)
    salt = hashlib.blake2b(f"residua split {seed} ".encode(), digest_size=8)
    keys = np.zeros(n, np.uint64)
    for unit, row in enumerate(first.tolist()):
        name = names[row] if groups is None or groups[row] is None else groups[row]
        key = salt.copy()
        key.update(str(name).encode("utf-8", "surrogatepass"))
        keys[unit] = int.from_bytes(key.digest(), "big")
    strata, stratum_names = _strata(labels, rows, of_row, n)
    has_normal = np.ones(n, np.bool_)
    if normal is not None:
        # An image without a label is not known to be anomalous, so it may be trained on.
        known = [
            label is None or str(label) in normal
            for label in (labels[row] if labels is not None else None for row in rows)
        ]
        has_normal = np.bincount(of_row, known, n) > 0
    return _Units(keys, strata, stratum_names, has_normal, np.bincount(of_row, minlength=n), of_row)


def _unit_of_rows(
    names: Sequence[str] | NDArray[Any],
    groups: Sequence[str | None] | NDArray[Any] | None,
    rows: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The unit of each row (its group, or itself), and the first row of each unit."""
    if groups is None:
        return np.arange(len(rows)), rows
    numbers: dict[tuple[bool, str], int] = {}
    of_row = np.zeros(len(rows), np.int64)
    first: list[int] = []
    for index, row in enumerate(rows.tolist()):
        group = groups[row]
        of_row[index] = numbers.setdefault(
            (True, group) if group is not None else (False, str(names[row])), len(numbers)
        )
        if len(numbers) > len(first):
            first.append(row)
    return of_row, np.asarray(first, np.int64)


def _strata(
    labels: Sequence[Any] | NDArray[Any] | None,
    rows: NDArray[np.int64],
    of_row: NDArray[np.int64],
    n_units: int,
) -> tuple[NDArray[np.int64], list[str]]:
    """Each unit's stratum by number, and their names: the labels that it holds."""
    numbers: dict[str, int] = {}
    if n_units == len(rows):
        texts = (str(None if labels is None else labels[row]) for row in rows.tolist())
    else:
        held: list[set[str]] = [set() for _ in range(n_units)]
        for unit, row in zip(of_row.tolist(), rows.tolist(), strict=True):
            held[unit].add(str(None if labels is None else labels[row]))
        texts = (" + ".join(sorted(own)) for own in held)
    strata = np.fromiter(
        (numbers.setdefault(text, len(numbers)) for text in texts), np.int64, n_units
    )
    return strata, list(numbers)


def _share_out(
    units: _Units, chosen: NDArray[np.int64], fractions: Mapping[str, float]
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Give each of `chosen` to the part furthest behind, in its stratum and over all."""
    order = chosen[np.argsort(units.keys[chosen], kind="stable")]
    overall = _Tally(fractions)
    where, given = [], []
    for stratum in sorted(range(len(units.names)), key=lambda number: units.names[number]):
        own = _Tally(fractions)
        members = order[units.strata[order] == stratum]
        where.append(members)
        for size in units.sizes[members].tolist():
            part = max(
                fractions, key=lambda part: own.behind(part, size) + overall.behind(part, size)
            )
            own.give(part, size)
            overall.give(part, size)
            given.append(part)
    return np.concatenate([*where, np.zeros(0, np.int64)]), shared(_none_empty(given, fractions))


class _Tally:
    """How many images each part of a share-out has and how many it should have."""

    def __init__(self, fractions: Mapping[str, float]) -> None:
        self._fractions = fractions
        self._counts = dict.fromkeys(fractions, 0)
        self._total = 0

    def behind(self, part: str, size: int) -> float:
        return self._fractions[part] * (self._total + size) - self._counts[part]

    def give(self, part: str, size: int) -> None:
        self._counts[part] += size
        self._total += size


def _none_empty(parts: list[str], fractions: Mapping[str, float]) -> list[str]:
    """Where there are units enough, an empty part takes one from the part with the most units."""
    for empty in [part for part in fractions if part not in parts]:
        richest = max(fractions, key=parts.count)
        if parts.count(richest) > 1:
            parts[len(parts) - 1 - parts[::-1].index(richest)] = empty
    return parts
