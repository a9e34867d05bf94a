"""Defects that are a pixel or two wide once images are as small as the network sees them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._text import count
from residua.findings.kind import Finding, FindingKind, JudgedFacts

_OFTEN = 0.1
_STEP = 32


def find_small_defects(
    widths: NDArray[np.float64],
    sizes: NDArray[Any],
    network_size: tuple[int, int],
    *,
    is_tiled: bool = False,
) -> Finding | None:
    """Say how many defects are under 3 pixels wide as the network sees them; None where none is.

    Warning: images are shrunk, and more than one in ten defects is so narrow. Note: fewer, or
    images are not shrunk.

    Parameters
    ----------
    widths : float array, (n_masks,)
        Width of each defect in pixels of the image as stored: of its widest part, the area divided
        by the longer side of the box around it. A long crack is as wide as its line.
    sizes : int array, (n_masks, 2)
        Heights and widths of the images as stored.
    network_size : (height, width)
        That the network sees; where images keep their proportions, one of the same area. Of a
        model that looks at tiles, that of the whole image at their scale.
    is_tiled : bool
        Whether the model looks at tiles.

    Examples
    --------
    >>> told = find_small_defects(np.array([4.0, 5, 30]), np.array([[1024, 1024]] * 3), (256, 256))
    >>> told.severity, told.measured["n_narrow"], told.measured["smallest"]
    ('warning', 2, 1.0)
    >>> "--size 736" in told.what_to_do
    True
    """
    if len(widths) == 0:
        return None
    from residua.images.resize import NARROW  # slow to load, and arrays are judged without it

    scale = np.sqrt(math.prod(network_size) / sizes.astype(np.float64).prod(axis=1))
    seen = widths * np.minimum(scale, 1)  # enlarging shows no more
    n_narrow, smallest = int((seen < NARROW).sum()), float(seen.min())
    if n_narrow == 0:
        return None
    side, shrinks = max(network_size), bool(np.median(scale) < 1)
    is_common = n_narrow > _OFTEN * len(widths)
    advised = _advised(seen, side, int(np.median(sizes.max(axis=1))), NARROW) if shrinks else None
    marks = "one marks a defect" if n_narrow == 1 else f"{n_narrow:,} mark defects"
    shown = "as stored" if not shrinks else f"at the {side} px (longer side) that the network sees"
    effect = (
        "Shrinking fades such defects into their surroundings, and they may be missed."
        if shrinks
        else "The photographs show no more of such a defect."
    )
    return Finding(
        code=KIND.code,
        severity="warning" if shrinks and is_common else "note",
        measured={
            "n_narrow": n_narrow,
            "n": len(widths),
            "smallest": smallest,
            "smallest_as_stored": float(widths[int(seen.argmin())]),
            "median": float(np.median(seen)),
            "network_size": list(network_size),
            "advised_size": advised,
        },
        meaning=(
            f"Of {count(len(widths), 'mask')} that were looked at, {marks} under {NARROW} px wide"
            f" {shown}; the narrowest is {smallest:.2g} px. {effect}"
        ),
        what_to_do=_mend(advised, side, is_tiled=is_tiled),
    )


def _advised(seen: NDArray[np.float64], side: int, own: int, wide: int) -> int:
    """The longer side at which nine in ten defects are wide enough, within the images' own."""
    wanted = side * wide / max(float(np.quantile(seen, _OFTEN)), 1e-9)
    return max(side, min(own, 4096, math.ceil(wanted / _STEP) * _STEP))


def _mend(advised: int | None, side: int, *, is_tiled: bool) -> str:
    if advised is None:
        return "Photograph the parts from nearer, or with more pixels, if these defects matter."
    if advised == side:
        return "Look at the narrowest masks: a speck of a few pixels may be a slip of the mask."
    times = (advised / side) ** 2
    if is_tiled:
        return (
            "If these defects matter, train with more tiles (`fit --tiles N`), so that the network"
            f" sees images {advised / side:.2g} times as large. It takes about {times:.2g} times as"
            " long."
        )
    return (
        f"If these defects matter, train with `fit --tiles auto`, or with `fit --size {advised}`,"
        f" which takes about {times:.2g} times as long. `--size` is the longer side in pixels."
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    masks = facts.masks
    if masks.widths is None or masks.sizes is None:
        return None
    return find_small_defects(
        masks.widths, masks.sizes, facts.network_size, is_tiled=facts.is_tiled
    )


KIND = FindingKind(
    "small-defects",
    "Defects a few pixels wide for the network",
    find_small_defects,
    _ask,
    needs=("masks", "network_size"),
    jobs=("detect", "check"),
)
