"""An ONNX file as OpenVINO's two: the same graph, so that both exporters have one origin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from residua.engines import Card
from residua.errors import MissingExtraError
from residua.training.export.onnx_file import metadata_of


def write_openvino(source: Path, path: Path) -> None:
    """Convert the ONNX file `source` to `path` (``.xml``, the weights beside it).

    Weights stay float32.
    """
    openvino = _openvino()
    openvino.save_model(openvino.convert_model(str(source)), str(path), compress_to_fp16=False)


def finish_openvino(path: Path, card: Card) -> None:
    """Put the card into the file."""
    openvino = _openvino()
    model = openvino.Core().read_model(str(path))
    for name, value in metadata_of(card).items():
        model.set_rt_info(value, ["residua", name])
    # The weights that were read are still mapped into memory.
    fresh = path.with_name(f"finished-{path.name}")
    openvino.save_model(model, str(fresh), compress_to_fp16=False)
    del model
    for suffix in (".bin", ".xml"):
        fresh.with_suffix(suffix).replace(path.with_suffix(suffix))


def _openvino() -> Any:
    try:
        import openvino
    except ModuleNotFoundError:
        raise MissingExtraError("openvino", "export", "export --format openvino") from None
    return openvino
