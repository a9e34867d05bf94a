"""The samples of an open image with all their bits, where Pillow alone gives eight.

And the scale that the file declares.
"""

from __future__ import annotations

import io
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.errors import ImageError
from residua.images.tiff import BITS, MOST_VALUE

_SIXTEEN = ("RGB;16", "RGBA;16", "RGBX;16")
_SIZ = b"\xff\x4f\xff\x51"  # begins a JPEG 2000 codestream; 42 bytes further stands the precision
_PRECISION = 42  # bytes from the marker SIZ to the first component's precision
_WHITE, _OPAQUE = 65535, 255
_STRIP = 1 << 16  # pixels; so many stay in the cache, which is three to six times as fast


@dataclass(frozen=True)
class Samples:
    """Values as they lie, (h, w, 1 or 3).

    ``most`` is the value that means 1.0 where the file says so of whole numbers beyond 8 bits;
    ``opacity`` (h, w), float32 in [0, 1], where something is transparent. ``is_reduced`` says that
    the file holds more bits than these.
    """

    values: NDArray[Any]
    most: int | None = None
    opacity: NDArray[np.float32] | None = None
    is_reduced: bool = False


def samples_of(image: Image.Image, data: bytes) -> Samples:
    """The samples of an open, undecoded image; palettes and other spaces become RGB."""
    raw, end_of_ppm = _raw_mode(image), _end_of_ppm(image)  # Pillow forgets both when it decodes
    deep = (
        _deep_ppm(image, data, end_of_ppm)
        if image.format == "PPM"
        else _deep_colour(image, data, raw)
    )
    if deep is not None:
        colour, opacity = (
            deep[..., :3],
            (deep[..., 3] / np.float32(_WHITE) if deep.shape[-1] == 4 else _keyed(image, deep)),
        )
        own = end_of_ppm if end_of_ppm != _WHITE else None
        return Samples(colour, own or _declared(image, data, colour), _if_transparent(opacity))
    image.load()
    if image.mode == "F":
        return Samples(_unit(np.asarray(image)))
    if image.mode.startswith("I"):
        return _wide_grey(image, data, end_of_ppm)
    is_deep = ";16" in str(raw) or (end_of_ppm or 0) > 255 or (_jpeg2000_bits(image, data) or 8) > 8
    if image.has_transparency_data:
        pixels = np.asarray(image.convert("RGBA"))
        return Samples(
            pixels[..., :3], None, _if_transparent(pixels[..., 3] / np.float32(_OPAQUE)), is_deep
        )
    if image.mode in {"1", "L"}:
        return Samples(_in_strips(image, "L")[..., np.newaxis], is_reduced=is_deep)
    return Samples(_in_strips(image, "RGB"), is_reduced=is_deep)


def _in_strips(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    """The image in another mode; converted whole, a large one would lie in memory four times."""
    values = np.empty((image.height, image.width, *((3,) if mode == "RGB" else ())), np.uint8)
    n_rows = max(1, _STRIP // image.width)
    for top in range(0, image.height, n_rows):
        strip = image.crop((0, top, image.width, min(image.height, top + n_rows)))
        values[top : top + n_rows] = np.asarray(
            strip if strip.mode == mode else strip.convert(mode)
        )
    return values


def _deep_colour(image: Image.Image, data: bytes, raw: str | None) -> NDArray[np.uint16] | None:
    """16-bit colour, (h, w, 3 or 4).

    None of other images, and of those whose low bytes Pillow has no way to give.

    Pillow keeps the high byte of each sample. Read in the other byte order its high byte is the low
    one, so two readings are one of 16 bits.
    """
    if raw == "LA;16B":  # as bytes: grey, its low byte, opacity, its low byte
        pairs = _again(data, "RGBA").astype(np.uint16)
        grey, opacity = pairs[..., 0] << 8 | pairs[..., 1], pairs[..., 2] << 8 | pairs[..., 3]
        return np.stack([grey, grey, grey, opacity], axis=-1)
    if raw is None or raw[:-1] not in _SIXTEEN:
        return None
    order = raw[-1] if raw[-1] in "LB" else "L" if sys.byteorder == "little" else "B"
    low = _again(data, raw[:-1] + ("B" if order == "L" else "L"))
    return np.asarray(np.asarray(image).astype(np.uint16) << 8 | low)


def _deep_ppm(image: Image.Image, data: bytes, most: int | None) -> NDArray[np.uint16] | None:
    name, _, start, *_ = _tiles(image)[0]
    if image.mode != "RGB" or most is None or most < 256 or name == "ppm_plain":
        return None
    values: NDArray[Any] = np.frombuffer(data, ">u2", 3 * image.width * image.height, start)
    return np.asarray(np.minimum(values, most), np.uint16).reshape(image.height, image.width, 3)


def _wide_grey(image: Image.Image, data: bytes, end_of_ppm: int | None) -> Samples:
    """One channel of whole numbers beyond 8 bits."""
    values = np.asarray(image)
    opacity = _if_transparent(_keyed(image, values[..., np.newaxis]))
    if image.format == "PPM" and end_of_ppm is not None:  # scaled to 16 bits by Pillow
        return Samples(values.astype(np.uint16)[..., np.newaxis], 65535)
    bits = _jpeg2000_bits(image, data)
    if bits is not None and 8 < bits < 16:  # shifted up to 16 by Pillow
        return Samples((values.astype(np.uint16) >> (16 - bits))[..., np.newaxis], 2**bits - 1)
    signed = image.mode == "I" and image.format != "PPM"
    values = values.astype(np.int32 if signed else np.uint16)[..., np.newaxis]
    return Samples(values, None if signed else _declared(image, data, values), opacity)


def _unit(values: NDArray[Any]) -> NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        raise ImageError(
            f"holds floats in [{low:.4g}, {high:.4g}]: floats must lie in [0, 1]; divide them by"
            " what is white"
        )
    return values.astype(np.float32)[..., np.newaxis]


def _keyed(image: Image.Image, values: NDArray[Any]) -> NDArray[np.float32] | None:
    """Opacity by the colour of PNG's tRNS, which Pillow applies to 8 bits alone."""
    key = image.info.get("transparency")
    return (
        np.asarray((values != np.asarray(key)).any(axis=-1), np.float32)
        if isinstance(key, (int, tuple))
        else None
    )


def _if_transparent(opacity: NDArray[Any] | None) -> NDArray[np.float32] | None:
    return None if opacity is None or opacity.min() >= 1 else opacity.astype(np.float32)


def _tiles(image: Image.Image) -> Any:
    """What Pillow has yet to decode: rows of codec, extent, place in the file, unpacking."""
    return getattr(image, "tile", ())


def _raw_mode(image: Image.Image) -> str | None:
    tiles = _tiles(image)
    args = tiles[0][3] if tiles else None
    return args if isinstance(args, str) else str(args[0]) if args else None


def _again(data: bytes, raw_mode: str) -> NDArray[np.uint8]:
    """The same image, its bytes unpacked otherwise."""
    with Image.open(io.BytesIO(data), formats=("PNG", "TIFF")) as image:
        args = [
            raw_mode if isinstance(tile[3], str) else (raw_mode, *tile[3][1:])
            for tile in _tiles(image)
        ]
        image.tile = [
            tile._replace(args=own) for tile, own in zip(_tiles(image), args, strict=True)
        ]
        return np.asarray(image)


def _end_of_ppm(image: Image.Image) -> int | None:
    """The largest value that a PPM declares; None where it is the container's own."""
    tiles = _tiles(image)
    args: Any = tiles[0][3] if tiles and image.format == "PPM" else ()
    most = args[1] if len(args) == 2 else None
    own = 65535 if image.mode == "I" else 255
    return most if isinstance(most, int) and most != own else None


def _declared(image: Image.Image, data: bytes, values: NDArray[Any]) -> int | None:
    """The largest value by the bits that the file says count; None where it does not say."""
    bits = (
        _tiff_bits(image, values)
        if image.format == "TIFF"
        else _png_bits(data, values)
        if image.format == "PNG"
        else None
    )
    return None if bits is None else 2**bits - 1


def _tiff_bits(image: Image.Image, values: NDArray[Any]) -> int | None:
    """BitsPerSample below 16, or a MaxSampleValue that ends a camera's scale and holds."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    own, most = max(tags.get(BITS, (1,))), tags.get(MOST_VALUE)
    most = max(most) if isinstance(most, tuple) else most
    if own < 16:
        return int(own)
    return (
        {2**bits - 1: bits for bits in range(9, 16)}.get(most)
        if values.max(initial=0) <= (most or 0)
        else None
    )


def _png_bits(data: bytes, values: NDArray[Any]) -> int | None:
    """The bits that sBIT names, where they lie at the low end.

    The standard has them at the high end, scaled up, and then there is nothing to do. Who writes
    sBIT beside raw camera values has them at the low end: nothing lies above them, and bits that at
    the high end would be padding are used.
    """
    head = data[: max(0, data.find(b"IDAT"))]
    at = head.find(b"sBIT")
    if at < 4 or head[at - 4 : at - 1] != b"\0\0\0" or not 1 <= head[at - 1] <= 4:
        return None
    bits = max(head[at + 4 : at + 4 + head[at - 1]])
    if not 8 < bits < 16 or values.max(initial=0) >= 2**bits:
        return None
    return bits if (values & (2 ** (16 - bits) - 1)).any() else None


def _jpeg2000_bits(image: Image.Image, data: bytes) -> int | None:
    at = data.find(_SIZ) if image.format == "JPEG2000" else -1
    return None if at < 0 or len(data) <= at + _PRECISION else (data[at + _PRECISION] & 0x7F) + 1
