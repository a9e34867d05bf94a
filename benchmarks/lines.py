"""Simulated lines: what p-values, `fdr<=a`, false-alarm bounds and drift alarms promise, and keep.

    python benchmarks/lines.py decisions|drift|million|images DATA [--lines N]

A line has its own calibration set. Kinds: ``normal`` (independent images), ``grouped`` (parts of
eight views that are alike), ``bursty`` (defects in runs of twenty) and ``drifting`` (the light
fades). Scores of good parts are normal, those of defects lie four deviations above.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.metrics.intervals import rate_interval
from residua.metrics.martingale import SHARES, bets_on, share_kept
from residua.runs.watching.drift import FALSE_ALARM, LOOKS, DriftWatch, needed
from residua.thresholds import PValues, batch_policy, choose_threshold

RESULTS = Path(__file__).parent / "results" / "lines.json"
VIEWS, SHIFT = 8, 4.0


def good(rng: np.random.Generator, n: int, kind: str) -> NDArray[np.float64]:
    """Scores of good parts, in the order of the line."""
    if kind != "grouped":
        return rng.normal(size=n)
    parts = np.repeat(rng.normal(size=-(-n // VIEWS)), VIEWS)[:n]
    return (parts + rng.normal(size=n)) / np.sqrt(2)


def where_defects(rng: np.random.Generator, n: int, kind: str, share: float) -> NDArray[np.bool_]:
    """Which images show defects."""
    if kind == "bursty":
        starts = np.flatnonzero(rng.random(n) < share / 20)
        found = np.zeros(n, np.bool_)
        for start in starts:
            found[start : start + 20] = True
        return found
    if kind == "grouped":
        return np.repeat(rng.random(-(-n // VIEWS)) < share, VIEWS)[:n]
    return rng.random(n) < share


def calibration(
    rng: np.random.Generator, kind: str, n: int
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None]:
    """Scores of good calibration images, and their groups."""
    groups = np.arange(n) // VIEWS if kind == "grouped" else None
    return good(rng, n, kind), groups


def mean_and_error(values: Any) -> dict[str, float]:
    """A mean with its standard error."""
    array = np.asarray(values, np.float64)
    return {"mean": float(array.mean()), "se": float(array.std() / np.sqrt(len(array)))}


def decisions(n_lines: int) -> dict[str, Any]:
    """Of each kind: false discoveries of a batch, p-values of good parts, bounds kept."""
    made: dict[str, Any] = {}
    for kind in ("normal", "grouped", "bursty"):
        shares, found, small, kept, early = [], [], [], [], []
        n_calibration = 4800 if kind == "grouped" else 500
        for seed in range(n_lines):
            rng = np.random.default_rng([seed, len(kind)])
            scores, groups = calibration(rng, kind, n_calibration)
            reference = PValues.of(scores, groups)
            line, defects = good(rng, 1000, kind), where_defects(rng, 1000, kind, 0.1)
            line = line + SHIFT * defects
            p_values = reference(line)
            small.append((p_values[~defects] <= 0.05).mean())
            policy = batch_policy("fdr<=0.05", "lines")
            flagged = line > policy.decide(reference, p_values).threshold
            shares.append((flagged & ~defects).sum() / max(flagged.sum(), 1))
            found.append(flagged[defects].mean() if defects.any() else np.nan)
            half = line[:500] > policy.decide(reference, p_values[:500], 1000).threshold
            early.append((half & ~defects[:500]).sum() / max(half.sum(), 1))
            point = choose_threshold("false-alarms<=0.05", scores, groups=groups)
            fresh = good(np.random.default_rng([seed, 9]), 40_000, kind)
            kept.append((fresh > point.threshold).mean() <= 0.05)
        made[kind] = {
            "lines": n_lines,
            "calibration_images": n_calibration,
            "false_discoveries": mean_and_error(shares),
            "false_discoveries_in_mid_block": mean_and_error(early),
            "defects_found": float(np.nanmean(found)),
            "p_values_of_good_parts_up_to_0.05": mean_and_error(small),
            "false_alarm_bounds_kept": mean_and_error(kept),
        }
    return made


def watched(
    rng: np.random.Generator, kind: str, n: int, *, deviation: float = 0.1, change: Any = None
) -> tuple[DriftWatch, int | None]:
    """A line of `n` images; `change(row)` multiplies the brightness. When drift was found first."""
    scores, _ = calibration(rng, "normal", 200)
    drift = DriftWatch.of(
        scores,
        {name: rng.normal(1, deviation, 200) for name in LOOKS},
        every=VIEWS if kind == "grouped" else 1,
    )
    line, defects = good(rng, n, kind), where_defects(rng, n, kind, 0.05)
    looks = {name: 1 + deviation * good(rng, n, kind) for name in LOOKS}
    first = None
    for row in range(n):
        values = {name: float(looks[name][row]) for name in LOOKS}
        if change is not None:
            values["brightness"] *= change(row)
        values["score"] = float(line[row] + SHIFT * defects[row])
        drift.add(row + 1, "", values, "")
        if first is None and any(one["kind"] == "drift" for one in drift.alarms.values()):
            first = row + 1
    return drift, first


def drifts(n_lines: int) -> dict[str, Any]:
    """False alarms with the code itself, and how soon changes are found."""
    made: dict[str, Any] = {}
    for kind in ("normal", "grouped", "bursty"):
        raised = more = 0
        for seed in range(n_lines):
            drift, first = watched(np.random.default_rng([seed, 1]), kind, 600)
            raised += first is not None
            more += "flagged" in drift.alarms and first is None
        made[kind] = {
            "lines": n_lines,
            "images": 600,
            "lines_with_a_false_drift_alarm": raised,
            "lines_said_to_have_more_defects": more,
        }
    n_changes = max(20, n_lines // 5)
    for deviation in (0.05, 0.1, 0.2):
        for factor in (0.8, 1.2):
            waits = []
            for seed in range(n_changes):
                _, first = watched(
                    np.random.default_rng([seed, 2]),
                    "normal",
                    700,
                    deviation=deviation,
                    change=lambda row, factor=factor: factor if row >= 500 else 1.0,
                )
                waits.append(np.inf if first is None else first - 500)
            made[f"brightness x{factor}, deviation {deviation}"] = {
                "lines": n_changes,
                "found_within_100": float(np.mean([0 < one <= 100 for one in waits])),
                "median_images": float(np.median(waits)),
            }
    days = []
    for seed in range(n_changes // 2):
        _, first = watched(
            np.random.default_rng([seed, 3]),
            "normal",
            1200,
            change=lambda row: 1 - 0.01 * (row / 100),
        )
        days.append(np.inf if first is None else first / 100)
    made["1% a day, 100 images a day, deviation 0.1"] = {
        "lines": len(days),
        "median_days": float(np.median(days)),
        "95%_within_days": float(np.quantile(days, 0.95)),
    }
    return made


TESTS = (*LOOKS, "score")


def million(n_lines: int, known: dict[str, Any], minutes: float) -> dict[str, Any]:
    """Lines of a million images, twenty at a time, as many as fit in the minutes; goes on from
    those that are `known`.
    """
    stated = {"images": 1_000_000, "shares": SHARES.tolist(), "needed": [*map(needed, TESTS)]}
    found = known if all(known.get(key) == value for key, value in stated.items()) else {}
    found = {"lines": 0, "lines_with_a_false_drift_alarm": 0, "tests_over_20": 0, **found, **stated}
    began = time.monotonic()
    while found["lines"] < n_lines and time.monotonic() - began < 60 * minutes:
        highest = of_uniform(np.random.default_rng([found["lines"], 7]), 20, 1_000_000)
        alarms = (highest >= np.array(stated["needed"])).any(axis=1)
        found["lines"] += len(highest)
        found["lines_with_a_false_drift_alarm"] += int(alarms.sum())
        found["tests_over_20"] += int((highest >= 20).sum())
    bound = rate_interval(
        found["lines_with_a_false_drift_alarm"],
        found["lines"],
        method="clopper-pearson",
        side="upper",
    )
    return {
        **found,
        "tests_a_line": len(TESTS),
        "stated_chance": FALSE_ALARM,
        "share_of_lines_at_most": bound.high,
        "tests_that_ever_reached_20": found["tests_over_20"] / found["lines"] / len(TESTS),
    }


def of_uniform(
    rng: np.random.Generator, n_lines: int, n: int, at_once: int = 100
) -> NDArray[np.float64]:
    """The most that each test of a line ever held, (n_lines, 4), where p-values are uniform, as
    they are on a line that goes on.
    """
    n_tests = len(TESTS) * n_lines
    capital, highest = np.zeros((len(SHARES), n_tests, 1)), np.ones(n_tests)
    for start in range(0, n, at_once):
        kept = np.array([share_kept(start + row) for row in range(at_once + 1)])
        pays = bets_on(1 - rng.random((n_tests, at_once)))
        # The product of what was paid so far, and the same one image before.
        grown = np.cumprod(pays, axis=2)
        before = np.concatenate([np.ones((len(SHARES), n_tests, 1)), grown[..., :-1]], axis=2)
        fresh = (kept[:-1] - kept[1:]) * SHARES[:, np.newaxis, np.newaxis]
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            held = grown * (capital + np.cumsum(fresh / before, axis=2))
        held = np.nan_to_num(held, nan=0.0)
        highest = np.maximum(highest, (held.sum(axis=0) + kept[1:]).max(axis=1))
        capital = held[..., -1:]
    return highest.reshape(n_lines, len(TESTS))


def images(data: Path, n_lines: int) -> dict[str, Any]:
    """Real images, brighter and darker by a fifth from image 300 on, in random orders."""
    from PIL import Image

    from residua.evaluation.check import look_of

    folders = {
        "magnetic tiles": sorted((data / "magnetic_tile" / "MT_Free" / "Imgs").glob("*.jpg"))[:700],
        "commutators": sorted((data / "commutators").rglob("*.jpg"))[:400],
    }
    made: dict[str, Any] = {}
    for name, paths in folders.items():
        looks: dict[float, NDArray[np.float64]] = {}
        for factor in (1.0, 0.8, 1.2):
            rows = []
            for path in paths:
                pixels = np.asarray(Image.open(path).convert("L"), np.float32)[..., np.newaxis]
                scaled = np.clip(pixels * factor, 0, 255).round().astype(np.uint8)
                rows.append(look_of(scaled[::2, ::2]))
            looks[factor] = np.array(rows)
        n_known, n_before = 100, len(paths) - 200
        for factor in (0.8, 1.2, 1.0):
            waits, named = [], []
            for seed in range(n_lines):
                order = np.random.default_rng([seed, 5]).permutation(len(paths))
                known = looks[1.0][order[:n_known]]
                drift = DriftWatch.of(
                    np.arange(float(n_known)), dict(zip(LOOKS, known.T, strict=True))
                )
                wait = np.inf
                for place, row in enumerate(order[n_known:]):
                    is_late = place >= n_before
                    now = looks[factor if is_late else 1.0][row]
                    values = dict(zip(LOOKS, map(float, now), strict=True))
                    raised = drift.add(place + 1, "", values, "")
                    if raised and not np.isfinite(wait):
                        wait = place + 1 - n_before
                        named.append(raised[0])
                waits.append(wait)
            array = np.array(waits)
            made[f"{name}, brightness x{factor}"] = {
                "lines": n_lines,
                "images_before": n_before,
                "deviation_of_brightness": float(looks[1.0][:, 0].std() / looks[1.0][:, 0].mean()),
                "false_alarms_before": int((array <= 0).sum()),
                "found_within_100": float(((array > 0) & (array <= 100)).mean()),
                "median_images": float(np.median(array)) if np.isfinite(np.median(array)) else None,
                "named": {one: named.count(one) for one in sorted(set(named))},
            }
    return made


def main() -> None:
    """Run one part, and keep its result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("decisions", "drift", "million", "images"))
    parser.add_argument("data", nargs="?", default="../shared/data")
    parser.add_argument("--lines", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=15)
    asked = parser.parse_args()
    began = time.monotonic()
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    found = {
        "decisions": lambda: decisions(asked.lines),
        "drift": lambda: drifts(asked.lines),
        "million": lambda: million(asked.lines, known.get("million", {}), asked.minutes),
        "images": lambda: images(Path(asked.data), asked.lines),
    }[asked.part]()
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}  # others write too
    RESULTS.write_text(json.dumps({**known, asked.part: found}, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1), f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
