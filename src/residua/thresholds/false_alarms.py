"""A bound on false alarms that holds with the stated confidence."""

from __future__ import annotations

from dataclasses import dataclass

from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import (
    Choice,
    NumberPolicy,
    Promise,
    plain,
    require_normals,
)
from residua.thresholds.quantile import strictest_quantile
from residua.thresholds.shown import hidden_words, most_faults, with_hidden


@dataclass(frozen=True)
class FalseAlarms(NumberPolicy):
    """The lowest threshold with at most `rate` false alarms, shown at the confidence.

    The normal calibration scores show it.

    An order statistic of the normals (a tolerance bound, also called a conformal bound conditional
    on the calibration set): whatever the distribution of scores, at most ``1 - confidence`` of
    calibration sets yield a threshold that flags more than `rate` of the normal images. Ties only
    make it safer. For 1% at 95% it takes 299 normals.
    """

    usage = "false-alarms<=0.01"
    keyword = "false-alarms"
    rate: float

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return f"at most {100 * self.rate:g}% false alarms"

    def choose(self, calibration: Calibration) -> Choice:
        """Allow as many exceedances as the images show (see `most_faults`).

        Refuse where not even none would show it.
        """
        require_normals(calibration, self)
        n, confidence = len(calibration.normal), calibration.confidence
        hidden = calibration.contamination
        limit = with_hidden(self.rate, hidden)
        groups = calibration.normal_groups
        is_grouped = groups is not None and calibration.promised == "new-groups"
        units = groups.n_groups if groups is not None and is_grouped else n
        shown = most_faults(
            self,
            calibration,
            "normal",
            limit,
            mend=(
                f"Add normal images{' of more groups' if is_grouped else ''}, allow more"
                f" false alarms, lower the confidence, or use {self._on_average(units)},"
                " which holds on average only."
            ),
        )
        threshold = calibration.just_above(calibration.normal[n - 1 - shown.n_allowed])
        n_above = int((calibration.normal > threshold).sum())
        how = (
            f"The lowest threshold that shows, with {percent(confidence)} confidence (one-sided),"
            f" that at most {percent(self.rate)} of {shown.whose.format('normal images')} are"
            f" flagged: of {n} normal calibration scores{shown.among} up to"
            f" {shown.n_allowed} may lie above it, and {n_above}"
            f" {'does' if n_above == 1 else 'do'}.{shown.beside}"
            f"{hidden_words(hidden, limit)} {calibration.place(threshold)}"
        )
        return Choice(threshold, how, shown.promise)

    def _on_average(self, n: int) -> str:
        """The quantile of this rate; where `n` images or groups have none, their strictest."""
        same = f"quantile:{plain(round(1 - self.rate, 12))}"
        return strictest_quantile(n) if n > 0 and (n + 1) * self.rate < 1 - 1e-9 else same

    def promise(self) -> Promise:
        """At most `rate` of normal images are flagged."""
        return Promise("normal", "false alarms", self.rate)
