"""Scores over the four quarter turns of an image.

Which turn it was, restoration error, and density of pooled feature maps.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.networks import JointNetwork
from residua.training.networks.filters import N_ORIENTATIONS, orientation_histograms
from residua.training.networks.residual import pooling
from residua.training.scoring import error_maps
from residua.training.scoring.complexity import ExpectedError, complexity
from residua.training.scoring.density import centre_and_whitening
from residua.training.scoring.image_list import Images, chunks_of, every
from residua.training.scoring.scorer import Scorer, ScorerOutput, add_buffers, in_float32
from residua.training.scoring.separation import separations
from residua.training.synthesis import Draws, make_anomalies

HeadlessPart = Literal[
    "mahalanobis", "mahalanobis_max", "neighbours", "restoration", "structure", "gradients"
]
"""Parts that need no head that names the turn."""
Part = HeadlessPart | Literal["turns"]

HEADLESS_PARTS: tuple[HeadlessPart, ...] = get_args(HeadlessPart)
PARTS: tuple[Part, ...] = (*HEADLESS_PARTS, "turns")

N_TURNS = 4
_MOST_CODES = 2000
_NEIGHBOURS = 2
_CHUNK = 250
_CELLS = 7
_LEAST = 1e-6
_MOST_MADE = 200  # held-out images that anomalies are made of
_LEAST_WEIGHT = 0.02


class _Codes(NamedTuple):
    """Mean- and max-pooled maps (turns, batch, d), of the last stage and of all.

    Quarters (batch, turns * 4d); restorations.

    ``errors`` is (batch, 2): logarithms of squared error and structural dissimilarity, means over
    turns and pixels. ``gradients`` are unit vectors, (batch, 8 * cells). ``surprise`` (batch,) is
    the cross-entropy of the head that names the turn.
    """

    mean: Tensor
    most: Tensor
    quarters: Tensor
    errors: Tensor
    gradients: Tensor
    surprise: Tensor
    complexity: Tensor


class RotationScorer(Scorer):
    """A weighted sum of the named parts, each standardised on held-out normals.

    ``mahalanobis``, ``mahalanobis_max``: Mahalanobis distance (Ledoit-Wolf covariance, one for each
    turn) of the last stage's mean-pooled and of all stages' max-pooled feature maps, averaged over
    the turns. ``neighbours``: cosine distance of the last stage's maps pooled by quarters, all
    turns side by side, to the two nearest of at most 2,000 training images. ``restoration``,
    ``structure``: logarithm of the mean squared error, and of the structural dissimilarity, of the
    upright image restored from each turn (from its grey copy where there is colour), less what
    held-out normals lead one to expect at that contrast and detail; see
    `residua.training.scoring.complexity`. ``gradients``: as ``neighbours``, of histograms of the
    image's own gradients. ``turns``: cross-entropy of the head that names the turn, mean over the
    turns (Golan and El-Yaniv, 2018).

    A part weighs as much as it separates anomalies that are made of held-out normals from these:
    twice its mean ROC AUC over the kinds that `residua.training.synthesis.make_anomalies` makes,
    less 1. No real anomaly and no label is needed.
    """

    mean_centre: Tensor
    mean_whitening: Tensor
    most_centre: Tensor
    most_whitening: Tensor
    bank: Tensor
    gradient_bank: Tensor
    gradient_pooling: Tensor
    centre: Tensor
    spread: Tensor
    weight: Tensor

    def __init__(self, network: JointNetwork, parts: tuple[Part, ...]) -> None:
        super().__init__()
        self.network, self.parts = network, parts
        d, shape = network.base.n_maps, network.shape
        for name, width in (("mean", d), ("most", network.base.n_stage_maps)):
            self.register_buffer(f"{name}_centre", torch.zeros(N_TURNS, 1, width))
            self.register_buffer(f"{name}_whitening", torch.eye(width).repeat(N_TURNS, 1, 1))
        self.register_buffer(
            "bank", torch.zeros(1, N_TURNS * d * network.base.quarter_pooling.shape[1])
        )
        cells = pooling(shape.height, shape.width, min(_CELLS, shape.height, shape.width))
        self.register_buffer("gradient_pooling", cells, persistent=False)
        self.expected = ExpectedError(2)
        add_buffers(
            self,
            gradient_bank=torch.zeros(1, N_ORIENTATIONS * cells.shape[1]),
            centre=torch.zeros(len(parts)),
            spread=torch.ones(len(parts)),
            weight=torch.full((len(parts),), 1 / len(parts)),
        )

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images by the weighted sum of the standardised parts."""
        codes, restored = self._codes(images)
        return ScorerOutput((self._standardised(codes) * self.weight).sum(1), *restored)

    def parts_of(self, images: Tensor) -> Tensor:
        """The parts of the weighted score, (batch, n_parts), standardised on held-out normals."""
        return self._standardised(self._codes(images)[0])

    def fit(self, train: Tensor, held_out: Tensor) -> None:
        """Covariances and neighbours of training images, scales and weights of held-out ones."""
        fitted = self._all_codes(train)
        for name, codes in (("mean", fitted.mean), ("most", fitted.most)):
            pairs = [centre_and_whitening(one) for one in codes]
            setattr(self, f"{name}_centre", torch.stack([centre for centre, _ in pairs])[:, None])
            setattr(self, f"{name}_whitening", torch.stack([whitening for _, whitening in pairs]))
        stride = -(-len(fitted.quarters) // _MOST_CODES)
        self.bank, self.gradient_bank = (
            fitted.quarters[::stride].clone(),
            fitted.gradients[::stride].clone(),
        )
        held = self._all_codes(held_out)
        self.expected.fit(held.complexity, held.errors)
        parts = torch.cat(
            [
                self._parts(_rows(held, rows))
                for rows in torch.arange(len(held.errors)).split(_CHUNK)
            ]
        )
        self.centre = parts.mean(0)
        self.spread = parts.std(0, correction=0).clamp(min=1e-12)
        self._fit_weights(
            every(held_out, -(-len(held_out) // _MOST_MADE)), (parts - self.centre) / self.spread
        )

    def _fit_weights(self, held_out: Images, normal: Tensor) -> None:
        # The same anomalies for every model.
        draws = Draws(torch.Generator().manual_seed(0), normal.device)
        found: dict[str, list[Tensor]] = {}
        for chunk in chunks_of(held_out, _CHUNK):
            if len(chunk) > 1:  # an anomaly is mixed with another image
                for kind, made in make_anomalies(draws, chunk).items():
                    found.setdefault(kind, []).append(self.parts_of(made))
        if found:
            apart = torch.stack(
                [separations(normal, torch.cat(made)) for made in found.values()]
            ).mean(0)
            weight = (2 * apart - 1).clamp(min=_LEAST_WEIGHT)
            self.weight = weight / weight.sum()

    def _all_codes(self, images: Tensor) -> _Codes:
        chunks = [self._codes(chunk)[0] for chunk in chunks_of(images, _CHUNK)]
        return _Codes(
            *(
                torch.cat(parts, 1 if parts[0].ndim == 3 else 0)
                for parts in zip(*chunks, strict=True)
            )
        )

    def _codes(self, images: Tensor) -> tuple[_Codes, tuple[Tensor, Tensor]]:
        """What the parts are made of: the error map over the turns, the upright restoration."""
        base = self.network.base
        means, maxima, quarters, surprises, maps, dissimilarities, restorations = (
            [],
            [],
            [],
            [],
            [],
            [],
            [],
        )
        for turn in range(N_TURNS):
            view = quarter_turn(images, turn)
            stages = base.stages(view)
            features = stages[-1]
            means.append(features.mean((2, 3)))
            maxima.append(torch.cat([stage.flatten(2).amax(2) for stage in stages], 1))
            quarters.append(base.quarter_features(features))
            surprises.append(-self.network.classifier(means[-1]).float().log_softmax(1)[:, turn])
            if images.shape[1] > 1:
                features = base.maps(view.mean(1, keepdim=True).expand_as(view))
            restorations.append(base.decode(base.to_code(base.grid_features(features))).clamp(0, 1))
            maps.append(error_maps.squared(images, restorations[-1]))
            dissimilarities.append(error_maps.dissimilarity(images, restorations[-1]).mean((1, 2)))
        error_map = torch.stack(maps).mean(0)
        codes = _Codes(
            mean=torch.stack(means),
            most=torch.stack(maxima),
            quarters=F.normalize(torch.cat(quarters, 1), dim=1),
            errors=(
                torch.stack([error_map.mean((1, 2)), torch.stack(dissimilarities).mean(0)], 1)
                + _LEAST
            ).log(),
            gradients=F.normalize(orientation_histograms(images, self.gradient_pooling), dim=1),
            surprise=torch.stack(surprises).mean(0),
            complexity=complexity(images),
        )
        return codes, (error_map, restorations[0])

    def _standardised(self, codes: _Codes) -> Tensor:
        return (self._parts(codes) - self.centre) / self.spread

    def _parts(self, codes: _Codes) -> Tensor:
        restoration, structure = (codes.errors - self.expected(codes.complexity)).unbind(1)
        made = {
            "mahalanobis": lambda: _mahalanobis(codes.mean, self.mean_centre, self.mean_whitening),
            "mahalanobis_max": lambda: _mahalanobis(
                codes.most, self.most_centre, self.most_whitening
            ),
            "neighbours": lambda: _neighbours(codes.quarters, self.bank),
            "restoration": lambda: restoration,
            "structure": lambda: structure,
            "gradients": lambda: _neighbours(codes.gradients, self.gradient_bank),
            "turns": lambda: codes.surprise,
        }
        return torch.stack([made[part]() for part in self.parts], dim=1)


@in_float32
def _neighbours(codes: Tensor, bank: Tensor) -> Tensor:
    """Distance of unit vectors to their two nearest in `bank`, by mean cosine similarity."""
    nearest = (codes @ bank.T).topk(min(_NEIGHBOURS, len(bank)), dim=1).values.mean(1)
    return (2 - 2 * nearest).clamp(min=0).sqrt()


def _rows(codes: _Codes, rows: Tensor) -> _Codes:
    return _Codes(*(part[:, rows] if part.ndim == 3 else part[rows] for part in codes))


def quarter_turn(images: Tensor, turn: int) -> Tensor:
    """Turn by `turn` x 90 degrees counter-clockwise, stretched back to height and width."""
    if turn == 0:
        return images
    turned = (
        images.transpose(2, 3).flip(2),
        images.flip(2).flip(3),
        images.flip(2).transpose(2, 3),
    )[turn - 1]
    if images.shape[2] != images.shape[3]:
        turned = F.interpolate(turned, size=images.shape[2:], mode="bilinear", align_corners=False)
    return turned


@in_float32
def _mahalanobis(codes: Tensor, centre: Tensor, whitening: Tensor) -> Tensor:
    return torch.einsum("tnd,ted->tne", codes - centre, whitening).square().sum(2).sqrt().mean(0)
