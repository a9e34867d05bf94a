"""What `evaluate` and `score` notice beyond metrics, and what is planted to see it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from residua.evaluation.check import sources
from residua.findings import blind_spots, drift, hidden_anomalies, test_reused
from residua.findings.blind_spots import GROSS, PERTURBATIONS
from residua.findings.hidden_anomalies import Apart
from residua.images import ImageSet, load_images, search_duplicates
from residua.runs import evaluate_scores, parts
from residua.runs.bundle_model import BundleNetwork
from residua.runs.check import check_images, read_check
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.runs.trained_run import TrainedRun
from runs import options


@pytest.fixture(scope="module")
def judged(finished):
    return evaluate_run(finished.path)


def test_a_new_finding_is_seen_when_a_run_is_evaluated(finished, new_finding, tmp_path) -> None:
    shutil.copytree(finished.path, tmp_path / "run")
    findings = evaluate_run(tmp_path / "run").evaluation.findings
    assert new_finding.code in {one.code for one in findings}


def test_blind_spots_are_counted_at_the_operating_point_and_shown(judged) -> None:
    told = next(one for one in judged.evaluation.findings if one.code == "blind-spots")
    assert set(told.measured["caught"]) == {*PERTURBATIONS, *GROSS}
    assert all(0 <= rate["value"] <= 1 for rate in told.measured["caught"].values())
    groups = judged.evidence.figures["blind-spots"].groups
    for group, changes in zip(groups, (PERTURBATIONS, GROSS), strict=True):
        names = [picture.caption.split(":")[0] for picture in group.pictures]
        assert names == ["as it is", *changes]


def test_calibration_images_that_score_highest_are_shown_with_their_names(
    finished, source, tmp_path, monkeypatch
) -> None:
    def apart(scores, groups=None):
        return Apart(np.argsort(-scores)[:3], 0.0, 0.001)

    monkeypatch.setattr(hidden_anomalies, "scores_apart", apart)
    shutil.copytree(finished.path, tmp_path / "run")
    judged = evaluate_run(tmp_path / "run")
    (told,) = [one for one in judged.evaluation.findings if one.code == "hidden-anomalies"]
    recorded = finished.read_images()
    parts = dict(zip(recorded["path"].tolist(), recorded["part"].tolist(), strict=True))
    assert [parts[path] for path in told.measured["paths"]] == ["calibration"] * 3
    (group,) = judged.evidence.figures["hidden-anomalies"].groups
    named = [picture.caption.split(":")[0] for picture in group.pictures]
    assert named == told.measured["paths"]
    images = load_images(str(source), normal="good")
    rows = [images.paths.tolist().index(path) for path in named]
    scores = finished.model("torch", Watcher()).scores(images[np.array(rows)])
    assert told.measured["scores"] == pytest.approx(scores.tolist(), rel=1e-5)


def test_codes_are_looked_at_and_a_test_part_from_the_same_pool_shows_no_drift(judged) -> None:
    severity = {one.code: one.severity for one in judged.evaluation.findings}
    assert severity["dead-latent"] in {"ok", "warning"}
    assert severity.get("drift", "ok") == "ok"
    assert "test-reused" not in severity


def test_checks_that_fail_end_neither_a_judgement_nor_a_fit(
    finished, source, tmp_path, monkeypatch
) -> None:
    def broken(*arguments, only_exact=False, **options):
        if only_exact:
            return search_duplicates(*arguments, only_exact=True, **options)
        raise ValueError("zip() argument 2 is shorter")

    monkeypatch.setattr(parts, "search_duplicates", broken)
    monkeypatch.setattr(sources, "search_duplicates", broken)
    monkeypatch.setattr(evaluate_scores, "image_statistics", broken)
    monkeypatch.setattr(blind_spots, "find_blind_spots", broken)
    monkeypatch.setattr(drift, "find_drift", broken)
    monkeypatch.setattr(test_reused, "find_test_reused", broken)
    monkeypatch.setattr(BundleNetwork, "latents", broken)
    shutil.copytree(finished.path, tmp_path / "run")
    findings = evaluate_run(tmp_path / "run").evaluation.findings
    failed = {one.measured["check"] for one in findings if one.code == "not-checked"}
    assert failed == {
        "near-duplicates",
        "blind spots",
        "the looks of images",
        "drift",
        "images used before",
        "dead numbers of the code",
    }
    assert (
        next(one for one in findings if one.code == "leakage").measured["looked_for"]
        == "exact copies"
    )
    told: list[str] = []
    (tmp_path / "new").mkdir()
    check_images(
        TrainedRun(tmp_path / "new"),
        load_images(str(source), normal="good"),
        "detect",
        Watcher(on_note=told.append),
    )
    assert any("not-checked: Near-duplicates could not be checked" in line for line in told)


@pytest.mark.parametrize("name", [*PERTURBATIONS, *GROSS])
def test_a_planted_change_is_visible_and_leaves_size_and_range(name: str) -> None:
    rng = np.random.default_rng(0)
    image, other = (rng.random((40, 32, 1)).astype(np.float32) for _ in range(2))
    changed = {**PERTURBATIONS, **GROSS}[name](image, rng, other)
    assert changed.shape == image.shape
    assert changed.min() >= 0
    assert changed.max() <= 1
    assert np.abs(changed - image).max() > 0.1


def test_new_images_unlike_those_of_calibration_are_drift_and_the_same_kind_are_not(
    finished, source, tmp_path
) -> None:
    images = load_images(str(source), normal="good")
    good = images[np.flatnonzero(~images.is_anomalous)]
    for name, change in (("alike", lambda x: x), ("negative", lambda x: 255 - x)):
        for row, image in enumerate(good):
            path = tmp_path / name / f"{row:03d}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(change(image[..., 0])).save(path)
    calibration = int((finished.read_images()["part"] == "calibration").sum())
    alike, negative = (
        score_run(finished.path, str(tmp_path / name), tmp_path / f"{name}.csv")
        for name in ("alike", "negative")
    )
    if calibration < 20:
        assert negative.drift is None  # too few calibration scores say nothing
        return
    assert (alike.drift.severity, negative.drift.severity) == ("ok", "error")


def test_judging_on_the_images_that_chose_the_threshold_is_told(finished, source, tmp_path) -> None:
    recorded = finished.read_images()
    chosen = [
        path
        for path, part in zip(recorded["path"].tolist(), recorded["part"].tolist(), strict=True)
        if part == "calibration"
    ]
    for path in chosen:
        target = tmp_path / "again" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((source / path).read_bytes())
    judged = evaluate_run(finished.path, str(tmp_path / "again"))
    told = next(one for one in judged.evaluation.findings if one.code == "test-reused")
    assert (told.severity, told.measured["n_reused"]) == ("error", len(chosen))


def test_a_run_tells_what_is_wrong_with_its_images_before_training_and_again_in_its_report(
    source, tmp_path
) -> None:
    files = sorted((source / "good").glob("*.png"))
    shutil.copytree(source, tmp_path / "parts")
    for row in range(12):
        shutil.copy(files[0], tmp_path / "parts" / "good" / f"copy-{row}.png")
    told: list[str] = []
    run = fit_run(
        options(tmp_path / "parts"), tmp_path / "run", watcher=Watcher(on_note=told.append)
    )
    # the worst first: copies lie across the parts, and within them
    assert any(text.startswith("error: leakage: ") and text.count(".") <= 1 for text in told)
    command = f"residua check {tmp_path / 'parts'} --normal good"
    assert any(text.endswith(command) for text in told)
    kept = read_check(run)
    assert "duplicates" in {one.code for one in kept}
    found = [one.code for one in evaluate_run(run.path).evaluation.findings]
    assert "duplicates" in found
    run.check.write_text('{"findings": 7}')
    assert read_check(run) == ()


def test_a_run_is_checked_once(run, source) -> None:
    told: list[str] = []
    check_images(
        run, load_images(str(source), normal="good"), "detect", Watcher(on_note=told.append)
    )
    assert told == []
    # other images than those the run was begun with
    images = load_images(str(source), normal="good")[:70]
    check_images(run, images, "detect", Watcher(on_note=told.append))
    assert told[-1].startswith("checked 70 images in ")


def test_classes_that_a_part_lacks_are_nothing_to_a_reconstructor(run) -> None:
    pictures = np.random.default_rng(0).integers(0, 200, (40, 12, 12)).astype(np.uint8)
    lacking = ImageSet.from_arrays(
        pictures, ["a"] * 30 + ["b"] * 10, splits=["train"] * 30 + ["test"] * 10
    )
    codes = []
    for job in ("classify", "reconstruct"):
        run.check.unlink()
        check_images(run, lacking, job, Watcher())
        codes.append({one.code for one in read_check(run)})
    assert ["class-balance" in told for told in codes] == [True, False]
