"""Where models come from: what each kind says of itself, asked without importing its framework."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines.onnx_file import open_session
from residua.errors import InputError
from residua.wrapping.contract import Known, Values

_RANGES: dict[str, Values] = {"sigmoid": "unit", "tanh": "symmetric"}


def look_at(model: Any) -> Known:
    """What `model` says of itself.

    Raises
    ------
    InputError
        If it is none of a Keras model, a ``torch.nn.Module``, an ONNX file or a function.
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
        f"wrap: the model must be a Keras model, a torch.nn.Module, the path of an ONNX file or a function x -> x_hat. "
        f"Got {type(model).__name__}. Wrap its predicting method in a function."
    )


def _comes_from(model: Any, *packages: str) -> bool:
    return any(base.__module__.split(".")[0] in packages for base in type(model).__mro__)


def _keras(model: Any) -> Known:
    shape = model.input_shape
    if isinstance(shape, list | dict):
        raise InputError(f"wrap: a Keras model must have one input. Got {shape}. Wrap it in a function x -> x_hat.")
    return Known("keras", model.predict_on_batch, tuple(shape), _keras_values(model))


def _keras_values(model: Any) -> Values | None:
    """The range of the last layer's activation; a first layer that divides by 255 takes bytes, and tells nothing of the rest."""
    if any(type(layer).__name__ == "Rescaling" for layer in model.layers[:2]):
        return None
    activation = getattr(model.layers[-1], "activation", None)
    return _RANGES.get(getattr(activation, "__name__", ""))


def _torch(model: Any) -> Known:
    torch: Any = sys.modules["torch"]  # a module of it exists, so it is loaded
    first = next(iter(model.parameters()), torch.zeros(0))

    def call(images: NDArray[np.float32]) -> Any:
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                output = model(torch.from_numpy(images).to(first.device, first.dtype))
        finally:
            model.train(was_training)
        several = output if isinstance(output, list | tuple) else (output,)
        return tuple(one.float().cpu().numpy() for one in several)

    last = list(model.modules())[-1]
    return Known("torch", call, None, _RANGES.get(type(last).__name__.lower()), "nchw")


def _onnx(path: Path) -> Known:
    if not path.is_file() or path.suffix != ".onnx":
        raise InputError(f"wrap: a path must be that of an ONNX file. Got {path}. Name a .onnx file that is there.")
    session = open_session(path, "wrapping an ONNX file")
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise InputError(f"wrap: an ONNX model must have one input. Got {len(inputs)}. Wrap it in a function x -> x_hat.")
    entry = inputs[0]
    kinds: dict[str, Any] = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(uint8)": np.uint8}
    if entry.type not in kinds:
        raise InputError(f"wrap: an ONNX model must take floats or uint8. Got {entry.type}. Wrap it in a function x -> x_hat.")
    dtype = kinds[entry.type]
    shape = tuple(side if isinstance(side, int) else None for side in entry.shape)

    def call(images: NDArray[np.float32]) -> Any:
        values = np.rint(images).astype(np.uint8) if dtype == np.uint8 else images.astype(dtype)
        return tuple(session.run(None, {entry.name: values}))

    return Known("onnx", call, shape, "bytes" if dtype == np.uint8 else None, n_batch=shape[0] if shape else None)
