"""Gaussian smoothing that is cheap when wide, and images in units of their own mean and spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor
from torch.nn import functional as F

_WIDEST = 3.0  # beyond this sigma an image is smoothed at half its size, or a quarter, ...
_LEAST_SPREAD = 1e-3
_LIMIT = 4.0


class StandardisedImages(NamedTuple):
    """``values`` = (image - mean) / spread in [-4, 4]; ``mean``, ``spread`` (n, 1, 1, 1)."""

    values: Tensor
    mean: Tensor
    spread: Tensor

    def undo(self, values: Tensor) -> Tensor:
        """Standardised values back on the images' own scale, clipped to [0, 1]."""
        return (values * self.spread + self.mean).clamp(0, 1)


def standardise(images: Tensor) -> StandardisedImages:
    """Images (n, c, h, w) in units of their own mean and spread, without exposure, contrast.

    >>> import torch
    >>> dim = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) / 4
    >>> bright = 3 * dim + 0.2
    >>> bool(torch.allclose(standardise(dim).values, standardise(bright).values, atol=1e-3))
    True
    """
    images = images.contiguous()  # channels-last memory makes blurring each channel by itself crawl
    mean = images.mean((1, 2, 3), keepdim=True)
    spread = (images.var((1, 2, 3), keepdim=True, correction=0) + _LEAST_SPREAD**2).sqrt()
    return StandardisedImages(((images - mean) / spread).clamp(-_LIMIT, _LIMIT), mean, spread)


def smooth(images: Tensor, sigma: float) -> Tensor:
    """Gaussian blur by `sigma` pixels, edges repeated; wide blurs at a reduced size."""
    factor = 1
    while (
        sigma / factor > _WIDEST
        and images.shape[-1] % (2 * factor) == 0
        and images.shape[-2] % (2 * factor) == 0
    ):
        factor *= 2
    small = F.avg_pool2d(images, factor) if factor > 1 else images
    radius = max(1, round(2.5 * sigma / factor))
    weights = gaussian_weights(sigma / factor, radius)
    small = weighted_sum(F.pad(small, (radius, radius, 0, 0), mode="replicate"), weights, -1)
    small = weighted_sum(F.pad(small, (0, 0, radius, radius), mode="replicate"), weights, -2)
    return resized(small, images.shape[-2], images.shape[-1]) if factor > 1 else small


def weighted_sum(images: Tensor, weights: Sequence[float], axis: int) -> Tensor:
    """Each value's neighbours along an axis, weighted and added.

    Shorter by as many values as there are weights, less one.

    By shifted copies, not by a convolution: those of one channel take three to fifteen times as
    long on a processor.

    >>> import torch
    >>> weighted_sum(torch.tensor([1.0, 2.0, 4.0]), (0.5, 0.5), 0)
    tensor([1.5000, 3.0000])
    """
    length = images.shape[axis] - len(weights) + 1
    total = images.narrow(axis, 0, length) * weights[0]
    for place, weight in enumerate(weights[1:], start=1):
        total = total.add_(images.narrow(axis, place, length), alpha=weight)
    return total


def resized(images: Tensor, height: int, width: int) -> Tensor:
    """Bilinear interpolation to height x width."""
    return F.interpolate(images, size=(height, width), mode="bilinear", align_corners=False)


def gaussian_weights(sigma: float, radius: int) -> list[float]:
    """A Gaussian window of 2 * radius + 1 weights that sum to 1."""
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    return [weight / sum(weights) for weight in weights]
