"""One encoded image to an array: only formats on the list, limits before pixels, every fault a plain reason."""

from __future__ import annotations

import contextlib
import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from residua.errors import ImageError, PixelLimitError
from residua.images.arrays import fault_of_extent

Taken = TypeVar("Taken")

FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".tif", ".tiff", ".webp", ".gif",
    ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".jpx", ".j2c", ".jpf",
})  # fmt: skip
# Known as images, but not decoded: said so, never skipped in silence.
OTHER_SUFFIXES = frozenset({
    ".avif", ".heic", ".heif", ".jxl", ".svg", ".eps", ".ps", ".psd", ".ico", ".icns", ".tga", ".dds", ".exr", ".hdr",
    ".dcm", ".dib", ".pcx", ".fits", ".raw", ".nef", ".cr2", ".arw", ".dng",
})  # fmt: skip
_MAGIC = {
    b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG", b"BM": "BMP", b"II*\x00": "TIFF", b"MM\x00*": "TIFF", b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF", b"GIF8": "GIF", b"\x00\x00\x00\x0cjP": "JPEG2000", b"\xff\x4f\xff\x51": "JPEG2000",
}  # fmt: skip
_PPM = re.compile(rb"P[1-6fFy]\s")

# What decoders throw at broken bytes, found by trying; a bug of ours would show as one of the types that are not here.
FAULTS: tuple[type[Exception], ...] = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError,
    RuntimeError, struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LARGE_PIXELS = 16_000_000
_one_large_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Decoded:
    """An image as its file holds it: uint8, uint16 or float32 in [0, 1], (h, w, 1 or 3), and what was done on the way."""

    pixels: NDArray[Any]
    format: str
    mode: str
    done: frozenset[str]


def sniff(head: bytes) -> str | None:
    """The format that the first bytes of a file announce, or None."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if _PPM.match(head):
        return "PPM"
    return next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)


def decode(data: bytes, pixel_limit: int) -> Decoded:
    """Decode the first frame of an encoded image.

    The size is checked from the header before a pixel is decoded. EXIF orientation is applied, transparency is laid on
    black, palettes and other colour spaces become RGB, and colour files that hold only grey become grey.

    Raises
    ------
    ImageError
        If the bytes are not a whole image of a listed format within the limit; the message is the plain reason.
    """
    return open_encoded(data, pixel_limit, _decode_open)


def open_encoded(data: bytes, pixel_limit: int, take: Callable[[Image.Image], Taken]) -> Taken:
    """What `take` makes of an encoded image that has been opened and keeps within the limit; every fault an `ImageError`."""
    if not data:
        raise ImageError("the file is empty")
    try:
        with quiet_pillow(), Image.open(io.BytesIO(data), formats=FORMATS) as image:
            n_pixels = _within_limit(*image.size, pixel_limit)
            with _one_large_at_a_time if n_pixels > _LARGE_PIXELS else contextlib.nullcontext():
                return take(image)
    except ImageError:
        raise
    except FAULTS as error:
        kind = PixelLimitError if isinstance(error, Image.DecompressionBombError) else ImageError
        raise kind(_reason(error, data)) from error


def turned_upright(image: Image.Image) -> Image.Image:
    """A loaded image, turned as its EXIF orientation says."""
    turn = _turn(image, set())
    return image if turn is None else image.transpose(turn)


def _within_limit(width: int, height: int, pixel_limit: int) -> int:
    if width * height > pixel_limit:
        raise PixelLimitError(f"declares {width:,} x {height:,} pixels, more than the limit of {pixel_limit:,}")
    if width * height == 0:
        raise ImageError(f"declares {width} x {height} pixels: there is nothing in it")
    if fault := fault_of_extent(height, width):
        raise PixelLimitError(f"declares {width:,} x {height:,} pixels: {fault}")
    return width * height


def _decode_open(image: Image.Image) -> Decoded:
    done: set[str] = set()
    file_format, mode = image.format or "?", image.mode
    # Pillow reduces 16-bit colour to 8 bits while decoding; only the raw mode in the tile still tells.
    if mode in {"RGB", "RGBA", "LA"} and any(";16" in str(tile) for tile in getattr(image, "tile", ())):
        done.add("reduced")
    image.load()
    turn = _turn(image, done)
    pixels = _pixels(image if turn is None else image.transpose(turn), file_format, done)
    if _has_more_frames(image):
        done.add("frames")
    return Decoded(pixels, "JPEG" if file_format == "MPO" else file_format, mode, frozenset(done))


def _turn(image: Image.Image, done: set[str]) -> Image.Transpose | None:
    try:
        orientation = image.getexif().get(0x0112)
    except FAULTS:
        done.add("exif")
        return None
    turn = _TURNS.get(orientation) if isinstance(orientation, int) else None
    if turn is not None:
        done.add("turned")
    return turn


def _pixels(image: Image.Image, file_format: str, done: set[str]) -> NDArray[Any]:
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)[..., np.newaxis]
    if mode == "I":
        return _wide_integers(np.asarray(image), file_format)
    if mode == "F":
        return _floats(np.asarray(image))
    if image.has_transparency_data:
        image = _on_black(image.convert("RGBA"), done)
    elif mode in {"1", "L"}:
        return np.asarray(image.convert("L"))[..., np.newaxis]
    elif mode != "RGB":
        image = image.convert("RGB")
    if mode in {"P", "PA"}:
        done.add("palette")
    elif mode not in {"RGB", "RGBA", "LA", "L", "1"}:
        done.add("colour space")
    return _grey_if_grey(np.asarray(image), done)


def _wide_integers(values: NDArray[Any], file_format: str) -> NDArray[np.uint16]:
    if file_format == "TIFF" or values.min() < 0 or values.max() > 65535:
        raise ImageError("holds 32-bit integers: what the largest possible value is, the file does not say")
    return values.astype(np.uint16)[..., np.newaxis]


def _floats(values: NDArray[Any]) -> NDArray[np.float32]:
    low, high = float(values.min()), float(values.max())
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        raise ImageError(f"holds floats in [{low:.4g}, {high:.4g}]: floats must lie in [0, 1]")
    return values.astype(np.float32)[..., np.newaxis]


def _on_black(image: Image.Image, done: set[str]) -> Image.Image:
    lowest = image.getchannel("A").getextrema()[0]
    if isinstance(lowest, tuple) or lowest == 255:
        return image.convert("RGB")
    done.add("alpha")
    return Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image).convert("RGB")


def _grey_if_grey(pixels: NDArray[Any], done: set[str]) -> NDArray[Any]:
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

    Warning filters belong to the whole process, so each thread saving and restoring them would undo another's: the first
    one in saves, the last one out restores, and only warnings that Pillow itself raises are touched.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._saved: warnings.catch_warnings[None] | None = None

    def enter(self) -> None:
        with self._lock:
            self._depth += 1
            if self._depth == 1:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL(\.|$)")

    def leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth == 0 and self._saved is not None:
                self._saved.__exit__(None, None, None)
                self._saved = None


_quiet = _Quiet()


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep what Pillow warns of (odd EXIF, large sizes) from the user's screen: it becomes a note or a reason instead."""
    _quiet.enter()
    try:
        yield
    finally:
        _quiet.leave()
