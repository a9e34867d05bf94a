"""How much a head that learnt from labelled defects may add to a score.

Each defect is left out in turn, and the weight is the one whose gain is surest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

_WEIGHTS = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
_TRUSTED = 5  # groups of defects that may give a weight of 1, and the weight grows with the square
_SURE = 0.8  # of a gain, before a weight is used
_CONFIDENCE = 0.95  # of the interval that is told
_MOST_LOST = 0.01  # of ROC AUC, for defects that the head does not know
_MOST_FOLDS = 20


class HeadWeight(NamedTuple):
    """The weight of a head, and what it is worth on defects that were left out.

    ``gain`` is the change of ROC AUC against held-out normals, with its interval of 95%; ``lost``
    what defects lose that the head does not raise. All are None where there were too few groups of
    defects to leave one out, or where no weight is sure to gain.
    """

    weight: float
    gain: float | None = None
    low: float | None = None
    high: float | None = None
    lost: float | None = None
    n_groups: int = 0


def choose_weight(
    normals: tuple[Tensor, Tensor],
    defects: tuple[Tensor, Tensor],
    groups: Tensor,
    images: tuple[Tensor, Tensor] | None = None,
) -> HeadWeight:
    """The weight whose gain is surest: the highest lower bound (80%) above 0, else no weight.

    A weight is not considered if defects that the head does not raise would lose more than .01 of
    ROC AUC by the normal images that it does raise, nor if it is above ``(n_groups / 5) ** 2``: few
    defects cannot tell a large weight from luck, least of all if they are of several kinds.

    - `normals`, `defects`: (score, raise) each, float tensors (n,). Standardised score, and what
      the head would add at weight 1, by a head that had not seen the image.
    - `groups`: int64 tensor, (n_defects,). Which defects belong together.
    - `images`: two int64 tensors, optional. The image of each of the `normals` and of the
      `defects`, where these are tiles. An image counts by its highest, and `groups` are those of
      images.

    >>> normals = torch.arange(100.0), torch.zeros(100)
    >>> defects = torch.tensor([50.0, 60, 70, 80]), torch.full((4,), 80.0)
    >>> chosen = choose_weight(normals, defects, torch.arange(4))
    >>> chosen.weight, round(chosen.gain, 3)
    (0.5, 0.321)
    >>> choose_weight(normals, (defects[0], torch.zeros(4)), torch.arange(4)).weight
    0.0
    """
    from scipy import stats

    names, members = groups.unique(return_inverse=True)
    n_groups = len(names)
    if n_groups < 2 or not len(normals[0]):
        return HeadWeight(0.0, n_groups=n_groups)
    sizes = torch.bincount(members).double()

    def by_group(values: Tensor) -> Tensor:
        return torch.zeros(n_groups, dtype=torch.float64).index_add(0, members, values) / sizes

    rows = images or tuple(torch.arange(len(some[0])) for some in (normals, defects))

    def highest(weight: float, of_defects: float) -> tuple[Tensor, Tensor]:
        pairs = zip((normals, defects), (weight, of_defects), rows, strict=True)
        first, second = (_highest(some[0] + w * some[1], its) for some, w, its in pairs)
        return first, second

    before = _places(*highest(0, 0))
    sure, wide = (
        float(stats.t.ppf(share, n_groups - 1)) / math.sqrt(n_groups)
        for share in (_SURE, 0.5 + _CONFIDENCE / 2)
    )
    best, surest = HeadWeight(0.0, n_groups=n_groups), 1e-9
    for weight in _WEIGHTS:
        gains = by_group(_places(*highest(weight, weight)) - before)
        lost = float((before - _places(*highest(weight, 0))).mean())
        gain, spread = float(gains.mean()), float(gains.std())
        is_trusted = weight <= (n_groups / _TRUSTED) ** 2
        if is_trusted and lost <= _MOST_LOST and gain - sure * spread > surest:
            reach, surest = wide * spread, gain - sure * spread
            best = HeadWeight(weight, gain, gain - reach, gain + reach, lost, n_groups)
    return best


def net_found(before: Tensor, after: Tensor, unraised: Tensor, groups: Tensor) -> float:
    """How many more defects a head finds, less those that would be lost if it did not know them.

    A share of the groups, in [-2, 1]; each counts once.

    - `before`, `after`, `unraised`: bool tensors, (n,). Which are flagged without the head, with
      it, and with it but for what it adds to them.
    - `groups`: int64 tensor, (n,). Which images belong together.

    >>> before = torch.tensor([True, False, False, False])
    >>> after, none = torch.tensor([True, True, True, False]), torch.zeros(4).bool()
    >>> net_found(before, after, none, torch.arange(4))
    0.25
    >>> net_found(before, before, none, torch.arange(4))
    -0.25
    """
    members = groups.unique(return_inverse=True)[1]
    lost = (before & ~unraised).double()
    net = after.double() - before.double() - lost
    sums = torch.zeros(int(members.max()) + 1).double().index_add(0, members, net)
    return round(float((sums / torch.bincount(members)).mean()), 9)


def folds_of(groups: Tensor) -> Iterator[Tensor]:
    """Groups that are left out together: one at a time, or a twentieth where there are many."""
    names = groups.unique()
    return iter(names.tensor_split(min(len(names), _MOST_FOLDS)))


def _highest(values: Tensor, images: Tensor) -> Tensor:
    """The highest value of each image, (n_images,)."""
    rows = images.unique(return_inverse=True)[1]
    lowest = torch.full((int(rows.max()) + 1,), -torch.inf)
    return lowest.scatter_reduce(0, rows, values, "amax")


def _places(normals: Tensor, defects: Tensor) -> Tensor:
    """The share of the normal images below each defect, ties counting half, float64 (n,)."""
    ranked = normals.contiguous().sort().values
    twice = torch.searchsorted(ranked, defects.contiguous()) + torch.searchsorted(
        ranked, defects.contiguous(), right=True
    )
    return twice.double() / (2 * len(ranked))
