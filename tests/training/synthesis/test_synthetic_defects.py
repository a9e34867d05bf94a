"""Synthetic defects: they change what they mark, mark what can be seen, and follow from the
generator alone."""

from __future__ import annotations

import pytest
import torch

from residua.training.synthesis import FAMILIES, Draws, add_defects, add_one_defect
from residua.training.synthesis.defects import moved, seamless
from residua.training.synthesis.masks import regions, specks, strokes, value_noise

SIZE = (64, 80)
CPU = torch.device("cpu")


def draws(seed: int = 0) -> Draws:
    return Draws(torch.Generator().manual_seed(seed), CPU)


def faint_texture(n: int, channels: int = 1, size: tuple[int, int] = SIZE) -> torch.Tensor:
    return 0.1 * torch.randn(n, channels, *size, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_changes_what_it_marks_far_more_than_the_rest(family, channels):
    images = faint_texture(24, channels) + torch.linspace(-2, 2, SIZE[1])
    spoilt = add_one_defect(draws(), images, images, (family,))
    change = (spoilt.images - images).abs().mean(1, keepdim=True)
    judged = spoilt.ignored == 0
    assert spoilt.target.mean((1, 2, 3)).gt(0).float().mean() > 0.5
    assert change[spoilt.target == 1].mean() > 8 * change[(spoilt.target == 0) & judged].mean()


def test_half_of_the_strokes_are_no_stronger_than_the_grain_of_the_image_makes_visible():
    shading = torch.linspace(-1.7, 1.7, SIZE[1]).expand(200, 1, *SIZE)
    images = shading + faint_texture(200)
    spoilt = add_one_defect(draws(), images, images, ("stroke",))
    change = (spoilt.images - images).abs().amax((1, 2, 3))
    assert 0.3 < (change < 0.5).float().mean() < 0.7
    assert (change > 1).float().mean() > 0.2
    marked = spoilt.target.sum((1, 2, 3)) > 0
    assert marked[change < 0.5].float().mean() > 0.5


@pytest.mark.parametrize("family", FAMILIES)
def test_marks_are_zero_or_one_and_no_pixel_is_both_marked_and_ignored(family):
    spoilt = add_defects(draws(), faint_texture(12), 1.0, (family,))
    assert set(spoilt.target.unique().tolist()) <= {0.0, 1.0}
    assert set(spoilt.ignored.unique().tolist()) <= {0.0, 1.0}
    assert (spoilt.target * spoilt.ignored).sum() == 0


def test_no_share_spoils_nothing_and_all_of_them_spoils_every_image():
    images = faint_texture(20)
    untouched = add_defects(draws(), images, 0.0, tuple(FAMILIES))
    assert torch.equal(untouched.images, images)
    assert untouched.target.sum() == untouched.ignored.sum() == 0
    spoilt = add_defects(draws(), images, 1.0, tuple(FAMILIES))
    assert (spoilt.images != images).flatten(1).any(1).all()


def test_the_share_of_spoilt_images_is_the_one_asked_for():
    images = faint_texture(400, size=(16, 16))
    spoilt = add_defects(draws(), images, 0.7, ("tone", "dots"))
    assert (spoilt.images != images).flatten(1).any(1).float().mean() == pytest.approx(
        0.7, abs=0.08
    )


def test_defects_follow_from_the_generator_alone():
    images = faint_texture(6)
    made = []
    for seed, elsewhere in ((1, 0), (1, 9), (2, 0)):
        torch.manual_seed(elsewhere)
        made.append(add_defects(draws(seed), images, 1.0, tuple(FAMILIES)).images)
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_the_images_that_went_in_stay_as_they_were():
    images = faint_texture(6)
    before = images.clone()
    add_defects(draws(), images, 1.0, tuple(FAMILIES))
    assert torch.equal(images, before)


@pytest.mark.parametrize("make", [regions, strokes, specks])
def test_masks_lie_between_zero_and_one_and_leave_the_larger_part_alone(make):
    masks = make(draws(), 40, SIZE)
    assert masks.shape == (40, 1, *SIZE)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert masks.mean((1, 2, 3)).max() < 0.56


def test_strokes_and_specks_are_smaller_than_regions():
    large, thin, small = (make(draws(), 60, SIZE).mean() for make in (regions, strokes, specks))
    assert thin < large / 2
    assert small < large / 2


def test_seamless_pieces_take_the_level_of_what_surrounds_them():
    images = faint_texture(5)
    mask = torch.zeros(5, 1, *SIZE)
    mask[:, :, 20:40, 30:60] = 1
    blended = seamless(images + 3, images, mask)
    assert torch.allclose(blended, images, atol=1e-4)


def test_a_moved_piece_holds_the_pixels_of_one_image_of_the_pool():
    pool = torch.arange(3.0).view(3, 1, 1, 1) + torch.rand(3, 1, 16, 16)
    pieces = moved(draws(), pool[:1].repeat(8, 1, 1, 1), pool)
    for piece in pieces:
        assert any(
            torch.equal(piece.flatten().sort().values, one.flatten().sort().values) for one in pool
        )


def test_value_noise_has_unit_spread_and_is_coarser_with_fewer_cells():
    coarse, fine = (
        value_noise(draws(), 20, 1, (64, 64), cells=cells, octaves=1) for cells in (4, 24)
    )
    for noise in (coarse, fine):
        assert noise.std() == pytest.approx(1, abs=0.2)
    assert coarse.diff(dim=-1).abs().mean() < fine.diff(dim=-1).abs().mean() / 2
