"""The reference graph with its products in bfloat16: fast where the processor has instructions for
it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from residua.training.scoring.engine import GraphEngine
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.scorer import Scorer, ScorerOutput


class LoweredEngine(GraphEngine):
    """Convolutions and products of network and score in bfloat16, all else in float32; batches of
    the same fixed size.

    With `threshold` images are decided by that instead of the graph's own.
    """

    name = "torch-bf16"

    def __init__(
        self,
        graph: InferenceGraph,
        channels: int,
        batch_size: int,
        *,
        threshold: float | None = None,
    ) -> None:
        lowered = InferenceGraph(graph.prepare, _Lowered(graph.scorer)).eval()
        lowered.threshold.fill_(float(graph.threshold) if threshold is None else threshold)
        super().__init__(lowered, channels, batch_size)


class _Lowered(Scorer):
    """A scorer under autocast, whose results are float32 again."""

    def __init__(self, inner: Scorer) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images."""
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            output = self.inner(images)
        classes = None if output.probabilities is None else output.probabilities.float()
        return ScorerOutput(
            output.score.float(), output.error_map.float(), output.reconstruction.float(), classes
        )
