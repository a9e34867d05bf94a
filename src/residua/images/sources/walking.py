"""Finding the image files of a folder and its subfolders, without leaving it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from residua.images.decoding import OTHER_SUFFIXES, SUFFIXES, sniff
from residua.images.listing import Quarantined, count


@dataclass
class Found:
    """The files under a folder that may be images, in the order of their names, and what was passed over."""

    root: Path
    paths: list[Path] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    def name(self, path: Path) -> str:
        """The path as told to users: relative to the source, with slashes."""
        return shown(path.relative_to(self.root).as_posix())

    @property
    def notes(self) -> list[str]:
        """A sentence about files that are no images."""
        if not self.ignored:
            return []
        more = ", ..." if len(self.ignored) > 5 else ""
        are = "is no image and was" if len(self.ignored) == 1 else "are no images and were"
        return [f"{count(len(self.ignored), 'file')} {are} left alone: {', '.join(self.ignored[:5])}{more}"]


def find_images(root: Path) -> Found:
    """Every file under `root` that is an image by its suffix or, without a known one, by its first bytes.

    Hidden files are skipped. Links that lead out of the folder, links to folders, and what is no regular file are
    quarantined; they are never followed or opened.
    """
    found = Found(root)
    inside = os.path.realpath(root)

    def unreadable(error: OSError) -> None:
        found.quarantined.append(Quarantined(found.name(Path(error.filename)), f"the folder cannot be read: {error.strerror}"))

    for folder, subfolders, files in os.walk(root, onerror=unreadable):
        for link in [child for name in subfolders if (child := Path(folder, name)).is_symlink()]:
            found.quarantined.append(Quarantined(found.name(link), "a link to a folder: links are not followed"))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            if not name.startswith("."):
                _sort_in(Path(folder, name), inside, found)
    return found


def shown(text: str) -> str:
    """A file name as text that any output can hold; bytes that are not UTF-8 become replacement marks."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def has_image(folder: Path) -> bool:
    """Whether any file under `folder` is an image by its suffix; stops at the first."""
    return any(Path(name).suffix.lower() in SUFFIXES for _, _, files in os.walk(folder) for name in files)


def subfolders(folder: Path) -> Iterator[Path]:
    """The visible folders directly in `folder`, by name."""
    try:
        yield from sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith((".", "__MACOSX")))
    except OSError:
        return


def _sort_in(path: Path, inside: str, found: Found) -> None:
    if path.is_symlink():
        target = os.path.realpath(path)
        if os.path.commonpath([inside, target]) != inside:
            found.quarantined.append(Quarantined(found.name(path), "a link that leads out of the folder: not followed"))
            return
    suffix = path.suffix.lower()
    if suffix in SUFFIXES or (suffix not in OTHER_SUFFIXES and _begins_like_an_image(path)):
        found.paths.append(path)
    elif suffix in OTHER_SUFFIXES:
        found.quarantined.append(Quarantined(found.name(path), f"{suffix} is not a format that is decoded"))
    else:
        found.ignored.append(found.name(path))


def _begins_like_an_image(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return sniff(file.read(16)) is not None
    except OSError:
        return False
