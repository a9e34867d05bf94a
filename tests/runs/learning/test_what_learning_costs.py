"""What learning would cost at the threshold is asked before it is learnt,
and the threshold keeps its promise."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from residua.errors import InputError
from residua.images import load_images
from residua.runs.fit import fit_run
from residua.runs.learning import model
from residua.runs.learning.corrections import read_corrections
from residua.runs.learning.features import StoredFeatures
from residua.runs.learning.learn import learn_run
from residua.runs.learning.model import learn_model
from residua.runs.learning.record import Flagged, read_record
from residua.runs.threshold import change_threshold
from residua.runs.trained_run import TrainedRun
from residua.thresholds import choose_threshold
from residua.training.bundle import load_bundle, save_operating_point, score_set
from residua.training.scoring import learned_score
from residua.training.scoring.head_weight import HeadWeight
from runs import add_image, options


def test_the_threshold_is_chosen_on_the_scores_of_what_is_left(learnt, source):
    bundle, recorded = load_bundle(learnt.bundle), learnt.read_images("path", "part")
    images = load_images(str(source), normal="good")
    held = set(recorded["path"][recorded["part"] == "calibration"].tolist())
    stored = set(StoredFeatures.load(learnt).of("calibration").pixels.tolist())
    rows = [
        row
        for row, (path, pixels) in enumerate(zip(images.paths, images.pixel_hashes, strict=True))
        if path in held and pixels in stored
    ]
    scores = score_set(bundle, images[rows]).score
    assert sorted(scores.tolist()) == pytest.approx(
        sorted(bundle.calibration_scores.tolist()), abs=1e-6
    )
    assert len(rows) == len(bundle.calibration_scores)


def test_anomalies_of_calibration_that_were_corrected_are_not_among_those_that_taught_nothing(
    finished, parts_of, source, tmp_path
):
    bad = [path for path, part in parts_of.items() if part == "calibration" and "bad" in path]
    (tmp_path / "said" / "defect").mkdir(parents=True)
    for number, path in enumerate(bad[:2]):
        shutil.copy(source / path, tmp_path / "said" / "defect" / f"{number}.png")
    record = learn_run(finished.path, str(tmp_path / "said"), tmp_path / "run2")
    assert (record.defects.n, record.anomalies.n) == (2, len(bad) - 2)


def test_a_head_that_would_miss_more_at_the_threshold_is_dropped(
    finished, corrections, tmp_path, monkeypatch
):
    chosen = HeadWeight(1.0, 0.1, 0.0, 0.2, 0.0, 5)
    monkeypatch.setattr(learned_score, "choose_weight", lambda *_: chosen)
    monkeypatch.setattr(model, "net_found", lambda *_: 0.1)
    kept = learn_run(finished.path, str(corrections), tmp_path / "kept")
    assert (kept.weight, kept.is_headless) == (1.0, False)
    assert any("if the head did not know their kind" in one for one in kept.about_thresholds())
    monkeypatch.setattr(model, "net_found", lambda *_: -0.1)
    dropped = learn_run(finished.path, str(corrections), tmp_path / "dropped")
    assert (dropped.weight, dropped.is_headless) == (0.0, True)
    assert "would cost more defects than it finds" in dropped.about_defects()
    assert dropped.unlike == Flagged()
    assert float(load_bundle(tmp_path / "dropped" / "bundle").graph.scorer.weight) == 0


def test_false_alarms_that_would_cost_detection_are_learnt_narrowly_or_not_at_all(
    finished, tmp_path, monkeypatch
):
    for number in range(4):
        (tmp_path / "said" / "good").mkdir(parents=True, exist_ok=True)
        add_image(tmp_path / "said" / "good" / f"{number}.png", number)
    seen_of = model._Lesson._found

    def learn(*harmful: str):
        def found(lesson, version):
            told = seen_of(lesson, version)
            is_bad = version.reach in harmful
            return {**told, "made": np.arange(50) >= (2 if is_bad else 0)}

        monkeypatch.setattr(model._Lesson, "_found", found)
        return learn_run(finished.path, str(tmp_path / "said"), tmp_path / f"run{len(harmful)}")

    wide, narrow, none = learn(), learn("wide"), learn("wide", "narrow")
    assert [one.reach for one in (wide, narrow, none)] == ["wide", "narrow", "none"]
    assert (wide.harm, wide.made.n) == ({}, 64)
    assert narrow.harm == none.harm == {"made": Flagged(n=50, before=50, after=48)}
    assert "would miss 2 of 50 made defects that are flagged" in narrow.about_alarms()
    assert "WHAT THEY TEACH IS LEFT OUT" in none.about_alarms()
    assert none.alarms.after == none.alarms.before == 4
    assert read_record(TrainedRun(tmp_path / "run2")).harm == none.harm


def test_calibration_lends_images_where_training_holds_none_out(source, corrections, tmp_path):
    asked = options(source, recipe="pca", recipe_options={}, settings={"epochs": None})
    run = fit_run(asked, tmp_path / "run")
    record = learn_run(run.path, str(corrections), tmp_path / "run2")
    few = load_bundle(run.bundle)
    stored = StoredFeatures.load(run)
    keep = (stored.parts != "calibration") | (np.cumsum(stored.parts == "calibration") <= 5)
    few = replace(
        few,
        calibration_scores=few.calibration_scores[:5],
        calibration_is_anomalous=np.zeros(5, np.bool_),
        calibration_groups=None,
    )
    said = read_corrections(str(corrections), run.origin(), ("good",))
    with pytest.raises(InputError, match=r"at least 6 good calibration .* Got [0-5] and 0\."):
        learn_model(few, stored.rows(keep), said)
    learnt, parts = TrainedRun(tmp_path / "run2"), run.read_images("part")["part"].tolist()
    left = learnt.read_images("part")["part"].tolist()
    assert record.lent > 0
    assert left.count("validation") == record.lent
    assert left.count("calibration") == len(load_bundle(learnt.bundle).calibration_scores)
    assert left.count("calibration") < parts.count("calibration") - record.lent + 1


def test_a_corrected_alarm_stays_in_calibration_as_if_it_had_taught_nothing(
    finished, source, parts_of, tmp_path
):
    bundle = load_bundle(finished.bundle)
    low = bundle.with_operating_point(choose_threshold("quantile:0.5", bundle.calibration_scores))
    shutil.copytree(finished.path, tmp_path / "run")
    save_operating_point(low, tmp_path / "run" / "bundle")
    (tmp_path / "said" / "good").mkdir(parents=True)
    held = [path for path, part in parts_of.items() if part == "calibration" and "good" in path]
    for path in held:
        shutil.copy(source / path, tmp_path / "said" / "good" / Path(path).name)
    record = learn_run(tmp_path / "run", str(tmp_path / "said"), tmp_path / "run2")
    assert record.n_alarms > 2
    learnt = load_bundle(tmp_path / "run2" / "bundle")
    assert len(learnt.calibration_scores) == len(bundle.calibration_scores) - record.lent
    stored = StoredFeatures.load(TrainedRun(tmp_path / "run2"))
    own = learnt.graph.scorer.score_of(stored.of("calibration").seen).numpy()
    assert (learnt.calibration_scores >= own - 1e-5).all()
    assert (learnt.calibration_scores > own + 0.01).any()
    point = learnt.config.operating_point
    assert (
        change_threshold(tmp_path / "run2", point.policy, str(source)).threshold == point.threshold
    )


def test_a_run_without_made_defects_says_why_it_learns_repeats_alone(
    finished, source, tmp_path, monkeypatch
):
    monkeypatch.setattr(model, "_MOST_MISSED", 1.0)
    shutil.copytree(finished.path, tmp_path / "old")
    stored = StoredFeatures.load(TrainedRun(tmp_path / "old"))
    stored.rows(stored.parts != "made").save(TrainedRun(tmp_path / "old"))
    for name in ("said", "more"):
        (tmp_path / name / "good").mkdir(parents=True)
    for number in range(3):
        add_image(tmp_path / "said" / "good" / f"{number}.png", number)
    shutil.copy(source / "bad/000.png", tmp_path / "more" / "good")
    record = learn_run(tmp_path / "old", str(tmp_path / "said"), tmp_path / "new")
    assert (record.n_alarms, record.n_alone) == (3, 3)
    assert "The run stores no made defects: --source" in record.about_alarms()
    again = learn_run(tmp_path / "new", str(tmp_path / "more"), tmp_path / "newer")
    assert (again.n_alarms, again.n_alone) == (1, 1)
