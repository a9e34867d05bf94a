"""How often 95% intervals of means and of paired differences hold the truth where images were
sampled in groups, and how often two equal models are told apart.

A group takes a share of the variance; 0 is a group in name only. ``ignoring_groups`` is the
coverage of the interval that takes every image for independent. With rare broken images,
``labelled`` is the share of sets whose record says that these may be missing.

    python benchmarks/coverage_of_comparisons.py

1,000 sets a row (250 where groups are ignored), on a reduced grid: groups of 1, 6 and 10, all of
one size, 20 of them and 60 in two settings. Takes about ten minutes of one core.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from measure import Results
from residua.evaluation.paired import (
    Paired,
    paired_average_precision,
    paired_means,
    paired_roc_auc,
    paired_shares,
)
from residua.metrics import mean_interval
from residua.metrics.groups import Groups
from residua.metrics.precision_intervals import precision_at_area
from residua.records import Estimate

N_SETS = 1000
SAMPLING = {
    20: ((1, 0.0), (6, 0.0), (6, 0.6), (6, 0.9), (10, 0.6), (10, 0.9)),
    60: ((6, 0.6), (10, 0.9)),
}
COMMON = 0.7  # the share of the variance of a score that two models have in common


def holds(estimate: Estimate, truth: float) -> bool | None:
    if estimate.low is None or estimate.high is None:
        return None
    return estimate.low <= truth <= estimate.high


def covered(held: list[bool | None]) -> float:
    known = [one for one in held if one is not None]
    return round(sum(known) / max(len(known), 1), 4)


class Sampling:
    """Standard normal values of images in groups, and the groups."""

    def __init__(self, n_groups: int, size: int, share: float) -> None:
        self.rng = np.random.default_rng(0)
        self.share, self.n_groups = share, n_groups
        self.codes = np.repeat(np.arange(n_groups), size)
        self.groups = None if size == 1 else Groups(self.codes)

    def values(self) -> np.ndarray:
        own = self.rng.normal(size=len(self.codes))
        if self.groups is None:
            return own
        of_group = self.rng.normal(size=self.n_groups)[self.codes]
        return math.sqrt(self.share) * of_group + math.sqrt(1 - self.share) * own

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Values of two models that see the same hard images."""
        hard, left = math.sqrt(COMMON) * self.values(), math.sqrt(1 - COMMON)
        return hard + left * self.values(), hard + left * self.values()


def means(kind: str, n_groups: int, size: int, share: float) -> dict[str, Any]:
    sampling = Sampling(n_groups, size, share)
    spread = {"lognormal, sd 0.5": 0.5, "lognormal, sd 1": 1.0}.get(kind)
    truth = 0.0 if spread is None else math.exp(spread**2 / 2)
    by_groups, by_images = [], []
    for seed in range(N_SETS):
        values = sampling.values()
        values = values if spread is None else np.exp(spread * values)
        by_groups.append(holds(mean_interval(values, groups=sampling.groups, seed=seed), truth))
        if sampling.groups is not None and seed < N_SETS // 4:
            by_images.append(holds(mean_interval(values, seed=seed), truth))
    return _row(by_groups, by_images)


def _row(by_groups: list[bool | None], by_images: list[bool | None]) -> dict[str, Any]:
    row = {
        "coverage": covered(by_groups),
        "no_interval": round(sum(one is None for one in by_groups) / len(by_groups), 4),
    }
    ignoring = {"ignoring_groups": covered(by_images)} if by_images else {}
    return {**row, **ignoring, "sets": len(by_groups)}


ERRORS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "normal": lambda rng, n: rng.normal(1, 0.3, n),
    "exponential": lambda rng, n: rng.exponential(1, n),
    "lognormal, sd 0.5": lambda rng, n: rng.lognormal(-0.125, 0.5, n),
    "lognormal, sd 1": lambda rng, n: rng.lognormal(-0.5, 1, n),
}


def rare_broken(name: str, n: int) -> dict[str, Any]:
    """One in a hundred images has twenty times the error."""
    rng, truth, held, labelled = np.random.default_rng(0), 1.19, [], []
    for seed in range(N_SETS):
        values = ERRORS[name](rng, n) * np.where(rng.random(n) < 0.01, 20, 1)
        estimate = mean_interval(values, seed=seed, least=0)
        held.append(holds(estimate, truth))
        labelled.append(estimate.caveat is not None)
    either = [bool(one) or told for one, told in zip(held, labelled, strict=True)]
    return {
        "coverage": covered(held),
        "labelled": round(sum(labelled) / N_SETS, 4),
        "covers_or_labelled": round(sum(either) / N_SETS, 4),
        "sets": N_SETS,
    }


def _compared(
    sampling: Sampling,
    truth: float,
    unlike: Callable[[], Paired],
    alike: Callable[[], Paired],
    ignoring: Callable[[], Paired],
) -> dict[str, Any]:
    """`unlike` models differ by `truth`, `alike` ones by nothing."""
    by_groups = [holds(unlike().difference, truth) for _ in range(N_SETS)]
    told_apart = 0
    for _ in range(N_SETS):
        found = alike()
        is_shown = holds(found.difference, 0.0) is False
        told_apart += is_shown and found.p_value is not None and found.p_value < 0.05
    by_images = []
    if sampling.groups is not None:
        by_images = [holds(ignoring().difference, truth) for _ in range(N_SETS // 4)]
    return {**_row(by_groups, by_images), "equal_told_apart": round(told_apart / N_SETS, 4)}


def paired_errors(n_groups: int, size: int, share: float) -> dict[str, Any]:
    sampling = Sampling(n_groups, size, share)

    def one(shift: float, groups: Groups | None) -> Paired:
        hard, first, second = (sampling.values() for _ in range(3))
        a = np.exp(0.5 * hard + 0.2 * first + shift)
        b = np.exp(0.5 * hard + 0.2 * second)
        return paired_means(a, b, confidence=0.95, groups=groups)

    truth = math.exp(0.145) * (math.exp(0.1) - 1)
    return _compared(
        sampling,
        truth,
        lambda: one(0.1, sampling.groups),
        lambda: one(0.0, sampling.groups),
        lambda: one(0.1, None),
    )


def paired_rights(n_groups: int, size: int, share: float) -> dict[str, Any]:
    """Shares of right answers of .9 and .8, or of .9 both."""
    sampling = Sampling(n_groups, size, share)

    def one(of_second: float, groups: Groups | None) -> Paired:
        a, b = sampling.pair()
        ends = stats.norm.ppf([0.9, of_second])
        return paired_shares(a < ends[0], b < ends[1], confidence=0.95, groups=groups)

    return _compared(
        sampling,
        0.1,
        lambda: one(0.8, sampling.groups),
        lambda: one(0.9, sampling.groups),
        lambda: one(0.8, None),
    )


def _ranked(
    test: Callable[..., Paired], sampling: Sampling, flags: np.ndarray, truth: float
) -> dict[str, Any]:
    """Two detectors with areas of .9 and .8 under the ROC curve, or of .85 both."""

    def one(areas: tuple[float, float], groups: Groups | None) -> Paired:
        shifts = stats.norm.ppf(areas) * math.sqrt(2)
        a, b = sampling.pair()
        return test(
            flags, a + shifts[0] * flags, b + shifts[1] * flags, confidence=0.95, groups=groups
        )

    return _compared(
        sampling,
        truth,
        lambda: one((0.9, 0.8), sampling.groups),
        lambda: one((0.85, 0.85), sampling.groups),
        lambda: one((0.9, 0.8), None),
    )


def paired_ranks(metric: str, n_groups: int, size: int, share: float) -> dict[str, Any]:
    """Half of the groups are anomalous."""
    sampling = Sampling(n_groups, size, share)
    flags = sampling.codes % 2 == 0
    if metric == "roc_auc":
        return _ranked(paired_roc_auc, sampling, flags, 0.1)
    truth = precision_at_area(0.9, 0.5) - precision_at_area(0.8, 0.5)
    return _ranked(paired_average_precision, sampling, flags, truth)


def paired_precisions(n: int, share: float) -> dict[str, Any]:
    """Images that are independent, a share of which is anomalous."""
    sampling, flags = Sampling(n, 1, 0.0), np.arange(n) < round(n * share)
    truth = precision_at_area(0.9, share) - precision_at_area(0.8, share)
    return _ranked(paired_average_precision, sampling, flags, truth)


def main() -> None:
    results = Results("coverage_of_comparisons")
    for n in (20, 50, 100, 200, 500):
        for name in ERRORS:
            results.measure(
                f"mean of {name} errors, 1% broken, n={n}", lambda k=name, n=n: rare_broken(k, n)
            )
    for n in (20, 40, 100, 400):
        for share in (0.1, 0.25, 0.5):
            results.measure(
                f"paired average precision, {n} images, {share:.0%} anomalous",
                lambda n=n, share=share: paired_precisions(n, share),
            )
    for n_groups, sampled in SAMPLING.items():
        for size, share in sampled:
            way = f"{n_groups} groups of {size}, share {share}"
            at = {"n_groups": n_groups, "size": size, "share": share}
            for kind in ("normal", "lognormal, sd 0.5", "lognormal, sd 1"):
                results.measure(f"mean, {kind}, {way}", lambda k=kind, at=at: means(k, **at))
            results.measure(f"paired mean, {way}", lambda at=at: paired_errors(**at))
            results.measure(f"paired share, {way}", lambda at=at: paired_rights(**at))
            for metric in ("roc_auc", "average_precision"):
                results.measure(
                    f"paired {metric}, {way}", lambda m=metric, at=at: paired_ranks(m, **at)
                )


if __name__ == "__main__":
    main()
