"""The score of a trained network and that of a memory, as one."""

from __future__ import annotations

import torch
from torch import Tensor

from residua.training.networks.filters import PlainFilters
from residua.training.scoring.image_list import Images, chunks_of
from residua.training.scoring.memory_score import MemoryScorer
from residua.training.scoring.places import centre_and_spread, tamed
from residua.training.scoring.scorer import Scorer, ScorerAround, ScorerOutput, View, add_buffers

_CHUNK = 8
_MOST_HELD_OUT = 2000
_TINY = 1e-6


class SummedScorer(ScorerAround):
    """The sum of what `inner` and a `memory` say, each in units of what it says of normal images.

    Scores are taken less the median of held-out normals, in units of their median absolute
    deviation, and count by their logarithm far out, so that neither decides alone. Maps are summed
    in units of their spread over these images. Codes and reconstructions are those of `inner`.
    """

    score_centre: Tensor
    score_spread: Tensor
    map_spread: Tensor

    def __init__(self, inner: Scorer, memory: MemoryScorer) -> None:
        super().__init__(inner)
        self.memory = memory
        add_buffers(
            self,
            score_centre=torch.zeros(2),
            score_spread=torch.ones(2),
            map_spread=torch.ones(2),
        )

    @property
    def without_memory(self) -> Scorer:
        """What was trained: a memory of its training images holds the worst of them."""
        return self.inner

    @property
    def decided(self) -> str:
        """What the memory decided."""
        return self.memory.decided

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images."""
        return self._sum(self.inner(images), self.memory(images))

    def view(self, images: Tensor) -> View:
        """Scores, and the maps of the memory's backbone; of the trained network, beside filters."""
        trained, looked_up = self.inner.view(images), self.memory.view(images)
        is_plain = isinstance(self.memory.network.backbone, PlainFilters)
        features = (trained if is_plain else looked_up).features
        return View(self._sum(trained.output, looked_up.output), features)

    def _sum(self, trained: ScorerOutput, looked_up: ScorerOutput) -> ScorerOutput:
        scores = torch.stack([trained.score, looked_up.score], dim=1)
        return trained._replace(
            score=tamed((scores - self.score_centre) / self.score_spread).sum(1),
            error_map=trained.error_map / self.map_spread[0]
            + looked_up.error_map / self.map_spread[1],
        )

    def fit(self, train: Images, held_out: Images) -> None:
        """Both from training images, their units from held-out ones."""
        self.inner.fit(train, held_out)  # type: ignore[arg-type]
        self.memory.fit(train, held_out)
        scores, spreads = [], []
        for chunk in chunks_of(held_out, _CHUNK, most=_MOST_HELD_OUT):
            outputs = self.inner(chunk), self.memory(chunk)
            scores.append(torch.stack([one.score for one in outputs], dim=1))
            spreads.append(torch.stack([one.error_map.var((1, 2)) for one in outputs], dim=1))
        self.score_centre, self.score_spread = centre_and_spread(torch.cat(scores))
        self.map_spread = torch.cat(spreads).mean(0).clamp(min=_TINY**2).sqrt()
