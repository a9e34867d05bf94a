"""Images of different sizes, which have to be resized for a network."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind


def find_mixed_sizes(sizes: NDArray[Any]) -> Finding | None:
    """Say how far sizes and proportions differ; None where all images have one size.

    Warning: proportions differ by more than a half, so that resizing distorts. Note: less.

    Parameters
    ----------
    sizes : int array, (n_images, 2)
        Heights and widths.

    Examples
    --------
    >>> find_mixed_sizes(np.array([[100, 100], [100, 200]])).severity
    'warning'
    """
    if len(sizes) == 0 or (sizes == sizes[0]).all():
        return None
    low, high = sizes.min(axis=0).tolist(), sizes.max(axis=0).tolist()
    shape = sizes[:, 1] / sizes[:, 0]
    spread = float(np.quantile(shape, 0.975) / np.quantile(shape, 0.025))
    return Finding(
        code=KIND.code,
        severity="warning" if spread > 1.5 else "note",
        measured={
            "n_different": len(np.unique(sizes, axis=0)),
            "smallest": low,
            "largest": high,
            "proportions_differ": spread,
        },
        meaning=(
            f"Sizes run from {low[0]}x{low[1]} to {high[0]}x{high[1]} (height x width). Height"
            f" divided by width differs by a factor of {spread:.3g}. Recipes for any size (inspect)"
            " bring all images to about one area and keep their proportions. All others resize"
            " them to one size."
        ),
        what_to_do=(
            "Nothing, if the camera gives such images; `--aspect keep` keeps proportions with"
            " any recipe. Otherwise cut or scale them to one size."
        ),
    )


KIND = FindingKind(
    "mixed-sizes",
    "Images of different sizes",
    find_mixed_sizes,
    lambda facts: find_mixed_sizes(facts.sizes),
    needs=("sizes",),
    jobs=("check",),
)
