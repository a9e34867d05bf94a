"""Batches of prepared images, in memory or in a file: shuffled and augmented by the batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from residua.training.loop.processes import share_of
from residua.training.recipes.base import LabelledBatch, is_labelled
from residua.training.scoring.image_list import ImageList, Images
from residua.training.scoring.prepared_store import UnitImages, to_unit

__all__ = [
    "LabelledBatches",
    "LabelledImages",
    "MemoryBatches",
    "TrainingData",
    "all_to_unit",
    "make_batches",
    "seeded",
    "to_unit",
]


class MemoryBatches:
    """Iterate over prepared images as float32 batches in [0, 1].

    Images are (n, channels, height, width), uint8 or float32.

    Images of several sizes are mirrored out to the largest of their batch.

    The order of an epoch is a permutation of all images, wherever they lie, and follows from the
    seed and the epoch's number alone, so that a resumed run sees what an uninterrupted one would
    have seen. A last batch of a single image is dropped (batch norm cannot use it).
    """

    def __init__(
        self, images: Images, *, batch_size: int, seed: int, shuffle: bool, limit: int | None = None
    ) -> None:
        self.images, self.batch_size, self.seed, self.shuffle = images, batch_size, seed, shuffle
        self.epoch = 0
        self.rank, self.world = 0, 1
        n_batches, rest = divmod(len(images), batch_size)
        self.n_batches = n_batches + (rest > 1 or n_batches == 0)
        if limit is not None:
            self.n_batches = min(self.n_batches, limit)

    def __len__(self) -> int:
        return self.n_batches

    def order(self) -> Tensor:
        """The rows as this epoch takes them."""
        if not self.shuffle:
            return torch.arange(len(self.images))
        return torch.randperm(len(self.images), generator=seeded(self.seed, self.epoch))

    def __iter__(self) -> Iterator[Tensor]:
        for rows in self._plain():
            yield self._take(share_of(rows, self.rank, self.world))

    def _plain(self) -> Iterator[Tensor]:
        order = self.order()
        return (
            order[at * self.batch_size : (at + 1) * self.batch_size] for at in range(self.n_batches)
        )

    def _take(self, rows: Tensor) -> Tensor:
        chosen = self.images[rows]
        return to_unit(chosen.stacked() if isinstance(chosen, ImageList) else chosen)


class LabelledImages(NamedTuple):
    """Prepared images with their targets, one row per image; see `LabelledBatch`."""

    images: Any
    targets: Tensor

    @property
    def shape(self) -> Any:
        """Of the images."""
        return self.images.shape

    def __len__(self) -> int:
        """How many images, not how many parts of the tuple."""
        return len(self.images)


class LabelledBatches(MemoryBatches):
    """Iterate over labelled and unlabelled images as `LabelledBatch`.

    Images are float32 in [0, 1].

    Where fewer than half of the images have a label, half of each batch has one: those are drawn
    again and again, in a new order each time, while the unlabelled ones pass once an epoch.
    """

    def __init__(
        self,
        data: LabelledImages,
        *,
        batch_size: int,
        seed: int,
        shuffle: bool,
        limit: int | None = None,
    ) -> None:
        super().__init__(data.images, batch_size=batch_size, seed=seed, shuffle=shuffle)
        self.targets = data.targets
        known = is_labelled(data.targets)
        self.known, self.unknown = known.nonzero()[:, 0], (~known).nonzero()[:, 0]
        self.is_mixed = shuffle and batch_size > 1 and 0 < len(self.known) < len(self.unknown)
        if self.is_mixed:
            self.n_batches = max(1, len(self.unknown) // (batch_size - batch_size // 2))
        if limit is not None:
            self.n_batches = min(self.n_batches, limit)

    def __iter__(self) -> Iterator[Any]:
        for rows in self._mixed() if self.is_mixed else self._plain():
            yield LabelledBatch(self._take(rows), self.targets[rows])

    def _mixed(self) -> Iterator[Tensor]:
        generator = seeded(self.seed, self.epoch)
        n_known = self.batch_size // 2
        n_unknown = self.batch_size - n_known
        unknown = self.unknown[torch.randperm(len(self.unknown), generator=generator)]
        rounds = -(-self.n_batches * n_known // len(self.known))
        known = torch.cat(
            [
                self.known[torch.randperm(len(self.known), generator=generator)]
                for _ in range(rounds)
            ]
        )
        for at in range(self.n_batches):
            yield torch.cat(
                [
                    known[at * n_known : (at + 1) * n_known],
                    unknown[at * n_unknown : (at + 1) * n_unknown],
                ]
            )


TrainingData = Images | LabelledImages


def make_batches(
    data: TrainingData, *, batch_size: int, seed: int, shuffle: bool, limit: int | None = None
) -> MemoryBatches:
    """Batches of images, or of images with targets."""
    if isinstance(data, LabelledImages):
        return LabelledBatches(data, batch_size=batch_size, seed=seed, shuffle=shuffle, limit=limit)
    return MemoryBatches(data, batch_size=batch_size, seed=seed, shuffle=shuffle, limit=limit)


def all_to_unit(images: Images) -> Images:
    """The same images, given out as float32 in [0, 1] piece by piece.

    Four times the bytes, so never all at once.
    """
    return UnitImages(images) if isinstance(images, Tensor) else images.as_unit()


def seeded(*numbers: int) -> Generator:
    """A generator that follows from `numbers` alone (a seed, a step, ...)."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return torch.Generator().manual_seed(mixed)
