"""Corrections: images with what people say of them, from a folder, a manifest or a review."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._labels import means_anomalous, means_normal, spelled
from residua._text import count, few
from residua.engines.interface import NONE
from residua.errors import LabelError
from residua.images import ImageSet, load_images
from residua.records import Record
from residua.runs.learning.reviewed import root_of
from residua.runs.origin import Origin
from residua.runs.progress import Watcher

COLUMNS = ("path", "label", "kind", "mask", "reviewer", "note", "time")
"""Of ``corrections.csv``. ``label`` is good or defect, or empty where nobody decided; all but
``path`` and ``label`` may be missing."""


GROUP = "group-"
"""What `residua kinds` calls its groups before somebody names them."""

_MEAN_GOOD = frozenset({
    "falsealarm", "falsealarms", "falsepositive", "falsepositives", "falsereject", "falserejects",
    "overkill", "nodefects", "notdefective", "notadefect", "gooddefects", "pseudodefect",
})  # fmt: skip
_UNNAMED = re.compile(rf"{GROUP}\d+")
_MEAN_DEFECT = frozenset({
    "realdefect", "realdefects", "truedefect", "truedefects", "falsenegative", "falsenegatives",
    "truepositive", "truepositives", "missed", "misseddefect", "misseddefects", "escape", "escapes",
})  # fmt: skip


class Correction(Record):
    """What was said of one image, and what the model made of it before and after learning.

    ``pixels`` is the hash of the decoded image, ``part`` where the run had it (None: it is new).
    ``copies`` are the hashes of test and calibration images of the run that are near-copies of it.
    """

    path: str
    label: Literal["good", "defect"]
    kind: str | None = None
    reviewer: str | None = None
    note: str | None = None
    time: str | None = None
    pixels: str
    part: str | None = None
    copies: tuple[str, ...] = ()
    flagged_before: bool | None = None
    flagged_after: bool | None = None


@dataclass(frozen=True)
class Corrections:
    """The corrected images, each once, and what was said of each."""

    images: ImageSet
    said: tuple[Correction, ...]

    @property
    def is_good(self) -> NDArray[np.bool_]:
        """Which images are good, (n_images,)."""
        return np.array([one.label == "good" for one in self.said], np.bool_)

    def about(self) -> str:
        """How many images are good, and how many are defects of which kind."""
        kinds = Counter(one.kind for one in self.said if one.label == "defect")
        n_good, n_defects = len(self.said) - kinds.total(), kinds.total()
        unnamed = kinds.pop(None, 0)
        told = [f"{kind} {n:,}" for kind, n in sorted(kinds.items(), key=str)]
        if told and unnamed:
            told.append(f"without a kind {unnamed:,}")
        named = f" ({', '.join(told)})" if told else ""
        return f"{n_good:,} good, {count(n_defects, 'defect')}{named}"


def read_corrections(
    source: str,
    origin: Origin,
    normal: tuple[str, ...] | None,
    *,
    anomalous: Iterable[str] = (),
    root: str | None = None,
    watcher: Watcher | None = None,
) -> Corrections:
    """Read corrections: a folder with ``good/``, ``defect/`` or ``defect/KIND/``, or a manifest.

    A label that the run's model calls normal, or that means it, is good. A label that means
    anomalous is a defect, and so is one of the run's own, `anomalous`, whose name is the kind.

    Raises
    ------
    LabelError
        If no image has a label, a label says neither or a kind says the opposite, or one image is
        called good and defective.
    """
    watcher = watcher or Watcher()
    images = load_images(
        source,
        seed=origin.seed,
        progress=watcher.on_read,
        reading=origin.reading,
        follow_links=origin.follow_links,
        groups=origin.groups,
        root=root_of(source) if root is None else root,
    )
    unread = [one for one in images.quarantined if not one.is_mask]
    if unread:
        watcher.note(
            f"{count(len(unread), 'corrected image')} cannot be read and teach nothing:"
            f" {few(one.path for one in unread)}"
        )
    found = corrections_of(images, normal, anomalous=anomalous, watcher=watcher)
    watcher.note(f"corrections: {found.about()}")
    return found


def corrections_of(
    images: ImageSet,
    normal: tuple[str, ...] | None,
    *,
    anomalous: Iterable[str] = (),
    watcher: Watcher | None = None,
) -> Corrections:
    """What the labels of `images` say; see `read_corrections`."""
    labelled = np.flatnonzero(images.labelled)
    if not len(labelled):
        raise LabelError(
            f"{images.source}: corrections must say which images are good and which are defects."
            " Got no label. Put the images into folders named good and defect, or write a manifest"
            f" with the columns {', '.join(COLUMNS)}."
        )
    if len(labelled) < len(images) and watcher is not None:
        watcher.note(_about_open(images))
    images = images[labelled]
    said = tuple(_said(images, normal, anomalous))
    _refuse_opposites(images, said)
    _refuse_contradictions(images, said)
    rows: dict[str, list[int]] = {}
    for row, one in enumerate(said):
        rows.setdefault(one.pixels, []).append(row)
    first = np.array([some[0] for some in rows.values()])
    merged = tuple(_merged([said[row] for row in some], watcher) for some in rows.values())
    return Corrections(images[first], merged)


def _merged(said: list[Correction], watcher: Watcher | None) -> Correction:
    """What all rows of one picture say; where they name several kinds, it has none."""
    kinds = list(dict.fromkeys(one.kind for one in said if one.kind))
    if len(kinds) > 1 and watcher is not None:
        watcher.note(
            f"one picture is called {' and '.join(kinds)}, so it teaches no kind:"
            f" {few(one.path for one in said)}"
        )
    names = dict.fromkeys(one.reviewer for one in said if one.reviewer)
    update = {
        "kind": kinds[0] if len(kinds) == 1 else None,
        "reviewer": ", ".join(names) or None,
        "note": next((one.note for one in said if one.note), None),
    }
    return said[0].model_copy(update=update)


def _about_open(images: ImageSet) -> str:
    """How many images nobody decided on, and where reviewers disagree."""
    is_open, said = ~images.labelled, images.own_columns.get("said")
    told = f"{count(int(is_open.sum()), 'image')} without a label left out"
    if said is None:
        return told
    disputed = images.paths[is_open & ~np.isin(said.astype(str), ["", "skip"])]
    return f"{told}; reviewers disagree on {few(disputed)}" if len(disputed) else told


def corrections_of_arrays(named: Mapping[str, ImageSet]) -> Corrections:
    """Corrections without a file: images by their label, good or defect."""
    first = next(iter(named.values()))
    labels = [label for label, images in named.items() for _ in range(len(images))]
    every = [image for images in named.values() for image in images]
    groups = None
    if any(images.groups is not None for images in named.values()):
        groups = [
            group
            for images in named.values()
            for group in ([None] * len(images) if images.groups is None else images.groups)
        ]
    joined = ImageSet.from_arrays(
        every, labels, groups=groups, reading=first.reading, source="corrections"
    )
    return corrections_of(joined, ("good",))


def _said(
    images: ImageSet, normal: tuple[str, ...] | None, anomalous: Iterable[str]
) -> Iterator[Correction]:
    good, bad = ({spelled(name) for name in names or ()} for names in (normal, anomalous))
    own, labels = images.own_columns, images.labels
    assert labels is not None
    names = Counter(labels.tolist())
    is_good = {one: spelled(one) in good or means_normal(str(one)) for one in names}
    unclear = {
        one: n
        for one, n in names.items()
        if not (is_good[one] or spelled(one) in bad or means_anomalous(str(one)))
    }
    if unclear:
        named = few(f"{one} ({count(n, 'image')})" for one, n in unclear.items())
        raise LabelError(
            f"{images.source}: labels of corrections must be good or defect. Got {named}. Name the"
            " folder that holds good and defect. False alarms are good. Kinds of defects lie below"
            " the folder defect, such as defect/scratch, or stand in the column kind of a manifest."
        )
    spellings: dict[str, str] = {}
    for row, (path, label, pixels) in enumerate(
        zip(images.paths, labels.tolist(), images.pixel_hashes, strict=True)
    ):
        told = {name: _cell(own, name, row) for name in ("kind", "reviewer", "note", "time")}
        if told["kind"] is None and not is_good[label]:
            told["kind"] = _kind(str(label), str(path))
        if told["kind"] is not None:
            kind = " ".join(told["kind"].split())
            told["kind"] = spellings.setdefault(spelled(kind), kind)
        decided = "good" if is_good[label] else "defect"
        yield Correction.model_validate(
            {"path": str(path), "label": decided, "pixels": str(pixels), **told}
        )


def _cell(own: dict[str, NDArray[Any]], name: str, row: int) -> str | None:
    return None if name not in own else str(own[name][row]).strip() or None


def _kind(label: str, path: str) -> str | None:
    """A label that names a kind, else the folder below that of all defects."""
    if not means_anomalous(label):
        return label
    parts = PurePosixPath(path).parts
    below = parts.index(label) + 1 if label in parts else len(parts)
    return parts[below] if below < len(parts) - 1 else None


def _refuse_opposites(images: ImageSet, said: tuple[Correction, ...]) -> None:
    """Refuse what is good by its folder or kind and a defect by its label, or the other way."""
    kinds = {one.kind for one in said if one.kind}
    if any(spelled(kind) == spelled(NONE) for kind in kinds):
        raise LabelError(
            f"{images.source}: kinds must have names of their own. Got {NONE!r}, which is what"
            " defects of unknown kinds are called. Give them another name, or no kind."
        )
    unnamed = sorted(kind for kind in kinds if _UNNAMED.fullmatch(kind))
    if unnamed:
        raise LabelError(
            f"{images.source}: groups of flagged images must be named by somebody who has looked at"
            f" them. Got {few(unnamed)}. Give the folders the names of kinds, move good parts to"
            " good, and delete groups that you do not know."
        )
    wrong = []
    labels = [] if images.labels is None else images.labels.tolist()
    for one, label in zip(said, labels, strict=True):
        folders = PurePosixPath(one.path).parts[:-1]
        below = folders[folders.index(label) + 1 :] if label in folders else ()
        told = [*below, *([one.kind] if one.kind else [])]
        opposite = _says_good if one.label == "defect" else _says_defect
        if any(map(opposite, told)):
            wrong.append(one.path)
    if wrong:
        raise LabelError(
            f"{images.source}: folders and kinds of corrections must say what the label says: kinds"
            " belong to defects, and lie below the folder defect only. Got good images named as"
            f" defects, or defects named as good: {few(wrong)}. Name the folder that holds good and"
            " defect, or mend the label or the kind."
        )


def is_kind(name: str) -> bool:
    """Whether a kind of defect can have this name: corrections with another are refused.

    Examples
    --------
    >>> is_kind("scratch"), is_kind("false alarm"), is_kind("none of these")
    (True, False, False)
    """
    return not (_says_good(name) or _UNNAMED.fullmatch(name) or spelled(name) == spelled(NONE))


def _says_good(name: str) -> bool:
    return means_normal(name) or re.sub(r"[\W_]+", "", name).casefold() in _MEAN_GOOD


def _says_defect(name: str) -> bool:
    return means_anomalous(name) or re.sub(r"[\W_]+", "", name).casefold() in _MEAN_DEFECT


def _refuse_contradictions(images: ImageSet, said: tuple[Correction, ...]) -> None:
    labels = Counter((one.pixels, one.label) for one in said)
    both = [one.path for one in said if labels[one.pixels, "good"] and labels[one.pixels, "defect"]]
    if both:
        raise LabelError(
            f"{images.source}: each image must be good or a defect. Got both for the same picture:"
            f" {few(both)}. Decide, and drop the other."
        )
