"""Train, calibration and test: seeded, stratified by label, whole groups together, independent of the order of files."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ALL_PARTS = {"train": 0.6, "calibration": 0.2, "test": 0.2}
OUT_OF_TRAIN = {"train": 0.8, "calibration": 0.2}
# What is purely anomalous is never trained on by a one-class model; test, which has to show the rates, gets more of it.
ANOMALOUS = {"calibration": 0.3, "test": 0.7}


@dataclass(frozen=True)
class _Unit:
    """Images that stay together, in the order that seed and name give them."""

    key: bytes
    stratum: str
    has_normal: bool
    rows: tuple[int, ...]


def make_splits(
    names: Sequence[str],
    labels: Sequence[Any] | NDArray[Any] | None,
    *,
    splits: Sequence[str] | None = None,
    groups: Sequence[str | None] | None = None,
    normal: Sequence[str] | None = None,
    seed: int = 0,
) -> tuple[NDArray[Any], list[str]]:
    """The part of every image, and sentences about what was held out.

    A source without a split is divided 60/20/20; with `normal` named, groups that hold no normal image go 30/70 to
    calibration and test. Where the source names its parts but no calibration, a fifth of train becomes calibration.
    The draw depends on the seed and the names alone.

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
    parts = np.full(len(names), "train", object) if splits is None else np.asarray(list(splits), object)
    if splits is None:
        rows, fractions = np.arange(len(names)), ALL_PARTS
        note = "the source has no split: 60% train, 20% calibration, 20% test were drawn"
    elif (parts == "calibration").any() or not (parts == "train").any():
        return parts, []
    else:
        rows, fractions = np.flatnonzero(parts == "train"), OUT_OF_TRAIN
        note = "the source has no calibration part: 20% of train were held out for it"
    units = _units(names, labels, groups, normal, seed=seed, rows=rows)
    withheld = [unit for unit in units if not unit.has_normal] if splits is None else []
    kept = [unit for unit in units if unit.has_normal] if withheld else units
    for chosen, shares in ((kept, fractions), (withheld, ANOMALOUS)):
        for unit, part in _share_out(chosen, shares):
            parts[list(unit.rows)] = part
    note += f" (seed {seed}, stratified by label" + (", groups kept together)" if groups is not None else ")")
    if withheld:
        note += "; anomalies went 30% to calibration, 70% to test"
    return parts, [note]


def groups_in_two_splits(splits: NDArray[Any], groups: Sequence[str | None] | None) -> list[str]:
    """The groups of which images lie in more than one part, sorted."""
    if groups is None:
        return []
    seen: dict[str, set[str]] = defaultdict(set)
    for group, part in zip(groups, splits.tolist(), strict=True):
        if group is not None:
            seen[group].add(part)
    return sorted(group for group, parts in seen.items() if len(parts) > 1)


def _units(
    names: Sequence[str],
    labels: Sequence[Any] | NDArray[Any] | None,
    groups: Sequence[str | None] | None,
    normal: Sequence[str] | None,
    *,
    seed: int,
    rows: NDArray[np.int64],
) -> list[_Unit]:
    members: dict[tuple[bool, str], list[int]] = defaultdict(list)
    for row in rows.tolist():
        group = None if groups is None else groups[row]
        members[(True, group) if group is not None else (False, names[row])].append(row)
    salt = hashlib.blake2b(f"residua split {seed} ".encode(), digest_size=8)
    units = []
    for (_, name), own in members.items():
        key = salt.copy()
        key.update(name.encode("utf-8", "surrogatepass"))
        texts = [None if labels is None or labels[row] is None else str(labels[row]) for row in own]
        # An image without a label is not known to be anomalous, so it may be trained on.
        has_normal = normal is None or any(text is None or text in normal for text in texts)
        stratum = str(texts[0]) if len(set(texts)) == 1 else " + ".join(sorted({str(text) for text in texts}))
        units.append(_Unit(key.digest(), stratum, has_normal, tuple(own)))
    return units


def _share_out(units: Sequence[_Unit], fractions: Mapping[str, float]) -> list[tuple[_Unit, str]]:
    """Give each unit to the part that is furthest behind, within its stratum and over all."""
    strata: dict[str, list[_Unit]] = defaultdict(list)
    for unit in units:
        strata[unit.stratum].append(unit)
    overall = _Tally(fractions)
    given: list[tuple[_Unit, str]] = []
    for stratum in sorted(strata):
        own = _Tally(fractions)
        for unit in sorted(strata[stratum], key=lambda unit: unit.key):
            size = len(unit.rows)
            part = max(fractions, key=lambda part: own.behind(part, size) + overall.behind(part, size))
            own.give(part, size)
            overall.give(part, size)
            given.append((unit, part))
    return _none_empty(given, fractions)


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


def _none_empty(given: list[tuple[_Unit, str]], fractions: Mapping[str, float]) -> list[tuple[_Unit, str]]:
    """Where there are units enough, an empty part takes one from the part with the most units."""
    parts = [part for _, part in given]
    for empty in [part for part in fractions if part not in parts]:
        richest = max(fractions, key=parts.count)
        if parts.count(richest) > 1:
            parts[len(parts) - 1 - parts[::-1].index(richest)] = empty
    return [(unit, part) for (unit, _), part in zip(given, parts, strict=True)]
