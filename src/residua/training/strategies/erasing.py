"""Cutting a box out of images (DeVries and Taylor, 2017): nothing may hang on one detail."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

_SMALLEST, _LARGEST = 0.1, 0.35  # of the image's side


def erase(images: Tensor, share: float, generator: Generator) -> Tensor:
    """Set a box to the image's mean in a `share` of the images.

    Sides between 10% and 35% of the image's, anywhere.
    """
    n, _, height, width = images.shape
    box = _span(n, height, generator)[:, :, None] & _span(n, width, generator)[:, None, :]
    box = box & (torch.rand(n, 1, 1, generator=generator) < share)
    return torch.where(box[:, None].to(images.device), images.mean((2, 3), keepdim=True), images)


def _span(n: int, length: int, generator: Generator) -> Tensor:
    """Which of `length` places lie in a stretch of the image's side, bool (n, length)."""
    reach = (torch.rand(n, 1, generator=generator) * (_LARGEST - _SMALLEST) + _SMALLEST) * length
    centre = torch.rand(n, 1, generator=generator) * length
    return (torch.arange(length) + 0.5 - centre).abs() <= reach / 2
