"""How often promised thresholds keep their promise, and how often `broken-promise` accuses honest
runs, on simulated sets where the truth is known.

Images come in groups (views of a part). ``share`` is the part's share in the variance of normal
scores; ``bad parts`` are those of which every image scores high, all else being independent.
``kept`` is the share of the thresholds given whose true rate is within the promise, ``refused`` the
share of sets that gave none, ``rate`` the mean true rate. The least that 1,000 sets of an exact 95%
show is .936, by two Monte Carlo errors.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from measure import Results, rounded
from residua.errors import PolicyError
from residua.findings import find_broken_promise
from residua.metrics.groups import Groups
from residua.metrics.intervals import share_interval
from residua.records import OperatingPoint
from residua.thresholds import choose_threshold, is_flagged

SETS = 1000
UNEQUAL = 0
RATE = 0.05


@dataclass(frozen=True)
class World:
    """Normal scores in groups: a share of the variance, or a share of parts that are bad."""

    share: float = 0.0
    bad: float = 0.0
    shift: float = 10.0

    def __str__(self) -> str:
        return f"one in {1 / self.bad:.0f} parts bad" if self.bad else f"share {self.share:g}"

    def draw(
        self, rng: np.random.Generator, n_groups: int, size: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores and groups (n_images,), and the mean score of each group."""
        sizes = (
            np.full(n_groups, size)
            if size != UNEQUAL
            else np.minimum(1 + rng.geometric(1 / 6, n_groups), 60)
        )
        groups = np.repeat(np.arange(n_groups), sizes)
        if self.bad:
            means = self.shift * (rng.random(n_groups) < self.bad)
        else:
            means = np.sqrt(self.share) * rng.normal(size=n_groups)
        spread = np.sqrt(1 - self.share)
        return means[groups] + spread * rng.normal(size=len(groups)), groups, means

    def alarms(self, threshold: float) -> float:
        """The share of images of new groups above `threshold`."""
        bad = self.bad * stats.norm.sf(threshold - self.shift)
        return float((1 - self.bad) * stats.norm.sf(threshold) + bad)


def thresholds(
    policy: str,
    world: World,
    n_groups: int,
    size: int,
    *,
    promise: str = "new-groups",
    misses: bool = False,
) -> dict[str, float]:
    """The promised rate, over calibration sets; with `misses`, of the mirrored anomalies."""
    rng, sign = np.random.default_rng(0), -1 if misses else 1
    limit = 1 - float(policy.partition(">=")[2]) if misses else RATE
    rates = []
    for _ in range(SETS):
        scores, groups, means = world.draw(rng, n_groups, size)
        labels = np.ones(len(scores), bool) if misses else None
        try:
            point = choose_threshold(policy, sign * scores, labels, groups=groups, promise=promise)
        except PolicyError:
            continue
        at = sign * point.threshold
        if promise == "known-groups":
            shares = np.bincount(groups) / len(groups)
            below = (at - means) / np.sqrt(1 - world.share)
            rates.append(float(shares @ stats.norm.sf(below)))
        else:
            rates.append(world.alarms(at))
    return {
        "kept": round(float(np.mean(np.array(rates) <= limit + 1e-12)), 4) if rates else None,
        "refused": round(1 - len(rates) / SETS, 4),
        "rate": rounded(float(np.mean(rates))) if rates else None,
    }


def precision(
    n_anomalous: int,
    n_normal: int,
    shift: float,
    asked: float,
    prevalence: float,
    n_groups: int = 0,
    n_sets: int = SETS,
) -> dict[str, float]:
    """How often the precision is as promised: of the bounds, and of the estimates."""
    rng = np.random.default_rng(0)
    labels = np.arange(n_anomalous + n_normal) < n_anomalous
    held: dict[str, list[bool]] = {"bound": [], "estimate": []}
    groups = None
    if n_groups:
        groups = np.where(
            labels, -1 - np.arange(len(labels)) % n_groups, np.arange(len(labels)) % n_groups
        )
    recalls = []
    for _ in range(n_sets):
        noise = rng.normal(size=len(labels))
        if groups is not None:
            noise = np.sqrt(0.4) * noise + np.sqrt(0.6) * rng.normal(size=2 * n_groups)[groups]
        try:
            point = choose_threshold(
                f"precision>={asked}",
                noise + shift * labels,
                labels,
                prevalence=prevalence,
                groups=groups,
            )
        except PolicyError:
            continue
        recall, alarms = stats.norm.sf(point.threshold - shift), stats.norm.sf(point.threshold)
        truth = prevalence * recall / (prevalence * recall + (1 - prevalence) * alarms)
        kind = "estimate" if point.promise == "none" else "bound"
        held[kind].append(truth >= asked)
        recalls.append(recall)
    return {
        "bounds": round(len(held["bound"]) / n_sets, 4),
        "bounds_kept": round(float(np.mean(held["bound"])), 4) if held["bound"] else None,
        "estimates_as_high": round(float(np.mean(held["estimate"])), 4)
        if held["estimate"]
        else None,
        "recall": rounded(float(np.mean(recalls))),
    }


def contaminated(n: int, hidden: float, stated: float, shift: float) -> dict[str, float]:
    """``false-alarms<=0.01`` from `n` images, `hidden` of which are anomalies that score `shift`
    higher: recall of such anomalies, and how often either promise is kept.
    """
    rng = np.random.default_rng(0)
    restated = 1 - (1 - stated) * (1 - 0.01)
    rates, recalls = [], []
    for _ in range(SETS):
        scores = rng.normal(size=n) + shift * (rng.random(n) < hidden)
        point = choose_threshold("false-alarms<=0.01", scores, contamination=stated or None)
        rates.append(stats.norm.sf(point.threshold))
        recalls.append(stats.norm.sf(point.threshold - shift))
    return {
        "recall": rounded(float(np.mean(recalls))),
        "rate": rounded(float(np.mean(rates))),
        "kept": round(float(np.mean(np.array(rates) <= 0.01)), 4),
        "restated_kept": round(float(np.mean(np.array(rates) <= restated)), 4),
    }


def accusations(
    world: World, n_groups: int, n_judged: int, size: int, more: float = 0.0
) -> dict[str, float]:
    """What `broken-promise` says of images that score `more` higher than those of calibration."""
    rng = np.random.default_rng(0)
    told = []
    for _ in range(SETS):
        scores, groups, _ = world.draw(rng, n_groups, size)
        point = choose_threshold(f"false-alarms<={RATE}", scores, groups=groups)
        judged, theirs, _ = world.draw(rng, n_judged, size)
        told.append(severity(point, judged + more, theirs))
    return {
        "error": round(told.count("error") / SETS, 4),
        "note": round(told.count("note") / SETS, 4),
    }


def severity(point: OperatingPoint, scores: np.ndarray, groups: np.ndarray) -> str | None:
    """Of `broken-promise` on normal images."""
    rate = share_interval(is_flagged(scores, point.threshold), Groups.read(groups), scores=scores)
    found = find_broken_promise(point, {"false_alarm_rate": rate})
    return None if found is None else found.severity


def accused_of_precision(n_anomalous: int, n_normal: int, shift: float) -> dict[str, float]:
    """What `broken-promise` says of ``precision>=0.8`` at a prevalence of .2 in honest runs."""
    rng = np.random.default_rng(0)
    labels = np.arange(n_anomalous + n_normal) < n_anomalous
    told = []
    for _ in range(SETS):
        scores, judged = (rng.normal(size=len(labels)) + shift * labels for _ in range(2))
        point = choose_threshold("precision>=0.8", scores, labels, prevalence=0.2)
        flagged = is_flagged(judged, point.threshold)
        rates = {
            "recall": share_interval(flagged[labels]),
            "false_alarm_rate": share_interval(flagged[~labels]),
        }
        found = find_broken_promise(point, rates)
        told.append(None if found is None else found.severity)
    return {
        "error": round(told.count("error") / SETS, 4),
        "note": round(told.count("note") / SETS, 4),
    }


def rows() -> dict[str, Callable[[], Any]]:
    worlds = (*(World(share) for share in (0.0, 0.3, 0.6, 0.9)), World(bad=1 / 30))
    made: dict[str, Callable[[], Any]] = {}
    bound = f"false-alarms<={RATE}"

    def add(key: str, function: Callable[..., Any], *args: Any, **more: Any) -> None:
        made[key] = lambda: function(*args, **more)

    for n_groups, sizes in (
        (40, (2, 6, 50, UNEQUAL)),
        (60, (1, 6, UNEQUAL)),
        (100, (2, 6, 10, UNEQUAL)),
        (200, (6, UNEQUAL)),
    ):
        for size in sizes:
            for world in worlds:
                words = "unequal sizes" if size == UNEQUAL else f"{size} images each"
                add(
                    f"{bound}, {n_groups} groups, {words}, {world}",
                    thresholds,
                    bound,
                    world,
                    n_groups,
                    size,
                )
    worst = World(bad=1 / 22)
    add(f"{bound}, 40 groups, 2 images each, {worst}", thresholds, bound, worst, 40, 2)
    add(f"{bound}, 100 groups, 6 images each, {worst}", thresholds, bound, worst, 100, 6)
    for n_groups, size, share in ((40, 6, 0.6), (10, 50, 0.9), (100, 6, 0.3)):
        add(
            f"{bound} for known groups, {n_groups} groups, {size} images each, share {share}",
            thresholds,
            bound,
            World(share),
            n_groups,
            size,
            promise="known-groups",
        )
    for share in (0.0, 0.9):
        add(
            f"quantile:0.95, 40 groups, 6 images each, share {share}",
            thresholds,
            "quantile:0.95",
            World(share),
            40,
            6,
        )
        add(
            f"recall>=0.9, 60 groups, 6 images each, share {share}",
            thresholds,
            "recall>=0.9",
            World(share),
            60,
            6,
            misses=True,
        )
    for asked in (
        (50, 200, 3.0, 0.9, 0.2),
        (100, 500, 3.0, 0.9, 0.2),
        (200, 2000, 3.0, 0.9, 0.05),
        (300, 300, 1.5, 0.8, 0.5),
    ):
        words = "{} anomalous, {} normal, {} apart, precision>={} at prevalence {}".format(*asked)
        add(words, precision, *asked)
    add(
        "100 groups of either kind, 600 images each, 3.0 apart, precision>=0.8 at 0.2 (200 sets)",
        precision,
        600,
        600,
        3.0,
        0.8,
        0.2,
        100,
        200,
    )
    for n in (300, 1000):
        for hidden, stated in ((0.0, 0.0), (0.01, 0.0), (0.01, 0.01), (0.0, 0.01), (0.01, 0.02)):
            for shift in (2.3, 6.0):
                add(
                    f"{n} images, {hidden:.0%} hidden anomalies {shift} away, {stated:.0%} stated",
                    contaminated,
                    n,
                    hidden,
                    stated,
                    shift,
                )
    for world, n_groups, n_judged, size in (
        (World(), 60, 60, 1),
        (World(), 100, 40, 6),
        (World(0.6), 100, 40, 6),
        (World(0.9), 60, 100, 6),
        (World(0.9), 100, 100, UNEQUAL),
        (World(bad=1 / 30), 100, 40, 6),
        (World(bad=1 / 30), 200, 200, 6),
        (World(0.9), 200, 20, 6),
    ):
        words = "unequal sizes" if size == UNEQUAL else f"{size} images each"
        add(
            f"broken-promise, honest, chosen on {n_groups} groups, {n_judged} judged, {words},"
            f" {world}",
            accusations,
            world,
            n_groups,
            n_judged,
            size,
        )
    for more in (0.5, 1.0, 1.5):
        add(
            f"broken-promise, scores {more} higher, chosen on 100 groups, 40 judged, 6 images each,"
            " share 0.6",
            accusations,
            World(0.6),
            100,
            40,
            6,
            more,
        )
    add(
        "broken-promise, honest, precision from 100 anomalous and 500 normal",
        accused_of_precision,
        100,
        500,
        3.0,
    )
    add(
        "broken-promise, honest, precision from 30 anomalous and 60 normal",
        accused_of_precision,
        30,
        60,
        3.0,
    )
    return made


def main() -> None:
    results = Results("coverage_of_promises")
    for key, function in rows().items():
        results.measure(key, function)


if __name__ == "__main__":
    main()
