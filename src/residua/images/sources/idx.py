"""IDX files as MNIST has them, with or without gzip.

A folder of image and label files, or one file of images.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._text import count
from residua.errors import SourceError
from residua.images.arrays import as_pixels, joined_labels
from residua.images.listing import Listing, Options
from residua.images.sources.array_files import too_large

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(
    r"^(?P<stem>.*?)[-_.]?(?P<what>images|labels)[-_.]idx[134]-ubyte(\.gz)?$", re.IGNORECASE
)
_PARTS = {"train": "train", "t10k": "test", "test": "test"}


def recognises(path: Path) -> bool:
    """A folder with IDX image files, or a file named or beginning like one."""
    if path.is_dir():
        return bool(files_in(path))
    if not path.is_file():
        return False
    return _NAME.match(path.name) is not None or ".idx" in path.name or "-idx" in path.name


def read(path: Path, options: Options) -> Listing:
    """A folder's image files with labels, or one file; ``train-...``, ``t10k-...`` are parts."""
    files = _in_folder(path, "images") if path.is_dir() else {_stem(path): path}
    labels = _in_folder(path if path.is_dir() else path.parent, "labels")
    pixels, names, parts, found, notes = [], [], [], [], []
    for stem, file in sorted(files.items(), key=lambda item: (_part(item[0]) != "train", item[0])):
        part = _images(file, options)
        pixels.append(part)
        names += [f"{stem or file.name}[{index}]" for index in range(len(part))]
        parts += [_part(stem)] * len(part)
        own = labels.get(stem)
        found.append(None if own is None else _labels(own, len(part), options))
        if own is None:
            notes.append(f"{file.name} has no file of labels beside it")
    if len({part.shape[1:] for part in pixels}) > 1 or len({part.dtype for part in pixels}) > 1:
        shapes = ", ".join(
            f"{file.name} {part.shape}" for file, part in zip(files.values(), pixels, strict=True)
        )
        raise SourceError(
            f"{path}: the image files must agree in size and type. Got {shapes}. Name one file"
            " alone."
        )
    known = [part for part in parts if part is not None]
    return Listing(
        kind="IDX",
        names=names,
        content=pixels[0] if len(pixels) == 1 else np.concatenate(pixels),
        labels=joined_labels(found, [len(part) for part in pixels]),
        splits=known if path.is_dir() and len(known) == len(names) else None,
        notes=notes,
        reading=options.reading,
    )


def read_idx(path: Path, limit: int) -> NDArray[Any]:
    """The array in an IDX file of at most `limit` bytes, or `SourceError` if it is damaged."""
    try:
        with _open(path) as file:
            zeros, code, n_axes = struct.unpack(">HBB", file.read(4))
            if zeros != 0 or code not in _TYPES or not 1 <= n_axes <= 4:
                raise SourceError(
                    f"{path}: an IDX file must begin with 0, 0, a type and 1 to 4 axes. Got other"
                    " bytes. Is it IDX?"
                )
            shape = struct.unpack(f">{n_axes}I", file.read(4 * n_axes))
            n_bytes = math.prod(shape) * np.dtype(_TYPES[code]).itemsize
            if n_bytes > limit:
                raise too_large(path, n_bytes, limit)
            data = file.read(n_bytes + 1)
    except (OSError, EOFError, struct.error, zlib.error) as error:
        raise SourceError(
            f"{path}: an IDX file must be whole. Got: {error}. Fetch or write it again."
        ) from error
    if len(data) != n_bytes:
        got = f"{len(data):,} bytes" if len(data) < n_bytes else "more"
        raise SourceError(
            f"{path}: the header of an IDX file promises {n_bytes:,} bytes. Got {got}. Fetch or"
            " write it again."
        )
    return np.frombuffer(data, _TYPES[code]).reshape(shape)


def files_in(path: Path) -> list[Path]:
    """The IDX files of images in a folder; none where there are none."""
    return list(_in_folder(path, "images").values()) if path.is_dir() else []


def _open(path: Path) -> BinaryIO:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast("BinaryIO", gzip.open(path, "rb")) if zipped else path.open("rb")


def _in_folder(folder: Path, what: str) -> dict[str, Path]:
    try:
        matches = {
            file: _NAME.match(file.name) for file in sorted(folder.iterdir()) if file.is_file()
        }
    except OSError:
        return {}
    return {
        match["stem"].lower(): file
        for file, match in matches.items()
        if match and match["what"].lower() == what
    }


def _stem(path: Path) -> str:
    match = _NAME.match(path.name)
    return match["stem"].lower() if match else ""


def _part(stem: str) -> str | None:
    return next((part for start, part in _PARTS.items() if stem.startswith(start)), None)


def _images(path: Path, options: Options) -> NDArray[Any]:
    array = read_idx(path, options.array_limit)
    if array.ndim < 3:
        raise SourceError(
            f"{path}: a file of images must have 3 or 4 axes. Got {array.ndim}. Name the file of"
            " images."
        )
    problems = Problems(str(path))
    pixels = as_pixels(
        array.astype(array.dtype.newbyteorder("=")),
        name="images",
        problems=problems,
        reading=options.reading,
    )
    problems.raise_any()
    return pixels


def _labels(path: Path, n: int, options: Options) -> NDArray[Any]:
    labels = read_idx(path, options.array_limit)
    if labels.ndim != 1 or len(labels) != n or labels.dtype.kind not in "iu":
        raise SourceError(
            f"{path}: a file of labels must hold one whole number per image. Got shape"
            f" {labels.shape} of {labels.dtype} for {count(n, 'image')}. Pair it with its images."
        )
    return labels.astype(np.int64)
