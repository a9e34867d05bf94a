"""Where a synthetic defect sits: soft masks, 1 inside and 0 outside, of regions, lines and specks.

And value noise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from residua.training.synthesis.draws import Draws
from residua.training.synthesis.smoothing import resized

_KINDS = {"ellipse": 0.4, "box": 0.2, "band": 0.12, "islands": 0.28}
_LARGEST = 0.45  # of the image: beyond it, which side is the defect would be anybody's guess
_SEGMENTS = 24
_FAR = 1e9


def value_noise(
    draws: Draws, n: int, channels: int, size: tuple[int, int], *, cells: float, octaves: int
) -> Tensor:
    """Smooth noise of unit spread (n, channels, *size), `cells` along a side, in octaves."""
    return stretched_noise(draws, n, channels, size, cells=cells, octaves=octaves, stretch=1.0)


def stretched_noise(
    draws: Draws,
    n: int,
    channels: int,
    size: tuple[int, int],
    *,
    cells: float,
    octaves: int,
    stretch: float,
) -> Tensor:
    """Value noise whose cells are `stretch`^2 times as high as wide."""
    height, width = size
    # Drawn at half the size: four times cheaper, and as smooth.
    half = ((height + 1) // 2, (width + 1) // 2)
    total = torch.zeros(n, channels, *half, device=draws.device)
    for octave in range(octaves):
        finer = cells * 2**octave
        rows, columns = (
            min(height, max(2, round(finer / stretch))),
            min(width, max(2, round(finer * stretch))),
        )
        total = total + 0.6**octave * resized(draws.normal(n, channels, rows, columns), *half)
    return resized(total / total.std((1, 2, 3), keepdim=True).clamp(min=1e-4), height, width)


def regions(draws: Draws, n: int, size: tuple[int, int]) -> Tensor:
    """Soft rough masks (n, 1, *size) of many shapes, from 2 pixels to a third of the side."""
    side = min(size)
    along, across = _axes(draws, n, size, draws.uniform(n, 0, math.pi))
    radius, flatness = draws.log_uniform(n, 1.5, 0.35 * side), draws.log_uniform(n, 0.2, 1.0)
    a, b = radius / flatness.sqrt(), (radius * flatness.sqrt()).clamp(min=1.0)
    thinner = torch.minimum(a, b)
    ellipse = (((along / a) ** 2 + (across / b) ** 2).sqrt() - 1) * thinner
    box = torch.maximum(along.abs() - a, across.abs() - b)
    band = torch.maximum(along.abs() - 1.5 * a, across.abs() - 4 * side)
    islands = value_noise(draws, n, 1, size, cells=6, octaves=3)
    islands = torch.maximum(
        ellipse - 0.8 * thinner, (draws.uniform(n, 0.2, 1.2) - islands) * side / 20
    )
    kind = draws.choice(n, list(_KINDS.values())).view(n, 1, 1, 1)
    rough = (
        value_noise(draws, n, 1, size, cells=10, octaves=2) * thinner * draws.uniform(n, 0, 0.35)
    )
    distance = torch.where(kind == 0, ellipse, torch.where(kind == 1, box, band)) + rough * (
        kind != 1
    )
    distance = torch.where(kind == 3, islands, distance)
    softness = torch.where(
        draws.chance(n, 0.7), draws.uniform(n, 0.3, 1.0), draws.log_uniform(n, 1.0, 6.0)
    )
    mask = torch.sigmoid(-2 * distance / softness)
    return torch.where(mask.mean((1, 2, 3), keepdim=True) > _LARGEST, 1 - mask, mask)


def strokes(draws: Draws, n: int, size: tuple[int, int]) -> Tensor:
    """Soft masks (n, 1, *size) of thin, tapering random walks: cracks, scratches, fibres."""
    x, y = _walk(draws, n, size)
    taper = 1 - 0.7 * torch.linspace(
        -1, 1, _SEGMENTS + 1, device=draws.device
    ).square() * draws.uniform(n).flatten(1)
    half_width = (
        draws.log_uniform(n, 0.5, 3.0).flatten(1)
        * taper
        * torch.exp(0.25 * draws.normal(n, _SEGMENTS + 1))
    )
    rows, columns = _pixels(size, draws.device)
    nearest = torch.full((n, 1, *size), _FAR, device=draws.device)
    for k in range(_SEGMENTS):
        x0, y0, x1, y1, width = (
            v.view(n, 1, 1, 1)
            for v in (x[:, k], y[:, k], x[:, k + 1], y[:, k + 1], half_width[:, k])
        )
        dx, dy, to_x, to_y = columns - x0, rows - y0, x1 - x0, y1 - y0
        inverse = 1 / (to_x * to_x + to_y * to_y).clamp(min=1e-6)
        share = (dx * (to_x * inverse) + dy * (to_y * inverse)).clamp_(0, 1)
        # In place, because these are the widest tensors of all: a third of the time.
        from_x, from_y = (share * -to_x).add_(dx).square_(), share.mul_(-to_y).add_(dy).square_()
        torch.minimum(nearest, from_x.add_(from_y).sqrt_().sub_(width), out=nearest)
    return torch.sigmoid(-2.5 * nearest)


def specks(draws: Draws, n: int, size: tuple[int, int]) -> Tensor:
    """Soft masks (n, 1, *size) of one to three compact dots of 1 to 5 pixels' radius."""
    mask = torch.zeros(n, 1, *size, device=draws.device)
    for _ in range(1 + draws.number(3)):
        radius, flatness = draws.log_uniform(n, 0.8, 5.0), draws.log_uniform(n, 0.35, 1.0)
        along, across = _axes(draws, n, size, draws.uniform(n, 0, math.pi))
        distance = ((along * flatness) ** 2 + across**2).sqrt() - radius
        mask = torch.maximum(mask, torch.sigmoid(-2 * distance))
    return mask


def _pixels(size: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    rows = torch.arange(size[0], device=device).view(1, 1, -1, 1) + 0.5
    return rows, torch.arange(size[1], device=device).view(1, 1, 1, -1) + 0.5


def _axes(draws: Draws, n: int, size: tuple[int, int], angle: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel coordinates in a frame turned by `angle` about a random place, (n, 1, *size) each."""
    rows, columns = _pixels(size, draws.device)
    dy, dx = rows - draws.uniform(n) * size[0], columns - draws.uniform(n) * size[1]
    return dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()


def _walk(draws: Draws, n: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Corners of random walks, x and y, each (n, 25), winding or straight."""
    n_corners = _SEGMENTS + 1
    step = draws.log_uniform(n, 6, 1.2 * min(size)).flatten(1) / n_corners
    turns = torch.cumsum(
        draws.normal(n, n_corners) * draws.log_uniform(n, 0.01, 0.45).flatten(1), dim=1
    )
    turns = turns * torch.where(draws.chance(n, 0.5), 0.5, 1.0).flatten(1)
    angle = draws.uniform(n, 0, 2 * math.pi).flatten(1) + turns
    x = draws.uniform(n).flatten(1) * size[1] + torch.cumsum(angle.cos() * step, dim=1)
    y = draws.uniform(n).flatten(1) * size[0] + torch.cumsum(angle.sin() * step, dim=1)
    return x, y
