"""How many of the calibration images may go wrong for a promise to be shown.

One rule for false alarms and for misses, for images that are alone and for images in groups.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from residua.errors import PolicyError
from residua.metrics.groups import FEWEST_GROUPS, Groups
from residua.thresholds.bounds import allowed_faults, chance_of_mean, highest_rate, images_needed
from residua.thresholds.calibration import Calibration, Promised, Scores, percent
from residua.thresholds.policy import Policy

Kind = Literal["normal", "anomalous"]
MOST_WORTH = 1.5
"""A group counts for no more independent images than this, however little alike its images seem:
a few groups may hide that one in thirty goes wrong in all its images.
"""


@dataclass(frozen=True)
class Side:
    """Images of one kind, those that go wrong first in front: scores and groups, (n_images,)."""

    scores: Scores
    groups: Groups | None

    @classmethod
    def of(cls, calibration: Calibration, kind: Kind) -> Side:
        """Normal images from the highest score down, anomalous ones from the lowest up."""
        if kind == "anomalous":
            return cls(calibration.anomalous, calibration.anomalous_groups)
        groups = calibration.normal_groups
        return cls(calibration.normal[::-1], None if groups is None else Groups(groups.codes[::-1]))

    def shares(self, n_faults: int) -> NDArray[np.float64]:
        """The share of each group among the first `n_faults` images, (n_groups,)."""
        assert self.groups is not None
        codes = self.groups.codes[:n_faults]
        return np.asarray(np.bincount(codes, minlength=self.groups.n_groups) / self.groups.sizes)

    @property
    def weighing(self) -> str:
        """How much a group of many images counts, as a sentence; nothing where all have as many.

        A mean over groups is not the share of images where large groups go wrong more often.
        """
        if self.groups is None or np.ptp(self.groups.sizes) == 0:
            return ""
        return (
            " Each group counts alike, however many images it has: where larger groups go wrong"
            " more often, a larger share of the images does."
        )


@dataclass(frozen=True)
class Shown:
    """What the images show: so many may go wrong.

    `whose` says which images the promise is about, given their noun, `among` which ones show it,
    `beside` what else holds, as a sentence.
    """

    n_allowed: int
    whose: str = "{} like these"
    among: str = ""
    beside: str = ""
    promise: str | None = None


def most_faults(
    policy: Policy, calibration: Calibration, kind: Kind, rate: float, *, mend: str
) -> Shown:
    """The most images of `kind` that may go wrong and still show a share of at most `rate`.

    Whole groups are what counts for images of new groups; for new images of the known groups it is
    images, as the binomial bound holds for independent faults that differ in rate (Hoeffding,
    *Annals of Mathematical Statistics* 27 (1956) 713). `mend` is what a refusal advises.
    """
    side = Side.of(calibration, kind)
    n, confidence, groups = len(side.scores), calibration.confidence, side.groups
    if groups is not None and calibration.promised == "new-groups":
        return _of_new_groups(policy, calibration, side, groups, rate, mend=mend, kind=kind)
    allowed = allowed_faults(n, rate, confidence)
    if allowed is None:
        raise PolicyError(
            f"choose_threshold: {n} {kind} calibration images can't show {policy} with"
            f" {percent(confidence)} confidence; {images_needed(rate, confidence)} without a"
            f" {_FAULT[kind]} would, one-sided. Got {n}. {mend}"
        )
    if groups is None:
        return Shown(allowed)
    return Shown(
        allowed,
        f"new {{}} of these {groups.n_groups} groups",
        f" in {groups.n_groups} groups",
        " For images of other groups it promises nothing.",
        "known groups",
    )


_FAULT = {"normal": "false alarm", "anomalous": "miss"}


def _of_new_groups(
    policy: Policy,
    calibration: Calibration,
    side: Side,
    groups: Groups,
    rate: float,
    *,
    kind: Kind,
    mend: str,
) -> Shown:
    n, n_groups, error = len(side.scores), groups.n_groups, 1 - calibration.confidence
    needed = images_needed(rate, calibration.confidence)
    if n_groups >= needed:
        shown = bisect_right(
            range(n), error, key=lambda n_faults: chance_of_mean(side.shares(n_faults), rate)
        )
        allowed, beside = max(shown - 1, 0), ""
    else:
        worth = _worth(side, groups)
        if n_groups < FEWEST_GROUPS or (1 - rate) ** worth > error:
            raise PolicyError(
                f"choose_threshold: {n} {kind} calibration images in {n_groups} groups, worth"
                f" {worth:.0f} independent ones, can't show {policy} for new groups with"
                f" {percent(calibration.confidence)} confidence; {needed} groups without a"
                f" {_FAULT[kind]} would, one-sided. Got {n_groups} groups. {mend} Or promise it for"
                " new images of these groups alone (--known-groups, promise='known-groups')."
            )
        allowed = 0
        beside = (
            f" This counts them as {worth:.0f} independent images, which assumes that a rare group"
            f" is not bad in all its images; {needed} groups would show it without that."
        )
    known = float(highest_rate(allowed, n, calibration.confidence))
    return Shown(
        allowed,
        "{} of new groups",
        f" in {n_groups} groups",
        f" For new images of these {n_groups} groups the same threshold shows"
        f" {_SHOWN[kind](known)}.{beside}{side.weighing}",
        "new groups",
    )


def _worth(side: Side, groups: Groups) -> float:
    """As many independent images as these are worth, by the ranks of their scores."""
    effect = groups.effect_on_ranks(side.scores)
    return min(len(side.scores) / effect, MOST_WORTH * groups.n_groups)


_SHOWN = {
    "normal": lambda rate: f"at most {100 * rate:.2g}%",
    "anomalous": lambda rate: f"at least {100 * (1 - rate):.3g}%",
}


def with_hidden(rate: float, contamination: float) -> float:
    """The share of images that lies above a threshold with false alarms at `rate`.

    `contamination` is the share of anomalies hidden among them, all of which lie above.

    >>> round(with_hidden(0.01, 0.02), 4)
    0.0298
    """
    return rate if contamination == 0 else 1 - (1 - contamination) * (1 - rate)


def hidden_words(contamination: float, limit: float) -> str:
    """What a threshold that allows for hidden anomalies promises, as a sentence; else nothing."""
    if contamination == 0:
        return ""
    return (
        f" That holds if {percent(contamination)} of images like these are hidden anomalies above"
        f" the threshold; if none is, at most {percent(limit)} of normal images are flagged."
    )


def share_above(side: Side, n_faults: int, confidence: float, promised: Promised) -> float:
    """The least share of images that go wrong which so many faults rule out, one-sided.

    It is the bound of `most_faults` read forwards: of images in new groups, or of images.
    """
    if side.groups is None or promised == "known-groups":
        return float(highest_rate(n_faults, len(side.scores), confidence))
    from scipy.optimize import brentq

    shares = side.shares(n_faults)

    def beyond(rate: float) -> float:
        return chance_of_mean(shares, rate) - (1 - confidence)

    highest = 1 - 1e-9
    if shares.mean() > 1 - 1e-6 or beyond(highest) >= 0:  # so few groups rule out nothing
        return 1.0
    return float(brentq(beyond, max(float(shares.mean()), 1e-9), highest, xtol=1e-5))
