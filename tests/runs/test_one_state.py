"""One state: after `threshold`, the stored evaluation is that of the threshold that is served, made
from stored scores, and whatever reads another one notices."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.evaluation.other_threshold import at_operating_point
from residua.findings.figures import Figure
from residua.records import not_applicable_of
from residua.runs.compare import compare_runs
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.judgement import (
    Judgement,
    current_judgement,
    describe_stored,
    fit_of,
    stored_judgement,
)
from residua.runs.open_run import open_run
from residua.runs.progress import Watcher
from residua.runs.report import report_run
from residua.runs.threshold import change_threshold
from residua.runs.trained_run import TrainedRun
from residua.thresholds import choose_threshold
from runs import options
from training_wing import blobs

LOW = "quantile:0.5"


def write_marked(folder: Path) -> Path:
    """Normal images and defects with masks, some of the test images copies of training images."""
    (folder / "train" / "good").mkdir(parents=True)
    for kind in ("good", "bad"):
        (folder / "test" / kind).mkdir(parents=True)
    (folder / "ground_truth" / "bad").mkdir(parents=True)
    for row, image in enumerate(blobs(40)):
        Image.fromarray(image[..., 0]).save(folder / "train" / "good" / f"{row}.png")
    test = np.concatenate([blobs(40)[:3], blobs(12, seed=5)])
    for row, image in enumerate(test):
        Image.fromarray(image[..., 0]).save(folder / "test" / "good" / f"{row}.png")
    for row, image in enumerate(blobs(8, seed=7)):
        image[:5, :5] = 255 - image[:5, :5] // 4
        mask = np.zeros((12, 12), np.uint8)
        mask[:5, :5] = 255
        Image.fromarray(image[..., 0]).save(folder / "test" / "bad" / f"{row}.png")
        Image.fromarray(mask).save(folder / "ground_truth" / "bad" / f"{row}_mask.png")
    return folder


@pytest.fixture(scope="module")
def marked(tmp_path_factory) -> TrainedRun:
    """An evaluated detector with masks, leaked images, and pixel metrics."""
    folder = tmp_path_factory.mktemp("marked")
    run = fit_run(options(write_marked(folder / "parts")), folder / "run")
    evaluate_run(run.path)
    return run


@pytest.fixture
def evaluated(marked, tmp_path) -> TrainedRun:
    shutil.copytree(marked.path, tmp_path / "run")
    return TrainedRun(tmp_path / "run")


def said(judged: Judgement) -> dict:
    """Everything that a judgement claims but when it was made."""
    told = judged.evaluation.model_dump(mode="json")
    for name in ("date", "command"):  # the command names the folder
        del told["provenance"][name]
    arrays = judged.evidence.figures.items()
    return {
        **told,
        "threshold_from": judged.evidence.threshold_from,
        "figures": {code: drawn(figure) for code, figure in sorted(arrays)},
    }


def drawn(figure: Figure) -> dict:
    return {name: one.tolist() for name, one in figure.to_arrays().items()}


@pytest.mark.parametrize("policy", [LOW, "9", "0.0000001"])
def test_judging_again_from_scores_gives_what_judging_the_images_again_gives(evaluated, policy):
    before = stored_judgement(evaluated)
    codes = {one.code for one in before.evaluation.findings}
    assert {"leakage", "blind-spots"} <= codes
    assert before.evidence.leaks.leaked.any()
    point = change_threshold(evaluated.path, policy)
    again = stored_judgement(evaluated)
    assert again.evaluation.operating_point == point
    assert again.evaluation.metrics["flagged_rate"] != before.evaluation.metrics["flagged_rate"]
    assert "pixel_roc_auc" in again.evaluation.metrics
    assert said(again) == said(evaluate_run(evaluated.path))


def test_no_image_is_read_to_judge_again(evaluated):
    source = Path(evaluated.origin().source)
    aside = source.with_name("elsewhere")
    source.rename(aside)
    try:
        point = change_threshold(evaluated.path, LOW)
        assert current_judgement(evaluated.path).evaluation.operating_point == point
    finally:
        aside.rename(source)


def test_an_evaluation_of_another_threshold_is_judged_again_when_it_is_read(evaluated, tmp_path):
    stored = [evaluated.evaluation.read_bytes(), evaluated.evidence.read_bytes()]
    point = change_threshold(evaluated.path, LOW)
    wanted = said(stored_judgement(evaluated))
    evaluated.evaluation.write_bytes(
        stored[0]
    )  # as an earlier version, or another machine, left it
    evaluated.evidence.write_bytes(stored[1])
    assert fit_of(evaluated, stored_judgement(evaluated).evaluation) == "another threshold"
    assert describe_stored(evaluated)["fit"] == "another threshold"
    notes: list[str] = []
    judged = current_judgement(evaluated.path, Watcher(on_note=notes.append))
    assert said(judged) == wanted
    assert f"its threshold is {point.threshold:.6g}" in notes[0]
    assert evaluated.evaluation.read_bytes() == stored[0]  # a reader writes nothing
    page = report_run(evaluated.path, tmp_path / "report.html").read_text("utf-8")
    assert f'"threshold":{json.dumps(point.threshold)}' in page


def test_compare_reads_both_at_the_threshold_that_they_have(evaluated, marked):
    change_threshold(evaluated.path, "0.0000001")
    standings = compare_runs([evaluated.path, marked.path]).standings
    flagged = [one.metrics["recall"].value for one in standings if "recall" in one.metrics]
    assert flagged == [] or flagged[0] == 1
    judged = current_judgement(evaluated.path).evaluation
    assert judged.metrics["recall"].value == 1


def test_an_evaluation_of_another_model_is_made_again(evaluated, marked):
    fits = stored_judgement(evaluated).evaluation
    assert fit_of(evaluated, fits) == "fits"
    told = {**fits.provenance, "weights_sha256": "0" * 64}
    other = fits.model_copy(update={"provenance": told})
    assert fit_of(evaluated, other) == "another model"
    evaluated.evaluation.write_text(other.model_dump_json(), "utf-8")
    notes: list[str] = []
    assert said(current_judgement(evaluated.path, Watcher(on_note=notes.append))) == said(
        stored_judgement(marked)
    )
    assert "evaluated again: it holds another model" in notes[0]


def test_what_an_earlier_version_did_not_keep_is_left_out_and_named(evaluated):
    from dataclasses import replace

    judged = stored_judgement(evaluated)
    bare = replace(judged.evidence, changed=None, leaks=None)
    point = choose_threshold("0.0000001", [])
    record, evidence = at_operating_point(judged.evaluation, bare, point)
    codes = {one.code: one for one in record.findings}
    assert "blind-spots" not in codes
    assert "blind-spots" not in evidence.figures
    assert "blind spots" in {one.what for one in not_applicable_of(record.provenance)}
    without = codes["leakage"].measured["metrics_without"]
    assert "roc_auc" in without
    assert "false_alarm_rate" not in without


def test_a_threshold_of_a_wrapped_or_unevaluated_run_leaves_nothing_stale(run):
    assert describe_stored(run) is None
    change_threshold(run.path, LOW)
    assert not run.evaluation.exists()


def test_reading_what_is_stored_loads_no_torch(evaluated, tmp_path):
    other = shutil.copytree(evaluated.path, tmp_path / "other")
    script = f"""
import sys
from pathlib import Path
from residua.runs.compare import compare_runs
from residua.runs.open_run import open_run
from residua.runs.report import report_run
runs = [Path({str(evaluated.path)!r}), Path({str(other)!r})]
report_run(runs[0], {str(tmp_path / "report.html")!r})
compare_runs(runs)
open_run(runs[0]).summary()
sys.exit("loaded torch" if "torch" in sys.modules else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_edited_bundle_is_refused_by_who_reads_its_threshold(evaluated):
    path = evaluated.bundle / "bundle.json"
    body = json.loads(path.read_text("utf-8"))
    body["config"]["operating_point"]["threshold"] = 5.0
    path.write_text(json.dumps(body), "utf-8")
    with pytest.raises(Exception, match="checksum"):
        current_judgement(evaluated.path)
    assert open_run(evaluated.path).identity()
