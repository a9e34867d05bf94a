"""An evaluation as the public JSON object, exactly as ``evaluate --json`` and ``judge --json``
write it; and arrays as a page carries them: dtype and base64, exact and half the size of digits.
"""

from __future__ import annotations

import base64
import binascii
import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from residua import _files as files
from residua.errors import SourceError
from residua.records import Evaluation, Record

_BYTES = {"<f4": 4, "<f8": 8, "|u1": 1}


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The public object: dicts, lists, strings and finite numbers; what is undefined is None.

    >>> from residua.records import Estimate
    >>> record = Evaluation(
    ...     job="detect", n_images=3, split="test", metrics={"roc_auc": Estimate(value=0.5, n=3)}
    ... )
    >>> to_json(record)["metrics"]
    {'roc_auc': {'value': 0.5, 'low': None, 'high': None, 'confidence': 0.95, 'n': 3}}
    """
    return {str(key): value for key, value in plain(evaluation.model_dump()).items()}


def write_json(evaluation: Evaluation, path: str | Path) -> Path:
    """Write `to_json` to `path`, atomically.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    path = Path(path)
    files.write_json(path, to_json(evaluation))
    return path


def plain(value: Any) -> Any:
    """`value` with NumPy's numbers, arrays, paths and sets made JSON's, and NaN made None."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, set | frozenset):
        return sorted((plain(one) for one in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


class Packed(Record):
    """An array as it stands in a page; ``width`` counts a matrix's columns, 0 for one axis."""

    dtype: Literal["<f4", "<f8", "|u1"]
    data: str
    width: int = Field(default=0, ge=0, le=1_000_000)

    def unpack(self, where: str) -> NDArray[Any]:
        """The array again; `SourceError` naming `where` if the bytes do not make one."""
        try:
            raw = base64.b64decode(self.data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise SourceError(
                f"{where}: must be base64. Got: {error}. Write the report again."
            ) from None
        row = _BYTES[self.dtype] * max(1, self.width)
        if len(raw) % row:
            raise SourceError(
                f"{where}: must be whole rows of {row} bytes. Got {len(raw)} bytes. Write the"
                " report again."
            )
        array = np.frombuffer(raw, self.dtype)
        return array.reshape(-1, self.width) if self.width else array


def packed(array: NDArray[Any] | None) -> dict[str, Any] | None:
    """An array of one or two axes as a plain dict; integers that are not bytes become doubles."""
    if array is None:
        return None
    array = np.asarray(array)
    if array.dtype.kind == "f":
        array = array.astype("<f4" if array.dtype.itemsize <= 4 else "<f8")
    elif array.dtype == np.bool_:
        array = array.astype(np.uint8)
    elif array.dtype != np.uint8:
        array = array.astype("<f8")
    data = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
    width = {"width": array.shape[1]} if array.ndim == 2 else {}
    return {"dtype": array.dtype.str, "data": data, **width}
