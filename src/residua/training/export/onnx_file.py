"""The inference graph as one ONNX file, and that file as OpenVINO's two: both have one origin."""

from __future__ import annotations

import contextlib
import importlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from residua._files import in_a_line
from residua.engines import Card
from residua.engines.card import UNITS
from residua.errors import GateError, MissingExtraError
from residua.training.bundle import Bundle
from residua.training.scoring.graph import InferenceGraph

Entry = Literal["uint8", "float32"]

INPUT = "images"
_ALWAYS, _REBUILT, _CLASSES = (
    ("score", "anomalous"),
    ("error_map", "reconstruction"),
    "probabilities",
)
_MEASURED = ("mse", "mae", "ssim")
_OPSET = 17
_THRESHOLD = "graph.threshold"


class _Whole(nn.Module):
    """The graph with the named tensors as outputs.

    The network's own size is spelt out, so that shapes behind it are known.
    """

    def __init__(self, graph: InferenceGraph, channels: int, names: tuple[str, ...]) -> None:
        super().__init__()
        self.graph, self.channels, self.names = graph, channels, names

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        prepare, keeps_shape = self.graph.prepare, self.graph.prepare.aspect == "area"
        prepared = prepare(images)
        scored = self.graph.score_prepared(
            prepared if keeps_shape else prepared.reshape(-1, self.channels, *prepare.size)
        )
        error_map = scored.error_map if keeps_shape else scored.error_map.reshape(-1, *prepare.size)
        error_map = prepare.restore(error_map, images.shape[1], images.shape[2])
        rebuilt = scored.reconstruction.permute(0, 2, 3, 1)
        if keeps_shape:
            rebuilt = prepare.at_one_size()(rebuilt).permute(0, 2, 3, 1)
        made = scored._replace(error_map=error_map, reconstruction=rebuilt)
        return tuple(getattr(made, name) for name in self.names)


def write_onnx(bundle: Bundle, path: Path, entry: Entry) -> None:
    """Write the bundle's graph to `path`; batch, height and width stay open.

    By tracing, with torch's older exporter: half a second where the newer one takes five to thirty,
    and the files run alike. What a trace might have frozen is found by the verification, which sees
    other sizes and batches than the trace did.
    """
    _import("onnx")
    height, width = bundle.config.size
    # Another size than the network's: at that one the graph leaves resizing out.
    example = torch.zeros(
        (2, height + 5, width + 2, bundle.config.channels),
        dtype=torch.uint8 if entry == "uint8" else torch.float32,
    )
    names, open_axes = output_names(bundle), {0: "batch", 1: "height", 2: "width"}
    with warnings.catch_warnings(), torch.no_grad(), _telling_what_is_not_known():
        warnings.simplefilter("ignore")  # sizes that a trace freezes, and the age of the exporter
        torch.onnx.export(
            _Whole(bundle.graph, bundle.config.channels, names).eval(),
            (example,),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=[INPUT],
            output_names=list(names),
            dynamic_axes={
                INPUT: open_axes,
                **{name: open_axes if name == "error_map" else {0: "batch"} for name in names},
            },
        )


@contextlib.contextmanager
def _telling_what_is_not_known() -> Iterator[None]:
    """An operator of a backbone that ONNX does not have is no fault of ours."""
    try:
        yield
    except torch.onnx.OnnxExporterError as error:
        raise GateError(
            "export: every operator of the model must exist in ONNX. Got:"
            f" {in_a_line(error)}. Score with --engine torch, or train with another backbone."
        ) from error


def output_names(bundle: Bundle) -> tuple[str, ...]:
    """What the file gives.

    Map and reconstruction where the network reconstructs, probabilities where it classifies.

    Errors too where images keep their own proportions: the reconstruction leaves stretched to one
    size, where they differ. No decision where the file is given parts of images: the threshold is
    one of whole images.
    """
    rebuilt: tuple[str, ...] = _REBUILT if bundle.graph.scorer.reconstructs else ()
    rebuilt += _MEASURED if rebuilt and bundle.config.aspect == "area" else ()
    always = _ALWAYS[:1] if bundle.config.is_framed else _ALWAYS
    return (*always, *rebuilt, *((_CLASSES,) if bundle.config.columns is not None else ()))


def describe_outputs(bundle: Bundle) -> dict[str, str]:
    """Names of the outputs with their units."""
    of = "of tiles, not of whole images: " if bundle.config.is_framed else ""
    return {name: of + UNITS[name] for name in output_names(bundle)}


def finish_onnx(path: Path, card: Card) -> None:
    """Put the engine's own threshold and the card into the file."""
    onnx = _import("onnx")
    model = onnx.load(str(path))
    for initializer in model.graph.initializer:
        if initializer.name == _THRESHOLD:
            initializer.CopyFrom(
                onnx.numpy_helper.from_array(np.array(card.threshold, np.float32), _THRESHOLD)
            )
    onnx.helper.set_model_props(model, metadata_of(card))
    model.producer_name, model.producer_version = "residua", card.residua_version
    onnx.save(model, str(path))


def metadata_of(card: Card) -> dict[str, str]:
    """What a model file says of itself.

    The card as JSON, and what people look for first by itself.
    """
    point = card.operating_point
    return {
        "residua": json.dumps(card.public(), ensure_ascii=False),
        "threshold": "none" if point is None else repr(point.threshold),
        "policy": "none" if point is None else point.policy,
        "units": json.dumps({INPUT: UNITS[INPUT], **card.outputs}),
    }


def _import(package: str, what: str = "export") -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError:
        raise MissingExtraError(package, "export", what) from None


def write_openvino(source: Path, path: Path) -> None:
    """Convert the ONNX file `source` to `path` (``.xml``, the weights beside it).

    Weights stay float32.
    """
    openvino = _import("openvino", "export --format openvino")
    openvino.save_model(openvino.convert_model(str(source)), str(path), compress_to_fp16=False)


def finish_openvino(path: Path, card: Card) -> None:
    """Put the card into the file."""
    openvino = _import("openvino", "export --format openvino")
    model = openvino.Core().read_model(str(path))
    for name, value in metadata_of(card).items():
        model.set_rt_info(value, ["residua", name])
    # The weights that were read are still mapped into memory.
    fresh = path.with_name(f"finished-{path.name}")
    openvino.save_model(model, str(fresh), compress_to_fp16=False)
    del model
    for suffix in (".bin", ".xml"):
        fresh.with_suffix(suffix).replace(path.with_suffix(suffix))
