"""Tiny data and tiny models that the tests of the training wing share; each is made once a
process."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from residua.images import ImageSet, load_images


@cache
def digits_with_zero_normal() -> ImageSet:
    return load_images("digits", normal=["0"])


def blobs(n: int, size: tuple[int, int] = (12, 12), channels: int = 1, seed: int = 0) -> np.ndarray:
    """uint8 images of one soft blob each, in about the middle: something that a small autoencoder
    learns quickly."""
    rng = np.random.default_rng([seed, n, *size, channels])
    rows, columns = np.linspace(0, 1, size[0])[:, None], np.linspace(0, 1, size[1])[None, :]
    centres, colours = rng.uniform(0.3, 0.7, (n, 2)), rng.uniform(0.5, 1, (n, 1, 1, channels))
    distance = (rows[None] - centres[:, :1, None]) ** 2 + (
        columns[None] - centres[:, 1:, None]
    ) ** 2
    return np.rint(np.exp(-distance[..., None] / 0.05) * colours * 255).astype(np.uint8)


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """scikit-learn's digits, with the digit 0 as the normal one."""
    return digits_with_zero_normal()
