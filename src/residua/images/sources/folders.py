"""A folder of images: flat, or a subfolder for each class. Subfolders of a class folder belong to the class."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from residua.errors import SourceError
from residua.images.listing import Files, Listing, Options, count
from residua.images.sources.walking import Found, find_images, subfolders


def recognises(path: Path) -> bool:
    """Any folder."""
    return path.is_dir()


def read(path: Path, options: Options) -> Listing:
    """Every image under the folder; its label is the name of the first subfolder on the way, if there is one."""
    for child in subfolders(path):
        _refuse_source_inside(path, child)
    found = find_images(path)
    if not found.paths and not found.quarantined:
        raise empty_folder(path, found)
    classes = [class_of(file, path) for file in found.paths]
    has_classes = any(label is not None for label in classes)
    n_loose = sum(label is None for label in classes)
    notes = [*found.notes, *twin_notes(found.paths)]
    if has_classes and n_loose:
        notes.append(f"{count(n_loose, 'image')} beside the class folders: without a label")
    below = {file.relative_to(path).parts[1] for file in found.paths if len(file.relative_to(path).parts) > 2}
    if len(set(classes)) == 1 and has_classes and len(below) > 1:
        notes.append(f"every image has the label {classes[0]!r}; for the folders in it as labels, name {path / str(classes[0])}")
    return Listing(
        kind="class folders" if has_classes else "flat folder",
        names=[found.name(file) for file in found.paths],
        content=Files(found.paths, options.byte_limit),
        labels=classes if has_classes else None,
        quarantined=found.quarantined,
        notes=notes,
    )


def _refuse_source_inside(path: Path, child: Path) -> None:
    """A folder with train and test in it is a source; as a class it would put defects and masks among the normal images."""
    inside = {folder.name.lower() for folder in subfolders(child)}
    if inside & {"train", "training"} and inside & {"test", "testing", "ground_truth"}:
        raise SourceError(
            f"{path}: class folders must hold the images of one class. Got {child.name} with {', '.join(sorted(inside))} in it, "
            f"a source of its own. Name {child}, or write a manifest."
        )


def class_of(file: Path, folder: Path) -> str | None:
    """The name of the first folder between `folder` and `file`."""
    between = file.relative_to(folder).parts[:-1]
    return between[0] if between else None


def empty_folder(path: Path, found: Found) -> SourceError:
    """The error of a folder without images, saying what lies there instead."""
    got = (
        f"{count(len(found.ignored), 'file')} of other kinds ({', '.join(found.ignored[:3])})"
        if found.ignored
        else "an empty folder"
    )
    return SourceError(f"{path}: a folder must hold images (PNG, JPEG, TIFF, ...). Got {got}. Name the folder that holds them.")


def twin_notes(paths: list[Path]) -> list[str]:
    """A sentence where many files differ only in their suffix: one of each pair is often a mask, not an image."""
    stems: dict[Path, int] = defaultdict(int)
    for path in paths:
        stems[path.with_suffix("")] += 1
    n_pairs = sum(n > 1 for n in stems.values())
    if not n_pairs:
        return []
    noun = count(n_pairs, "pair")
    return [f"{noun} of files differ only in the suffix: if one of each is a mask, write a manifest that says so"]
