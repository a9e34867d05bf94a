"""`joint-one-class`: the second class is made. Restoration head and classifier head share the code.

How to train a classifier head when there is only one class? By classes that are made: here the
classes are the quarter turns that the image was given, and the heads are trained together, their
losses weighted.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Generator, Tensor
from torch.nn import functional as F

from residua.training.recipes.base import Schedule
from residua.training.recipes.restore import Restore
from residua.training.scoring.rotation_score import N_TURNS, PARTS, Part

# Brings the squared error of images in [0, 1] to the size of a cross-entropy.
_RESTORATION_SCALE = 10


class JointOneClass(Restore):
    """Restore the image, name its turn, and find its other spoilt copy among all others.

    Three losses, one encoder.

    ``restoration``, ``turning`` and ``contrast`` weigh the losses; each may be 0. The contrastive
    loss takes two spoilt copies of an image under one turn as a pair, and every other row, other
    turns of the same image too, as a negative.
    """

    name: ClassVar[str] = "joint-one-class"
    summary: ClassVar[str] = (
        "restores images, names their rotation and pairs two views of one image, with heads on one"
        " encoder; scored by the heads and density"
    )
    cost: ClassVar[str] = (
        "two to three minutes of one core at 28x28, whatever the number of images; 3 ms per image"
    )
    good_for: ClassVar[str] = "small images of objects: the strongest from scratch"
    schedule: ClassVar[Schedule] = Schedule(
        steps=800,
        epochs=(1, 800),
        batch_size=128,
        learning_rate=4e-3,
        weight_decay=5e-4,
        keep="last",
        optimiser="muon",
    )

    restoration: float = Field(default=1.0, ge=0)
    turning: float = Field(default=1.0, ge=0)
    contrast: float = Field(default=1.0, ge=0)
    temperature: float = Field(default=0.3, gt=0)
    parts: tuple[Part, ...] = Field(default=PARTS, min_length=1)  # type: ignore[assignment]  # it has the head

    def loss(self, network: Any, images: Tensor, generator: Generator) -> Tensor:
        """Weighted sum of the three losses."""
        turns = torch.randint(0, N_TURNS, (len(images),), generator=generator)
        if self.contrast:
            images, turns = torch.cat([images, images]), torch.cat([turns, turns])
        output = network.heads(self.corrupt(images, turns, generator))
        loss = self.turning * F.cross_entropy(output.logits, turns.to(output.logits.device))
        loss = loss + self.restoration * _RESTORATION_SCALE * F.mse_loss(
            output.reconstructions, images
        )
        if self.contrast:
            loss = loss + self.contrast * pairing_loss(output.projections, self.temperature)
        return loss


def pairing_loss(projections: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of row i's partner, i + n/2, by cosine similarity (Chen et al., 2020)."""
    half = len(projections) // 2
    unit = F.normalize(projections, dim=1)
    similarity = (unit @ unit.T / temperature).masked_fill(
        torch.eye(2 * half, dtype=torch.bool, device=unit.device), -1e9
    )
    return F.cross_entropy(similarity, torch.arange(2 * half, device=unit.device).roll(half))
