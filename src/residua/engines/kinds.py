"""The engines by name.

`KINDS` is the registry: what runs, in which precision, and which file holds it.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from residua.errors import InputError

Runtime = Literal["torch", "torch-gpu", "onnx", "openvino"]
Precision = Literal["float32", "bfloat16", "int8"]


@dataclass(frozen=True)
class Kind:
    """An engine of the registry.

    Its name, what runs it, the precision of its network, and its files in ``RUN/export`` (none for
    torch).
    """

    name: str
    runtime: Runtime
    precision: Precision
    files: tuple[str, ...] = ()

    @property
    def is_reference(self) -> bool:
        """Whether this is what all others are verified against."""
        return self.name == REFERENCE

    @property
    def card(self) -> str:
        """The name of the JSON beside the files."""
        return f"{self.files[0] if self.files else self.name}.json"


REFERENCE = "torch"

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("torch", "torch", "float32"),
        Kind("torch-bf16", "torch", "bfloat16"),
        Kind("torch-gpu", "torch-gpu", "float32"),
        Kind("onnx", "onnx", "float32", ("model.onnx",)),
        Kind("onnx-int8", "onnx", "int8", ("model-int8.onnx",)),
        Kind("openvino", "openvino", "float32", ("model.xml", "model.bin")),
        Kind("openvino-bf16", "openvino", "bfloat16", ("model-bf16.xml", "model-bf16.bin")),
        Kind("openvino-int8", "openvino", "int8", ("model-int8.xml", "model-int8.bin")),
    )
}


def parse_engine(name: str) -> Kind:
    """The engine called `name`; raises InputError if there is none, with what was meant.

    >>> parse_engine("openvino-int8").precision
    'int8'
    """
    if name not in KINDS:
        close = difflib.get_close_matches(name, KINDS, n=1)
        hint = f"Did you mean {close[0]}?" if close else "Name one of them."
        raise InputError(f"engine: must be one of {', '.join(KINDS)}. Got {name!r}. {hint}")
    return KINDS[name]


def find_kind(runtime: str, precision: str) -> Kind:
    """The engine of this runtime and precision.

    Raises
    ------
    InputError
        If there is none: ONNX Runtime computes no convolution in bfloat16 on a processor.
    """
    for kind in KINDS.values():
        if (kind.runtime, kind.precision) == (runtime, precision):
            return kind
    there = ", ".join(kind.precision for kind in KINDS.values() if kind.runtime == runtime)
    if not there:
        runtimes = ", ".join(dict.fromkeys(kind.runtime for kind in KINDS.values()))
        raise InputError(
            f"engine: the runtime must be one of {runtimes}. Got {runtime!r}. Name one of them."
        )
    raise InputError(
        f"engine: the precision of {runtime} must be one of {there}. Got {precision!r}. Name one of"
        " them."
    )
