"""ONNX files as backbones: run as ONNX Runtime runs them, held by bundles, or refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from residua import OneClassDetector
from residua._files import sha256
from residua.errors import InputError
from residua.training.networks import backbones
from residua.training.networks.onnx_graph import read_onnx, stored_network
from residua.training.recipes import make_recipe
from training_wing import blobs

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
]


class Block(nn.Module):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(n_in, n_out, 3, 2, 1), nn.BatchNorm2d(n_out))
        self.second = nn.Conv2d(n_out, n_out, 3, padding=1)
        self.short = nn.Conv2d(n_in, n_out, 1, 2)

    def forward(self, images):
        return (self.second(self.first(images).relu()) + self.short(images)).relu()


class Classifier(nn.Module):
    def __init__(self, *, maps: bool) -> None:
        super().__init__()
        self.maps = maps
        self.blocks = nn.ModuleList([Block(3, 4), Block(4, 6), Block(6, 8)])
        self.head = nn.Linear(8, 5)

    def forward(self, images):
        seen = []
        for block in self.blocks:
            images = block(images)
            seen.append(images)
        return tuple(seen) if self.maps else self.head(images.mean((2, 3))).softmax(-1)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One network as a backbone, as a classifier, and as a classifier of an old opset."""
    folder = tmp_path_factory.mktemp("onnx")
    torch.manual_seed(0)
    network = Classifier(maps=True).eval()
    for name, maps, opset in (("maps", True, 17), ("whole", False, 17), ("old", False, 9)):
        network.maps = maps
        export(network, folder / f"{name}.onnx", opset)
    network.maps = True
    return folder, network


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(backbones, "_REGISTERED", dict(backbones._REGISTERED))
    return backbones._REGISTERED


def export(network, path, opset=17):
    torch.onnx.export(
        network,
        (torch.rand(2, 3, 32, 48),),
        str(path),
        dynamo=False,
        opset_version=opset,
        input_names=["images"],
        dynamic_axes={"images": {0: "batch", 2: "height", 3: "width"}},
    )


@pytest.mark.parametrize("name", ["maps", "whole", "old"])
def test_a_file_gives_the_maps_of_its_network_and_of_a_classifier_the_ends_of_its_blocks(
    files, name
):
    folder, network = files
    images = torch.rand(3, 3, 40, 24)
    read = read_onnx(folder / f"{name}.onnx").eval()
    with torch.no_grad():
        found, expected = read(images), network(images)
    assert len(found) == 3
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert not any("Gemm" in node for node in read.plan["nodes"])
    assert all(5 not in value.shape for value in read.parameters())
    assert read.weights_sha256 == sha256(folder / f"{name}.onnx")


def test_a_bundle_holds_the_graph_and_needs_no_file(files, registry, tmp_path):
    path = tmp_path / "mine.onnx"
    path.write_bytes((files[0] / "whole.onnx").read_bytes())
    images = blobs(30)
    fitted = OneClassDetector(backbone=str(path), size=32, seed=0).fit(images)
    name, digest = fitted.bundle_.config.recipe_options["backbone"], sha256(path)
    assert name == f"mine-{digest[:8]}.onnx" == make_recipe("feature", backbone=str(path)).backbone
    assert fitted.bundle_.config.training.backbone_sha256 == digest
    fitted.save(tmp_path / "run")
    path.unlink()
    del registry[name]
    again = OneClassDetector.load(tmp_path / "run")
    assert np.array_equal(again.anomaly_scores(images), fitted.anomaly_scores(images))


def test_a_file_that_fixes_its_size_says_so(registry, tmp_path):
    weights = {"w": np.random.default_rng(0).random((4, 3, 1, 1), np.float32)}
    node = helper.make_node("Conv", ["in", "w"], ["out"])
    model = graph(node, weights=weights, shape=("b", 3, 12, 10))
    (tmp_path / "fixed.onnx").write_bytes(model.SerializeToString())
    fitted = OneClassDetector(backbone=str(tmp_path / "fixed.onnx"), size=32, seed=0).fit(blobs(30))
    assert "sees all images at 12x10 and is given" in fitted.bundle_.config.training.network


def test_an_export_of_it_takes_batches_of_any_size(files, tmp_path):
    read = read_onnx(files[0] / "whole.onnx").eval()
    export(read, tmp_path / "again.onnx")
    images = torch.rand(5, 3, 32, 48)
    session = runtime.InferenceSession(str(tmp_path / "again.onnx"))
    with torch.no_grad():
        for one, other in zip(
            session.run(None, {"images": images.numpy()}), read(images), strict=True
        ):
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-5)


def graph(*nodes, shape=("b", 3, 12, 10), weights=None, outputs=("out",), opset=18):
    given = [helper.make_tensor_value_info("in", TensorProto.FLOAT, shape)]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [*"nchw"]) for name in outputs]
    held = [numpy_helper.from_array(np.asarray(v), k) for k, v in (weights or {}).items()]
    whole = helper.make_graph(list(nodes), "graph", given, made, held)
    return helper.make_model(whole, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


_KERNEL = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
_ROWS = np.array([0, 2])
CASES = {
    "Conv pads": ("Conv", {"pads": [0, 1, 2, 1], "strides": [2, 2]}, [_KERNEL]),
    "Conv same": ("Conv", {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [_KERNEL]),
    "Conv lower": ("Conv", {"auto_pad": "SAME_LOWER", "strides": [2, 2]}, [_KERNEL]),
    "Conv groups": ("Conv", {"group": 3, "dilations": [2, 2]}, [_KERNEL[:3, :1]]),
    "MaxPool": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}, []),
    "MaxPool ceil": ("MaxPool", {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, []),
    "AveragePool": ("AveragePool", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, []),
    "AveragePool all": (
        "AveragePool",
        {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        [],
    ),
    "Clip": ("Clip", {}, [np.float32(0.2), np.float32(0.7)]),
    "HardSigmoid": ("HardSigmoid", {"alpha": 0.3}, []),
    "HardSwish": ("HardSwish", {}, []),
    "LeakyRelu": ("LeakyRelu", {"alpha": 0.3}, []),
    "PRelu": ("PRelu", {}, [np.full((3, 1, 1), 0.2, np.float32)]),
    "BatchNormalization": (
        "BatchNormalization",
        {"epsilon": 1e-3},
        [np.float32([1, 2, 3]), np.float32([0, 1, 2]), np.float32([0, 1, 0]), np.float32([1, 2, 3])],
    ),
    "LayerNormalization": ("LayerNormalization", {}, [np.ones(10, np.float32)]),
    "ReduceMean": ("ReduceMean", {"keepdims": 1}, [np.array([1])]),
    "Pad": ("Pad", {}, [np.array([0, 0, 1, 2, 0, 0, 3, 0]), np.float32(0.5)]),
    "Pad edge": ("Pad", {"mode": "edge"}, [np.array([0, 0, 1, 2, 0, 0, 3, 0])]),
    "Slice": ("Slice", {}, [np.array([1]), np.array([2**40]), np.array([2]), np.array([2])]),
    "Slice back": ("Slice", {}, [np.array([-1]), np.array([-(2**40)]), np.array([3]), np.array([-1])]),
    "Gather": ("Gather", {"axis": 1}, [_ROWS]),
    "Transpose": ("Transpose", {"perm": [0, 2, 3, 1]}, []),
    "Reshape": ("Reshape", {}, [np.array([0, 1, -1, 10])]),
    "MatMul": ("MatMul", {}, [np.ones((10, 4), np.float32)]),
    "Softmax": ("Softmax", {"axis": 1}, []),
    "Gelu": ("Gelu", {}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_an_operator_computes_what_onnx_runtime_does(name, tmp_path):
    op, options, held = CASES[name]
    weights = {f"w{row}": value for row, value in enumerate(held)}
    node = helper.make_node(op, ["in", *weights], ["out"], **options)
    opset = 20 if op == "Gelu" else 18
    onnx.save(graph(node, weights=weights, opset=opset), tmp_path / "one.onnx")
    images = np.random.default_rng(1).normal(size=(2, 3, 12, 10)).astype(np.float32)
    expected = runtime.InferenceSession(str(tmp_path / "one.onnx")).run(None, {"in": images})[0]
    with torch.no_grad():
        found = read_onnx(tmp_path / "one.onnx")(torch.from_numpy(images))[0]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_run_is_refused_with_its_name(tmp_path):
    make = helper.make_node
    ones = np.ones((3, 2, 2), np.float32)
    outside = graph(make("Add", ["in", "w"], ["out"]), weights={"w": np.ones((12, 10), np.float32)})
    onnx.save(outside, tmp_path / "outside.onnx", save_as_external_data=True, size_threshold=0)
    cases = {
        "op": (graph(make("Det", ["in"], ["out"])), "operators that are not known: Det"),
        "domain": (
            graph(make("Add", ["in", "in"], ["out"])),
            r"operators that are not known: com\.own\.Thing",
        ),
        "attention": (
            graph(make("MatMul", ["in", "in"], ["out"]), shape=(1, 3, 8, 8)),
            "attention",
        ),
        "grey": (graph(make("Relu", ["in"], ["out"]), shape=("b", 1, 8, 8)), "of shape"),
        "flat": (graph(make("Flatten", ["in"], ["out"])), "no maps"),
        "large": (
            graph(
                make("Pad", ["in", "w"], ["out"]), weights={"w": np.array([0] * 6 + [10**5] * 2)}
            ),
            "Pad makes more than",
        ),
        "wrong": (graph(make("Add", ["in", "w"], ["out"]), weights={"w": ones}), "broadcast"),
    }
    thing = cases["domain"][0]
    thing.graph.node[0].CopyFrom(make("Thing", ["in"], ["out"], domain="com.own"))
    thing.opset_import.append(helper.make_opsetid("com.own", 1))
    for name, (model, _) in cases.items():
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "damaged.onnx").write_bytes(b"\x08\x07\xff\xff")
    said = {name: words for name, (_, words) in cases.items()}
    for name, words in {
        **said, "outside": "weights in", "damaged": "Got", "absent": "No such file",
    }.items():  # fmt: skip
        with pytest.raises(
            InputError, match=rf"{name}\.onnx: it must be an ONNX graph.*{words}.*(?<!\.)\. Export"
        ):
            read_onnx(tmp_path / f"{name}.onnx")


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": [["Det", ["in"], ["out"], {}]]},
        {"constants": {"c": ["load", 1]}, "weights": {"w": "many"}},
        {"weights": None},
        {"nodes": 3},
    ],
)
def test_a_damaged_graph_in_a_bundle_is_refused(change):
    sound = {"input": "in", "channels_last": False, "size": None, "nodes": [], "weights": {},
             "constants": {}, "maps": ["in"]}  # fmt: skip
    assert stored_network(json.dumps(sound).encode())(torch.rand(1, 3, 4, 4))[0].shape[1] == 3
    with pytest.raises(InputError, match="graph in the bundle"):
        stored_network(json.dumps({**sound, **change}).encode())
    with pytest.raises(InputError, match="graph in the bundle"):
        stored_network(b"{")
