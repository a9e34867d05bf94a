"""What an image looks like to filters that nothing was learnt for: surfaces, and strokes.

Grain by size and direction, bright and dark spots: a bank of oriented filters in pairs (Gabor,
1946), as texture has been told apart with since Bovik, Clark and Geisler (1990). Strokes, with
little regard to shade: histograms of gradient orientations on a grid of cells (after Dalal and
Triggs, 2005).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CELL = 8  # pixels
_LEVELS = (2, 4, 8)  # the image is seen at these fractions of its size
_DIRECTIONS = 6
_SIGMA, _WAVELENGTH = 1.2, 4.0  # pixels of a level
_SURROUND = 1.6  # how much wider the surround of a spot is than its centre
_LEAST = 1e-3
N_ORIENTATIONS = 8
# not smaller: what simplifies exported graphs takes 1e-8 for 0, and flat cells would be 0 / 0
_LEAST_STRENGTH = 1e-6


class Texture(nn.Module):
    """Standardised images to logarithms of filters' strength in cells of 8 pixels.

    The sides of the images are multiples of 8.

    At a half, a quarter and an eighth of the size: the strength along six directions, mean and
    (where a cell holds several pixels) maximum, averaged over three by three cells, and that of the
    brightest and of the darkest spot. Beside it the cell's own mean.
    """

    filters: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filters", _filters()[:, None], persistent=False)
        self.n_features = channels * (
            1 + sum(_DIRECTIONS * (2 if level < CELL else 1) + 2 for level in _LEVELS)
        )

    def forward(self, images: Tensor) -> Tensor:
        """(batch, channels, height, width) to (batch, n_features, height / 8, width / 8)."""
        height, width = images.shape[-2:]
        with torch.autocast(images.device.type, enabled=False):
            plain = images.float().reshape(-1, 1, height, width)  # channels one by one
            found = [F.avg_pool2d(plain, CELL)]
            for level in _LEVELS:
                found += self._seen_at(F.avg_pool2d(plain, level), CELL // level)
            maps = torch.cat(found, dim=1)
        return maps.reshape(images.shape[0], self.n_features, height // CELL, width // CELL)

    def _seen_at(self, images: Tensor, cell: int) -> list[Tensor]:
        """What the filters say of one level, in cells of so many of its pixels."""
        reach = self.filters.shape[-1] // 2
        answers = F.conv2d(F.pad(images, (reach,) * 4, mode="replicate"), self.filters)
        even, odd, spots = answers.split([_DIRECTIONS, _DIRECTIONS, 1], dim=1)
        strengths = [(even.square() + odd.square() + _LEAST**2).sqrt()]
        extremes = torch.cat([spots, -spots], dim=1)
        if cell > 1:
            strengths = [F.avg_pool2d(strengths[0], cell), F.max_pool2d(strengths[0], cell)]
            extremes = F.max_pool2d(extremes, cell)
        averaged = [
            F.avg_pool2d(F.pad(one, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
            for one in strengths
        ]
        return [one.clamp(min=_LEAST).log() for one in (*averaged, extremes)]


class PlainFilters(nn.Module):
    """`Texture` of the brightness, and two means of colour, as a backbone: no weights, any size."""

    def __init__(self) -> None:
        super().__init__()
        self.texture = Texture(1)

    def forward(self, images: Tensor) -> Tensor:
        """Colour images (batch, 3, height, width) in [0, 1] to maps of an eighth of their size."""
        height, width = images.shape[-2:]
        padded = F.pad(images, (0, -width % CELL, 0, -height % CELL), mode="replicate")
        grey = padded.mean(1, keepdim=True)
        colour = F.avg_pool2d(padded[:, :2] - grey, CELL)
        return torch.cat([self.texture(grey), colour], dim=1)


def _filters() -> Tensor:
    """Even and odd filters of each direction and one for spots, (2 * directions + 1, side, side).

    None answers to brightness alone, and the weights of each add up to 1, signs aside.
    """
    reach = round(3 * _SIGMA - 0.5)
    axis = torch.arange(-reach, reach + 1, dtype=torch.float64)
    down, across = axis[:, None], axis[None, :]
    centre = torch.exp(-(down**2 + across**2) / (2 * _SIGMA**2))
    surround = torch.exp(-(down**2 + across**2) / (2 * (_SURROUND * _SIGMA) ** 2))
    made = []
    for wave in (torch.cos, torch.sin):
        for direction in range(_DIRECTIONS):
            angle = math.pi * direction / _DIRECTIONS
            along = math.cos(angle) * across + math.sin(angle) * down
            made.append(centre * wave(2 * math.pi * along / _WAVELENGTH))
    made.append(centre / centre.sum() - surround / surround.sum())
    balanced = [one - centre * one.sum() / centre.sum() for one in made]
    return torch.stack([one / one.abs().sum() for one in balanced]).float()


def orientation_histograms(images: Tensor, pooling: Tensor) -> Tensor:
    """Roots of each cell's gradient strength along eight directions, (batch, 8 * cells).

    A gradient counts for a direction by the fourth power of their angle's cosine; channels are
    summed. `pooling` averages pixels over cells, (height * width, cells).
    """
    across = _slope(images)
    down = _slope(images.transpose(2, 3)).transpose(2, 3)
    strength = (across.square() + down.square() + _LEAST_STRENGTH).sqrt()
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
