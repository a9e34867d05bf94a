"""Resizing with a triangle filter: bilinear, antialiased when shrinking.

The inference graph uses the same weights.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.errors import ShapeError
from residua.images.channels import own_channels, with_channels

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# pixels of both sides: weights of longer ones are made anew, so that the cache stays under 30 MB
_MOST_CACHED = 4096
_SMALLEST_SIDE = 8
_ABOUT_EQUAL = 2
_FINER = 0.4  # of a large image's sides
NARROW = 3
"""Pixels that the network sees: what is narrower fades when an image is shrunk."""


def resize_weights(n_in: int, n_out: int, scale: float | None = None) -> csr_array:
    """Weights (n_out, n_in) that resize one axis.

    Rows sum to 1, and equal lengths give the identity.

    ``w[i, j] = max(0, 1 - |j + 1/2 - (i + 1/2) s| / max(s, 1))`` with ``s = n_in / n_out``, rows
    normalised: the filter that Pillow calls ``BILINEAR`` and torch ``mode="bilinear",
    antialias=True``. Another `scale` (input pixels an output pixel) is taken about the common
    centre, and what falls outside the input has the edge's value.

    Sparse: a row holds the few weights under the filter, so memory follows the longer side and not
    the product of both. Raises ShapeError if a length is below 1.

    >>> resize_weights(4, 2).toarray().round(3)
    array([[0.429, 0.429, 0.143, 0.   ],
           [0.   , 0.143, 0.429, 0.429]], dtype=float32)
    """
    if n_in < 1 or n_out < 1:
        raise ShapeError(
            f"resize_weights: both lengths must be at least 1. Got {n_in} and {n_out}. Pass the"
            " number of pixels along the axis."
        )
    made = _weights if n_in + n_out <= _MOST_CACHED else _weights.__wrapped__
    return made(n_in, n_out, n_in / n_out if scale is None else scale)


def narrowest_seen(sizes: NDArray[Any], seen_size: tuple[int, int]) -> NDArray[np.float64]:
    """How wide a defect has to be to show, in pixels of each image of `sizes` (n, 2); (n,).

    It is `NARROW` pixels wide once the image is seen at `seen_size`, or another of that area. What
    is narrower fades into its surroundings. Enlarging shows no more.

    >>> narrowest_seen(np.array([[1024, 1024], [100, 100]]), (256, 256))
    array([12.,  3.])
    """
    area = np.asarray(sizes, np.float64).prod(axis=-1)
    return np.asarray(NARROW * np.maximum(1.0, np.sqrt(area / math.prod(seen_size))))


def say_narrowest(sizes: NDArray[Any], seen_size: tuple[int, int]) -> str:
    """What may not be seen in images of these `sizes`, in a sentence.

    >>> say_narrowest(np.array([[1024, 1024]]), (256, 256))
    'a defect narrower than about 12 px of the image is under 3 px wide there, and may vanish'
    """
    width = float(np.median(narrowest_seen(sizes, seen_size)))
    if width <= NARROW:
        return f"a defect narrower than {NARROW} px of the image may vanish"
    return (
        f"a defect narrower than about {width:.2g} px of the image is under {NARROW} px wide there,"
        " and may vanish"
    )


class Sides(NamedTuple):
    """How large a network sees images unless the user says otherwise, in pixels.

    The longer side is `default` at most, and the shorter one `smallest` at least. With `largest`,
    large images are seen finer, up to the area of a square of that side. Images whose shorter side
    has `enlarged` pixels are brought up to `default`, and smaller ones up to `smallest`.
    """

    default: int = 128
    smallest: int = 8
    largest: int | None = None
    enlarged: int | None = None


def network_size(
    sizes: NDArray[Any], sides: Sides, longer_side: int | None = None
) -> tuple[int, int]:
    """(height, width) to which a network of one input size brings images of these sizes.

    Images of one size up to the default keep it, unless they are enlarged. Else the longer side
    becomes `longer_side` (unless said the default, and no more than the images have) and the other
    follows the set's median proportions. Long, narrow images get a longer side, so that the shorter
    one keeps the smallest if it has it. Large images that are seen finer keep two fifths of their
    sides.

    >>> network_size(np.array([[500, 1000]]), Sides(128))
    (64, 128)
    >>> network_size(np.array([[2048, 2448]]), Sides(256, largest=448))
    (410, 490)
    >>> network_size(np.array([[64, 48]]), Sides(256, enlarged=48))
    (256, 192)
    """
    heights, widths = sizes[:, 0], sizes[:, 1]
    own = int(max(np.median(heights), np.median(widths)))
    if sides.enlarged is not None:
        shorter = float(np.median(sizes.min(axis=1)))
        is_large = shorter >= sides.enlarged
        own = max(own, sides.default if is_large else round(own * sides.smallest / shorter))
    is_uniform = bool((sizes == sizes[0]).all())
    if is_uniform and longer_side is None and own == int(sizes[0].max()) <= sides.default:
        return int(heights[0]), int(widths[0])
    proportion = float(np.median(np.log(heights / widths)))
    bound = max(sides.default, math.ceil(sides.smallest * math.exp(abs(proportion))))
    if sides.largest is not None:
        square = min(_FINER * math.sqrt(np.median(heights) * np.median(widths)), sides.largest)
        bound = max(bound, round(square * math.exp(abs(proportion) / 2)))
    side = longer_side or min(bound, own)
    height = side if proportion >= 0 else round(side * math.exp(proportion))
    width = side if proportion <= 0 else round(side / math.exp(proportion))
    return max(_SMALLEST_SIDE, height), max(_SMALLEST_SIDE, width)


@lru_cache(maxsize=256)
def _weights(n_in: int, n_out: int, scale: float) -> csr_array:
    from scipy.sparse import csr_array  # slow to load, and judging scores resizes nothing

    support = max(scale, 1.0)
    centres = np.clip((np.arange(n_out) + 0.5 - n_out / 2) * scale + n_in / 2, 0.5, n_in - 0.5)
    first = np.floor(centres - support).astype(np.int64)
    places = first[:, np.newaxis] + np.arange(int(2 * support) + 3)
    weights = np.maximum(0.0, 1.0 - np.abs(places + 0.5 - centres[:, np.newaxis]) / support)
    is_under = (weights > 0) & (places >= 0) & (places < n_in)
    weights[~is_under] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    starts = np.concatenate([[0], np.cumsum(is_under.sum(axis=1))])
    return csr_array(
        (weights[is_under].astype(np.float32), places[is_under], starts), shape=(n_out, n_in)
    )


def resize(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """An image (h, w, c) or images (n, h, w, c) at `size` = (height, width).

    The aspect ratio is not kept.

    uint8 stays uint8 (rounded), float stays float32. Weights are never negative, so no value leaves
    the range it was in.

    >>> resize(np.array([[0, 0, 255, 255]], np.uint8)[..., np.newaxis], (1, 2))[..., 0]
    array([[ 36, 219]], dtype=uint8)
    """
    height, width = image.shape[-3:-1]
    if (height, width) == tuple(size):
        return image
    own = own_channels(image)
    result = weighted(
        own.astype(np.float32, copy=False),
        resize_weights(height, size[0]),
        resize_weights(width, size[1]),
    )
    if image.dtype == np.uint8:
        result = np.asarray(np.rint(result), np.uint8)
    else:  # rows of weights sum to 1 up to rounding: white would come out a last digit above 1
        result = np.clip(result, own.min(initial=np.inf), own.max(initial=-np.inf))
    return with_channels(result, image.shape[-1])


def weighted(
    images: NDArray[np.float32], rows: csr_array, columns: csr_array
) -> NDArray[np.float32]:
    """Images (..., h, w, c) with `rows` applied along the height and `columns` along the width."""
    height, width = images.shape[-3:-1]
    # The axis that shrinks most goes first: 1 x 4,000,000 made 64 high first would take a gigabyte.
    # Of equals the height: rows lie together in memory.
    return (
        _along(-2, columns, _along(-3, rows, images))
        if rows.shape[0] * width <= _ABOUT_EQUAL * height * columns.shape[0]
        else _along(-3, rows, _along(-2, columns, images))
    )


def _along(axis: int, weights: csr_array, images: NDArray[np.float32]) -> NDArray[np.float32]:
    first = np.moveaxis(images, axis, 0)
    made = np.asarray(weights @ first.reshape(len(first), -1)).reshape(-1, *first.shape[1:])
    return np.ascontiguousarray(np.moveaxis(made, 0, axis), np.float32)


def fit_to(
    images: NDArray[Any], size: tuple[int, int], *, keep_aspect: bool = False
) -> NDArray[np.float32]:
    """Images (n, h, w, c) as a model sees them.

    float32 in [0, 1] at `size` = (height, width), never rounded.

    With `keep_aspect` both sides are scaled alike and the edge is repeated on the shorter one.

    >>> fit_to(np.full((1, 2, 4, 1), 51, np.uint8), (2, 2))[0, :, :, 0].round(6)
    array([[0.2, 0.2],
           [0.2, 0.2]], dtype=float32)
    """
    if images.shape[-1] > 1 and images.strides[-1] == 0:
        own = fit_to(own_channels(images), size, keep_aspect=keep_aspect)
        return with_channels(own, images.shape[-1])
    values = images.astype(np.float32)
    if images.dtype == np.uint8:
        values /= np.float32(255)
    height, width = images.shape[1:3]
    if (height, width) == tuple(size):
        return values
    both = max(height / size[0], width / size[1]) if keep_aspect else None
    rows, columns = resize_weights(height, size[0], both), resize_weights(width, size[1], both)
    return np.clip(weighted(values, rows, columns), 0, 1)  # rounding leaves it by a last digit


def flattened(images: NDArray[np.float32], most: int = 32) -> NDArray[np.float32]:
    """Images (n, h, w, c) as rows for linear models; the longer side is at most `most` pixels."""
    height, width = images.shape[1:3]
    longer = max(height, width)
    if longer > most:
        images = resize(images, (max(1, height * most // longer), max(1, width * most // longer)))
    return np.ascontiguousarray(images.reshape(len(images), -1))
