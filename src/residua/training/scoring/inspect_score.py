"""Scores of a skip network.

Where a defect is seen, where the restoration differs, where the features are unusual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, get_args

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from residua.errors import InputError
from residua.training.networks.filters import Texture
from residua.training.networks.skip import STRIDE, SkipNetwork
from residua.training.scoring.density import Gaussian, Nearest, some_vectors
from residua.training.scoring.error_maps import gradient_dissimilarity
from residua.training.scoring.image_list import Images, every, n_pixels
from residua.training.scoring.places import Places, highest, tamed
from residua.training.scoring.scorer import Scorer, ScorerOutput, View, add_buffers
from residua.training.scoring.separation import separations
from residua.training.synthesis import Draws, Family, add_one_defect, smooth, standardise
from residua.training.synthesis.smoothing import resized

PlacedPart = Literal["segmentation", "similarity", "features", "texture"]
"""Parts that say where."""
SurfacePart = Literal["whole", "quarters"]
"""Parts that look at the image's surface as a whole."""
Part = PlacedPart | SurfacePart

PLACED_PARTS: tuple[PlacedPart, ...] = get_args(PlacedPart)
SURFACE_PARTS: tuple[SurfacePart, ...] = get_args(SurfacePart)
PARTS: tuple[Part, ...] = (*PLACED_PARTS, *SURFACE_PARTS)

Chunks = Callable[[], Iterator[Tensor]]

_SMOOTHING = 2.0  # pixels
_TOP: dict[Part, float] = {
    "segmentation": 0.001,
    "similarity": 0.003,
    "features": 0.02,
    "texture": 0.3,
}
"""Share of the pixels that an image's score is the mean of: of marks the smallest defects that
matter, of texture large areas."""
_CHUNK, _CHUNK_PIXELS = 8, 8 * 256 * 256  # images at once, and their pixels together
_MOST_TRAINING = 300
_MOST_HELD_OUT = 2000
_FEWEST_SYNTHETIC = 300
_FEWEST_PIXELS = 6
_ENOUGH = 0.15  # 2 * ROC AUC - 1 against synthetic defects from which on a part counts in full
_LEAST_WEIGHT = 1e-3
_TINY = 1e-6
_MARGIN = 0.5  # beyond the range of the looks seen, in widths of that range
_NARROWEST = 0.02
_STRANGENESS = 10.0
_FINE, _COARSE = 1.0, 4.0  # pixels
_LOOKS = 4


class _Surface(NamedTuple):
    """What the filters say of the image, (batch, n_features), and of its four quarters."""

    whole: Tensor
    quarters: Tensor


class _View(NamedTuple):
    """Maps (batch, n_placed, h, w) in their units, restorations, surface and features."""

    maps: Tensor
    restoration: Tensor
    surface: _Surface
    features: Tensor


class InspectScorer(Scorer):
    """A weighted sum of the named parts, as a map and, over each part's highest pixels, as a score.

    ``segmentation``: the logit that a synthetic defect was put there (its highest .1%).
    ``similarity``: one minus the multi-scale gradient-magnitude similarity of image and restoration
    (.3%). ``features``: the distance of the encoder's features, whitened, to the nearest of 1,000
    of training images and their mirror images (2%). ``texture``: the same of filters for which
    nothing was learnt (30%); see `residua.training.scoring.density` and
    `residua.training.networks.filters`. ``whole`` and ``quarters``: the Mahalanobis distance of
    what these filters say, averaged over the image and over each quarter of it; they have no place
    in the map, which is the sum of the others.

    Parts that say where are smoothed and standardised on held-out normals by place. All are
    standardised as an image's score, where what lies far out counts by its logarithm, so that no
    part alone decides. All weigh the same but those that look for defects and hardly separate
    synthetic ones from held-out normals: no real defect and no label is needed.

    Images are seen in units of their own mean and spread, so that dimming hides nothing; one far
    darker, brighter, flatter, rougher or smoother than any seen pays extra, the more the farther:
    an image of nothing but noise is no better than one that is half noise.
    """

    image_mean: Tensor
    image_spread: Tensor
    weight: Tensor
    look_bounds: Tensor

    def __init__(
        self, network: SkipNetwork, parts: tuple[Part, ...], families: tuple[Family, ...]
    ) -> None:
        super().__init__()
        self.network, self.parts, self.families = network, parts, families
        self.placed = tuple(part for part in parts if part in PLACED_PARTS)
        n = len(parts)
        self.features = Nearest(network.n_features)
        self.filters = Texture(network.shape.channels)
        self.texture = Nearest(self.filters.n_features)
        self.places = Places(len(self.placed))
        self.whole = Gaussian(self.filters.n_features)
        self.quarters = Gaussian(4 * self.filters.n_features)
        add_buffers(
            self,
            image_mean=torch.zeros(n),
            image_spread=torch.ones(n),
            weight=torch.full((n,), 1 / n),
            look_bounds=torch.tensor([[-1e9] * _LOOKS, [1e9] * _LOOKS]),
        )

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images."""
        return self.view(images).output

    def view(self, images: Tensor) -> View:
        """Scores, and the encoder's features."""
        seen = standardise(images)
        maps, restoration, surface, features = self._see(seen.values)
        parts = tamed((self._image_scores(maps, surface) - self.image_mean) / self.image_spread)
        score = (parts * self.weight).sum(1) + _STRANGENESS * self._strangeness(images, seen.values)
        placed = torch.stack([self.weight[self.parts.index(part)] for part in self.placed])
        error_map = (maps * placed.view(1, -1, 1, 1)).sum(1)
        return View(ScorerOutput(score, error_map, seen.undo(restoration)), features)

    def encode(self, images: Tensor) -> Tensor:
        """Codes of prepared images, (batch, latent)."""
        return self.network.encode(_padded(standardise(images).values))

    def decode(self, codes: Tensor) -> Tensor:
        """Refused: a skip network restores from the image, not from a code alone."""
        raise InputError(
            "inspect: images cannot be made from codes alone. Got codes. Use reconstruct, or a"
            " recipe with a dense code."
        )

    def fit(self, train: Images, held_out: Images) -> None:
        """Features from training images; scales and weights from held-out ones; looks from both."""
        generator = torch.Generator().manual_seed(0)  # the same defects for every model
        some = every(train, -(-len(train) // _MOST_TRAINING))
        self._fit_seen(some, generator)
        held_out = every(held_out, -(-len(held_out) // _MOST_HELD_OUT))

        def normals() -> Iterator[
            Tensor
        ]:  # made anew for each pass: all of them at once are many times the images
            return (standardise(chunk).values for chunk in _chunks(held_out))

        self.places.fit(self._see(chunk).maps for chunk in normals())
        scores = torch.cat([self._scores_of(chunk) for chunk in normals()])
        self.image_mean = scores.mean(0)
        self.image_spread = scores.std(0, correction=0).clamp(min=_TINY)
        self._fit_weights(normals, scores, generator)
        looks = [
            _look(chunk, standardise(chunk).values)
            for part in (some, held_out)
            for chunk in _chunks(part)
        ]
        self._fit_looks(torch.cat(looks))

    def _see(self, values: Tensor) -> _View:
        """What standardised images are scored by."""
        height, width = values.shape[-2:]
        padded = _padded(values)
        output = self.network(padded)
        strengths = self.filters(padded)
        made = {
            "segmentation": lambda: output.logits,
            "similarity": lambda: gradient_dissimilarity(padded, output.restoration)[:, None],
            "features": lambda: resized(
                self.features(output.features), padded.shape[-2], padded.shape[-1]
            ),
            "texture": lambda: resized(self.texture(strengths), padded.shape[-2], padded.shape[-1]),
        }
        maps = smooth(torch.cat([made[part]() for part in self.placed], dim=1), _SMOOTHING)[
            ..., :height, :width
        ]
        return _View(
            self.places(maps),
            output.restoration[..., :height, :width],
            _surface(strengths),
            output.features,
        )

    def _image_scores(self, maps: Tensor, surface: _Surface) -> Tensor:
        """Mean of each part's highest pixels, and how unusual the surface is: (batch, n_parts)."""
        scores: dict[Part, Tensor] = {
            part: highest(maps[:, row], _TOP[part]) for row, part in enumerate(self.placed)
        }
        scores |= {"whole": self.whole(surface.whole), "quarters": self.quarters(surface.quarters)}
        return torch.stack([scores[part] for part in self.parts], dim=1)

    def _scores_of(self, values: Tensor) -> Tensor:
        seen = self._see(values)
        return self._image_scores(seen.maps, seen.surface)

    def _strangeness(self, images: Tensor, values: Tensor) -> Tensor:
        """How many widths of the bounds the look of each image lies outside, (batch,)."""
        look = _look(images, values)
        low, high = self.look_bounds
        outside = torch.maximum(low - look, look - high).clamp(min=0)
        return (outside / (high - low)).sum(1)

    def _fit_seen(self, train: Images, generator: Generator) -> None:
        features, texture = [], []
        surfaces = []
        for chunk in _chunks(train):
            seen = standardise(chunk).values
            if "features" in self.parts:
                for view in (seen, seen.flip(-1)):  # the network was trained on flipped crops too
                    features.append(some_vectors(self.network.features(_padded(view)), generator))
            strengths = self.filters(_padded(seen))
            if "texture" in self.parts:
                texture.append(some_vectors(strengths, generator))
            surfaces.append(_surface(strengths))
        for gaussian, codes in zip(
            (self.whole, self.quarters), zip(*surfaces, strict=True), strict=True
        ):
            gaussian.fit(torch.cat(codes))
        for bank, vectors in ((self.features, features), (self.texture, texture)):
            if vectors:
                bank.fit(torch.cat(vectors))

    def _fit_weights(self, normals: Chunks, scores: Tensor, generator: Generator) -> None:
        draws = Draws(generator, scores.device)
        found = []
        rounds = range(1 + _FEWEST_SYNTHETIC // len(scores))
        for chunk in (chunk for _ in rounds for chunk in normals()):
            spoilt = add_one_defect(draws, chunk, chunk, self.families)
            is_seen = spoilt.target.sum((1, 2, 3)) >= _FEWEST_PIXELS
            found.append(self._scores_of(spoilt.images)[is_seen])
        defective = torch.cat(found)
        if len(defective) == 0:
            return
        advantage = ((2 * separations(scores, defective) - 1) / _ENOUGH).clamp(_LEAST_WEIGHT, 1.0)
        # Made defects are small: they do not say what a surface as a whole is worth.
        trusted = torch.tensor([part in SURFACE_PARTS for part in self.parts])
        advantage = torch.where(trusted, 1.0, advantage)
        self.weight = advantage / advantage.sum()

    def _fit_looks(self, seen: Tensor) -> None:
        low, high = seen.amin(0), seen.amax(0)
        margin = (_MARGIN * (high - low)).clamp(min=_NARROWEST)
        self.look_bounds = torch.stack([low - margin, high + margin])


def _surface(strengths: Tensor) -> _Surface:
    rows, columns = strengths.shape[-2:]
    upper, lower = strengths[:, :, : (rows + 1) // 2], strengths[:, :, rows // 2 :]
    quarters = [
        half[..., side]
        for half in (upper, lower)
        for side in (slice((columns + 1) // 2), slice(columns // 2, None))
    ]
    return _Surface(
        strengths.mean((2, 3)), torch.cat([one.mean((2, 3)) for one in quarters], dim=1)
    )


def _chunks(images: Images) -> Iterator[Tensor]:
    return iter(images.split(max(1, min(_CHUNK, _CHUNK_PIXELS // max(1, n_pixels(images))))))


def _look(images: Tensor, values: Tensor) -> Tensor:
    """Mean, and logarithms of the spread, of fine detail and of what is coarse, (batch, 4).

    Detail and coarseness are those of the standardised `values`: noise has much of the one and
    little of the other.
    """
    spread = images.var((1, 2, 3), correction=0).sqrt().clamp(min=1e-4)
    fine, coarse = (
        _strength(part).log() for part in (values - smooth(values, _FINE), smooth(values, _COARSE))
    )
    return torch.stack([images.mean((1, 2, 3)), spread.log(), fine, coarse], dim=1)


def _strength(values: Tensor) -> Tensor:
    return values.square().mean((1, 2, 3)).sqrt().clamp(min=1e-2)


def _padded(images: Tensor) -> Tensor:
    """The edge repeated below and to the right, up to multiples of the network's stride."""
    height, width = images.shape[-2:]
    return F.pad(images, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
