"""The reference graph on a GPU: the same float32 arithmetic, added up in another order."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray

from residua.engines import Scores
from residua.errors import InputError
from residua.training.scoring.engine import GraphEngine
from residua.training.scoring.graph import InferenceGraph


class GpuEngine(GraphEngine):
    """A copy of the graph on the first GPU that PyTorch sees, in batches of the same fixed size.

    Convolutions keep float32 whole: TF32, which PyTorch would take for them, has ten bits. With
    `threshold` images are decided by that instead of the graph's own.

    Raises
    ------
    InputError
        If PyTorch sees no GPU.
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
        super().__init__(copied, channels, batch_size)

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
