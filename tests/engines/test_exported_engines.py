"""Exported engines run without torch, at any batch, and take the processors that are free."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training" / "export"))

from exporting import exported

from residua.engines import file_engines as exported_engines, load_engine, score_with
from residua.engines.interface import OneByOne
from residua.engines.speed import images_a_second
from residua.errors import InputError, ShapeError
from residua.images import ImageSet
from residua.images.resize import fit_to
from training_wing import blobs


def test_scoring_an_exported_file_loads_no_torch(tmp_path):
    _, folder, _ = exported("plain", 1, "onnx")
    script = f"""
        import sys
        import numpy as np
        from residua.engines import load_engine
        scores = load_engine({str(folder)!r}, "onnx").score([np.zeros((9, 11, 1), np.uint8)], maps=True)
        assert scores.maps[0].shape == (9, 11) and len(scores.columns) == 3
        sys.exit(f"loaded {{sorted(set(sys.modules) & {{'torch', 'onnx', 'lightning'}})}}" if "torch" in sys.modules else 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_alone_and_in_company_scores_agree_within_the_stored_deviation(engine):
    bundle, folder, card = exported("plain", 1, engine)
    images = ImageSet.from_arrays(blobs(9, bundle.config.size, seed=11))
    opened = load_engine(folder, engine)
    together = score_with(opened, images).score
    alone = np.concatenate([opened.score([images[row]], columns=False).score for row in range(9)])
    assert np.abs(together - alone).max() <= 2 * card.deviation.score + 1e-6


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_one_by_one_a_score_is_the_same_bits_in_any_company(engine):
    bundle, folder, _ = exported("plain", 1, engine)
    images = [
        blobs(1, size, seed=seed)[0]
        for seed, size in enumerate([bundle.config.size] * 5 + [(30, 11), (9, 9)])
    ]
    opened = OneByOne(load_engine(folder, engine))
    together = opened.score(images, maps=True)
    for row in (6, 0, 3):
        alone = opened.score([images[row]], maps=True)
        assert alone.score[0] == together.score[row]
        assert np.array_equal(alone.maps[0], together.maps[row])
        assert all(
            alone.columns[name][0] == column[row] for name, column in together.columns.items()
        )
    assert len(opened.score([]).score) == 0


def test_columns_are_left_out_where_nobody_asks():
    bundle, folder, _ = exported("plain", 1, "onnx")
    engine = load_engine(folder, "onnx")
    scores = engine.score(list(blobs(3, bundle.config.size)), columns=False)
    assert scores.columns == {}
    assert scores.maps is None
    assert scores.reconstructions is None
    assert set(engine.score([]).columns) == {"mse", "mae", "ssim"}


def test_images_of_another_number_of_channels_are_refused():
    _, folder, _ = exported("plain", 1, "onnx")
    with pytest.raises(ShapeError, match="must be grey"):
        load_engine(folder, "onnx").score([np.zeros((9, 9, 3), np.uint8)])


@pytest.mark.parametrize(
    ("load", "asked", "threads"),
    [(0.0, "", 4), (3.2, "", 1), (9.0, "", 1), (0.0, "2", 2), (0.0, "x", 4)],
)
def test_engines_take_the_processors_that_are_free(monkeypatch, load, asked, threads):
    monkeypatch.setattr(exported_engines.os, "sched_getaffinity", lambda _: set(range(4)))
    monkeypatch.setattr(exported_engines.os, "getloadavg", lambda: (load, load, load))
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert exported_engines.free_threads() == threads


def test_speed_is_positive_for_every_engine_and_batch():
    bundle, folder, _ = exported("plain", 1, "onnx")
    images = ImageSet.from_arrays(blobs(3, bundle.config.size))
    found = images_a_second({"onnx": load_engine(folder, "onnx")}, images, (1, 7), turns=1)
    assert found["onnx"].keys() == {1, 7}
    assert min(found["onnx"].values()) > 0


@pytest.mark.parametrize("aspect", ["stretch", "keep"])
@pytest.mark.parametrize("shape", [(12, 15), (30, 11), (5, 40)])
def test_the_judging_wing_prepares_images_as_the_graph_does(aspect, shape):
    import torch

    from residua.training.scoring.prepare import Prepare

    images = blobs(2, shape, 3, seed=1)
    graph = Prepare((12, 15), aspect)(torch.from_numpy(images)).permute(0, 2, 3, 1).numpy()
    assert np.allclose(fit_to(images, (12, 15), keep_aspect=aspect == "keep"), graph, atol=1e-6)


def test_an_exported_file_refuses_an_image_whose_weights_would_take_gigabytes():
    _, folder, _ = exported("plain", 1, "onnx")
    opened = load_engine(folder, "onnx")
    opened.card = opened.card.model_copy(update={"aspect": "area", "size": (256, 256)})
    with pytest.raises(InputError, match=r"so long and so narrow. Got 65,535 x 256 pixels"):
        opened.score([np.zeros((256, 65_535, 1), np.uint8)])
