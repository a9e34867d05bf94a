"""What the 'accuracy' of an autoencoder measures, shown on the user's own images.

An autoencoder does not classify. `accuracy_demonstration` does not argue: it computes what Keras
would print for the reconstructions at hand, what a perfect reconstruction would get, and what an
all-black image would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of
from residua.errors import RangeError, ShapeError
from residua.metrics._values import SPANS, check_finite
from residua.metrics.keras import KerasAccuracy, Rule, accuracy
from residua.metrics.scale import read_scales

_NOISE = 0.1  # standard deviation, where black is 0 and white 1


@dataclass(frozen=True)
class AccuracyDemonstration:
    """The 'accuracy' of reconstructions beside that of better, worse and empty ones.

    All but ``share_of_pure_pixels`` are values of `residua.metrics.keras.accuracy` with the images
    as labels: ``value`` of the reconstructions, ``ceiling`` of the images themselves, ``black`` of
    all-black images, ``rounded`` of the images cut at mid-grey to black and white, ``noisy`` of the
    images plus normal noise (standard deviation 0.1 of the way from black to white, clipped). All
    are computed on the arrays as they were given, whatever their scale. ``share_of_pure_pixels`` is
    the share of image values that are exactly 0 or 1: where the rule is binary no reconstruction
    exceeds it.
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
    images: Any,
    reconstructions: Any,
    *,
    version: str = "3",
    loss: Any = None,
    seed: int = 0,
    black: Any = None,
    white: Any = None,
) -> AccuracyDemonstration:
    """Keras' 'accuracy' of these reconstructions, its ceiling, and that of black images.

    Parameters
    ----------
    images, reconstructions : array, (n_images, ...)
        As they were given to Keras: neither scale nor type is changed. The shape decides the rule:
        (n, 28, 28, 1) is binary, (n, 784) is not.
    version, loss
        As for `residua.metrics.keras.accuracy`.
    seed : int
        Of the noise.
    black, white : float or array, optional
        The values of black and of white in `images`; read from the values if left out.

    Returns
    -------
    AccuracyDemonstration

    Raises
    ------
    ShapeError, RangeError
        If the two differ in shape, hold no image, are no numbers, or show no scale while black and
        white are left out.

    Examples
    --------
    >>> image = np.array([0.0, 0.0, 0.0, 0.4, 1.0]).reshape(1, 1, 5, 1)
    >>> shown = accuracy_demonstration(image, image)
    >>> shown.rule, shown.value, shown.ceiling, shown.black
    ('BinaryAccuracy', 0.8, 0.8, 0.6)
    """
    x, r = _as_pair(images, reconstructions)
    low, high = (
        _ends(x, r) if black is None or white is None else (np.asarray(black), np.asarray(white))
    )

    def judged(prediction: NDArray[Any]) -> KerasAccuracy:
        return accuracy(x, prediction, version=version, loss=loss)

    unit = ((x - low) / (high - low)).astype(np.float32)
    noise = np.random.default_rng(seed).standard_normal(x.shape, np.float32)

    kind = r.dtype if r.dtype.kind == "f" else np.float32

    def of(levels: NDArray[Any]) -> float:
        return judged((low + levels * (high - low)).astype(kind)).value

    given, ceiling = judged(r), judged(x.astype(kind)).value
    of_black, rounded = of(np.zeros_like(unit)), of(unit > 0.5)  # mid-grey
    noisy = of(np.clip(unit + np.float32(_NOISE) * noise, 0, 1))
    pure = float(np.mean((x == 0) | (x == 1)))
    meaning = (
        f"Keras calls this 'accuracy' and computes {given.rule}: {given.value:.1%} for these"
        f" reconstructions, {ceiling:.1%} for a perfect copy and {of_black:.1%} for an all-black"
        f" image. {_why(given.rule, pure)} Look at mse, psnr or ssim instead."
    )
    return AccuracyDemonstration(
        given.rule, given.value, ceiling, of_black, rounded, noisy, pure, meaning
    )


def _as_pair(images: Any, reconstructions: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both in the shape and on the scale they came in; float64 as Keras takes it, as float32."""
    problems = Problems("accuracy_demonstration")
    shape, other = np.shape(images), np.shape(reconstructions)
    if shape != other or len(shape) < 2 or 0 in shape:
        must = (
            "images and reconstructions must have the same shape, (n_images, ...), and hold at"
            " least one image"
        )
        problems.add(
            must,
            f"{shape} and {other}",
            "Pass one reconstruction an image, at the image's own shape",
            ShapeError,
        )
        problems.raise_any()
    x, r = array_of(images), array_of(reconstructions)
    check_finite(problems, images=x, reconstructions=r)
    problems.raise_any()
    return x, r


def _ends(x: NDArray[Any], r: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Black and white of the images, read from the values."""
    scale, _ = read_scales(x, r)
    if scale.scale not in SPANS:
        raise RangeError(
            f"accuracy_demonstration: images must show their scale. Got {scale.dtype} values in"
            f" [{scale.low:.4g}, {scale.high:.4g}], which {scale.because}. Pass the values of"
            " black= and white=."
        )
    black, span = SPANS[scale.scale]
    return np.asarray(black), np.asarray(black + span)


def _why(rule: Rule, pure: float) -> str:
    if rule == "BinaryAccuracy":
        return (
            f"A value counts as right only where the image is exactly 0 or 1, as {pure:.1%} of the"
            " values are."
        )
    return (
        "It only asks where along the last axis the largest value stands, whatever the others do."
    )
