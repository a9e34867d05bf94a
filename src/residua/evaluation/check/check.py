"""`residua check`: what is wrong with images before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.check.masks import mask_findings
from residua.evaluation.check.statistics import SCALES, image_statistics
from residua.findings import (
    Checks,
    find_class_balance,
    find_constant_images,
    find_duplicates,
    find_leakage,
    find_mixed_scale,
    find_mixed_sizes,
    find_shortcut,
    find_too_few_images,
    find_torn_groups,
    find_unlike_parts,
    find_unreadable_files,
    leakage,
)
from residua.findings.figures import Exhibit, Group, Picture
from residua.images import Duplicates, ImageSet, search_duplicates
from residua.images.columns import strings
from residua.images.duplicates import Leaks, leaks_of
from residua.records import Assumption, Finding

Progress = Callable[[int, int], None]
_PLAIN = ("brightness", "contrast", "sharpness", "compression", "height", "width")
_ORDER = {"error": 0, "warning": 1, "note": 2, "ok": 3}


@dataclass(frozen=True)
class Survey:
    """The findings, the most serious first, the pictures that show them by code, and what was
    assumed of the images.
    """

    sources: tuple[str, ...]
    n_images: int
    findings: tuple[Finding, ...]
    exhibits: dict[str, Exhibit] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        told = [finding.model_dump(mode="json") for finding in self.findings]
        assumed = [one.model_dump(mode="json") for one in self.assumptions]
        return {
            "sources": list(self.sources),
            "n_images": self.n_images,
            "findings": told,
            "assumptions": assumed,
        }


def survey(
    sets: Sequence[ImageSet],
    *,
    seed: int = 0,
    most_compared: int | None = None,
    progress: Progress | None = None,
) -> Survey:
    """Check one source part against part, or several sources against each other; no model is
    needed.

    Parameters
    ----------
    sets : sequence of ImageSet
        With one, its parts are compared; with several, the first counts as what is trained on, the
        others as what is tested on.
    seed : int
    most_compared : int, optional
        Of more images than this only exact copies are looked for, and the simple numbers are those
        of an even share.
    progress : callable, optional
        Called with (done, total) of each stage.

    Examples
    --------
    >>> images = np.random.default_rng(0).integers(0, 200, (60, 24, 24)).astype(np.uint8)
    >>> images[55] = images[5]
    >>> found = survey([ImageSet.from_arrays(images, splits=["train"] * 50 + ["test"] * 10)])
    >>> found.findings[0].code, found.findings[0].measured["n_leaked"]
    ('leakage', 1)
    """
    checks = Checks()
    table = _Table.of(sets)
    is_whole = most_compared is None or len(table.paths) <= most_compared
    copies, is_thorough = _copies(sets, checks, seed, is_whole=is_whole, progress=progress)
    leakage, exhibits = checks.make(
        "leakage", lambda: _leakage(table, copies, sets, is_thorough=is_thorough)
    ) or (None, {})
    some = sets if is_whole else [_even_share(one, most_compared or 0) for one in sets]
    measured = table if is_whole else _Table.of(some)
    columns = checks.make("the looks of images", lambda: _statistics(some, progress))
    make = checks.make
    found: list[Finding | None] = [
        leakage,
        *(make("duplicates", lambda: _duplicates(table, copies)) or []),
        find_unreadable_files(
            [(one.path, one.reason) for part in sets for one in part.quarantined], len(table.paths)
        ),
        *(make("masks", lambda: mask_findings(sets)) or []),
        make("mixed sizes", lambda: find_mixed_sizes(np.concatenate([one.sizes for one in sets]))),
        make("class balance", lambda: _class_balance(table, sets)),
        make(
            "too few images",
            lambda: find_too_few_images(
                {
                    part: int((table.parts == part).sum())
                    for part in dict.fromkeys(table.parts.tolist())
                }
            ),
        ),
        make("torn groups", lambda: _torn_groups(sets)),
        *([] if columns is None else _looks(measured, columns, str(sets[0].dtype), checks)),
    ]
    told = [*(finding for finding in found if finding is not None), *checks.not_made]
    findings = sorted(told, key=lambda one: _ORDER[one.severity])
    assumed = tuple(dict.fromkeys(made for one in sets for made in one.assumptions))
    return Survey(
        tuple(one.source for one in sets), len(table.paths), tuple(findings), exhibits, assumed
    )


def _copies(
    sets: Sequence[ImageSet],
    checks: Checks,
    seed: int,
    *,
    is_whole: bool,
    progress: Progress | None,
) -> tuple[Duplicates, bool]:
    """Copies of every kind and True; exact ones and False where there are too many images, or where
    the search fails.
    """
    if is_whole:
        found = checks.make(
            "near-duplicates", lambda: search_duplicates(sets, seed=seed, progress=progress)
        )
        if found is not None:
            return found, True
    return search_duplicates(sets, seed=seed, only_exact=True), False


def _statistics(
    sets: Sequence[ImageSet], progress: Progress | None
) -> dict[str, NDArray[np.float64]]:
    """The simple numbers that all sets have, over all images."""
    statistics = [image_statistics(one, progress=progress) for one in sets]
    shared = set.intersection(*(set(one) for one in statistics))
    return {name: np.concatenate([one[name] for one in statistics]) for name in sorted(shared)}


def _looks(
    table: _Table, columns: dict[str, NDArray[np.float64]], dtype: str, checks: Checks
) -> list[Finding | None]:
    """What the simple numbers of images tell."""
    parts = {
        part: {name: columns[name][rows] for name in _PLAIN}
        for part, rows in table.normals().items()
    }
    return [
        checks.make("constant images", lambda: _constant(table, columns)),
        checks.make(
            "mixed scale", lambda: find_mixed_scale(columns["highest"], dtype, parts=table.parts)
        ),
        checks.make("shortcuts", lambda: _shortcut(table, columns)),
        checks.make("unlike parts", lambda: find_unlike_parts(parts)),
    ]


def _constant(table: _Table, columns: dict[str, NDArray[np.float64]]) -> Finding | None:
    labels = table.labels if table.is_labelled.any() else None
    return find_constant_images(columns["range"], table.paths, labels, levels=columns["brightness"])


def _class_balance(table: _Table, sets: Sequence[ImageSet]) -> Finding | None:
    return (
        find_class_balance(table.counts(), normal=sets[0].normal)
        if table.is_labelled.any()
        else None
    )


@dataclass(frozen=True)
class _Table:
    """All images of all sets, a row each; the part is the source's name where there are several
    sources.
    """

    paths: NDArray[Any]
    parts: NDArray[Any]
    labels: NDArray[Any]
    is_anomalous: NDArray[np.bool_] | None

    @classmethod
    def of(cls, sets: Sequence[ImageSet]) -> _Table:
        names = _distinct([one.source for one in sets])
        parts = [
            one.splits if len(sets) == 1 else strings([name] * len(one))
            for name, one in zip(names, sets, strict=True)
        ]
        labels = [
            strings(
                [None] * len(one)
                if one.labels is None
                else [None if x is None else str(x) for x in one.labels.tolist()]
            )
            for one in sets
        ]
        anomalous = [one.is_anomalous for one in sets if one.normal is not None]
        return cls(
            np.concatenate([one.paths for one in sets]),
            np.concatenate(parts),
            np.concatenate(labels),
            np.concatenate(anomalous) if len(anomalous) == len(sets) else None,
        )

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        return np.array([label is not None for label in self.labels.tolist()], np.bool_)

    def counts(self) -> dict[str, dict[str, int]]:
        """Images of each label in each part; of several sources the first is train and the rest
        test.
        """
        first = self.parts[0] if len(self.parts) else ""
        are_splits = set(self.parts.tolist()) <= {"train", "calibration", "test"}
        tally: dict[str, Counter[str]] = {}
        for part, label in zip(self.parts.tolist(), self.labels.tolist(), strict=True):
            name = part if are_splits else "train" if part == first else "test"
            tally.setdefault(name, Counter())
            if label is not None:
                tally[name][label] += 1
        return {name: dict(one) for name, one in tally.items()}

    def normals(self) -> dict[str, NDArray[np.int64]]:
        """The rows of each part, of normal images alone where they are known."""
        kept = (
            np.ones(len(self.parts), np.bool_)
            if self.is_anomalous is None
            else ~self.is_anomalous & self.is_labelled
        )
        return {
            part: np.flatnonzero((self.parts == part) & kept)
            for part in dict.fromkeys(self.parts.tolist())
        }


def _distinct(names: Sequence[str]) -> list[str]:
    return (
        list(names)
        if len(set(names)) == len(names)
        else [f"{name} ({i})" for i, name in enumerate(names, start=1)]
    )


def _even_share(images: ImageSet, most: int) -> ImageSet:
    return (
        images
        if len(images) <= most
        else images[np.linspace(0, len(images) - 1, most).astype(np.int64)]
    )


def _leakage(
    table: _Table, copies: Duplicates, sets: Sequence[ImageSet], *, is_thorough: bool
) -> tuple[Finding | None, dict[str, Exhibit]]:
    """Copies of the first part among the others: train among calibration and test, or the first
    source among the rest.
    """
    first = "train" if len(sets) == 1 else str(table.parts[0])
    seen = table.parts == first
    if seen.all() or not seen.any():
        return None, {}
    leaks, rows = leaks_of(copies, seen, table.paths)
    leaks = replace(leaks, is_thorough=is_thorough)
    others = "images of calibration and test" if len(sets) == 1 else "images of the other sources"
    finding = find_leakage(leaks, judged=others, seen=f"images of {first}")
    return finding, _pictures(leaks, rows, np.flatnonzero(~seen), sets)


def _pictures(
    leaks: Leaks, rows: NDArray[np.int64], asked: NDArray[np.int64], sets: Sequence[ImageSet]
) -> dict[str, Exhibit]:
    starts = np.cumsum([0, *(len(one) for one in sets)])

    def picture(row: int, caption: str) -> Picture:
        which = int(np.searchsorted(starts, row, side="right")) - 1
        return Picture.of(sets[which][row - int(starts[which])], caption)

    groups = (
        Group(
            (
                picture(int(rows[place]), str(leaks.of[place])),
                picture(int(asked[place]), str(leaks.paths[place])),
            ),
            str(leaks.kinds[place]),
        )
        for place in np.flatnonzero(leaks.leaked)[:200].tolist()
    )
    shown = Exhibit.of(
        groups, caption="An image that is trained on, and its copy among the others."
    )
    return {leakage.CODE: shown} if shown.groups else {}


def _duplicates(table: _Table, copies: Duplicates) -> list[Finding | None]:
    found = []
    for part in dict.fromkeys(table.parts.tolist()):
        rows = np.flatnonzero(table.parts == part)
        place = np.full(len(table.parts), -1)
        place[rows] = np.arange(len(rows))
        members = [place[group[table.parts[group] == part]] for group in copies.members()]
        found.append(find_duplicates(members, table.paths[rows], table.labels[rows], part=part))
    return found


def _shortcut(table: _Table, columns: dict[str, NDArray[np.float64]]) -> Finding | None:
    if table.is_anomalous is None or not table.is_labelled.any():
        return None
    known = table.is_labelled
    features = {name: column[known] for name, column in columns.items() if name not in SCALES}
    return find_shortcut(features, table.is_anomalous[known])


def _torn_groups(sets: Sequence[ImageSet]) -> Finding | None:
    return (
        None
        if len(sets) != 1 or sets[0].groups is None
        else find_torn_groups(sets[0].groups, sets[0].splits)
    )
