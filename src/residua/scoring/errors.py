"""Error maps and per-image errors inside the graph, by the formulas of `residua.metrics` (a test ties the two)."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

_K1, _K2 = 0.01, 0.03


def squared(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Squared error of each pixel, channels averaged: (batch, height, width)."""
    return (images - reconstructions).square().mean(1)


def absolute(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Absolute error of each pixel, channels averaged: (batch, height, width)."""
    return (images - reconstructions).abs().mean(1)


def dissimilarity(images: Tensor, reconstructions: Tensor) -> Tensor:
    """``(1 - SSIM) / 2`` of each pixel's neighbourhood, channels averaged: (batch, height, width), in [0, 1]."""
    window = _window(images.shape[-2], images.shape[-1])
    pad = (window.numel() - 1) // 2
    padded = [F.pad(x, (pad, pad, pad, pad), mode="replicate") for x in (images, reconstructions)]
    return (1 - _ssim_valid(padded[0], padded[1], window).mean(1)) / 2


def ssim(images: Tensor, reconstructions: Tensor) -> Tensor:
    """Structural similarity of each image, (batch,): mean over the pixels whose whole window lies inside the image."""
    return _ssim_valid(images, reconstructions, _window(images.shape[-2], images.shape[-1])).mean((1, 2, 3))


def _window(height: int, width: int, size: int = 11, sigma: float = 1.5) -> Tensor:
    """Gaussian weights; the window shrinks to the largest odd size that fits an image below 11 pixels."""
    side = min(size, height, width)
    radius = (side - 1) // 2
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    return torch.tensor(weights) / sum(weights)


def _ssim_valid(images: Tensor, reconstructions: Tensor, window: Tensor) -> Tensor:
    window = window.to(images)
    channels = images.shape[1]
    vertical = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    horizontal = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)

    def blur(x: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(x, vertical, groups=channels), horizontal, groups=channels)

    mean_x, mean_y = blur(images), blur(reconstructions)
    var_x = blur(images * images) - mean_x * mean_x
    var_y = blur(reconstructions * reconstructions) - mean_y * mean_y
    covariance = blur(images * reconstructions) - mean_x * mean_y
    c1, c2 = _K1**2, _K2**2
    numerator = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    return numerator / ((mean_x.square() + mean_y.square() + c1) * (var_x + var_y + c2))
