"""Where models come from: what each kind says of itself, asked without importing its framework."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._files import read_file
from residua.engines.onnx_file import open_session
from residua.errors import InputError
from residua.runs.wrapped.contract import Known, Traced
from residua.runs.wrapped.storing import load_keras
from residua.runs.wrapped.tracing import trace_onnx, trace_torch

_RANGES = {"sigmoid": "unit", "tanh": "symmetric"}
_RESCALING = ("Rescaling", "Normalization")
_PICKLES = {
    ".pt": (
        "Load it as what it is: torch.jit.load(path) if it is TorchScript, else build the module"
        " and load its weights with torch.load(path, weights_only=True)"
    ),
    ".h5": (
        "Load it with keras.models.load_model(path, compile=False) (docs/wrap.md: where a file of"
        " Keras 2 does not load)"
    ),
    ".pt2": "Load it with torch.export.load(path).module()",
}
_PICKLES |= dict.fromkeys((".pth", ".ckpt", ".pkl", ".ts"), _PICKLES[".pt"]) | {
    ".hdf5": _PICKLES[".h5"]
}


def look_at(model: Any) -> Known:
    """What `model` says of itself.

    Raises InputError if it is none of a Keras model, a ``torch.nn.Module``, an ONNX file or a
    function.
    """
    if _comes_from(model, "keras", "tf_keras") and hasattr(model, "predict_on_batch"):
        return _keras(model)
    if _comes_from(model, "torch") and hasattr(model, "state_dict"):
        return _torch(model)
    if isinstance(model, str | Path):
        return _onnx(Path(model))
    if callable(model):
        return Known("callable", model, layout="nhwc")
    raise InputError(
        "wrap: the model must be a Keras model, a torch.nn.Module, the path of an ONNX file or a"
        f" function x -> x_hat. Got {type(model).__name__}. Wrap its predicting method in a"
        " function."
    )


def opened(model: Any) -> Any:
    """The model itself, where `model` is the path of a ``.keras`` file; anything else comes back as
    it is.

    Raises InputError if it is a path of another kind of file than ``.onnx`` and ``.keras``: a
    pickle may run code when it is read.
    """
    if not isinstance(model, str | Path):
        return model
    path = Path(model)
    kind = path.suffix.lower()
    if kind in _PICKLES:
        raise InputError(
            "wrap: a path must be that of a .onnx or .keras file, which hold data alone. Got"
            f" {path}, which may run code when it is read. {_PICKLES[kind]}, and wrap what you get."
        )
    if kind not in (".onnx", ".keras") or not path.is_file():
        raise InputError(
            f"wrap: a path must be that of a .onnx or .keras file. Got {path}. Name one that is"
            " there."
        )
    if _takes_parts(path):
        raise InputError(
            f"wrap: a file must take whole images. Got {path}, which takes what the tiles or the"
            " region of its card cut out of them. Load it with residua.engines.load_engine."
        )
    return path if kind == ".onnx" else load_keras(path)


def _takes_parts(path: Path) -> bool:
    """Whether the card beside an exported file says that it takes tiles, or a region."""
    try:
        card = json.loads(read_file(path.with_name(f"{path.name}.json"), 2**24))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(card, dict) and bool(card.get("tiling") or card.get("region"))


def _comes_from(model: Any, *packages: str) -> bool:
    return any(base.__module__.split(".")[0] in packages for base in type(model).__mro__)


def _keras(model: Any) -> Known:
    shape = _keras_shape(model)
    if isinstance(shape, list | dict):
        raise InputError(
            f"wrap: a Keras model must have one input. Got {shape}. Wrap it in a function x ->"
            " x_hat."
        )
    first = [layer for layer in model.layers[:2] if type(layer).__name__ in _RESCALING]
    keras: Any = sys.modules.get("keras")
    on_torch = (
        keras is not None and _comes_from(model, "keras") and keras.backend.backend() == "torch"
    )
    return Known(
        "keras",
        model.predict_on_batch,
        shape,
        _keras_inputs(first),
        None if on_torch or first else _keras_outputs(model),
        layout=None if shape is not None else "nhwc",
        rescales=bool(first),
        trace=(lambda images: _trace_keras(keras, model, images)) if on_torch else None,
    )


def _keras_shape(model: Any) -> Any:
    """The input's shape; None of a subclassed model that was never called."""
    shape = getattr(model, "input_shape", None)
    if shape is None and hasattr(model, "get_build_config"):
        built = model.get_build_config() or {}
        shape = built.get("input_shape")
    if isinstance(shape, list) and len(shape) == 1 and isinstance(shape[0], list | tuple):
        shape = shape[0]
    if isinstance(shape, list | tuple) and all(
        side is None or isinstance(side, int) for side in shape
    ):
        return (None, *shape[1:])
    return shape


def _keras_inputs(first: list[Any]) -> tuple[str, str] | None:
    """A first layer from 0-255 to 0-1 or -1..1 takes bytes; other rescaling says nothing."""
    if not first:
        return None
    scale, offset = (getattr(first[0], name, None) for name in ("scale", "offset"))
    if isinstance(scale, int | float) and isinstance(offset, int | float):
        for divisor, shift in ((255, 0), (127.5, -1)):
            if abs(scale * divisor - 1) < 0.01 and offset == shift:
                return "bytes", f"the first layer multiplies by {scale:.4g}"
    return None


def _keras_outputs(model: Any) -> tuple[str, str] | None:
    """The range of the last layer's activation, where layers are in the order of the network."""
    if type(model).__name__ not in ("Sequential", "Functional"):
        return None
    name = getattr(getattr(model.layers[-1], "activation", None), "__name__", "")
    return (_RANGES[name], f"the last layer's activation is {name}") if name in _RANGES else None


def _trace_keras(keras: Any, model: Any, images: NDArray[np.float32]) -> Traced:
    return trace_torch(
        lambda tensor: model(tensor, training=False), keras.ops.convert_to_tensor(images)
    )


def _torch(model: Any) -> Known:
    torch: Any = sys.modules["torch"]  # a module of it exists, so it is loaded
    weights = [one for one in (*model.parameters(), *model.buffers()) if one.is_floating_point()]
    like = weights[0] if weights else torch.zeros(0)

    def run(images: Any) -> Any:
        modes = [(module, module.training) for module in model.modules()]
        for module, _ in modes:
            module.training = False
        try:
            with torch.no_grad():
                return model(images)
        finally:  # each part as it was: some may be frozen within a module that is trained
            for module, was_training in modes:
                module.training = was_training

    def tensor(images: NDArray[np.float32]) -> Any:
        return torch.from_numpy(images).to(like.device, like.dtype)

    return Known(
        "torch",
        lambda images: _as_arrays(run(tensor(images)), torch),
        layout="nchw",
        trace=lambda images: trace_torch(run, tensor(images)),
    )


def _as_arrays(output: Any, torch: Any) -> Any:
    if isinstance(output, torch.Tensor):
        return (output.float() if output.is_floating_point() else output).detach().cpu().numpy()
    if isinstance(output, Mapping):
        output = list(output.values())
    return (
        [_as_arrays(one, torch) for one in output if one is not None]
        if isinstance(output, list | tuple)
        else output
    )


def _onnx(path: Path) -> Known:
    session = open_session(path, "wrapping an ONNX file")
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise InputError(
            f"wrap: an ONNX model must have one input. Got {len(inputs)}. Wrap it in a function x"
            " -> x_hat."
        )
    entry = inputs[0]
    kinds: dict[str, Any] = {
        "tensor(float)": np.float32,
        "tensor(double)": np.float64,
        "tensor(uint8)": np.uint8,
    }
    if entry.type not in kinds:
        raise InputError(
            f"wrap: an ONNX model must take floats or uint8. Got {entry.type}. Wrap it in a"
            " function x -> x_hat."
        )
    dtype = kinds[entry.type]
    shape = tuple(side if isinstance(side, int) else None for side in entry.shape)

    def given(images: NDArray[np.float32]) -> NDArray[Any]:
        return np.rint(images).astype(np.uint8) if dtype == np.uint8 else images.astype(dtype)

    def trace(images: NDArray[np.float32]) -> Traced:
        def run(model: Any) -> dict[str, NDArray[Any]]:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            wide = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            names = [one.name for one in wide.get_outputs()]
            return {
                entry.name: images,
                **dict(zip(names, wide.run(names, {entry.name: given(images)}), strict=True)),
            }

        return trace_onnx(path, run)

    takes_bytes = ("bytes", "the input is uint8") if dtype == np.uint8 else None
    return Known(
        "onnx",
        lambda images: session.run(None, {entry.name: given(images)}),
        shape,
        takes_bytes,
        None if takes_bytes is None else ("bytes", "its input is uint8"),
        n_batch=shape[0] if shape else None,
        trace=trace,
    )
