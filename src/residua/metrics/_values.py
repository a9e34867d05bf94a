"""The scales that the values of one array can stand on.

They are judged from values and type alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import RangeError

Scale = Literal[
    "0-1", "0-255", "0-1023", "0-4095", "0-16383", "0-65535", "-1..1", "normalised", "unknown"
]

# Black on each scale, and how far white lies above it.
SPANS: dict[str, tuple[float, float]] = {
    "0-1": (0.0, 1.0),
    "0-255": (0.0, 255.0),
    "0-1023": (0.0, 1023.0),
    "0-4095": (0.0, 4095.0),
    "0-16383": (0.0, 16383.0),
    "0-65535": (0.0, 65535.0),
    "-1..1": (-1.0, 2.0),
}
_WHOLE_SCALES: tuple[Scale, ...] = ("0-255", "0-1023", "0-4095", "0-16383", "0-65535")

# Mean distance beyond the ends, in units of the scale. A PCA of Fashion-MNIST, of any size,
# oversteps by 0.008 at most.
OVERSTEP = 0.025
_FAR_OVERSTEP = 0.1
OVERSTEP_OF_IMAGES = 0.005  # resizing with a sharp filter
_A_BLOCK = 1 << 20


@dataclass(frozen=True)
class Candidate:
    """A scale that the values fit. `is_firm` where nothing else fits them."""

    scale: Scale
    because: str
    is_firm: bool


class Values:
    """The values of one array: extremes, and how far they lie beyond a scale."""

    def __init__(self, array: NDArray[Any], *, are_images: bool) -> None:
        self.array = array
        self.are_images = are_images
        self.dtype = array.dtype
        self.low = float(array.min()) if array.size else float("nan")
        self.high = float(array.max()) if array.size else float("nan")

    @property
    def seen(self) -> str:
        """Type and range in words."""
        return f"{self.dtype} values from {self.low:.4g} to {self.high:.4g}"

    @property
    def looks_normalised(self) -> bool:
        """Whether mean and deviation would leave such a range."""
        return self.dtype.kind == "f" and -12 < self.low < -0.2 and 0.2 < self.high < 12

    @cached_property
    def share_negative(self) -> float:
        return (
            float(np.mean([(block < 0).mean() for block in self._blocks()]))
            if self.low < 0
            else 0.0
        )

    @cached_property
    def are_whole(self) -> bool:
        return self.dtype.kind in "biu" or all(
            bool((block == np.rint(block)).all()) for block in self._blocks()
        )

    def overstep(self, scale: str) -> float:
        """Mean distance beyond the ends of `scale`, in units of the scale."""
        black, span = SPANS[scale]
        if self.low >= black and self.high <= black + span:
            return 0.0
        total = 0.0
        for block in self._blocks():
            unit = (block.astype(np.float64) - black) / span
            total += float((np.maximum(0, -unit) + np.maximum(0, unit - 1)).sum())
        return total / self.array.size

    def _blocks(self) -> list[NDArray[Any]]:
        flat = self.array.reshape(-1)
        return [flat[start : start + _A_BLOCK] for start in range(0, len(flat), _A_BLOCK)]

    @cached_property
    def step(self) -> float | None:
        """The even step between the values where they came from at most 256 levels.

        None where they did not.
        """
        flat = self.array.reshape(-1)
        levels = np.unique(flat[:: max(1, len(flat) // 200_000)].astype(np.float64))
        if not 32 <= len(levels) <= 256:  # 8 bits; of fewer levels any step can be made
            return None
        gaps = np.diff(levels)
        step = float(np.median(gaps[gaps < 1.5 * gaps.min()]))
        places = (levels - levels[0]) / step
        return step if places[-1] < 256 and np.abs(places - np.rint(places)).max() < 0.05 else None

    def candidates(self) -> list[Candidate]:
        """Every scale the values fit, the likeliest first; none where they fit nothing."""
        if self.array.size == 0 or self.dtype == np.bool_:
            return [Candidate("0-1", "truth values", True)]
        if self.low == self.high:
            return self._of_a_constant()
        return self._of_whole_numbers() if self.dtype.kind in "iu" else self._of_floats()

    def _of_a_constant(self) -> list[Candidate]:
        """One value says little: every scale that holds it."""
        if self.dtype == np.uint8:
            return [Candidate("0-255", "uint8", True)]
        held = [name for name, (black, span) in SPANS.items() if black <= self.low <= black + span]
        held = held or (["0-1"] if -0.1 < self.low < 1.1 else [])
        because = f"the only value is {self.low:.4g}"
        return [Candidate(name, because, len(held) == 1) for name in held]  # type: ignore[arg-type]

    def _of_whole_numbers(self) -> list[Candidate]:
        if self.low < 0:
            return []
        if self.high == 1:
            return [Candidate("0-1", "whole numbers, 0 and 1 only", True)]
        if self.dtype == np.uint8:
            is_firm = self.high > 31  # else digits from 0 to 16, or numbers of classes
            return [Candidate("0-255", "uint8", is_firm)]
        return (
            [] if self._are_half_floats() else self._by_bits(f"whole numbers up to {self.high:.0f}")
        )

    def _by_bits(self, because: str) -> list[Candidate]:
        fitting = [name for name in _WHOLE_SCALES if self.high <= SPANS[name][1]]
        firm = [name for name in fitting if self.high == SPANS[name][1]]
        if self.high in range(128, 256):
            firm = ["0-255"]
        if self.high > 32767 or (
            self.dtype == np.uint16 and self.high > 16383
        ):  # more than 14 bits
            firm = ["0-65535"]
        if firm and fitting:
            return [Candidate(firm[0], because, True)]
        return [Candidate(name, because, False) for name in fitting]

    def _are_half_floats(self) -> bool:
        """Bits of float16 or bfloat16 read as uint16.

        Numbers from -1 to 1 leave a gap between 1 and the negative ones.
        """
        if self.dtype != np.uint16 or not 0xA000 < self.high <= 0xBF80:
            return False
        n_positive = n_negative = 0
        for block in self._blocks():
            if ((block > 0x3F80) & (block < 0x8000)).any():
                return False
            n_positive += int(((block > 0x2000) & (block <= 0x3F80)).sum())
            n_negative += int((block > 0xA000).sum())
        return min(n_positive, n_negative) > 0.01 * self.array.size

    def _of_floats(self) -> list[Candidate]:
        fitting = [
            found
            for found in (self._as_unit(), self._as_signed(), self._as_bytes())
            if found is not None
        ]
        if self.are_images and self.step is not None:
            fitting = self._on_even_steps(fitting, self.step)
        if not fitting and self.high > 255 and self.low >= 0:
            return self._by_bits(f"values up to {self.high:.0f}")
        is_firm = len(fitting) == 1
        return [
            Candidate(found.scale, found.because, found.is_firm and is_firm) for found in fitting
        ]

    def _limit(self) -> float:
        return OVERSTEP_OF_IMAGES if self.are_images else _FAR_OVERSTEP

    def _as_unit(self) -> Candidate | None:
        if self.low < -1 or self.high > 2 or self.overstep("0-1") > self._limit():
            return None
        if self.are_images and self.high < 1.5 / 255:  # divided by 255 twice
            return None
        is_firm = self.overstep("0-1") <= OVERSTEP
        return Candidate("0-1", f"values from {self.low:.4g} to {self.high:.4g}", is_firm)

    def _as_signed(self) -> Candidate | None:
        least_negative = 0.005
        if self.low > (-0.25 if self.are_images else -0.05) or self.share_negative < least_negative:
            return None
        if self.low < -2 or self.high > 2 or self.overstep("-1..1") > min(self._limit(), OVERSTEP):
            return None
        ends = (abs(self.low + 1) < 1e-3, abs(self.high - 1) < 1e-3)
        spans = self.low <= -0.9 and self.high >= 0.9
        is_firm = spans or (any(ends) and self.high - self.low > 1)
        because = (
            f"values from {self.low:.4g} to {self.high:.4g}, {self.share_negative:.0%} of them"
            " negative"
        )
        return Candidate("-1..1", because, is_firm)

    def _as_bytes(self) -> Candidate | None:
        most_negative = 0.05 if self.are_images else 1.0
        if not 4 < self.high <= 2 * 255 or self.low < -128 or self.share_negative > most_negative:
            return None
        if self.overstep("0-255") > self._limit() or (
            self.high > 255 and self.are_whole and self.are_images
        ):
            return None
        is_firm = self.high >= 128 and self.overstep("0-255") <= OVERSTEP
        return Candidate("0-255", f"values from {self.low:.4g} to {self.high:.4g}", is_firm)

    def _on_even_steps(self, fitting: list[Candidate], step: float) -> list[Candidate]:
        """Images of 8 bits keep even steps.

        These tell the scale even where black and white are not reached.

        Those of -1..1 lie at odd multiples of 1/255; where black lies between two steps, it is
        another scale.
        """
        offset = (self.low / step) % 1
        if (
            abs(step * 255 - 2) < 0.002
            and abs(offset - 0.5) < 0.1
            and self.low >= -1.001
            and self.high <= 1.001
        ):
            return [
                Candidate("-1..1", "even steps of 2/255, as 8-bit images have on that scale", True)
            ]
        reaches_black = abs((self.low + 1) / step - round((self.low + 1) / step)) < 0.1
        return [
            each for each in fitting if each.scale != "-1..1" or (each.is_firm and reaches_black)
        ]


def check_finite(problems: Problems, **arrays: NDArray[Any]) -> None:
    """Note a problem for each array that holds anything but finite numbers."""
    for name, array in arrays.items():
        is_number = array.dtype.kind in "biuf"
        if not is_number or not np.isfinite(array).all():
            problems.add(
                f"{name} must be finite numbers",
                "NaN or infinite values" if is_number else f"dtype {array.dtype}",
                "Correct or leave out those images",
                RangeError,
            )
