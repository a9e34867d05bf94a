"""Whole images that are not normal, made from normal ones.

What recipes are compared by where no anomaly is known.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.synthesis.defects import FAMILIES, add_one_defect
from residua.training.synthesis.draws import Draws
from residua.training.synthesis.smoothing import standardise

_WARP = 0.35


def make_anomalies(draws: Draws, images: Tensor, other: Tensor | None = None) -> dict[str, Tensor]:
    """For each kind, an anomaly of every image, (n, channels, height, width) in [0, 1].

    ``other`` holds what each is mixed with; None takes each image's neighbour in the batch.

    ``defect``: a small defect. ``joined``: half of one image, half of another. ``blended``: the
    mean of two. ``scrambled``: quarters exchanged. ``warped``: bent by a coarse random field.
    ``squeezed``: narrower or flatter.
    """
    other = images.roll(1, 0) if other is None else other
    return {name: make(draws, images, other).clamp(0, 1) for name, make in _KINDS.items()}


def _defect(draws: Draws, images: Tensor, other: Tensor) -> Tensor:
    standardised = standardise(images)
    return standardised.undo(
        add_one_defect(
            draws, standardised.values, standardise(other).values, tuple(FAMILIES)
        ).images
    )


def _joined(draws: Draws, images: Tensor, other: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    across = draws.chance(len(images), 0.5)
    top = (torch.arange(height, device=images.device) < height // 2)[:, None].expand(height, width)
    left = (torch.arange(width, device=images.device) < width // 2)[None, :].expand(height, width)
    return torch.where(torch.where(across, top, left), images, other)


def _blended(draws: Draws, images: Tensor, other: Tensor) -> Tensor:
    return (images + other) / 2


def _scrambled(draws: Draws, images: Tensor, other: Tensor) -> Tensor:
    height, width = images.shape[-2:]
    return images.roll((height // 2, width // 2), (-2, -1))


def _warped(draws: Draws, images: Tensor, other: Tensor) -> Tensor:
    n, _, height, width = images.shape
    coarse = _WARP * draws.normal(n, 2, 4, 4)
    field = F.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True).permute(
        0, 2, 3, 1
    )
    grid = F.affine_grid(
        torch.eye(2, 3, device=images.device).expand(n, 2, 3),
        list(images.shape),
        align_corners=False,
    )
    return F.grid_sample(images, grid + field, padding_mode="border", align_corners=False)


def _squeezed(draws: Draws, images: Tensor, other: Tensor) -> Tensor:
    n = len(images)
    along_width = draws.chance(n, 0.5).flatten()
    factor = draws.uniform(n, 1.5, 2.0).flatten()
    one = torch.ones_like(factor)
    scale_x, scale_y = torch.where(along_width, factor, one), torch.where(along_width, one, factor)
    affine = torch.zeros(n, 2, 3, device=images.device)
    affine[:, 0, 0], affine[:, 1, 1] = scale_x, scale_y
    grid = F.affine_grid(affine, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


_KINDS: dict[str, Callable[[Draws, Tensor, Tensor], Tensor]] = {
    "defect": _defect,
    "joined": _joined,
    "blended": _blended,
    "scrambled": _scrambled,
    "warped": _warped,
    "squeezed": _squeezed,
}
