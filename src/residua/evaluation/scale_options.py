"""What a user states about the scale of pixels: a scale's name, or mean and deviation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import InputError
from residua.metrics._values import SPANS

Numbers = float | str | Sequence[float] | None


@dataclass(frozen=True)
class PixelScale:
    """A scale: black's value, and how far white lies above; a number, or one per channel."""

    name: str
    black: NDArray[np.float64]
    span: NDArray[np.float64]

    @property
    def has_name(self) -> bool:
        """False for mean and deviation."""
        return self.name in SPANS

    def to_unit(self, array: NDArray[Any]) -> NDArray[Any]:
        """`array` on 0-1; what its type declares, or what stands on it already, as it is."""
        whole = {"0-255": np.uint8, "0-65535": np.uint16, "0-1": np.bool_}.get(self.name)
        # None would equal float64: NumPy takes it for the default type.
        if (whole is not None and array.dtype == whole) or (
            self.name == "0-1" and array.dtype.kind == "f"
        ):
            return array
        kind = array.dtype if array.dtype.itemsize > 2 and array.dtype.kind == "f" else np.float32
        return np.asarray((array - self.black.astype(kind)) / self.span.astype(kind), kind)

    def in_shape(self, shape: tuple[int, ...], level: float) -> NDArray[np.float64]:
        """The value of `level` (0 black, 1 white) on this scale, to be broadcast over an array of
        `shape` as it was given.
        """
        value = self.black + level * self.span
        is_first = value.size > 1 and len(shape) == 4 and shape[1] == value.size != shape[-1]
        return value.reshape(-1, 1, 1) if is_first else value


def named(scale: str) -> PixelScale:
    """The reading that a scale's name stands for."""
    black, span = SPANS[scale]
    return PixelScale(scale, np.array([black]), np.array([span]))


@dataclass(frozen=True)
class ScaleOptions:
    """What is stated of one side; None where it is to be read from the values."""

    scale: str | None = None
    mean: Numbers = None
    std: Numbers = None

    def reading(self, prefix: str, problems: Problems) -> PixelScale | None:
        """The scale stated, after its checks; None to read it from the values."""
        mean, std = (
            _numbers(value, prefix + name, problems)
            for value, name in ((self.mean, "mean"), (self.std, "std"))
        )
        has_numbers = mean is not None or std is not None
        if self.scale is not None and self.scale not in ("auto", *SPANS):
            got, mend = (
                repr(self.scale),
                "Name one, or pass mean and deviation with --mean and --std",
            )
            return problems.instead(
                None,
                f"{prefix}scale must be auto or one of {', '.join(SPANS)}",
                got,
                mend,
                InputError,
            )
        if has_numbers and self.scale not in (None, "auto"):
            got = f"{prefix}scale {self.scale} and {prefix}mean or {prefix}std"
            return problems.instead(
                None,
                "a scale is named, or given by mean and deviation",
                got,
                "Drop one of them",
                InputError,
            )
        if not has_numbers:
            return None if self.scale in (None, "auto") else named(str(self.scale))
        return _normalised(
            np.zeros(1) if mean is None else mean,
            np.ones(1) if std is None else std,
            prefix,
            problems,
        )


def _normalised(
    mean: NDArray[Any], std: NDArray[Any], prefix: str, problems: Problems
) -> PixelScale | None:
    mend = (
        "State them for pixels from 0 to 1: divide both by 255 if they are for pixels from 0 to 255"
    )
    if not ((mean >= 0) & (mean <= 1)).all():
        problems.add(f"{prefix}mean must lie in [0, 1]", _shown(mean), mend, InputError)
    if not ((std > 0) & (std <= 1)).all():
        problems.add(f"{prefix}std must lie in (0, 1]", _shown(std), mend, InputError)
    if mean.size != std.size and 1 not in (mean.size, std.size):
        problems.add(
            f"{prefix}mean and {prefix}std must be as many",
            f"{mean.size} and {std.size}",
            "Pass one number, or one per channel",
            InputError,
        )
    if problems:
        return None
    return PixelScale(
        f"(pixel - {_shown(mean)}) / {_shown(std)}", *np.broadcast_arrays(-mean / std, 1 / std)
    )


def _shown(values: NDArray[Any]) -> str:
    return ", ".join(f"{value:.4g}" for value in values.tolist())


def _numbers(given: Numbers, name: str, problems: Problems) -> NDArray[np.float64] | None:
    if given is None:
        return None
    try:
        parts = given.replace(",", " ").split() if isinstance(given, str) else given
        values = np.atleast_1d(np.asarray(parts, np.float64))
    except (ValueError, TypeError):
        values = np.array([np.nan])
    if values.ndim != 1 or not np.isfinite(values).all() or values.size == 0:
        return problems.instead(
            None,
            f"{name} must be one number, or one per channel",
            repr(given),
            "Write for instance 0.5, or 0.485,0.456,0.406",
            InputError,
        )
    return values
