"""The scale of what goes into a model from elsewhere, and of what comes out: named, or a mean and a
deviation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from residua._check import Problems
from residua.errors import RangeError

Name = Literal["unit", "symmetric", "bytes", "normalised"]
Numbers = tuple[float, ...]
_ALIASES: dict[str, Name] = {"0-1": "unit", "-1..1": "symmetric", "0-255": "bytes"}
_HOW = (
    'Pass "unit" for 0-1, "symmetric" for -1..1, "bytes" for 0-255, or {"mean": ..., "std": ...} of'
    " images in 0-1"
)


class Scale(BaseModel):
    """Model values are ``(x - mean) / std`` of x in [0, 1]; a number, or one per channel."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    mean: Numbers
    std: Numbers

    def to_model(self, images: NDArray[np.float32]) -> NDArray[np.float32]:
        """Images (..., channels) in [0, 1] on this scale."""
        return (images - _row(self.mean)) / _row(self.std)

    def from_model(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Values (..., channels) on this scale as images, beyond [0, 1] too."""
        return values * _row(self.std) + _row(self.mean)

    @property
    def words(self) -> str:
        """As people tell it: ``unit (0-1)``.

        >>> SCALES["symmetric"].words
        'symmetric (-1..1)'
        """
        for alias, name in _ALIASES.items():
            if name == self.name:
                return f"{name} ({alias})"
        return "mean {} and deviation {}".format(
            *(", ".join(f"{one:.4g}" for one in part) for part in (self.mean, self.std))
        )

    @property
    def range(self) -> tuple[float, float]:
        """Where images that lie in [0, 1] end up: the lowest and the highest value."""
        ends = [
            (end - mean) / std
            for mean, std in zip(self.mean, self.std, strict=True)
            for end in (0, 1)
        ]
        return min(ends), max(ends)


def _row(numbers: Numbers) -> NDArray[np.float32]:
    return np.array(numbers, np.float32)


SCALES: dict[str, Scale] = {
    "unit": Scale(name="unit", mean=(0.0,), std=(1.0,)),
    "symmetric": Scale(name="symmetric", mean=(0.5,), std=(0.5,)),
    "bytes": Scale(name="bytes", mean=(0.0,), std=(1 / 255,)),
}


def read_scale(told: Any, *, option: str, channels: int | None, problems: Problems) -> Scale | None:
    """The scale by its name, or by mean and deviation; None with a problem noted.

    >>> read_scale("0-255", option="inputs", channels=1, problems=Problems("wrap")).name
    'bytes'
    >>> read_scale((0.5, 0.5), option="inputs", channels=1, problems=Problems("wrap")).range
    (-1.0, 1.0)
    """
    if isinstance(told, Scale):
        return told
    if isinstance(told, str):
        name = _ALIASES.get(told, told)
        if name not in SCALES:
            problems.add(f"{option} must name a scale", repr(told), _HOW, RangeError)
        return SCALES.get(name)
    pair = (told.get("mean"), told.get("std")) if isinstance(told, Mapping) else told
    if (
        not isinstance(pair, Sequence | np.ndarray)
        or len(pair) != 2
        or any(one is None for one in pair)
    ):
        return problems.instead(
            None,
            f"{option} must be a scale's name or a mean and a deviation",
            repr(told),
            _HOW,
            RangeError,
        )
    mean, std = (tuple(np.atleast_1d(np.asarray(one, np.float64)).ravel().tolist()) for one in pair)
    if len(mean) != len(std) or len(mean) not in (1, channels or len(mean)):
        got = f"{len(mean)} and {len(std)}"
        return problems.instead(
            None,
            f"{option} must have one mean and one deviation, or one per channel",
            got,
            _HOW,
            RangeError,
        )
    if not all(0 <= one <= 1 for one in mean) or not all(0 < one <= 1 for one in std):
        got = f"mean {mean} and deviation {std}"
        mend = (
            "Divide both by 255 if they are of values in 0-255; wrap a function that rescales for"
            " any other scale"
        )
        return problems.instead(
            None,
            f"{option} must be mean and deviation of images in 0-1, so both in 0-1",
            got,
            mend,
            RangeError,
        )
    return Scale(name="normalised", mean=mean, std=std)
