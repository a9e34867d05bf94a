"""Averages of the weights: what they are, that validation sees them, that a resumed run has the
same ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from residua.training.loop.lightning_parts import averaging
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import TrainingPlan, train_network
from residua.training.networks import ImageShape
from residua.training.recipes.plain import Plain
from training_wing import blobs

PLAN = TrainingPlan(epochs=3, steps_per_epoch=5, bfloat16=False)
SETTINGS = TrainingSettings(batch_size=8, epochs=3, device="cpu")
DECAY = 0.9


class Averaged(Plain):
    schedule = dataclasses.replace(Plain.schedule, average=DECAY, keep="last")


class StoppedError(Exception):
    pass


def images(n, seed):
    return torch.from_numpy(blobs(n, (8, 8), seed=seed)).permute(0, 3, 1, 2).contiguous()


def train(recipe, **options):
    torch.manual_seed(0)
    network = recipe.build_network(ImageShape(8, 8, 1))
    return network, train_network(
        recipe, network, images(40, 0), images(8, 1), SETTINGS, PLAN, **options
    )


def weights(network):
    return torch.cat([value.float().flatten() for value in network.state_dict().values()])


@pytest.fixture(scope="module")
def whole():
    return train(Averaged(latent=2))


def test_what_is_kept_is_the_average_of_what_plain_training_went_through(whole):
    seen = []

    class Watched(Averaged):
        def loss(self, network, images, generator):
            if network.training:
                seen.append(
                    torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
                )
            return super().loss(network, images, generator)

    network, _ = train(Watched(latent=2))
    assert torch.equal(weights(network), weights(whole[0]))
    expected = seen[1]  # the weights after the first step; averaging begins with them
    for n, current in enumerate(seen[2:], start=1):
        expected = expected.lerp(current, 1 - min(DECAY, (1 + n) / (10 + n)))
    kept = torch.cat([parameter.detach().flatten() for parameter in network.parameters()])
    last_step = (kept - expected) / (
        1 - min(DECAY, 15 / 24)
    ) + expected  # its weights were never shown to the loss
    assert torch.allclose(last_step, seen[-1], atol=0.02)
    assert not torch.allclose(kept, seen[-1], atol=1e-4)


def test_validation_judges_the_averages(whole):
    network, trained = whole
    with torch.inference_mode():
        unit = images(8, 1).float() / 255
        loss = float((network.eval()(unit) - unit).square().mean())
    assert loss == pytest.approx(trained.history["validation_loss"][-1], rel=1e-4)


def test_averaging_does_not_disturb_the_training_it_averages(whole):
    class Last(Plain):
        schedule = dataclasses.replace(Plain.schedule, keep="last")

    network, trained = train(Last(latent=2))
    assert np.array_equal(trained.history["train_loss"], whole[1].history["train_loss"])
    assert not torch.equal(weights(network), weights(whole[0]))


@pytest.mark.parametrize("stop_at", [7, 12])
def test_a_stopped_run_resumes_to_the_very_averages_of_the_uninterrupted_one(
    stop_at, whole, tmp_path
):
    def interrupt(step, *_):
        if step == stop_at:
            raise StoppedError

    checkpoint = tmp_path / "training.ckpt"
    with pytest.raises(StoppedError):
        train(Averaged(latent=2), checkpoint=checkpoint, checkpoint_seconds=0, on_step=interrupt)
    torch.load(checkpoint, weights_only=True)
    network, trained = train(
        Averaged(latent=2), checkpoint=checkpoint, checkpoint_seconds=0, resume=True
    )
    assert torch.equal(weights(network), weights(whole[0]))
    assert np.array_equal(trained.history["validation_loss"], whole[1].history["validation_loss"])


def test_counts_are_taken_over_and_not_averaged():
    average = averaging(0.5)._kwargs["avg_fn"]
    assert average(torch.tensor(3), torch.tensor(8), 5).item() == 8
    assert average(torch.tensor(0.0), torch.tensor(1.0), 1000).item() == 0.5
    assert average(torch.tensor(0.0), torch.tensor(1.0), 1).item() == pytest.approx(1 - 2 / 11)
