"""Corruptions to be undone.

Quarter turns, small shifts and scales, gamma and gain, masked cells, and greying of colour.
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

_CELLS = 7
_SHIFT, _SCALE, _GAMMA, _GAIN = 0.15, 0.25, 0.7, 0.2


def turn_and_spoil(
    images: Tensor, turns: Tensor, *, jitter: float, masked: float, generator: Generator
) -> Tensor:
    """Each image turned by ``turns`` quarter turns counter-clockwise, jittered and masked.

    Half of the colour ones greyed.

    ``jitter=1`` shifts by up to 7.5% of the side, scales each side by e^-0.25 to e^0.25, raises to
    a power between e^-0.7 and e^0.7 and multiplies by e^-0.2 to e^0.2. ``masked`` is the share of
    7x7 cells set to zero.
    """
    n, channels = images.shape[:2]
    spoilt = _warp(images, turns, jitter, generator)
    gamma, gain = _factor(n, _GAMMA * jitter, generator), _factor(n, _GAIN * jitter, generator)
    spoilt = spoilt.clamp(0, 1) ** gamma.view(n, 1, 1, 1).to(images) * gain.view(n, 1, 1, 1).to(
        images
    )
    if masked:
        cells = (torch.rand(n, 1, _CELLS, _CELLS, generator=generator) >= masked).to(images)
        spoilt = spoilt * F.interpolate(cells, size=images.shape[2:])
    if channels > 1:
        is_grey = (torch.rand(n, 1, 1, 1, generator=generator) < 0.5).to(images.device)
        spoilt = torch.where(is_grey, grey(spoilt), spoilt)
    return spoilt


def grey(images: Tensor) -> Tensor:
    """The mean of the channels, in every channel."""
    return images.mean(1, keepdim=True).expand_as(images)


def _warp(images: Tensor, turns: Tensor, jitter: float, generator: Generator) -> Tensor:
    n = len(images)
    angle = turns.float() * (math.pi / 2)
    cos, sin = angle.cos(), angle.sin()
    shift_x, shift_y = (
        _SHIFT * jitter * (2 * torch.rand(n, generator=generator) - 1) for _ in range(2)
    )
    scale_x, scale_y = (_factor(n, _SCALE * jitter, generator) for _ in range(2))
    rows = [scale_x * cos, -scale_x * sin, shift_x, scale_y * sin, scale_y * cos, shift_y]
    affine = torch.stack(rows, 1).view(n, 2, 3).to(images)
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    # Grey sets of small images mostly lie on black; a colour photograph goes on beyond its edge.
    padding = "border" if images.shape[1] > 1 else "zeros"
    return F.grid_sample(images, grid, padding_mode=padding, align_corners=False)


def _factor(n: int, half_range: float, generator: Generator) -> Tensor:
    return torch.exp(half_range * (2 * torch.rand(n, generator=generator) - 1))
