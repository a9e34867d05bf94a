"""An exported file does what the run's own model does: every recipe, both exporters, any size, grey
and colour."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch
from exporting import exported, shaken, verification

from residua.engines import KINDS, load_engine, score_with
from residua.images import ImageSet
from residua.training.export import build_engine
from residua.training.recipes import RECIPES
from residua.training.scoring.engine import GraphEngine
from training_wing import blobs

SIZES = [(8, 8), (9, 13), (17, 31), (40, 41), (3, 50)]
VARIANTS = [
    ("plain", {"density": ("mahalanobis", "neighbours"), "aspect": "keep"}),
    ("plain", {"error": "ssim"}),
    ("plain", {"error": "euclidean", "family": "dense", "tied": True}),
    ("plain", {"loss_name": "binary-cross-entropy", "error": "absolute"}),
    ("variational", {"score": "elbo", "aspect": "keep"}),
    ("inspect", {"aspect": "area"}),
    pytest.param("inspect", {"aspect": "area", "backbone": "random-conv"}, marks=pytest.mark.slow),
]


def assert_same(bundle, engine, images):
    reference = score_with(
        GraphEngine(bundle.graph, bundle.config.channels, 4),
        images,
        maps=True,
        reconstructions=True,
    )
    other = score_with(engine, images, maps=True, reconstructions=True)
    scale = max(1.0, float(np.abs(reference.score).max()))
    assert np.allclose(other.score, reference.score, atol=1e-4 * scale, rtol=1e-4)
    near = (
        np.abs(reference.score - bundle.config.operating_point.threshold)
        <= np.abs(other.score - reference.score).max()
    )
    assert np.array_equal(other.anomalous[~near], reference.anomalous[~near])
    peak = max(float(np.abs(one).max()) for one in reference.maps)
    for one, another in zip(other.maps, reference.maps, strict=True):
        assert one.shape == another.shape
        assert np.allclose(one, another, atol=1e-4 * max(1.0, peak))
    assert np.allclose(other.reconstructions, reference.reconstructions, atol=1e-3)
    for name, column in reference.columns.items():
        assert np.allclose(other.columns[name], column, atol=2e-4), name


def assorted(bundle):
    channels = bundle.config.channels
    return ImageSet.from_arrays(
        [
            blobs(1, size, channels, seed=9)[0]
            for size in (bundle.config.size, *SIZES, bundle.config.size)
        ]
    )


LONG = {"inspect", "restore", "joint-one-class"}  # to export


@pytest.mark.parametrize(
    ("name", "engine", "channels"),
    [("plain", "onnx", 3)]
    + [
        pytest.param(name, engine, channels, marks=[pytest.mark.slow] if name in LONG else [])
        for name in RECIPES
        for engine, channels in (("onnx", 1), ("openvino", 3))
    ],
)
def test_scores_maps_and_decisions_are_the_models_own_at_any_size(name, channels, engine):
    bundle, folder, card = exported(name, channels, engine)
    assert card.deviation.different_decisions == 0
    assert_same(bundle, load_engine(folder, engine), assorted(bundle))


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_every_kind_of_score_is_exported(name, options, tmp_path):
    bundle = shaken(name, 1, **options)
    build_engine(
        bundle, KINDS["onnx"], tmp_path / "export", verification(bundle), weights_sha256="0"
    )
    assert_same(bundle, load_engine(tmp_path / "export", "onnx"), assorted(bundle))


def test_the_file_says_what_it_is():
    _, folder, card = exported("plain", 1, "onnx")
    model = onnx.load(str(folder / "model.onnx"))
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert said["policy"] == "quantile:0.8"
    assert float(said["threshold"]) == card.operating_point.threshold
    assert set(json.loads(said["units"])) == {
        "images",
        "score",
        "error_map",
        "anomalous",
        "reconstruction",
    }
    assert json.loads(said["residua"])["deviation"]["n_images"] == 10
    entry = model.graph.input[0].type.tensor_type
    assert entry.elem_type == onnx.TensorProto.UINT8
    assert [bool(side.dim_param) for side in entry.shape.dim] == [True, True, True, False]


def test_openvino_files_carry_the_card_too():
    import openvino

    _, folder, card = exported("plain", 1, "openvino")
    model = openvino.Core().read_model(str(folder / "model.xml"))
    assert (
        float(model.get_rt_info(["residua", "threshold"]).astype(str))
        == card.operating_point.threshold
    )


@pytest.mark.parametrize("engine", ["onnx-int8", "openvino-bf16", "torch-bf16"])
def test_reduced_precision_has_its_own_threshold_and_a_price(engine):
    bundle, folder, card = exported("plain", 1, engine)
    assert card.price.rank_correlation >= 0.95
    assert card.price.roc_auc is None
    assert card.operating_point.policy == bundle.config.operating_point.policy
    assert card.reference_threshold == bundle.config.operating_point.threshold
    scores = np.array(card.calibration_scores, np.float32)
    assert 0 < (scores > card.threshold).sum() <= 2
    if card.kind.files:
        images = verification(bundle).images
        found = score_with(load_engine(folder, engine), images)
        assert np.array_equal(found.anomalous, found.score > np.float32(card.threshold))


def test_eight_bits_are_in_the_network_alone():
    _, folder, _ = exported("plain", 1, "onnx-int8")
    graph = onnx.load(str(folder / "model-int8.onnx")).graph
    rounded = {node.input[0] for node in graph.node if node.op_type == "QuantizeLinear"}
    assert rounded
    assert not any(name.startswith("/prepare/") and "MatMul_output" in name for name in rounded)


def test_the_price_is_in_roc_auc_where_calibration_has_anomalies(tmp_path):
    from dataclasses import replace

    bundle = shaken("plain", 1)
    given = verification(bundle)
    both = replace(given, is_anomalous=np.arange(10) % 2 == 0)
    price = build_engine(
        bundle, KINDS["torch-bf16"], tmp_path / "export", both, weights_sha256="0"
    ).price
    assert 0 <= price.roc_auc_reference <= 1
    assert abs(price.roc_auc - price.roc_auc_reference) <= 0.02


def test_a_float_entry_takes_sixteen_bits_and_eight(tmp_path):
    bundle = shaken("plain", 1, bits="more")
    card = build_engine(
        bundle, KINDS["onnx"], tmp_path / "export", verification(bundle), weights_sha256="0"
    )
    assert card.entry == "float32"
    engine = load_engine(tmp_path / "export", "onnx")
    pixels = blobs(3, bundle.config.size, seed=2)
    assert_same(bundle, engine, ImageSet.from_arrays(pixels))
    finer = pixels.astype(np.float32) / 255 + np.float32(1 / 1000)
    assert_same(bundle, engine, ImageSet.from_arrays(np.clip(finer, 0, 1)))


def test_equal_biases_that_the_exporter_shares_are_quantised_like_others(tmp_path):
    bundle = shaken("plain", 1)
    for module in bundle.graph.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            # folded into convolutions, norms that are alike give biases that are
            module.reset_parameters()
    build_engine(
        bundle, KINDS["onnx-int8"], tmp_path / "export", verification(bundle), weights_sha256="0"
    )
    nodes = onnx.load(str(tmp_path / "export" / "model-int8.onnx")).graph.node
    made_by = {name: node.op_type for node in nodes for name in node.output}
    biases = [
        made_by.get(node.input[2])
        for node in nodes
        if node.op_type == "Conv" and len(node.input) == 3
    ]
    assert len(biases) > 2
    assert set(biases) == {"DequantizeLinear"}
