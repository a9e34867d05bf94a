"""Exported files and models from elsewhere behind the server: the same bits in any company, no
torch, and a word on speed."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import residua
from residua.engines import KINDS
from residua.errors import InputError
from residua.runs.engines import export_run
from residua.server import Limits, load_model, serve_wrapped
from residua.server.load import advise_on_engine
from serving import asking, encoded
from training_wing import blobs

BINARY = {"content-type": "application/octet-stream"}
SIZES = [(12, 12), (12, 12), (30, 17), (9, 40), (12, 12), (20, 21)]


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory) -> Path:
    pytest.importorskip("onnxruntime")
    copied = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(run, copied)
    export_run(copied, KINDS["onnx"])
    return copied


def test_an_exported_engine_answers_the_same_bits_whoever_else_asks(exported):
    pictures = [encoded(blobs(1, size, seed=seed)[0]) for seed, size in enumerate(SIZES)]
    model = load_model(exported, "onnx")
    with asking(model) as client:

        def ask(row: int) -> float:
            return client.post("/v1/score", content=pictures[row], headers=BINARY).json()["score"]

        alone = [ask(row) for row in range(len(pictures))]
        order = [row for row in range(len(pictures)) for _ in range(6)]
        random.Random(0).shuffle(order)
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(ask, order)) == [alone[row] for row in order]
        together = client.post(
            "/v1/score-batch", files=[("images", ("x", data)) for data in pictures]
        ).json()["images"]
        assert [one["result"]["score"] for one in together] == alone


def test_an_exported_run_is_served_without_torch_even_where_nothing_but_the_export_is_left(
    exported, tmp_path
):
    shutil.copytree(exported / "export", tmp_path / "elsewhere" / "export")
    script = f"""
        import sys
        from residua.server import load_model
        for run in ({str(exported)!r}, {str(tmp_path / "elsewhere")!r}):
            model = load_model(run, "onnx")
            assert model.engine.score([model.warm_up_image()], maps=True).maps[0].shape == (12, 12)
            assert model.looks["height"] == [12, 12]
        sys.exit("loaded torch" if "torch" in sys.modules else 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_image_that_the_engine_does_not_take_is_refused_and_not_its_neighbour(exported):
    model = load_model(exported, "onnx")
    inner = model.engine if hasattr(model.engine, "card") else model.engine._engine
    inner.card = inner.card.model_copy(update={"aspect": "area"})
    good, long = (
        encoded(blobs(1, (12, 12), seed=1)[0]),
        encoded(np.zeros((1_000, 60_000), np.uint8)),
    )
    with asking(model, Limits(pixels=10**8)) as client:
        assert client.post("/v1/score", content=good, headers=BINARY).status_code == 200
        inner.card = inner.card.model_copy(update={"size": (512, 512)})
        refused = client.post("/v1/score", content=long, headers=BINARY)
        assert (refused.status_code, refused.json()["code"]) == (422, "not-taken")
        assert "60,000 x 1,000 pixels" in refused.json()["message"]


def test_whoever_starts_a_server_is_told_how_it_was_verified_or_how_to_be_faster(
    run, exported, tmp_path
):
    assert f"residua export {run} --format onnx, then serve with --engine onnx" in advise_on_engine(
        run, "torch"
    )
    faster = advise_on_engine(exported, "torch")
    assert "--engine onnx, which is there: decided" in faster
    assert "residua engines" in faster
    assert "one image at a time, so that a score depends on its image alone" in advise_on_engine(
        exported, "onnx"
    )


def half(x):
    return x * 0.5


def test_a_wrapped_function_is_served_from_python_with_threshold_rank_and_map():
    model = residua.wrap(half, values="unit", size=(12, 12), channels=1)
    model.choose_threshold("quantile:0.9", blobs(30, seed=1))
    pixels = blobs(1, (20, 17), seed=2)[0]
    with asking(serve_wrapped(model, "half")) as client:
        answer = client.post("/v1/score", content=encoded(pixels), headers=BINARY).json()
        assert np.float32(answer["score"]) == model.anomaly_scores([pixels])[0]
        assert answer["threshold"] == model.operating_point_.threshold
        assert answer["rank"]["n_normals"] == 30
        assert [name for one in answer["findings"] for name in one["measured"]][:2] == [
            "height",
            "width",
        ]
        facts = client.get("/v1/model").json()
        assert (facts["name"], facts["recipe"], facts["engine"]) == (
            "half",
            "wrapped callable model",
            "wrapped",
        )
        pictures = client.post(
            "/v1/score?pictures=true", content=encoded(pixels), headers=BINARY
        ).json()["pictures"]
        assert pictures["reconstruction"].startswith("data:image/")
        assert (
            client.post("/v1/map", content=encoded(pixels), headers=BINARY).headers["content-type"]
            == "image/png"
        )


def test_a_wrapped_classifier_is_served_with_its_classes_by_name():
    def model(x):
        bright = x.mean(axis=(1, 2, 3)) > 0.5
        return x * 0.9, np.stack([0.9 - 0.8 * bright, 0.1 + 0.8 * bright], axis=1)

    wrapped = residua.wrap(model, values="unit", size=(12, 12), channels=1)
    with asking(serve_wrapped(wrapped, classes=["dark", "light"])) as client:
        white = encoded(np.full((12, 12, 1), 250, np.uint8))
        answer = client.post("/v1/score", content=white, headers=BINARY).json()
        assert answer["predicted"] == ["light"]
        assert answer["probabilities"]["light"] == pytest.approx(0.9)
    with pytest.raises(InputError, match="3 names for 2 columns"):
        serve_wrapped(wrapped, classes=["a", "b", "c"])
    with pytest.raises(InputError, match="1 names for no columns"):
        serve_wrapped(residua.wrap(half, values="unit", size=(12, 12), channels=1), classes=["a"])


def test_a_saved_wrapped_model_is_served_by_its_run_without_torch(exported, tmp_path):
    place = tmp_path / "wrapped"
    script = f"""
        import sys
        import residua
        from residua.server import load_model
        from residua.server.load import advise_on_engine
        sys.path.insert(0, {str(Path(__file__).parents[1] / "runs" / "wrapped")!r})
        from identity import onnx_file
        model = residua.wrap(onnx_file({str(tmp_path / "m.onnx")!r}, ["n", 8, 8, 1]), values="unit", batch_size=1)
        model.save({str(place)!r}, source="digits", normal="0")
        served = load_model({str(place)!r})
        assert served.facts.operating_point is not None and len(served.normals)
        image = served.warm_up_image()
        assert served.engine.score([image]).score[0] == model.anomaly_scores(image[None])[0]
        assert "wrapped model itself" in advise_on_engine({str(place)!r}, "torch")
        sys.exit("loaded torch" if "torch" in sys.modules else 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    with pytest.raises(InputError, match="a wrapped model scores by itself"):
        load_model(place, "onnx")
