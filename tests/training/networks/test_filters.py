"""Filters for which nothing is learnt: what they answer to, and where."""

from __future__ import annotations

import math

import pytest
import torch

from residua.training.networks.filters import PlainFilters, Texture

DIRECTIONS = 6


def waves(angle: float, wavelength: float, side: int = 64) -> torch.Tensor:
    axis = torch.arange(side, dtype=torch.float32)
    along = math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None]
    return torch.sin(2 * math.pi * along / wavelength)[None, None]


def seen(images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Mean over the inner cells of what one channel's filters say, by level and kind."""
    answers = Texture(1)(images)[0, :, 2:-2, 2:-2].mean((1, 2))
    names = ["mean"]
    for level in (2, 4, 8):
        kinds = ("mean", "most") if level < 8 else ("mean",)
        names += [
            f"{kind} {level} {direction}" for kind in kinds for direction in range(DIRECTIONS)
        ]
        names += [f"bright {level}", f"dark {level}"]
    assert len(names) == len(answers) == Texture(1).n_features
    return dict(zip(names, answers, strict=True))


@pytest.mark.parametrize("direction", range(DIRECTIONS))
def test_a_wave_is_answered_most_by_the_filters_of_its_own_direction_and_size(direction):
    answers = seen(waves(math.pi * direction / DIRECTIONS, 16.0))
    assert max(range(DIRECTIONS), key=lambda other: answers[f"mean 4 {other}"]) == direction
    assert answers[f"mean 4 {direction}"] > answers[f"mean 2 {direction}"]


def test_brightness_alone_is_answered_by_the_mean_of_a_cell_only():
    dark, bright = Texture(1)(torch.zeros(1, 1, 64, 64)), Texture(1)(torch.ones(1, 1, 64, 64))
    assert torch.allclose(bright[:, 0] - dark[:, 0], torch.ones(1, 8, 8))
    assert torch.allclose(bright[:, 1:], dark[:, 1:], atol=1e-3)


def test_a_dark_spot_is_dark_and_stays_where_it_is():
    image = torch.zeros(1, 1, 64, 64)
    image[..., 28:31, 36:39] = -3
    answers = Texture(1)(image)[0]
    index = 1 + 2 * DIRECTIONS
    bright, dark = answers[index], answers[index + 1]
    assert (int(dark.argmax()) // 8, int(dark.argmax()) % 8) == (3, 4)
    assert dark[3, 4] > bright[3, 4] + 0.5


def test_channels_are_told_apart_and_sizes_need_not_be_square():
    grey, colour = torch.randn(2, 1, 64, 80), torch.randn(2, 3, 64, 80)
    assert Texture(1)(grey).shape == (2, Texture(1).n_features, 8, 10)
    answers = Texture(3)(colour)
    assert answers.shape == (2, 3 * Texture(1).n_features, 8, 10)
    assert torch.allclose(answers[:, : Texture(1).n_features], Texture(1)(colour[:, :1]), atol=1e-5)


def test_as_a_backbone_they_see_colour_and_any_size():
    grey = torch.rand(1, 1, 30, 41).expand(-1, 3, -1, -1)
    red = grey * torch.tensor([1.0, 0.5, 0.5]).view(1, 3, 1, 1)
    backbone = PlainFilters()
    assert backbone(grey).shape == (1, Texture(1).n_features + 2, 4, 6)
    assert backbone(grey)[:, -2:].abs().max() < 1e-6 < backbone(red)[:, -2:].abs().min()
