"""How far feature vectors lie from all that were seen.

The distance to the nearest of a bank of far-apart ones.
"""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from residua.training.scoring.scorer import in_float32

_SIZE = 1000  # vectors in the bank
_PLACES = 100  # of each image
_RIDGE = 1e-2  # of the mean variance
_TINY = 1e-6


class Nearest(nn.Module):
    """Distances of whitened vectors to the nearest of 1,000 that lie as far apart as can be.

    After PatchCore (Roth et al., 2022), with Gonzalez' farthest-first choice (1985): of what is
    common few are kept, of what is rare all, so that a rare part of a good image is no anomaly.
    """

    centre: Tensor
    whitening: Tensor
    bank: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("whitening", torch.eye(n_features))
        self.register_buffer("bank", torch.zeros(_SIZE, n_features))

    def fit(self, vectors: Tensor) -> None:
        """Learn from vectors of normal images, (n, n_features)."""
        exact = vectors.double()
        centred = exact - exact.mean(0)
        covariance = centred.T @ centred / len(exact)
        ridge = _RIDGE * covariance.diagonal().mean().clamp(min=_TINY)
        values, directions = torch.linalg.eigh(
            covariance + ridge * torch.eye(len(covariance), dtype=torch.float64)
        )
        self.centre = exact.mean(0).float()
        self.whitening = (directions / values.clamp(min=float(ridge)).sqrt()).float()
        self.bank = far_apart((vectors.float() - self.centre) @ self.whitening, _SIZE)

    @in_float32
    def forward(self, maps: Tensor) -> Tensor:
        """Maps of features to distances, (batch, 1, height, width).

        Maps are (batch, n_features, height, width).
        """
        vectors = maps.flatten(2).transpose(1, 2).flatten(0, 1)
        white = (vectors - self.centre) @ self.whitening
        # One pass over the large matrix instead of three halves the time.
        nearest = torch.addmm(self.bank.square().sum(1), white, self.bank.T, alpha=-2).amin(1)
        squares = (white.square().sum(1) + nearest).clamp(min=0)
        return squares.sqrt().view(maps.shape[0], 1, maps.shape[2], maps.shape[3])


def some_vectors(maps: Tensor, generator: Generator) -> Tensor:
    """A hundred places of each image, the same in all of the batch, as vectors: (n, n_features)."""
    chosen = torch.randperm(maps.shape[2] * maps.shape[3], generator=generator)[:_PLACES]
    return maps.flatten(2)[:, :, chosen].transpose(1, 2).flatten(0, 1)


def far_apart(vectors: Tensor, n: int) -> Tensor:
    """`n` of `vectors`, each the farthest from those before it.

    Some several times if there are fewer.

    Examples
    --------
    >>> far_apart(torch.tensor([[0.0], [1.0], [5.0], [4.0]]), 3)
    tensor([[0.],
            [5.],
            [1.]])
    """
    chosen = vectors.new_zeros(n, vectors.shape[1])
    apart = vectors.new_full((len(vectors),), torch.inf)
    next_one = 0
    for place in range(n):
        chosen[place] = vectors[next_one]
        apart = torch.minimum(apart, (vectors - chosen[place]).square().sum(1))
        next_one = int(apart.argmax())
    return chosen
