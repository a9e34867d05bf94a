"""An interval on every number: rates here, the others re-exported from their own files."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import RangeError
from residua.metrics._confidence import check_confidence, two_sided_z
from residua.metrics.bootstrap import bootstrap_interval
from residua.metrics.delong import delong_variance, roc_auc_difference, roc_auc_interval
from residua.metrics.groups import LEAST_GROUPS, Groups, caveat_of
from residua.metrics.means import mean_interval, paired_difference_interval
from residua.metrics.precision_intervals import average_precision_interval
from residua.records import Estimate

__all__ = [
    "average_precision_interval",
    "bootstrap_interval",
    "delong_variance",
    "f1_interval",
    "f1_of_share",
    "mean_interval",
    "paired_difference_interval",
    "rate_interval",
    "roc_auc_difference",
    "roc_auc_interval",
    "share_interval",
]

Method = Literal["wilson", "clopper-pearson"]
Side = Literal["two", "lower", "upper"]


def rate_interval(
    n_successes: int,
    n: int,
    *,
    confidence: float = 0.95,
    method: Method = "wilson",
    side: Side = "two",
) -> Estimate:
    """A rate ``n_successes / n`` with its confidence interval.

    Parameters
    ----------
    n_successes, n : int
        ``0 <= n_successes <= n``.
    confidence : float in (0, 1)
        Of the interval as a whole: with ``side="lower"`` all of the error lies below.
    method : {"wilson", "clopper-pearson"}
        Wilson's covers the stated share on average over rates; Clopper-Pearson's at least the
        stated share at every rate, which is what a promise needs.
    side : {"two", "lower", "upper"}
        ``"lower"`` bounds the rate from below alone (``high`` is 1), ``"upper"`` from above alone
        (``low`` is 0).

    Returns
    -------
    Estimate
        ``value`` None and no bounds when `n` is 0.

    Raises
    ------
    RangeError
        If the counts are negative or ``n_successes > n``, or an option is unknown.

    Examples
    --------
    >>> estimate = rate_interval(5, 6)
    >>> round(estimate.value, 3), round(estimate.low, 3), round(estimate.high, 3)
    (0.833, 0.436, 0.97)

    No false alarm in 299 normals shows at most 1%, one-sided, at 95%:

    >>> round(rate_interval(0, 299, method="clopper-pearson", side="upper").high, 5)
    0.00997
    """
    _check_counts(n_successes, n, confidence, method, side)
    if n == 0:
        return Estimate(value=None, confidence=confidence, n=0)
    # A one-sided bound is one end of a two-sided interval with twice the error.
    two_sided = confidence if side == "two" else 2 * confidence - 1
    low, high = (_wilson if method == "wilson" else _clopper_pearson)(n_successes, n, two_sided)
    return Estimate(
        value=n_successes / n,
        low=0.0 if side == "upper" else low,
        high=1.0 if side == "lower" else high,
        confidence=confidence,
        n=n,
    )


def share_interval(
    successes: NDArray[np.bool_],
    groups: Groups | None = None,
    *,
    scores: NDArray[Any] | None = None,
    effect: float | None = None,
    confidence: float = 0.95,
    method: Method = "wilson",
    side: Side = "two",
) -> Estimate:
    """The share of images that are a success, with its confidence interval.

    In groups the images count as their effective number, with Student's quantile in place of the
    normal one (Korn and Graubard, 1998).

    Parameters
    ----------
    successes : bool array, (n_images,)
    groups : Groups, optional
        Which images were sampled together. Left out: each by itself, as in `rate_interval`.
    scores : array, (n_images,), optional
        What the successes were decided by. They show how alike the images of a group are where
        successes are few; without them the images of a group are then taken to be all alike.
    effect : float, optional
        The design effect, where more is known of it than successes and scores show.
    confidence, method, side
        As in `rate_interval`.

    Examples
    --------
    >>> flagged = np.repeat([True, False, False, False], 15)
    >>> alone, of_parts = (
    ...     share_interval(flagged),
    ...     share_interval(flagged, Groups.read(np.repeat(np.arange(12), 5))),
    ... )
    >>> round(alone.high, 2), round(of_parts.high, 2), of_parts.n_groups, of_parts.n_effective
    (0.37, 0.56, 12, 12.0)
    """
    n_successes, n = int(np.count_nonzero(successes)), len(successes)
    if groups is None or groups.is_single or n == 0:
        return rate_interval(n_successes, n, confidence=confidence, method=method, side=side)
    _check_counts(n_successes, n, confidence, method, side)
    effect = groups.effect_on_share(successes, scores) if effect is None else effect
    two_sided = confidence if side == "two" else 2 * confidence - 1
    if groups.n_groups < LEAST_GROUPS:
        low = high = None
    else:
        size = n / effect * (two_sided_z(two_sided) / groups.reach(two_sided, effect)) ** 2
        bounds = _wilson if method == "wilson" else _clopper_pearson
        low, high = bounds(n_successes / n * size, size, two_sided)
        low, high = 0.0 if side == "upper" else low, 1.0 if side == "lower" else high
    return Estimate(
        value=n_successes / n,
        low=low,
        high=high,
        confidence=confidence,
        n=n,
        n_groups=groups.n_groups,
        n_effective=round(n / effect, 1),
        caveat=caveat_of(groups.n_groups),
    )


def _check_counts(n_successes: int, n: int, confidence: float, method: str, side: str) -> None:
    problems = Problems("rate_interval")
    check_confidence(confidence, problems)
    if not 0 <= n_successes <= n:
        problems.add(
            "0 <= n_successes <= n must hold",
            f"{n_successes} of {n}",
            "Count successes among the n",
            RangeError,
        )
    if method not in ("wilson", "clopper-pearson"):
        problems.add(
            "method must be 'wilson' or 'clopper-pearson'",
            f"{method!r}",
            "Pass one of them",
            RangeError,
        )
    if side not in ("two", "lower", "upper"):
        problems.add(
            "side must be 'two', 'lower' or 'upper'", f"{side!r}", "Pass one of them", RangeError
        )
    problems.raise_any()


def f1_interval(
    hits: int, n: int, *, confidence: float = 0.95, method: Method = "wilson"
) -> Estimate:
    """F1 with its interval; `n` is the number of true members plus that of predicted ones.

    It is that of the share J of hits among all that are true or predicted; see `f1_of_share`.

    >>> f1_interval(1, 3).value
    0.6666666666666666
    """
    return f1_of_share(rate_interval(hits, n - hits, confidence=confidence, method=method))


def f1_of_share(share: Estimate) -> Estimate:
    """F1 from the share J of hits among all that are true or predicted: 2J / (1 + J)."""
    ends = {name: getattr(share, name) for name in ("value", "low", "high")}
    f1 = {name: None if j is None else 2 * j / (1 + j) for name, j in ends.items()}
    return share.model_copy(update=f1)


def _wilson(n_successes: float, n: float, confidence: float) -> tuple[float, float]:
    """Wilson (1927): the rates whose own standard error would reach the observed one."""
    z = two_sided_z(confidence)
    rate, shrink = n_successes / n, 1 + z * z / n
    centre = (rate + z * z / (2 * n)) / shrink
    half = z * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n)) / shrink
    return (0.0 if n_successes == 0 else max(centre - half, 0.0)), (
        1.0 if n_successes == n else min(centre + half, 1.0)
    )


def _clopper_pearson(n_successes: float, n: float, confidence: float) -> tuple[float, float]:
    """Clopper and Pearson (1934).

    The rates at which so few or so many successes are just not too rare.
    """
    from scipy.special import betaincinv

    tail = (1 - confidence) / 2
    low = 0.0 if n_successes == 0 else float(betaincinv(n_successes, n - n_successes + 1, tail))
    high = (
        1.0 if n_successes == n else float(betaincinv(n_successes + 1, n - n_successes, 1 - tail))
    )
    return low, high
