"""The part of the graph that names classes.

Prepared images to probabilities, beside the reconstruction where there is one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from residua.training.scoring import error_maps
from residua.training.scoring.scorer import Scorer, ScorerOutput


class ClassifierScorer(Scorer):
    """Probabilities of the classes; score = how unsure they are.

    Error map = squared error of the reconstruction.

    Probabilities are the softmax of the logits over `temperature`, of one logit the sigmoid as
    P(second class) with the first class beside it, of ``multilabel`` the sigmoid each. The score is
    1 minus the largest probability (multi-label: the mean distance of a label's probability from 0
    or 1), so higher = more anomalous here too. A network without a decoder has no reconstruction:
    it, the map and the errors are NaN. ``mirrored`` logits are means over the image and its mirror
    image, which costs a second pass through the encoder; code and reconstruction stay those of the
    image itself.
    """

    temperature: Tensor

    def __init__(self, network: nn.Module, *, multilabel: bool, mirrored: bool = False) -> None:
        super().__init__()
        self.network, self.multilabel, self.mirrored = network, multilabel, mirrored
        self.register_buffer("temperature", torch.ones(()))

    @property
    def reconstructs(self) -> bool:
        """Whether the network has a decoder."""
        return bool(self.network.reconstructs)

    def forward(self, images: Tensor) -> ScorerOutput:
        """Classify prepared images, and reconstruct them where the network can."""
        logits, reconstructions = self.network.heads(images)  # type: ignore[operator]
        probabilities = self.probabilities(self._with_mirrored(logits, images))
        if reconstructions is None:
            reconstructions = torch.full_like(images, float("nan"))
        reconstructions = reconstructions.clamp(0, 1)
        return ScorerOutput(
            self._unsure(probabilities),
            error_maps.squared(images, reconstructions),
            reconstructions,
            probabilities,
        )

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (batch, n_logits) to probabilities (batch, n_classes)."""
        calm = logits.float() / self.temperature
        if self.multilabel:
            return calm.sigmoid()
        if calm.shape[1] == 1:
            return torch.cat([(-calm).sigmoid(), calm.sigmoid()], dim=1)
        return calm.softmax(dim=1)

    def logits(self, images: Tensor) -> Tensor:
        """Logits of prepared images, (batch, n_logits)."""
        return self._with_mirrored(self._own_logits(images), images)

    def _own_logits(self, images: Tensor) -> Tensor:
        return self.network.classify(self.encode(images))  # type: ignore[operator,no-any-return]

    def _with_mirrored(self, logits: Tensor, images: Tensor) -> Tensor:
        return (logits + self._own_logits(images.flip(-1))) / 2 if self.mirrored else logits

    def _unsure(self, probabilities: Tensor) -> Tensor:
        if self.multilabel:
            return torch.minimum(probabilities, 1 - probabilities).mean(1)
        return 1 - probabilities.amax(1)
