"""Pixels of one source on different scales, or on one they were not meant to be on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind

_SIXTEENTH = 0.0635  # of the scale: 4097 of 65535, and 16 of 255
# a factor between brightest pixels that light does not explain, and a wrong divisor (255, 257) does
_FAR = 40.0


def find_mixed_scale(
    highest: NDArray[Any], dtype: str, *, parts: NDArray[Any] | None = None
) -> Finding | None:
    """Judge the scale of images by the brightest pixel of each; None where nothing is odd.

    Error: images of bytes hold nothing but 0 and 1; all values are 255 times too small (divided
    twice, or 8 bits stored in 16); nearly all images end below a sixteenth of the scale, as fewer
    bits stored in more do; more than one in a hundred images is more than 40 times darker than
    most. Warning: fewer are.

    Parameters
    ----------
    highest : float array, (n_images,)
        The largest value of each image, as a share of what its type can hold: in [0, 1].
    dtype : str
        ``uint8``, or ``float32`` where the source has more than 8 bits.
    parts : object array of str, (n_images,), optional
        The part of each image.

    Examples
    --------
    >>> find_mixed_scale(np.full(50, 1 / 255), "float32").measured["case"]
    'all too small'
    >>> find_mixed_scale(np.full(50, 0.9), "float32") is None
    True
    """
    lit = highest[highest > 0]
    if len(lit) < 2:
        return None
    usual = float(np.quantile(lit, 0.9))
    if dtype == "uint8":
        if usual <= 1.001 / 255:
            return _told(
                "only 0 and 1",
                usual,
                len(lit),
                "The images are bytes, but hold nothing above 1. Either floats between 0 and 1"
                " were cut to whole numbers, or these are masks.",
                "Write them again as round(255 x value), or state --bits 1.",
            )
        if usual <= _SIXTEENTH:
            return _fewer_bits(usual, len(highest), 8, (4,))
    elif usual <= 1.01 / 255:
        return _told(
            "all too small",
            usual,
            len(lit),
            f"No value is above {usual:.2g} of what the type can hold. The images were divided"
            " by 255 twice, or 8 bits were stored in 16.",
            "Divide once, or store 8 bits as 8 bits.",
        )
    elif usual <= _SIXTEENTH:
        return _fewer_bits(usual, len(highest), 16, (10, 12))
    dark = (highest > 0) & (highest * _FAR < usual)
    if not dark.any():
        return None
    n, where = int(dark.sum()), "" if parts is None else _where(dark, parts)
    number = (
        f"1 of the {len(highest):,} images is"
        if n == 1
        else f"{n:,} of the {len(highest):,} images are"
    )
    return Finding(
        code=KIND.code,
        severity="error" if n > 0.01 * len(highest) else "warning",
        measured={"case": "some too small", "highest": usual, "n_images": n},
        meaning=(
            f"{number} more than {_FAR:g} times darker than most{where}. They are black, or on"
            " another scale (0 to 1 beside 0 to 255, 8 bits beside 16)."
        ),
        what_to_do=(
            "Bring all images to one scale before you train or compare anything. Leave out"
            " images that show nothing."
        ),
    )


def _fewer_bits(usual: float, n: int, stored: int, bits: tuple[int, ...]) -> Finding:
    few = " or ".join(map(str, bits))
    return _told(
        "fewer bits",
        usual,
        n,
        f"The images are nearly black. Their brightest values reach {usual:.3g} of the scale,"
        f" as {few} bits in {stored} do.",
        f"State the camera's bits, for instance --bits {bits[-1]}; otherwise squared errors are"
        " some 256 times too small. Brighten the images if they really are that dark.",
    )


def _told(case: str, highest: float, n: int, meaning: str, what_to_do: str) -> Finding:
    return Finding(
        code=KIND.code,
        severity="error",
        measured={"case": case, "highest": highest, "n_images": n},
        meaning=meaning,
        what_to_do=what_to_do,
    )


def _where(dark: NDArray[np.bool_], parts: NDArray[Any]) -> str:
    shares = {part: float(dark[parts == part].mean()) for part in dict.fromkeys(parts.tolist())}
    worst = max(shares, key=lambda part: shares[part])
    return f" ({100 * shares[worst]:.3g}% of {worst})"


KIND = FindingKind(
    "mixed-scale",
    "Images on different scales",
    find_mixed_scale,
    lambda facts: find_mixed_scale(facts.statistics["highest"], facts.dtype, parts=facts.parts),
    needs=("statistics",),
    jobs=("check",),
)
