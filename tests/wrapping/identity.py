"""An ONNX file that nearly gives back what it gets, made without torch."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper


def onnx_file(path, shape, *, kind=TensorProto.FLOAT, two_classes=False):
    """A model that gives back 0.9 times what it gets; with `two_classes` also how dark and how light it is."""
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
        outputs.append(helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [shape[0], 2]))
        constants += [
            helper.make_tensor("last", TensorProto.INT64, [1], [1]),
            helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]),
        ]
    graph = helper.make_graph(nodes, "dimmer", [helper.make_tensor_value_info("images", kind, shape)], outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path
