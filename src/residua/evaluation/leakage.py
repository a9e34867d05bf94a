"""Every metric again without the images that are copies of training images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import ShapeError
from residua.findings import find_leakage
from residua.records import Estimate, Finding

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks

MetricsOf = Callable[[NDArray[np.bool_]], Mapping[str, Estimate]]


def leakage_of(
    leaks: Leaks | None, n_images: int, metrics: Mapping[str, Estimate], metrics_of: MetricsOf
) -> Finding | None:
    """The finding of leakage with `metrics_of` the images that are no copies; None where nobody
    looked.

    Parameters
    ----------
    leaks : Leaks or None
    n_images : int
        How many images were judged; `leaks` must speak of as many.
    metrics : mapping of str to Estimate
        Of all images.
    metrics_of : callable
        Takes bools (n_images,): which images to compute over.

    Raises
    ------
    ShapeError
        If `leaks` speaks of another number of images.
    """
    if leaks is None:
        return None
    if len(leaks.kinds) != n_images:
        problems = Problems("evaluate")
        problems.add(
            "leaks must speak of every judged image",
            f"{len(leaks.kinds)} for {n_images}",
            "Judge those",
            ShapeError,
        )
        problems.raise_any()
    without = metrics_of(~leaks.leaked) if leaks.leaked.any() else None
    return find_leakage(leaks, metrics=metrics, without=without)
