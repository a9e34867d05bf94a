"""Structural similarity of images and reconstructions.

What changed in the pattern, not how much each pixel is off.

All functions take the images of `residua.metrics.reconstruction` and return one float64 number an
image, or a map. **Similarity: 1 is identical, lower is worse.** An anomaly score is ``1 -
similarity``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from residua._check import Problems, check_within
from residua.errors import RangeError
from residua.metrics._pairs import Floats, Pair

_C1, _C2 = 0.01**2, 0.03**2  # Wang et al. 2004, K1 = 0.01 and K2 = 0.03 on a range of 1
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
_GRADIENT_C = 170 / 255**2  # Xue et al. 2014 state 170 on a range of 255


def ssim(images: Any, reconstructions: Any, *, window: int = 11, sigma: float = 1.5) -> Floats:
    """Structural similarity of each image, in [-1, 1] (higher is more similar).

    Means, variances and the covariance are weighted by a Gaussian of `sigma` pixels, cut off at a
    window of `window` x `window`. Only positions where the whole window lies in the image count: of
    the map, a border of (window - 1) / 2 pixels is left out before averaging. Channels are compared
    separately and averaged. This is what scikit-image computes with ``gaussian_weights=True,
    use_sample_covariance=False, data_range=1``.

    An image with a side shorter than `window` gets the largest odd window that fits; sigma stays.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width[, channels])
        uint8, uint16, bool, or float in [0, 1].
    window : odd int
        Side of the window in pixels.
    sigma : float, positive
        Standard deviation of the Gaussian in pixels.

    Returns
    -------
    float64 array, (n_images,)

    Raises
    ------
    ShapeError, RangeError
        As `mse`, and if `window` is even or `sigma` not positive.

    Notes
    -----
    Wang, Bovik, Sheikh, Simoncelli, *Image quality assessment* (2004).

    Examples
    --------
    >>> stripes = np.tile([0.0, 1.0], (1, 16, 8))
    >>> ssim(stripes, stripes), ssim(stripes, 1 - stripes).round(4)
    (array([1.]), array([-0.9964]))
    """
    pair, window = _prepare("ssim", images, reconstructions, window, sigma)
    return pair.map(
        lambda x, r: _whole_windows(_similarity(x, r, window, sigma)[0], window).mean(
            axis=(1, 2, 3)
        )
    )


def ssim_map(images: Any, reconstructions: Any, *, window: int = 11, sigma: float = 1.5) -> Floats:
    """Structural similarity around each pixel, averaged over channels.

    In [-1, 1], higher is more similar.

    The map has the size of the image; near the edge the image is continued by its mirror. `ssim` is
    the mean of this map without a border of (window - 1) / 2 pixels. Parameters and errors are
    those of `ssim`.

    Returns
    -------
    float64 array, (n_images, height, width)

    Examples
    --------
    >>> image = np.zeros((1, 24, 24))
    >>> spot = image.copy()
    >>> spot[0, 12, 12] = 1
    >>> similarity = ssim_map(image, spot)[0]
    >>> similarity.shape, bool(similarity[0, 0] == 1), bool(similarity[12, 12] < 0.1)
    ((24, 24), True, True)
    """
    pair, window = _prepare("ssim_map", images, reconstructions, window, sigma)
    return pair.map(lambda x, r: _similarity(x, r, window, sigma)[0].mean(axis=3), pair.shape[1:3])


def ms_ssim(images: Any, reconstructions: Any) -> Floats:
    """Multi-scale structural similarity of each image, in [0, 1] (higher is more similar).

    Contrast and structure are compared at five scales, each half the size of the one before,
    luminance at the coarsest alone; the five means are raised to the published weights and
    multiplied. A negative mean counts as 0. Windows are those of `ssim`: 11 pixels, sigma 1.5.

    Five scales need a side of 176 pixels. A smaller image gets as many scales as leave 11 pixels at
    the coarsest, and the weights of those are rescaled to sum to 1: with a side below 22 this is
    `ssim`, cut off at 0. Numbers from different numbers of scales are not comparable.

    Parameters, shapes and errors are those of `mse`.

    Notes
    -----
    Wang, Simoncelli, Bovik, *Multi-scale structural similarity for image quality assessment*
    (2003).

    Examples
    --------
    >>> image = np.tile(np.linspace(0, 1, 64), (1, 64, 1))
    >>> ms_ssim(image, image), bool(ms_ssim(image, image**2)[0] < 1)
    (array([1.]), True)
    """
    pair, window = _prepare("ms_ssim", images, reconstructions, 11, 1.5)
    n_scales = _n_scales(min(pair.shape[1:3]), len(_SCALE_WEIGHTS), smallest=11)
    # All five are taken as published, though they sum to 1.0001.
    weights = np.array(_SCALE_WEIGHTS[:n_scales])
    weights /= 1 if n_scales == len(_SCALE_WEIGHTS) else weights.sum()

    def product(x: Floats, r: Floats) -> Floats:
        result = np.ones(len(x))
        for scale, weight in enumerate(weights, start=1):
            whole, contrast = _similarity(x, r, window, 1.5)
            mean = _whole_windows(whole if scale == n_scales else contrast, window).mean(
                axis=(1, 2, 3)
            )
            result *= np.maximum(mean, 0.0) ** weight
            x, r = _halved(x), _halved(r)
        return result

    return pair.map(product)


def gradient_magnitude_similarity(images: Any, reconstructions: Any) -> Floats:
    """Gradient-magnitude similarity of each image, the mean over pixels.

    In [0, 1], higher is more similar.

    Compares how steep the edges are, pixel by pixel, and is blind to overall brightness. An anomaly
    score is ``1 -`` this. Steepness comes from Prewitt filters; beyond the edge the image is
    continued by its last pixel, so that the border is no edge. Channels are compared separately and
    averaged. The paper halves the images first; here that is left to
    `multiscale_gradient_magnitude_similarity`.

    Parameters, shapes and errors are those of `mse`.

    Notes
    -----
    Xue, Zhang, Mou, Bovik, *Gradient magnitude similarity deviation* (2014), with its constant: 170
    on a range of 255.

    Examples
    --------
    >>> step = np.zeros((1, 8, 8))
    >>> step[:, :, 4:] = 1
    >>> flat = np.full((1, 8, 8), 0.5)
    >>> (
    ...     gradient_magnitude_similarity(step, step),
    ...     gradient_magnitude_similarity(step, flat).round(3),
    ... )
    (array([1.]), array([0.751]))
    """
    pair = Pair("gradient_magnitude_similarity", images, reconstructions)
    return pair.map(lambda x, r: _gradient_similarity(x, r).mean(axis=(1, 2, 3)))


def gms_map(images: Any, reconstructions: Any) -> Floats:
    """Gradient-magnitude similarity of each pixel, averaged over channels.

    In [0, 1], higher is more similar.

    Its mean over an image is `gradient_magnitude_similarity`.

    Returns
    -------
    float64 array, (n_images, height, width)

    Examples
    --------
    >>> step = np.zeros((1, 4, 6))
    >>> step[:, :, 3:] = 1
    >>> gms_map(step, np.zeros_like(step))[0, 0].round(3)
    array([1.   , 1.   , 0.003, 0.003, 1.   , 1.   ])
    """
    pair = Pair("gms_map", images, reconstructions)
    return pair.map(lambda x, r: _gradient_similarity(x, r).mean(axis=3), pair.shape[1:3])


def multiscale_gradient_magnitude_similarity(
    images: Any, reconstructions: Any, *, scales: int = 3
) -> Floats:
    """Mean of the gradient-magnitude similarity over scales (higher is more similar).

    Each scale is half the size of the one before.

    In [0, 1]. The error used to score anomalies, MSGMS, is ``1 -`` this. An image too small for
    `scales` gets as many as leave 3 pixels at the coarsest side. Halving averages 2 x 2 pixels and
    drops an odd last row or column.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width[, channels])
        As for `mse`.
    scales : int, at least 1
        1 is `gradient_magnitude_similarity`.

    Returns
    -------
    float64 array, (n_images,)

    Notes
    -----
    Zavrtanik, Kristan, Skočaj, *Reconstruction by inpainting for visual anomaly detection* (2021).

    Examples
    --------
    >>> step = np.zeros((1, 16, 16))
    >>> step[:, :, 8:] = 1
    >>> 1 - multiscale_gradient_magnitude_similarity(step, step)
    array([0.])
    """
    where = "multiscale_gradient_magnitude_similarity"
    check_within(where, "scales", scales, "[1, inf)", "Leave it at 3")
    pair = Pair(where, images, reconstructions)
    n_scales = _n_scales(min(pair.shape[1:3]), scales, smallest=3)

    def mean(x: Floats, r: Floats) -> Floats:
        total = np.zeros(len(x))
        for _ in range(n_scales):
            total += _gradient_similarity(x, r).mean(axis=(1, 2, 3))
            x, r = _halved(x), _halved(r)
        return total / n_scales

    return pair.map(mean)


def _prepare(
    where: str, images: Any, reconstructions: Any, window: int, sigma: float
) -> tuple[Pair, int]:
    problems = Problems(where)
    if window < 1 or window % 2 == 0:
        problems.add(
            "window must be a positive odd number of pixels",
            f"{window}",
            "Leave it at 11",
            RangeError,
        )
    if not sigma > 0:
        problems.add("sigma must be positive", f"{sigma}", "Leave it at 1.5", RangeError)
    problems.raise_any()
    pair = Pair(where, images, reconstructions)
    side = min(pair.shape[1:3])
    return pair, min(window, side - 1 + side % 2)


def _smooth(values: Floats, window: int, sigma: float) -> Floats:
    """Rows and columns under a truncated Gaussian, mirrored beyond the edge.

    `values` are (k, channels, height, width).
    """
    from scipy.ndimage import correlate1d

    half = window // 2
    taps = np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)
    taps /= taps.sum()
    # SciPy's "reflect" repeats the edge pixel.
    across: Floats = correlate1d(values, taps, axis=3, mode="reflect")
    down: Floats = correlate1d(across, taps, axis=2, mode="reflect")
    return down


def _similarity(x: Floats, r: Floats, window: int, sigma: float) -> tuple[Floats, Floats]:
    """The map of SSIM and that of its contrast-structure part.

    Each is (k, height, width, channels).
    """
    x, r = np.moveaxis(x, 3, 1), np.moveaxis(r, 3, 1)
    mean_x, mean_r = _smooth(x, window, sigma), _smooth(r, window, sigma)
    cross, square = mean_x * mean_r, mean_x**2 + mean_r**2
    # Of the two variances only their sum is needed, so that four smoothings do instead of five.
    contrast = (2 * (_smooth(x * r, window, sigma) - cross) + _C2) / (
        _smooth(x**2 + r**2, window, sigma) - square + _C2
    )
    whole = contrast * (2 * cross + _C1) / (square + _C1)
    return np.moveaxis(whole, 1, 3), np.moveaxis(contrast, 1, 3)


def _whole_windows(values: Floats, window: int) -> Floats:
    """The map without the border where the window leaves the image."""
    half = window // 2
    return values[:, half : values.shape[1] - half, half : values.shape[2] - half]


def _gradient_similarity(x: Floats, r: Floats) -> Floats:
    steep_x, steep_r = _steepness(x), _steepness(r)
    return (2 * steep_x * steep_r + _GRADIENT_C) / (steep_x**2 + steep_r**2 + _GRADIENT_C)


def _steepness(x: Floats) -> Floats:
    """Length of the Prewitt gradient, (k, height, width, channels)."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down = padded[:, 2:] - padded[:, :-2]
    down = (down[:, :, :-2] + down[:, :, 1:-1] + down[:, :, 2:]) / 3
    across = padded[:, :, 2:] - padded[:, :, :-2]
    across = (across[:, :-2] + across[:, 1:-1] + across[:, 2:]) / 3
    return np.sqrt(down**2 + across**2)


def _halved(x: Floats) -> Floats:
    """Means of 2 x 2 pixels; an odd last row or column is dropped."""
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def _n_scales(side: int, wanted: int, *, smallest: int) -> int:
    """How often the side can be halved and still hold `smallest` pixels, plus one.

    At least 1, at most `wanted`.
    """
    n = 1
    while n < wanted and side // 2 >= smallest:
        side, n = side // 2, n + 1
    return n
