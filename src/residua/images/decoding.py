"""One encoded image to an array.

Only formats on the list, limits before pixels, every fault a plain reason.
"""

from __future__ import annotations

import contextlib
import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from residua.errors import ImageError, PixelLimitError
from residua.images.arrays import fault_of_extent
from residua.images.reading import AS_IT_SAYS, Ground, Reading, ink_of, on_ground
from residua.images.samples import Samples, samples_of
from residua.images.tiff import OddTiff

Taken = TypeVar("Taken")

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif",
    ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpx", ".j2c", ".jpf",
})  # fmt: skip
# Known as images, but not decoded: said so, never skipped in silence.
OTHER_SUFFIXES = frozenset({
    ".avif", ".heic", ".heif", ".jxl", ".svg", ".eps", ".ps", ".psd", ".ico", ".icns", ".tga",
    ".dds", ".exr", ".hdr",
    ".dcm", ".dib", ".pcx", ".fits", ".raw", ".nef", ".cr2", ".arw", ".dng",
})  # fmt: skip
_MAGIC = {
    b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF", b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF", b"GIF8": "GIF", b"\x00\x00\x00\x0cjP": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",
}  # fmt: skip
# Text files in the place of images that version control has not fetched.
_STANDS_FOR = {
    b"version https://git-lfs": (
        "stands for a file that Git LFS keeps elsewhere: fetch it with git lfs pull"
    ),
    b"/annex/objects/": (
        "stands for a file that git-annex keeps elsewhere: fetch it with git annex get"
    ),
}
_PPM = re.compile(rb"P[1-6fFy]\s")

# What decoders throw at broken bytes, found by trying; a bug of ours would show as one of the types
# that are not here.
FAULTS: tuple[type[Exception], ...] = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError,
    ArithmeticError, MemoryError,
    RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_TURNS: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1],
    8: np.rot90,
}
_LARGE_PIXELS = 16_000_000
_one_large_at_a_time = threading.Lock()
_ORDINARY_GAMMA = 0.45455  # in PNG's gAMA


@dataclass(frozen=True)
class DecodedImage:
    """An image as its file holds it, (h, w, 1 or 3), and what was done on the way.

    ``pixels`` are uint8, float32 in [0, 1] where the file says what its largest value is, or whole
    numbers (uint16, int32) whose scale is the source's: `Reading.to_unit` applies it. ``ink`` is
    how far what a transparent image shows stands off each ground, in [0, 1]; None of opaque images.
    """

    pixels: NDArray[Any]
    format: str
    mode: str
    done: frozenset[str]
    ink: dict[Ground, float] | None = None

    @property
    def highest(self) -> int | None:
        """The largest value, where its scale is the source's."""
        is_open = self.pixels.dtype.kind in "iu" and self.pixels.dtype != np.uint8
        return int(self.pixels.max()) if is_open else None


def sniff(head: bytes) -> str | None:
    """The format that the first bytes of a file announce, or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if _PPM.match(head):
        return "PPM"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


Encoded = bytes | Image.Image | NDArray[Any]
"""Encoded bytes, an image of Pillow, or pixels (h, w, 1, 3 or 4) that hold."""


def decode(data: Encoded, pixel_limit: int, reading: Reading = AS_IT_SAYS) -> DecodedImage:
    """Decode the first frame of an encoded image; what is decoded already is read alike.

    The size is checked from the header before a pixel is decoded. EXIF orientation is applied,
    transparency is laid on the ground that `reading` names (else black), palettes and other colour
    spaces become RGB, and colour files that hold only grey become grey. Values that the scale of
    `reading` does not hold are refused.

    Raises ImageError if the bytes are not a whole image of a listed format within the limit; the
    message is the plain reason.
    """
    ground = reading.ground or "black"
    if isinstance(data, bytes):
        odd = _guarded(data, lambda: _decode_odd(data, pixel_limit))
        decoded = odd or open_encoded(
            data, pixel_limit, lambda image: _decode_open(image, data, ground)
        )
    elif isinstance(data, Image.Image):
        decoded = _guarded(b"-", lambda: _decode_pillow(data, pixel_limit, ground))
    else:
        decoded = _decode_array(data, pixel_limit, ground)
    reading.check(decoded.pixels)
    return decoded


def open_encoded(data: bytes, pixel_limit: int, take: Callable[[Image.Image], Taken]) -> Taken:
    """What `take` makes of an opened image within the limit; every fault an `ImageError`."""

    def opened() -> Taken:
        with (
            Image.open(io.BytesIO(data), formats=FORMATS) as image,
            _room_for(image.size, pixel_limit),
        ):
            return take(image)

    return _guarded(data, opened)


def upright(image: Image.Image, values: NDArray[Any]) -> NDArray[Any]:
    """The values of a loaded image, (h, w, ...), turned as its EXIF orientation says."""
    turn = _turn(image, set())
    return values if turn is None else np.ascontiguousarray(turn(values))


def _guarded(data: bytes, work: Callable[[], Taken]) -> Taken:
    if not data:
        raise ImageError("the file is empty")
    try:
        with quiet_pillow():
            return work()
    except ImageError:
        raise
    except FAULTS as error:
        kind = PixelLimitError if isinstance(error, Image.DecompressionBombError) else ImageError
        raise kind(_reason(error, data)) from error


def _within_limit(width: int, height: int, pixel_limit: int) -> int:
    if width * height > pixel_limit:
        raise PixelLimitError(
            f"declares {width:,} x {height:,} pixels, more than the limit of {pixel_limit:,}"
        )
    if width * height == 0:
        raise ImageError(f"declares {width} x {height} pixels: there is nothing in it")
    if fault := fault_of_extent(height, width):
        raise PixelLimitError(f"declares {width:,} x {height:,} pixels: {fault}")
    return width * height


def _decode_odd(data: bytes, pixel_limit: int) -> DecodedImage | None:
    """A TIFF that Pillow does not read, or not the right way round."""
    odd = OddTiff.of(data)
    if odd is None:
        return None
    with _room_for(odd.size, pixel_limit):
        pixels = _by_own_scale(Samples(odd.read(), 2**odd.bits - 1 if odd.bits < 16 else None))
    done: set[str] = set()
    return DecodedImage(_grey_if_grey(pixels, done), "TIFF", f"{odd.bits} bits", frozenset(done))


def _decode_pillow(image: Image.Image, pixel_limit: int, ground: Ground) -> DecodedImage:
    _within_limit(*image.size, pixel_limit)
    image.load()  # from here on Pillow's values count; the file's bits are gone
    return replace(_decode_open(image, b"", ground), format="Pillow")


def _decode_array(array: NDArray[Any], pixel_limit: int, ground: Ground) -> DecodedImage:
    _within_limit(array.shape[1], array.shape[0], pixel_limit)
    done: set[str] = set()
    pixels, ink = array, None
    if array.shape[-1] == 4:
        white = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
        pixels, opacity = array[..., :3], array[..., 3] / np.float32(white)
        if opacity.min() < 1:
            done.add("alpha")
            pixels, ink = on_ground(pixels, opacity, ground), ink_of(pixels, opacity)
    pixels = _grey_if_grey(pixels, done)
    return DecodedImage(pixels, "array", array.dtype.name, frozenset(done), ink)


def _room_for(size: tuple[int, int], pixel_limit: int) -> contextlib.AbstractContextManager[Any]:
    n_pixels = _within_limit(*size, pixel_limit)
    return _one_large_at_a_time if n_pixels > _LARGE_PIXELS else contextlib.nullcontext()


def _decode_open(image: Image.Image, data: bytes, ground: Ground) -> DecodedImage:
    file_format, mode = image.format or "?", image.mode
    samples = samples_of(image, data)
    done = {"reduced"} if samples.is_reduced else set()
    if mode in {"P", "PA"}:
        done.add("palette")
    elif mode not in {"RGB", "RGBA", "LA", "L", "1", "F"} and not mode.startswith("I"):
        done.add("colour space")
    _note_profile(image, done)
    pixels, ink = _by_own_scale(samples), None
    if samples.opacity is not None:
        done.add("alpha")
        pixels, ink = on_ground(pixels, samples.opacity, ground), ink_of(pixels, samples.opacity)
    turn = _turn(image, done)
    pixels = _grey_if_grey(pixels if turn is None else np.ascontiguousarray(turn(pixels)), done)
    if _has_more_frames(image):
        done.add("frames")
    return DecodedImage(
        pixels, "JPEG" if file_format == "MPO" else file_format, mode, frozenset(done), ink
    )


def _turn(image: Image.Image, done: set[str]) -> Callable[[NDArray[Any]], NDArray[Any]] | None:
    try:
        orientation = image.getexif().get(0x0112)
    except FAULTS:
        done.add("exif")
        return None
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    if turn is not None:
        done.add("turned")
    return turn


def _note_profile(image: Image.Image, done: set[str]) -> None:
    """Tell what another gamma or a wide gamut would change; values stand as they lie."""
    gamma, profile = image.info.get("gamma"), image.info.get("icc_profile")
    if (
        isinstance(gamma, float)
        and gamma > 0
        and abs(gamma - _ORDINARY_GAMMA) > 0.01
        and "srgb" not in image.info
    ):
        done.add("gamma")
    if isinstance(profile, bytes) and b"sRGB" not in profile and b"s\0R\0G\0B" not in profile:
        done.add("profile")


def _by_own_scale(samples: Samples) -> NDArray[Any]:
    """Values in [0, 1] where the file says what its largest one is, else as they lie."""
    return (
        samples.values
        if samples.most is None
        else np.asarray(samples.values.astype(np.float32) / np.float32(samples.most), np.float32)
    )


def _grey_if_grey(pixels: NDArray[Any], done: set[str]) -> NDArray[Any]:
    if pixels.shape[-1] != 3:
        return pixels
    red = pixels[..., 0]
    if np.array_equal(red, pixels[..., 1]) and np.array_equal(red, pixels[..., 2]):
        done.add("grey")
        return np.ascontiguousarray(pixels[..., :1])
    return pixels


def _has_more_frames(image: Image.Image) -> bool:
    try:
        return int(getattr(image, "n_frames", 1)) > 1
    except FAULTS:  # a broken second frame is no fault of the first
        return True


def _reason(error: Exception, data: bytes) -> str:
    announced = sniff(data[:16])
    if isinstance(error, Image.DecompressionBombError):
        found = re.search(r"\((\d+) pixels\)", str(error))
        n = f"{int(found[1]):,} pixels" if found else "too many pixels"
        return f"declares {n}, more than any limit allows: a decompression bomb"
    if isinstance(error, UnidentifiedImageError):
        if announced is None:
            if stands_for := next(
                (what for start, what in _STANDS_FOR.items() if data[:64].startswith(start)), None
            ):
                return stands_for
            return "not an image in a format that is decoded (" + ", ".join(FORMATS) + ")"
        return f"begins like {announced}, but its header is broken"
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    words = re.sub(r"<[^>]* object at 0x[0-9a-f]+>", "the file", str(error)) or type(error).__name__
    if "truncated" in words.lower() or isinstance(error, EOFError):
        return f"the file is truncated ({words})"
    if "too large" in words.lower():
        return f"a compressed part of the file unpacks to too much: {words}"
    return f"does not decode: {words}"


class _Quiet:
    """Pillow's warnings switched off while any thread decodes.

    Warning filters belong to the whole process, so each thread saving and restoring them would undo
    another's: the first one in saves, the last one out restores, and only warnings that Pillow
    itself raises are touched.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._saved: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._saved is not None:
                self._saved.__exit__(None, None, None)
                self._saved = None


_quiet = _Quiet()


def quiet_pillow() -> contextlib.AbstractContextManager[None]:
    """Keep Pillow's warnings (odd EXIF, large sizes) off the screen: they become notes."""
    return _quiet
