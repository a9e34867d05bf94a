"""The five strategies as the table of the documentation, from the rows that ``classification.py
--part strategies`` left.

Accuracy is the mean over the trainings of a strategy; its interval, and that of the difference to
`plain` on the same test images and seeds, is a bootstrap over images and trainings together, since
either could have been others. Of one seed it speaks of images alone. ``--part few`` reads the rows
of that part.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from measure import RESULTS

N_DRAWS = 4000
N_TEST = 10_000


def outcomes(row: dict[str, Any]) -> NDArray[np.bool_]:
    """Which test images a fit put right."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(row["right"]), np.uint8))[:N_TEST].astype(
        np.bool_
    )


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean of (n_seeds, n_images) and the 95% interval, in points, images and seeds drawn anew each
    time.
    """
    rng = np.random.default_rng(0)
    n_seeds, n_images = values.shape
    draws = []
    for _ in range(N_DRAWS):
        counts = np.bincount(rng.integers(n_images, size=n_images), minlength=n_images)
        seeds = rng.integers(n_seeds, size=n_seeds)
        draws.append(float((values[seeds].mean(axis=0) @ counts) / n_images))
    low, high = np.quantile(draws, (0.025, 0.975))
    return 100 * float(values.mean()), 100 * float(low), 100 * float(high)


def lines(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    """A line a strategy and number of labels: seeds, accuracies, mean with interval, difference to
    plain on the same seeds.
    """
    by_seed: dict[tuple[int, str], dict[int, NDArray[np.bool_]]] = defaultdict(dict)
    for row in rows:
        by_seed[row["labels_a_class"], row["strategy"]][row["seed"]] = outcomes(row)
    for (n_labels, name), found in sorted(by_seed.items(), key=lambda one: one[0][0]):
        right = np.stack([found[seed] for seed in sorted(found)]).astype(np.float64)
        mean, low, high = interval(right)
        each = ", ".join(f"{100 * one.mean():.2f}" for one in right)
        plain = by_seed[n_labels, "plain"]
        shared = sorted(set(found) & set(plain)) if name != "plain" else []
        told = ""
        if shared:
            gap = np.stack([found[seed].astype(np.float64) - plain[seed] for seed in shared])
            told = "{:+.2f} [{:+.2f}, {:+.2f}]".format(*interval(gap))
        yield f"| {name} | {n_labels} | {each} | {mean:.2f} [{low:.2f}, {high:.2f}] | {told} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("strategies", "few"), default="strategies")
    rows = json.loads((RESULTS / f"classification_{parser.parse_args().part}.json").read_text())[
        "rows"
    ]
    print(
        "| strategy | labels a class | accuracy by seed | mean | against plain |\n| --- | --- | ---"
        " | --- | --- |"
    )
    for line in lines(row for row in rows.values() if "right" in row):
        print(line)


if __name__ == "__main__":
    main()
