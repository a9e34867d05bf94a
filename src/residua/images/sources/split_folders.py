"""``train/`` and ``test/`` folders (and ``calibration/``, ``val/``) with class folders in them.

The MVTec layout with masks.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from residua._labels import means_normal
from residua._text import count, few
from residua.images.columns import shared, taken
from residua.images.listing import Listing, Options
from residua.images.masks import MaskFiles
from residua.images.sources.folders import (
    class_of,
    empty_folder,
    folder_of_all,
    passed_over,
    suffix_notes,
)
from residua.images.sources.mask_files import MaskMatches, match_masks
from residua.images.sources.mask_names import IMAGE_FOLDERS, LOOKED_FOR, MAIN_PARTS, folder_of_masks
from residua.images.sources.walking import FoundImages, find_images, subfolders

# Validation is a slice of train (for stopping early), so a folder of that name joins train.
PART_FOLDERS = {
    "train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
    "calibration": "calibration", "test": "test", "testing": "test",
}  # fmt: skip
_VALIDATION = {"val", "valid", "validation"}


def recognises(path: Path) -> bool:
    """A folder with ``train`` or ``test`` in it, directly or in its only folder ``images``."""
    while path.is_dir():
        inside = [child for child in subfolders(path) if folder_of_masks(child.name) is None]
        if MAIN_PARTS & {child.name.lower() for child in inside}:
            return True
        if len(inside) != 1 or inside[0].name.lower() not in IMAGE_FOLDERS:
            return False
        path = inside[0]
    return False


def has_parts(names: Iterable[str]) -> bool:
    """The same of files by name."""
    names = [name for name in names if folder_of_masks(name.rpartition("/")[0]) is None]
    above = folder_of_all(names)
    return any(name[len(above) :].partition("/")[0].lower() in MAIN_PARTS for name in names)


def read(path: Path, options: Options) -> Listing:
    """Every image under a part, labelled by its class folder; ``ground_truth`` means MVTec."""
    return arrange(find_images(path, follow_links=options.follow_links), options)


def arrange(found: FoundImages, options: Options) -> Listing:
    """The images found under parts, each labelled by its class folder, with masks."""
    matches = match_masks(found, options)
    all_names = matches.names(found)
    above = folder_of_all(all_names)
    parts, labels, rows, outside = [], [], [], []
    for row, name in enumerate(all_names):
        top, slash, rest = name[len(above) :].partition("/")
        part = PART_FOLDERS.get(top.lower()) if slash else None
        if part is None:
            outside.append(name)
            continue
        rows.append(row)
        parts.append(part)
        labels.append(class_of(rest))
    kept = np.asarray(rows, np.int64)
    names = all_names[kept]
    if not len(names) and len(found.quarantined) == found.n_links_out:
        raise empty_folder(found)
    masks = taken(matches.masks, kept)
    in_files = matches.images[kept]
    return Listing(
        kind="train and test folders" if masks is None else "MVTec layout",
        names=names,
        content=found.files(in_files, options),
        labels=shared(labels) if any(labels) else None,
        splits=shared(parts),
        masks=masks,
        quarantined=matches.quarantined,
        notes=[
            *found.notes,
            *matches.notes,
            *suffix_notes(found, in_files, options),
            *_part_notes([name[len(above) :] for name in names], outside),
            *_without_mask(matches, masks, labels, parts),
        ],
        assumptions=[*matches.assumptions, *passed_over(above)],
        normal=None if masks is None else "good",
    )


def _without_mask(
    matches: MaskMatches,
    masks: list[MaskFiles | None] | None,
    labels: list[str | None],
    parts: list[str],
) -> list[str]:
    """How many defective test images have no mask, where others have one."""
    if masks is None and not matches.n_loose:
        return []
    missing = sum(
        (masks is None or masks[row] is None)
        and part == "test"
        and label is not None
        and not means_normal(label)
        for row, (label, part) in enumerate(zip(labels, parts, strict=True))
    )
    return (
        [f"{count(missing, 'defective test image')} without a mask: looked for was {LOOKED_FOR}"]
        if missing
        else []
    )


def _part_notes(names: list[str], outside: list[str]) -> list[str]:
    notes = []
    n_validation = sum(name.partition("/")[0].lower() in _VALIDATION for name in names)
    if n_validation:
        notes.append(
            f"{count(n_validation, 'validation image')} joined train, which gives up its own"
            " validation slice"
        )
    if outside:
        notes.append(
            f"{count(len(outside), 'image')} outside train, calibration and test left out:"
            f" {few(outside, 3)}"
        )
    return notes
