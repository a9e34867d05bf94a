"""Training: history, best weights, early stop, resuming, what happens when the loss is no
number."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch

from residua.errors import BundleError, TrainingError
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import TrainingPlan, train_network
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.recipes.plain import Plain
from training_wing import blobs

PLAN = TrainingPlan(epochs=4, steps_per_epoch=5, bfloat16=False)
SETTINGS = TrainingSettings(batch_size=8, epochs=4, device="cpu")


def test_lightning_is_loaded_by_training_alone():
    script = (
        "import sys, residua.runs; from residua import OneClassDetector; sys.exit('lightning' in"
        " sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


class StoppedError(Exception):
    pass


def images(n, seed):
    return torch.from_numpy(blobs(n, (8, 8), seed=seed)).permute(0, 3, 1, 2).contiguous()


def train(recipe=None, *, plan=PLAN, settings=SETTINGS, **options):
    recipe = recipe or make_recipe("plain", latent=2)
    torch.manual_seed(0)
    network = recipe.build_network(ImageShape(8, 8, 1))
    trained = train_network(recipe, network, images(40, 0), images(8, 1), settings, plan, **options)
    return network, trained


def weights(network):
    return torch.cat([value.float().flatten() for value in network.state_dict().values()])


def validation_loss(network):
    with torch.inference_mode():
        unit = images(8, 1).float() / 255
        return float((network.eval()(unit) - unit).square().mean())


@pytest.fixture(scope="module")
def whole():
    return train()


def test_history_has_a_row_an_epoch_and_the_loss_falls(whole):
    history = whole[1].history
    assert list(history) == ["epoch", "train_loss", "validation_loss", "seconds"]
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    assert history["train_loss"][-1] < history["train_loss"][0]
    assert (history["seconds"] > 0).all()
    assert whole[1].seconds == pytest.approx(history["seconds"].sum())


def test_the_weights_left_are_those_of_the_best_epoch(whole):
    network, trained = whole
    losses = trained.history["validation_loss"]
    assert trained.best_epoch == 1 + int(np.argmin(losses))
    assert validation_loss(network) == pytest.approx(losses.min(), rel=1e-4)


class Worsening(Plain):
    """Gets worse with every step after the first epoch: the weights are multiplied."""

    def loss(self, network, images, generator):
        if network.training:
            self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
            if self.__dict__["calls"] > 5:
                with torch.no_grad():
                    network.to_image.weight.mul_(1.5)
        return super().loss(network, images, generator)


def test_training_stops_early_and_goes_back_to_the_best_weights():
    plan = dataclasses.replace(PLAN, epochs=30)
    network, trained = train(
        Worsening(latent=2), plan=plan, settings=SETTINGS.model_copy(update={"patience": 3})
    )
    losses = trained.history["validation_loss"]
    assert len(losses) == trained.best_epoch + 3 < 30
    assert validation_loss(network) == pytest.approx(losses.min(), rel=1e-4)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(whole):
    again, other = train()[0], train(settings=SETTINGS.model_copy(update={"seed": 1}))[0]
    assert torch.equal(weights(whole[0]), weights(again))
    assert not torch.equal(weights(whole[0]), weights(other))


@pytest.mark.parametrize("augment", [("flip", "shift", "brightness")])
def test_augmented_training_is_as_reproducible(augment, whole):
    settings = SETTINGS.model_copy(update={"augment": augment})
    first, second = train(settings=settings)[0], train(settings=settings)[0]
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(whole[0]))


@pytest.mark.parametrize("stop_at", [2, 6, 10, 14, 19, 20])
def test_a_stopped_run_resumes_to_the_very_weights_of_the_uninterrupted_one(
    stop_at, whole, tmp_path
):
    def interrupt(step, *_):
        if step == stop_at:
            raise StoppedError

    checkpoint = tmp_path / "training.ckpt"
    with pytest.raises(StoppedError):
        train(checkpoint=checkpoint, checkpoint_seconds=0, on_step=interrupt)
    assert checkpoint.exists() == (stop_at > 5)
    told = []
    network, trained = train(
        checkpoint=checkpoint,
        checkpoint_seconds=0,
        resume=True,
        on_step=lambda step, *_: told.append(step),
    )
    assert torch.equal(weights(network), weights(whole[0]))
    for name in ("epoch", "train_loss", "validation_loss"):
        assert np.array_equal(trained.history[name], whole[1].history[name])
    assert told[0] == 5 * ((stop_at - 1) // 5) + 1
    assert told[-1] == 20


def test_a_run_that_was_stopped_after_its_last_step_resumes_without_training_again(whole, tmp_path):
    checkpoint = tmp_path / "training.ckpt"
    train(checkpoint=checkpoint, checkpoint_seconds=0)
    network, trained = train(
        checkpoint=checkpoint, resume=True, on_step=lambda *_: pytest.fail("trained again")
    )
    assert torch.equal(weights(network), weights(whole[0]))
    assert len(trained.history["epoch"]) == 4


def test_a_run_stopped_after_its_early_stop_does_not_train_on(tmp_path):
    plan, settings = (
        dataclasses.replace(PLAN, epochs=30),
        SETTINGS.model_copy(update={"patience": 3, "learning_rate": 1e-12}),
    )
    checkpoint = tmp_path / "training.ckpt"
    network, trained = train(
        plan=plan, settings=settings, checkpoint=checkpoint, checkpoint_seconds=0
    )
    again, resumed = train(
        plan=plan, settings=settings, checkpoint=checkpoint, checkpoint_seconds=0, resume=True
    )
    assert len(trained.history["epoch"]) < 30
    assert np.array_equal(resumed.history["validation_loss"], trained.history["validation_loss"])
    assert torch.equal(weights(network), weights(again))


def test_checkpoints_hold_tensors_and_primitives_only_and_are_not_written_more_often_than_asked(
    tmp_path,
):
    checkpoint = tmp_path / "training.ckpt"
    train(checkpoint=checkpoint, checkpoint_seconds=1000)
    assert not checkpoint.exists()
    train(checkpoint=checkpoint, checkpoint_seconds=0)
    assert "state_dict" in torch.load(checkpoint, weights_only=True)
    assert [path.name for path in tmp_path.iterdir()] == ["training.ckpt"]


def _truncated(path):
    path.write_bytes(path.read_bytes()[:-2000])


def _empty(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("epoch 3")


def _other_torch_file(path):
    torch.save({"weights": torch.zeros(3)}, path)


def _pickle_that_runs_something(path):
    import os
    import pickle

    class Run:
        def __reduce__(self):
            return os.mkdir, (str(path.with_name("executed")),)

    path.write_bytes(pickle.dumps(Run()))


@pytest.mark.parametrize(
    "damage",
    [_truncated, _empty, _text, _other_torch_file, _pickle_that_runs_something],
    ids=lambda f: f.__name__,
)
def test_a_damaged_checkpoint_is_refused_with_a_sentence_and_nothing_in_it_runs(damage, tmp_path):
    checkpoint = tmp_path / "training.ckpt"
    train(checkpoint=checkpoint, checkpoint_seconds=0)
    damage(checkpoint)
    with pytest.raises(BundleError, match="Delete it to start again"):
        train(checkpoint=checkpoint, resume=True)
    assert not (tmp_path / "executed").exists()


class Diverging(Plain):
    """Its loss is no number from the third step on, or on the validation slice."""

    where: str = "training"

    def loss(self, network, images, generator):
        loss = super().loss(network, images, generator)
        if network.training == (self.where == "training"):
            self.__dict__["calls"] = self.__dict__.get("calls", 0) + 1
            if self.__dict__["calls"] >= (3 if self.where == "training" else 1):
                return loss * float("nan")
        return loss


def test_a_loss_that_is_no_number_stops_training_and_says_at_which_step():
    with pytest.raises(
        TrainingError,
        match=r"loss must stay finite\. Got nan at step 3 of 20\. Lower the learning rate",
    ):
        train(Diverging(latent=2))


def test_a_validation_loss_that_is_no_number_stops_training_too():
    with pytest.raises(
        TrainingError, match=r"validation loss must stay finite\. Got nan after epoch 1"
    ):
        train(Diverging(latent=2, where="validation"))


def test_a_huge_learning_rate_ends_with_a_training_error():
    with pytest.raises(TrainingError, match="learning rate"):
        train(settings=SETTINGS.model_copy(update={"learning_rate": 1e35}))


def test_training_in_bfloat16_learns_and_is_reproducible(whole):
    plan = dataclasses.replace(PLAN, bfloat16=True)
    (first, trained), (second, _) = train(plan=plan), train(plan=plan)
    assert trained.history["train_loss"][-1] < trained.history["train_loss"][0]
    assert torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(whole[0]))
    assert next(first.parameters()).dtype == torch.float32
