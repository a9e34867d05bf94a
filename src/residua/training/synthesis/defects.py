"""Synthetic defects of six families, and where in the image they can be seen.

Families range from pasted pieces, hard or without a seam, to cracks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.synthesis.draws import Draws
from residua.training.synthesis.masks import regions, specks, stretched_noise, strokes, value_noise
from residua.training.synthesis.smoothing import resized, smooth

_OWN = 0.35  # share of the pieces that come from the image itself


def moved(draws: Draws, images: Tensor, pool: Tensor) -> Tensor:
    """For each image another of `pool` or itself, flipped, turned if square, and rolled."""
    n, _, height, width = images.shape
    chosen = torch.stack([pool[draws.number(len(pool))] for _ in range(n)])
    sources = torch.where(draws.chance(n, _OWN), images, chosen)
    return torch.stack([_one_moved(draws, source, height, width) for source in sources])


def seamless(pieces: Tensor, images: Tensor, mask: Tensor) -> Tensor:
    """`pieces` shifted smoothly so that they meet `images` along the rim of `mask`.

    Poisson blending, solved by pull and push.

    The difference along the rim is averaged down a pyramid and interpolated back up (Gortler et
    al., 1996), which costs a few small operations a batch where a solver would take one system an
    image.
    """
    rim = (F.max_pool2d(mask, 5, 1, 2) - mask).clamp(min=0)
    return pieces + _filled(images - pieces, rim)


def _one_moved(draws: Draws, image: Tensor, height: int, width: int) -> Tensor:
    if draws.number(2):
        image = image.flip(-1)
    if draws.number(2):
        image = image.flip(-2)
    if height == width and draws.number(3) == 0:
        image = image.transpose(-1, -2)
    return torch.roll(image, (draws.number(height), draws.number(width)), (-2, -1))


def _filled(values: Tensor, known: Tensor) -> Tensor:
    """`values` where `known` > 0, and a smooth interpolation of them elsewhere."""
    levels = [(values * known, known)]
    while min(levels[-1][0].shape[-2:]) > 2:
        levels.append(tuple(F.avg_pool2d(level, 2, ceil_mode=True) for level in levels[-1]))  # type: ignore[arg-type]
    weighted, weight = levels[-1]
    filled = weighted.mean((2, 3), keepdim=True) / weight.mean((2, 3), keepdim=True).clamp(min=1e-6)
    for weighted, weight in reversed(levels):
        filled = resized(filled, weighted.shape[-2], weighted.shape[-1])
        trust = (4 * weight).clamp(max=1.0)
        filled = torch.where(
            weight > 1e-6, trust * weighted / weight.clamp(min=1e-6) + (1 - trust) * filled, filled
        )
    return filled


Family = Literal["paste", "texture", "tone", "local", "stroke", "dots"]

_LIMIT = 4.5
_MOST = 3  # defects an image
_GRAIN, _LEAST_GRAIN = 2.0, 0.02  # detail below so many pixels; spreads of the image


class CorruptedBatch(NamedTuple):
    """Images with defects.

    ``target`` is 1 where a defect can be seen, ``ignored`` 1 where one is too faint to judge.

    Both are (n, 1, height, width), 0 elsewhere.
    """

    images: Tensor
    target: Tensor
    ignored: Tensor


class _Change(NamedTuple):
    images: Tensor
    mask: Tensor


def add_defects(
    draws: Draws, images: Tensor, share: float, families: tuple[Family, ...]
) -> CorruptedBatch:
    """One to three defects on a `share` of images: half get a second, a quarter a third."""
    n = len(images)
    spoilt, target = images.clone(), torch.zeros_like(images[:, :1])
    ignored = torch.zeros_like(target)
    is_hit = draws.chance(n, share).flatten()
    for nth in range(_MOST):
        rows = (is_hit & draws.chance(n, 2.0**-nth).flatten()).nonzero()[:, 0]
        if len(rows):
            one = add_one_defect(draws, spoilt[rows], images, families)
            spoilt[rows] = one.images
            target[rows] = torch.maximum(target[rows], one.target)
            ignored[rows] = torch.maximum(ignored[rows], one.ignored)
    return CorruptedBatch(spoilt, target, ignored * (1 - target))


def add_one_defect(
    draws: Draws, images: Tensor, pool: Tensor, families: tuple[Family, ...]
) -> CorruptedBatch:
    """Put one defect on every image; pasted pieces come from `pool`, images of the same size."""
    spoilt, mask = images.clone(), torch.zeros_like(images[:, :1])
    family = draws.choice(len(images), [1.0] * len(families))
    for number, name in enumerate(families):
        rows = (family == number).nonzero()[:, 0]
        if len(rows):
            clean = images[rows]
            change = FAMILIES[name](draws, clean, pool)
            opacity = torch.where(
                draws.chance(len(rows), 0.5), 1.0, draws.uniform(len(rows), 0.4, 1.0)
            )
            spoilt[rows] = clean + opacity * change.mask * (change.images - clean)
            mask[rows] = change.mask
    spoilt = spoilt.clamp(-_LIMIT, _LIMIT)
    target = ((mask > 0.35) & _can_be_seen(images, spoilt)).to(images)
    return CorruptedBatch(spoilt, target, ((mask > 0.1) & (target < 0.5)).to(images))


def _can_be_seen(clean: Tensor, spoilt: Tensor) -> Tensor:
    """Where the change exceeds the clean texture: the unseen must not be asked for."""
    change = (spoilt - clean).abs().amax(1, keepdim=True)
    texture = smooth((clean - smooth(clean, _GRAIN)).abs().mean(1, keepdim=True), 4.0)
    return smooth((change > 0.05 + 0.8 * texture).to(clean), 1.0) > 0.2


def _paste(draws: Draws, images: Tensor, pool: Tensor) -> _Change:
    """A piece of another image or of the same one, with or without a hard edge.

    Hard after Li et al. (2021), without after Schlüter et al. (2022).
    """
    mask = regions(draws, len(images), _size(images))
    pieces = moved(draws, images, pool)
    return _Change(
        torch.where(draws.chance(len(images), 0.5), seamless(pieces, images, mask), pieces), mask
    )


def _texture(draws: Draws, images: Tensor, pool: Tensor) -> _Change:
    """Noise of any fineness, over the image or instead of it (Zavrtanik et al., 2021)."""
    n, channels = images.shape[:2]
    cells, stretch = float(draws.log_uniform(1, 6, 60)), float(draws.log_uniform(1, 0.3, 3))
    noise = stretched_noise(draws, n, 1, _size(images), cells=cells, octaves=3, stretch=stretch)
    if channels > 1:
        noise = noise + 0.5 * value_noise(draws, n, channels, _size(images), cells=8, octaves=2)
    noise = (
        noise * draws.log_uniform(n, 0.2, 1.2) + draws.uniform(n, -2, 2) + _tint(draws, images, 0.3)
    )
    return _Change(
        torch.where(draws.chance(n, 0.4), images + 0.7 * noise, noise),
        regions(draws, n, _size(images)),
    )


def _tone(draws: Draws, images: Tensor, pool: Tensor) -> _Change:
    """A hole or a stain: darker or brighter, flat, shifted or clouded."""
    n = len(images)
    mask, shift = regions(draws, n, _size(images)), _shift(draws, images)
    clouds = images + 0.4 * shift * (
        1 + 0.5 * value_noise(draws, n, 1, _size(images), cells=12, octaves=2)
    )
    return _Change(
        torch.where(draws.chance(n, 0.3), clouds, _shifted(draws, images, mask, shift)), mask
    )


def _stroke(draws: Draws, images: Tensor, pool: Tensor) -> _Change:
    mask = strokes(draws, len(images), _size(images))
    return _Change(_shifted(draws, images, mask, _shift(draws, images)), mask)


def _dots(draws: Draws, images: Tensor, pool: Tensor) -> _Change:
    mask = specks(draws, len(images), _size(images))
    return _Change(_shifted(draws, images, mask, _shift(draws, images)), mask)


def _local(draws: Draws, images: Tensor, pool: Tensor) -> _Change:
    """The same place, but blurred, flatter, rougher, brighter, darker, or its grain turned."""
    n, size = len(images), _size(images)
    coarse = smooth(images, 3.0)
    grain = images - coarse
    gain = torch.where(draws.chance(n, 0.5), draws.uniform(n, 0, 0.5), draws.uniform(n, 1.8, 3.5))
    changed = coarse + gain * grain + draws.uniform(n, -0.5, 0.5) * draws.chance(n, 0.5)
    turned = grain.transpose(-1, -2).flip(-1) if size[0] == size[1] else grain.flip(-1)
    return _Change(
        torch.where(draws.chance(n, 0.25), coarse + turned, changed), regions(draws, n, size)
    )


def _shift(draws: Draws, images: Tensor) -> Tensor:
    """How much darker or brighter, (n, channels, 1, 1).

    Half in spreads of the image, half in units of its own grain.

    Where the image's spread is one of uneven light, its grain is a tenth of it, and so is many a
    real crack.
    """
    n, channels = images.shape[:2]
    bold, faint = draws.log_uniform(n, 0.5, 3.5), draws.log_uniform(n, 1.5, 8.0)
    grain = (images - smooth(images, _GRAIN)).abs().mean((1, 2, 3), keepdim=True)
    amplitude = torch.where(
        draws.chance(n, 0.5), bold, faint * (grain + _LEAST_GRAIN)
    ) * draws.sign(n)
    return amplitude.expand(n, channels, 1, 1) + _tint(draws, images, 0.7) * amplitude.abs().clamp(
        max=1
    )


def _shifted(draws: Draws, images: Tensor, mask: Tensor, shift: Tensor) -> Tensor:
    """Shifted with its texture, or flat at the shifted mean of what lies under the mask."""
    mean = (images * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp(
        min=1e-3
    )
    flat = mean + shift + 0.1 * draws.normal(*images.shape)
    return torch.where(draws.chance(len(images), 0.5), images + shift, flat)


def _tint(draws: Draws, images: Tensor, strength: float) -> Tensor:
    """A random colour, (n, channels, 1, 1); 0 where there is no colour."""
    n, channels = images.shape[:2]
    return (
        strength * draws.normal(n, channels, 1, 1) if channels > 1 else images.new_zeros(n, 1, 1, 1)
    )


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[-2], images.shape[-1]


FAMILIES: dict[Family, Callable[[Draws, Tensor, Tensor], _Change]] = {
    "paste": _paste,
    "texture": _texture,
    "tone": _tone,
    "local": _local,
    "stroke": _stroke,
    "dots": _dots,
}
