"""A bank of vectors of normal images, and how far other vectors lie from the nearest in it.

The search is a matrix product, so engines and exported files carry it as they carry a layer.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from residua.training.scoring.scorer import add_buffers, in_float32


class Neighbours(NamedTuple):
    """What `Bank` finds of each vector, the nearest first.

    distances : float32 (batch, n_nearest), Euclidean
    vectors : float32 (batch, n_features), the nearest of the bank
    """

    distances: Tensor
    vectors: Tensor


class Bank(nn.Module):
    """Distances of vectors to the nearest of those that it was given.

    The vectors are kept less their mean: distances stay, and squares become small, so that little
    is lost where they are subtracted. What the product finds is measured once more by differences,
    since a small distance is all rounding in a difference of large squares.

    >>> bank = Bank(2, n_nearest=2)
    >>> bank.fit(torch.tensor([[0.0, 0.0], [3.0, 4.0], [9.0, 9.0]]))
    >>> found = bank(torch.tensor([[0.0, 0.0]]))
    >>> found.distances.round(decimals=4), found.vectors.round(decimals=4)
    (tensor([[0., 5.]]), tensor([[0., 0.]]))
    """

    centre: Tensor
    kept: Tensor
    squares: Tensor

    def __init__(self, n_features: int, *, n_nearest: int) -> None:
        super().__init__()
        self.n_nearest = n_nearest
        add_buffers(
            self,
            centre=torch.zeros(n_features),
            kept=torch.zeros(1, n_features),
            squares=torch.zeros(1),
        )

    def __len__(self) -> int:
        return len(self.kept)

    def fit(self, vectors: Tensor) -> None:
        """Keep `vectors`, float32 (n, n_features), n at least 1."""
        self.centre = vectors.mean(0, dtype=torch.float64).float()
        self.kept = vectors - self.centre
        self.squares = self.kept.square().sum(1)

    def forward(self, vectors: Tensor) -> Neighbours:
        """Vectors (batch, n_features) to their nearest; fewer where the bank holds fewer."""
        vectors = vectors.float()
        n_nearest = min(self.n_nearest, len(self))
        ranks = less_own_square(vectors - self.centre, self.kept, self.squares)
        rows = ranks.topk(n_nearest, dim=1, largest=False).indices
        found = self.kept[rows] + self.centre
        distances = (vectors[:, None] - found).square().sum(2).sqrt()
        distances, order = distances.topk(n_nearest, dim=1, largest=False)
        nearest = order[:, :1, None].expand(-1, 1, found.shape[2])
        return Neighbours(distances, found.gather(1, nearest)[:, 0])


@in_float32
def less_own_square(vectors: Tensor, kept: Tensor, squares: Tensor) -> Tensor:
    """Squared distances of `vectors` to those `kept`, each less the vector's own square.

    Vectors are (batch, n_features), kept ones (n, n_features) with their squares (n,); the result
    is (batch, n). One pass over the large matrix instead of three halves the time.

    >>> kept = torch.tensor([[1.0], [4.0]])
    >>> less_own_square(torch.tensor([[2.0]]), kept, kept.square().sum(1)) + 2.0**2
    tensor([[1., 4.]])
    """
    return torch.addmm(squares, vectors, kept.T, alpha=-2)
