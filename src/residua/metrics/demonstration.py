"""What the 'accuracy' of an autoencoder measures, shown on the user's own images.

An autoencoder does not classify. `accuracy_demonstration` does not argue: it computes what Keras would print for the
reconstructions at hand, what a perfect reconstruction would get, and what an all-black image would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_images
from residua.errors import ShapeError
from residua.metrics.keras import KerasAccuracy, Rule, accuracy

_NOISE = 0.1


@dataclass(frozen=True)
class AccuracyDemonstration:
    """The 'accuracy' of reconstructions beside that of images that reconstruct better, worse or nothing.

    All but ``share_of_pure_pixels`` are values of `residua.metrics.keras.accuracy` with the images as labels:
    ``value`` of the reconstructions, ``ceiling`` of the images themselves, ``black`` of all-black images, ``rounded``
    of the images cut at 0.5 to 0 and 1, ``noisy`` of the images plus normal noise (standard deviation 0.1, clipped).
    ``share_of_pure_pixels`` is the share of image values that are exactly 0 or 1: where the rule is binary it is the
    ceiling.
    """

    rule: Rule
    value: float
    ceiling: float
    black: float
    rounded: float
    noisy: float
    share_of_pure_pixels: float
    meaning: str


def accuracy_demonstration(
    images: Any, reconstructions: Any, *, version: str = "3", loss: Any = None, seed: int = 0
) -> AccuracyDemonstration:
    """What Keras' 'accuracy' says of these reconstructions, its ceiling on these images, and what black images get.

    Parameters
    ----------
    images, reconstructions : array, (n_images, ...)
        uint8, uint16, bool, or float in [0, 1]. The shape decides the rule and is kept: (n, 28, 28, 1) is binary,
        (n, 784) is not.
    version, loss
        As for `residua.metrics.keras.accuracy`.
    seed : int
        Of the noise.

    Returns
    -------
    AccuracyDemonstration

    Raises
    ------
    ShapeError, RangeError
        If the two differ in shape, hold no image, or lie outside [0, 1].

    Examples
    --------
    >>> image = np.array([0.0, 0.0, 0.0, 0.4, 1.0]).reshape(1, 1, 5, 1)
    >>> shown = accuracy_demonstration(image, image)
    >>> shown.rule, shown.value, shown.ceiling, shown.black
    ('BinaryAccuracy', 0.8, 0.8, 0.6)
    """
    x, r = _as_pair(images, reconstructions)

    def judged(prediction: NDArray[np.float32]) -> KerasAccuracy:
        return accuracy(x, prediction, version=version, loss=loss)

    given, ceiling, black = judged(r), judged(x).value, judged(np.zeros_like(x)).value
    noise = np.random.default_rng(seed).standard_normal(x.shape, np.float32)
    noisy = judged(np.clip(x + np.float32(_NOISE) * noise, 0, 1)).value
    rounded = judged((x > 0.5).astype(np.float32)).value
    pure = float(np.mean((x == 0) | (x == 1)))
    meaning = (
        f"Keras calls this 'accuracy' and computes {given.rule}: {given.value:.1%} for these reconstructions, {ceiling:.1%} for "
        f"a perfect copy and {black:.1%} for an all-black image. {_why(given.rule, pure)} Look at mse, psnr or ssim instead."
    )
    return AccuracyDemonstration(given.rule, given.value, ceiling, black, rounded, noisy, pure, meaning)


def _as_pair(images: Any, reconstructions: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both as float32 on [0, 1], in the shape they came in."""
    problems = Problems("accuracy_demonstration")
    shape, other = np.shape(images), np.shape(reconstructions)
    if shape != other or len(shape) < 2 or 0 in shape:
        must = "images and reconstructions must have the same shape, (n_images, ...), and hold at least one image"
        problems.add(must, f"{shape} and {other}", "Pass one reconstruction an image, at the image's own shape", ShapeError)
        problems.raise_any()
    flat = (shape[0], 1, -1)
    x = as_images(np.asarray(images).reshape(flat), problems=problems)
    r = as_images(np.asarray(reconstructions).reshape(flat), name="reconstructions", problems=problems)
    problems.raise_any()
    return x.reshape(shape), r.reshape(shape)


def _why(rule: Rule, pure: float) -> str:
    if rule == "BinaryAccuracy":
        return f"A value counts as right only where the image is exactly 0 or 1, as {pure:.1%} of the values are."
    return "It only asks where along the last axis the largest value stands, whatever the others do."
