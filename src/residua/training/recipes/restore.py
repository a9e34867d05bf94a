"""`restore`: undo what was done to the image (after ARNet; Fei et al., 2020).

Turns, shifts, gamma, masks, greying.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from residua.training.networks import ImageShape, JointNetwork, ResidualAutoencoder
from residua.training.recipes.base import Recipe, Schedule
from residua.training.recipes.rotation import turn_and_spoil
from residua.training.scoring.rotation_score import (
    HEADLESS_PARTS,
    N_TURNS,
    HeadlessPart,
    RotationScorer,
)
from residua.training.scoring.scorer import Scorer


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

    def loss(self, network: nn.Module, images: Tensor, generator: Generator) -> Tensor:
        """Squared error of the restoration."""
        joint: Any = network
        turns = torch.randint(0, N_TURNS, (len(images),), generator=generator)
        restored = joint(self.corrupt(images, turns, generator))
        return F.mse_loss(restored.float(), images)

    def corrupt(self, images: Tensor, turns: Tensor, generator: Generator) -> Tensor:
        """Turned and spoilt copies."""
        spoilt = turn_and_spoil(
            images, turns, jitter=self.jitter, masked=self.masked, generator=generator
        )
        return spoilt.contiguous(memory_format=torch.channels_last)

    def build_scorer(self, network: nn.Module) -> Scorer:
        """The named parts, standardised, weighted and summed."""
        joint: Any = network
        return RotationScorer(joint, self.parts)
