"""Histograms of gradient orientations on a grid of cells (after Dalal and Triggs, 2005).

Strokes, with little regard to shade.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

N_ORIENTATIONS = 8
# not smaller: what simplifies exported graphs takes 1e-8 for 0, and flat cells would be 0 / 0
_LEAST = 1e-6


def orientation_histograms(images: Tensor, pooling: Tensor) -> Tensor:
    """Roots of each cell's gradient strength along eight directions, (batch, 8 * cells).

    A gradient counts for a direction by the fourth power of their angle's cosine; channels are
    summed. `pooling` averages pixels over cells, (height * width, cells).
    """
    across = _slope(images)
    down = _slope(images.transpose(2, 3)).transpose(2, 3)
    strength = (across.square() + down.square() + _LEAST).sqrt()
    found = []
    for direction in range(N_ORIENTATIONS):
        angle = 2 * math.pi * direction / N_ORIENTATIONS
        along = F.relu(math.cos(angle) * across + math.sin(angle) * down)
        found.append((along / strength) ** 4 * strength)
    cells = torch.stack(found, 1).sum(2).flatten(2) @ pooling
    return cells.clamp(min=0).sqrt().flatten(1)


def _slope(images: Tensor) -> Tensor:
    """Difference of the two neighbours along the last axis; edges are repeated."""
    padded = F.pad(images, (1, 1, 0, 0), mode="replicate")
    return padded[..., 2:] - padded[..., :-2]
