"""`fit` writes a run, goes on with one that was killed, and refuses what is wrong before it
trains."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from residua.errors import (
    BundleError,
    InputError,
    LabelError,
    OutputError,
    PolicyError,
    SourceError,
    TrainingError,
)
from residua.images import load_images
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.progress import Watcher
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import load_bundle, score_set
from runs import BAD, GOOD, options

SCRIPT = """
import sys, time
from pathlib import Path
from residua.runs.fit import fit_run
from residua.runs.progress import Watcher
from residua.training.fitting.options import DetectOptions

options, out, signs = DetectOptions.model_validate_json(sys.argv[1]), sys.argv[2], Path(sys.argv[3])

def tell(step, *_):
    signs.write_text(str(step))
    time.sleep(0.02)  # long enough to be caught in the middle

fit_run(options, out, checkpoint_seconds=0, watcher=Watcher(on_step=tell))
"""


def scores(run, source):
    return score_set(load_bundle(run.bundle), load_images(source)).score


def test_a_run_holds_bundle_parts_history_and_no_checkpoint(finished, source):
    state = finished.read_state()
    assert state.finished
    assert state.options == options(source)
    assert sorted(path.name for path in finished.path.iterdir() if not path.name.startswith(".")) == [
        "bundle", "check.json", "features.npz", "images.csv", "run.json", "training.npz",
    ]  # fmt: skip
    assert finished.read_training()["history/epoch"].tolist() == [1, 2, 3]


def test_every_image_is_recorded_once_with_its_part_and_hashes(finished, source):
    recorded, images = finished.read_images(), load_images(source, normal=["good"])
    assert sorted(recorded["path"]) == sorted(images.paths)
    assert len(recorded["path"]) == GOOD + BAD
    parts = dict(zip(recorded["path"], recorded["part"], strict=True))
    for path, split, pixels in zip(images.paths, images.splits, images.pixel_hashes, strict=True):
        assert (
            parts[path]
            in {
                "train": ("train", "validation"),
                "calibration": ("calibration",),
                "test": ("test",),
            }[split]
        )
        assert recorded["pixels"][recorded["path"].tolist().index(path)] == pixels
    assert {"train", "validation", "calibration", "test"} == set(recorded["part"])


def test_the_same_seed_gives_the_same_scores_and_another_does_not(finished, source, tmp_path):
    again = fit_run(options(source), tmp_path / "again")
    other = fit_run(options(source, settings={"seed": 1}), tmp_path / "other")
    assert np.array_equal(scores(again, source), scores(finished, source))
    assert not np.array_equal(scores(other, source), scores(finished, source))


def test_killed_in_the_middle_of_training_it_resumes_to_the_scores_of_the_uninterrupted_run(
    source, tmp_path
):
    long = options(source, settings={"epochs": 25, "patience": 25})
    killed, signs = TrainedRun(tmp_path / "killed"), tmp_path / "step"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, long.model_dump_json(), str(killed.path), str(signs)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    deadline = time.monotonic() + 240
    while not (killed.checkpoint.exists() and signs.exists() and int(signs.read_text() or 0) > 20):
        assert process.poll() is None, "ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not killed.read_state().finished
    with pytest.raises(BundleError):
        load_bundle(killed.bundle)
    steps: list[int] = []
    fit_run(
        long, killed.path, resume=True, watcher=Watcher(on_step=lambda step, *_: steps.append(step))
    )
    assert steps[0] > 5  # it went on, it did not begin again
    whole = fit_run(long, tmp_path / "whole")
    assert np.array_equal(scores(killed, source), scores(whole, source))
    ours, theirs = killed.read_training(), whole.read_training()
    for name in ("history/epoch", "history/train_loss", "history/validation_loss", "train_scores"):
        assert np.array_equal(ours[name], theirs[name]), name
    assert (
        load_bundle(killed.bundle).config.operating_point
        == load_bundle(whole.bundle).config.operating_point
    )
    assert not killed.checkpoint.exists()


def test_stopped_between_training_and_saving_it_resumes_to_the_same_scores(
    finished, source, tmp_path, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("residua.runs.fit.save_bundle", stop)
        fit_run(options(source), tmp_path / "run", checkpoint_seconds=0)
    run = fit_run(options(source), tmp_path / "run", resume=True)
    assert np.array_equal(scores(run, source), scores(finished, source))


def test_what_was_left_when_killed_after_the_last_word_is_cleared_by_resuming(run, source):
    run.checkpoint.write_bytes(b"the state of a training that is over")
    (run.path / ".bundle.1.part").mkdir()
    fit_run(options(source), run.path, resume=True)
    assert not run.checkpoint.exists()
    assert not (run.path / ".bundle.1.part").exists()


def test_a_finished_run_resumed_is_left_alone(run, source):
    before = {
        path: path.stat().st_mtime_ns
        for path in run.path.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
    told: list[str] = []
    fit_run(options(source), run.path, resume=True, watcher=Watcher(on_note=told.append))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert "nothing to resume" in told[-1]


def test_resuming_where_nothing_was_begun_begins(source, tmp_path):
    assert fit_run(options(source), tmp_path / "new", resume=True).read_state().finished


def test_a_folder_that_holds_a_run_is_refused_without_resume(run, source):
    with pytest.raises(OutputError, match="must not hold a run yet"):
        fit_run(options(source), run.path)


@pytest.mark.parametrize(
    "change",
    [{"settings": {"epochs": 4}}, {"settings": {"seed": 9}}, {"size": 16}, {"policy": "max-f1"}],
    ids=str,
)
def test_resuming_with_other_options_is_refused_and_they_are_named(change, run, source):
    changed = next(iter(change.get("settings", change)))
    with pytest.raises(InputError, match=rf"Got others for {changed}\."):
        fit_run(options(source, **change), run.path, resume=True)


def test_a_truncated_checkpoint_is_refused_with_a_sentence(source, tmp_path):
    def stop(step, *_):
        if step == 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_run(
            options(source), tmp_path / "run", checkpoint_seconds=0, watcher=Watcher(on_step=stop)
        )
    checkpoint = TrainedRun(tmp_path / "run").checkpoint
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    with pytest.raises(BundleError, match="Delete it to start again"):
        fit_run(options(source), tmp_path / "run", resume=True)


def test_minutes_are_planned_once_and_a_resumed_run_keeps_the_plan(source, tmp_path, monkeypatch):
    monkeypatch.setattr("residua.training.loop.train._time_steps", lambda *_, **__: 0.25)
    budget = options(source, settings={"epochs": None, "minutes": 0.05})

    def stop(step, *_):
        if step == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_run(budget, tmp_path / "run", checkpoint_seconds=0, watcher=Watcher(on_step=stop))
    planned = TrainedRun(tmp_path / "run").read_state().plan
    assert planned["epochs"] * planned["steps_per_epoch"] <= 0.95 * 3 / 0.25
    monkeypatch.setattr(
        "residua.training.loop.train._time_steps", lambda *_, **__: pytest.fail("timed again")
    )
    run = fit_run(budget, tmp_path / "run", resume=True)
    assert run.read_state().plan == planned
    monkeypatch.setattr("residua.training.loop.train._time_steps", lambda *_, **__: 0.25)
    assert np.array_equal(scores(run, source), scores(fit_run(budget, tmp_path / "whole"), source))


def test_a_second_writer_is_kept_out(run, source):
    with run.locked(), pytest.raises(OutputError, match="only one process may write"):
        fit_run(options(source), run.path, resume=True)


def test_a_first_attempt_that_failed_before_training_stands_in_nobodys_way(source, tmp_path):
    with pytest.raises(LabelError):
        fit_run(options(source, normal=("god",)), tmp_path / "run")
    assert fit_run(options(source), tmp_path / "run").read_state().finished


def test_a_run_that_diverged_can_be_fitted_again_in_its_folder_with_other_options(source, tmp_path):
    with pytest.raises(TrainingError):
        fit_run(options(source, settings={"learning_rate": 1e35}), tmp_path / "run")
    with pytest.raises(BundleError, match="must be finished"):
        evaluate_run(tmp_path / "run")
    assert fit_run(options(source, settings={"epochs": 1}), tmp_path / "run").read_state().finished


def test_a_run_is_not_written_into_its_source(source):
    before = sorted(source.rglob("*"))
    with pytest.raises(OutputError, match="must not be the source"):
        fit_run(options(source), source / "good" / "..")
    assert sorted(source.rglob("*")) == before


def test_an_empty_text_is_no_source(tmp_path):
    with pytest.raises(SourceError, match="must be named"):
        fit_run(options(""), tmp_path / "run")


def test_a_run_that_diverged_ends_with_a_training_error(source, tmp_path):
    with pytest.raises(TrainingError, match="learning rate"):
        fit_run(options(source, settings={"learning_rate": 1e35}), tmp_path / "run")
    assert not TrainedRun(tmp_path / "run").read_state().finished


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        (
            {"normal": None, "source": "digits"},
            LabelError,
            r"the normal ones must be named. Got the labels 0, 1, 2",
        ),
        ({"normal": ("fine",)}, LabelError, "fine"),
        ({"recipe": "plian"}, InputError, "Did you mean plain"),
        ({"recipe_options": {"latnet": 3}}, InputError, "latnet"),
        ({"policy": "sometimes"}, PolicyError, "Write one of"),
        ({"policy": "false-alarms<=0.001"}, PolicyError, "2995"),
        ({"size": 5}, InputError, "between 8 and 4096"),
        ({"settings": {"augment": ("spin",)}}, InputError, "flip"),
        ({"settings": {"minutes": 1}}, InputError, "exclude each other"),
    ],
    ids=str,
)
def test_what_is_wrong_is_said_before_training(
    change, error, sentence, source, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "residua.training.fitting.session.train_network",
        lambda *_, **__: pytest.fail("trained first"),
    )
    with pytest.raises(error, match=sentence):
        fit_run(options(**{"source": source, **change}), tmp_path / "run")


def test_an_empty_and_a_missing_folder_are_source_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        with pytest.raises(SourceError):
            fit_run(options(tmp_path / name), tmp_path / f"run-{name}")


def test_no_normal_image_to_train_on_is_said(source, tmp_path):
    shutil.copytree(source / "bad", tmp_path / "parts" / "train" / "bad")
    shutil.copytree(source / "good", tmp_path / "parts" / "test" / "good")
    with pytest.raises(InputError, match="normal"):
        fit_run(options(tmp_path / "parts"), tmp_path / "run")


def test_a_reconstructor_trains_on_every_class_and_has_no_threshold(source, tmp_path):
    run = fit_run(options(source, "reconstruct"), tmp_path / "run")
    config = load_bundle(run.bundle).config
    assert config.operating_point is None
    assert config.training.images + config.training.validation_images == len(
        load_images(source).train
    )


DAMAGE = {
    "not JSON": "{",
    "another format": '{"format": "other"}',
    "a later version": '{"format": "residua-run", "format_version": 2}',
    "deep JSON": "[" * 100_000,
    "an unknown field": '{"options": {"source": "x", "job": "detect"}, "code": "import os"}',
    "bad settings": '{"options": {"source": "x", "job": "detect", "settings": {"epochs": 0}}}',
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_run_json_is_refused(what, run):
    (run.path / "run.json").write_text(DAMAGE[what])
    with pytest.raises(BundleError, match=r"run\.json"):
        run.read_state()


def test_a_folder_or_a_file_that_is_no_run_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    for name in ("", "missing", "file"):
        with pytest.raises(BundleError, match=r"run\.json"):
            TrainedRun(tmp_path / name).read_state()


def test_a_source_without_labels_is_presumed_normal_and_that_is_said(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (40, 10, 10), np.uint8)
    np.save(tmp_path / "parts.npy", images)
    told = []
    fit_run(
        options(tmp_path / "parts.npy", normal=None),
        tmp_path / "run",
        watcher=Watcher(on_note=told.append),
    )
    assert any("assumed to be normal" in note for note in told)


def test_a_reconstructor_learns_from_the_images_that_are_named_normal(source, tmp_path):
    shutil.copytree(source, tmp_path / "parts" / "train")
    shutil.copytree(source, tmp_path / "parts" / "test")
    run = fit_run(options(tmp_path / "parts", "reconstruct", normal=("good",)), tmp_path / "run")
    recorded = run.read_images("label", "part")
    learnt = recorded["label"][recorded["part"] == "train"]
    assert len(learnt) > 20 and set(learnt) == {"good"}
