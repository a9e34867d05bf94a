"""How far a reconstruction is from its image.

One float64 number an image, never pooled over the set.

Images and reconstructions have shape (n_images, height, width) or (n_images, height, width,
channels) and are uint8, uint16, bool, or float in [0, 1]; everything is computed on [0, 1].
Averages run over all pixels and channels of one image, so that neither the image size nor the bit
depth changes them; `euclidean_distance` is the exception and says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from residua._check import check_within
from residua.metrics._pairs import Floats, Pair
from residua.metrics.scale import ScaleAudit, scale_audit

__all__ = [
    "ScaleAudit",
    "binary_cross_entropy",
    "contrast_normalised_error",
    "euclidean_distance",
    "kl_divergence",
    "mae",
    "mse",
    "psnr",
    "rmse",
    "scale_audit",
]

_PIXELS = (1, 2, 3)
_GREY_LEVEL = 1 / 255
_EPSILON = "Leave it at its default, 1e-7"


def mse(images: Any, reconstructions: Any) -> Floats:
    """Mean squared error of each image, in [0, 1] (lower is better).

    Scaling an image and its reconstruction by a scales this by a^2: a dimmed defect looks normal.
    See `contrast_normalised_error`.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width[, channels])
        uint8, uint16, bool, or float in [0, 1].

    Returns
    -------
    float64 array, (n_images,)

    Raises
    ------
    ShapeError, RangeError
        If the two differ in shape, or values are not finite or lie outside [0, 1].

    Examples
    --------
    >>> mse(np.zeros((1, 2, 2)), np.full((1, 2, 2), 0.1)).round(6)
    array([0.01])
    """
    return Pair("mse", images, reconstructions).map(_mean_square)


def mae(images: Any, reconstructions: Any) -> Floats:
    """Mean absolute error of each image, in [0, 1] (lower is better).

    Shapes, units and errors are those of `mse`.

    Examples
    --------
    >>> mae(np.zeros((1, 2, 2)), np.array([[[0.0, 0.0], [0.2, 0.4]]])).round(6)
    array([0.15])
    """
    return Pair("mae", images, reconstructions).map(lambda x, r: np.abs(x - r).mean(axis=_PIXELS))


def rmse(images: Any, reconstructions: Any) -> Floats:
    """Root of the mean squared error of each image, in [0, 1] (lower is better).

    An error in the unit of a pixel.

    The mean of this array is not the root of the mean squared error of the set. Shapes and errors
    are those of `mse`.

    Examples
    --------
    >>> rmse(np.zeros((1, 2, 2)), np.full((1, 2, 2), 0.1)).round(6)
    array([0.1])
    """
    return Pair("rmse", images, reconstructions).map(lambda x, r: np.sqrt(_mean_square(x, r)))


def psnr(images: Any, reconstructions: Any) -> Floats:
    """Peak signal-to-noise ratio of each image, in decibels (higher is better), peak 1.

    Per image, never pooled: the mean of this array is not the PSNR of the pooled error. Shapes and
    errors are those of `mse`.

    Returns
    -------
    float64 array, (n_images,)
        ``inf`` where an image is reconstructed exactly.

    Examples
    --------
    >>> psnr(np.zeros((1, 2, 2, 1)), np.full((1, 2, 2, 1), 0.1)).round(2)
    array([20.])
    """

    def decibels(x: Floats, r: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return -10 * np.log10(_mean_square(x, r))

    return Pair("psnr", images, reconstructions).map(decibels)


def kl_divergence(images: Any, reconstructions: Any, *, epsilon: float = 1e-7) -> Floats:
    """Kullback-Leibler divergence of each reconstruction from its image, in nats.

    Both are taken as distributions; at least 0.

    The values of an image, divided by their sum, are read as a distribution over pixels and
    channels: where the light is, not how much of it there is. Overall brightness therefore does not
    count. For pixels read as probabilities of their own, use `binary_cross_entropy`.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width[, channels])
        As for `mse`.
    epsilon : float, at least 0
        Added to every value before normalising. Without it a single black pixel that should not be
        black makes the divergence infinite. With ``epsilon=0`` you get that: ``inf`` there, and
        ``nan`` for an image that is all black. With the default an all-black image is the uniform
        distribution.

    Returns
    -------
    float64 array, (n_images,)
        0 where the two are proportional; lower is better.

    Notes
    -----
    Kullback and Leibler, *On information and sufficiency* (1951): the sum of p log(p / q), p the
    image.

    Examples
    --------
    >>> image, reconstruction = np.array([[[0.5, 0.5]]]), np.array([[[0.25, 0.75]]])
    >>> kl_divergence(image, reconstruction).round(4)
    array([0.1438])
    >>> kl_divergence(image, image / 2).round(4)  # half as bright: the same distribution
    array([0.])
    """
    from scipy.special import rel_entr

    check_within("kl_divergence", "epsilon", epsilon, "[0, 1)", _EPSILON)

    def divergence(x: Floats, r: Floats) -> Floats:
        x, r = x + epsilon, r + epsilon
        with np.errstate(invalid="ignore", divide="ignore"):
            x /= x.sum(axis=_PIXELS, keepdims=True)
            r /= r.sum(axis=_PIXELS, keepdims=True)
            total: Floats = rel_entr(x, r).sum(axis=_PIXELS)
        return np.maximum(total, 0.0)  # rounding can leave -1e-17 where the two are the same

    return Pair("kl_divergence", images, reconstructions).map(divergence)


def binary_cross_entropy(images: Any, reconstructions: Any, *, epsilon: float = 1e-7) -> Floats:
    """Bernoulli cross-entropy of each image, mean over pixels, in nats (lower is better).

    Every pixel is read as the probability of being white: the mean of -(x log r + (1 - x) log(1 -
    r)). Its least value is not 0 but the image's own entropy, reached by the image itself; only an
    image of pure black and white reaches 0. So a number alone says nothing about quality: compare
    it with ``binary_cross_entropy(images, images)``.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width[, channels])
        As for `mse`.
    epsilon : float in (0, 0.5)
        Reconstructions are clipped to [epsilon, 1 - epsilon], as Keras does.

    Returns
    -------
    float64 array, (n_images,)

    Examples
    --------
    >>> binary_cross_entropy(np.array([[[1.0, 0.0]]]), np.array([[[0.5, 0.5]]])).round(4)
    array([0.6931])
    """
    check_within("binary_cross_entropy", "epsilon", epsilon, "(0, 0.5)", _EPSILON)

    def cross_entropy(x: Floats, r: Floats) -> Floats:
        r = np.clip(r, epsilon, 1 - epsilon)
        mean: Floats = (x * np.log(r) + (1 - x) * np.log1p(-r)).mean(axis=_PIXELS)
        return -mean

    return Pair("binary_cross_entropy", images, reconstructions).map(cross_entropy)


def contrast_normalised_error(images: Any, reconstructions: Any) -> Floats:
    """Mean squared error of each image, divided by the image's own variance.

    Lower is better, at least 0.

    The share of the image's contrast that the reconstruction misses: 0 is perfect, 1 is what the
    image's own mean grey would get. Dimming an image together with its reconstruction leaves it
    where it was, while `mse` falls with the square. An image flatter than one grey level (standard
    deviation below 1/255) is divided by one grey level squared, so that a blank image is neither
    undefined nor infinite.

    Shapes and errors are those of `mse`.

    Examples
    --------
    >>> image = np.array([[[0.2, 0.4], [0.6, 0.8]]])
    >>> mean_grey = np.full_like(image, 0.5)
    >>> (
    ...     contrast_normalised_error(image, mean_grey).round(4),
    ...     contrast_normalised_error(image / 4, mean_grey / 4).round(4),
    ... )
    (array([1.]), array([1.]))
    """

    def relative(x: Floats, r: Floats) -> Floats:
        variance: Floats = np.maximum(x.var(axis=_PIXELS), _GREY_LEVEL**2)
        return _mean_square(x, r) / variance

    return Pair("contrast_normalised_error", images, reconstructions).map(relative)


def euclidean_distance(images: Any, reconstructions: Any) -> Floats:
    """Length of the difference between each image and its reconstruction (lower is better).

    The root of the *sum* of squares: it grows with the image, by the root of its number of values,
    up to sqrt(height * width * channels). Compare it between images of one size only. It ranks such
    images as `mse` does.

    Shapes and errors are those of `mse`.

    Examples
    --------
    >>> euclidean_distance(np.zeros((1, 10, 10)), np.full((1, 10, 10), 0.1)).round(6)
    array([1.])
    """
    return Pair("euclidean_distance", images, reconstructions).map(
        lambda x, r: np.sqrt(((x - r) ** 2).sum(axis=_PIXELS))
    )


def _mean_square(x: Floats, r: Floats) -> Floats:
    difference = (x - r).reshape(len(x), -1)
    total: Floats = np.vecdot(difference, difference)
    return total / difference.shape[1]
