"""The command in a report fits the same run again."""

from __future__ import annotations

import shlex

from residua.runs.command import fit_command
from residua.runs.run_state import RunState
from residua.runs.trained_run import TrainedRun
from runs import options


def command_of(**more):
    state = RunState(
        options=options("my parts", **more),
        plan={"epochs": 7, "steps_per_epoch": 2, "bfloat16": False},
    )
    return shlex.split(fit_command(TrainedRun("run"), state))


def test_every_option_that_is_not_the_default_is_in_the_command():
    words = command_of(
        size=32, aspect="keep", bits=12, follow_links=True, root="/data", trim=0.1, policy="max-f1", normal=("good", "fine, new"),
        recipe_options={"latent": 3, "family": "dense", "tied": True, "loss_name": "absolute", "density": ["mahalanobis"]},
        settings={"minutes": 1, "epochs": None, "augment": ["flip", "shift"], "seed": 4},
    )  # fmt: skip
    assert words[2] == "my parts"
    line = " ".join(words)
    for part in (
        '--normal good,"fine, new"',
        "--latent 3 --family dense --tied --loss absolute --density mahalanobis",
        "--size 32 --aspect keep",
        "--policy max-f1",
        "--epochs 7",
        "--augment flip,shift",
        "--trim 0.1",
        "--bits 12 --follow-links --root /data",
        "--seed 4 --out run",
    ):
        assert part in line


def test_defaults_are_left_out():
    words = command_of(settings={"batch_size": None})
    expected = "--job detect --recipe plain --normal good --epochs 7 --latent 3 --seed 0 --out run"
    assert words[3:] == expected.split()
