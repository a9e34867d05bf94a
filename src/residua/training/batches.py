"""Batches from memory: small data sets stay whole, as uint8, and are shuffled and augmented by the batch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Generator, Tensor


class MemoryBatches:
    """Iterate over prepared images, (n, channels, height, width) uint8 or float32, as float32 batches in [0, 1].

    The order of an epoch follows from the seed and the epoch's number alone, so that a resumed run sees what an
    uninterrupted one would have seen. A last batch of a single image is dropped (batch norm cannot use it).
    """

    def __init__(self, images: Tensor, *, batch_size: int, seed: int, shuffle: bool, limit: int | None = None) -> None:
        self.images, self.batch_size, self.seed, self.shuffle = images, batch_size, seed, shuffle
        self.epoch = 0
        n_batches, rest = divmod(len(images), batch_size)
        self.n_batches = n_batches + (rest > 1 or n_batches == 0)
        if limit is not None:
            self.n_batches = min(self.n_batches, limit)

    def __len__(self) -> int:
        return self.n_batches

    def __iter__(self) -> Iterator[Tensor]:
        order = torch.arange(len(self.images))
        if self.shuffle:
            order = torch.randperm(len(self.images), generator=seeded(self.seed, self.epoch))
        for start in range(0, self.n_batches * self.batch_size, self.batch_size):
            yield to_unit(self.images[order[start : start + self.batch_size]])


def to_unit(images: Tensor) -> Tensor:
    """uint8 to float32 in [0, 1], channels last in memory; float images pass."""
    values = images.float() / 255 if images.dtype == torch.uint8 else images
    return values.contiguous(memory_format=torch.channels_last)


def seeded(*numbers: int) -> Generator:
    """A generator that follows from `numbers` alone (a seed, a step, ...)."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return torch.Generator().manual_seed(mixed)
