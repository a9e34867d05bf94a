"""Batches, augmentations, schedule, settings, the plan."""

from __future__ import annotations

import pytest
import torch

from residua.errors import InputError
from residua.training.loop import train as fitting
from residua.training.loop.augmentation import AUGMENTATIONS, augment, check_names
from residua.training.loop.batches import MemoryBatches, seeded
from residua.training.loop.lightning_parts import one_cycle
from residua.training.loop.settings import TrainingSettings, uses_bfloat16
from residua.training.loop.train import plan_training
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from training_wing import blobs


def images(n, size=(8, 8)):
    return torch.from_numpy(blobs(n, size)).permute(0, 3, 1, 2).contiguous()


def batches(n=10, **options):
    return MemoryBatches(images(n), **{"batch_size": 4, "seed": 0, "shuffle": True, **options})


def test_an_epoch_shows_each_image_once_as_float_between_0_and_1():
    seen = torch.cat(list(batches()))
    assert seen.dtype == torch.float32
    assert sorted(seen.sum((1, 2, 3)).tolist()) == pytest.approx(
        sorted((images(10) / 255).sum((1, 2, 3)).tolist())
    )


def test_the_order_follows_from_seed_and_epoch_alone():
    first, again, other_seed = batches(), batches(), batches(seed=1)
    assert torch.equal(torch.cat(list(first)), torch.cat(list(again)))
    assert not torch.equal(torch.cat(list(first)), torch.cat(list(other_seed)))
    before = torch.cat(list(first))
    first.epoch = 1
    assert not torch.equal(torch.cat(list(first)), before)


@pytest.mark.parametrize(
    ("n", "n_batches"), [(1, 1), (4, 1), (5, 1), (6, 2), (8, 2), (9, 2), (10, 3)]
)
def test_a_last_batch_of_one_image_is_dropped(n, n_batches):
    assert [len(batch) for batch in batches(n)] == [4] * (n_batches - 1) + [
        min(n, 4) if n_batches == 1 else (n - 1) % 4 + 1 if n % 4 != 1 else 4
    ]
    assert len(batches(n)) == n_batches


def test_validation_keeps_the_order_and_a_limit_cuts_the_epoch():
    assert torch.equal(torch.cat(list(batches(shuffle=False))), images(10) / 255)
    assert len(list(batches(limit=2))) == len(batches(limit=2)) == 2


def test_generators_follow_from_their_numbers():
    assert seeded(1, 2).initial_seed() == seeded(1, 2).initial_seed()
    assert len({seeded(a, b).initial_seed() for a in range(20) for b in range(20)}) == 400


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("size", [(8, 8), (17, 31)])
def test_an_augmentation_keeps_shape_and_range_and_follows_its_generator(name, size):
    batch = images(12, size) / 255
    changed, again, other = (AUGMENTATIONS[name](batch, seeded(seed)) for seed in (0, 0, 1))
    assert changed.shape == batch.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert torch.equal(changed, again)
    assert not torch.equal(changed, other)
    assert not torch.equal(changed, batch)


def test_flipping_twice_in_the_same_way_gives_the_images_back():
    batch = images(12) / 255
    assert torch.equal(augment(augment(batch, ["flip"], seeded(0)), ["flip"], seeded(0)), batch)


def test_shifting_moves_by_at_most_a_sixteenth_and_keeps_a_constant_image():
    constant = torch.full((4, 1, 8, 8), 0.3)
    assert torch.equal(AUGMENTATIONS["shift"](constant, seeded(0)), constant)
    point = torch.zeros(40, 1, 32, 32)
    point[:, :, 16, 16] = 1
    rows, columns = torch.nonzero(AUGMENTATIONS["shift"](point, seeded(0)), as_tuple=True)[2:]
    assert (rows - 16).abs().max() == 2
    assert (columns - 16).abs().max() == 2


def test_unknown_augmentations_are_all_named():
    with pytest.raises(InputError, match="'spin', 'zoom'"):
        check_names(["flip", "spin", "zoom"])


def test_the_learning_rate_rises_over_a_tenth_and_falls_to_a_thousandth():
    factor = one_cycle(100)
    values = [factor(step) for step in range(101)]
    assert max(values) == pytest.approx(1)
    assert 9 <= values.index(max(values)) <= 10
    assert values[:10] == sorted(values[:10])
    assert values[10:] == sorted(values[10:], reverse=True)
    assert values[-1] == pytest.approx(0.001)
    assert one_cycle(1)(0) == 1


@pytest.mark.parametrize(
    ("steps", "epochs"), [(1, 200), (15, 200), (30, 100), (3000, 10), (100_000, 10)]
)
def test_epochs_are_chosen_for_about_3000_steps(steps, epochs):
    assert make_recipe("plain").schedule.n_epochs(steps) == epochs


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"minutes": 0},
        {"minutes": -1},
        {"batch_size": 0},
        {"learning_rate": 0},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
        {"patience": 0},
        {"seed": -1},
        {"seed": 2**32},
        {"precision": "fp8"},
        {"epoch": 3},
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        TrainingSettings(**wrong)


def test_settings_survive_json():
    settings = TrainingSettings(epochs=3, augment=("flip",), seed=4)
    assert TrainingSettings.model_validate_json(settings.model_dump_json()) == settings


def test_precision_is_as_asked_and_small_images_stay_in_float32():
    assert uses_bfloat16("bf16", 64, on_gpu=False)
    assert not uses_bfloat16("fp32", 10**6, on_gpu=False)
    assert not uses_bfloat16("auto", 8 * 8, on_gpu=False)


def plan(**options):
    recipe = make_recipe("plain", latent=2)
    return plan_training(
        recipe,
        recipe.build_network(ImageShape(8, 8, 1)),
        images(40),
        TrainingSettings(batch_size=8, **options),
    )


def test_epochs_are_planned_as_asked():
    assert (plan(epochs=3).epochs, plan(epochs=3).steps_per_epoch, plan(epochs=3).n_steps) == (
        3,
        5,
        15,
    )


def test_minutes_become_steps_once_by_the_time_of_a_step(monkeypatch):
    monkeypatch.setattr(fitting, "_time_steps", lambda *_, **__: 0.5)
    assert plan(minutes=1).n_steps == 110  # 114 steps fit into 95% of a minute: 22 epochs of 5
    short = plan(minutes=0.02)
    assert (short.epochs, short.steps_per_epoch) == (1, 2)


def test_timing_steps_changes_neither_the_network_nor_what_is_drawn_next(monkeypatch):
    monkeypatch.setattr(fitting, "_WARM_UP_SECONDS", 0.0)
    recipe = make_recipe("plain", latent=2)
    network = recipe.build_network(ImageShape(8, 8, 1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    made = plan_training(recipe, network, images(40), TrainingSettings(batch_size=8, minutes=0.05))
    assert made.n_steps >= 1
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_epochs_and_minutes_together_are_refused():
    with pytest.raises(InputError, match="exclude each other"):
        plan(epochs=1, minutes=1)
