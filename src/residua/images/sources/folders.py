"""A folder of images: flat, or a subfolder for each class. Subfolders of a class folder belong to the class."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from residua.errors import SourceError
from residua.images.columns import shared
from residua.images.listing import Listing, Options, count
from residua.images.sources.walking import Found, find_images, subfolders, suffix_of


def recognises(path: Path) -> bool:
    """Any folder."""
    return path.is_dir()


def read(path: Path, options: Options) -> Listing:
    """Every image under the folder; its label is the name of the first subfolder on the way, if there is one."""
    for child in subfolders(path):
        _refuse_source_inside(path, child)
    return arrange(find_images(path), options)


def arrange(found: Found, options: Options) -> Listing:
    """The images found, each labelled by the first folder on the way."""
    if not len(found.names) and not found.quarantined:
        raise empty_folder(found)
    classes = shared(class_of(name) for name in found.names)
    labels = {label for label in classes if label is not None}
    n_loose = sum(label is None for label in classes)
    notes = [*found.notes, *twin_notes(found.names)]
    if labels and n_loose:
        notes.append(f"{count(n_loose, 'image')} beside the class folders: without a label")
    if len(labels) == 1 and not n_loose:
        label = next(iter(labels))
        below = {name.split("/", 2)[1] for name in found.names if name.count("/") > 1}
        if len(below) > 1:
            notes.append(f"every image has the label {label!r}; for the folders in it as labels, name {found.root}/{label}")
    return Listing(
        kind="class folders" if labels else "flat folder",
        names=found.names,
        content=found.files(None, options),
        labels=classes if labels else None,
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


def class_of(name: str) -> str | None:
    """The first folder of a relative name."""
    first, slash, _ = name.partition("/")
    return first if slash else None


def empty_folder(found: Found) -> SourceError:
    """The error of a folder without images, saying what lies there instead."""
    got = (
        f"{count(len(found.ignored), 'file')} of other kinds ({', '.join(found.ignored[:3])})"
        if found.ignored
        else "an empty folder"
    )
    return SourceError(
        f"{found.root}: a folder must hold images (PNG, JPEG, TIFF, ...). Got {got}. Name the folder that holds them."
    )


def twin_notes(names: Iterable[str]) -> list[str]:
    """A sentence where many files differ only in their suffix: one of each pair is often a mask, not an image."""
    n_pairs = n_alike = 0
    before = None
    # Names are in order within a folder, so what differs in the suffix alone mostly stands together.
    for name in names:
        stem = name[: len(name) - len(suffix_of(name))]
        n_alike = n_alike + 1 if stem == before else 1
        n_pairs += n_alike == 2
        before = stem
    if not n_pairs:
        return []
    noun = count(n_pairs, "pair")
    return [f"{noun} of files differ only in the suffix: if one of each is a mask, write a manifest that says so"]
