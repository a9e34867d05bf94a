"""Models from elsewhere: what is read off them, what is refused, and that their scores are the
graph's formulas."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from identity import onnx_file
from onnx import TensorProto

import residua
from residua.errors import InputError, RangeError, ShapeError
from residua.evaluation.compression import compression_sentence
from residua.images import ImageSet
from residua.runs.wrapped.errors_in_numpy import error_maps, scores_of
from residua.training.scoring import error_maps as graph_maps
from residua.training.scoring.scorer import ErrorScorer
from training_wing import blobs


def dimmer(x):
    return x * 0.9


@pytest.mark.parametrize("kind", ["squared", "absolute", "euclidean", "ssim"])
@pytest.mark.parametrize("channels", [1, 3])
def test_maps_and_scores_are_those_of_the_inference_graph(kind, channels):
    rng = np.random.default_rng(0)
    images, rebuilt = rng.random((2, 3, 14, 12, channels), np.float32)
    x, r = (torch.from_numpy(one).permute(0, 3, 1, 2) for one in (images, rebuilt))
    scorer = ErrorScorer(torch.nn.Identity(), kind, logits=False)
    scorer.network.forward = lambda _: r
    output = scorer(x)
    maps = error_maps(kind, images, rebuilt)
    assert np.allclose(maps, output.error_map.numpy(), atol=2e-5)
    assert np.allclose(scores_of(kind, maps, images[0].size), output.score.numpy(), atol=2e-5)
    assert graph_maps.squared(x, r).shape == maps.shape


def test_a_function_scores_reconstructs_and_decides_at_any_size():
    model = residua.wrap(dimmer, values="unit", size=(9, 11), channels=1)
    mixed = ImageSet.from_arrays([blobs(1, size)[0] for size in ((9, 11), (20, 7), (9, 11))])
    scores = model.anomaly_scores(mixed)
    assert scores.dtype == np.float32
    assert [one.shape for one in model.error_maps(mixed)] == [(9, 11), (20, 7), (9, 11)]
    assert model.reconstruct(mixed).shape == (3, 9, 11, 1)
    assert model.predict(mixed).tolist() == [1, 1, 1]
    model.choose_threshold("quantile:0.5", mixed)
    assert -1 in model.predict(mixed)
    assert model.anomaly_scores(mixed[[1]]) == scores[1]


def test_black_is_rebuilt_exactly_and_more_light_scores_higher():
    model = residua.wrap(dimmer, values="unit", size=(8, 8), channels=1)
    levels = np.stack([np.full((8, 8, 1), level, np.uint8) for level in (0, 100, 200)])
    assert model.anomaly_scores(levels) == pytest.approx(
        [0, (0.1 * 100 / 255) ** 2, (0.1 * 200 / 255) ** 2], rel=1e-4
    )


@pytest.mark.parametrize(
    ("values", "model"),
    [
        ("unit", lambda x: x * 0.9),
        ("symmetric", lambda x: (x + 1) * 0.9 - 1),
        ("bytes", lambda x: x * 0.9),
    ],
)
@pytest.mark.parametrize("layout", ["nhwc", "nchw", "flat"])
def test_every_range_and_layout_gives_the_same_scores(values, model, layout):
    shapes = []

    def watched(x):
        shapes.append(x.shape[1:])
        return model(x)

    images = blobs(5, (8, 6), 3)
    reference = residua.wrap(dimmer, values="unit", size=(8, 6), channels=3).anomaly_scores(images)
    wrapped = residua.wrap(watched, values=values, layout=layout, size=(8, 6), channels=3)
    assert np.allclose(wrapped.anomaly_scores(images), reference, rtol=1e-3)
    assert set(shapes) == {{"nhwc": (8, 6, 3), "nchw": (3, 8, 6), "flat": (144,)}[layout]}


def test_a_torch_module_says_its_range_by_its_last_layer_and_stays_in_its_mode():
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 1, 3, padding=1), torch.nn.Dropout(0.5), torch.nn.Sigmoid()
    ).train()
    model = residua.wrap(module, size=(8, 8), channels=1)
    assert (model.contract.inputs.name, model.contract.outputs.name, model.contract.layout) == (
        "unit",
        "unit",
        "nchw",
    )
    assert np.array_equal(
        model.anomaly_scores(blobs(4, (8, 8))), model.anomaly_scores(blobs(4, (8, 8)))
    )
    assert module.training


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        (["n", 8, 6, 3], "nhwc"),
        (["n", 3, 8, 6], "nchw"),
        ([4, 8, 6, 1], "nhwc"),
        (["n", 144], "flat"),
    ],
)
def test_an_onnx_file_says_its_layout_size_and_batch(tmp_path, shape, layout):
    size = {"size": (8, 6)} if layout == "flat" else {}
    model = residua.wrap(onnx_file(tmp_path / "m.onnx", shape), values="unit", **size)
    assert (model.contract.layout, model.contract.size) == (layout, (8, 6))
    assert model.batch_size == (4 if shape[0] == 4 else 64)
    images = blobs(5, (8, 6), model.contract.channels)
    reference = residua.wrap(dimmer, values="unit", size=(8, 6), channels=model.contract.channels)
    assert np.allclose(model.anomaly_scores(images), reference.anomaly_scores(images), rtol=1e-4)


def test_an_onnx_file_that_takes_bytes_says_its_range(tmp_path):
    model = residua.wrap(onnx_file(tmp_path / "m.onnx", ["n", 8, 8, 1], kind=TensorProto.UINT8))
    assert (model.contract.inputs.name, model.contract.outputs.name) == ("bytes", "bytes")


@pytest.mark.parametrize(
    ("model", "options", "words"),
    [
        (
            dimmer,
            {"size": (8, 8), "channels": 1},
            r"range of the values must be known.*values=\"unit\"",
        ),
        (
            dimmer,
            {"values": "unit", "channels": 1},
            r"size of the images must be known.*size=\(height, width\)",
        ),
        (dimmer, {"values": "unit", "size": (8, 8)}, "number of channels must be known"),
        (
            lambda x: x[:, :4],
            {"values": "unit", "size": (8, 8), "channels": 1},
            "x_hat of the input's shape",
        ),
        (
            lambda x: x * 300,
            {"values": "unit", "size": (8, 8), "channels": 1},
            r"must lie about \[0, 1\]",
        ),
        (
            lambda x: x * np.nan,
            {"values": "unit", "size": (8, 8), "channels": 1},
            r"must lie about",
        ),
        (3, {}, "must be a Keras model"),
        ("absent.onnx", {}, "that is there"),
    ],
)
def test_what_is_open_or_does_not_fit_is_refused(model, options, words):
    with pytest.raises((ShapeError, RangeError, InputError), match=words):
        residua.wrap(model, **options)


@pytest.mark.parametrize("shape", [["n", 3, 8, 3], ["n", 1, 8, 1], ["n", 8, 8, 2]])
def test_an_input_that_may_be_either_layout_is_refused(tmp_path, shape):
    with pytest.raises(ShapeError, match="the layout must be known"):
        residua.wrap(onnx_file(tmp_path / "m.onnx", shape), values="unit")


def test_a_size_that_contradicts_the_model_is_refused(tmp_path):
    with pytest.raises(ShapeError, match="size must be the model's"):
        residua.wrap(onnx_file(tmp_path / "m.onnx", ["n", 8, 8, 1]), values="unit", size=(9, 9))


def test_probabilities_are_judged_as_those_of_a_classifier():
    def model(x):
        bright = x.mean(axis=(1, 2, 3)) > 0.1
        return x * 0.9, np.stack([0.9 - 0.8 * bright, 0.1 + 0.8 * bright], axis=1)

    images = np.concatenate(
        [np.zeros((6, 8, 8, 1), np.uint8), np.full((6, 8, 8, 1), 200, np.uint8)]
    )
    labelled = ImageSet.from_arrays(images, ["dark"] * 6 + ["light"] * 6)
    wrapped = residua.wrap(model, values="unit", size=(8, 8), channels=1)
    assert wrapped.probabilities(labelled).shape == (12, 2)
    record = wrapped.evaluate(labelled, job="classify")
    assert record.metrics["accuracy"].value == 1.0
    with pytest.raises(InputError, match="gives x_hat alone"):
        residua.wrap(dimmer, values="unit", size=(8, 8), channels=1).probabilities(labelled)


def test_without_a_normal_label_the_reconstructions_are_judged(tmp_path):
    model = residua.wrap(dimmer, values="unit", size=(8, 8), channels=1)
    record = model.evaluate(blobs(12, (8, 8)), train=blobs(20, (8, 8), seed=4))
    assert record.job == "reconstruct"
    assert {"mean_image", "pca_2", "pca_8"} == record.baselines.keys()
    assert "state them with latent=" in compression_sentence(record)
    small, large = (
        residua.wrap(dimmer, values="unit", size=(8, 8), channels=1, latent=code).evaluate(
            blobs(12, (8, 8)), train=blobs(20, (8, 8), seed=4)
        )
        for code in (4, 100)
    )
    assert "64 values per image become 4 numbers, 16 times fewer" in compression_sentence(small)
    assert "PCA with 4 numbers" in compression_sentence(small)
    assert compression_sentence(large).endswith("nothing is compressed.")
    assert model.report(tmp_path / "report.html", blobs(12, (8, 8))).stat().st_size > 1000
