"""`inspect` on photographs of magnetic tiles: detection, maps, what each ingredient is worth, how
much training it takes.

Four protocols: ``published`` (leaks), ``grouped`` by tile (three divisions), ``final`` (grouped;
its test half was not looked at while the recipe was designed) and ``development``. Every figure has
a 95% interval by bootstrap over groups of near-twins. Rows of `feature` need a pretrained backbone;
see `pretrained.py`. ``--rows WORDS`` measures the rows whose name holds one of the words (split by
;), ``--data FOLDER`` says where magnetic_tile lies, ``--bundles FOLDER`` keeps the models and goes
on where a training was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import pretrained
from measure import Results, rounded
from residua.images import ImageSet, group_duplicates
from residua.runs.bundle_model import untrained_graph
from residua.training.bundle import Bundle, load_bundle, save_bundle, score_set
from residua.training.fitting import fit as fitting
from residua.training.fitting.options import DetectOptions
from residua.training.fitting.session import FitSession
from residua.training.fitting.splits import VALIDATION_SHARE
from residua.training.loop.settings import TrainingSettings
from residua.training.recipes import Recipe, make_recipe
from residua.training.scoring.engine import score_images
from residua.training.scoring.prepare import Aspect
from surface_figures import each_part, judge_maps, noting_parts, with_interval
from tile_protocols import (
    GROUPED,
    KINDS,
    PROTOCOLS,
    FindGroups,
    Protocol,
    correlated,
    in_final_half,
    load_tiles,
)

DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
TIMED = 12
SEEDS = (0, 1, 2)
CURVE = (500, 1000)


@cache
def tiles(folder: Path, find_groups: FindGroups = correlated) -> ImageSet:
    return load_tiles(folder / "magnetic_tile", find_groups)


def divided(protocol: str, options: argparse.Namespace) -> tuple[ImageSet, Protocol]:
    """The photographs, in the groups of the protocol, and what is done with each."""
    images = tiles(options.data, group_duplicates if protocol in GROUPED else correlated)
    return images, PROTOCOLS[protocol](images)


def fit(
    recipe: Recipe,
    protocol: str,
    steps: int | None,
    options: argparse.Namespace,
    aspect: Aspect | None = None,
    seed: int = 0,
) -> tuple[Bundle, dict[str, Any]]:
    """A model of the protocol's training part; `steps` are rounded to epochs."""
    images, parts = divided(protocol, options)
    train = images[parts.train]
    batches = -(-round((1 - VALIDATION_SHARE) * len(train)) // recipe.schedule.batch_size)
    settings = TrainingSettings(
        seed=seed, threads=1, epochs=None if steps is None else max(1, round(steps / batches))
    )
    options = zlib.crc32(recipe.model_dump_json().encode())
    name = f"{protocol}-{recipe.name}-{options:08x}-{steps}-{aspect}-{seed}"
    kept = None if options.bundles is None else options.bundles / name
    if kept is not None and kept.is_dir():
        return load_bundle(kept), json.loads(kept.with_suffix(".json").read_text())
    checkpoint = None if kept is None else kept.with_suffix(".ckpt")
    started, processor = time.perf_counter(), time.process_time()
    fitted = fitting.fit(
        DetectOptions(settings=settings, aspect=aspect),
        train,
        images[parts.calibration],
        FitSession(recipe=recipe, checkpoint=checkpoint, resume=True),
    )
    seconds = {
        "train_images": len(fitted.parts["fitted"]),
        "steps": fitted.trained.plan.n_steps,
        "train_processor_seconds": rounded(time.process_time() - processor),
        "train_seconds": rounded(time.perf_counter() - started),
    }
    if kept is not None and checkpoint is not None:
        kept.with_suffix(".json").write_text(json.dumps(seconds))
        save_bundle(fitted.bundle, kept)
        checkpoint.unlink(missing_ok=True)
    return fitted.bundle, seconds


def judge(bundle: Bundle, protocol: str, options: argparse.Namespace) -> dict[str, Any]:
    """ROC AUC over all images and for each kind of defect, and how well the maps show where."""
    images, parts = divided(protocol, options)
    test = images[parts.test]
    with noting_parts(bundle) as noted:
        scores = score_set(bundle, test, maps=True)
    row: dict[str, Any] = {
        "n_normal": int((~test.is_anomalous).sum()),
        "n_defective": int(test.is_anomalous.sum()),
    }
    row["roc_auc"] = with_interval(test, scores.score, test.is_anomalous)
    kinds = test.labels.astype(str)
    for kind in KINDS:
        row[kind] = with_interval(test, scores.score, kinds == kind)
    if (
        protocol == "published" or protocol in GROUPED
    ):  # half of their test tiles are ones that the recipe was designed on
        row |= each_half(test, scores.score, in_final_half(tiles(options.data))[parts.test])
    return (
        row
        | judge_maps(test, scores.maps or [])
        | (each_part(bundle, test, noted, scores.score) if noted else {})
    )


def latency(bundle: Bundle, options: argparse.Namespace) -> dict[str, Any]:
    """Milliseconds an image with its map, one at a time on one thread: on the clock, and of the
    processor alone.
    """
    images = tiles(options.data)
    some, clock, processor = images[:: len(images) // TIMED], [], []
    score_set(bundle, some[:2], maps=True)
    for row in range(len(some)):
        started, used = time.perf_counter(), time.process_time()
        score_set(bundle, some[row : row + 1], maps=True)
        clock.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return {
        "milliseconds": rounded(1000 * statistics.median(clock)),
        "processor_milliseconds": rounded(1000 * statistics.median(processor)),
    }


def whole(protocol: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    bundle, seconds = fit(make_recipe("inspect"), protocol, None, options, seed=seed)
    row = seconds | judge(bundle, protocol, options) | latency(bundle, options)
    images, parts = divided(protocol, options)
    test = images[parts.test]
    untrained = score_images(untrained_graph(bundle, images[parts.train]), test, batch_size=1).score
    return row | {"untrained": with_interval(test, untrained, test.is_anomalous)}


def each_half(test: ImageSet, scores: NDArray[Any], is_final: NDArray[np.bool_]) -> dict[str, Any]:
    """ROC AUC of the tiles that nothing was designed on, and of the others."""
    return {
        name: with_interval(test[rows], scores[rows], test.is_anomalous[rows])
        for name, rows in (
            ("final half", np.flatnonzero(is_final)),
            ("development half", np.flatnonzero(~is_final)),
        )
    }


def varied(
    recipe: Recipe,
    aspect: Aspect | None,
    options: argparse.Namespace,
    protocol: str = "development",
    steps: int | None = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    bundle, seconds = fit(recipe, protocol, steps, options, aspect, seed)
    return seconds | judge(bundle, protocol, options)


def brought_backbone(recipe: Recipe, protocol: str, options: argparse.Namespace) -> dict[str, Any]:
    bundle, seconds = fit(recipe, protocol, None, options)
    return seconds | judge(bundle, protocol, options) | latency(bundle, options)


def rows(options: argparse.Namespace) -> dict[str, Callable[[], dict[str, Any]]]:
    made: dict[str, Callable[[], dict[str, Any]]] = {}
    for seed in SEEDS:
        for protocol in ("final", "published"):
            made[f"{protocol}, seed {seed}"] = lambda protocol=protocol, seed=seed: whole(
                protocol, seed, options
            )
    for protocol in GROUPED:
        made[protocol] = lambda protocol=protocol: whole(protocol, 0, options)
    for steps in CURVE:
        made[f"curve, {steps} steps"] = lambda steps=steps: varied(
            make_recipe("inspect"), None, options, "final", steps
        )
    if pretrained.register():
        brought = make_recipe("feature", backbone=pretrained.NAME, normalise=False)
        for protocol in ("published", *GROUPED):
            made[f"feature, {protocol}"] = lambda protocol=protocol: brought_backbone(
                brought, protocol, options
            )
    variants: dict[str, tuple[Recipe, Aspect | None]] = {
        "as it is": (make_recipe("inspect"), None),
        "nothing restored": (make_recipe("inspect", restoration=0.0), None),
        "nothing marked": (make_recipe("inspect", segmentation=0.0, overlap=0.0), None),
        "pasted pieces alone": (make_recipe("inspect", families=("paste",)), None),
        "no strokes among the defects": (
            make_recipe("inspect", families=("paste", "texture", "tone", "local", "dots")),
            None,
        ),
        "stretched to one size": (make_recipe("inspect"), "stretch"),
    }
    for seed in SEEDS:
        for name, (recipe, aspect) in variants.items():
            made[f"ablation, {name}, seed {seed}"] = (
                lambda recipe=recipe, aspect=aspect, seed=seed: varied(
                    recipe, aspect, options, seed=seed
                )
            )
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--rows", default="", help="measure only rows whose name holds this")
    parser.add_argument("--bundles", type=Path, help="keep models and checkpoints here")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if not (options.data / "magnetic_tile").is_dir():
        sys.exit(
            f"{options.data}: must hold magnetic_tile. It does not. Pass --data FOLDER, or set"
            " RESIDUA_TEST_DATA."
        )
    if options.bundles is not None:
        options.bundles.mkdir(parents=True, exist_ok=True)
    results = Results("surfaces")
    for name, measured in rows(options).items():
        if any(word in name for word in options.rows.split(";")):
            results.measure(name, measured)


if __name__ == "__main__":
    main()
