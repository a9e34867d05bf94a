"""`export`, `engines` and `--engine` at the command line: what they write, say and refuse."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from residua.cli import main
from residua.training.export import onnx_file


@pytest.fixture(scope="module")
def exported_run(finished):
    """The finished run, exported once; no test here changes it."""
    with pytest.raises(SystemExit) as ended:
        main(["export", str(finished), "--quiet"])
    assert not ended.value.code
    return finished


def _spoilt(outputs):
    score, *others = outputs
    return (score + 1, *others)


def scores_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_export_says_how_it_was_verified_and_writes_the_file_with_its_card(residua, run):
    code, out, _ = residua("export", run, "--format", "onnx")
    assert code == 0
    assert "Verified on" in out
    assert "0 decisions of" in out
    assert sorted(path.name for path in (run / "export").iterdir()) == [
        "model.onnx",
        "model.onnx.json",
    ]
    card = json.loads((run / "export" / "model.onnx.json").read_text("utf-8"))
    assert card["operating_point"]["threshold"] == card["reference_threshold"]
    assert len(card["calibration_scores"]) == card["deviation"]["n_images"]


def test_an_export_that_differs_ends_with_three_and_leaves_nothing(residua, run, monkeypatch):
    forward = onnx_file._Whole.forward
    monkeypatch.setattr(
        onnx_file._Whole,
        "forward",
        lambda self, images: (forward(self, images)[0] + 1, *forward(self, images)[1:]),
    )
    code, _, err = residua("export", run)
    assert code == 3
    assert "scores differ by up to" in err
    assert not (run / "export").exists()
    assert [path.name for path in run.iterdir() if path.name.endswith(".part")] == []


def test_score_with_another_engine_gives_the_same_rows(residua, exported_run, source, tmp_path):
    for engine in ("torch", "onnx"):
        assert (
            residua(
                "score",
                exported_run,
                source,
                "--out",
                tmp_path / f"{engine}.csv",
                "--engine",
                engine,
            )[0]
            == 0
        )
    one, other = (scores_of(tmp_path / f"{engine}.csv") for engine in ("torch", "onnx"))
    assert one.keys() == other.keys()
    for path, row in one.items():
        assert np.isclose(float(row["score"]), float(other[path]["score"]), rtol=1e-4)
        assert (row["anomalous"], row["threshold"]) == (
            other[path]["anomalous"],
            other[path]["threshold"],
        )


def test_evaluate_says_which_engine_scored_and_how_far_it_is(residua, exported_run, tmp_path):
    code, _, _ = residua(
        "evaluate", exported_run, "--engine", "onnx", "--json", tmp_path / "e.json", "--quiet"
    )
    assert code == 0
    provenance = json.loads((tmp_path / "e.json").read_text("utf-8"))["provenance"]
    assert provenance["engine"] == "onnx"
    assert provenance["engine_deviation"]["different_decisions"] == 0


def test_an_engine_that_is_out_of_date_is_exported_again(residua, run, source, tmp_path):
    assert residua("export", run, "--quiet")[0] == 0
    before = json.loads((run / "export" / "model.onnx.json").read_text("utf-8"))[
        "reference_threshold"
    ]
    assert residua("threshold", run, "--policy", "quantile:0.5")[0] == 0
    code, _, err = residua("score", run, source, "--out", tmp_path / "s.csv", "--engine", "onnx")
    assert code == 0
    assert "exporting it" in err
    after = json.loads((run / "export" / "model.onnx.json").read_text("utf-8"))[
        "reference_threshold"
    ]
    assert after != before
    assert {float(row["threshold"]) for row in scores_of(tmp_path / "s.csv").values()} == {after}


def test_engines_prints_what_is_there_and_how_to_get_the_rest(
    residua, exported_run, tmp_path, monkeypatch
):
    monkeypatch.setattr("residua.engines.speed._SECONDS", 0.005)
    code, out, _ = residua("engines", exported_run, "--json", tmp_path / "engines.json")
    assert code == 0
    assert "openvino: " in out
    assert "--format openvino" in out
    rows = {
        row["engine"]: row for row in json.loads((tmp_path / "engines.json").read_text("utf-8"))
    }
    assert rows["torch"]["images_a_second"]["256"] > 0
    assert rows["onnx"]["images_a_second"]["1"] > 0
    assert rows["openvino"]["images_a_second"] == {}
    assert (
        json.loads((exported_run / "export" / "model.onnx.json").read_text("utf-8"))["speed"][
            "batch_1"
        ]
        > 0
    )


@pytest.mark.parametrize("arguments", [("--precision", "bfloat16"), ("--format", "tflite")])
def test_what_cannot_be_exported_is_the_users_mistake(residua, exported_run, arguments):
    assert residua("export", exported_run, *arguments)[0] == 2


def test_an_engine_that_is_mistyped_is_the_users_mistake(residua, exported_run):
    code, _, err = residua("evaluate", exported_run, "--engine", "onx")
    assert code == 2
    assert "Did you mean onnx" in err


def test_an_engine_that_a_cluster_would_ignore_is_refused(residua, finished, source, tmp_path):
    for arguments in (
        ("score", finished, source, "--out", tmp_path / "scores.csv"),
        ("evaluate", finished),
    ):
        code, _, said = residua(*arguments, "--engine", "onnx", "--cluster", "local")
        assert code == 2
        assert "--engine onnx" in said
