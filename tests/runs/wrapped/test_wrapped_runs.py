"""A wrapped model saved as a RUN: the commands take it, torch is not loaded, and code is never
stored."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pyarrow.parquet
import pytest
import torch
from identity import few_digits, onnx_file, with_weights_beside
from PIL import Image

import residua
from residua.engines import KINDS
from residua.errors import BundleError, InputError, LabelError, OutputError
from residua.runs.compare import compare_runs
from residua.runs.engines import export_run
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.open_run import open_run
from residua.runs.report import report_run
from residua.runs.score import score_run
from residua.runs.tables import ChunkFiles
from residua.runs.wrapped_run import open_wrapped
from residua.server import Limits, load_model
from residua.training.fitting.options import make_options
from training_wing import blobs


@pytest.fixture(scope="module")
def few(tmp_path_factory) -> str:
    return few_digits(tmp_path_factory.mktemp("few"))


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
        run("info", {str(saved)!r}, "--json", {str(tmp_path / "i.json")!r})
        sys.exit(f"loaded torch" if "torch" in sys.modules else 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "e.json").read_text("utf-8"))
    assert record["job"] == "detect"
    assert record["operating_point"]["policy"] == "quantile:0.9"
    assert {"pca_2", "pca_32", "pixel_neighbours"} <= record["baselines"].keys()
    assert (
        (tmp_path / "s.csv")
        .read_text("utf-8")
        .startswith("path,label,split,score,threshold,anomalous,mse,mae,ssim")
    )
    assert (tmp_path / "r.html").stat().st_size > 1000
    assert open_wrapped(saved)[1].operating_point.policy == "quantile:0.8"


def test_a_saved_model_scores_as_before(saved):
    model, state = open_wrapped(saved)
    images = residua.load_images("digits", normal="0").calibration
    assert np.array_equal(
        model.anomaly_scores(images), np.array(state.calibration_scores, np.float32)
    )


def test_a_wrapped_run_scores_into_the_same_tables_with_maps_as_our_own(saved, tmp_path):
    done = [score_run(saved, "digits", tmp_path / name) for name in ("s.csv", "s.parquet")]
    table = pyarrow.parquet.read_table(tmp_path / "s.parquet")
    rows = [row.split(",") for row in (tmp_path / "s.csv").read_text("utf-8").splitlines()[1:]]
    scores = np.array([row[3] for row in rows], np.float32)
    assert np.array_equal(np.asarray(table["score"], np.float32), scores)
    assert {row[2] for row in rows} == {"train", "calibration", "test"}
    assert done[0].n_images == done[1].n_images == len(scores)
    np.save(tmp_path / "few.npy", blobs(3, (9, 12)))
    score_run(saved, str(tmp_path / "few.npy"), tmp_path / "few.csv", maps=tmp_path / "maps")
    written = sorted((tmp_path / "maps").glob("*.png"))
    assert len(written) == 3
    with Image.open(written[0]) as picture:
        assert picture.size == (12, 9)
    with pytest.raises(InputError, match="must end in"):
        score_run(saved, "digits", tmp_path / "s.txt")


def test_a_file_of_scores_has_one_writer(saved, tmp_path):
    with (
        ChunkFiles(tmp_path / "s.csv").only_writer(),
        pytest.raises(OutputError, match="only one process may write"),
    ):
        score_run(saved, "digits", tmp_path / "s.csv")
    assert score_run(saved, "digits", tmp_path / "s.csv").n_images > 0
    # What was scored stays known, for a source that grows.
    assert {path.name for path in tmp_path.iterdir()} == {"s.csv", ".s.csv.resume"}


def test_a_report_of_a_wrapped_model_has_what_ours_has(saved):
    evaluation, evidence = evaluate_run(saved)
    found = {one.code for one in evaluation.findings}
    assert {"leakage", "drift", "blind-spots", "overfitting", "not-better-than-baseline"} <= found
    assert evidence.gallery.error_maps.shape[1:] == (8, 8)
    assert len(evidence.gallery.nearest_paths) == len(evidence.gallery.index)
    assert len(evidence.thumbnails.index) == len(evidence.paths)


def test_copies_of_training_images_and_images_that_chose_the_threshold_are_told():
    images = residua.load_images("digits", normal="0")
    model = residua.wrap(lambda x: x * 0.9, values="unit", size=(8, 8), channels=1)
    model.choose_threshold("quantile:0.9", images.calibration)

    def severities(judged):
        return {
            one.code: one.severity for one in model.evaluate(judged, train=images.train).findings
        }

    healthy = severities(images.test[:60])
    assert healthy["leakage"] == "ok"
    assert "test-reused" not in healthy
    assert severities(images.calibration[:60])["test-reused"] == "error"
    assert severities(images.train[:60])["leakage"] == "error"


@pytest.mark.parametrize(
    "model", [lambda x: x, torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Sigmoid())]
)
def test_code_is_not_saved_and_the_way_forward_is_named(model, tmp_path):
    wrapped = residua.wrap(model, values="unit", size=(8, 8), channels=1)
    with pytest.raises(
        InputError, match=r"Export it to ONNX.*evaluate, choose_threshold and report"
    ):
        wrapped.save(tmp_path / "run", source="digits", normal="0")


def test_a_model_is_not_trained_into_the_folder_of_a_wrapped_one(saved):
    before = (saved / "images.csv").read_bytes()
    options = make_options("detect", source="digits", normal=("0",), settings={"epochs": 1})
    for resume in (False, True):
        with pytest.raises(OutputError, match="It holds a wrapped one"):
            fit_run(options, saved, resume=resume)
    assert (saved / "images.csv").read_bytes() == before
    assert not (saved / "run.json").exists()


def test_a_source_that_has_shrunk_or_grown_is_told_of_a_wrapped_run_too(tmp_path):
    for label, images in (("good", blobs(40)), ("bad", 255 - blobs(8, seed=7))):
        (tmp_path / "parts" / label).mkdir(parents=True)
        for index, image in enumerate(images):
            Image.fromarray(image[..., 0]).save(tmp_path / "parts" / label / f"{index:03d}.png")
    model = residua.wrap(onnx_file(tmp_path / "m.onnx", ["n", 12, 12, 1]), values="unit")
    run = model.save(tmp_path / "run", source=str(tmp_path / "parts"), policy="quantile:0.8")

    def told():
        found = {one.code: one for one in evaluate_run(run).evaluation.findings}
        return found.get("source-changed")

    assert told() is None
    Image.fromarray(blobs(1, seed=9)[0, ..., 0]).save(tmp_path / "parts" / "good" / "new.png")
    assert (told().severity, told().measured["n_new"]) == ("note", 1)
    rows = open_run(run).read_images("path", "part")
    (tmp_path / "parts" / rows["path"][rows["part"] == "test"][0]).unlink()
    assert (told().severity, told().measured["n_missing"]) == ("warning", 1)
    open_run(run).images.unlink()
    with pytest.raises(BundleError, match="nothing tells which images are the test part"):
        told()


def test_damage_and_strangers_are_refused(saved, tmp_path):
    copied = tmp_path / "run"
    shutil.copytree(saved, copied)
    (copied / "model.onnx").write_bytes(b"something else")
    with pytest.raises(BundleError, match="must be the model that was saved"):
        open_wrapped(copied)
    state = json.loads((copied / "wrapped.json").read_text("utf-8"))
    (copied / "wrapped.json").write_text(
        json.dumps({**state, "file": "../elsewhere.onnx"}), encoding="utf-8"
    )
    with pytest.raises(BundleError, match="must lie in the run"):
        open_wrapped(copied)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="holds other files"):
        open_wrapped(saved)[0].save(tmp_path / "other", source="digits", normal="0")


def test_a_wrapped_classifier_is_a_run_that_is_judged_and_served_by_its_classes(tmp_path):
    np.savez(
        tmp_path / "two.npz",
        x_train=np.stack(
            [np.full((8, 8), 20 + 200 * (row % 2) + row % 5, np.uint8) for row in range(40)]
        ),
        y_train=np.array([row % 2 for row in range(40)]),
        x_test=np.stack(
            [np.full((8, 8), 30 + 190 * (row % 2) + row % 7, np.uint8) for row in range(20)]
        ),
        y_test=np.array([row % 2 for row in range(20)]),
    )
    model = residua.wrap(
        onnx_file(tmp_path / "m.onnx", ["n", 8, 8, 1], two_classes=True), values="unit"
    )
    model.save(tmp_path / "run", source=str(tmp_path / "two.npz"))
    evaluation, _ = evaluate_run(tmp_path / "run")
    assert evaluation.job == "classify"
    assert evaluation.metrics["accuracy"].value == 1.0
    assert report_run(tmp_path / "run", tmp_path / "report.html").stat().st_size > 1000
    served = load_model(tmp_path / "run")
    assert served.describe(Limits()).classes == ["0", "1"]


@pytest.mark.slow
def test_wrapped_models_stand_beside_others_and_commands_that_need_ours_say_so(
    saved, few, tmp_path
):
    other = residua.wrap(
        onnx_file(tmp_path / "m.onnx", ["n", 8, 8, 1]), values="unit", error="absolute"
    )
    other.save(tmp_path / "absolute", source="digits", normal="0")
    comparison = compare_runs([saved, tmp_path / "absolute"])
    assert [one.name for one in comparison.standings] == ["run", "absolute"]
    assert report_run([saved, tmp_path / "absolute"], tmp_path / "both.html").stat().st_size > 1000
    before = (saved / "evaluation.json").read_bytes()
    this_week = compare_runs([saved, tmp_path / "absolute"], few)
    assert (this_week.n_images, this_week.findings) == (50, ())
    digits = residua.load_images("digits", normal="0")
    seen, other = digits.train[:20], digits.test[:20]
    np.savez(
        tmp_path / "seen.npz",
        x=np.concatenate([seen.array(), other.array()]),
        y=np.concatenate([seen.labels, other.labels]).astype(str),
    )
    leaking = compare_runs([saved, tmp_path / "absolute"], str(tmp_path / "seen.npz"))
    assert [one.code for one in leaking.findings] == ["leakage", "leakage"]
    assert leaking.findings[1].meaning.startswith("absolute: ")
    assert (saved / "evaluation.json").read_bytes() == before
    with pytest.raises(BundleError, match="Got a wrapped model"):
        export_run(saved, KINDS["onnx"])


def test_weights_beside_an_onnx_file_are_loaded_from_there_copied_hashed_and_verified(
    few, tmp_path, monkeypatch
):
    for name, by in (("own", 0.9), ("other", 0.1)):
        (tmp_path / name).mkdir()
        with_weights_beside(tmp_path / name / "model.onnx", (8, 8), by)
    monkeypatch.chdir(tmp_path / "other")
    white = np.full((2, 8, 8, 1), 255, np.uint8)
    model = residua.wrap("../own/model.onnx", values="unit")
    assert model.anomaly_scores(white) == pytest.approx([0.01, 0.01], rel=1e-4)
    run = model.save(tmp_path / "run", source=few, normal="0")
    shutil.rmtree(tmp_path / "own")
    assert open_wrapped(run)[0].anomaly_scores(white) == pytest.approx([0.01, 0.01], rel=1e-4)
    shutil.copyfile(tmp_path / "other" / "model.onnx.data", run / "model.onnx.data")
    with pytest.raises(BundleError, match=r"model\.onnx\.data: must be the model that was saved"):
        open_wrapped(run)
    (run / "model.onnx.data").unlink()
    with pytest.raises(BundleError, match="must lie beside the model"):
        open_wrapped(run)


def test_weights_named_as_a_runs_own_files_are_refused(few, tmp_path):
    model = residua.wrap(
        with_weights_beside(tmp_path / "m.onnx", (8, 8), 0.9, location="wrapped.json"),
        values="unit",
    )
    with pytest.raises(InputError, match="must not be named as a RUN's own files are"):
        model.save(tmp_path / "run", source=few, normal="0")


def test_a_save_that_was_refused_leaves_nothing_and_one_after_it_replaces_what_was_there(
    few, saved, tmp_path
):
    model = residua.wrap(lambda x: x, values="unit", size=(8, 8), channels=1)
    with pytest.raises(InputError, match="which is code"):
        model.save(tmp_path / "run", source=few, normal="0")
    assert list(tmp_path.iterdir()) == []
    model = open_wrapped(saved)[0]
    with pytest.raises(LabelError, match="must occur in the source"):
        model.save(tmp_path / "run", source=few, normal="ten")
    assert list(tmp_path.iterdir()) == []
    run = model.save(tmp_path / "run", source=few, normal="0")
    evaluate_run(run)
    assert (run / "evaluation.json").exists()
    model.save(run, source=few, normal="1")
    assert open_wrapped(run)[1].normal == ("1",)
    # What was tested stays on record, whatever model is saved here.
    records = [".tested.lock", "tested.json"]
    kept = [".lock", *records, "check.json", "images.csv", "model.onnx", "wrapped.json"]
    assert sorted(one.name for one in run.iterdir()) == sorted(kept)
    assert [one.name for one in tmp_path.iterdir()] == ["run"]


@pytest.mark.slow
def test_a_keras_model_of_layers_that_only_this_process_knows_is_not_saved(few, tmp_path):
    import keras

    @keras.saving.register_keras_serializable()
    class Doubling(keras.layers.Layer):
        def call(self, x):
            return x * 2

    out = keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")
    for layer, reason in (
        (keras.layers.Lambda(lambda x: x * 2), "Lambda"),
        (Doubling(), "could not be deserialized"),
    ):
        model = residua.wrap(keras.Sequential([keras.Input((8, 8, 1)), layer, out]))
        with pytest.raises(InputError, match=rf"must load again.*{reason}.*without Lambda"):
            model.save(tmp_path / "run", source=few, normal="0")
        assert list(tmp_path.iterdir()) == []


def test_a_wrapped_run_keeps_its_groups(tmp_path):
    (tmp_path / "parts" / "good").mkdir(parents=True)
    for row, image in enumerate(blobs(24)):
        name = f"part{row // 2:02d}_{row % 2}.png"
        Image.fromarray(image[..., 0]).save(tmp_path / "parts" / "good" / name)
    model = residua.wrap(onnx_file(tmp_path / "m.onnx", ["n", 8, 8, 1]), values="unit")
    run = model.save(
        tmp_path / "run",
        source=str(tmp_path / "parts"),
        normal="good",
        policy="quantile:0.5",
        groups=r"part(\d+)",
    )
    numbers = open_run(run).model().calibration.groups
    assert len(set(numbers.tolist())) == len(numbers) // 2
    evaluation, evidence = evaluate_run(run)
    assert evaluation.provenance["groups"]["n_groups"] == evaluation.n_images // 2
    assert len(evidence.groups) == evaluation.n_images
    assert "calibration_groups" not in open_run(run).summary()
