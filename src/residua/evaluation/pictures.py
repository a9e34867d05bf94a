"""Images and reconstructions as the metrics take them: one layout, [0, 1], and what was read into
them on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of, unmasked
from residua.errors import RangeError, ShapeError
from residua.evaluation.layout import channels_last, matched, without_opaque_alpha
from residua.evaluation.scale_options import PixelScale, ScaleOptions, named
from residua.metrics._values import OVERSTEP_OF_IMAGES
from residua.metrics.scale import ScaleAudit, ValueScale, audited, read_scales
from residua.records import Assumption

_SIDES = ("images", "reconstructions")
_PREFIXES = ("", "reconstructions_")
_ROUNDING = 1e-5
Overstep = tuple[str, float, float]
"""Name of a side, share of its values outside [0, 1], mean distance of all values from [0, 1]."""


@dataclass(frozen=True)
class Pictures:
    """Both sides at one shape, (n_images, height, width, channels), in [0, 1], or of a type that
    declares its scale.

    `of_images` is the scale on which the images came; None where nothing could be read.
    """

    images: NDArray[Any]
    reconstructions: NDArray[Any]
    audit: ScaleAudit | None = None
    oversteps: tuple[Overstep, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    of_images: PixelScale | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What findings about the pictures themselves need, by its name in `JudgedFacts`."""
        return {
            "pictures": (self.images, self.reconstructions),
            "audit": self.audit,
            "oversteps": self.oversteps,
        }


def read_pictures(
    images: Any,
    reconstructions: Any,
    problems: Problems,
    *,
    of_images: ScaleOptions | None = None,
    of_reconstructions: ScaleOptions | None = None,
) -> Pictures:
    """Read layout and scale of both sides, each by itself; note in `problems` what admits no
    reading, or several.

    Values beyond the ends are clipped, counted and told.
    """
    options = (of_images or ScaleOptions(), of_reconstructions or ScaleOptions())
    stated = [one.reading(prefix, problems) for one, prefix in zip(options, _PREFIXES, strict=True)]
    (x, of_x), (r, of_r) = (
        channels_last(_as_stack(array, name, problems), name, problems)
        for array, name in zip((images, reconstructions), _SIDES, strict=True)
    )
    (x, of_alpha), (r, of_other) = (
        without_opaque_alpha(array, name) for array, name in zip((x, r), _SIDES, strict=True)
    )
    x, r, of_shape = matched(x, r, problems)
    _check_channels(stated, x.shape[3], problems)
    if problems or x.size == 0:
        return Pictures(x, r)
    return _on_one_scale(x, r, stated, [*of_x, *of_r, *of_alpha, *of_other, *of_shape], problems)


def known_pictures(images: Any, reconstructions: Any, problems: Problems) -> Pictures:
    """Pictures known to stand on 0-1 with channels last: they are clipped, and nothing else."""
    x, r = (
        _as_stack(array, name, problems)
        for array, name in ((images, "images"), (reconstructions, "reconstructions"))
    )
    x, r, _ = matched(x, r, problems)
    if problems or x.size == 0:
        return Pictures(x, r)
    return Pictures(_clip(x), _clip(r), oversteps=oversteps_of(reconstructions=r))


def _check_channels(stated: list[PixelScale | None], n_channels: int, problems: Problems) -> None:
    for reading, prefix in zip(stated, _PREFIXES, strict=True):
        if not problems and reading is not None and reading.black.size not in (1, n_channels):
            problems.add(
                f"{prefix}mean and std must be one number, or one per channel",
                f"{reading.black.size} numbers for {n_channels} channels",
                "Leave the others out",
                ShapeError,
            )


def _on_one_scale(
    x: NDArray[Any],
    r: NDArray[Any],
    stated: list[PixelScale | None],
    assumptions: list[Assumption],
    problems: Problems,
) -> Pictures:
    # Mean and deviation are undone first: what is left stands on 0-1, and the other side can be
    # read beside it.
    is_normal = [reading is not None and not reading.has_name for reading in stated]
    x, r = (
        reading.to_unit(array) if reading is not None and normal else array
        for array, reading, normal in zip((x, r), stated, is_normal, strict=True)
    )
    told = [None if each is None else each.name if each.has_name else "0-1" for each in stated]
    scales = read_scales(x, r, (told[0], told[1]))
    for scale, name, prefix in zip(scales, _SIDES, _PREFIXES, strict=True):
        if scale.scale == "unknown":
            _refuse(scale, name, prefix, problems)
    if problems:
        return Pictures(x, r)
    new_x, new_r = (
        named(scale.scale).to_unit(array) for scale, array in zip(scales, (x, r), strict=True)
    )
    _refuse_beyond(new_x, scales[0], problems)
    assumptions += _assumptions(scales, told)
    return Pictures(
        _clip(new_x),
        _clip(new_r),
        audited(x, r, scales) if None in told else None,
        oversteps_of(images=new_x, reconstructions=new_r),
        tuple(assumptions),
        stated[0] or named(scales[0].scale),
    )


def _assumptions(scales: tuple[ValueScale, ValueScale], told: list[str | None]) -> list[Assumption]:
    """What was taken for each side that was not told; once where both sides say the same."""
    of_x, of_r = scales
    if told == [None, None] and (of_x.scale, of_x.because) == (of_r.scale, of_r.because):
        both = "scale of images and reconstructions"
        return [Assumption(about=both, taken=of_x.scale, because=of_x.because, to_tell="--scale")]
    return [
        Assumption(
            about=f"scale of {name}",
            taken=scale.scale,
            because=scale.because,
            to_tell=f"--{prefix}scale",
        )
        for scale, name, prefix, known in zip(
            scales, _SIDES, ("", "reconstructions-"), told, strict=True
        )
        if known is None
    ]


def _refuse(scale: ValueScale, name: str, prefix: str, problems: Problems) -> None:
    must = (
        f"{name} must have a scale that their values show (0-1, 0-255, -1..1, whole numbers to"
        " 65535)"
    )
    got = f"{scale.dtype} values in [{scale.low:.4g}, {scale.high:.4g}], which {scale.because}"
    flag = prefix.replace("_", "-")
    mend = (
        f"State it with --{flag}scale, or --{flag}mean and --{flag}std (Python: {prefix}scale=,"
        f" {prefix}mean=, {prefix}std=)"
    )
    problems.add(must, got, mend, RangeError)


def _refuse_beyond(unit: NDArray[Any], scale: ValueScale, problems: Problems) -> None:
    """Images that leave the scale they are told to have, or use none of it, have another."""
    if unit.dtype.kind != "f":
        return
    low, high = float(unit.min()), float(unit.max())
    is_dark = low < high < 1.5 / 255 and low >= 0
    if is_dark or _mean_beyond(unit) > OVERSTEP_OF_IMAGES:
        got = (
            f"{scale.dtype} values in [{scale.low:.4g}, {scale.high:.4g}], which are [{low:.4g},"
            f" {high:.4g}] on 0-1"
        )
        problems.add(
            "images must lie on the stated scale, and use it",
            got,
            "State the scale of the images",
            RangeError,
        )


def _mean_beyond(unit: NDArray[Any]) -> float:
    return float((np.maximum(0, -unit) + np.maximum(0, unit - 1)).mean(dtype=np.float64))


def oversteps_of(**sides: NDArray[Any]) -> tuple[Overstep, ...]:
    """What lies outside of [0, 1] in each array that was brought there, by its name."""
    found = ((name, _overstep(unit)) for name, unit in sides.items())
    return tuple((name, *one) for name, one in found if one is not None)


def _overstep(unit: NDArray[Any]) -> tuple[float, float] | None:
    """The share of values outside [0, 1] in an array that was brought there, and the mean distance
    of all values from [0, 1]; None where nothing lies outside.
    """
    if unit.dtype.kind != "f" or (unit.min() >= -_ROUNDING and unit.max() <= 1 + _ROUNDING):
        return None
    return float(((unit < -_ROUNDING) | (unit > 1 + _ROUNDING)).mean()), _mean_beyond(unit)


def _as_stack(array: Any, name: str, problems: Problems) -> NDArray[Any]:
    empty = np.zeros((0, 1, 1, 1))
    try:
        stack = array_of(unmasked(array, name, problems))
    except ValueError as error:
        return problems.instead(
            empty,
            f"{name} must form one array",
            f"images that do not stack ({error})",
            "Resize them to one size",
            ShapeError,
        )
    if stack.dtype == object:
        stack = _from_objects(stack)
    if stack.dtype.kind not in "buif":
        mend = (
            "Save them as float32: bfloat16 has no type of its own in NumPy"
            if stack.dtype.kind == "V" or "bfloat16" in str(stack.dtype)
            else "Pass pixel values"
        )
        return problems.instead(
            empty, f"{name} must be numbers", f"dtype {stack.dtype}", mend, RangeError
        )
    if stack.dtype.kind == "f" and not np.isfinite(stack).all():
        return problems.instead(
            empty,
            f"{name} must be finite",
            f"{int(np.count_nonzero(~np.isfinite(stack)))} NaN or infinite values",
            "Correct or leave out those images",
            RangeError,
        )
    return stack


def _from_objects(array: NDArray[Any]) -> NDArray[Any]:
    """The array that objects hold, where they are arrays of one shape; else as it is."""
    try:
        stacked = np.array(array.tolist())
    except ValueError:
        return array
    return stacked if stacked.dtype.kind in "buif" else array


def _clip(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind != "f" or array.size == 0 or (array.min() >= 0 and array.max() <= 1):
        return array
    return np.asarray(np.clip(array, 0, 1))
