"""Other ways to run the same weights in PyTorch, by the name of their engine."""

from __future__ import annotations

from collections.abc import Callable

from residua.training.scoring.engine import GraphEngine
from residua.training.scoring.on_gpu import GpuEngine
from residua.training.scoring.reduced_precision import LoweredEngine

VARIANTS: dict[str, Callable[..., GraphEngine]] = {
    variant.name: variant for variant in (LoweredEngine, GpuEngine)
}
"""``VARIANTS[name](graph, channels, batch_size, threshold=None)``; named as in
`residua.engines.KINDS`."""
