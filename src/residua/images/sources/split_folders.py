"""``train/`` and ``test/`` folders (and ``calibration/``, ``val/``) with class folders in them; the MVTec layout with masks."""

from __future__ import annotations

from pathlib import Path

from residua.images.listing import Files, Listing, Options, Quarantined, count
from residua.images.sources.folders import class_of, empty_folder, twin_notes
from residua.images.sources.walking import Found, find_images, subfolders

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
    found = find_images(path)
    parts, labels, files, outside = [], [], [], []
    for file in found.paths:
        top = file.relative_to(path).parts[0]
        part = PART_FOLDERS.get(top.lower()) if file.parent != path else None
        if part is None:
            if top.lower() != "ground_truth":
                outside.append(found.name(file))
            continue
        files.append(file)
        parts.append(part)
        labels.append(class_of(file, path / top))
    if not files and not found.quarantined:
        raise empty_folder(path, found)
    truth = next((child for child in subfolders(path) if child.name.lower() == "ground_truth"), None)
    masks, mask_notes = (None, []) if truth is None else _masks(files, path, truth)
    return Listing(
        kind="train and test folders" if truth is None else "MVTec layout",
        names=[found.name(file) for file in files],
        content=Files(files, options.byte_limit),
        labels=labels,
        splits=parts,
        masks=masks,
        quarantined=[one for one in found.quarantined if not one.path.startswith("ground_truth/")] + _bad_masks(found),
        notes=[*found.notes, *twin_notes(files), *_part_notes(found, files, outside, path), *mask_notes],
        normal=None if truth is None else "good",
    )


def _masks(files: list[Path], root: Path, truth: Path) -> tuple[list[Path | None], list[str]]:
    """The mask of each test image: ``ground_truth/CLASS/NAME_mask.*`` or ``ground_truth/CLASS/NAME.*``."""
    by_place = {mask.relative_to(truth).with_suffix("").as_posix(): mask for mask in find_images(truth).paths}
    masks: list[Path | None] = []
    missing = 0
    for file in files:
        below = file.relative_to(root)
        place = Path(*below.parts[1:]).with_suffix("").as_posix()
        in_test = PART_FOLDERS.get(below.parts[0].lower()) == "test"
        mask = (by_place.get(f"{place}_mask") or by_place.get(place)) if in_test else None
        missing += in_test and mask is None and len(below.parts) > 2 and below.parts[1].lower() != "good"
        masks.append(mask)
    return masks, [f"{count(missing, 'defective test image')} without a mask in ground_truth"] if missing else []


def _bad_masks(found: Found) -> list[Quarantined]:
    return [Quarantined(path, f"as a mask: {why}") for path, why in found.quarantined if path.startswith("ground_truth/")]


def _part_notes(found: Found, files: list[Path], outside: list[str], root: Path) -> list[str]:
    notes = []
    n_validation = sum(file.relative_to(root).parts[0].lower() in _VALIDATION for file in files)
    if n_validation:
        notes.append(f"{count(n_validation, 'validation image')} joined train, which gives up its own validation slice")
    if outside:
        more = ", ..." if len(outside) > 3 else ""
        notes.append(
            f"{count(len(outside), 'image')} outside train, calibration and test left out: {', '.join(outside[:3])}{more}"
        )
    return notes
