"""How often 95% intervals of a detector hold the truth where images are sampled in groups.

Scores are normal. The images of a group (the views of a part) share a stated part of their
variance. Every metric of the record is judged by the interval that the record gives, and beside it
stand scikit-learn's metric with a plain bootstrap of images, and torchmetrics' ``BootStrapper``,
which know no groups. The number in a row is the share of simulated sets whose interval holds the
truth; sets without an interval are not counted, and their share is ``no_interval``. Balanced
accuracy, whose bounds cost more than all the others, is measured on a quarter of the sets, with six
images a group alone.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import math
import sys
import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from measure import Results
from residua.metrics.groups import Groups
from residua.metrics.reported import METRICS
from residua.metrics.samples import ScoredImages

SHARES = (0.0, 0.3, 0.6, 0.9)
N_SETS, N_OF_PEERS, N_RESAMPLES = 1000, 100, 100
FALSE_ALARMS = 0.1


class Design(NamedTuple):
    """How images are sampled: groups of a class, images per group, what a group's images share.

    ``mixed`` groups hold images of both classes: views of a part with and without its defect.
    """

    anomalous: int
    normal: int
    size: int | str
    share: float
    area: float = 0.9
    mixed: bool = False

    @property
    def title(self) -> str:
        size = "1 to 11" if self.size == "unequal" else self.size
        groups = f"{self.anomalous} + {self.normal} groups of {size}"
        return f"{groups}{', both classes in each' * self.mixed}, share {self.share}" + (
            "" if self.area == 0.9 else f", area {self.area}"
        )


class Draw(NamedTuple):
    """Simulated images: which are anomalous, their scores and their groups."""

    truth: np.ndarray
    scores: np.ndarray
    groups: np.ndarray


def designs() -> list[Design]:
    made = [
        Design(n, n, size, share)
        for n in (10, 30, 100)
        for size in (1, 2, 6, 10, "unequal")
        for share in (SHARES if size != 1 else (0.0,))
    ]
    made += [Design(30, 30, 50, share) for share in SHARES]
    made += [Design(200, 200, 6, share) for share in SHARES]
    made += [Design(12, 100, 6, share) for share in SHARES]
    made += [Design(40, 40, 6, share, mixed=True) for share in SHARES]
    made += [Design(30, 30, 6, share, area) for area in (0.7, 0.98) for share in (0.0, 0.6, 0.9)]
    return made


def draw(rng: np.random.Generator, design: Design) -> Draw:
    """One set."""
    n_groups = design.anomalous + (0 if design.mixed else design.normal)
    sizes = (
        rng.integers(1, 12, n_groups)
        if design.size == "unequal"
        else np.full(n_groups, design.size)
    )
    groups = np.repeat(np.arange(n_groups), sizes)
    truth = groups < design.anomalous
    if design.mixed:
        truth = np.arange(len(groups)) % 2 == 0
    own = rng.normal(size=len(groups))
    part = rng.normal(size=n_groups)[groups]
    scores = math.sqrt(design.share) * part + math.sqrt(1 - design.share) * own
    return Draw(truth, scores + shift_of(design) * truth, groups)


def shift_of(design: Design) -> float:
    """How far the scores of anomalous images lie above those of normal ones, in deviations."""
    return float(stats.norm.ppf(design.area) * math.sqrt(2))


def truths(design: Design, drawn: Draw) -> dict[str, float]:
    """What each metric is in the population, at the mix of the classes that was drawn."""
    prevalence, shift = float(drawn.truth.mean()), shift_of(design)
    recall = float(stats.norm.sf(threshold() - shift))
    to_catch = float(stats.norm.sf(stats.norm.ppf(0.1) + shift))
    hits, alarms = prevalence * recall, (1 - prevalence) * FALSE_ALARMS
    return {
        "roc_auc": design.area,
        "average_precision": _average_precision(shift, prevalence),
        "recall": recall,
        "false_alarm_rate": FALSE_ALARMS,
        "precision": hits / (hits + alarms),
        "f1": 2 * hits / (hits + alarms + prevalence),
        "accuracy": hits + (1 - prevalence) * (1 - FALSE_ALARMS),
        "flagged_rate": hits + alarms,
        "false_alarm_rate_at_90_recall": to_catch,
        **({"balanced_accuracy": (recall + 1 - FALSE_ALARMS) / 2} if design.size == 6 else {}),
    }


def threshold() -> float:
    """The fixed threshold: a tenth of normal images lies above it."""
    return float(stats.norm.isf(FALSE_ALARMS))


def _average_precision(shift: float, prevalence: float) -> float:
    grid = np.linspace(shift - 8, shift + 8, 2001)
    found, false = prevalence * stats.norm.sf(grid, shift), (1 - prevalence) * stats.norm.sf(grid)
    weights = stats.norm.pdf(grid, shift)
    return float(np.average(found / (found + false), weights=weights))


def coverage(design: Design, n_sets: int = N_SETS) -> dict[str, Any]:
    """The share of sets in which each metric's interval holds the truth, and its mean width."""
    rng = np.random.default_rng([7, design.anomalous, len(str(design.size))])
    held: Counter[str] = Counter()
    bounded: Counter[str] = Counter()
    width: Counter[str] = Counter()
    of_name = {metric.name: metric for metric in METRICS}
    for number in range(n_sets):
        drawn = draw(rng, design)
        flagged, groups = drawn.scores > threshold(), Groups.read(drawn.groups)
        sample = ScoredImages(
            is_anomalous=drawn.truth,
            scores=drawn.scores,
            flagged=flagged,
            all_flagged=flagged,
            groups=groups,
            all_groups=groups,
        )
        expected = truths(design, drawn)
        for name in expected:
            if name == "balanced_accuracy" and number >= n_sets // 4:
                continue
            estimate = of_name[name].estimate(sample)
            if estimate is None:
                continue
            if estimate.low is not None and estimate.high is not None:
                bounded[name] += 1
                held[name] += estimate.low <= expected[name] <= estimate.high
                width[name] += estimate.high - estimate.low
    names = list(bounded)
    return {
        "sets": n_sets,
        **{name: round(held[name] / bounded[name], 3) for name in names},
        "width": {name: round(width[name] / bounded[name], 3) for name in names},
        "no_interval": {
            name: round(1 - bounded[name] / n_sets, 3)
            for name in names
            if bounded[name] < n_sets and name != "balanced_accuracy"
        },
    }


def of_scikit_learn(design: Design, n_sets: int = N_OF_PEERS) -> dict[str, Any]:
    """scikit-learn's metrics with percentiles of images drawn again one by one."""
    from sklearn import metrics

    functions = {
        "roc_auc": metrics.roc_auc_score,
        "average_precision": metrics.average_precision_score,
        "recall": lambda y, s: metrics.recall_score(y, s > threshold()),
        "precision": lambda y, s: metrics.precision_score(y, s > threshold(), zero_division=0.0),
    }
    rng = np.random.default_rng(8)
    held: Counter[str] = Counter()
    for _ in range(n_sets):
        drawn = draw(rng, design)
        expected, n = truths(design, drawn), len(drawn.truth)
        values: dict[str, list[float]] = {name: [] for name in functions}
        while len(values["roc_auc"]) < N_RESAMPLES:
            rows = rng.integers(n, size=n)
            truth, scores = drawn.truth[rows], drawn.scores[rows]
            if truth.all() or not truth.any():
                continue
            for name, function in functions.items():
                values[name].append(float(function(truth, scores)))
        for name, column in values.items():
            low, high = np.quantile(column, (0.025, 0.975))
            held[name] += low <= expected[name] <= high
    return {"sets": n_sets, **{name: round(int(held[name]) / n_sets, 3) for name in functions}}


def of_torchmetrics(design: Design, n_sets: int = N_OF_PEERS) -> dict[str, Any]:
    """``BootStrapper`` around torchmetrics' exact metrics, 2.5% and 97.5% quantiles."""
    import torch
    from torchmetrics import BootStrapper
    from torchmetrics.classification import BinaryAUROC, BinaryRecall

    rng = np.random.default_rng(8)
    torch.manual_seed(0)
    quantiles = torch.tensor([0.025, 0.975])
    held: Counter[str] = Counter()
    for _ in range(n_sets):
        drawn = draw(rng, design)
        expected = truths(design, drawn)
        target = torch.from_numpy(drawn.truth.astype(np.int64))
        # Scores must lie in [0, 1], or torchmetrics applies a sigmoid unasked.
        scores = torch.from_numpy(stats.norm.cdf(drawn.scores))
        flags = torch.from_numpy((drawn.scores > threshold()).astype(np.int64))
        for name, metric, given in (
            ("roc_auc", BinaryAUROC(), scores),
            ("recall", BinaryRecall(), flags),
        ):
            sampled = BootStrapper(
                metric,
                num_bootstraps=N_RESAMPLES,
                quantile=quantiles,
                sampling_strategy="multinomial",
            )
            sampled.update(given, target)
            low, high = sampled.compute()["quantile"].tolist()
            held[name] += low <= expected[name] <= high
    return {"sets": n_sets, **{name: round(n / n_sets, 3) for name, n in held.items()}}


def main() -> None:
    warnings.filterwarnings("ignore")
    results = Results("coverage_of_groups")
    quick = "--quick" in sys.argv
    for design in designs():
        n_sets = 100 if quick else N_SETS
        results.measure(design.title, lambda d=design, n=n_sets: coverage(d, n))
    for size, share in ((1, 0.0), (6, 0.3), (6, 0.6), (6, 0.9), (10, 0.9)):
        design = Design(30, 30, size, share)
        results.measure(
            f"scikit-learn with a bootstrap of images: {design.title}",
            lambda d=design: of_scikit_learn(d),
        )
        results.measure(
            f"torchmetrics' BootStrapper: {design.title}", lambda d=design: of_torchmetrics(d)
        )


if __name__ == "__main__":
    main()
