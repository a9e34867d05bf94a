"""Where training and scoring run: what is named, what is there, what is told.

No GPU is at hand here: what PyTorch sees is made up, and what a device cannot do is forbidden.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten
from typer.testing import CliRunner

from residua import OneClassDetector
from residua.cli import app
from residua.errors import InputError
from residua.runs.engines import engine_on
from residua.training.loop import train as loop
from residua.training.loop.devices import devices_there, find_device
from residua.training.loop.processes import check_spread
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import TrainingPlan
from residua.training.networks import ImageShape
from residua.training.recipes import RECIPES, make_recipe
from training_wing import blobs


@pytest.fixture
def machine(monkeypatch):
    """``machine(gpus=2, mps=True)``: what PyTorch sees."""

    def seen(gpus: int = 0, *, mps: bool = False) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return seen


@pytest.mark.parametrize(
    ("gpus", "mps", "asked", "found"),
    [
        (0, False, "auto", "cpu"),
        (0, False, "cpu", "cpu"),
        (2, False, "auto", "cuda:0"),
        (2, False, "cuda:1", "cuda:1"),
        (1, False, "cuda", "cuda"),
        (1, False, "cpu", "cpu"),
        (0, True, "auto", "cpu"),  # never untested by itself
        (0, True, "mps", "mps"),
    ],
)
def test_the_device_is_what_was_named_or_the_first_gpu(machine, gpus, mps, asked, found):
    machine(gpus, mps=mps)
    assert find_device(asked) == torch.device(found)


@pytest.mark.parametrize(
    ("gpus", "asked", "there"),
    [(0, "cuda", "cpu"), (2, "cuda:2", "cpu, cuda:0, cuda:1"), (0, "mps", "cpu")],
)
def test_a_device_that_is_not_there_is_refused_with_those_that_are(machine, gpus, asked, there):
    machine(gpus)
    with pytest.raises(InputError, match=rf"sees here: {there}\. Got {asked}\."):
        find_device(asked)
    with pytest.raises(InputError, match=rf"sees here: {there}\. Got {asked}\."):
        OneClassDetector("pca", device=asked).fit(blobs(12, (8, 8)))


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "cuda:", "", "CPU"])
def test_a_name_of_no_device_is_refused(name):
    with pytest.raises(InputError, match=r"fit: device: .*Got"):
        TrainingSettings(device=name)


def test_runs_of_earlier_versions_are_read():
    assert TrainingSettings(accelerator="gpu").device == "cuda"
    assert TrainingSettings.model_validate({"accelerator": "cpu"}).device == "cpu"


@pytest.mark.parametrize(
    ("gpus", "device", "asked"),
    [(2, "cuda:1", ("cuda", [1])), (1, "auto", ("cuda", [0])), (0, "auto", ("cpu", 1))],
)
def test_the_loop_trains_on_that_device_alone(machine, monkeypatch, gpus, device, asked):
    import lightning

    machine(gpus)
    given = {}
    monkeypatch.setattr(lightning, "Trainer", lambda **options: given.update(options))
    loop._trainer(TrainingSettings(device=device), TrainingPlan(1, 1, bfloat16=False), [])
    assert (given["accelerator"], given["devices"]) == asked


def test_several_devices_are_not_one():
    with pytest.raises(InputError, match="--device cuda:1, which is one"):
        check_spread(TrainingSettings(device="cuda:1", devices=2))


def test_the_record_says_what_was_asked_and_what_trained():
    made = OneClassDetector("plain", device="cpu", epochs=1, latent=2).fit(blobs(16, (8, 8)))
    training = made.bundle_.config.training
    assert (training.settings["device"], training.device) == ("cpu", "cpu")
    computed = OneClassDetector("pca", device="cpu").fit(blobs(16, (8, 8)))
    assert any("--device is not used" in note for note in computed.notes_)


def test_steps_are_timed_when_the_device_has_done_them(monkeypatch):
    waited = []

    class Slow:
        type = "cpu_that_works_on"

    monkeypatch.setattr(
        torch, Slow.type, type("", (), {"synchronize": waited.append}), raising=False
    )
    loop.wait_for(Slow())
    loop.wait_for(torch.device("cpu"))
    assert len(waited) == 1


def test_scoring_on_a_gpu_is_an_engine_and_nothing_else_runs_there(machine, monkeypatch):
    machine(2)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    assert engine_on(None, "onnx", "score") == "onnx"
    assert engine_on("auto", "torch", "score") == engine_on("cpu", "torch", "score") == "torch"
    assert engine_on("cuda:1", "torch", "score") == "torch-gpu"
    assert engine_on("cuda", "torch-gpu", "score") == "torch-gpu"
    assert chosen == [1, 0]
    for device, engine in (("cuda", "onnx"), ("cpu", "torch-gpu")):
        with pytest.raises(InputError, match=f"go together. Got {device} and {engine}"):
            engine_on(device, engine, "score")
    machine(mps=True)
    with pytest.raises(InputError, match="none on mps"):
        engine_on("mps", "torch", "score")


@pytest.mark.parametrize(
    "command",
    [
        ("fit", "digits", "--job", "reconstruct", "--out", "run"),
        ("benchmark", "digits", "--normal", "0"),
        ("score", "run", "digits", "--out", "scores.csv"),
        ("evaluate", "run"),
        ("serve", "run"),
        ("watch", "run", "-"),
    ],
    ids=lambda command: command[0],
)
def test_commands_refuse_a_device_that_is_not_there(machine, command, tmp_path, monkeypatch):
    machine(0)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*command, "--device", "cuda:7"])
    assert isinstance(done.exception, InputError)
    assert "sees here: cpu. Got cuda:7." in str(done.exception)


class WithoutFloat64(TorchDispatchMode):
    """As on MPS: no tensor of 64-bit floats, and none comes to be."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in tree_flatten((args, kwargs, result))[0]:
            if isinstance(value, torch.Tensor) and value.dtype == torch.float64:
                raise TypeError(f"{function}: MPS has no float64")
        return result


@pytest.mark.parametrize("name", [name for name, one in RECIPES.items() if not one.is_closed_form])
def test_a_step_of_training_needs_no_float64_which_mps_has_not(name):
    recipe = make_recipe(name)
    side = max(16, recipe.sides.smallest)
    network = recipe.build_network(ImageShape(side, side, 1))
    held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    assert [key for key, value in held.items() if value.dtype == torch.float64] == []
    images = torch.from_numpy(blobs(4, (side, side))[..., 0] / np.float32(255))[:, None]
    with WithoutFloat64():
        recipe.loss(network, images, torch.Generator().manual_seed(0)).backward()


def test_what_is_there_begins_with_the_processor():
    assert devices_there()[0] == "cpu"
