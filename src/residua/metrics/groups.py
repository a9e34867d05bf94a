"""Images that were sampled together, and what that does to an interval.

Six photographs of one part are not six independent images. What was sampled is the part, so an
interval has to come from how the parts differ. The variance here is that of a sum of influences
per group (the sandwich of Liang and Zeger, 1986; for areas under the ROC curve it is Obuchowski's,
1997). Rates take the effective number of images in place of the number (Korn and Graubard, 1998).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._labels import group_name
from residua.errors import ShapeError
from residua.metrics._confidence import student_t, two_sided_z
from residua.records import Estimate

FEWEST_GROUPS = 10
"""With fewer groups an interval has a caveat: what little they show may mislead."""
LEAST_GROUPS = 5
"""With fewer groups there is no interval."""
# How many groups the design effect of a share is drawn towards another by: with 3, intervals of
# rates from .03 to .5 cover 94% and more for 12 to 80 groups and every share of the group.
_PSEUDO_GROUPS = 3


@dataclass(frozen=True)
class Groups:
    """The group of each image by number, ``codes`` (n_images,) from 0 to ``n_groups - 1``.

    >>> groups = Groups.read(["a", "a", "b", None])
    >>> groups.codes.tolist(), groups.n_groups, groups.sizes.tolist()
    ([0, 0, 1, 2], 3, [2, 1, 1])
    """

    codes: NDArray[np.int64]

    @classmethod
    def read(
        cls,
        values: Any,
        n: int | None = None,
        problems: Problems | None = None,
        *,
        name: str = "groups",
    ) -> Groups:
        """Names of groups, (n_images,), of any kind; an image without one is a group of its own.

        Raises
        ------
        ShapeError
            If there is not one name per image.
        """
        own = Problems("groups") if problems is None else problems
        codes = values.codes if isinstance(values, Groups) else np.arange(n or 0)
        if not isinstance(values, Groups):
            array = _objects(values)
            if array.ndim == 1:
                codes = _codes(array.tolist())
            else:
                own.add(
                    f"{name} must have shape (n_images,)",
                    f"shape {array.shape}",
                    "Pass the name of one group per image",
                    ShapeError,
                )
        if n is not None and len(codes) != n:
            own.add(
                f"{name} must name the group of every image",
                f"{len(codes)} for {n} images",
                "Pass one per image",
                ShapeError,
            )
        if problems is None:
            own.raise_any()
        return cls(codes)

    def __len__(self) -> int:
        return len(self.codes)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """Images per group, (n_groups,)."""
        return np.bincount(self.codes)

    @property
    def n_groups(self) -> int:
        """How many groups there are."""
        return len(self.sizes)

    def of(self, rows: NDArray[Any]) -> Groups:
        """The groups of some of the images, by rows or bools, numbered anew."""
        return Groups(np.unique(self.codes[rows], return_inverse=True)[1].astype(np.int64))

    def sums(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The sum of `values` (n_images,) over each group, (n_groups,)."""
        return np.asarray(np.bincount(self.codes, values, self.n_groups), np.float64)

    def variance(self, influence: NDArray[np.float64]) -> float:
        """Variance of an estimate whose error is the sum of `influence` (n_images,).

        ``nan`` with one group alone.
        """
        n = self.n_groups
        return float((self.sums(influence) ** 2).sum() * n / (n - 1)) if n > 1 else float("nan")

    def design_effect(self, influence: NDArray[np.float64]) -> float:
        """How many times the variance of independent images; from 1 to the size of the groups.

        >>> twins = Groups.read([0, 0, 1, 1, 2, 2, 3, 3])
        >>> twins.design_effect(np.array([1.0, 1, -1, -1, 2, 2, -2, -2]))
        2.0
        """
        n, most = len(self.codes), self.largest_effect
        independent = float((influence**2).sum()) * n / max(n - 1, 1)
        if independent == 0 or self.n_groups < 2:
            return most
        return float(np.clip(self.variance(influence) / independent, 1.0, most))

    def effect_on_share(
        self,
        successes: NDArray[np.bool_],
        scores: NDArray[Any] | None = None,
        influence: NDArray[np.float64] | None = None,
        among: NDArray[np.bool_] | None = None,
        classes: NDArray[np.bool_] | None = None,
    ) -> float:
        """The design effect of the share of `successes` (n_images,).

        Or of another number that successes decide, by the `influence` of each image.
        With `among` it is the share among those images alone. With `classes` the mix of the two
        classes is taken as it is, so that groups of one class are not alike for being of one class.

        Few groups with a success, or with a failure, show little of it. It is then drawn towards
        that of the ranks of `scores`, or towards the largest one where there are no scores.
        """
        if self.is_single:
            return 1.0
        of = np.ones(len(self), np.bool_) if among is None else among
        if influence is None:
            share = float(np.count_nonzero(successes & of)) / max(int(np.count_nonzero(of)), 1)
            influence = _centred(of * (successes - share), classes)
        shown = self.design_effect(influence)
        otherwise = self.largest_effect if scores is None else self.effect_on_ranks(scores, classes)
        kinds = (successes & of, ~successes & of)
        few = min(np.count_nonzero(self.sums(kind)) for kind in kinds)
        return _drawn(shown, otherwise, few)

    def effect_on_ranks(
        self, scores: NDArray[Any], classes: NDArray[np.bool_] | None = None
    ) -> float:
        """The design effect of the mean rank of `scores` (n_images,), of any scale."""
        ordered = np.sort(scores)
        ranks = np.searchsorted(ordered, scores, "left") + np.searchsorted(ordered, scores, "right")
        return self.design_effect(_centred(ranks.astype(np.float64), classes))

    @property
    def largest_effect(self) -> float:
        """The design effect where all images of a group are alike."""
        n = len(self.codes)
        return float((self.sizes.astype(np.float64) ** 2).sum() / n) if n else 1.0

    def degrees_of_freedom(self, design_effect: float) -> float:
        """What Student's quantile takes: groups - 1, fewer where groups differ in size."""
        if self.n_groups < 2:
            return 0.0
        extra = self.largest_effect - 1
        alike = (design_effect - 1) / extra if extra > 0 else 0.0
        shares = self.sizes * (1 + (self.sizes - 1.0) * alike)
        return float(max(shares.sum() ** 2 / (shares**2).sum() - 1, 1.0))

    def effective(self, influence: NDArray[np.float64]) -> float:
        """As many independent images as these are worth."""
        return len(self.codes) / self.design_effect(influence)

    def reach(self, confidence: float, design_effect: float) -> float:
        """How many standard errors a two-sided interval reaches to either side."""
        if self.is_single or self.n_groups < 2:  # of one group nothing is known, and nothing said
            return two_sided_z(confidence)
        return student_t(confidence, self.degrees_of_freedom(design_effect))

    @property
    def is_single(self) -> bool:
        """Whether every image is a group of its own."""
        return self.n_groups == len(self.codes)


def _drawn(shown: float, otherwise: float, few: float | np.integer[Any]) -> float:
    """A design effect that `few` groups have `shown`, drawn towards another one."""
    return (float(few) * shown + _PSEUDO_GROUPS * otherwise) / (float(few) + _PSEUDO_GROUPS)


def _centred(
    values: NDArray[np.float64], classes: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """The influence of each image on the mean of `values`, or on that of each of two classes."""
    made = values - values.mean()
    if classes is not None:
        for rows in (classes, ~classes):
            if rows.any():
                made[rows] = values[rows] - values[rows].mean()
    return np.asarray(made / max(len(values), 1))


@dataclass(frozen=True)
class Spread:
    """How a number of two classes varies with the groups of its images.

    ``effective`` are the numbers of anomalous and of normal images that they are worth, ``fewest``
    is the number of groups in the class that has fewer.
    """

    groups: Groups
    variance: float
    degrees_of_freedom: float
    effective: tuple[float, float]
    n_effective: float
    fewest: int

    @property
    def is_enough(self) -> bool:
        """Whether there are groups enough for an interval."""
        return self.fewest >= LEAST_GROUPS

    def reach(self, confidence: float) -> float:
        """How many standard errors a two-sided interval reaches to either side."""
        return student_t(confidence, self.degrees_of_freedom)

    def estimate(
        self, value: float, bounds: tuple[float, float] | None, confidence: float
    ) -> Estimate:
        """The number with its bounds, and what the groups say of them."""
        low, high = bounds or (None, None)
        return Estimate(
            value=value,
            low=low,
            high=high,
            confidence=confidence,
            n=len(self.groups),
            n_groups=self.groups.n_groups,
            n_effective=round(self.n_effective, 1),
            caveat=caveat_of(self.fewest, "groups of a class"),
        )


def spread_by_groups(
    truth: NDArray[np.bool_],
    influence: NDArray[np.float64],
    groups: Groups,
    scores: NDArray[Any] | None = None,
) -> Spread:
    """How a number with this `influence` of each image (n_images,) varies, for two classes.

    Near an area of 1 few groups show a mistake. Ranks of `scores` show more of how alike the images
    of a group are, so effective numbers are then drawn towards theirs.
    """
    effective, parts, lost, fewest = [], [], [], len(truth)
    for rows in (truth, ~truth):
        own = groups.of(rows)
        effect, variance = own.design_effect(influence[rows]), own.variance(influence[rows])
        parts.append(variance)
        lost.append(variance**2 / max(own.degrees_of_freedom(effect), 1.0))
        if scores is not None:
            short = own.sums(influence[rows].max() - influence[rows])
            few = float(short.sum() ** 2 / (short**2).sum()) if short.any() else 0.0
            effect = _drawn(effect, own.effect_on_ranks(scores[rows]), few)
        effective.append(len(own) / effect)
        fewest = min(fewest, own.n_groups)
    shown = sum(lost) > 0
    return Spread(
        groups,
        groups.variance(influence),
        # Satterthwaite (1946): of a sum of two variances.
        max(sum(parts) ** 2 / sum(lost), 1.0) if shown else max(fewest - 1.0, 1.0),
        (effective[0], effective[1]),
        groups.effective(influence),
        fewest,
    )


def as_groups(groups: Any, n: int) -> Groups | None:
    """`groups` as they were given, read; None where each image is a group of its own."""
    read = None if groups is None else Groups.read(groups, n)
    return None if read is None or read.is_single else read


def names_of(groups: Any, read: Groups | None) -> NDArray[Any] | None:
    """The names that `read` was read from, (n_images,) of objects; None without groups."""
    if read is None:
        return None
    given = read.codes if isinstance(groups, Groups) else groups
    names = [None if group_name(name) is None else name for name in _objects(given).tolist()]
    return np.array([*names, None], object)[:-1]


def caveat_of(n_groups: int, what: str = "groups") -> str | None:
    """What an interval from so few groups has to say; None from `FEWEST_GROUPS` on.

    >>> caveat_of(3)
    'No interval: 3 groups show too little of how groups differ; it takes 5, and better 10.'
    >>> caveat_of(7)
    'From 7 groups only: intervals from fewer than 10 may hold the truth less often than they say.'
    """
    if n_groups >= FEWEST_GROUPS:
        return None
    if n_groups < LEAST_GROUPS:
        return (
            f"No interval: {f'{n_groups} {what} show' if n_groups != 1 else 'one group shows'} too"
            f" little of how {what} differ; it takes {LEAST_GROUPS}, and better {FEWEST_GROUPS}."
        )
    return (
        f"From {n_groups} {what} only: intervals from fewer than {FEWEST_GROUPS} may hold the truth"
        " less often than they say."
    )


def _objects(values: Any) -> NDArray[Any]:
    """Names as an array of objects; None where one is masked."""
    return np.asarray(values.tolist() if np.ma.isMaskedArray(values) else values, object)


def _codes(values: Sequence[Any]) -> NDArray[np.int64]:
    """Numbers in the order of first appearance; missing names each their own."""
    numbers: dict[Any, int] = {}
    codes = np.empty(len(values), np.int64)
    for row, value in enumerate(values):
        name = group_name(value)
        codes[row] = numbers.setdefault(("row", row) if name is None else name, len(numbers))
    return codes
