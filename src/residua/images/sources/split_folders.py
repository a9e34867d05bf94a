"""``train/`` and ``test/`` folders (and ``calibration/``, ``val/``) with class folders in them; the MVTec layout with masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images.columns import shared
from residua.images.listing import Listing, Options, Quarantined, count
from residua.images.sources.folders import class_of, empty_folder, twin_notes
from residua.images.sources.walking import Found, find_images, subfolders, suffix_of

# Validation is a slice of train (for stopping early), so a folder of that name joins train.
PART_FOLDERS = {
    "train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
    "calibration": "calibration", "test": "test", "testing": "test",
}  # fmt: skip
_VALIDATION = {"val", "valid", "validation"}


def recognises(path: Path) -> bool:
    """A folder with a ``train`` or a ``test`` folder directly in it."""
    return path.is_dir() and bool({"train", "training", "test", "testing"} & {child.name.lower() for child in subfolders(path)})


def read(path: Path, options: Options) -> Listing:
    """Every image under a part folder; its label is the class folder in it. ``ground_truth`` makes it the MVTec layout."""
    truth = next((child for child in subfolders(path) if child.name.lower() == "ground_truth"), None)
    return arrange(find_images(path), options, truth)


def arrange(found: Found, options: Options, truth: Path | None = None) -> Listing:
    """The images found under part folders, each labelled by the class folder in it, with masks where there is `truth`."""
    parts, labels, rows, outside = [], [], [], []
    for row, name in enumerate(found.names):
        top, slash, rest = name.partition("/")
        part = PART_FOLDERS.get(top.lower()) if slash else None
        if part is None:
            if top.lower() != "ground_truth":
                outside.append(name)
            continue
        rows.append(row)
        parts.append(part)
        labels.append(class_of(rest))
    kept = np.asarray(rows, np.int64)
    names = found.names[kept]
    if not len(names) and not found.quarantined:
        raise empty_folder(found)
    masks, mask_notes = (None, []) if truth is None else _masks(names, truth)
    return Listing(
        kind="train and test folders" if truth is None else "MVTec layout",
        names=names,
        content=found.files(kept, options),
        labels=shared(labels),
        splits=shared(parts),
        masks=masks,
        quarantined=[one for one in found.quarantined if not one.path.startswith("ground_truth/")] + _bad_masks(found),
        notes=[*found.notes, *twin_notes(names), *_part_notes(names, outside), *mask_notes],
        normal=None if truth is None else "good",
    )


def _masks(names: NDArray[Any], truth: Path) -> tuple[list[Path | None], list[str]]:
    """The mask of each test image: ``ground_truth/CLASS/NAME_mask.*`` or ``ground_truth/CLASS/NAME.*``."""
    by_place = {name[: len(name) - len(suffix_of(name))]: truth / name for name in find_images(truth).names}
    masks: list[Path | None] = []
    missing = 0
    for name in names:
        top, _, below = name.partition("/")
        place = below[: len(below) - len(suffix_of(below))]
        in_test = PART_FOLDERS.get(top.lower()) == "test"
        mask = (by_place.get(f"{place}_mask") or by_place.get(place)) if in_test else None
        missing += in_test and mask is None and (class_of(below) or "good").lower() != "good"
        masks.append(mask)
    return masks, [f"{count(missing, 'defective test image')} without a mask in ground_truth"] if missing else []


def _bad_masks(found: Found) -> list[Quarantined]:
    return [Quarantined(path, f"as a mask: {why}") for path, why in found.quarantined if path.startswith("ground_truth/")]


def _part_notes(names: NDArray[Any], outside: list[str]) -> list[str]:
    notes = []
    n_validation = sum(name.partition("/")[0].lower() in _VALIDATION for name in names)
    if n_validation:
        notes.append(f"{count(n_validation, 'validation image')} joined train, which gives up its own validation slice")
    if outside:
        more = ", ..." if len(outside) > 3 else ""
        notes.append(
            f"{count(len(outside), 'image')} outside train, calibration and test left out: {', '.join(outside[:3])}{more}"
        )
    return notes
