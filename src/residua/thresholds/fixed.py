"""A number that somebody chose."""

from __future__ import annotations

import math
from dataclasses import dataclass

from residua.errors import PolicyError
from residua.thresholds.calibration import Calibration
from residua.thresholds.policy import Choice, Policy, plain


@dataclass(frozen=True)
class Fixed(Policy):
    """The threshold `value`, whatever the calibration scores are."""

    usage = "0.004"
    keyword = "fixed"
    value: float

    @classmethod
    def parse(cls, text: str) -> Fixed | None:
        """Read a bare number (or ``fixed:NUMBER``)."""
        try:
            value = float(text.removeprefix("fixed:"))
        except ValueError:
            return None
        if not math.isfinite(value):
            raise PolicyError(
                f"policy: a fixed threshold must be a finite number. Got {text!r}. Write for"
                " instance 0.004."
            )
        return cls(value)

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return "as set"

    def choose(self, calibration: Calibration) -> Choice:
        """Return the value."""
        return Choice(self.value, f"Fixed at {plain(self.value)} by the user; no data was asked.")

    def __str__(self) -> str:
        return plain(self.value)
