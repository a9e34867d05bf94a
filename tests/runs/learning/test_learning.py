"""A run that learns from corrections becomes a new version,
and says what it used and what
changed."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from residua.errors import InputError, LabelError, OutputError, SourceError
from residua.images import load_images
from residua.images.region import Region
from residua.runs.compare import compare_runs
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.learning import groups
from residua.runs.learning.features import StoredFeatures
from residua.runs.learning.learn import learn_run, moved_among, undo_learning
from residua.runs.learning.record import Flagged, read_record
from residua.runs.learning.versions import compare_versions
from residua.runs.progress import Watcher
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import load_bundle, score_set
from runs import add_image, options


def test_every_fit_of_a_detector_stores_what_learning_needs(finished, source):
    stored, bundle = StoredFeatures.load(finished), load_bundle(finished.bundle)
    assert len(stored.of("calibration")) == len(bundle.calibration_scores)
    assert np.allclose(stored.of("calibration").seen.score, bundle.calibration_scores)
    hashes = set(load_images(str(source)).pixel_hashes.tolist())
    assert set(stored.pixels.tolist()) <= hashes


def test_features_that_would_take_too_much_are_not_stored(finished, source, tmp_path, monkeypatch):
    monkeypatch.setattr("residua.runs.learning.features.MOST_BYTES", 100)
    said = []
    run = fit_run(options(source), tmp_path / "run", watcher=Watcher(on_note=said.append))
    assert not (run.path / "features.npz").exists()
    assert any("are not stored: `residua learn` will read the source" in one for one in said)


def test_a_reconstructor_stores_no_features(source, tmp_path):
    run = fit_run(options(source, "reconstruct"), tmp_path / "run")
    assert not (run.path / "features.npz").exists()
    with pytest.raises(InputError, match="must be a detector"):
        learn_run(run.path, str(source), tmp_path / "run2")


def test_a_model_that_sees_a_region_learns_from_what_lies_in_it(source, tmp_path, monkeypatch):
    inside = np.ones((12, 12), np.uint8)
    inside[:, 0] = 0
    run = fit_run(options(source, region=Region.of_mask(inside)), tmp_path / "run")
    for kind in ("corner", "noise"):
        (tmp_path / "said" / "defect" / kind).mkdir(parents=True)
    for n in range(3):
        shutil.copy(source / f"bad/{n:03d}.png", tmp_path / "said" / "defect" / "corner")
        add_image(tmp_path / "said" / "defect" / "noise" / f"{n}.png", n)
    drawn = []
    monkeypatch.setattr(
        groups, "heat_map", lambda one, _: drawn.append(one) or np.zeros((12, 12, 3), np.uint8)
    )
    groups.group_flagged(run.path, str(tmp_path / "said"), tmp_path / "kinds")
    assert drawn and all(not one[:, 0].any() and one.any() for one in drawn)
    learn_run(run.path, str(tmp_path / "said"), tmp_path / "run2")
    learnt = TrainedRun(tmp_path / "run2")
    recorded, bundle = learnt.read_images("path", "part"), load_bundle(learnt.bundle)
    held = recorded["path"][recorded["part"] == "calibration"]
    images = load_images(str(source))
    scored = score_set(bundle, images[np.flatnonzero(np.isin(images.paths, held))])
    assert np.allclose(np.sort(scored.score), np.sort(bundle.calibration_scores), atol=1e-5)
    assert scored.probabilities.shape == (len(held), 3)


def test_corrected_test_images_are_test_no_longer_and_calibration_stays_whole(
    finished, learnt, parts_of
):
    parts = learnt.read_images("part")["part"].tolist()
    before = list(parts_of.values())
    assert parts.count("corrected") == 4
    assert parts.count("test") == before.count("test") - 4
    assert parts.count("calibration") + parts.count("validation") == (
        before.count("calibration") + before.count("validation")
    )
    old, new = (load_bundle(run.bundle).config.fingerprints for run in (finished, learnt))
    assert old["test"] != new["test"]
    assert old["train"] == new["train"]


def test_the_record_says_who_was_corrected_and_what_changed(finished, learnt):
    record = read_record(learnt)
    assert record.parent_weights == finished.mark().weights
    assert len(record.corrections) == 8
    assert {one.kind for one in record.corrections if one.label == "defect"} == {"corner", None}
    assert sum(one.part == "test" for one in record.corrections) == 4
    # No corrected image is an anomaly of calibration.
    assert record.anomalies.n == load_bundle(learnt.bundle).calibration_is_anomalous.sum()
    assert (record.defects.n, record.normals.n > 0) == (5, True)
    assert any("5 labelled defects, each left out" in one for one in record.about_thresholds())
    one = record.model_copy(update={"corrections": record.corrections[:1]})
    assert one.about_right().startswith("Of 1 corrected image, ")
    lost = record.model_copy(update={"defects": Flagged(n=9, before=8, after=2)})
    assert "Much is missed now" in lost.about_loss()
    assert record.model_copy(update={"defects": Flagged(n=9, before=2)}).about_loss() is not None
    assert record.threshold_after == learnt.mark().operating_point.threshold
    scorer = load_bundle(learnt.bundle).graph.scorer
    assert float(scorer.weight) == pytest.approx(record.weight)


def test_pictures_that_lie_twice_in_test_count_as_often_as_they_leave_it():
    columns = {"pixels": ["a", "b", "a", "c", "d"], "part": ["test"] * 4 + ["calibration"]}
    recorded = {name: np.array(values, object) for name, values in columns.items()}
    assert moved_among(recorded, {"a"}, {"a", "c", "d"}) == {
        "n_moved": 3,
        "n_moved_near": 1,
        "n_held": 1,
        "n_held_near": 1,
    }


def test_the_new_version_is_judged_on_what_is_left_and_compared_with_its_parent(
    finished, learnt, tmp_path
):
    shutil.copytree(finished.path, tmp_path / "old")
    shutil.copytree(learnt.path, tmp_path / "new")
    found = compare_runs([tmp_path / "old", tmp_path / "new"])
    assert "new has learnt from old: 8 corrections: 3 good, 5 defective" in found.versions[0]
    assert "They taught the model" in found.versions[0]
    assert [one.split(":")[0] for one in found.at_thresholds] == [
        "Defects found, each at its threshold",
        "False alarms, each at its threshold",
    ]
    assert "old" in found.at_thresholds[0].split(",")[1]
    wrong = sum(
        one.flagged_before != (one.label == "defect")
        for one in read_record(TrainedRun(tmp_path / "new")).corrections
        if one.part == "test"
    )
    favoured = [one for one in found.versions if "looks better here than it is" in one]
    assert [f"is wrong on {wrong} of them" in one for one in favoured] == [True] * bool(wrong)
    assert [one.severity for one in found.findings if one.code == "different-test-images"] == [
        "note"
    ]
    same = compare_runs([tmp_path / "new", tmp_path / "old"])
    assert [one.replace("new", "x") for one in same.versions] == [
        one.replace("new", "x") for one in found.versions
    ]


def test_judging_corrected_images_is_an_error(learnt, corrections):
    judged = evaluate_run(learnt.path, str(corrections))
    reused = [one for one in judged.evaluation.findings if one.code == "test-reused"]
    assert reused[0].severity == "error"
    assert reused[0].measured["n_reused"] == 8


def test_a_comparison_on_corrected_images_says_so_and_counts_none_of_them(
    finished, learnt, corrections, source, tmp_path
):
    with pytest.raises(InputError, match="All 8 that the runs share did"):
        compare_runs([finished.path, learnt.path], str(corrections))
    shutil.copytree(corrections, tmp_path / "more")
    for n in range(4):
        shutil.copy(source / f"good/{n:03d}.png", tmp_path / "more" / "good" / f"more{n}.png")
        add_image(tmp_path / "more" / "defect" / f"more{n}.png", 50 + n)
    fresh = set(load_images(str(tmp_path / "more")).pixel_hashes.tolist())
    fresh -= set(read_record(learnt).pixels)
    told = compare_runs([finished.path, learnt.path], str(tmp_path / "more"))
    (found,) = (one for one in told.findings if one.code == "test-reused" and "run2" in one.meaning)
    assert found.severity == "error"
    assert told.n_images == len(fresh)
    (left,) = (one for one in told.findings if one.code == "different-test-images")
    assert left.meaning.startswith(f"{16 - len(fresh)} of the 16 images taught one of the runs")
    assert left.what_to_do == "Nothing, if enough images are left."
    assert all(one.metrics["roc_auc"].n == len(fresh) for one in told.standings)
    assert "of 4 defects" in told.at_thresholds[0]


def test_undo_brings_back_model_threshold_and_parts(finished, learnt, tmp_path):
    shutil.copytree(learnt.path, tmp_path / "run2")
    undo_learning(tmp_path / "run2")
    again = TrainedRun(tmp_path / "run2")
    assert again.mark() == finished.mark()
    assert again.images.read_text() == finished.images.read_text()
    assert len(StoredFeatures.load(again)) == len(StoredFeatures.load(finished))
    with pytest.raises(InputError, match="a step of learning to undo"):
        undo_learning(again.path)


def test_what_was_learnt_before_is_kept_and_undone_step_by_step(finished, learnt, tmp_path):
    (tmp_path / "more" / "defect").mkdir(parents=True)
    for number in range(3, 6):
        add_image(tmp_path / "more" / "defect" / f"new{number}.png", number)
    record = learn_run(learnt.path, str(tmp_path / "more"), tmp_path / "run3")
    assert (len(record.corrections), len(record.earlier)) == (3, 8)
    third = TrainedRun(tmp_path / "run3")
    (told,) = compare_versions([finished, third], ["old", "new"])
    assert told.startswith("new has learnt from old in 2 steps, 11 corrected images in all.")
    assert "3 corrections" in compare_versions([learnt, third], ["old", "new"])[0]
    assert len(StoredFeatures.load(third).of("defect")) == 8
    undo_learning(third.path)
    assert third.mark() == learnt.mark()
    assert read_record(third) == read_record(learnt)
    undo_learning(third.path)
    assert read_record(third) is None


def test_without_stored_features_the_source_is_read_and_gives_the_same(
    run, corrections, source, learnt, tmp_path
):
    (run.path / "features.npz").unlink()
    learn_run(run.path, str(corrections), tmp_path / "run2", source=str(source))
    first, second = (load_bundle(one / "bundle") for one in (learnt.path, tmp_path / "run2"))
    assert np.allclose(first.calibration_scores, second.calibration_scores, atol=1e-5)
    with pytest.raises(InputError, match="calibration images of the run must be there"):
        learn_run(run.path, str(corrections), tmp_path / "run4", source=str(corrections))


def test_the_source_may_be_a_manifest_with_a_folder_of_its_own(
    run, corrections, source, learnt, tmp_path
):
    (run.path / "features.npz").unlink()
    paths = run.read_images("path")["path"].tolist()
    (tmp_path / "set.csv").write_text("\n".join(["path", *paths]), encoding="utf-8")
    with pytest.raises(SourceError):
        learn_run(run.path, str(corrections), tmp_path / "run2", source=str(tmp_path / "set.csv"))
    learn_run(
        run.path,
        str(corrections),
        tmp_path / "run2",
        source=str(tmp_path / "set.csv"),
        root=str(source),
    )
    first, second = (load_bundle(one / "bundle") for one in (learnt.path, tmp_path / "run2"))
    assert np.allclose(first.calibration_scores, second.calibration_scores, atol=1e-5)


def test_one_picture_cannot_be_good_and_a_defect(finished, source, tmp_path):
    for label in ("good", "defect"):
        (tmp_path / "both" / label).mkdir(parents=True)
        shutil.copy(source / "bad/000.png", tmp_path / "both" / label / "a.png")
    with pytest.raises(LabelError, match="Got both for the same picture"):
        learn_run(finished.path, str(tmp_path / "both"), tmp_path / "run2")
    assert not (tmp_path / "run2").exists()


def test_the_run_that_learns_is_not_overwritten(finished, corrections):
    before = (finished.bundle / "bundle.json").read_bytes()
    with pytest.raises(OutputError, match="Got the run that learns"):
        learn_run(finished.path, str(corrections), finished.path)
    assert (finished.bundle / "bundle.json").read_bytes() == before
    assert json.loads(before)["config"]["learnt"] is False
