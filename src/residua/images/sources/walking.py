"""Finding the image files of a folder and its subfolders, without leaving it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.images.columns import TextColumn
from residua.images.decoding import OTHER_SUFFIXES, SUFFIXES, sniff
from residua.images.listing import Encoded, Files, OddFiles, Options, Quarantined, count
from residua.images.stores import LocalFolder, RemoteFolder, Store


@dataclass
class Found:
    """The files under a root that may be images, by name relative to it and in order, and what was passed over.

    ``odd`` holds the real names, by row, of files whose names are no text.
    """

    root: str
    store: Store
    column: TextColumn = field(default_factory=TextColumn)
    odd: dict[int, str] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """A sentence about files that are no images."""
        if not self.ignored:
            return []
        more = ", ..." if len(self.ignored) > 5 else ""
        are = "is no image and was" if len(self.ignored) == 1 else "are no images and were"
        return [f"{count(len(self.ignored), 'file')} {are} left alone: {', '.join(self.ignored[:5])}{more}"]

    def add(self, name: str) -> None:
        """Take a file."""
        told = shown(name)
        if told != name:
            self.odd[len(self.column)] = name
        self.column.append(told)

    @property
    def names(self) -> NDArray[Any]:
        """The names as told to users."""
        return self.column.array()

    def files(self, rows: NDArray[np.int64] | None, options: Options) -> Encoded:
        """The images of these rows, or all."""
        content = OddFiles(self.store, self.names, options.byte_limit, self.odd) if self.odd else None
        everything = content or Files(self.store, self.names, options.byte_limit)
        return everything if rows is None else everything.part(rows)


def find_images(root: Path) -> Found:
    """Every file under `root` that is an image by its suffix or, without a known one, by its first bytes.

    Hidden files are skipped. Links that lead out of the folder, links to folders, and what is no regular file are
    quarantined; they are never followed or opened.
    """
    found = Found(str(root), LocalFolder(root))
    inside = os.path.realpath(root)
    start = len(os.fspath(root)) + (not os.fspath(root).endswith(os.sep))

    def relative(path: str) -> str:
        return path[start:].replace(os.sep, "/")

    def unreadable(error: OSError) -> None:
        why = f"the folder cannot be read: {error.strerror}"
        found.quarantined.append(Quarantined(shown(relative(str(error.filename))), why))

    for folder, subfolders, files in os.walk(root, onerror=unreadable):
        before = folder if folder.endswith(os.sep) else folder + os.sep
        for link in [before + name for name in subfolders if Path(before + name).is_symlink()]:
            found.quarantined.append(Quarantined(shown(relative(link)), "a link to a folder: links are not followed"))
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            if not name.startswith("."):
                _sort_in(before + name, relative(before + name), inside, found)
    return found


def find_remote_images(store: RemoteFolder, names: Iterable[str]) -> Found:
    """The images among the files of a store, by their suffix alone: opening each to look would cost a request."""
    found = Found(store.url, store)
    for name in names:
        suffix = suffix_of(name)
        if suffix in SUFFIXES:
            found.add(name)
        elif suffix in OTHER_SUFFIXES:
            found.quarantined.append(Quarantined(shown(name), f"{suffix} is not a format that is decoded"))
        else:
            found.ignored.append(shown(name))
    return found


def suffix_of(name: str) -> str:
    """The suffix in lower case, as `Path.suffix` has it, without making a path of every name."""
    base = name[name.rfind("/") + 1 :]
    dot = base.rfind(".")
    return base[dot:].lower() if 0 < dot < len(base) - 1 else ""


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


def _sort_in(path: str, name: str, inside: str, found: Found) -> None:
    if Path(path).is_symlink() and os.path.commonpath([inside, os.path.realpath(path)]) != inside:
        found.quarantined.append(Quarantined(shown(name), "a link that leads out of the folder: not followed"))
        return
    suffix = suffix_of(name)
    if suffix in SUFFIXES or (suffix not in OTHER_SUFFIXES and _begins_like_an_image(Path(path))):
        found.add(name)
    elif suffix in OTHER_SUFFIXES:
        found.quarantined.append(Quarantined(shown(name), f"{suffix} is not a format that is decoded"))
    else:
        found.ignored.append(shown(name))


def _begins_like_an_image(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return sniff(file.read(16)) is not None
    except OSError:
        return False
