"""A folder of images: flat, or a subfolder for each class.

Subfolders of a class folder belong to the class.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._labels import means_normal
from residua._text import count, few
from residua.errors import SourceError
from residua.images.columns import shared
from residua.images.listing import Listing, Options
from residua.images.sources.mask_files import match_masks
from residua.images.sources.mask_looks import evenly, same_picture
from residua.images.sources.mask_names import IMAGE_FOLDERS, suffix_pairs
from residua.images.sources.walking import FoundImages, find_images, is_packed, subfolders
from residua.records import Assumption

# train2017, Train_set, trainA, test-images, val_good
_PART = re.compile(
    r"(?P<part>train|test|val)(?:ing|id|idation)?(?:[\W_]*(?:\d+|[ab]|set|data|images|imgs|split)|[\W_].+)?",
    re.IGNORECASE,
)


def recognises(path: Path) -> bool:
    """Any folder."""
    return path.is_dir()


def read(path: Path, options: Options) -> Listing:
    """Every image under the folder, labelled by the first subfolder on the way, if any."""
    for child in subfolders(path):
        _refuse_source_inside(path, child)
    return arrange(find_images(path, follow_links=options.follow_links), options)


def arrange(found: FoundImages, options: Options) -> Listing:
    """The images found, labelled by the first folder on the way, with their masks."""
    matches = match_masks(found, options)
    names = matches.names(found)
    if not len(names) and len(found.quarantined) == found.n_links_out:
        raise empty_folder(found)
    above = folder_of_all(names)
    classes = shared(class_of(name[len(above) :]) for name in names)
    _refuse_several_objects(found.root, names, above)
    _refuse_parts(found.root, classes)
    return Listing(
        kind="class folders" if any(classes) else "flat folder",
        names=names,
        content=found.files(matches.images, options),
        labels=classes if any(classes) else None,
        masks=matches.masks,
        quarantined=matches.quarantined,
        notes=[
            *found.notes,
            *matches.notes,
            *suffix_notes(found, matches.images, options),
            *_about_labels(found, names, classes),
        ],
        assumptions=[*matches.assumptions, *passed_over(above)],
    )


def _about_labels(found: FoundImages, names: NDArray[Any], classes: NDArray[Any]) -> list[str]:
    labels = set(classes) - {None}
    n_loose = sum(label is None for label in classes)
    if labels and n_loose:
        return [f"{count(n_loose, 'image')} beside the class folders: without a label"]
    if len(labels) == 1:
        label = next(iter(labels))
        if len({name.split("/", 2)[1] for name in names if name.count("/") > 1}) > 1:
            return [
                f"every image has the label {label!r}; for the folders in it as labels, name"
                f" {found.root}/{label}"
            ]
    return []


def _refuse_source_inside(path: Path, child: Path) -> None:
    """A folder with train and test in it is a source; as a class it would mix in defects."""
    inside = {folder.name.lower() for folder in subfolders(child)}
    if inside & {"train", "training"} and inside & {"test", "testing", "ground_truth"}:
        raise SourceError(
            f"{path}: class folders must hold the images of one class. Got {child.name} with"
            f" {', '.join(sorted(inside))} in it, a source of its own. Name {child}, or write a"
            " manifest."
        )


def _refuse_parts(root: str, classes: Iterable[str | None]) -> None:
    """Folders called nearly train and test are parts; as classes they would be mixed."""
    labels = sorted({label for label in classes if label is not None})
    parts = [match["part"].lower() for label in labels if (match := _PART.fullmatch(label))]
    if "train" in parts and len(set(parts)) > 1:
        raise SourceError(
            f"{root}: parts must be called train, calibration and test. Got {few(labels)}, which"
            " would be read as classes. Rename them, with a folder for each class inside, or write"
            " a manifest."
        )


def _refuse_several_objects(root: str, names: NDArray[Any], above: str) -> None:
    """Folders that each have good and other images are sets; as classes they would mix."""
    below: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        top, *parts = name[len(above) :].split("/")[:-1] or [""]
        below[top].update(parts)
        if not top:
            return
    if len(below) > 1 and all(
        len(parts) > 1 and any(map(means_normal, parts)) for parts in below.values()
    ):
        first, inside = next(iter(below.items()))
        normal = next(filter(means_normal, sorted(inside)))
        raise SourceError(
            f"{root}: class folders must hold the images of one class. Got {few(sorted(below))},"
            f" each with {normal!r} and other folders in it: sets of their own. Name one, such as"
            f" {root}/{above}{first}, or write a manifest."
        )


def folder_of_all(names: Iterable[str]) -> str:
    """The folders called ``images``, ``data``, ... around all images, with a slash, or empty."""
    above = None
    for name in names:
        parts = name.split("/")[:-1]
        n = next(
            (at for at, part in enumerate(parts) if part.lower() not in IMAGE_FOLDERS), len(parts)
        )
        way = parts[:n]
        above = (
            way
            if above is None
            else [one for one, other in zip(above, way, strict=False) if one == other]
        )
        if not above:
            return ""
    return "".join(f"{part}/" for part in above or ())


def passed_over(above: str) -> list[Assumption]:
    """What to say of a folder of images that is neither a class nor a part."""
    return (
        [
            Assumption(
                about="folders",
                taken=f"{above[:-1]} is where the images lie, and no class",
                because="every image lies in it",
                to_tell="a manifest, or another folder",
            )
        ]
        if above
        else []
    )


def class_of(name: str) -> str | None:
    """The first folder of a relative name."""
    first, slash, _ = name.partition("/")
    return first if slash else None


def empty_folder(found: FoundImages) -> SourceError:
    """The error of a folder without images, saying what lies there instead."""
    got = (
        f"{count(len(found.ignored), 'file')} of other kinds ({', '.join(found.ignored[:3])})"
        if found.ignored
        else (
            "hidden images alone: " + "; ".join(found.notes)
            if found.skipped
            else (
                f"links alone: {'; '.join(found.notes)}" if found.n_links_out else "an empty folder"
            )
        )
    )
    mend = (
        "Unpack it, and name the folder that holds the images"
        if any(map(is_packed, found.ignored))
        else "Name the folder that holds them"
    )
    return SourceError(
        f"{found.root}: a folder must hold images (PNG, JPEG, TIFF, ...). Got {got}. {mend}."
    )


def suffix_notes(found: FoundImages, rows: NDArray[np.int64], options: Options) -> list[str]:
    """A sentence where many files differ only in suffix: one is often a copy or a mask."""
    names = found.names
    pairs = list(suffix_pairs(names, rows))
    if not pairs:
        return []
    sample = evenly(pairs, 5)
    alike = sum(
        same_picture(found.store, *(found.real(row, names[row]) for row in pair), options=options)
        for pair in sample
    )
    what_of_it = (
        " and show the same picture: copies of an image in two parts make a result too good, so"
        " keep one format"
        if alike > len(sample) / 2
        else ": if one of each is a mask, write a manifest that says so"
    )
    return [f"{count(len(pairs), 'pair')} of files differ only in the suffix{what_of_it}"]
