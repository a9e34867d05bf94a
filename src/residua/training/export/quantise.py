"""The network in eight bits: its convolutions and products, with ranges seen on training images.

The score stays float32.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._pixels import as_unit
from residua.errors import InputError, MissingExtraError
from residua.images import ImageSet

_MOST_IMAGES = 256  # that int8 takes its ranges from
_QUANTISED = ("Conv", "Gemm")
# A layer of a module inside the scorer, not an operation of its own.
_NETWORK = re.compile(r"/scorer/.+/(Conv|Gemm)[^/]*")


def quantise_onnx(source: Path, target: Path, images: ImageSet, *, as_float: bool) -> None:
    """Write the ONNX file `source` with its network in int8 to `target`.

    Ranges come from up to 256 of `images`.

    Only layers of the network are touched: preparing the image, comparing and averaging stay in
    float32. Raises InputError if the network holds no layer that can be quantised.
    """
    try:
        import onnx
        from onnxruntime.quantization import (
            CalibrationDataReader,
            QuantFormat,
            QuantType,
            quantize_static,
        )
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            error.name or "onnxruntime", "export", "export --precision int8"
        ) from None

    model = onnx.load(str(source))
    _give_each_its_own(model)
    graph = model.graph
    learnt = {tensor.name for tensor in graph.initializer}  # a blur's weights are constants instead
    nodes = [
        node.name
        for node in graph.node
        if node.op_type in _QUANTISED
        and _NETWORK.fullmatch(node.name)
        and learnt.intersection(node.input[1:2])
    ]
    if not nodes:
        raise InputError(
            "export --precision int8: the network must have layers to quantise. It has none. Use"
            " float32."
        )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """Feeds the images, one at a time."""

        def __init__(self) -> None:
            self._rest = _feeds(images, as_float=as_float)

        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(self._rest, None)

    with _without_advice():
        quantize_static(
            model,
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(_QUANTISED),
            nodes_to_quantize=nodes,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _give_each_its_own(model: Any) -> None:
    """Copies of what the exporter shares by ``Identity`` where weights are equal.

    The quantiser leaves such biases in float32.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in [
        node for node in model.graph.node if node.op_type == "Identity" and node.input[0] in tensors
    ]:
        copy = model.graph.initializer.add()
        copy.CopyFrom(tensors[node.input[0]])
        copy.name = node.output[0]
        model.graph.node.remove(node)


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep the quantiser from advising steps that are taken already.

    The exporter folds batch norms.
    """
    root = logging.getLogger()
    root.addFilter(_is_ours)
    try:
        yield
    finally:
        root.removeFilter(_is_ours)


def _is_ours(record: logging.LogRecord) -> bool:
    return "pre-processing before quantization" not in record.getMessage()


def _feeds(images: ImageSet, *, as_float: bool) -> Iterator[dict[str, NDArray[Any]]]:
    rows = np.unique(
        np.linspace(0, len(images) - 1, min(len(images), _MOST_IMAGES)).astype(np.int64)
    )
    for image in images[rows]:
        yield {"images": (as_unit(image) if as_float else image)[np.newaxis]}
