"""What a few anomalies hidden among the training images cost, and what ``--trim`` gives back.

Fashion-MNIST, three classes in turn as the normal one, 0, 1, 5 and 10% of the training set from the
other nine; a dense plain autoencoder and joint-one-class, with and without trim. The share to trim
is 10% whatever is hidden, since nobody knows it. The ROC AUC is that of the ten thousand test
images. ``--epochs N`` and ``--images N`` make it smaller, ``--data FOLDER`` says where
fashion_mnist lies.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from measure import Results, rounded
from residua import load_images
from residua.images import ImageSet
from residua.metrics.intervals import roc_auc_interval
from residua.training.bundle import score_set
from residua.training.fitting.fit import fit
from residua.training.fitting.options import DetectOptions
from residua.training.fitting.session import FitSession
from residua.training.loop.settings import TrainingSettings
from residua.training.recipes import Recipe, make_recipe

CLASSES = (0, 4, 5)
SHARES = (0.0, 0.01, 0.05, 0.1)
TRIM = 0.1
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
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
    for name, recipe in RECIPES.items():
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
