"""What a policy is: a frozen rule that turns calibration scores into a threshold and says how."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from residua.errors import PolicyError
from residua.thresholds.calibration import Calibration, Cuts, percent


@dataclass(frozen=True)
class Choice:
    """A threshold, the words of how it was chosen, and what `OperatingPoint` says of a promise."""

    threshold: float
    how: str
    promise: str | None = None
    prevalence: float | None = None


@dataclass(frozen=True)
class Promise:
    """What a policy promises about one kind of image: at most `rate` of them go wrong.

    `kind` is the images that have to be labelled, `fault` what going wrong is called.
    """

    kind: str
    fault: str
    rate: float


@dataclass(frozen=True)
class Policy(ABC):
    """A rule for thresholds.

    A subclass is one file, one line in the registry and one paragraph in the documentation.

    ``str(policy)`` is the text that `parse_policy` reads.
    """

    usage: ClassVar[str]
    keyword: ClassVar[str]
    decides_batches: ClassVar[bool] = False
    """Whether it decides about a batch as a whole, and so has no threshold before."""

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Policy | None:
        """The policy that `text` (lower case, no spaces) names; None where it is another one's."""

    @abstractmethod
    def choose(self, calibration: Calibration) -> Choice:
        """The threshold, or `PolicyError` where the data cannot support it."""

    @abstractmethod
    def in_words(self) -> str:
        """The policy as people would say it, in a few words."""

    def promise(self) -> Promise | None:
        """What `plan` has to find a number of images for; None where nothing is promised."""
        return None


class NumberPolicy(Policy, ABC):
    """A policy that is its keyword, a sign and one number in (0, 1): the first field of it."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Read what `usage` shows."""
        value = after(cls._prefix(), text)
        return None if value is None else cls(number(value, cls.usage, low=0, high=1))  # type: ignore[call-arg]

    @classmethod
    def _prefix(cls) -> str:
        return cls.usage.rstrip("0123456789.")

    def __str__(self) -> str:
        return self._prefix() + plain(getattr(self, fields(self)[0].name))


def number(text: str, policy: str, *, low: float, high: float) -> float:
    """Read a number strictly between `low` and `high`; ``1%`` is 0.01."""
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = math.nan
    if not low < value < high:
        limits = (
            f"between {low:g} and {high:g}, both excluded"
            if math.isfinite(high)
            else f"greater than {low:g}"
        )
        raise PolicyError(
            f"policy: {policy} needs a number {limits}. Got {text!r}. Write for instance {policy}."
        )
    return value


def after(prefix: str, text: str) -> str | None:
    """What follows `prefix` in `text`; None where it does not begin so."""
    match = re.fullmatch(re.escape(prefix) + r"(.*)", text)
    return match[1] if match else None


def plain(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def none_or(n: int) -> str:
    """How many images go wrong, in a sentence.

    >>> none_or(0), none_or(2)
    ('none', '2')
    """
    return f"{n:,}" if n else "none"


def up_to(n: int) -> str:
    """How many images may go wrong, in a sentence.

    >>> up_to(0), up_to(2)
    ('none', 'up to 2')
    """
    return f"up to {n:,}" if n else "none"


def require_normals(calibration: Calibration, policy: Policy) -> None:
    """Refuse a calibration set without normal images."""
    if len(calibration.normal) == 0:
        raise PolicyError(
            f"choose_threshold: {policy} needs normal images in the calibration set. Got none, with"
            f" {len(calibration.anomalous)} anomalous ones. Add normal images, or give a fixed"
            " threshold."
        )


def require_anomalies(calibration: Calibration, policy: Policy) -> None:
    """Refuse calibration without labelled anomalies, of which normals teach nothing."""
    if len(calibration.anomalous) == 0:
        got = "all labels normal" if calibration.is_labelled else "no labels"
        raise PolicyError(
            f"choose_threshold: {policy} speaks of anomalies and needs some that are labelled in"
            f" the calibration set. Got {len(calibration.normal)} scores and {got}. Label"
            " anomalies, or use a policy that needs normals only: false-alarms<=0.01 or"
            " quantile:0.99."
        )


def hits_and_alarms(
    calibration: Calibration, policy: Policy
) -> tuple[Cuts, NDArray[np.float64], NDArray[np.float64]]:
    """Every cut, and the shares of all images that are hits and false alarms there.

    Both at the assumed prevalence; refused without normal images or without labelled anomalies.
    Hidden anomalies among the normal images are found as often as the labelled ones.
    """
    require_anomalies(calibration, policy)
    require_normals(calibration, policy)
    cuts, share = calibration.cuts(), calibration.assumed_prevalence
    recall = cuts.true_positives / len(calibration.anomalous)
    alarms = without_hidden(
        cuts.false_positives / len(calibration.normal), recall, calibration.contamination
    )
    return cuts, share * recall, (1 - share) * alarms


def without_hidden(
    flagged: NDArray[np.float64], recall: NDArray[np.float64], contamination: float
) -> NDArray[np.float64]:
    """The share of normal images that is flagged, where a share of them are hidden anomalies."""
    if contamination == 0:
        return flagged
    return np.maximum(flagged - contamination * recall, 0) / (1 - contamination)


def hidden_among_normals(calibration: Calibration) -> str:
    """That hidden anomalies were allowed for, as a part of a sentence; else nothing."""
    if calibration.contamination == 0:
        return ""
    return (
        f", and that {percent(calibration.contamination)} of the images taken for normal are"
        " hidden anomalies, found as often as the labelled ones"
    )
