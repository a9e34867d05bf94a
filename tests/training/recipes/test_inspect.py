"""`inspect`: its losses, the task it sets, and that it finds and shows a defect of a kind it never
saw."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from residua import OneClassDetector
from residua.errors import InputError
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.recipes.inspect import focal_loss, overlap_loss, restoration_loss
from training_wing import blobs

ONES = torch.ones(1, 1, 16, 16)


def stripes(n: int, seed: int = 0, side: int = 64) -> np.ndarray:
    """uint8 images of stripes of one pitch at any phase, with grain."""
    rng = np.random.default_rng([seed, n])
    phase, grain = rng.uniform(0, 2 * np.pi, (n, 1, 1)), rng.normal(0, 6, (n, side, side))
    return np.clip(
        128 + 60 * np.sin(np.arange(side)[None, None] * 2 * np.pi / 8 + phase) + grain, 0, 255
    ).astype(np.uint8)


def scratched(images: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A cross of bright and dark lines somewhere in each image, and where it is."""
    rng, spoilt, masks = np.random.default_rng(seed), images.copy(), np.zeros(images.shape, bool)
    for image, mask in zip(spoilt, masks, strict=True):
        y, x = rng.integers(12, images.shape[1] - 12, 2)
        image[y : y + 3, x - 8 : x + 8], image[y - 8 : y + 8, x : x + 3] = 255, 0
        mask[y : y + 3, x - 8 : x + 8] = mask[y - 8 : y + 8, x : x + 3] = True
    return spoilt, masks


@pytest.fixture(scope="module")
def trained() -> OneClassDetector:
    recipe = make_recipe("inspect", width=6)
    return OneClassDetector(recipe, epochs=14, batch_size=8, seed=0, precision="fp32").fit(
        stripes(72), calibration=stripes(20, 9)
    )


def target_of(area: int) -> torch.Tensor:
    target = torch.zeros(1, 1, 16, 16)
    target[..., :area, :area] = 1
    return target


def test_it_finds_a_defect_of_a_kind_it_never_saw(trained):
    normal, broken = stripes(30, 1), scratched(stripes(30, 2))[0]
    assert np.median(trained.anomaly_scores(broken)) > np.max(trained.anomaly_scores(normal))


def test_the_map_is_highest_at_the_defect(trained):
    images, masks = scratched(stripes(20, 3))
    maps = np.stack(trained.error_maps(images))
    nearby = [
        mask[max(0, y - 5) : y + 6, max(0, x - 5) : x + 6].any()
        for mask, (y, x) in zip(masks, peaks(maps), strict=True)
    ]
    assert np.mean(nearby) > 0.8


def peaks(maps: np.ndarray) -> list[tuple[int, int]]:
    return [np.unravel_index(one.argmax(), one.shape) for one in maps]


def test_dimming_does_not_hide_a_defect(trained):
    broken = scratched(stripes(20, 4))[0]
    assert (
        trained.anomaly_scores((broken * 0.6).astype(np.uint8))
        > np.median(trained.anomaly_scores(stripes(20, 5)))
    ).all()


def test_a_restoration_comes_closer_to_the_clean_image_than_the_spoilt_one_was(trained):
    clean = stripes(12, 6)
    spoilt, masks = scratched(clean)
    with torch.inference_mode():
        restored = (
            trained.bundle_.graph(torch.from_numpy(spoilt[..., None])).reconstruction[:, 0].numpy()
        )
    before, after = (
        np.abs(values - clean / 255)[masks].mean() for values in (spoilt / 255, restored)
    )
    assert after < before


def test_images_under_64_pixels_are_refused_before_training():
    with pytest.raises(InputError, match=r"at least 64 px.*28x28"):
        OneClassDetector("inspect", epochs=1).fit(blobs(20, (28, 28)))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_task_is_made_of_crops_a_multiple_of_16_wide_and_follows_from_the_generator(channels):
    recipe, images = make_recipe("inspect"), torch.rand(6, channels, 90, 200)
    tasks = [recipe.make_task(images, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    assert tasks[0].clean.shape == (6, channels, 80, 80)
    assert tasks[0].spoilt.target.shape == tasks[0].kept.shape == (6, 1, 80, 80)
    assert set(tasks[0].kept.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(tasks[0].spoilt.images, tasks[1].spoilt.images)
    assert not torch.equal(tasks[0].spoilt.images, tasks[2].spoilt.images)


def test_the_task_is_the_same_in_bfloat16():
    recipe, images = make_recipe("inspect"), torch.rand(4, 1, 64, 64)
    plain = recipe.make_task(images, torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = recipe.make_task(images, torch.Generator().manual_seed(0))
    assert torch.equal(plain.spoilt.images, mixed.spoilt.images)


def test_without_defects_nothing_is_spoilt_or_marked():
    task = make_recipe("inspect", defects=0).make_task(
        torch.rand(4, 1, 64, 64), torch.Generator().manual_seed(0)
    )
    assert torch.equal(task.spoilt.images, task.clean)
    assert task.spoilt.target.sum() == 0


def test_each_weight_counts_its_own_loss():
    torch.manual_seed(0)
    images, losses = torch.rand(4, 1, 64, 64), {}
    network = make_recipe("inspect", width=2).build_network(ImageShape(64, 64, 1)).eval()
    for name in ("restoration", "segmentation", "overlap"):
        weights = {
            other: float(other == name) for other in ("restoration", "segmentation", "overlap")
        }
        losses[name] = make_recipe("inspect", width=2, **weights).loss(
            network, images, torch.Generator().manual_seed(0)
        )
    total = make_recipe("inspect", width=2, restoration=2, segmentation=3, overlap=4)
    expected = 2 * losses["restoration"] + 3 * losses["segmentation"] + 4 * losses["overlap"]
    assert torch.allclose(total.loss(network, images, torch.Generator().manual_seed(0)), expected)


def test_restoration_loss_is_zero_for_a_perfect_restoration_and_counts_values_and_slopes():
    clean = torch.rand(2, 1, 16, 16)
    assert restoration_loss(clean, clean) == 0
    assert restoration_loss(clean + 0.5, clean).item() == pytest.approx(0.5, abs=1e-5)
    ramp = torch.arange(16.0).expand(2, 1, 16, 16)
    assert restoration_loss(clean + ramp, clean).item() == pytest.approx(7.5 + 1, abs=1e-4)


def test_focal_loss_falls_as_marks_get_right_and_leaves_out_what_is_not_judged():
    target = target_of(4)
    right, unsure, wrong = (
        focal_loss(sign * (2 * target - 1), target, ONES) for sign in (8, 0, -8)
    )
    assert right < 1e-3 < unsure < wrong
    assert focal_loss(-8 * (2 * target - 1), target, torch.zeros_like(ONES)) == 0


def test_a_missed_pixel_of_a_small_defect_costs_more_than_one_of_a_large_defect():
    def missed(side: int) -> float:
        logits = torch.full((1, 1, 16, 16), -8.0)
        return focal_loss(logits, target_of(side), ONES).item() / side**2

    assert missed(2) > 3 * missed(8)


def test_overlap_loss_is_zero_for_perfect_marks_near_one_for_none_and_zero_without_a_defect():
    target = target_of(8)
    assert overlap_loss(20 * (2 * target - 1), target, ONES).item() == pytest.approx(0, abs=1e-3)
    assert overlap_loss(torch.full_like(target, -20.0), target, ONES).item() > 0.9
    assert overlap_loss(torch.zeros_like(target), torch.zeros_like(target), ONES) == 0


def test_images_cannot_be_made_from_codes_alone():
    recipe = make_recipe("inspect", width=4)
    scorer = recipe.build_scorer(recipe.build_network(ImageShape(64, 64, 1)))
    with pytest.raises(InputError, match="from codes alone"):
        scorer.decode(torch.zeros(1, 24))


@pytest.mark.parametrize("parts", [("whole", "quarters"), ("texture", "texture"), ()])
def test_parts_that_say_nowhere_or_twice_are_refused(parts):
    with pytest.raises(
        InputError, match="at least one of segmentation, similarity, features, texture"
    ):
        make_recipe("inspect", parts=parts)
