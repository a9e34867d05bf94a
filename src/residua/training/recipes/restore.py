"""`restore`: undo what was done to the image (after ARNet; Fei et al., 2020).

Quarter turns, small shifts and scales, gamma and gain, masked cells, and greying of colour.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from residua.training.networks import ImageShape, JointNetwork, ResidualAutoencoder
from residua.training.recipes.base import Recipe, Schedule
from residua.training.scoring.rotation_score import (
    HEADLESS_PARTS,
    N_TURNS,
    HeadlessPart,
    RotationScorer,
)
from residua.training.scoring.scorer import Scorer

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
        spoilt = spoilt * F.interpolate(
            (torch.rand(n, 1, _CELLS, _CELLS, generator=generator) >= masked).to(images),
            size=images.shape[2:],
        )
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


class Restore(Recipe):
    """Restore the upright image from a turned, jittered, masked (and, in colour, greyed) copy.

    Who has to restore must know what the object is, which way up it belongs and what it looks like.
    Scored by the restoration error over the four turns, and by the density of the codes from which
    it restores.
    """

    name: ClassVar[str] = "restore"
    summary: ClassVar[str] = (
        "restores images that were rotated, masked or greyed; scored by the error over all"
        " rotations and the density of the latent vector"
    )
    cost: ClassVar[str] = (
        "one to two minutes of one core at 28x28, whatever the number of images; 3 ms per image"
    )
    good_for: ClassVar[str] = "small images of objects that have an upright"
    schedule: ClassVar[Schedule] = Schedule(
        steps=400,
        epochs=(1, 400),
        batch_size=256,
        learning_rate=4e-3,
        weight_decay=5e-4,
        keep="last",
    )

    latent: int | None = 128
    width: int = Field(default=32, ge=4, le=512)
    jitter: float = Field(default=1.0, ge=0, le=2)
    masked: float = Field(default=0.1, ge=0, lt=1)
    parts: tuple[HeadlessPart, ...] = Field(default=HEADLESS_PARTS, min_length=1)

    def build_network(self, shape: ImageShape) -> nn.Module:
        """A fresh residual autoencoder with its heads."""
        return JointNetwork(
            ResidualAutoencoder(shape, self.latent or 128, width=self.width), N_TURNS
        )

    def loss(self, network: Any, images: Tensor, generator: Generator) -> Tensor:
        """Squared error of the restoration."""
        turns = torch.randint(0, N_TURNS, (len(images),), generator=generator)
        restored = network(self.corrupt(images, turns, generator))
        return F.mse_loss(restored.float(), images)

    def corrupt(self, images: Tensor, turns: Tensor, generator: Generator) -> Tensor:
        """Turned and spoilt copies."""
        spoilt = turn_and_spoil(
            images, turns, jitter=self.jitter, masked=self.masked, generator=generator
        )
        return spoilt.contiguous(memory_format=torch.channels_last)

    def build_scorer(self, network: Any) -> Scorer:
        """The named parts, standardised, weighted and summed."""
        return RotationScorer(network, self.parts)
