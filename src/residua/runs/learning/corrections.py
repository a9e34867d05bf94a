"""Corrections: images with what people say of them, from a folder, a manifest or a review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._labels import ANOMALOUS_NAMES, NORMAL_NAMES, means_normal, spelled
from residua._text import count, few
from residua.errors import LabelError
from residua.images import ImageSet, load_images
from residua.records import Record
from residua.runs.origin import Origin
from residua.runs.progress import Watcher

COLUMNS = ("path", "label", "kind", "mask", "reviewer", "note", "time")
"""Of ``corrections.csv``. ``label`` is good or defect, or empty where nobody decided; all but
``path`` and ``label`` may be missing."""


class Correction(Record):
    """What was said of one image, and what the model made of it before and after learning.

    ``pixels`` is the hash of the decoded image, ``part`` where the run had it (None: it is new).
    """

    path: str
    label: Literal["good", "defect"]
    kind: str | None = None
    reviewer: str | None = None
    note: str | None = None
    time: str | None = None
    pixels: str
    part: str | None = None
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


def read_corrections(
    source: str,
    origin: Origin,
    normal: tuple[str, ...] | None,
    *,
    root: str | None = None,
    watcher: Watcher | None = None,
) -> Corrections:
    """Read corrections: a folder with ``good/``, ``defect/`` or ``defect/KIND/``, or a manifest.

    A label that the run's model calls normal, or that means it, is good; any other is a defect,
    and its name the kind unless it says no more than that.

    Raises
    ------
    LabelError
        If no image has a label, or one image is called good and defective.
    """
    watcher = watcher or Watcher()
    images = load_images(
        source,
        seed=origin.seed,
        progress=watcher.on_read,
        reading=origin.reading,
        follow_links=origin.follow_links,
        groups=origin.groups,
        root=root,
    )
    unread = [one for one in images.quarantined if not one.is_mask]
    if unread:
        watcher.note(
            f"{count(len(unread), 'corrected image')} cannot be read and teach nothing:"
            f" {few(one.path for one in unread)}"
        )
    return corrections_of(images, normal, watcher=watcher)


def corrections_of(
    images: ImageSet, normal: tuple[str, ...] | None, *, watcher: Watcher | None = None
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
        watcher.note(f"{len(images) - len(labelled):,} images without a label are left out")
    images = images[labelled]
    _refuse_nested(images)
    said = tuple(_said(images, normal))
    _refuse_contradictions(images, said)
    first = {one.pixels: row for row, one in reversed(list(enumerate(said)))}
    rows = np.array(sorted(first.values()))
    return Corrections(images[rows], tuple(said[row] for row in rows))


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


def _said(images: ImageSet, normal: tuple[str, ...] | None) -> Iterator[Correction]:
    good = {spelled(name) for name in normal or ()}
    own, labels = images.own_columns, images.labels
    assert labels is not None
    for row, (path, label, pixels) in enumerate(
        zip(images.paths, labels.tolist(), images.pixel_hashes, strict=True)
    ):
        told = {name: _cell(own, name, row) for name in ("kind", "reviewer", "note", "time")}
        name = spelled(label)
        is_good = name in good or name.replace("-", "").replace("_", "") in NORMAL_NAMES
        if is_good:
            told["kind"] = None
        elif told["kind"] is None:
            told["kind"] = _kind(str(label), str(path))
        decided = "good" if is_good else "defect"
        yield Correction.model_validate(
            {"path": str(path), "label": decided, "pixels": str(pixels), **told}
        )


def _cell(own: dict[str, NDArray[Any]], name: str, row: int) -> str | None:
    return None if name not in own else str(own[name][row]).strip() or None


def _kind(label: str, path: str) -> str | None:
    """A label that names a kind, else the folder below that of all defects."""
    if spelled(label).replace(" ", "").replace("-", "") not in ANOMALOUS_NAMES:
        return label
    parts = PurePosixPath(path).parts
    below = parts.index(label) + 1 if label in parts else len(parts)
    return parts[below] if below < len(parts) - 1 else None


def _refuse_nested(images: ImageSet) -> None:
    """A folder `good` below one that was taken for a label would make defects of good images."""
    nested = []
    for path, label in zip(images.paths, images.labels.tolist(), strict=True):  # type: ignore[union-attr]
        folders = PurePosixPath(str(path)).parts[:-1]
        below = folders[folders.index(label) + 1 :] if label in folders else ()
        if any(map(means_normal, below)):
            nested.append(str(path))
    if nested:
        raise LabelError(
            f"{images.source}: folders of corrections must be good and defect, with kinds below"
            f" defect only. Got good images below another folder: {few(nested)}. Name the folder"
            " that holds good and defect, or write a manifest."
        )


def _refuse_contradictions(images: ImageSet, said: tuple[Correction, ...]) -> None:
    labels = Counter((one.pixels, one.label) for one in said)
    both = [one.path for one in said if labels[one.pixels, "good"] and labels[one.pixels, "defect"]]
    if both:
        raise LabelError(
            f"{images.source}: each image must be good or a defect. Got both for the same picture:"
            f" {few(both)}. Decide, and drop the other."
        )
