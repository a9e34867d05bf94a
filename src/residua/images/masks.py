"""Masks: which pixels of an image are defective.

What is ground and what is paint is decided once for all masks of a set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.errors import ImageError
from residua.images.decoding import open_encoded, upright
from residua.images.stores import read_bytes

MaskFiles = Path | tuple[Path, ...]
"""The mask of an image; of several files the union counts."""

Colour = tuple[float, float, float, float]
BLACK: Colour = (0, 0, 0, 255)
CLEAR: Colour = (0, 0, 0, 0)

LOSSY = frozenset({"JPEG", "WEBP", "JPEG2000", "MPO"})
_SAMPLED = 1 << 20  # pixels that are tallied; of larger masks every second, third, ...
_KEPT_VALUES = 16  # commonest colours that are kept of a mask
_MOST_CLASSES = 16  # more values than this are a smooth edge
_NOISE = 16  # of 255: what compression makes of black
_AS_ONE = 2  # pixels that a mask may be larger or smaller than its image


@dataclass(frozen=True)
class Convention:
    """How a set's masks are read: the ground's colour, and how far from it paint is."""

    ground: Colour = BLACK
    top: float = 0


PLAIN = Convention()


@dataclass(frozen=True)
class Look:
    """A mask file before its ground is known: commonest colours, shares, those at the border."""

    size: tuple[int, int]
    shares: dict[Colour, float] = field(default_factory=dict)
    border: dict[Colour, float] = field(default_factory=dict)
    is_lossy: bool = False
    n_values: int = 1

    @property
    def is_grey(self) -> bool:
        """Whether it has neither colour nor transparency."""
        return all(red == green == blue and alpha == 255 for red, green, blue, alpha in self.shares)


def read_mask(
    files: MaskFiles,
    pixel_limit: int,
    byte_limit: int,
    *,
    convention: Convention = PLAIN,
    size: tuple[int, int] | None = None,
) -> NDArray[np.bool_]:
    """The mask in one file or several as booleans (h, w), True = defective.

    What differs from the ground of the `convention` is defective. Where edges are smooth, or
    compression left a fringe, what is nearer to the paint than to the ground. A mask of nearly the
    `size`, or of its proportions, is brought to it.

    Raises ImageError if a file is no mask, or fits no image of that `size`.
    """
    paths = files if isinstance(files, tuple) else (files,)
    read = [_read_one(path, pixel_limit, byte_limit, convention) for path in paths]
    if size is not None:
        read = [brought_to(mask, size) for mask in read]
    if len({mask.shape for mask in read}) > 1:
        raise ImageError("the masks of one image have different sizes")
    return np.asarray(np.logical_or.reduce(read))


def look_at(path: Path, pixel_limit: int, byte_limit: int) -> Look:
    """What a mask file shows; `ImageError` where it does not decode."""
    values, is_lossy = _decode(path, pixel_limit, byte_limit)
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    flat = values.reshape(-1, values.shape[-1])
    shares, n_values = _tally(flat[:: max(1, len(flat) // _SAMPLED)], is_lossy=is_lossy)
    return Look(
        (values.shape[0], values.shape[1]),
        shares,
        _tally(border, is_lossy=is_lossy)[0],
        is_lossy,
        n_values,
    )


def needs_reading(look: Look) -> bool:
    """Whether only reading shows if it is a mask: many values, or lossy compression."""
    return look.is_lossy or look.n_values > _MOST_CLASSES


def convention_of(looks: Sequence[Look]) -> Convention:
    """What is ground in all of them.

    Transparent where most masks are transparent at their border; else black where it occurs, as
    masks are commonly saved; else the colour that most borders share.
    """
    ground = _ground(looks)
    tops = [
        max((_distance(colour, ground) for colour in look.shares), default=0.0) for look in looks
    ]
    painted = [top for top in tops if top > 0]
    return Convention(ground, float(np.median(painted)) if painted else 0.0)


def share_of(look: Look, convention: Convention) -> float:
    """About which share of a mask is paint, from what was seen of it."""
    far = max((_distance(colour, convention.ground) for colour in look.shares), default=0.0)
    least = far / 2 if needs_reading(look) else 0.0
    return (
        0.0
        if look.is_lossy and far < max(_NOISE, convention.top / 4)
        else sum(
            share
            for colour, share in look.shares.items()
            if _distance(colour, convention.ground) > least
        )
    )


def fits(found: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a mask's size can be brought to another: two pixels apart, or proportional.

    >>> fits((32, 33), (32, 32)), fits((16, 16), (32, 32)), fits((32, 64), (64, 32))
    (True, True, False)
    """
    if max(abs(a - b) for a, b in zip(found, size, strict=True)) <= _AS_ONE:
        return True
    stretched = found[0] * size[1] / (found[1] * size[0])
    # A side was rounded by half a pixel.
    return abs(stretched - 1) <= min(0.05, 0.01 + 0.5 / min(found))


def brought_to(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    """A mask brought to `size`: a pixel or two cut or added, else by nearest pixels."""
    found = mask.shape[0], mask.shape[1]
    if found == size:
        return mask
    if not fits(found, size):
        raise ImageError(f"is {found[0]} x {found[1]} where its image is {size[0]} x {size[1]}")
    if max(abs(a - b) for a, b in zip(found, size, strict=True)) <= _AS_ONE:
        cut = mask[: size[0], : size[1]]
        return np.pad(cut, [(0, n - have) for n, have in zip(size, cut.shape, strict=True)])
    rows, columns = (
        ((np.arange(n) + 0.5) * have / n).astype(np.int64)
        for n, have in zip(size, found, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def in_words(colour: Colour) -> str:
    """A colour as told to users: black, white, transparent, grey 85, rgb(68, 1, 84)."""
    red, green, blue, alpha = colour
    named = {BLACK: "black", CLEAR: "transparent", (255, 255, 255, 255): "white"}
    if colour in named:
        return named[colour]
    if alpha == 255 and red == green == blue:
        return f"grey {red:g}"
    return f"rgb({red:g}, {green:g}, {blue:g})" + ("" if alpha == 255 else f" at {alpha / 255:.0%}")


def _read_one(
    path: Path, pixel_limit: int, byte_limit: int, convention: Convention
) -> NDArray[np.bool_]:
    values, is_lossy = _decode(path, pixel_limit, byte_limit)
    far = _distances(values, convention.ground)
    top = float(far.max())
    if is_lossy and 0 < convention.top < _NOISE:
        raise ImageError(
            f"a compressed mask as dark as this ({convention.top:g} of 255) can't be told from what"
            " compression adds"
        )
    if is_lossy and top < max(_NOISE, convention.top / 4):
        return np.zeros(far.shape, np.bool_)
    if not _is_smooth(far, top, is_lossy=is_lossy):
        return np.asarray(far > 0)
    between = (far > top / 5) & (far < top * 4 / 5)
    if between.mean() > 0.3 and len(np.unique(far[between])) > _MOST_CLASSES:
        raise ImageError(
            f"a picture, not a mask: {between.mean():.0%} of its pixels are neither ground nor"
            " paint"
        )
    return np.asarray(far > top / 2)


def _is_smooth(far: NDArray[Any], top: float, *, is_lossy: bool) -> bool:
    """Whether values between ground and paint are a smooth edge rather than classes."""
    if is_lossy:
        return True
    between = (far > 0) & (far < 0.9 * top)
    if not between.any():
        return False
    if len(np.unique(far[between])) + 2 > _MOST_CLASSES:
        return True
    from scipy.ndimage import binary_erosion  # slow to load, and seldom asked

    return not binary_erosion(
        between, np.ones((3, 3))
    ).any()  # an edge is thin, a class has an inside


def _decode(path: Path, pixel_limit: int, byte_limit: int) -> tuple[NDArray[Any], bool]:
    """Pixels (h, w, 1 or 4), and whether compression was lossy.

    One channel is of any number type; four are uint8 multiplied by their alpha.
    """
    return open_encoded(read_bytes(path, byte_limit), pixel_limit, _values)


def _values(image: Image.Image) -> tuple[NDArray[Any], bool]:
    image.load()
    return upright(image, _as_they_lie(image)), image.format in LOSSY


def _as_they_lie(image: Image.Image) -> NDArray[Any]:
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        if not np.isfinite(values).all():
            raise ImageError("holds values that are not finite")
        return values.astype(np.float64)[..., np.newaxis]
    if image.mode in {"1", "L"}:
        return np.asarray(image.convert("L"))[..., np.newaxis]
    colours = np.asarray(image.convert("RGBA"))
    alpha = colours[..., 3:]
    if alpha.min() == alpha.max() and (
        alpha.max() > 0 or np.ptp(colours[..., :3], axis=(0, 1)).any()
    ):
        # The same everywhere says nothing.
        colours = np.concatenate([colours[..., :3], np.full_like(alpha, 255)], axis=2)
    else:
        paint = (colours[..., :3].astype(np.uint16) * alpha + 127) // 255
        colours = np.concatenate([paint.astype(np.uint8), alpha], axis=2)
    red = colours[..., :1]
    is_grey = colours[..., 3].min() == 255 and (colours[..., 1:3] == red).all()
    return red.copy() if is_grey else colours


def _tally(values: NDArray[Any], *, is_lossy: bool) -> tuple[dict[Colour, float], int]:
    """The commonest colours of (n, 1) or (n, 4) values with their shares, and how many there are.

    After lossy compression colours are rounded, else its fringes crowd out the paint.
    """
    rounded = (
        np.minimum((values.astype(np.uint16) + _NOISE // 2) // _NOISE * _NOISE, 255).astype(
            np.uint8
        )
        if is_lossy
        else values
    )
    codes = (
        rounded[:, 0]
        if values.shape[1] == 1
        else np.ascontiguousarray(rounded).view(np.uint32)[:, 0]
    )
    found, first, counts = np.unique(codes, return_index=True, return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:_KEPT_VALUES].tolist()
    shares = {_colour(rounded[first[row]]): float(counts[row]) / len(codes) for row in kept}
    if values.shape[1] == 1:  # so that the extremes of a smooth or dark mask are known
        shares = {_colour(np.atleast_1d(end)): 0.0 for end in (values.min(), values.max())} | shares
    return shares, len(found)


def _colour(value: NDArray[Any]) -> Colour:
    parts = [float(part) for part in value.tolist()]
    return (
        (parts[0], parts[0], parts[0], 255.0)
        if len(parts) == 1
        else (parts[0], parts[1], parts[2], parts[3])
    )


def _ground(looks: Sequence[Look]) -> Colour:
    borders = Counter(
        max(look.border, key=lambda colour: look.border[colour]) for look in looks if look.border
    )
    if not borders:
        return BLACK
    commonest, votes = borders.most_common(1)[0]
    if commonest == CLEAR and votes > len(looks) / 2:
        return CLEAR
    are_grey = all(look.is_grey for look in looks)
    with_black = sum(
        any(
            _distance(colour, BLACK) < (_NOISE if look.is_lossy else 1e-9) for colour in look.shares
        )
        for look in looks
    )
    if with_black and (are_grey or with_black >= len(looks) / 2):
        return BLACK
    is_one_colour = len({colour for look in looks for colour in look.shares}) == 1
    return BLACK if is_one_colour and are_grey else commonest


def _distance(colour: Colour, ground: Colour) -> float:
    return max(abs(a - b) for a, b in zip(colour, ground, strict=True))


def _distances(values: NDArray[Any], ground: Colour) -> NDArray[Any]:
    """How far each pixel is from the ground in the channel where it is farthest."""
    if values.shape[2] == 4:
        return np.asarray(
            np.abs(values.astype(np.int16) - np.asarray(ground, np.int16)).max(axis=2)
        )
    own: NDArray[Any] = values[..., 0].astype(
        np.float64 if values.dtype == np.float64 else np.int16
    )
    apart = [np.abs(own - own.dtype.type(part)) for part in dict.fromkeys(ground[:3])]
    return np.asarray(np.maximum(np.maximum.reduce(apart), own.dtype.type(255 - ground[3])))
