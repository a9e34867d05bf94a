"""An ONNX file that nearly gives back what it gets, made without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import residua


def onnx_file(path, shape, *, kind=TensorProto.FLOAT, two_classes=False):
    """A model that gives back 0.9 times what it gets; with `two_classes` also how dark and how
    light it is."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "by"], ["out"]),
    ]
    outputs = [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)]
    constants = [helper.make_tensor("by", TensorProto.FLOAT, [], [0.9])]
    if two_classes:
        nodes += [
            helper.make_node("ReduceMean", ["floats"], ["means"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["means", "last"], ["light"]),
            helper.make_node("Sub", ["one", "light"], ["dark"]),
            helper.make_node("Concat", ["dark", "light"], ["probabilities"], axis=1),
        ]
        outputs.append(
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [shape[0], 2])
        )
        constants += [
            helper.make_tensor("last", TensorProto.INT64, [1], [1]),
            helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        ]
    graph = helper.make_graph(
        nodes, "dimmer", [helper.make_tensor_value_info("images", kind, shape)], outputs, constants
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        str(path),
    )
    return path


def with_weights_beside(path, size, by, *, location="model.onnx.data"):
    """A model that gives back `by` times what it gets, whose weights lie in another file beside
    it."""
    shape = ["n", *size, 1]
    constant = numpy_helper.from_array(np.full((*size, 1), by, np.float32), "by")
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("images", "out")
    ]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["images", "by"], ["out"])],
        "dimmer",
        values[:1],
        values[1:],
        [constant],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path), save_as_external_data=True, location=location, size_threshold=0)
    return path


def few_digits(folder: Path) -> str:
    """A source of 200 of the bundled digits: saving a model checks the images of its source."""
    images = residua.load_images("digits", normal="0")
    parts = {"train": images.train[:150], "test": images.test[:50]}
    arrays = {f"x_{part}": some.array() for part, some in parts.items()}
    arrays |= {f"y_{part}": some.labels.astype(str) for part, some in parts.items()}
    np.savez(folder / "few.npz", **arrays)
    return str(folder / "few.npz")
