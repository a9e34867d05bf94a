"""What is unusual about a code or a map of features, beside those of normal images.

The Mahalanobis distance to their mean, the distance to the nearest of a bank of far-apart ones, and
such densities beside how badly an image is reconstructed.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor, nn

from residua.training.scoring.bank import less_own_square
from residua.training.scoring.image_list import chunks_of
from residua.training.scoring.scorer import (
    Scorer,
    ScorerAround,
    ScorerOutput,
    add_buffers,
    in_float32,
)

_SIZE = 1000  # vectors in the bank
_PLACES = 100  # of each image
_RIDGE = 1e-2  # of the mean variance
_MANY, _PROJECTED = 10**8, 64  # distances, from which on they are taken along so many directions
_TINY = _FLOOR = 1e-6
Density = Literal["mahalanobis", "neighbours"]
_NEIGHBOURS = 5  # whose distances are averaged
_MOST_CODES = 2000  # of training images
_CHUNK = 256  # images at a time


class Gaussian(nn.Module):
    """Squared Mahalanobis distance of codes to the mean of training codes.

    Covariance shrunk by Ledoit and Wolf (2004); ``floor`` times the mean variance is added to it.
    """

    centre: Tensor
    whitening: Tensor

    def __init__(self, n_features: int, *, floor: float = _FLOOR) -> None:
        super().__init__()
        self.floor = floor
        add_buffers(self, centre=torch.zeros(n_features), whitening=torch.eye(n_features))

    def fit(self, codes: Tensor) -> None:
        """Learn from codes of normal images, (n, n_features)."""
        self.centre, self.whitening = centre_and_whitening(codes, floor=self.floor)

    @in_float32
    def forward(self, codes: Tensor) -> Tensor:
        """Codes (batch, n_features) to squared distances, (batch,)."""
        return self.whiten(codes).square().sum(1)

    def whiten(self, codes: Tensor) -> Tensor:
        """Codes (batch, n_features) as vectors whose squared lengths are the distances."""
        return (codes - self.centre) @ self.whitening.T


def centre_and_whitening(codes: Tensor, *, floor: float = _FLOOR) -> tuple[Tensor, Tensor]:
    """Mean (d,) and W (d, d): ``|W (x - mean)|`` is Mahalanobis' distance (Ledoit-Wolf)."""
    from sklearn.covariance import LedoitWolf

    values = codes.double().numpy()
    if len(values) == 1:
        values = values.repeat(2, axis=0)  # one code has no spread; scikit-learn warns
    shrunk = LedoitWolf().fit(values)
    # Dead units leave the covariance singular.
    added = floor * max(float(values.var(axis=0).mean()), 1e-12)
    covariance = torch.tensor(shrunk.covariance_) + added * torch.eye(
        values.shape[1], dtype=torch.float64
    )
    inverse = torch.linalg.inv(torch.linalg.cholesky(covariance))
    return torch.tensor(shrunk.location_, dtype=torch.float32), inverse.float()


class Nearest(nn.Module):
    """Distances of whitened vectors to the nearest of ``size`` that lie as far apart as can be.

    After PatchCore (Roth et al., 2022), with Gonzalez' farthest-first choice (1985): of what is
    common few are kept, of what is rare all, so that a rare part of a good image is no anomaly.
    """

    centre: Tensor
    whitening: Tensor
    bank: Tensor

    def __init__(self, n_features: int, size: int = _SIZE) -> None:
        super().__init__()
        self.size = size
        add_buffers(
            self,
            centre=torch.zeros(n_features),
            whitening=torch.eye(n_features),
            bank=torch.zeros(size, n_features),
        )

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
        white = (vectors.float() - self.centre) @ self.whitening
        self.bank = white[far_apart_rows(white, min(self.size, len(white)))]

    def remember(self, vectors: Tensor) -> None:
        """Keep more vectors, (n, n_features): at most a quarter of ``size``, far apart."""
        white = (vectors.float() - self.centre) @ self.whitening
        rows = far_apart_rows(white, min(max(1, self.size // 4), len(white)))
        self.bank = torch.cat([self.bank, white[rows]])

    @in_float32
    def forward(self, maps: Tensor) -> Tensor:
        """Maps of features (batch, n_features, h, w) to distances, (batch, 1, h, w)."""
        vectors = maps.flatten(2).transpose(1, 2).flatten(0, 1)
        white = (vectors - self.centre) @ self.whitening
        rows = less_own_square(white, self.bank, self.bank.square().sum(1)).min(1).indices
        # Measured once more: a small distance is all rounding in a difference of large squares.
        distances = (white - self.bank[rows]).square().sum(1).sqrt()
        return distances.view(maps.shape[0], 1, maps.shape[2], maps.shape[3])


def some_vectors(maps: Tensor, generator: Generator, n_places: int = _PLACES) -> Tensor:
    """Some places of each image, the same in all of the batch, as vectors: (n, n_features)."""
    chosen = torch.randperm(maps.shape[2] * maps.shape[3], generator=generator)[:n_places]
    return maps.flatten(2)[:, :, chosen].transpose(1, 2).flatten(0, 1)


def far_apart_rows(vectors: Tensor, n: int) -> Tensor:
    """`n` rows of `vectors`, each farthest from those before; some twice if there are fewer.

    >>> far_apart_rows(torch.tensor([[0.0], [1.0], [5.0], [4.0]]), 3)
    tensor([0, 2, 1])
    """
    if len(vectors) * n > _MANY and vectors.shape[1] > _PROJECTED:
        vectors = _projected(vectors)
    squares = vectors.square().sum(1)
    chosen = torch.zeros(n, dtype=torch.int64)
    apart = torch.full_like(squares, torch.inf)
    next_one = 0
    for place in range(n):
        chosen[place] = next_one
        away = torch.addmv(squares, vectors, vectors[next_one], alpha=-2) + squares[next_one]
        apart = torch.minimum(apart, away)
        apart[next_one] = -torch.inf  # rounding may leave it above 0
        next_one = int(apart.argmax())
    return chosen


def _projected(vectors: Tensor) -> Tensor:
    """Along 64 random directions, where distances stay but for a few percent.

    As PatchCore does it (Johnson and Lindenstrauss); a sixth of the time.
    """
    generator = torch.Generator().manual_seed(0)
    return vectors @ torch.randn(vectors.shape[1], _PROJECTED, generator=generator)


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
        add_buffers(
            self,
            bank=torch.zeros(1, latent),
            centre=torch.zeros(1 + len(densities)),
            spread=torch.ones(1 + len(densities)),
        )

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
