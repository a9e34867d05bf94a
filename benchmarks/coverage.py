"""How often 95% intervals hold the truth, and promised thresholds keep their promise, on simulated
sets where it is known.

``below`` and ``above`` are the shares of sets in which the truth lies below or above the interval;
95% means 2.5% each.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from scipy import stats

from measure import Results
from residua.metrics.intervals import (
    average_precision_interval,
    bootstrap_interval,
    mean_interval,
    paired_difference_interval,
    rate_interval,
    roc_auc_difference,
    roc_auc_interval,
)
from residua.records import Estimate

SHAPES = {
    "equal spread": 1.0,
    "anomalies twice as wide": 2.0,
    "anomalies half as wide": 0.5,
    "exponential": None,
}
SIZES = ((10, 10), (10, 100), (30, 30), (30, 300), (100, 100), (100, 1000), (1000, 1000))
AREAS = (0.6, 0.8, 0.9, 0.95, 0.99)


def tally(truth: float, estimates: Iterable[Estimate]) -> dict[str, float]:
    """Coverage among the sets that have an interval, and the share that has none."""
    known = [(e.low, e.high) for e in estimates]
    bounded = [(low, high) for low, high in known if low is not None and high is not None]
    n = max(len(bounded), 1)
    return {
        "coverage": round(sum(low <= truth <= high for low, high in bounded) / n, 4),
        "below": round(sum(truth < low for low, _ in bounded) / n, 4),
        "above": round(sum(truth > high for _, high in bounded) / n, 4),
        "no_interval": round(1 - len(bounded) / len(known), 4),
        "sets": len(known),
    }


def sampler(shape: str, area: float) -> Callable[[np.random.Generator, int, int], np.ndarray]:
    """Scores of `m` anomalous, then `n` normal images with a known area under the ROC curve."""
    spread = SHAPES[shape]

    def draw(rng: np.random.Generator, m: int, n: int) -> np.ndarray:
        if spread is None:
            return np.concatenate((rng.exponential(area / (1 - area), m), rng.exponential(1, n)))
        shift = stats.norm.ppf(area) * math.hypot(1, spread)
        return np.concatenate((rng.normal(shift, spread, m), rng.normal(size=n)))

    return draw


def areas(shape: str, m: int, n: int, area: float, n_sets: int = 2000) -> dict[str, Any]:
    rng, draw = np.random.default_rng(0), sampler(shape, area)
    labels = np.arange(m + n) < m
    row = tally(area, (roc_auc_interval(labels, draw(rng, m, n)) for _ in range(n_sets)))
    return {**row, "errors": round(min(m, n) * (1 - area), 1)}


def average_precisions(
    shape: str, m: int, n: int, area: float, n_sets: int = 1000
) -> dict[str, Any]:
    rng, draw, spread = np.random.default_rng(0), sampler(shape, area), SHAPES[shape]
    shift = stats.norm.ppf(area) * math.hypot(1, spread)
    grid = np.linspace(shift - 9 * spread, shift + 9 * spread, 100_001)
    weight, found, false = (
        stats.norm.pdf(grid, shift, spread),
        m * stats.norm.sf(grid, shift, spread),
        n * stats.norm.sf(grid),
    )
    truth = float(
        np.average(
            np.divide(found, found + false, out=np.ones_like(grid), where=found + false > 0),
            weights=weight,
        )
    )
    labels = np.arange(m + n) < m
    estimates = (
        average_precision_interval(labels, draw(rng, m, n), n_resamples=300, seed=k)
        for k in range(n_sets)
    )
    return {**tally(truth, estimates), "truth": round(truth, 4)}


def area_differences(m: int, n: int, n_sets: int = 2000) -> dict[str, Any]:
    """Two models that see the same hard images, with areas of 0.9 and 0.8."""
    rng, labels = np.random.default_rng(0), np.arange(m + n) < m
    shifts = [stats.norm.ppf(area) * math.sqrt(2) for area in (0.9, 0.8)]

    def one() -> Estimate:
        hard = rng.normal(size=m + n)
        first, second = (
            math.sqrt(0.7) * hard + math.sqrt(0.3) * rng.normal(size=m + n) + s * labels
            for s in shifts
        )
        return roc_auc_difference(labels, first, second)

    return tally(0.1, (one() for _ in range(n_sets)))


def rates(n: int, method: str) -> dict[str, Any]:
    """Exact, by the binomial: coverage averaged over all rates from 0.01 to 0.99, and the least of
    them.
    """
    bounds = [rate_interval(k, n, method=method) for k in range(n + 1)]
    low, high = np.array([b.low for b in bounds]), np.array([b.high for b in bounds])
    truths = np.linspace(0.01, 0.99, 491)
    covered = [
        float(stats.binom.pmf(np.arange(n + 1), n, p)[(low <= p) & (p <= high)].sum())
        for p in truths
    ]
    return {"coverage": round(float(np.mean(covered)), 4), "least": round(min(covered), 4)}


ERRORS = {
    "normal": (lambda rng, n: rng.normal(1, 0.3, n), 1.0),
    "exponential": (lambda rng, n: rng.exponential(1, n), 1.0),
    "lognormal, sd 0.5": (lambda rng, n: rng.lognormal(0, 0.5, n), math.exp(0.125)),
    "lognormal, sd 1": (lambda rng, n: rng.lognormal(0, 1, n), math.exp(0.5)),
}


def means(name: str, n: int) -> dict[str, Any]:
    rng, (draw, truth) = np.random.default_rng(0), ERRORS[name]
    n_sets = 2000 if n <= 100 or n > 5000 else 1000
    return tally(truth, (mean_interval(draw(rng, n), seed=k) for k in range(n_sets)))


def paired(n: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)

    def one(seed: int) -> Estimate:
        hard = rng.lognormal(0, 1, n)
        return paired_difference_interval(hard * rng.lognormal(0, 0.2, n), hard, seed=seed)

    return tally(math.exp(0.5) * (math.exp(0.02) - 1), (one(k) for k in range(1000)))


def bootstrapped_f1(n: int) -> dict[str, Any]:
    """F1 at a fixed threshold: recall 0.8, false alarms 0.1, a third anomalous."""
    rng, labels = np.random.default_rng(0), np.arange(n) < n // 3
    share = (n // 3) / n
    truth = 2 * 0.8 * share / (0.8 * share + 0.1 * (1 - share) + share)

    def f1(flags: np.ndarray, positive: np.ndarray) -> np.ndarray:
        return 2 * (flags & positive).sum(1) / (flags.sum(1) + positive.sum(1))

    def one(seed: int) -> Estimate:
        flags = rng.random(n) < np.where(labels, 0.8, 0.1)
        return bootstrap_interval(
            f1, flags, labels, stratify=labels, vectorised=True, seed=seed, n_resamples=1000
        )

    return tally(truth, (one(k) for k in range(1000)))


def promises(policy: str, n_normal: int, n_anomalous: int, n_sets: int = 2000) -> dict[str, Any]:
    """How often a promised rate holds for fresh images of the same kind, and what the rate is on
    average.
    """
    from residua.thresholds import choose_threshold

    rng, kind, bound = (
        np.random.default_rng(0),
        policy.split("=", maxsplit=1)[0][:-1],
        float(policy.split("=")[1]),
    )
    labels = np.arange(n_normal + n_anomalous) < n_anomalous
    true_rates = []
    for _ in range(n_sets):
        scores = rng.normal(size=len(labels)) + 2.0 * labels
        threshold = choose_threshold(policy, scores, labels).threshold
        true_rates.append(stats.norm.sf(threshold, 2.0 if kind == "recall" else 0.0))
    values = np.array(true_rates)
    kept = values >= bound if kind == "recall" else values <= bound
    return {
        "kept": round(float(kept.mean()), 4),
        "mean_rate": round(float(values.mean()), 5),
        "sets": n_sets,
    }


def main() -> None:
    results = Results("coverage")
    for n in (10, 30, 100, 300, 1000):
        for method in ("wilson", "clopper-pearson"):
            results.measure(f"rate, {method}, n={n}", lambda n=n, method=method: rates(n, method))
    for shape in SHAPES:
        for m, n in SIZES:
            for area in AREAS:
                key = f"roc_auc {area}, {m} anomalous, {n} normal, {shape}"
                results.measure(key, lambda s=shape, m=m, n=n, a=area: areas(s, m, n, a))
    for m, n in SIZES[2:]:
        results.measure(
            f"roc_auc difference, {m} anomalous, {n} normal",
            lambda m=m, n=n: area_differences(m, n),
        )
    for name in ERRORS:
        for n in (5, 10, 20, 50, 100, 500, 10_000):
            results.measure(f"mean of {name} errors, n={n}", lambda name=name, n=n: means(name, n))
    for n in (20, 50, 200):
        results.measure(f"paired difference of lognormal errors, n={n}", lambda n=n: paired(n))
        results.measure(f"bootstrap of F1, n={n}", lambda n=n: bootstrapped_f1(n))
    for n in (59, 299, 1000):
        results.measure(
            f"false-alarms<=0.05 from {n} normals", lambda n=n: promises("false-alarms<=0.05", n, 0)
        )
    results.measure(
        "false-alarms<=0.01 from 299 normals", lambda: promises("false-alarms<=0.01", 299, 0)
    )
    for m in (59, 300):
        results.measure(
            f"recall>=0.95 from {m} anomalous", lambda m=m: promises("recall>=0.95", 300, m)
        )
    for shape in ("equal spread", "anomalies twice as wide"):
        for m, n in SIZES[:-1]:
            for area in (0.7, 0.9, 0.97):
                key = f"average_precision at roc_auc {area}, {m} anomalous, {n} normal, {shape}"
                results.measure(
                    key, lambda s=shape, m=m, n=n, a=area: average_precisions(s, m, n, a)
                )


if __name__ == "__main__":
    main()
