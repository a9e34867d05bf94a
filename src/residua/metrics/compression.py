"""How much an autoencoder compresses: the size of its code against the size of the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from residua._check import Problems
from residua._text import count
from residua.errors import RangeError


@dataclass(frozen=True)
class Compression:
    """What `latent_compression` found.

    ``ratio`` is values of the image for each number of the code, above 1 where the code is the
    smaller one. ``bits_a_pixel`` is what the stored code takes for each pixel (a position, not a
    channel value), ``image_bits_a_pixel`` what the raw image takes, ``bit_ratio`` the second
    divided by the first.
    """

    values_per_image: int
    latent_size: int
    ratio: float
    bits_a_pixel: float
    image_bits_a_pixel: float
    bit_ratio: float


def code_words(n_values: int, code: int, *, bits_a_value: int = 8) -> str:
    """How much a code of `code` float32 numbers compresses an image of `n_values`, in a sentence.

    Examples
    --------
    >>> code_words(784, 32)
    '784 values per image become 32 numbers, 24.5 times fewer; in bits (float32 beside 8-bit values)
    6.13 times fewer.'
    >>> code_words(64, 16)
    '64 values per image become 16 numbers, 4 times fewer; in bits (float32 beside 8-bit values)
    nothing is saved: 512 beside 512.'
    >>> code_words(13_184, 12)[:63]
    '13,184 values per image become 12 numbers, 1,099 times fewer; i'
    >>> code_words(64, 128)
    "The code's 128 numbers are no fewer than the image's 64 values: nothing is compressed."
    """
    found = latent_compression((1, n_values), code, bits_a_value=bits_a_value)
    if code >= n_values:
        return (
            f"The code's {count(code, 'number')} are no fewer than the image's"
            f" {count(n_values, 'value')}: nothing is compressed."
        )
    said = f"{n_values:,} values per image become {count(code, 'number')}, {_times(found.ratio)}"
    saved = (
        f"{_times(found.bit_ratio)} fewer"
        if found.bit_ratio > 1
        else f"nothing is saved: {code * 32:,} beside {n_values * bits_a_value:,}"
    )
    return f"{said} fewer; in bits (float32 beside {bits_a_value}-bit values) {saved}."


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 1000 else f"{ratio:.3g} times"


def latent_compression(
    image_shape: Sequence[int], latent_size: int, *, bits_a_number: int = 32, bits_a_value: int = 8
) -> Compression:
    """Size of a code against the image it stands for.

    The weights of the decoder are not counted, and neither code nor image is entropy-coded: PNG of
    the same image may well be smaller than the "compressed" code.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, channels)
        Of one image.
    latent_size : int, at least 1
        How many numbers the code holds.
    bits_a_number : int
        Bits in which one number of the code is stored; 32 for float32.
    bits_a_value : int
        Bits of one channel of one pixel of the image.

    Returns
    -------
    Compression

    Raises
    ------
    RangeError
        If a size is below 1, or the shape does not have two or three entries.

    Examples
    --------
    >>> found = latent_compression((28, 28), 32)
    >>> found.ratio, round(found.bits_a_pixel, 2), round(found.bit_ratio, 3)
    (24.5, 1.31, 6.125)
    """
    problems = Problems("latent_compression")
    if len(image_shape) not in (2, 3) or min(image_shape) < 1:
        problems.add(
            "image_shape must be (height, width[, channels])",
            f"{tuple(image_shape)}",
            "Leave out the batch axis",
            RangeError,
        )
    for name, size in {
        "latent_size": latent_size,
        "bits_a_number": bits_a_number,
        "bits_a_value": bits_a_value,
    }.items():
        problems.within(name, size, "[1, inf)", "Count the numbers in one code")
    problems.raise_any()
    n_pixels, n_values = prod(image_shape[:2]), prod(image_shape)
    code, image = latent_size * bits_a_number / n_pixels, n_values * bits_a_value / n_pixels
    return Compression(n_values, latent_size, n_values / latent_size, code, image, image / code)
