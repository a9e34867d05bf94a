"""Latent density: how unusual an image's latent is among those of normal images.

It stands beside how badly the image is reconstructed.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from residua.training.scoring.gaussian import Gaussian
from residua.training.scoring.image_list import chunks_of
from residua.training.scoring.scorer import Scorer, ScorerAround, ScorerOutput, in_float32

Density = Literal["mahalanobis", "neighbours"]

_NEIGHBOURS = 5  # whose distances are averaged
_MOST_CODES = 2000  # of training images
_CHUNK = 256  # images at a time


class DensityScorer(ScorerAround):
    """Sum of the error and of densities on the code, each standardised on held-out normals.

    ``mahalanobis`` is the squared Mahalanobis distance to the mean of the training codes
    (covariance shrunk by Ledoit and Wolf, 2004), ``neighbours`` the mean Euclidean distance to the
    five nearest of at most 2,000 training codes. The error map stays the reconstruction's: a code
    has no place in the image.
    """

    bank: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, inner: Scorer, densities: tuple[Density, ...], latent: int) -> None:
        super().__init__(inner)
        self.densities = densities
        self.gaussian = Gaussian(latent)
        self.register_buffer("bank", torch.zeros(1, latent))
        self.register_buffer("centre", torch.zeros(1 + len(densities)))
        self.register_buffer("spread", torch.ones(1 + len(densities)))

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images by error and density."""
        output = self.inner(images)
        parts = self._parts(output.score, self.encode(images))
        return output._replace(score=((parts - self.centre) / self.spread).sum(1))

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Fit covariance and neighbours to training images, and scales to held-out ones."""
        self.inner.fit(train, held_out)
        codes = torch.cat([self.encode(chunk) for chunk in chunks_of(train, _CHUNK)])
        self.gaussian.fit(codes)
        stride = -(-len(codes) // _MOST_CODES)
        self.bank = codes[::stride].clone()
        parts = torch.cat(
            [
                self._parts(self.inner(chunk).score, self.encode(chunk))
                for chunk in chunks_of(held_out, _CHUNK)
            ]
        )
        self.centre = parts.mean(0)
        self.spread = parts.std(0, correction=0).clamp(min=1e-12)

    def _parts(self, error: Tensor, codes: Tensor) -> Tensor:
        parts = [error]
        for density in self.densities:
            parts.append(
                self.gaussian(codes) if density == "mahalanobis" else self._neighbours(codes)
            )
        return torch.stack(parts, dim=1)

    @in_float32
    def _neighbours(self, codes: Tensor) -> Tensor:
        distances = torch.cdist(codes, self.bank, compute_mode="donot_use_mm_for_euclid_dist")
        return distances.topk(min(_NEIGHBOURS, len(self.bank)), largest=False).values.mean(1)
