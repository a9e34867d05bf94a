"""The threshold with the highest F1 on the calibration set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from residua.thresholds.calibration import Calibration
from residua.thresholds.policy import Choice, Policy, hidden_among_normals, hits_and_alarms


@dataclass(frozen=True)
class MaxF1(Policy):
    """The highest F1 that any threshold reaches on the calibration set.

    Of several, the highest threshold.

    Without anomalies F1 is 0 everywhere and the "best" threshold would flag everything: refused.
    F1 moves with the share of anomalies; it is computed at the assumed prevalence.
    """

    usage = "max-f1"
    keyword = "max-f1"

    @classmethod
    def parse(cls, text: str) -> MaxF1 | None:
        """Read ``max-f1``."""
        return cls() if text == "max-f1" else None

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return "best F1 on calibration images"

    def choose(self, calibration: Calibration) -> Choice:
        """Try every cut."""
        _, hits, alarms = hits_and_alarms(calibration, self)
        f1 = 2 * hits / (hits + alarms + calibration.assumed_prevalence)
        best = int(np.flatnonzero(f1 >= f1.max() - 1e-12)[-1])
        threshold = calibration.threshold(best)
        how = (
            f"The threshold with the highest F1 on the calibration set, {f1[best]:.3g} with"
            f" {len(calibration.normal)} normal and {len(calibration.anomalous)} anomalous images,"
            f" {calibration.prevalence_words}{hidden_among_normals(calibration)}."
            " The threshold was tuned on that set, so F1 on new images will be lower."
            f" {calibration.place(threshold)}"
        )
        return Choice(threshold, how)

    def __str__(self) -> str:
        return "max-f1"
