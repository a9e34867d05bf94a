"""Every recipe for small images on three classes of garments, and how far from the best of them
what `auto` chooses is.

Three classes of Fashion-MNIST (protocol of `residua benchmark`: fitted on the train images of the
class, ROC AUC over all ten thousand test images) and the magnetic tiles (final protocol of
``surfaces.py``). The choice sees training images alone. ``--rows WORDS`` measures the rows whose
name holds one of the words (split by ;), ``--data FOLDER`` says where the data lie, ``--bundles
FOLDER`` keeps the models of tiles.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from measure import Results, rounded
from residua import load_images
from residua.images import ImageSet
from residua.metrics.intervals import roc_auc_interval
from residua.training.bundle import score_set
from residua.training.fitting.fit import fit
from residua.training.fitting.options import DetectOptions
from residua.training.fitting.recipe_choice import candidates, choose_recipe
from residua.training.fitting.session import FitSession
from residua.training.fitting.splits import VALIDATION_SHARE, hold_out
from residua.training.loop.settings import TrainingSettings
from residua.training.recipes import Recipe, make_recipe
from surfaces import DATA, tiles, varied
from tile_protocols import PROTOCOLS

CLASSES = ("0", "4", "5")
RECIPES = {
    "convolutional, plain": make_recipe("plain"),
    "plain": make_recipe("plain", family="dense"),
    "plain with density": make_recipe(
        "plain", family="dense", density=("mahalanobis", "neighbours")
    ),
    "plain, tied": make_recipe("plain", family="dense", tied=True),
    "denoising": make_recipe("denoising", family="dense"),
    "sparse": make_recipe("sparse", family="dense"),
    "variational, by error": make_recipe("variational", family="dense"),
    "variational, by ELBO": make_recipe("variational", family="dense", score="elbo"),
    "restore": make_recipe("restore"),
}


@cache
def garments(folder: Path, normal: str) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Train and calibration images of one class, and all test images."""
    images = load_images(str(folder / "fashion_mnist"), normal=[normal])
    mine = images.labels.astype(str) == normal
    train, calibration = (
        images[np.flatnonzero(mine & (images.splits == part))] for part in ("train", "calibration")
    )
    return train, calibration, images.test


def chosen(train: ImageSet) -> dict[str, Any]:
    fitted_on, validation = hold_out(train, VALIDATION_SHARE, seed=0)
    started = time.process_time()
    choice = choose_recipe(
        fitted_on, validation, TrainingSettings(threads=1), on_note=lambda _: None
    )
    return {
        "chose": choice.recipe.name,
        "separation": {name: rounded(value, 4) for name, value in choice.separation.items()},
        "processor_seconds": rounded(time.process_time() - started),
    }


def on_garments(recipe: Recipe, normal: str, folder: Path) -> dict[str, Any]:
    train, calibration, test = garments(folder, normal)
    started = time.process_time()
    fitted = fit(
        DetectOptions(settings=TrainingSettings(seed=0, threads=1)),
        train,
        calibration,
        FitSession(recipe=recipe),
    )
    seconds = time.process_time() - started
    area = roc_auc_interval(test.labels.astype(str) != normal, score_set(fitted.bundle, test).score)
    return {
        "roc_auc": [rounded(value, 4) for value in (area.value, area.low, area.high)],
        "processor_seconds": rounded(seconds),
    }


def rows(options: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    made: dict[str, Callable[[], dict[str, Any]]] = {}
    for normal in CLASSES:
        train = garments(options.data, normal)[0]
        made[f"class {normal}, choice"] = lambda train=train: chosen(train)
        for name, recipe in {**candidates(train), **RECIPES}.items():
            made[f"class {normal}, {name}"] = lambda recipe=recipe, normal=normal: on_garments(
                recipe, normal, options.data
            )
    images = tiles(options.data)
    train = images[PROTOCOLS["final"](images).train]
    made["tiles, choice"] = lambda train=train: chosen(train)
    for name, recipe in candidates(train).items():
        made[f"tiles, {name}"] = lambda recipe=recipe: varied(recipe, None, options, "final", None)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.add_argument(
        "--rows", default="", help="measure only rows whose name holds one of these"
    )
    parser.add_argument("--bundles", type=Path, help="keep models and checkpoints of tiles here")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for name in ("fashion_mnist", "magnetic_tile"):
        if not (options.data / name).is_dir():
            sys.exit(
                f"{options.data}: must hold {name}. It does not. Pass --data FOLDER, or set"
                " RESIDUA_TEST_DATA."
            )
    if options.bundles is not None:
        options.bundles.mkdir(parents=True, exist_ok=True)
    results = Results("recipes_table")
    for name, measured in rows(options).items():
        if any(word in name for word in options.rows.split(";")):
            results.measure(name, measured)


if __name__ == "__main__":
    main()
