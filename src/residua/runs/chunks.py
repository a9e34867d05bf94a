"""Judging a set piece by piece: pictures as the network sees them are let go, what stays is a row
of numbers an image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.baselines import RECONSTRUCTORS
from residua.images import ImageSet
from residua.metrics import mse, psnr, ssim
from residua.runs.baselines import MOST_BASELINE_IMAGES, latent_of, seed_of, training_arrays
from residua.training.bundle import Bundle

Columns = dict[str, NDArray[Any]]
Beside = Callable[[NDArray[np.float32]], Columns]

_MOST_BYTES = 256 << 20
_FEWEST = 64
_BASELINE_METRICS = {"mse": mse, "psnr": psnr, "ssim": ssim}


def images_at_once(bundle: Bundle) -> int:
    """So many images that each array of them as the network sees them takes 256 MB at most; 64 to
    20,000.
    """
    pixels = int(np.prod(bundle.config.size)) * bundle.config.channels
    return max(_FEWEST, min(MOST_BASELINE_IMAGES, _MOST_BYTES // (4 * pixels)))


def in_chunks(
    images: ImageSet, size: int, columns_of: Callable[[ImageSet, slice], Columns]
) -> tuple[Columns, Columns]:
    """The columns that `columns_of` gives of each chunk, joined: the model's own, and those of
    baselines (``pca/mse``).
    """
    parts = [
        columns_of(images[start : start + size], slice(start, start + size))
        for start in range(0, len(images) or 1, size)
    ]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    own = {name: column for name, column in joined.items() if "/" not in name}
    return own, {name: column for name, column in joined.items() if "/" in name}


def reconstructing_baselines(bundle: Bundle, fitted_on: ImageSet | None) -> Beside:
    """What gives each reconstructing baseline's error of each prepared image, under names like
    ``pca/mse``; none without train.

    They learn from the same training images again for each chunk, which gives the same baselines.
    """
    if fitted_on is None:
        return lambda prepared: {}
    train = training_arrays(bundle, fitted_on)
    seed, latent = seed_of(bundle), latent_of(bundle)

    def beside(prepared: NDArray[np.float32]) -> Columns:
        made = {
            name: rebuild(train, prepared, latent=latent, seed=seed)
            for name, rebuild in RECONSTRUCTORS.items()
        }
        return {
            key: column
            for name, rebuilt in made.items()
            for key, column in errors_beside(name, prepared, rebuilt).items()
        }

    return beside


def errors_beside(name: str, prepared: NDArray[np.float32], rebuilt: NDArray[Any]) -> Columns:
    """The errors of what the baseline `name` made of images."""
    clipped = np.clip(rebuilt, 0, 1)
    return {
        f"{name}/{metric}": measure(prepared, clipped)
        for metric, measure in _BASELINE_METRICS.items()
    }
