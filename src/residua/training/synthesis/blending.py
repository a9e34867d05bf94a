"""Pieces of images put elsewhere, hard or without a seam."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.synthesis.draws import Draws
from residua.training.synthesis.smoothing import resized

_OWN = 0.35  # share of the pieces that come from the image itself


def moved(draws: Draws, images: Tensor, pool: Tensor) -> Tensor:
    """For each image another of `pool` or itself, changed.

    Flipped, turned where square, and rolled to a random place.
    """
    n, _, height, width = images.shape
    chosen = torch.stack([pool[draws.number(len(pool))] for _ in range(n)])
    sources = torch.where(draws.chance(n, _OWN), images, chosen)
    return torch.stack([_one_moved(draws, source, height, width) for source in sources])


def seamless(pieces: Tensor, images: Tensor, mask: Tensor) -> Tensor:
    """`pieces` shifted smoothly so that they meet `images` along the rim of `mask`.

    Poisson blending, solved by pull and push.

    The difference along the rim is averaged down a pyramid and interpolated back up (Gortler et
    al., 1996), which costs a few small operations a batch where a solver would take one system an
    image.
    """
    rim = (F.max_pool2d(mask, 5, 1, 2) - mask).clamp(min=0)
    return pieces + _filled(images - pieces, rim)


def _one_moved(draws: Draws, image: Tensor, height: int, width: int) -> Tensor:
    if draws.number(2):
        image = image.flip(-1)
    if draws.number(2):
        image = image.flip(-2)
    if height == width and draws.number(3) == 0:
        image = image.transpose(-1, -2)
    return torch.roll(image, (draws.number(height), draws.number(width)), (-2, -1))


def _filled(values: Tensor, known: Tensor) -> Tensor:
    """`values` where `known` > 0, and a smooth interpolation of them elsewhere."""
    levels = [(values * known, known)]
    while min(levels[-1][0].shape[-2:]) > 2:
        levels.append(tuple(F.avg_pool2d(level, 2, ceil_mode=True) for level in levels[-1]))  # type: ignore[arg-type]
    weighted, weight = levels[-1]
    filled = weighted.mean((2, 3), keepdim=True) / weight.mean((2, 3), keepdim=True).clamp(min=1e-6)
    for weighted, weight in reversed(levels):
        filled = resized(filled, weighted.shape[-2], weighted.shape[-1])
        trust = (4 * weight).clamp(max=1.0)
        filled = torch.where(
            weight > 1e-6, trust * weighted / weight.clamp(min=1e-6) + (1 - trust) * filled, filled
        )
    return filled
