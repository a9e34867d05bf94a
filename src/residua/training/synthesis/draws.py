"""Random numbers for a batch, one an image, shaped to multiply images with."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor


class Draws:
    """Draws from `generator`, which lives on the processor, as tensors on `device`.

    One number an image comes as (n, 1, 1, 1). A processor's generator gives the same defects on
    every device.
    """

    def __init__(self, generator: Generator, device: torch.device) -> None:
        self.generator, self.device = generator, device

    def uniform(self, n: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Evenly between `low` and `high`, (n, 1, 1, 1)."""
        return self._moved(torch.rand(n, 1, 1, 1, generator=self.generator)) * (high - low) + low

    def log_uniform(self, n: int, low: float, high: float) -> Tensor:
        """Evenly in the logarithm between `low` and `high`, (n, 1, 1, 1)."""
        return torch.exp(self.uniform(n, math.log(low), math.log(high)))

    def chance(self, n: int, p: float) -> Tensor:
        """True with probability `p`, (n, 1, 1, 1)."""
        return self.uniform(n) < p

    def sign(self, n: int) -> Tensor:
        """-1 or 1, (n, 1, 1, 1)."""
        return torch.where(self.chance(n, 0.5), 1.0, -1.0)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal numbers of `shape`."""
        return self._moved(torch.randn(shape, generator=self.generator))

    def choice(self, n: int, weights: list[float]) -> Tensor:
        """Numbers of categories drawn by `weights`, (n,)."""
        return self._moved(
            torch.multinomial(torch.tensor(weights), n, replacement=True, generator=self.generator)
        )

    def number(self, below: int) -> int:
        """A whole number from 0 to `below` - 1."""
        return int(torch.randint(below, (), generator=self.generator))

    def _moved(self, drawn: Tensor) -> Tensor:
        return drawn.to(self.device)
