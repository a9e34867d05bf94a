"""The threshold that costs least, given what a miss and what a false alarm cost."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from residua.errors import PolicyError
from residua.thresholds.calibration import Calibration
from residua.thresholds.policy import (
    Choice,
    Policy,
    hidden_among_normals,
    hits_and_alarms,
    number,
    plain,
)


@dataclass(frozen=True)
class Cost(Policy):
    """The least expected cost per image.

    A missed anomaly costs `miss`, a false alarm `false_alarm`.

    Only their ratio and the prevalence matter. Of several equally cheap thresholds the lowest is
    taken.
    """

    usage = "cost:20:1"
    keyword = "cost"
    miss: float
    false_alarm: float

    @classmethod
    def parse(cls, text: str) -> Cost | None:
        """Read ``cost:MISS:FALSE_ALARM``."""
        if not text.startswith("cost:"):
            return None
        match = re.fullmatch(r"cost:([^:]+):([^:]+)", text)
        if match is None:
            raise PolicyError(
                f"policy: {cls.usage} needs two numbers, cost of a miss and of a false alarm. Got"
                f" {text!r}. Write {cls.usage}."
            )
        miss, false_alarm = (
            number(part, cls.usage, low=0, high=float("inf")) for part in match.groups()
        )
        return cls(miss, false_alarm)

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return f"a miss costs {self.miss / self.false_alarm:g} false alarms"

    def choose(self, calibration: Calibration) -> Choice:
        """Try every cut."""
        _, hits, alarms = hits_and_alarms(calibration, self)
        missed = calibration.assumed_prevalence - hits
        cost = self.miss * missed + self.false_alarm * alarms
        best = int(np.flatnonzero(cost <= cost.min() * (1 + 1e-12))[0])
        threshold = calibration.threshold(best)
        how = (
            f"The threshold with the least expected cost, {cost[best]:.3g} an image, where a miss"
            f" costs {plain(self.miss)} and a false alarm {plain(self.false_alarm)},"
            f" {calibration.prevalence_words}{hidden_among_normals(calibration)}."
            f" {calibration.place(threshold)}"
        )
        return Choice(threshold, how)

    def __str__(self) -> str:
        return f"cost:{plain(self.miss)}:{plain(self.false_alarm)}"
