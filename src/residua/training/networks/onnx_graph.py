"""ONNX graphs as networks of PyTorch: read as data, nodes and weights, and run node by node.

So an ONNX file can be a backbone: a bundle holds its graph and its weights, and an export traces it
like any other network. Only operators of `OPERATORS` are run; others are refused by name.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from residua._files import NUMPY_FAULTS, in_a_line, read_file, sha256
from residua._text import few
from residua.engines.onnx_file import external_files
from residua.errors import BundleError, InputError, MissingExtraError
from residua.training.networks.onnx_operators import OPERATORS

_MOST_BYTES = 2**31
_OPSETS = range(18, 26)  # older ones are brought to the first
_MOST_VALUES = 2**28
_PROBED = 224  # pixels a side, where the file leaves the size open


class OnnxNetwork(nn.Module):
    """The maps that an ONNX graph gives of images (batch, 3, height, width).

    ``program`` is the graph as JSON in bytes, kept as a buffer so that a bundle holds it.
    """

    program: Tensor
    weights_sha256: str | None = None

    def __init__(self, program: bytes) -> None:
        super().__init__()
        self.plan: dict[str, Any] = json.loads(program)
        unknown = {op for op, *_ in self.plan["nodes"]} - set(OPERATORS)
        if unknown:
            raise ValueError(f"operators that are not known: {few(sorted(unknown))}")
        with torch.device("cpu"):
            self.register_buffer("program", torch.tensor(list(program), dtype=torch.uint8))
        self.names = {name: f"weight{row}" for row, name in enumerate(self.plan["weights"])}
        for name, shape in self.plan["weights"].items():
            self.register_parameter(self.names[name], nn.Parameter(torch.zeros(shape)))
        self.only_size = tuple(self.plan["size"]) if self.plan["size"] else None

    def forward(self, images: Tensor) -> list[Tensor]:
        """The maps, finest first."""
        values = self.run(images)
        return [values[name] for name in self.plan["maps"]]

    def run(self, images: Tensor) -> dict[str, Tensor]:
        """Every value of the graph by its name."""
        graph = self.plan
        values: dict[str, Any] = {"": None}
        values |= {name: getattr(self, own) for name, own in self.names.items()}
        for name, (kind, content) in graph["constants"].items():
            values[name] = torch.tensor(content, dtype=getattr(torch, kind), device="cpu")
        values[graph["input"]] = images.permute(0, 2, 3, 1) if graph["channels_last"] else images
        for op, inputs, outputs, options in graph["nodes"]:
            given = _on_one_device([values[name] for name in inputs], images.device)
            made = OPERATORS[op](*given, **options)
            made = made if isinstance(made, tuple) else (made,)
            if any(one.numel() > int(images.shape[0]) * _MOST_VALUES for one in made):
                raise ValueError(f"{op} makes more than {_MOST_VALUES:,} values of an image")
            values.update(zip(outputs, made, strict=False))
        return values


def stored_network(program: bytes) -> OnnxNetwork:
    """The network of a bundle's program without weights; raises InputError if damaged."""
    try:
        return OnnxNetwork(program)
    except NUMPY_FAULTS as error:
        raise InputError(
            "backbone: the graph in the bundle must be the one that was stored. Got:"
            f" {in_a_line(error)}. Restore a copy, or train again."
        ) from None


def _on_one_device(values: list[Any], device: torch.device) -> list[Any]:
    """Numbers that were worked out from shapes join those of images where both meet."""
    if all(value is None or value.device != device for value in values):
        return values
    return [
        value.to(device)
        if value is not None and value.is_floating_point() and value.ndim
        else value
        for value in values
    ]


def read_onnx(path: Path) -> OnnxNetwork:
    """The network in an ONNX file, and which of its values are maps.

    Those are its outputs if they are maps, as those of a backbone are; else, as of a classifier, of
    each size the last value that several nodes use, as the ends of blocks are, or
    the last.

    Raises MissingExtraError if the package onnx is not installed. Raises InputError if the file is
    damaged, keeps weights in other files, has operators that are not known, or takes anything but
    one batch of colour images.
    """
    try:
        import onnx
    except ModuleNotFoundError:
        raise MissingExtraError("onnx", "export", f"backbone {path}") from None
    try:
        content = read_file(path, _MOST_BYTES)
        if outside := external_files(path):
            raise ValueError(f"weights in {few(outside)}")
        model = onnx.load_model_from_string(content)
        onnx.checker.check_model(model)
        opset = max((one.version for one in model.opset_import if not one.domain), default=0)
        if opset > _OPSETS[-1]:
            raise ValueError(f"opset {opset}, where at most {_OPSETS[-1]} is known")
        if opset < _OPSETS[0]:
            model = onnx.version_converter.convert_version(model, _OPSETS[0])
        network = _network(model.graph)
        size = network.only_size or (_PROBED, _PROBED)
        with torch.device("meta"):  # without memory, so that nothing too large is made
            OnnxNetwork(bytes(network.program.tolist())).run(torch.zeros(1, 3, *size))
        with torch.no_grad():
            values = network.run(torch.zeros(1, 3, *size))
        network = _pruned(
            network, _maps(values, network.plan, [o.name for o in model.graph.output])
        )
    except (*NUMPY_FAULTS, BundleError, onnx.checker.ValidationError) as error:
        said = in_a_line(error).removesuffix(".")
        raise InputError(
            f"backbone {path}: it must be an ONNX graph that takes colour images (batch, 3, height,"
            f" width) and runs. Got: {said}. Export it in float32, as one file."
        ) from error
    network.weights_sha256 = sha256(path)
    return network


def _network(graph: Any) -> OnnxNetwork:
    from onnx import numpy_helper

    nodes, weights, constants = [], {}, {}
    tensors = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        options = {one.name: _attribute(one) for one in node.attribute}
        if node.op_type == "Constant":
            tensors[node.output[0]] = np.asarray(next(iter(options.values())))
            continue
        name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        nodes.append([name, list(node.input), list(node.output), options])
    for name, value in tensors.items():
        if value.dtype.kind == "f" and value.ndim and value.size:
            weights[name] = torch.from_numpy(value.astype(np.float32))
        else:
            constants[name] = [str(value.dtype), value.tolist()]
    if any(op == "MatMul" and not weights.keys() & set(given) for op, given, *_ in nodes):
        raise ValueError("attention, which is taken by timm: and huggingface: alone")
    inputs = [one for one in graph.input if one.name not in tensors]
    dims = [one.dim_value for one in inputs[0].type.tensor_type.shape.dim] if inputs else []
    last = len(dims) == 4 and dims[3] == 3 and dims[1] != 3
    if len(inputs) != 1 or len(dims) != 4 or (dims[3] if last else dims[1]) not in {0, 3}:
        raise ValueError(f"{len(inputs)} inputs, the first of shape {dims}")
    height, width = dims[1:3] if last else dims[2:4]
    program = {
        "input": inputs[0].name,
        "channels_last": last,
        "size": [height, width] if height and width else None,
        "nodes": nodes,
        "weights": {name: list(value.shape) for name, value in weights.items()},
        "constants": constants,
        "maps": [],
    }
    network = OnnxNetwork(json.dumps(program).encode())
    for name, value in weights.items():
        getattr(network, network.names[name]).data.copy_(value)
    return network


def _attribute(attribute: Any) -> Any:
    import onnx

    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, onnx.TensorProto):
        return onnx.numpy_helper.to_array(value).tolist()
    if isinstance(value, bytes):
        return value.decode()
    return list(value) if not isinstance(value, int | float | onnx.GraphProto) else value


def _maps(values: dict[str, Any], graph: dict[str, Any], outputs: list[str]) -> list[str]:
    """The names of the maps, finest first."""
    whole = values[graph["input"]].shape
    given = [name for name in outputs if _is_map(values[name])]
    if given:
        return given
    nodes = graph["nodes"]
    uses = Counter(name for _, inputs, *_ in nodes for name in set(inputs))
    found: dict[tuple[int, int], list[str]] = {}
    for name in (name for *_, made, _ in nodes for name in made):
        value = values.get(name)
        if value is not None and _is_map(value):
            found.setdefault(tuple(value.shape[2:]), []).append(name)
    found.pop(tuple(whole[2:]), None)
    if not found:
        raise ValueError("no maps (batch, channels, rows, columns)")
    return [
        max(found[size], key=lambda name: (uses[name] > 1, found[size].index(name)))
        for size in sorted(found, reverse=True)
    ]


def _is_map(value: Tensor) -> bool:
    return value.ndim == 4 and value.is_floating_point() and min(value.shape[2:]) > 1


def _pruned(network: OnnxNetwork, maps: list[str]) -> OnnxNetwork:
    """The same with the nodes and weights alone that the maps need."""
    graph, wanted = network.plan, set(maps)
    nodes: list[Any] = []
    for node in reversed(graph["nodes"]):
        if wanted & set(node[2]):
            wanted |= set(node[1])
            nodes.insert(0, node)
    kept = {key: {k: v for k, v in graph[key].items() if k in wanted} for key in _STORED}
    fresh = OnnxNetwork(json.dumps({**graph, **kept, "nodes": nodes, "maps": maps}).encode())
    for name, own in fresh.names.items():
        getattr(fresh, own).data.copy_(getattr(network, network.names[name]).data)
    return fresh


_STORED = ("weights", "constants")
