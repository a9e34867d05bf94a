"""What Parquet files and tar archives share: each file is a shard, and may be named by its part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from residua.images.shards import Shard, Shards
from residua.images.sources.walking import shown
from residua.images.stores import LocalFolder, Store

_PARTS = {
    "train": "train",
    "validation": "train",
    "valid": "train",
    "val": "train",
    "calibration": "calibration",
    "test": "test",
}


@dataclass(frozen=True)
class FileShard:
    """A shard that is one file; ``part`` is the part that its name says, where all names do."""

    store: Store
    file: str
    part: str | None = None

    @property
    def name(self) -> str:
        """The file's, as told to users."""
        return shown(self.file)


def part_of(name: str) -> str | None:
    """The part that a file is named by: ``train-00001.parquet``, ``data/test_3.tar``."""
    return _PARTS.get(Path(name).stem.lower().replace("_", "-").split("-")[0])


def file_shards(
    kind: str,
    shard: Callable[[Store, str, str | None], Shard],
    store: Store,
    names: Sequence[str],
    *,
    is_folder: bool,
) -> Shards:
    """Each of the files `names` is a shard; in a folder all of whose files name a part, of it."""
    parts = [part_of(name) if is_folder else None for name in names]
    known = all(part is not None for part in parts)
    return Shards(
        kind,
        [
            shard(store, name, part if known else None)
            for name, part in zip(names, parts, strict=True)
        ],
    )


def shards_in(path: Path, files: Sequence[Path], shards_of: Callable[..., Shards]) -> Shards:
    """The shards in a folder, or the one that `path` is."""
    folder = path if path.is_dir() else path.parent
    return shards_of(
        LocalFolder(folder),
        [file.relative_to(folder).as_posix() for file in files],
        is_folder=path.is_dir(),
    )
