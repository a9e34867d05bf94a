"""`trim`: anomalies hidden among the normals are found by a first training and left out of the
second."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from residua import OneClassDetector
from residua.errors import InputError
from residua.images import ImageSet
from residua.metrics import roc_auc
from residua.training.fitting import fit as fitting
from residua.training.fitting.images import (
    keep_best,
    plan_again,
    plan_first,
    say_dropped,
)
from residua.training.fitting.options import make_options
from residua.training.fitting.session import FitSession
from residua.training.loop.settings import TrainingSettings
from residua.training.loop.train import TrainingPlan
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.scoring.scorer import ScorerOutput
from training_wing import blobs


class Brightness(nn.Module):
    def forward(self, images):
        return ScorerOutput(images.mean((1, 2, 3)), images[:, 0], images)


@pytest.mark.parametrize(("trim", "n_kept"), [(0.0, 20), (0.05, 19), (0.1, 18), (0.5, 10)])
def test_the_most_anomalous_share_goes_and_the_others_keep_their_order(trim, n_kept):
    levels = torch.tensor(np.random.default_rng(0).permutation(20) * 10, dtype=torch.uint8)
    kept = keep_best(Brightness(), levels.view(20, 1, 1, 1).expand(20, 1, 8, 8).clone(), trim)
    assert len(kept) == n_kept
    assert (np.diff(kept) > 0).all()
    assert set(levels[kept].tolist()) == set(range(0, 10 * n_kept, 10))


def test_images_that_score_alike_are_kept_from_the_front():
    assert keep_best(Brightness(), torch.zeros(10, 1, 8, 8), 0.3).tolist() == list(range(7))


def test_the_second_plan_has_as_many_epochs_of_the_batches_that_are_left():
    recipe, settings = make_recipe("plain"), TrainingSettings(batch_size=10)
    assert plan_again(
        TrainingPlan(7, 10, False), recipe, torch.zeros(90, 1, 8, 8), settings
    ) == TrainingPlan(7, 9, False)
    assert plan_again(
        TrainingPlan(1, 3, True), recipe, torch.zeros(90, 1, 8, 8), settings
    ) == TrainingPlan(1, 3, True)


def test_the_first_training_is_a_quarter_as_long():
    assert plan_first(TrainingPlan(30, 5, False)) == TrainingPlan(7, 5, False)
    assert plan_first(TrainingPlan(2, 5, True)) == TrainingPlan(1, 5, True)


def test_shares_that_would_leave_too_little_are_refused():
    for trim in (-0.1, 0.6):
        with pytest.raises(InputError, match="trim"):
            make_options("detect", trim=trim)


def test_the_sentence_counts_what_was_dropped_and_shows_the_first_few():
    paths = np.array([f"{i}.png" for i in range(9)], dtype=object)
    assert say_dropped(paths, 90).endswith("again: 0.png, 1.png, 2.png, 3.png, 4.png, ...")
    assert "none was dropped" in say_dropped(paths[:0], 4)


@pytest.fixture(scope="module")
def contaminated(digits):
    """Zeros, and among ten images one of another digit; none of them is tested on."""
    rng = np.random.default_rng(0)
    others = digits.calibration[np.flatnonzero(digits.calibration.is_anomalous)]
    hidden = others[rng.choice(len(others), len(digits.train) // 9, replace=False)]
    order = rng.permutation(len(digits.train) + len(hidden))
    paths = np.concatenate([digits.train.paths, hidden.paths])[order]
    images = np.concatenate([digits.train.array(), hidden.array()])[order]
    return ImageSet.from_arrays(images, paths=[str(path) for path in paths]), {
        str(path) for path in hidden.paths
    }


def fit(images, trim, **more):
    recipe = make_recipe("plain", family="dense", latent=8)
    settings = {"epochs": 30, "batch_size": 16, "seed": 0, "precision": "fp32"}
    options = make_options("detect", trim=trim, **settings)
    return fitting.fit(options, images, None, FitSession(recipe=recipe, **more))


def test_trimming_removes_mostly_the_hidden_anomalies_and_ranks_no_worse(contaminated, digits):
    images, hidden = contaminated
    aucs, left = [], []
    for trim in (0.0, 0.1):
        fitted = fit(images, trim)
        paths = {
            str(path) for part in ("fitted", "validation") for path in fitted.parts[part].paths
        }
        left.append(paths)
        detector = OneClassDetector()
        detector._take(fitted.bundle)
        aucs.append(roc_auc(digits.test.is_anomalous, detector.anomaly_scores(digits.test)))
    dropped = left[0] - left[1]
    assert len(dropped) == pytest.approx(0.1 * len(left[0]), abs=1)
    assert len(dropped & hidden) > 0.6 * len(dropped)
    assert aucs[1] > aucs[0] - 0.005
    words = fitted.bundle.config.training
    assert words.images + words.validation_images == len(left[1])
    assert words.trimmed == len(dropped)
    assert any(note.startswith(f"trim: the {len(dropped)} of") for note in fitted.notes)
    assert any("no calibration image was dropped" in note for note in fitted.notes)


def test_a_memory_drops_what_a_memory_of_the_others_finds_anomalous(contaminated, digits):
    images, hidden = contaminated
    recipe = make_recipe("memory", backbone="filters", size=300)
    aucs, left = [], []
    for trim in (0.0, 0.2, 0.2):
        options = make_options("detect", trim=trim, seed=0, size=32)
        fitted = fitting.fit(options, images, None, FitSession(recipe=recipe))
        paths = [str(path) for part in fitted.parts.values() for path in part.paths]
        left.append(paths)
        detector = OneClassDetector()
        detector._take(fitted.bundle)
        aucs.append(roc_auc(digits.test.is_anomalous, detector.anomaly_scores(digits.test)))
    dropped = set(left[0]) - set(left[1])
    learnt = set(left[0]) - {str(path) for path in fitted.parts["calibration"].paths}
    assert left[2] == left[1]
    assert len(dropped) == pytest.approx(0.2 * len(learnt), abs=1)
    assert len(dropped & hidden) > 0.7 * len(learnt & hidden)
    assert aucs[1] > aucs[0]
    words = fitted.bundle.config.training
    assert (words.trimmed, words.images + words.validation_images) == (
        len(dropped),
        len(learnt) - len(dropped),
    )


def test_light_is_decided_by_all_images_not_by_those_that_are_left():
    recipe = make_recipe("memory", backbone="filters", size=50)
    dark = torch.from_numpy(blobs(12, (32, 32))).permute(0, 3, 1, 2) / 1020
    decided = []
    for first in (torch.cat([dark, dark + 0.7]), dark):
        scorer = recipe.build_scorer(recipe.build_network(ImageShape(32, 32, 1)))
        for images in (first, dark):
            scorer.fit(images, images)
            decided.append(scorer.decided.split(",")[0])
    assert decided == ["light: evened out"] * 2 + ["light: left as it is"] * 2


@pytest.mark.parametrize("of_a_group", [True, False])
def test_two_photographs_of_one_defect_vouch_for_each_other_only_where_nobody_says_so(of_a_group):
    odd = np.zeros((4, 8, 8, 1), np.uint8)
    odd[:2, :4], odd[2:, :, :4] = 255, 255
    groups = [f"part {number // 2}" for number in range(40)] if of_a_group else None
    images = ImageSet.from_arrays(np.concatenate([blobs(36, (8, 8)), odd]), groups=groups)
    options = make_options("detect", trim=0.1, seed=0)
    recipe = make_recipe("neighbours", nearest=1)
    fitted = fitting.fit(options, images, images[:2], FitSession(recipe=recipe))
    left = set(fitted.parts["fitted"].paths)
    dropped = [number for number, path in enumerate(images.paths) if path not in left]
    assert (dropped == [36, 37, 38, 39]) == of_a_group


def test_without_trim_nothing_is_dropped_and_nothing_said():
    fitted = fit(ImageSet.from_arrays(blobs(40, (8, 8))), 0.0)
    assert fitted.bundle.config.training.trimmed == 0
    assert not any("trim" in note for note in fitted.notes)


class StoppedError(Exception):
    """What stands for a lost connection."""


@pytest.mark.parametrize("stop_at", [20, 80])
def test_a_run_stopped_in_either_training_ends_as_if_it_had_not_been(stop_at, tmp_path):
    """28 steps of the first training, then 90 of the second."""
    images, checkpoint = ImageSet.from_arrays(blobs(80, (8, 8))), tmp_path / "training.ckpt"
    steps = []

    def stop(*step):
        steps.append(step)
        if len(steps) == stop_at:
            raise StoppedError

    with pytest.raises(StoppedError):
        fit(images, 0.2, checkpoint=checkpoint, checkpoint_seconds=0.0, on_step=stop)
    assert checkpoint.exists()
    assert (tmp_path / "training-again.ckpt").exists() == (stop_at == 80)
    resumed = []
    again = fit(
        images,
        0.2,
        checkpoint=checkpoint,
        checkpoint_seconds=0.0,
        resume=True,
        on_step=lambda *s: resumed.append(s),
    )
    whole = fit(images, 0.2)
    assert len(resumed) < 28 + 90
    assert not (tmp_path / "training-again.ckpt").exists()
    assert list(again.parts["fitted"].paths) == list(whole.parts["fitted"].paths)
    assert np.array_equal(again.train_sample.score, whole.train_sample.score)


def test_minutes_are_those_of_both_trainings_together(monkeypatch):
    monkeypatch.setattr("residua.training.loop.train._time_steps", lambda *args, **options: 0.01)
    monkeypatch.setattr("residua.training.fitting.session.train_network", stop_training)
    plans = []
    for trim in (0.0, 0.2):
        session = FitSession(recipe=make_recipe("plain", family="dense"), on_plan=plans.append)
        options = make_options("reconstruct", trim=trim, minutes=1.0, batch_size=16)
        with pytest.raises(StoppedError):
            fitting.fit(options, ImageSet.from_arrays(blobs(71, (8, 8))), None, session)
    assert plans[0].n_steps == 5700
    assert plans[1].n_steps == pytest.approx(4560, abs=plans[1].steps_per_epoch)


def stop_training(*_, **__):
    raise StoppedError
