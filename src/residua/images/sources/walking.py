"""Finding the image files of a folder and its subfolders, without leaving it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._text import count, few, printable
from residua.images.columns import TextColumn
from residua.images.decoding import OTHER_SUFFIXES, SUFFIXES, sniff
from residua.images.listing import EncodedImages, Files, OddFiles, Options, Quarantined
from residua.images.stores import LocalFolder, RemoteFolder, Store

# Folders that systems, storage boxes and tools make: their pictures are thumbnails and what was
# thrown away. Lower case.
_JUNK_FOLDERS = frozenset({
    "@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "recycler",
    "lost+found",
    "system volume information",
})  # fmt: skip
_JUNK_FILES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
_UNCOUNTED = frozenset({".git", ".hg", ".svn", ".venv"})
# Files that may be a source of their own; told first, and by name.
DATA_SUFFIXES = frozenset({".tar", ".parquet", ".npz", ".npy", ".csv"})
_PACKED = frozenset({".zip", ".tgz", ".7z", ".rar", ".gz", ".bz2", ".xz"})


@dataclass
class FoundImages:
    """The files under a root that may be images, by relative name and in order.

    Beside them what was passed over.

    ``odd`` holds the real names, by row, of files whose names are no text.
    """

    root: str
    store: Store
    column: TextColumn = field(default_factory=TextColumn)
    odd: dict[int, str] = field(default_factory=dict)
    quarantined: list[Quarantined] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    n_links_out: int = 0

    @property
    def notes(self) -> list[str]:
        """A note each on other files, skipped folders and links that were not followed."""
        return [*self._about_ignored(), *self._about_skipped(), *self._about_links()]

    def _about_ignored(self) -> list[str]:
        data = [name for name in self.ignored if is_data(name)]
        if not self.ignored:
            return []
        packed = [name for name in self.ignored if is_packed(name)]
        named = dict.fromkeys([*data, *packed, *self.ignored])
        told = (
            "; to read one of them, name it as the source"
            if data
            else "; to read what is packed, unpack it"
            if packed
            else ""
        )
        are = "is no image and was" if len(self.ignored) == 1 else "are no images and were"
        return [f"{count(len(self.ignored), 'file')} {are} left alone: {few(named)}{told}"]

    def _about_skipped(self) -> list[str]:
        n = self.skipped.total()
        where = f"{'is' if n == 1 else 'are'} hidden, or in folders that systems and tools make"
        return [f"{count(n, 'image file')} {where} ({few(self.skipped)}): skipped"] * (n > 0)

    def _about_links(self) -> list[str]:
        verb = "leads" if self.n_links_out == 1 else "lead"
        return [
            f"{count(self.n_links_out, 'link')} {verb} to files outside the folder: not followed,"
            " as a folder from elsewhere could bring in any file of this machine. If they are"
            " yours (DVC, git-annex): follow_links=True (--follow-links)"
        ] * (self.n_links_out > 0)

    def add(self, name: str) -> None:
        """Take a file."""
        told = shown(name)
        if told != name:
            self.odd[len(self.column)] = name
        self.column.append(told)

    def real(self, row: int, name: str) -> str:
        """The name in the store of the file in a row, which is told as `name`."""
        return self.odd.get(row, name)

    @property
    def names(self) -> NDArray[Any]:
        """The names as told to users."""
        return self.column.array()

    def files(self, rows: NDArray[np.int64] | None, options: Options) -> EncodedImages:
        """The images of these rows, or all."""
        everything = (
            OddFiles(self.store, self.names, options.byte_limit, self.odd)
            if self.odd
            else Files(self.store, self.names, options.byte_limit)
        )
        return (
            everything if rows is None or len(rows) == len(self.column) else everything.part(rows)
        )


def find_images(root: Path, *, follow_links: bool = False) -> FoundImages:
    """Every file under `root` that is an image by its suffix or its first bytes.

    What is hidden, and folders that systems and tools make, are skipped and their images counted.
    What is no regular file is quarantined. Links that lead out of the folder and links to folders
    are quarantined, unless `follow_links`.
    """
    return _Walk(root, follow_links=follow_links).found()


class _Walk:
    """One walk through a folder."""

    def __init__(self, root: Path, *, follow_links: bool) -> None:
        self._root, self._follow = root, follow_links
        self._found = FoundImages(str(root), LocalFolder(root))
        self._inside = os.path.realpath(root)
        self._start = len(os.fspath(root)) + (not os.fspath(root).endswith(os.sep))
        self._been = {self._inside}

    def found(self) -> FoundImages:
        """What there is."""
        for folder, below, files in os.walk(
            self._root, onerror=self._unreadable, followlinks=self._follow
        ):
            before = folder if folder.endswith(os.sep) else folder + os.sep
            below[:] = [name for name in sorted(below) if self._enters(before, name)]
            for name in sorted(files):
                self._take(before, name)
        return self._found

    def _relative(self, path: str) -> str:
        return path[self._start :].replace(os.sep, "/")

    def _quarantine(self, path: str, why: str) -> None:
        self._found.quarantined.append(Quarantined(shown(self._relative(path)), why))

    def _unreadable(self, error: OSError) -> None:
        self._quarantine(str(error.filename), f"the folder cannot be read: {error.strerror}")

    def _enters(self, before: str, name: str) -> bool:
        path = before + name
        if is_junk(name):
            self._skip(name, n_images(Path(path)) if name not in _UNCOUNTED else 0)
            return False
        if not Path(path).is_symlink() and not self._follow:
            return True
        real = os.path.realpath(path)
        if not self._follow:
            self._quarantine(path, "a link to a folder: links are not followed")
            self._found.n_links_out += leads_out(real, self._inside)
            return False
        if real in self._been:
            self._quarantine(path, "a link to a folder that is read already")
            return False
        self._been.add(real)
        return True

    def _skip(self, name: str, n: int) -> None:
        if n:
            self._found.skipped[shown(name)] += n

    def _take(self, before: str, name: str) -> None:
        path, suffix = before + name, suffix_of(name)
        if name.startswith("."):
            self._skip("hidden files", suffix in SUFFIXES)
        elif name.lower() in _JUNK_FILES:
            return
        elif (
            not self._follow
            and Path(path).is_symlink()
            and leads_out(os.path.realpath(path), self._inside)
        ):
            self._quarantine(path, "a link that leads out of the folder: not followed")
            self._found.n_links_out += 1
        elif suffix in SUFFIXES or (
            suffix not in OTHER_SUFFIXES and _begins_like_an_image(Path(path))
        ):
            self._found.add(self._relative(path))
        elif suffix in OTHER_SUFFIXES:
            self._quarantine(path, f"{suffix} is not a format that is decoded")
        else:
            self._found.ignored.append(shown(self._relative(path)))


def leads_out(real: str, inside: str) -> bool:
    """Whether a real path lies outside a folder; on Windows it may lie on another drive."""
    try:
        return os.path.commonpath([inside, real]) != inside
    except ValueError:
        return True


def find_remote_images(store: RemoteFolder, names: Iterable[str]) -> FoundImages:
    """A store's images, by suffix alone: opening each to look would cost a request."""
    found = FoundImages(store.url, store)
    for name in names:
        suffix = suffix_of(name)
        if junk := next((part for part in name.split("/") if is_junk(part)), None):
            if suffix in SUFFIXES:
                found.skipped[junk] += 1
        elif suffix in SUFFIXES:
            found.add(name)
        elif suffix in OTHER_SUFFIXES:
            found.quarantined.append(
                Quarantined(shown(name), f"{suffix} is not a format that is decoded")
            )
        else:
            found.ignored.append(shown(name))
    return found


def suffix_of(name: str) -> str:
    """The suffix in lower case, as `Path.suffix` has it, without making a path of every name."""
    base = name[name.rfind("/") + 1 :]
    dot = base.rfind(".")
    return base[dot:].lower() if 0 < dot < len(base) - 1 else ""


def shown(text: str) -> str:
    """A file name that any output can hold: no control characters, marks for odd bytes."""
    return printable(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def is_junk(folder: str) -> bool:
    """Whether a folder's name is hidden, or that of one which systems and tools make."""
    return folder.startswith((".", "__MACOSX")) or folder.lower() in _JUNK_FOLDERS


def is_data(name: str) -> bool:
    """Whether a file may be a source of its own, by its name."""
    return suffix_of(name) in DATA_SUFFIXES or name.lower().endswith(("-ubyte", "-ubyte.gz"))


def is_packed(name: str) -> bool:
    """Whether a file is, by its name, an archive of images; IDX files are read as they are."""
    return suffix_of(name) in _PACKED and not is_data(name)


def n_images(folder: Path, most: int | None = None) -> int:
    """How many files under `folder` are images by their suffix; stops at `most`."""
    n = 0
    for _, below, files in os.walk(folder):
        below[:] = [name for name in below if not is_junk(name)]
        n += sum(suffix_of(name) in SUFFIXES and not name.startswith(".") for name in files)
        if most is not None and n >= most:
            return most
    return n


def subfolders(folder: Path) -> Iterator[Path]:
    """The visible folders directly in `folder`, by name."""
    try:
        yield from sorted(
            child for child in folder.iterdir() if child.is_dir() and not is_junk(child.name)
        )
    except OSError:
        return


def _begins_like_an_image(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return sniff(file.read(16)) is not None
    except OSError:
        return False
