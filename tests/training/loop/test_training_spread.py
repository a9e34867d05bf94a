"""Two processes train what one trains: the same batches, the batch norm of all of them, sums in
another order."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from residua.errors import InputError
from residua.runs import fit
from residua.runs.fit import fit_run
from residua.runs.run_state import RunState
from residua.runs.trained_run import TrainedRun
from residua.training.fitting.options import check_options, make_options
from residua.training.loop.processes import is_follower, share_of
from residua.training.loop.train import TrainingPlan

TOLERANCE = 1e-4
"""Largest difference of a weight after ten epochs of a network with batch norm; 8e-7 was
measured."""


def test_shares_are_cut_from_the_global_batch_and_a_small_one_is_taken_by_all():
    rows = torch.arange(9)
    assert (
        sorted(torch.cat([share_of(rows, rank, 4) for rank in range(4)]).tolist()) == rows.tolist()
    )
    assert share_of(torch.arange(2), 1, 4).tolist() == [0, 1]


def test_what_processes_would_decide_differently_is_refused(monkeypatch):
    with pytest.raises(InputError, match="--epochs"):
        check_options(make_options("detect", recipe="plain", minutes=1, devices=2, nodes=2))
    check_options(make_options("detect", recipe="plain", minutes=1, devices=2))
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    with pytest.raises(InputError, match="--epochs"):
        check_options(make_options("detect", recipe="plain", minutes=1, devices=2))
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    with pytest.raises(InputError, match="name a recipe"):
        check_options(make_options("detect", recipe="auto", nodes=2))
    with pytest.raises(InputError, match="--trim"):
        check_options(make_options("detect", recipe="plain", trim=0.1, devices=2))
    with pytest.raises(InputError, match="--job classify"):
        check_options(make_options("classify", devices=2))
    check_options(make_options("detect", recipe="auto", minutes=1))


@pytest.mark.parametrize(
    ("environment", "follows"),
    [
        ({}, False),
        ({"RANK": "0"}, False),
        ({"LOCAL_RANK": "1"}, True),
        ({"RANK": "2", "LOCAL_RANK": "0"}, True),
    ],
)
def test_a_process_started_beside_the_first_follows_it(environment, follows, monkeypatch):
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "SLURM_PROCID", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_follower() is follows


def test_minutes_become_steps_once_and_the_others_take_them_from_the_run(tmp_path, monkeypatch):
    settings = {"minutes": 0.02, "batch_size": 16, "threads": 1, "devices": 2}
    asked = make_options(
        **{"source": "digits", "job": "detect", "normal": ("0",), "recipe": "plain"}, **settings
    )
    run, taken = TrainedRun(tmp_path / "run"), []
    run.path.mkdir()
    plan = {"epochs": 3, "steps_per_epoch": 5, "bfloat16": False}
    run.write_state(RunState(options=asked, plan=plan))
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr(
        fit, "_fit", lambda run, state, *given, **more: taken.append(state.training_plan())
    )
    fit_run(asked, run.path)
    assert taken == [TrainingPlan(**plan)]


@pytest.mark.slow
def test_two_processes_end_with_the_weights_of_one(tmp_path):
    settings = {"epochs": 10, "batch_size": 16, "precision": "fp32", "threads": 1}
    asked = {
        "source": "digits",
        "job": "detect",
        "normal": ("0",),
        "recipe": "plain",
        "recipe_options": {"latent": 4},
    }
    one = fit_run(make_options(**{**asked, "settings": settings}), tmp_path / "one")
    command = (
        "fit digits --normal 0 --recipe plain --latent 4 --epochs 10 --batch-size 16 --precision"
        " fp32 --threads 1 --devices 2 -q"
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"RANK", "LOCAL_RANK", "WORLD_SIZE"}
    }
    done = subprocess.run(
        [sys.executable, "-m", "residua", *command.split(), "--out", str(tmp_path / "two")],
        env={**environment, "CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    ours, theirs = (
        load_file(run / "bundle" / "model.safetensors") for run in (one.path, tmp_path / "two")
    )
    assert ours.keys() == theirs.keys()
    for name, weights in ours.items():
        if weights.is_floating_point() and not name.startswith("calibration"):
            assert torch.allclose(weights, theirs[name], atol=TOLERANCE), (
                name,
                float((weights - theirs[name]).abs().max()),
            )
    scores = ours["calibration.scores"], theirs["calibration.scores"]
    assert torch.allclose(*scores, rtol=1e-3)
