"""TIFF samples of 9 to 16 bits as they lie, packed or not.

Those that Pillow refuses, or does not turn the right way round.

Pillow unpacks the strips all the same: a second directory is appended to the file that calls them
rows of bytes.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from residua.errors import ImageError

# Numbers of tags, as TIFF 6.0 has them.
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER = 256, 257, 258, 259, 262, 266
STRIP_OFFSETS, SAMPLES, ROWS_A_STRIP, STRIP_BYTES, MOST_VALUE = 273, 277, 278, 279, 281
PLANAR, PREDICTOR, TILE_WIDTH, SAMPLE_FORMAT = 284, 317, 322, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_LONG = 4
_ROWS_AT_ONCE = 256


class OddTiff:
    """A TIFF with samples that are read here; `of` says whether one is."""

    def __init__(self, data: bytes, tags: ImageFileDirectory_v2, bits: int) -> None:
        self._data, self._tags, self.bits = data, tags, bits
        self.size = (int(tags[WIDTH]), int(tags[HEIGHT]))
        self.n_samples = int(tags.get(SAMPLES, 1))

    @classmethod
    def of(cls, data: bytes) -> OddTiff | None:
        """Classic TIFFs of unsigned samples with 9 to 15 bits.

        Or with 16 bits, where zero is white or colours lie in planes.

        Of planes of 16 bits Pillow takes each byte for a sample.
        """
        if data[:4] not in (b"II*\x00", b"MM\x00*"):
            return None
        tags = ImageFileDirectory_v2(data[:8])
        file = io.BytesIO(data)
        file.seek(tags.next)
        tags.load(file)
        bits = set(tags.get(BITS, (1,)))
        if (
            len(bits) != 1
            or set(tags.get(SAMPLE_FORMAT, (1,))) != {1}
            or WIDTH not in tags
            or HEIGHT not in tags
        ):
            return None
        own = bits.pop()
        in_planes = int(tags.get(SAMPLES, 1)) > 1 and tags.get(PLANAR) == 2
        is_odd = 9 <= own <= 15 or (
            own == 16 and (in_planes or tags.get(PHOTOMETRIC) == _WHITE_IS_ZERO)
        )
        return cls(data, tags, own) if is_odd else None

    def read(self) -> NDArray[np.uint16]:
        """The samples, (h, w, 1 or 3), at their own scale: at most 2**bits - 1 is white."""
        width, height = self.size
        self._check()
        n_planes = self.n_samples if self._tags.get(PLANAR) == 2 else 1
        a_row = width * self.n_samples // n_planes
        samples = self._unpacked(
            self._rows(math.ceil(a_row * self.bits / 8), n_planes * height), a_row
        ).reshape(n_planes, height, width, -1)
        if self._tags.get(PREDICTOR, 1) == 2:
            # Differences wrap around, and so do their sums.
            samples = np.cumsum(samples, axis=2, dtype=np.uint16)
        samples = samples[0] if n_planes == 1 else np.moveaxis(samples[..., 0], 0, -1)
        return np.asarray(
            2**self.bits - 1 - samples if self._tags.get(PHOTOMETRIC) == _WHITE_IS_ZERO else samples
        )

    def _check(self) -> None:
        kind = (self.n_samples, self._tags.get(PHOTOMETRIC))
        plain = (
            kind in {(1, _WHITE_IS_ZERO), (1, _BLACK_IS_ZERO), (3, _RGB)}
            and TILE_WIDTH not in self._tags
        )
        rows, height = int(self._tags.get(ROWS_A_STRIP, self.size[1])), self.size[1]
        # Strips of all planes are one sequence.
        even = self._tags.get(PLANAR, 1) == 1 or rows >= height or height % rows == 0
        if not plain or not even or (self._tags.get(PREDICTOR, 1) != 1 and self.bits != 16):
            raise ImageError(
                f"a TIFF of {self.bits} bits a sample in a form that is not decoded; save it with"
                " 16 bits a sample"
            )

    def _rows(self, row_bytes: int, height: int) -> NDArray[np.uint8]:
        kept = {
            tag: self._several(tag)
            for tag in (COMPRESSION, FILL_ORDER, STRIP_OFFSETS, STRIP_BYTES)
            if tag in self._tags
        }
        rows = min(self.size[1], int(self._tags.get(ROWS_A_STRIP, height)))
        as_bytes = {
            WIDTH: [row_bytes],
            HEIGHT: [height],
            BITS: [8],
            PHOTOMETRIC: [_BLACK_IS_ZERO],
            SAMPLES: [1],
        }
        file = _with_directory(self._data, {**kept, **as_bytes, ROWS_A_STRIP: [rows]})
        with Image.open(io.BytesIO(file), formats=("TIFF",)) as image:
            return np.asarray(image)

    def _several(self, tag: int) -> list[int]:
        value: Any = self._tags[tag]
        return [int(one) for one in value] if isinstance(value, Sequence) else [int(value)]

    def _unpacked(self, rows: NDArray[np.uint8], n: int) -> NDArray[np.uint16]:
        if self.bits == 16:
            return rows.view("<u2" if self._data[:2] == b"II" else ">u2").astype(np.uint16)
        start = np.arange(n) * self.bits
        first, shift = start // 8, (24 - self.bits - start % 8).astype(np.uint32)
        # A sample spans three bytes at most, and the last ones may not be there.
        padded = np.pad(rows, ((0, 0), (0, 2)))
        result = np.empty((len(rows), n), np.uint16)
        for top in range(0, len(rows), _ROWS_AT_ONCE):
            part = padded[top : top + _ROWS_AT_ONCE].astype(np.uint32)
            window = part[:, first] << 16 | part[:, first + 1] << 8 | part[:, first + 2]
            result[top : top + _ROWS_AT_ONCE] = window >> shift & (2**self.bits - 1)
        return result


def _with_directory(data: bytes, tags: dict[int, list[int]]) -> bytes:
    """The file with one more directory at its end, which is the one that its header names."""
    order = "<" if data[:2] == b"II" else ">"
    data += b"\0" * (len(data) % 2)
    after = len(data) + 2 + 12 * len(tags) + 4
    entries, arrays = b"", b""
    for tag, values in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        place = packed if len(values) == 1 else struct.pack(f"{order}I", after + len(arrays))
        arrays += b"" if len(values) == 1 else packed
        entries += struct.pack(f"{order}HHI", tag, _LONG, len(values)) + place
    directory = struct.pack(f"{order}H", len(tags)) + entries + bytes(4)
    return data[:4] + struct.pack(f"{order}I", len(data)) + data[8:] + directory + arrays
