"""Augmentations by the batch.

Each image of a batch changes in its own way, drawn from a seeded generator.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from residua.errors import InputError
from residua.training.loop.own_augmentations import Augmentation, find


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror half of the images left to right."""
    mirrored = (torch.rand(len(images), generator=generator) < 0.5).to(images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(-1), images)


def shift(images: Tensor, generator: Generator) -> Tensor:
    """Move each image by up to a sixteenth of its side (at least one pixel), repeating the edge."""
    return _moved(images, max(1, min(images.shape[-2:]) // 16), generator)


def crop(images: Tensor, generator: Generator) -> Tensor:
    """Move each image by up to a tenth of its side (at least one pixel), repeating the edge."""
    return _moved(images, max(1, min(images.shape[-2:]) // 10), generator)


def brightness(images: Tensor, generator: Generator) -> Tensor:
    """Multiply each image by a factor between 0.8 and 1.2, clipped to [0, 1]."""
    factors = 0.8 + 0.4 * torch.rand(len(images), 1, 1, 1, generator=generator)
    return (images * factors.to(images)).clamp(0, 1)


AUGMENTATIONS: dict[str, Augmentation] = {
    "flip": flip,
    "shift": shift,
    "crop": crop,
    "brightness": brightness,
}


def augment(images: Tensor, names: Sequence[str], generator: Generator) -> Tensor:
    """Apply the named augmentations in order."""
    for name in names:
        images = (find(name) or AUGMENTATIONS[name])(images, generator)
    return images


def check_names(names: Sequence[str]) -> None:
    """Refuse augmentations that do not exist."""
    unknown = [name for name in names if find(name) is None and name not in AUGMENTATIONS]
    if unknown:
        raise InputError(
            f"augment: each name must be one of {', '.join(AUGMENTATIONS)}. Got"
            f" {', '.join(map(repr, unknown))}. Correct --augment."
        )


def _moved(images: Tensor, reach: int, generator: Generator) -> Tensor:
    padded = F.pad(images, (reach,) * 4, mode="replicate")
    offsets = torch.randint(0, 2 * reach + 1, (len(images), 2), generator=generator)
    rows = offsets[:, :1] + torch.arange(images.shape[-2])
    columns = offsets[:, 1:] + torch.arange(images.shape[-1])
    index = torch.arange(len(images))[:, None, None]
    return padded.permute(0, 2, 3, 1)[index, rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )
