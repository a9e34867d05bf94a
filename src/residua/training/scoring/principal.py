"""Principal components of training images, and the part of an image that they do not reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from residua.training.networks.principal import PrincipalNetwork
from residua.training.scoring import error_maps
from residua.training.scoring.image_list import at_once
from residua.training.scoring.scorer import Scorer, ScorerOutput

_CHUNK = 256  # images at a time
_SPARE = 10  # directions beside twice as many as are wanted, so that the wanted ones settle
_ROUNDS = 7  # scikit-learn's number, with more directions
_NOTHING = 1e-7  # of the largest variance: what rounding leaves of a direction without any


class PrincipalScorer(Scorer):
    """Score = mean squared residual, as the baseline has it; its map is the residual squared.

    The residual is taken before the reconstruction is clipped to [0, 1].
    """

    def __init__(self, network: PrincipalNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images by what the components do not reach."""
        rebuilt = self.network(images)
        error_map = error_maps.squared(images, rebuilt)
        return ScorerOutput(error_map.mean((1, 2)), error_map, rebuilt.clamp(0, 1))

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Find the components of the training images; held-out ones are not looked at."""
        network: Any = self.network
        wanted = min(network.wanted, len(train) // network.images_each)
        network.mean, network.components = principal_components(train, wanted)


def principal_components(images: Any, n_wanted: int) -> tuple[Tensor, Tensor]:
    """Mean (n_values,) and the first components (n, n_values), orthonormal, strongest first.

    Subspace iteration from a drawn start (Halko, Martinsson and Tropp, 2011). Images are (n_images,
    channels, height, width) in [0, 1] and may lie in a file: each round reads them once, a chunk at
    a time. There are as many components as wanted, unless the images show fewer directions.

    >>> line = torch.linspace(0, 1, 5)[:, None, None, None] * torch.ones(1, 1, 2, 2)
    >>> mean, components = principal_components(line, 3)
    >>> mean.tolist(), components.abs().round(decimals=4).tolist()
    ([0.5, 0.5, 0.5, 0.5], [[0.5, 0.5, 0.5, 0.5]])
    """
    n_images, n_values = len(images), int(images[:1].flatten(1).shape[1])
    n_wanted = max(1, min(n_wanted, n_images - 1, n_values))
    n_directions = min(2 * n_wanted + _SPARE, n_images, n_values)
    total = torch.zeros(n_values, dtype=torch.float64)
    for chunk in images.split(at_once(images, _CHUNK)):
        total += chunk.flatten(1).double().sum(0)
    mean = (total / n_images).float()
    covariance = _covariance_of(images, mean)
    start = torch.randn(n_values, n_directions, generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(start).Q
    for _ in range(_ROUNDS):
        basis = torch.linalg.qr(covariance(basis)).Q
    small = (basis.T @ covariance(basis)).double()
    variances, directions = torch.linalg.eigh((small + small.T) / 2)
    n_shown = int((variances > _NOTHING * variances[-1]).sum())
    if n_shown == 0 or variances[-1] <= 0:  # all images are alike
        return mean, torch.zeros(1, n_values)
    strongest = directions.flip(1)[:, : min(n_wanted, n_shown)].float()
    return mean, (basis @ strongest).T.contiguous()


def _covariance_of(images: Any, mean: Tensor) -> Callable[[Tensor], Tensor]:
    """What multiplies a matrix (n_values, n) by the images' covariance, never written down."""

    def times(matrix: Tensor) -> Tensor:
        product = torch.zeros_like(matrix)
        for chunk in images.split(at_once(images, _CHUNK)):
            centred = chunk.flatten(1) - mean
            product += centred.T @ (centred @ matrix)
        return product / len(images)

    return times
