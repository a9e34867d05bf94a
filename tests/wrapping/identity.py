"""An ONNX file that nearly gives back what it gets, made without torch."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper


def onnx_file(path, shape, *, kind=TensorProto.FLOAT):
    """A model that gives back 0.9 times what it gets."""
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "by"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "dimmer",
        [helper.make_tensor_value_info("images", kind, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, shape)],
        [helper.make_tensor("by", TensorProto.FLOAT, [], [0.9])],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
