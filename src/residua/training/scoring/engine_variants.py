"""Other engines of the same weights in PyTorch: products in bfloat16, and a GPU."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.engines import Scores
from residua.errors import InputError
from residua.training.scoring.engine import GraphEngine
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.scorer import ScorerAround, ScorerOutput

_GPU_BATCH = 16


class ReducedPrecisionEngine(GraphEngine):
    """Convolutions and products of network and score in bfloat16, all else in float32.

    Batches of the same fixed size.

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
        lowered = InferenceGraph(graph.prepare, _ReducedPrecisionScorer(graph.scorer)).eval()
        lowered.threshold.fill_(float(graph.threshold) if threshold is None else threshold)
        super().__init__(lowered, channels, batch_size)


class _ReducedPrecisionScorer(ScorerAround):
    """A scorer under autocast, whose results are float32 again."""

    def forward(self, images: Tensor) -> ScorerOutput:
        """Score prepared images."""
        with torch.autocast(images.device.type, dtype=torch.bfloat16):
            output = self.inner(images)
        return ScorerOutput(
            output.score.float(),
            output.error_map.float(),
            output.reconstruction.float(),
            None if output.probabilities is None else output.probabilities.float(),
        )


class GpuEngine(GraphEngine):
    """A copy of the graph on the first GPU that PyTorch sees, in fixed batches of 16 at least.

    Convolutions keep float32 whole: TF32, which PyTorch would take for them, has ten bits. With
    `threshold` images are decided by that instead of the graph's own. Raises InputError if PyTorch
    sees no GPU.
    """

    name = "torch-gpu"

    def __init__(
        self,
        graph: InferenceGraph,
        channels: int,
        batch_size: int,
        *,
        threshold: float | None = None,
    ) -> None:
        if not torch.cuda.is_available():
            raise InputError(
                "engine: torch-gpu must have a GPU that PyTorch sees. Got none. Choose torch, or"
                " onnx."
            )
        copied = copy.deepcopy(graph).eval()
        copied.to("cuda", memory_format=torch.channels_last)  # type: ignore[call-overload]
        if threshold is not None:
            copied.threshold.fill_(threshold)
        super().__init__(copied, channels, max(batch_size, _GPU_BATCH))

    def score(
        self,
        images: Sequence[NDArray[Any]],
        *,
        maps: bool = False,
        reconstructions: bool = False,
        columns: bool = True,
    ) -> Scores:
        """Scores of decoded images in padded batches."""
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            return super().score(
                images, maps=maps, reconstructions=reconstructions, columns=columns
            )


VARIANTS: dict[str, Callable[..., GraphEngine]] = {
    variant.name: variant for variant in (ReducedPrecisionEngine, GpuEngine)
}
"""``VARIANTS[name](graph, channels, batch_size, threshold=None)``; named as in
`residua.engines.KINDS`."""
