"""Exact binomial bounds: how many faults n images may show, and how many images it takes."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


def chance_of_at_most(n_faults: int, n: int, rate: float) -> float:
    """Probability of at most `n_faults` among `n` images that each go wrong at `rate`.

    Binomial: images go wrong independently.
    """
    from scipy.special import betainc

    if n_faults < 0:
        return 0.0
    return 1.0 if n_faults >= n else float(betainc(n - n_faults, n_faults + 1, 1 - rate))


def allowed_faults(n: int, rate: float, confidence: float) -> int | None:
    """The most faults among `n` that still show a rate of at most `rate`.

    One-sided, at the confidence; None if not even no fault shows it.

    This is the one-sided Clopper-Pearson bound read backwards, and the order statistic that bounds
    a quantile: Wilks, *Annals of Mathematical Statistics* 12 (1941) 91.

    Examples
    --------
    >>> (
    ...     allowed_faults(299, 0.01, 0.95),
    ...     allowed_faults(298, 0.01, 0.95),
    ...     allowed_faults(1000, 0.01, 0.95),
    ... )
    (0, None, 4)
    """
    shown = bisect_right(
        range(n), 1 - confidence, key=lambda n_faults: chance_of_at_most(n_faults, n, rate)
    )
    return shown - 1 if shown else None


def images_needed(rate: float, confidence: float, n_faults: int = 0) -> int:
    """The fewest images that show a rate of at most `rate` when `n_faults` of them go wrong.

    Examples
    --------
    >>> [images_needed(0.01, 0.95, n_faults) for n_faults in (0, 1, 2)]
    [299, 473, 628]
    """
    most = n_faults + 1
    while chance_of_at_most(n_faults, most, rate) > 1 - confidence:
        most *= 2
    return bisect_left(
        range(most), True, key=lambda n: chance_of_at_most(n_faults, n, rate) <= 1 - confidence
    )
