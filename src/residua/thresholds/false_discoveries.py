"""A bound on the share of good parts among the flagged images, for a batch of images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from residua.errors import PolicyError
from residua.thresholds.calibration import Calibration, percent
from residua.thresholds.policy import Choice, NumberPolicy


class Reference(Protocol):
    """What makes p-values of scores, of all images or by product."""

    @property
    def n_units(self) -> int:
        """Calibration images, or groups of them."""

    @property
    def smallest(self) -> float:
        """No p-value is smaller."""

    @property
    def by_groups(self) -> bool:
        """Whether groups count, and not images."""

    def threshold_of(self, p_value: float) -> float | None:
        """The score of p-values at most this; None where each product has another."""


@dataclass(frozen=True)
class BatchDecision:
    """What a policy decides about a batch: which images it flags, and in what words.

    An image is flagged if its score is greater than ``threshold``, which is the batch's own: if its
    p-value is at most ``p_value``. Among products that is another threshold for each, and
    ``threshold`` is None.
    """

    policy: str
    threshold: float | None
    n_images: int
    n_flagged: int
    how: str
    p_value: float = 0.0


@dataclass(frozen=True)
class FalseDiscoveries(NumberPolicy):
    """At most `rate` of the flagged images are good parts, on average over batches.

    The procedure of Benjamini and Hochberg (1995) on conformal p-values. They are positively
    dependent, as all are counted on the same calibration images, and the bound holds all the same
    (Bates, Candes, Lei, Romano and Sesia, *Annals of Statistics* 51 (2023) 149). A batch has a
    threshold of its own, so there is none before its images are scored.
    """

    usage = "fdr<=0.05"
    keyword = "fdr"
    decides_batches = True
    rate: float

    def in_words(self) -> str:
        """See `Policy.in_words`."""
        return f"at most {100 * self.rate:g}% good parts among the flagged"

    def choose(self, calibration: Calibration) -> Choice:
        """Refuse: a batch has to be there."""
        raise PolicyError(
            f"choose_threshold: {self} decides about a batch of images as a whole, so it has no"
            f" threshold before they are scored. Got {len(calibration.normal)} normal calibration"
            f" images. Write residua score RUN SOURCE --policy '{self}', or residua watch RUN"
            f" FOLDER --policy '{self}'. For one threshold take false-alarms<=0.01 or"
            " precision>=0.9."
        )

    def check(self, reference: Reference | None, where: str) -> Reference:
        """`reference`, or `PolicyError` where its images are too few to flag anything."""
        needed = math.ceil(1 / self.rate - 1 - 1e-9)
        n = 0 if reference is None else reference.n_units
        if reference is None or n < needed:
            of = "groups of images" if reference is not None and reference.by_groups else "images"
            raise PolicyError(
                f"{where}: {self} needs at least {needed} normal calibration {of}. Got {n}. Add"
                " normal images and fit again, or allow more good parts among the flagged."
            )
        return reference

    def decide(
        self, reference: Reference, p_values: NDArray[np.float64], n_images: int | None = None
    ) -> BatchDecision:
        """Which images of a batch are flagged.

        - `p_values`: float array, (n,). NaN where an image has no score; it is not counted.
        - `n_images`: Images of the whole batch, where some have not come yet: these count as
          p-values of 1.
        """
        found = np.sort(p_values[~np.isnan(p_values)])
        n = max(len(found), n_images or 0)
        allowed = self.rate * np.arange(1, len(found) + 1) / max(n, 1)
        within = np.flatnonzero(found <= allowed + 1e-12)
        n_flagged = int(within[-1]) + 1 if len(within) else 0
        most = float(found[n_flagged - 1]) if n_flagged else 0.0
        threshold = reference.threshold_of(most)
        words = self.words(reference, n, n_flagged)
        return BatchDecision(str(self), threshold, n, n_flagged, words, most)

    def words(self, reference: Reference, n_images: int, n_flagged: int) -> str:
        """What was decided and what is promised, in whole sentences."""
        units = "groups of calibration images" if reference.by_groups else "calibration images"
        least = math.ceil(n_images * reference.smallest / self.rate - 1e-9)
        grouped = (
            " Images came in groups: for groups of several images the average was seen to hold in"
            " simulations, and is not proven."
            if reference.by_groups
            else ""
        )
        few = (
            f" With {reference.n_units:,} normal {units}, nothing is flagged in a batch of this"
            f" size unless at least {least:,} images look more anomalous than all of them."
            if least > 1
            else ""
        )
        return (
            f"{n_flagged:,} of {n_images:,} images are flagged. On average over batches like this"
            f" one, at most {percent(self.rate)} of the flagged images are good parts. That holds"
            " if good parts look like the normal calibration images; a single batch may have a"
            f" larger share.{grouped}{few}"
        )
