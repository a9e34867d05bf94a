"""Arrays as JSON: their dtype and the base64 of their little-endian bytes, exact and half the size
of decimal digits.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from residua.errors import SourceError

_BYTES = {"<f4": 4, "<f8": 8, "|u1": 1}


class Packed(BaseModel):
    """An array as it stands in a page; ``width`` is the number of columns of a matrix, 0 for one
    axis.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

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
