"""A wrapped model saved as a RUN: the commands take it, torch is not loaded, and code is never stored."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from identity import onnx_file

import residua
from residua.errors import BundleError, InputError, OutputError
from residua.wrapping import open_wrapped


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrapped")
    model = residua.wrap(onnx_file(folder / "m.onnx", ["n", 8, 8, 1]), values="unit")
    return model.save(folder / "run", source="digits", normal="0", policy="quantile:0.9")


def test_the_commands_judge_threshold_score_and_report_a_wrapped_run_without_torch(saved, tmp_path):
    script = f"""
        import sys
        from residua.cli import main
        def run(*words):
            try:
                main([str(word) for word in words])
            except SystemExit as ended:
                assert not ended.code, (words, ended.code)
        run("evaluate", {str(saved)!r}, "--json", {str(tmp_path / "e.json")!r})
        run("threshold", {str(saved)!r}, "--policy", "quantile:0.8")
        run("score", {str(saved)!r}, "digits", "--out", {str(tmp_path / "s.csv")!r}, "--quiet")
        run("report", {str(saved)!r}, "--out", {str(tmp_path / "r.html")!r})
        sys.exit(f"loaded torch" if "torch" in sys.modules else 0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "e.json").read_text("utf-8"))
    assert record["job"] == "detect"
    assert record["operating_point"]["policy"] == "quantile:0.9"
    assert {"pca", "pixel_neighbours"} <= record["baselines"].keys()
    assert (tmp_path / "s.csv").read_text("utf-8").startswith("path,label,score,threshold,anomalous,mse,mae,ssim")
    assert (tmp_path / "r.html").stat().st_size > 1000
    assert open_wrapped(saved)[1].operating_point.policy == "quantile:0.8"


def test_a_saved_model_scores_as_before(saved):
    model, state = open_wrapped(saved)
    images = residua.load_images("digits", normal="0").calibration
    assert np.array_equal(model.anomaly_scores(images), np.array(state.calibration_scores, np.float32))


@pytest.mark.parametrize("model", [lambda x: x, torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Sigmoid())])
def test_code_is_not_saved_and_the_way_forward_is_named(model, tmp_path):
    wrapped = residua.wrap(model, values="unit", size=(8, 8), channels=1)
    with pytest.raises(InputError, match=r"Export it to ONNX.*evaluate, choose_threshold and report"):
        wrapped.save(tmp_path / "run", source="digits", normal="0")


def test_damage_and_strangers_are_refused(saved, tmp_path):
    import shutil

    copied = tmp_path / "run"
    shutil.copytree(saved, copied)
    (copied / "model.onnx").write_bytes(b"something else")
    with pytest.raises(BundleError, match="must be the model that was saved"):
        open_wrapped(copied)
    state = json.loads((copied / "wrapped.json").read_text("utf-8"))
    (copied / "wrapped.json").write_text(json.dumps({**state, "file": "../elsewhere.onnx"}), encoding="utf-8")
    with pytest.raises(BundleError, match="must lie in the run"):
        open_wrapped(copied)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="holds other files"):
        open_wrapped(saved)[0].save(tmp_path / "other", source="digits", normal="0")
