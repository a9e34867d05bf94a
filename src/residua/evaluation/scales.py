"""Images and reconstructions brought to [0, 1], with a finding where they were not there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua import diagnostics
from residua._check import Problems
from residua.errors import RangeError, ShapeError
from residua.records import Finding


def to_unit_range(images: Any, reconstructions: Any, problems: Problems) -> tuple[NDArray[Any], NDArray[Any], Finding | None]:
    """Bring both arrays to what the metrics take (uint8, uint16, bool, or float in [0, 1]); say what had to be done.

    Floats on 0-255 are divided by 255, on -1 to 1 halved and lifted if both are, and a linear layer's oversteps clipped.
    What stands on no known scale is refused.
    """
    x, r = (_as_stack(array, name, problems) for array, name in ((images, "images"), (reconstructions, "reconstructions")))
    if not problems and x.shape != r.shape:
        got = f"{x.shape} and {r.shape}"
        problems.add(
            "images and reconstructions must have the same shape",
            got,
            "Pass one reconstruction an image, at its size",
            ShapeError,
        )
    if problems or x.size == 0:
        return x, r, None
    from residua.metrics.scale import scale_audit

    audit = scale_audit(x, r)
    both_signed = audit.images.scale == "-1-1" and audit.reconstructions.scale in ("-1-1", "0-1")
    new_x, new_r = (
        _converted(array, scale.scale, both_signed) for array, scale in ((x, audit.images), (r, audit.reconstructions))
    )
    if new_x is None or new_r is None:
        seen = audit.images if new_x is None else audit.reconstructions
        name = "images" if new_x is None else "reconstructions"
        got = f"{seen.dtype} values in [{seen.low:.4g}, {seen.high:.4g}]"
        problems.add(f"{name} must stand on a known scale (0-1, 0-255, 0-65535)", got, "Bring them to [0, 1]", RangeError)
        return x, r, None
    clipped = float(((new_r < 0) | (new_r > 1)).mean()) if new_r.dtype.kind == "f" else 0.0
    finding = diagnostics.find_scale(x, r, clipped_share=clipped)
    return _clip(new_x), _clip(new_r), finding


def _as_stack(array: Any, name: str, problems: Problems) -> NDArray[Any]:
    empty = np.zeros((0, 1, 1, 1))
    try:
        stack = np.asarray(array)
    except ValueError as error:
        problems.add(f"{name} must form one array", f"images that do not stack ({error})", "Resize them to one size", ShapeError)
        return empty
    if stack.dtype.kind not in "buif":
        problems.add(f"{name} must be numbers", f"dtype {stack.dtype}", "Pass pixel values", RangeError)
        return empty
    if stack.ndim == 3:
        stack = stack[..., np.newaxis]
    if stack.ndim == 2 and stack.shape[1] > 1:
        stack = stack[:, np.newaxis, :, np.newaxis]
    if stack.ndim != 4 or 0 in stack.shape[1:]:
        must = f"{name} must have shape (n_images, height, width[, channels]) or (n_images, n_pixels)"
        problems.add(must, f"shape {np.shape(array)}", "Put images first and channels last", ShapeError)
        return empty
    if stack.dtype.kind == "f" and not np.isfinite(stack).all():
        n_bad = int(np.count_nonzero(~np.isfinite(stack)))
        problems.add(f"{name} must be finite", f"{n_bad} NaN or infinite values", "Mend or leave out those images", RangeError)
        return empty
    return stack


def _converted(array: NDArray[Any], scale: str, both_signed: bool) -> NDArray[Any] | None:
    if array.dtype.kind == "b" or array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype.kind in "iu":
        if array.min() < 0 or scale not in ("0-1", "0-255", "0-65535"):
            return None
        return array.astype(np.float32) / {"0-1": 1, "0-255": 255, "0-65535": 65535}[scale]
    if both_signed:
        return np.asarray((array + 1) / 2)
    divisor = {"0-1": 1, "-1-1": 1, "0-255": 255, "0-65535": 65535}.get(scale)
    return None if divisor is None else array if divisor == 1 else np.asarray(array / divisor)


def _clip(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "f" or array.size == 0 or (array.min() >= 0 and array.max() <= 1):
        return array
    return np.asarray(np.clip(array, 0, 1))
