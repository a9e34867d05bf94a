"""A run that learns from corrections becomes a new version, and says what it used and what
changed."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from residua.engines.kinds import KINDS
from residua.errors import InputError, LabelError, OutputError
from residua.images import load_images
from residua.images.region import Region
from residua.images.tiling import Tiling
from residua.runs.compare import compare_runs
from residua.runs.engines import export_run
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.learning import model
from residua.runs.learning.corrections import corrections_of, read_corrections
from residua.runs.learning.features import StoredFeatures
from residua.runs.learning.groups import group_alike, group_flagged
from residua.runs.learning.learn import learn_run, moved_among, undo_learning
from residua.runs.learning.model import check_learns, learn_model
from residua.runs.learning.record import Flagged, read_record
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.runs.threshold import change_threshold
from residua.runs.trained_run import TrainedRun
from residua.thresholds import choose_threshold
from residua.training.bundle import load_bundle, save_operating_point, score_set
from residua.training.scoring import learned_score
from residua.training.scoring.head_weight import HeadWeight
from residua.training.scoring.learned_score import Seen
from runs import add_image, options


@pytest.fixture(scope="module")
def parts_of(finished) -> dict[str, str]:
    recorded = finished.read_images("path", "part")
    return dict(zip(recorded["path"].tolist(), recorded["part"].tolist(), strict=True))


@pytest.fixture(scope="module")
def corrections(source, parts_of, tmp_path_factory) -> Path:
    """Four test images, of which two are defects, one calibration image and three new defects."""
    folder = tmp_path_factory.mktemp("corrections")
    (folder / "good").mkdir()
    (folder / "defect" / "corner").mkdir(parents=True)
    for label, part, n in (("good", "test", 2), ("good", "calibration", 1), ("bad", "test", 2)):
        some = [path for path, its in parts_of.items() if its == part and path.startswith(label)]
        place = folder / ("good" if label == "good" else "defect/corner")
        for path in sorted(some)[:n]:
            shutil.copy(source / path, place / Path(path).name)
    for number in range(3):
        add_image(folder / "defect" / f"new{number}.png", number)
    return folder


@pytest.fixture(scope="module")
def learnt(finished, corrections, tmp_path_factory) -> TrainedRun:
    out = tmp_path_factory.mktemp("learnt") / "run2"
    learn_run(finished.path, str(corrections), out)
    return TrainedRun(out)


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


def test_a_model_that_sees_tiles_cannot_learn(finished):
    config = load_bundle(finished.bundle).config.model_copy(update={"tiling": Tiling()})
    with pytest.raises(InputError, match="sees tiles: after learning another tile"):
        check_learns(config)


def test_a_model_that_sees_a_region_learns_from_what_lies_in_it(source, tmp_path):
    inside = np.ones((12, 12), np.uint8)
    inside[:, 0] = 0
    run = fit_run(options(source, region=Region.of_mask(inside)), tmp_path / "run")
    for kind in ("corner", "noise"):
        (tmp_path / "said" / "defect" / kind).mkdir(parents=True)
    for n in range(3):
        shutil.copy(source / f"bad/{n:03d}.png", tmp_path / "said" / "defect" / "corner")
        add_image(tmp_path / "said" / "defect" / "noise" / f"{n}.png", n)
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


def test_what_was_learnt_before_is_kept_and_undone_step_by_step(learnt, tmp_path):
    (tmp_path / "more" / "defect").mkdir(parents=True)
    for number in range(3, 6):
        add_image(tmp_path / "more" / "defect" / f"new{number}.png", number)
    record = learn_run(learnt.path, str(tmp_path / "more"), tmp_path / "run3")
    assert (len(record.corrections), len(record.earlier)) == (3, 8)
    third = TrainedRun(tmp_path / "run3")
    assert len(StoredFeatures.load(third).of("defect")) == 8
    undo_learning(third.path)
    assert third.mark() == learnt.mark()
    assert read_record(third) == read_record(learnt)
    undo_learning(third.path)
    assert read_record(third) is None


def test_corrections_that_are_given_again_teach_the_same_again(finished, tmp_path):
    for number in range(6):
        place = tmp_path / "all" / ("good" if number < 3 else "defect")
        place.mkdir(parents=True, exist_ok=True)
        add_image(place / f"{number}.png", number)
    first = learn_run(finished.path, str(tmp_path / "all"), tmp_path / "run2")
    assert first.n_alarms == first.alarms.n == first.defects.n == 3
    again = learn_run(tmp_path / "run2", str(tmp_path / "all"), tmp_path / "run3")
    assert again.n_alarms == 3
    assert again.threshold_after == pytest.approx(first.threshold_after)
    # The parent knew them, so that before and after say nothing.
    assert again.alarms.n == again.defects.n == 0


def test_without_stored_features_the_source_is_read_and_gives_the_same(
    run, corrections, source, learnt, tmp_path
):
    (run.path / "features.npz").unlink()
    learn_run(run.path, str(corrections), tmp_path / "run2", source=str(source))
    first, second = (load_bundle(one / "bundle") for one in (learnt.path, tmp_path / "run2"))
    assert np.allclose(first.calibration_scores, second.calibration_scores, atol=1e-5)
    with pytest.raises(InputError, match="calibration images of the run must be there"):
        learn_run(run.path, str(corrections), tmp_path / "run4", source=str(corrections))


def test_a_manifest_tells_kinds_reviewers_and_notes(finished, source, tmp_path):
    rows = [
        ("bad/000.png", "defect", "scratch", "anna", "deep", "2026-01-05T10:00:00"),
        ("good/003.png", "good", "", "ben", "dust", ""),
        ("bad/001.png", "", "", "ben", "", ""),
    ]
    with (tmp_path / "corrections.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "kind", "reviewer", "note", "time"))
        writer.writerows(rows)
    record = learn_run(
        finished.path, str(tmp_path / "corrections.csv"), tmp_path / "run2", root=str(source)
    )
    first, second = record.corrections
    assert (first.kind, first.reviewer, first.note) == ("scratch", "anna", "deep")
    assert (second.label, second.kind, second.time) == ("good", None, None)
    assert record.about_corrections() == "2 corrections: 1 good, 1 defective, by anna, ben"


def test_one_picture_cannot_be_good_and_a_defect(finished, source, tmp_path):
    for label in ("good", "defect"):
        (tmp_path / "both" / label).mkdir(parents=True)
        shutil.copy(source / "bad/000.png", tmp_path / "both" / label / "a.png")
    with pytest.raises(LabelError, match="Got both for the same picture"):
        learn_run(finished.path, str(tmp_path / "both"), tmp_path / "run2")
    assert not (tmp_path / "run2").exists()


def test_a_kind_has_one_spelling_and_a_name_of_its_own(source, tmp_path):
    def read(*kinds: str) -> list[str | None]:
        rows = [f"bad/{n:03d}.png,defect,{kind}" for n, kind in enumerate(kinds)]
        (tmp_path / "said.csv").write_text("\n".join(["path,label,kind", *rows]), encoding="utf-8")
        images = load_images(str(tmp_path / "said.csv"), root=str(source))
        return [one.kind for one in corrections_of(images, None).said]

    assert read("Crack", "crack", "hole", "CRACK ") == ["Crack", "Crack", "hole", "Crack"]
    with pytest.raises(LabelError, match="names of their own"):
        read("Crack", "None of these")


def test_a_folder_too_high_is_refused(finished, source, tmp_path):
    for label, image in (("good", "good/000.png"), ("defect", "bad/000.png")):
        place = tmp_path / "outer" / "corrections" / label
        place.mkdir(parents=True)
        shutil.copy(source / image, place / "a.png")
    with pytest.raises(
        LabelError, match=r"Got corrections \(2 images\)\. Name the folder that holds good"
    ):
        learn_run(finished.path, str(tmp_path / "outer"), tmp_path / "run2")


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("false_alarms", "real_defects"), r"Got false_alarms \(1 image\), real_defects"),
        (("good", "defect/false alarms"), "defects named as good: defect/false alarms/1.png"),
        (("good/real_defects", "defect"), "good images named as defects"),
    ],
)
def test_a_folder_that_says_the_opposite_is_refused(finished, tmp_path, folders, said):
    for number, folder in enumerate(folders):
        (tmp_path / "said" / folder).mkdir(parents=True)
        add_image(tmp_path / "said" / folder / f"{number}.png", number)
    with pytest.raises(LabelError, match=said):
        learn_run(finished.path, str(tmp_path / "said"), tmp_path / "run2")


def saved_anew(path: Path, to: Path) -> None:
    """The picture at another size and with loss."""
    with Image.open(path) as image:
        big = image.resize((2 * image.width, 2 * image.height), Image.Resampling.BICUBIC)
        big.save(to, quality=90)


@pytest.fixture(scope="module")
def textured(tmp_path_factory) -> tuple[TrainedRun, Path]:
    """A detector of pictures that differ enough to tell copies of them, and their folder."""
    folder, rng = tmp_path_factory.mktemp("textured"), np.random.default_rng(5)
    for label, n in (("good", 90), ("bad", 12)):
        (folder / "parts" / label).mkdir(parents=True)
        for number in range(n):
            rough = Image.fromarray(rng.integers(0, 256, (8, 8)).astype(np.uint8))
            image = rough.resize((32, 32), Image.Resampling.BICUBIC)
            image.save(folder / "parts" / label / f"{number:03d}.png")
    asked = options(folder / "parts", recipe="pca", recipe_options={}, settings={"epochs": None})
    return fit_run(asked, folder / "run"), folder / "parts"


def test_near_copies_leave_test_and_count_in_calibration_as_exact_copies_do(textured, tmp_path):
    run, source = textured
    columns = run.read_images("path", "part")
    of = {
        part: [str(path) for path in columns["path"][columns["part"] == part] if "good" in path]
        for part in ("test", "calibration")
    }
    (tmp_path / "said" / "good").mkdir(parents=True)
    near = [*of["test"][:3], *of["calibration"][:2]]
    for number, path in enumerate(near):
        saved_anew(source / path, tmp_path / "said" / "good" / f"{number}.jpg")
    record = learn_run(run.path, str(tmp_path / "said"), tmp_path / "run2")
    assert (record.n_moved, record.n_moved_near, record.n_held_near) == (3, 3, 2)
    assert record.n_unsearched == 0
    assert "3 test images of the run left the test part (3 as near-copies" in record.about_parts()
    learnt = TrainedRun(tmp_path / "run2").read_images("path", "part")
    assert sorted(learnt["path"][learnt["part"] == "corrected"]) == sorted(near[:3])
    judged = evaluate_run(tmp_path / "run2", str(source)).evaluation
    reused = [one for one in judged.findings if one.code == "test-reused"]
    assert reused[0].measured["n_reused"] >= len(near)


def test_where_the_images_are_gone_it_says_what_was_not_searched(textured, tmp_path):
    shutil.copytree(textured[1], tmp_path / "parts")
    asked = options(tmp_path / "parts", recipe="pca", recipe_options={}, settings={"epochs": None})
    run = fit_run(asked, tmp_path / "run")
    (tmp_path / "parts").rename(tmp_path / "moved")
    (tmp_path / "said" / "good").mkdir(parents=True)
    saved_anew(tmp_path / "moved" / "good" / "000.png", tmp_path / "said" / "good" / "0.jpg")
    notes: list[str] = []
    record = learn_run(
        run.path, str(tmp_path / "said"), tmp_path / "run2", watcher=Watcher(on_note=notes.append)
    )
    parts = run.read_images("part")["part"].tolist()
    assert record.n_unsearched == parts.count("test") + parts.count("calibration")
    assert any("could not be compared with the corrections" in note for note in notes)
    (tmp_path / "moved").rename(tmp_path / "parts")
    found = evaluate_run(tmp_path / "run2").evaluation.findings
    assert [one.severity for one in found if one.code == "test-reused"] == ["error"]


def test_a_sample_joins_calibration_and_must_hold_no_corrected_image(
    finished, corrections, tmp_path
):
    (tmp_path / "sample").mkdir()
    for number in range(20, 26):
        add_image(tmp_path / "sample" / f"{number}.png", number)
    learn_run(finished.path, str(corrections), tmp_path / "run2", sample=str(tmp_path / "sample"))
    without = load_bundle(finished.bundle).calibration_scores
    assert len(load_bundle(tmp_path / "run2" / "bundle").calibration_scores) >= len(without) - 1
    shutil.copy(corrections / "defect" / "new0.png", tmp_path / "sample")
    with pytest.raises(InputError, match="must not hold corrected images"):
        learn_run(
            finished.path, str(corrections), tmp_path / "run3", sample=str(tmp_path / "sample")
        )


def test_a_sample_must_hold_good_images_and_each_counts_once(finished, corrections, tmp_path):
    for number in range(20, 24):
        place = tmp_path / "sample" / ("good" if number < 23 else "defect")
        place.mkdir(parents=True, exist_ok=True)
        add_image(place / f"{number}.png", number)
    shutil.copy(tmp_path / "sample" / "good" / "20.png", tmp_path / "sample" / "good" / "copy.png")
    with pytest.raises(InputError, match=r"1 image labelled as defects: defect/23"):
        learn_run(
            finished.path, str(corrections), tmp_path / "run2", sample=str(tmp_path / "sample")
        )
    shutil.rmtree(tmp_path / "sample" / "defect")
    record = learn_run(
        finished.path, str(corrections), tmp_path / "run2", sample=str(tmp_path / "sample")
    )
    assert record.sampled == 3


def test_the_run_that_learns_is_not_overwritten(finished, corrections):
    before = (finished.bundle / "bundle.json").read_bytes()
    with pytest.raises(OutputError, match="Got the run that learns"):
        learn_run(finished.path, str(corrections), finished.path)
    assert (finished.bundle / "bundle.json").read_bytes() == before
    assert json.loads(before)["config"]["learnt"] is False


def test_kinds_that_were_named_are_told_in_tables_and_exports(finished, source, tmp_path):
    for kind in ("corner", "noise"):
        (tmp_path / "said" / "defect" / kind).mkdir(parents=True)
    for n in range(5):
        place = tmp_path / "said" / "defect"
        shutil.copy(source / f"bad/{n:03d}.png", place / "corner" / f"{n}.png")
        add_image(place / "noise" / f"{n}.png", 10 + n)
    record = learn_run(finished.path, str(tmp_path / "said"), tmp_path / "run2")
    assert (record.kinds.names, record.kinds.n) == (("corner", "noise"), 10)
    assert "2 kinds of defects are told now. Of 10 defects" in record.about_kinds()
    (tmp_path / "new").mkdir()
    for number in range(40, 44):
        add_image(tmp_path / "new" / f"{number}.png", number)
    shutil.copy(source / "good/001.png", tmp_path / "new")
    score_run(tmp_path / "run2", str(tmp_path / "new"), tmp_path / "scores.csv")
    text = (tmp_path / "scores.csv").read_text(encoding="utf-8")
    rows = {row["path"]: row for row in csv.DictReader(text.splitlines())}
    assert {"kind", "p[corner]", "p[noise]", "p[none of these]"} <= set(rows["40.png"])
    assert {rows[f"{n}.png"]["kind"] for n in range(40, 44)} <= {"noise", "none of these", ""}
    assert all(float(rows[f"{n}.png"]["p[corner]"]) < 0.5 for n in range(40, 44))
    assert (rows["001.png"]["anomalous"], rows["001.png"]["kind"]) == ("false", "")
    images = load_images(str(tmp_path / "new"))
    told = score_set(load_bundle(tmp_path / "run2" / "bundle"), images).probabilities
    assert told.sum(axis=1) == pytest.approx(np.ones(len(images)), abs=1e-5)
    export_run(tmp_path / "run2", KINDS["onnx"])
    exported = TrainedRun(tmp_path / "run2").model("onnx").engine.score([*images]).probabilities
    assert np.allclose(exported, told, atol=1e-4)
    (tmp_path / "said" / "defect" / "corner").rename(tmp_path / "said" / "defect" / "CORNER2")
    (tmp_path / "said" / "defect" / "CORNER2").rename(tmp_path / "said" / "defect" / "CORNER")
    more = learn_run(tmp_path / "run2", str(tmp_path / "said"), tmp_path / "run3")
    assert more.kinds == record.kinds


def test_images_that_stand_out_alike_are_one_group():
    rng = np.random.default_rng(0)
    normal, flagged = rng.normal(size=(80, 6)), rng.normal(size=(30, 6))
    for kind in range(3):
        flagged[kind::3, kind] += 12
    seen = [
        Seen(torch.zeros(len(v)), torch.tensor(v).float(), torch.zeros(len(v), 1))
        for v in (flagged, normal)
    ]
    codes = group_alike(*seen)
    assert [len(set(codes[kind::3])) for kind in range(3)] == [1, 1, 1]
    assert len(set(codes)) == 3
    assert group_alike(seen[0].rows(torch.arange(2)), seen[1]).tolist() == [0, 0]


def test_flagged_images_are_grouped_to_be_named_and_learnt(finished, source, tmp_path):
    (tmp_path / "new").mkdir()
    for n in range(6):
        shutil.copy(source / f"bad/{n:03d}.png", tmp_path / "new")
        add_image(tmp_path / "new" / f"noise{n}.png", 20 + n)
    shutil.copy(source / "good/000.png", tmp_path / "new")
    found = group_flagged(finished.path, str(tmp_path / "new"), tmp_path / "kinds")
    flagged = {path for group in found.paths for path in group}
    assert "good/000.png" not in flagged
    page = found.page.read_text(encoding="utf-8")
    assert page.count("<img") == 2 * len(flagged)
    with pytest.raises(LabelError, match="groups of flagged images must be named"):
        learn_run(finished.path, str(tmp_path / "kinds"), tmp_path / "run2")
    for number in range(1, len(found.paths) + 1):
        folder = tmp_path / "kinds" / "defect"
        kind = "noise" if number == 1 else "corner"
        (folder / kind).mkdir(exist_ok=True)
        for file in (folder / f"group-{number:02}").iterdir():
            file.rename(folder / kind / file.name)
        (folder / f"group-{number:02}").rmdir()
    record = learn_run(finished.path, str(tmp_path / "kinds"), tmp_path / "run2")
    assert {one.kind for one in record.corrections} == {"noise", "corner"}
    assert any(one.part is not None for one in record.corrections)
    with pytest.raises(OutputError, match="must be new or empty"):
        group_flagged(finished.path, str(tmp_path / "new"), tmp_path / "kinds")


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
