"""What a few anomalies hidden among the training images cost, and what ``--trim`` gives back.

    python benchmarks/contamination.py [SET ...]

The recipe `memory` on photographs of tiles, commutators and drawn surfaces and on two garments of
64 px (300 images): 0, 5 and 10% of the training and of the calibration images are anomalies, whole
groups of them, taken out of the test set, which is the same for all shares. With trim, 30% are left
out whatever is hidden. SET names some of `SETS`, or ``trained``.

``trained``, two recipes that are trained: Fashion-MNIST, three classes in turn as the normal one,
0, 1, 5 and 10% of the training set from the other nine; a dense plain autoencoder and
joint-one-class, with and without a trim of 10%. The ROC AUC is that of the ten thousand test
images. ``--epochs N`` and ``--images N`` make it smaller, ``--data FOLDER`` says where
fashion_mnist lies.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import memory
from measure import Results, rounded
from residua import evaluate_detection, load_images
from residua.images import ImageSet
from residua.metrics.intervals import roc_auc_interval
from residua.thresholds.defaults import choose_operating_point
from residua.training.bundle import score_set
from residua.training.fitting.fit import fit
from residua.training.fitting.options import DetectOptions
from residua.training.fitting.session import FitSession
from residua.training.loop.settings import TrainingSettings
from residua.training.recipes import Recipe, make_recipe

CLASSES = (0, 4, 5)
SHARES = (0.0, 0.01, 0.05, 0.1)
TRIM = 0.1
SETS = ("garment 0", "garment 5", "drawn gravel", "drawn brick", "commutators", "grouped 0")
HIDDEN = ((0.0, 0), (0.1, 0), (0.1, 1), (0.05, 0))
"""Shares, and seeds of the draw."""
TRIMS = (0.0, 0.3)
N_GARMENTS = (300, 60, 300, 400)  # training, calibration, test: normal, anomalous
RECIPES: dict[str, Recipe] = {
    "plain (dense)": make_recipe("plain", family="dense"),
    "joint-one-class": make_recipe("joint-one-class"),
}
DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)


@cache
def images_of(folder: Path) -> ImageSet:
    return load_images(str(folder / "fashion_mnist"), normal=["0"])


def contaminated(
    images: ImageSet, normal: int, share: float, limit: int | None
) -> tuple[ImageSet, set[str]]:
    """Training images of class `normal` with `share` of others among them, and the paths of those
    others.
    """
    rng = np.random.default_rng([normal, round(1000 * share)])
    # Calibration images are set aside by the source for a purpose that this protocol does not have:
    # they train too.
    pool = images[np.flatnonzero(images.splits != "test")]
    is_normal = pool.labels.astype(str) == str(normal)
    normals, others = (
        rng.permutation(np.flatnonzero(mask))[:limit] for mask in (is_normal, ~is_normal)
    )
    hidden = others[: round(share / (1 - share) * len(normals))]
    rows = np.sort(np.concatenate([normals, hidden]))
    return ImageSet.from_arrays(
        pool[rows].array(), paths=[str(path) for path in pool.paths[rows]]
    ), {str(path) for path in pool.paths[hidden]}


def fit_and_rank(
    recipe: Recipe, normal: int, share: float, trim: float, options: argparse.Namespace
) -> dict[str, Any]:
    images = images_of(options.data)
    train, hidden = contaminated(images, normal, share, options.images)
    asked = DetectOptions(trim=trim, settings=TrainingSettings(epochs=options.epochs, seed=0))
    started = time.perf_counter()
    fitted = fit(asked, train, None, FitSession(recipe=recipe))
    seconds = time.perf_counter() - started
    test = images.test
    scores = score_set(fitted.bundle, test).score
    area = roc_auc_interval(test.labels.astype(str) != str(normal), scores)
    left = {str(path) for part in fitted.parts.values() for path in part.paths}
    return {
        "roc_auc": rounded(area.value, 5),
        "low": rounded(area.low, 5),
        "high": rounded(area.high, 5),
        "train_images": len(train),
        "hidden": len(hidden),
        "trimmed": len(train) - len(left),
        "hidden_trimmed": len(hidden - left),
        "seconds": rounded(seconds),
    }


def parts_of(case: str, share: float, seed: int) -> tuple[ImageSet, ImageSet, ImageSet, set[str]]:
    """Training and calibration images, anomalies among them, a test set without these, and the
    paths of the hidden training images.
    """
    train, calibration, test = garments(case) if case in SETS[:2] else memory.division(case)
    is_anomalous = test.is_anomalous
    groups = np.array([str(test.paths[row]) for row in range(len(test))])
    if test.groups is not None:
        groups = test.groups.astype(str)
    most = min(round(0.2 * (len(train) + len(calibration))), is_anomalous.sum() // 2)
    taken: list[np.ndarray] = []
    for name in np.random.default_rng(21).permutation(np.unique(groups[is_anomalous])):
        rows = np.flatnonzero(is_anomalous & (groups == name))
        if sum(map(len, taken)) + len(rows) <= most:
            taken.append(rows)
    in_test = test[np.flatnonzero(~np.isin(groups, groups[np.concatenate(taken)]))]
    np.random.default_rng(seed).shuffle(taken)
    parts, first = [], 0
    for part in (calibration, train):
        wanted, rows = round(share / (1 - share) * len(part)), [np.zeros(0, np.int64)]
        while sum(map(len, rows)) < wanted and first < len(taken):
            rows.append(taken[first][: wanted - sum(map(len, rows))])
            first += 1
        parts.append(joined(part, test[np.concatenate(rows)]))
    hidden = set(map(str, parts[1].paths)) - set(map(str, train.paths))
    return parts[1], parts[0], in_test, hidden


def joined(normals: ImageSet, hidden: ImageSet) -> ImageSet:
    """Both, as images that nobody has looked at."""
    both = (normals, hidden)
    return ImageSet.from_arrays(
        [some[row] for some in both for row in range(len(some))],
        paths=[str(path) for some in both for path in some.paths],
        groups=None
        if normals.groups is None
        else [group for some in both for group in some.groups],
    )


def garments(case: str) -> tuple[ImageSet, ImageSet, ImageSet]:
    """A few of Fashion-MNIST."""
    normal = case.split()[1]
    images = load_images(str(memory.DATA / "fashion_mnist"), normal=[normal])
    rng = np.random.default_rng(int(normal))
    is_test, is_normal = images.splits == "test", images.labels.astype(str) == normal
    of_train, tested, others = (
        rng.permutation(np.flatnonzero(some))
        for some in (~is_test & is_normal, is_test & is_normal, is_test & ~is_normal)
    )
    n_train, n_calibration, n_normal, n_anomalous = N_GARMENTS
    test = np.concatenate([tested[:n_normal], others[:n_anomalous]])
    held = of_train[n_train : n_train + n_calibration]
    return images[of_train[:n_train]], images[held], images[test]


def memory_with(case: str, share: float, seed: int, trim: float) -> dict[str, Any]:
    """A memory with hidden anomalies; the threshold also where their share is stated."""
    train, calibration, test, hidden = parts_of(case, share, seed)
    size = 64 if case in SETS[:2] else None
    asked = DetectOptions(recipe="memory", trim=trim, size=size, settings=TrainingSettings(seed=0))
    started = time.process_time()
    fitted = fit(asked, train, calibration, FitSession())
    seconds = time.process_time() - started
    bundle, scores = fitted.bundle, score_set(fitted.bundle, test).score
    row: dict[str, Any] = {}
    for ending, stated in (("", None), (", share stated", share or None)):
        point = choose_operating_point(
            bundle.calibration_scores,
            bundle.calibration_is_anomalous,
            None,
            groups=bundle.calibration_groups,
            contamination=stated,
        )
        record = evaluate_detection(
            test.is_anomalous, scores, operating_point=point, groups=test.groups
        )
        names = ("recall", "false_alarm_rate") if ending else memory.METRICS[:4]
        row |= {f"{name}{ending}": memory.told(record.metrics[name]) for name in names}
    left = {str(path) for name in ("fitted", "validation") for path in fitted.parts[name].paths}
    return {
        **row,
        "train_images": len(train),
        "hidden": len(hidden),
        "trimmed": len(train) - len(left),
        "hidden_trimmed": len(hidden - left),
        "test": [int((~test.is_anomalous).sum()), int(test.is_anomalous.sum())],
        "decided": bundle.graph.scorer.decided,
        "processor_seconds": rounded(seconds),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", metavar="SET")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--images", type=int, help="normal training images, at most")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    if not (options.data / "fashion_mnist").is_dir():
        sys.exit(
            f"{options.data}: must hold fashion_mnist. It does not. Pass --data FOLDER, or set"
            " RESIDUA_TEST_DATA."
        )
    small = options.epochs is not None or options.images is not None
    results = Results("contamination_small" if small else "contamination")
    for share, seed in HIDDEN:
        for case in [one for one in SETS if one in (options.sets or SETS)]:
            for trim in TRIMS:
                key = f"memory, {case}, {share:.0%} hidden, draw {seed}, trim {trim:.0%}"
                results.measure(key, partial(memory_with, case, share, seed, trim))
    for name, recipe in RECIPES.items() if "trained" in (options.sets or ("trained",)) else ():
        for normal in CLASSES:
            for share in SHARES:
                for trim in (0.0, TRIM):
                    key = (
                        f"{name}, class {normal}, {share:.0%} hidden,"
                        f" {'trim ' + format(trim, '.0%') if trim else 'no trim'}"
                    )
                    size = f" ({options.epochs} epochs, {options.images} images)" if small else ""
                    results.measure(
                        key + size,
                        lambda recipe=recipe, normal=normal, share=share, trim=trim: fit_and_rank(
                            recipe, normal, share, trim, options
                        ),
                    )


if __name__ == "__main__":
    main()
