"""Tar shards in the WebDataset layout: ``key.png`` beside ``key.cls`` or ``key.json``.

One ``.tar``, or a folder of them.

Nothing is unpacked: images are read where they lie in the archive, so no name in it can lead
anywhere, and links and devices are passed over.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from residua._text import count
from residua.errors import SourceError
from residua.images.columns import TextColumn, shared
from residua.images.decoding import OTHER_SUFFIXES, SUFFIXES as IMAGE_SUFFIXES
from residua.images.listing import PARTS, Listing, Options, Quarantined, Ranges
from residua.images.shards import Shards, join_shards
from residua.images.sources.mask_names import folder_of_masks
from residua.images.sources.shard_files import FileShard, file_shards, shards_in
from residua.images.sources.walking import shown

KIND = "tar shards"
SUFFIXES = frozenset({".tar"})

_MOST_LABEL_BYTES = 1 << 20  # of a .cls or .json member
_MOST_HEADER_BYTES = 4 << 20  # of one read of a header
_FACTS = ("label", "split", "group")


def recognises(path: Path) -> bool:
    """A ``.tar`` file, or a folder with some directly in it."""
    return bool(files_in(path))


def read(path: Path, options: Options) -> Listing:
    """Every image of every archive, in the order they lie in."""
    return join_shards(KIND, shards(path, options).pieces, options)


def shards(path: Path, options: Options) -> Shards:
    """Each archive is a shard."""
    return shards_in(path, files_in(path), shards_of)


class TarShard(FileShard):
    """One archive."""

    def listing(self, options: Options) -> Listing:
        """Images and what lies beside them under their key, as far as the archive goes."""
        rows = _Rows(self.name)
        try:
            with (
                self.store.open(self.file) as file,
                tarfile.open(fileobj=_Bounded(file), mode="r:") as archive,
            ):
                for member in _members(archive):
                    rows.take(archive, member)
        except (tarfile.TarError, EOFError, OSError, ValueError) as error:
            if isinstance(error, SourceError):
                raise
            if not rows.n:
                raise SourceError(
                    f"{self.name}: a tar archive must be whole. Got: {error}. Fetch or write it"
                    " again."
                ) from error
            rows.quarantined.append(
                Quarantined(self.name, f"the archive breaks off after {rows.n:,} images: {error}")
            )
        return rows.listing(self, options)


class _Bounded:
    """A file of which no read takes more than a header may: those are read at once."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, n: int = -1) -> bytes:
        """At most `_MOST_HEADER_BYTES`; images are read elsewhere, by their place."""
        if not 0 <= n <= _MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header declares {n:,} bytes")
        return bytes(self._file.read(n))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Rows:
    """What an archive holds, gathered member by member; what shares a key stands together in it."""

    def __init__(self, shard: str) -> None:
        self.quarantined: list[Quarantined] = []
        self.n = 0
        self._n_masks = 0
        self._shard = shard
        self._names = TextColumn()
        self._places: list[tuple[int, int]] = []
        self._facts: dict[str, list[Any]] = {name: [] for name in _FACTS}
        self._key: str | None = None
        self._known: dict[str, Any] = {}
        self._first_of_key = 0

    def take(self, archive: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        """Take a member: an image is a row; a label or facts go to the images of their key."""
        folder, slash, base = member.name.rpartition("/")
        stem, _, extension = base.partition(".")
        if not stem or not member.isreg():
            return
        if folder + slash + stem != self._key:
            self._key, self._known, self._first_of_key = folder + slash + stem, {}, self.n
        kind, _, last = extension.rpartition(".")
        suffix = "." + last.lower()
        if suffix in IMAGE_SUFFIXES and kind and folder_of_masks(kind) is not None:
            self._n_masks += 1  # 000.mask.png beside 000.jpg
        elif suffix in IMAGE_SUFFIXES:
            self._names.append(f"{self._shard}/{shown(member.name)}")
            self._places.append((member.offset_data, member.size))
            for name in _FACTS:
                self._facts[name].append(self._known.get(name))
            self.n += 1
        elif suffix in OTHER_SUFFIXES:
            self.quarantined.append(
                Quarantined(
                    f"{self._shard}/{shown(member.name)}",
                    f"{suffix} is not a format that is decoded",
                )
            )
        elif suffix in {".cls", ".json"}:
            self._know(_read_facts(archive, member, suffix))

    def _know(self, facts: dict[str, Any]) -> None:
        self._known.update(facts)
        for name, value in facts.items():
            for row in range(self._first_of_key, self.n):
                self._facts[name][row] = value

    def listing(self, shard: TarShard, options: Options) -> Listing:
        """All of it."""
        places = np.asarray(self._places, np.int64).reshape(-1, 2)
        splits, groups = self._facts["split"], self._facts["group"]
        has_splits = bool(splits) and all(value in PARTS for value in splits)
        return Listing(
            kind=KIND,
            names=self._names.array(),
            content=Ranges(
                shard.store,
                (shard.file,),
                np.zeros(self.n, np.int32),
                places[:, 0],
                places[:, 1],
                options.byte_limit,
            ),
            labels=(
                shared(self._facts["label"])
                if any(label is not None for label in self._facts["label"])
                else None
            ),
            splits=(
                shared(splits)
                if has_splits
                else [shard.part] * self.n
                if shard.part is not None
                else None
            ),
            groups=(
                shared(None if group is None else str(group) for group in groups)
                if any(groups)
                else None
            ),
            quarantined=self.quarantined,
            notes=[
                f"{self._shard}: {count(self._n_masks, 'mask')} left out, which are not read from"
                " shards"
            ]
            * (self._n_masks > 0),
        )


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """One member after the other; the archive's own list, which would grow, is emptied."""
    while (member := archive.next()) is not None:
        yield member
        archive.members.clear()  # type: ignore[attr-defined]  # what typeshed leaves out


def _read_facts(archive: tarfile.TarFile, member: tarfile.TarInfo, suffix: str) -> dict[str, Any]:
    """The label in ``.cls``; ``label``, ``split`` and ``group`` of an object in ``.json``."""
    if member.size > _MOST_LABEL_BYTES:
        return {}
    file = archive.extractfile(member)
    text = b"" if file is None else file.read(_MOST_LABEL_BYTES)
    try:
        if suffix == ".cls":
            return {"label": _plain(text.decode().strip())}
        facts = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(facts, dict):
        return {}
    known = {name: facts[name] for name in _FACTS if isinstance(facts.get(name), (str, int))}
    return {name: int(value) if isinstance(value, bool) else value for name, value in known.items()}


def _plain(text: str) -> str | int | None:
    """A class number as a number, a name as a name."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else text or None


def files_in(path: Path) -> list[Path]:
    """The shards in a folder, or the one that `path` is; none where it is something else."""
    if path.is_file():
        return [path] if path.suffix.lower() in SUFFIXES else []
    return sorted(path.glob("*.tar")) if path.is_dir() else []


shards_of = partial(file_shards, KIND, TarShard)
