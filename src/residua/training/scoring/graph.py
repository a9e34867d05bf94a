"""The one inference path.

Decoded image to score, error map, threshold and decision, in one module.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from residua.training.scoring import error_maps
from residua.training.scoring.image_list import Images
from residua.training.scoring.prepare import Prepare
from residua.training.scoring.scorer import Scorer


class GraphOutput(NamedTuple):
    """What the graph says of a batch of images.

    score : float32 (batch,), higher = more anomalous
    error_map : float32 (batch, height, width), at the resolution of the images that went in
    anomalous : bool (batch,), ``score > threshold``
    reconstruction : float32 (batch, channels, *size) in [0, 1], at the resolution the network sees
    mse, mae, ssim : float32 (batch,), of the reconstruction against the prepared image
    probabilities : float32 (batch, n_classes) of a classifier, None of everything else
    """

    score: Tensor
    error_map: Tensor
    anomalous: Tensor
    reconstruction: Tensor
    mse: Tensor
    mae: Tensor
    ssim: Tensor
    probabilities: Tensor | None = None


class InferenceGraph(nn.Module):
    """Preprocessing, network, error, aggregation and threshold.

    `evaluate`, `score`, exports and servers all run this.

    Input: uint8, or float32 in [0, 1], (batch, height, width, channels), any size.
    """

    threshold: Tensor

    def __init__(self, prepare: Prepare, scorer: Scorer) -> None:
        super().__init__()
        self.prepare, self.scorer = prepare, scorer
        self.register_buffer("threshold", torch.tensor(float("inf")))

    def fit_score(self, train: Images, held_out: Images) -> None:
        """Let the scorer learn its statistics; see `Scorer.fit`.

        What it learnt is laid out in memory as loading would: a transposed whitening matrix
        multiplies with other last digits.
        """
        self.scorer.fit(train, held_out)  # type: ignore[arg-type]  # lists come to the scorers of recipes that take any size
        lay_out(self.scorer)

    def forward(self, images: Tensor) -> GraphOutput:
        """Score images that share one size."""
        scored = self.score_prepared(self.prepare(images))
        return scored._replace(
            error_map=self.prepare.restore(scored.error_map, images.shape[1], images.shape[2])
        )

    def score_prepared(self, prepared: Tensor) -> GraphOutput:
        """Score what `prepare` made; the error map stays at the network's resolution."""
        prepared = prepared.contiguous(memory_format=torch.channels_last)
        score, error_map, reconstruction, probabilities = self.scorer(prepared)
        return GraphOutput(
            score=score,
            error_map=error_map,
            anomalous=score > self.threshold,
            reconstruction=reconstruction,
            mse=error_maps.squared(prepared, reconstruction).mean((1, 2)),
            mae=error_maps.absolute(prepared, reconstruction).mean((1, 2)),
            ssim=error_maps.ssim(prepared, reconstruction),
            probabilities=probabilities,
        )


def lay_out(scorer: Scorer) -> None:
    """Lay out in memory what a scorer has learnt, as loading would."""
    for module in scorer.modules():
        for name, buffer in module.named_buffers(recurse=False):
            layout = torch.channels_last if buffer.ndim == 4 else torch.contiguous_format
            setattr(module, name, buffer.contiguous(memory_format=layout))
