"""Scores of a memory: how far what a backbone sees lies from what it saw in normal images."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.errors import InputError
from residua.training.networks.feature import FeatureMaps
from residua.training.networks.residual import pooling
from residua.training.scoring.bank import less_own_square
from residua.training.scoring.density import Gaussian, Nearest, far_apart_rows, some_vectors
from residua.training.scoring.image_list import Images, chunks_of, every
from residua.training.scoring.places import (
    FEWEST_FOR_MEDIANS,
    Places,
    centre_and_spread,
    highest,
    smooth_places,
    tamed,
)
from residua.training.scoring.scorer import Scorer, ScorerOutput, View, add_buffers
from residua.training.synthesis import standardise

SIZE, TOPS = 4000, (0.003, 0.03)
"""Vectors that are kept, and shares of the places whose means are summed, unless said."""

_CHUNK = 16
_VARIES = 0.45  # of the spread within an image
_MOST_VECTORS = 60_000
_MOST_HELD_OUT = 2000
_CELLS = 2
_KEPT = 0.8  # of the held-out images, for what is usual at a place
_PICTURES = 16
_MEAN, _SPREAD = 0.45, 0.2  # about those of photographs in [0, 1]


class MemoryScorer(Scorer):
    """How far the features at each place lie from the nearest of those of normal images.

    Features are averaged over 3 x 3 places and whitened; ``size`` of them are kept, as far apart as
    can be, out of at most 60,000 from all training images. Distances are taken in units of what is
    usual at their place. An image's score is the sum of the means of its highest places, for each
    share in ``tops``, and of the Mahalanobis distance of the features averaged over quarters of the
    image, or over all of it where quarters take more than 1,024 numbers. Each is taken less the
    median of held-out normals, in units of their median absolute deviation (of fewer than 20 the
    mean and the standard deviation), so that a few hidden anomalies change little, and what lies
    far out counts by its logarithm. In place of a reconstruction stands the most similar of 16
    training images that are kept; without `pictures`, the image itself.

    With `even` light all images are brought to one brightness and contrast first; None does so
    where the brightness of the training images varies (`exposure_varies`).
    """

    is_even: Tensor
    cells: Tensor
    image_centre: Tensor
    image_spread: Tensor
    pictures: Tensor
    picture_codes: Tensor

    def __init__(
        self,
        network: FeatureMaps,
        *,
        size: int = SIZE,
        tops: tuple[float, ...] = TOPS,
        even: bool | None = None,
        pictures: bool = True,
    ) -> None:
        super().__init__()
        self.network, self.tops, self.even, self.has_decided = network, tops, even, False
        self.keeps_pictures = pictures
        self.nearest = Nearest(network.n_features, size)
        self.places = Places(1)
        n_cells, shape = network.n_cells(_CELLS), network.shape
        n_codes = network.n_features * n_cells**2
        self.gaussian = Gaussian(n_codes)
        self.register_buffer("cells", pooling(*network.grid, n_cells), persistent=False)
        add_buffers(
            self,
            is_even=torch.tensor(even is not False),
            image_centre=torch.zeros(len(tops) + 1),
            image_spread=torch.ones(len(tops) + 1),
            pictures=torch.zeros(int(pictures), shape.channels, shape.height, shape.width),
            picture_codes=torch.zeros(int(pictures), n_codes),
        )

    @property
    def decided(self) -> str:
        """Whether light is evened out."""
        if self.even is not None:
            return ""
        if self.is_even:
            return "light: evened out, because the brightness of the training images varies"
        return "light: left as it is, because the brightness of the training images varies little"

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images."""
        return self.view(images).output

    def view(self, images: Tensor) -> View:
        """Scores, and the backbone's maps."""
        features = self._features(images)
        maps, codes = self.places(self._distances(features)), self._pooled(features)
        parts = (self._image_scores(maps, codes) - self.image_centre) / self.image_spread
        error_map = F.interpolate(
            maps, size=images.shape[2:], mode="bilinear", align_corners=False
        )[:, 0]
        picture = self._most_alike(codes) if self.keeps_pictures else images
        return View(ScorerOutput(tamed(parts).sum(1), error_map, picture), features)

    def encode(self, images: Tensor) -> Tensor:
        """Refused: features are looked up, and no code is made of an image."""
        raise InputError(
            "transform: the model must have a latent vector. The recipe memory has none: it looks"
            " up the nearest features. Use the recipe feature."
        )

    def fit(self, train: Images, held_out: Images) -> None:
        """The memory from training images, what is usual from held-out ones.

        Light is decided by those of the first time: a part of them varies less.
        """
        if self.even is None and not self.has_decided:
            self.is_even, self.has_decided = torch.tensor(exposure_varies(train)), True
        generator = torch.Generator().manual_seed(0)
        per_image = max(1, _MOST_VECTORS // len(train))
        vectors, cells = [], []
        for chunk in chunks_of(train, _CHUNK):
            features = self._features(chunk)
            vectors.append(some_vectors(smooth_places(features), generator, per_image))
            cells.append(self._pooled(features))
        self.nearest.fit(torch.cat(vectors)[:_MOST_VECTORS])
        codes = torch.cat(cells)
        self.gaussian.fit(codes)
        if self.keeps_pictures:
            self._keep_pictures(train, codes)
        seen = []
        for chunk in chunks_of(every(held_out, -(-len(held_out) // _MOST_HELD_OUT)), _CHUNK):
            features = self._features(chunk)
            seen.append((self._distances(features), self._pooled(features)))
        maps, codes = (torch.cat(parts) for parts in zip(*seen, strict=True))
        usual = maps
        if len(maps) >= FEWEST_FOR_MEDIANS:
            # Anomalies that hide among the held-out images would make others look usual.
            far = highest(maps[:, 0], max(self.tops))
            usual = maps[far <= far.quantile(_KEPT)]
        self.places.fit(usual.split(_CHUNK))
        scores = self._image_scores(self.places(maps), codes)
        self.image_centre, self.image_spread = centre_and_spread(scores)

    def remember(self, images: Images) -> None:
        """Take images of another product into the memory; what is usual stays as it is.

        Distances of all other images can only fall.
        """
        generator = torch.Generator().manual_seed(0)
        per_image = max(1, _MOST_VECTORS // len(images))
        vectors = [
            some_vectors(smooth_places(self._features(chunk)), generator, per_image)
            for chunk in chunks_of(images, _CHUNK)
        ]
        self.nearest.remember(torch.cat(vectors)[:_MOST_VECTORS])

    def _features(self, images: Tensor) -> Tensor:
        """What the backbone sees, (batch, n_features, rows, columns)."""
        return self.network.targets(torch.where(self.is_even, even_light(images), images))

    def _distances(self, features: Tensor) -> Tensor:
        """Of each place to the nearest that is kept, (batch, 1, rows, columns)."""
        return self.nearest(smooth_places(features))  # type: ignore[no-any-return]

    def _pooled(self, features: Tensor) -> Tensor:
        """Features averaged over the cells, (batch, n_cells * n_features)."""
        return (features.flatten(2) @ self.cells).flatten(1)

    def _keep_pictures(self, train: Images, codes: Tensor) -> None:
        """Training images that are as little alike as can be."""
        white = self.gaussian.whiten(codes)
        rows = far_apart_rows(white, min(_PICTURES, len(train)))
        self.pictures = torch.cat(
            [next(chunks_of(train[row : row + 1], 1)) for row in rows.tolist()]
        )
        self.picture_codes = white[rows]

    def _most_alike(self, codes: Tensor) -> Tensor:
        """The kept picture whose features are most like each image's as a whole."""
        white = self.gaussian.whiten(codes)
        ranks = less_own_square(white, self.picture_codes, self.picture_codes.square().sum(1))
        return self.pictures[ranks.argmin(1)].clamp(0, 1)

    def _image_scores(self, maps: Tensor, codes: Tensor) -> Tensor:
        """The highest places and the whole, (batch, n_tops + 1)."""
        whole = self.gaussian(codes).sqrt()
        return torch.stack([*(highest(maps[:, 0], top) for top in self.tops), whole], dim=1)


def exposure_varies(images: Images) -> bool:
    """Whether the brightness of images varies by over .45 of what it varies within an image.

    Then light says little of the part.

    >>> pattern = torch.rand(9, 1, 8, 8, generator=torch.Generator().manual_seed(0)) / 2
    >>> exposures = torch.linspace(0, 0.5, 9).view(9, 1, 1, 1)
    >>> exposure_varies(pattern), exposure_varies(pattern + exposures)
    (False, True)
    """
    looks = torch.cat(
        [
            torch.stack([chunk.mean((1, 2, 3)), chunk.std((1, 2, 3), correction=0)], dim=1)
            for chunk in chunks_of(images, _CHUNK)
        ]
    )
    between, within = looks[:, 0].std(correction=0), looks[:, 1].mean()
    return bool(between > _VARIES * within)


def even_light(images: Tensor) -> Tensor:
    """Images that are all as bright and as rich in contrast, about as photographs in [0, 1] are."""
    return standardise(images).values * _SPREAD + _MEAN
