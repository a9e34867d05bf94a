"""A run keeps how its images were grouped: every command groups them in the same way."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import InputError, PolicyError
from residua.evaluation import Evidence
from residua.evaluation.report import write_html
from residua.evaluation.verification import verify_report
from residua.images import Grouping, ImageSet
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.open_run import open_run
from residua.runs.score import score_run
from residua.runs.threshold import change_threshold
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import load_bundle
from residua.training.fitting.images import usable_parts
from residua.training.fitting.options import DetectOptions
from residua.training.fitting.session import Notes
from runs import options
from training_wing import blobs

PATTERN = r"part(\d+)"


def folder_of(folder: Path, images: np.ndarray, label: str, start: int = 0) -> Path:
    """Two views of each part."""
    (folder / label).mkdir(parents=True)
    for number, image in enumerate(images):
        name = f"part{start + number // 2:02d}_{number % 2}.png"
        Image.fromarray(image[..., 0]).save(folder / label / name)
    return folder


@pytest.fixture(scope="module")
def grouped(tmp_path_factory) -> TrainedRun:
    place = tmp_path_factory.mktemp("grouped")
    folder_of(place / "parts", blobs(60), "good")
    folder_of(place / "parts", 255 - blobs(12, seed=7), "bad", 80)
    return fit_run(options(place / "parts", policy="quantile:0.8", groups=PATTERN), place / "run")


def columns_in(path: Path) -> dict[str, list[str]]:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_the_rule_is_stored_and_no_group_is_parted(grouped):
    state = grouped.read_state()
    assert state.options.groups == PATTERN
    assert state.grouping == Grouping(by="pattern", rule=PATTERN)
    recorded = grouped.read_images("path", "part")
    parts: dict[str, set[str]] = {}
    for path, part in zip(recorded["path"], recorded["part"], strict=True):
        held = "train" if part in ("validation", "left out") else part
        parts.setdefault(str(path)[-9:-6], set()).add(held)
    assert all(len(held) == 1 for held in parts.values())


def test_calibration_scores_know_their_groups(grouped):
    bundle = load_bundle(grouped.bundle)
    n = len(bundle.calibration_scores)
    assert len(bundle.calibration_groups) == n
    assert len(set(bundle.calibration_groups.tolist())) == n // 2
    groups = open_run(grouped.path).model().calibration.groups
    assert groups.tolist() == bundle.calibration_groups.tolist()


def test_the_threshold_is_promised_for_new_groups(grouped):
    point = load_bundle(grouped.bundle).config.operating_point
    assert point.promise == "new groups"
    assert change_threshold(grouped.path, "quantile:0.7").promise == "new groups"


def test_a_report_is_verified_with_its_groups(grouped, tmp_path):
    evaluation, evidence = evaluate_run(grouped.path)
    assert evaluation.metrics["roc_auc"].n_groups == evaluation.n_images // 2
    assert evidence.threshold_from == "calibration"
    path = write_html(tmp_path / "r.html", "groups", [(evaluation, evidence)])
    differing = [one.name for one in verify_report(path).differing]
    assert [name for name in differing if not name.startswith("finding")] == []


def test_evaluate_groups_as_the_run_was_and_otherwise_where_told(grouped, tmp_path):
    evaluation, evidence = evaluate_run(grouped.path)
    n = evaluation.n_images
    assert evaluation.provenance["groups"] == {
        "rule": f"the pattern '{PATTERN}'",
        "n_groups": n // 2,
    }
    assert len(set(evidence.groups.tolist())) == n // 2
    assert not any(one["about"] == "groups" for one in evaluation.provenance["assumptions"])
    stored = Evidence.load(grouped.evidence)
    assert stored.groups.tolist() == evidence.groups.tolist()
    assert stored.calibration_groups.tolist() == evidence.calibration_groups.tolist()
    other = evaluate_run(grouped.path, groups=r"_(\d)").evaluation
    assert other.provenance["groups"]["n_groups"] == 2


def test_another_source_is_grouped_alike_or_the_record_says_that_it_is_not(grouped, tmp_path):
    alike = folder_of(tmp_path / "alike", blobs(8, seed=3), "good", 50)
    evaluation = evaluate_run(grouped.path, str(alike)).evaluation
    assert evaluation.provenance["groups"]["n_groups"] == 4
    (tmp_path / "plain" / "good").mkdir(parents=True)
    for row, image in enumerate(blobs(4, seed=4)):
        Image.fromarray(image[..., 0]).save(tmp_path / "plain" / "good" / f"{row}.png")
    told = evaluate_run(grouped.path, str(tmp_path / "plain")).evaluation.provenance
    assert "groups" not in told
    assert any(one["about"] == "groups" for one in told["assumptions"])


def test_scores_stand_beside_their_groups(grouped, tmp_path):
    source = folder_of(tmp_path / "new", blobs(6, seed=3), "good", 50)
    score_run(grouped.path, str(source), tmp_path / "own.csv")
    assert columns_in(tmp_path / "own.csv")["group"] == ["50", "50", "51", "51", "52", "52"]
    score_run(grouped.path, str(source), tmp_path / "told.csv", groups=r"_(\d)")
    assert columns_in(tmp_path / "told.csv")["group"] == ["0", "1"] * 3
    with pytest.raises(InputError, match="piece by piece"):
        score_run(grouped.path, str(source), tmp_path / "twins.csv", groups="twins")


def test_a_threshold_for_known_groups_and_hidden_anomalies_is_stored_and_chosen_again(grouped):
    first = change_threshold(
        grouped.path, "quantile:0.7", promise="known-groups", contamination=0.1
    )
    assert (first.promise, first.contamination) == ("known groups", 0.1)
    assert evaluate_run(grouped.path).evidence.threshold_from == "calibration"
    kept = change_threshold(grouped.path, "quantile:0.7")
    assert (kept.promise, kept.contamination) == ("new groups", 0.1)
    assert change_threshold(grouped.path, "quantile:0.7", contamination=0).contamination is None


def test_groups_that_nobody_named_are_suspected_by_the_names_of_files(tmp_path):
    folder_of(tmp_path / "parts", blobs(60), "good")
    folder_of(tmp_path / "parts", 255 - blobs(12, seed=7), "bad", 80)
    run = fit_run(options(tmp_path / "parts", policy="quantile:0.8"), tmp_path / "run")
    found = {one.code: one for one in evaluate_run(run.path).evaluation.findings}["ungrouped"]
    assert found.measured["rule"] == PATTERN
    assert found.measured["n_seen"] > 0
    told = evaluate_run(run.path, groups=PATTERN).evaluation.findings
    assert "ungrouped" not in {one.code for one in told}


def test_a_policy_that_good_scores_could_support_is_not_refused_before_training():
    images = ImageSet.from_arrays(blobs(90), groups=np.repeat(np.arange(45), 2))
    asked = DetectOptions(policy="false-alarms<=0.05")
    usable_parts(asked, images, images, Notes(None))
    few = images[np.arange(60)]
    with pytest.raises(PolicyError, match="30 groups"):
        usable_parts(asked, images, few, Notes(None))
