"""Error maps and per-image errors inside the graph, by the formulas of `residua.metrics`.

A test ties the two.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.synthesis.smoothing import gaussian_weights, weighted_sum

_K1, _K2 = 0.01, 0.03  # of SSIM (Wang et al., 2004)
_MEAN, _SLOPE = (1 / 3, 1 / 3, 1 / 3), (1.0, 0.0, -1.0)  # Prewitt's filter, along its two axes


def squared(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Squared error of each pixel, channels averaged: (batch, height, width)."""
    return (images - reconstructions).square().mean(1)


def absolute(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Absolute error of each pixel, channels averaged: (batch, height, width)."""
    return (images - reconstructions).abs().mean(1)


def dissimilarity(images: Tensor, reconstructions: Tensor) -> Tensor:
    """``(1 - SSIM) / 2`` of each pixel's surroundings, in [0, 1], (batch, height, width)."""
    window = _window(images.shape[-2], images.shape[-1])
    pad = (len(window) - 1) // 2
    padded = [F.pad(x, (pad, pad, pad, pad), mode="replicate") for x in (images, reconstructions)]
    return (1 - _ssim_valid(padded[0], padded[1], window).mean(1)) / 2


def ssim(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Structural similarity of each image, (batch,), over windows that lie inside it."""
    return _ssim_valid(images, reconstructions, _window(images.shape[-2], images.shape[-1])).mean(
        (1, 2, 3)
    )


def _window(height: int, width: int, size: int = 11, sigma: float = 1.5) -> list[float]:
    """Gaussian weights of a window, of the largest odd size below 11 that fits."""
    return gaussian_weights(sigma, (min(size, height, width) - 1) // 2)


def _ssim_valid(images: Tensor, reconstructions: Tensor, window: list[float]) -> Tensor:
    def blur(x: Tensor) -> Tensor:
        return weighted_sum(weighted_sum(x, window, -2), window, -1)

    images, reconstructions = images.contiguous(), reconstructions.contiguous()
    mean_x, mean_y = blur(images), blur(reconstructions)
    var_x = blur(images * images) - mean_x * mean_x
    var_y = blur(reconstructions * reconstructions) - mean_y * mean_y
    covariance = blur(images * reconstructions) - mean_x * mean_y
    c1, c2 = _K1**2, _K2**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return numerator / ((mean_x.square() + mean_y.square() + c1) * (var_x + var_y + c2))


def gradient_dissimilarity(
    images: Tensor, reconstructions: Tensor, *, scales: int = 3, constant: float = 0.05
) -> Tensor:
    """One minus the gradient-magnitude similarity, mean over `scales` halvings and channels.

    After Xue et al. (2014).

    (batch, height, width), 0 where gradients are equally strong, up to 1; `constant` is on the
    squared scale of the images. Brightness alone changes nothing, an edge that is missing or added
    does.
    """
    height, width = images.shape[-2:]
    total = torch.zeros_like(images[:, :1])
    for scale in range(scales):
        if scale:
            images, reconstructions = F.avg_pool2d(images, 2), F.avg_pool2d(reconstructions, 2)
        x, y = _gradient(images), _gradient(reconstructions)
        dissimilarity = 1 - (2 * x * y + constant) / (x.square() + y.square() + constant)
        dissimilarity = dissimilarity.mean(1, keepdim=True)
        total = total + F.interpolate(
            dissimilarity, size=(height, width), mode="bilinear", align_corners=False
        )
    return total[:, 0] / scales


def _gradient(images: Tensor) -> Tensor:
    """Magnitude of the Prewitt gradient of each channel."""
    padded = F.pad(images.contiguous(), (1, 1, 1, 1), mode="replicate")
    across = weighted_sum(weighted_sum(padded, _MEAN, -2), _SLOPE, -1)
    down = weighted_sum(weighted_sum(padded, _MEAN, -1), _SLOPE, -2)
    return (across.square() + down.square() + 1e-8).sqrt()
