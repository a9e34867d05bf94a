"""Each recipe on a GPU: trained there, scored there and on the processor, how fast each is and how
far the scores differ.

Fashion-MNIST class 0, the recipe's own schedule, 2,000 test images; `inspect` on the magnetic
tiles, ``--steps`` of them. The engines compared are those that `residua score --engine torch` and
``torch-gpu`` take, with the same weights; a difference is a share of the range from the 5th to the
95th percentile of the scores, and of the highest point of the maps. ``--recipe NAME`` measures one,
``--data FOLDER`` says where the images lie.
"""

from __future__ import annotations

import argparse
import copy
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from measure import Results, rounded
from residua import load_images
from residua.engines import Engine
from residua.images import ImageSet
from residua.metrics import roc_auc
from residua.training.export.verify import compare, measure_deviation
from residua.training.fitting.fit import fit
from residua.training.fitting.options import DetectOptions
from residua.training.fitting.session import FitSession
from residua.training.loop.settings import TrainingSettings
from residua.training.recipes import RECIPES, make_recipe
from residua.training.scoring.engine import GraphEngine
from residua.training.scoring.engine_variants import VARIANTS
from tile_protocols import PROTOCOLS, load_tiles

DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
JUDGED = {"inspect": 100}
MOST_JUDGED = 2000


def parts(name: str, folder: Path) -> tuple[ImageSet, ImageSet | None, ImageSet]:
    """Training, calibration and test images for a recipe of that name."""
    if name == "inspect":
        images = load_tiles(folder / "magnetic_tile")
        protocol = PROTOCOLS["development"](images)
        return images[protocol.train], images[protocol.calibration], images[protocol.test]
    images = load_images(str(folder / "fashion_mnist"), normal=["0"])
    seen = images[np.flatnonzero(images.splits != "test")]
    return seen[np.flatnonzero(~seen.is_anomalous)], None, images.test


def images_a_second(engine: Engine, images: ImageSet) -> float:
    """After one batch that warms up; decoded images in memory, waiting for the last score."""
    batches = list(images.batches(engine.batch_size))
    engine.score(batches[0])
    started = time.perf_counter()
    for batch in batches:
        engine.score(batch)
    return rounded(len(images) / (time.perf_counter() - started))


def measure_recipe(name: str, options: argparse.Namespace) -> dict[str, Any]:
    train, calibration, test = parts(name, options.data)
    recipe = make_recipe(name)
    epochs = None
    if name == "inspect":
        epochs = max(1, round(options.steps * recipe.schedule.batch_size / len(train)))
    fitted = fit(
        DetectOptions(settings=TrainingSettings(seed=0, epochs=epochs, device="cuda")),
        train,
        calibration,
        FitSession(recipe=recipe),
    )
    trained, config = fitted.trained, fitted.bundle.config
    graph = fitted.bundle.graph
    processor = GraphEngine(copy.deepcopy(graph), config.channels, config.batch_size)
    gpu = VARIANTS["torch-gpu"](graph, config.channels, config.batch_size)
    judged = test[:: max(1, len(test) // JUDGED.get(name, MOST_JUDGED))]
    compared = compare(processor, gpu, judged)
    deviation = measure_deviation(compared, float(graph.threshold), float(graph.threshold))
    is_anomalous = judged.is_anomalous
    return {
        "gpu": trained.device,
        "bfloat16_training": trained.plan.bfloat16,
        "steps": trained.plan.n_steps,
        "training_images_a_second": rounded(
            trained.plan.n_steps * recipe.schedule.batch_size / trained.seconds
        ),
        "training_seconds": rounded(trained.seconds),
        "scored": len(judged),
        "largest_score_difference": rounded(deviation.score / deviation.score_spread),
        "largest_map_difference": rounded(deviation.error_map / deviation.error_map_peak),
        "decisions_that_differ": deviation.different_decisions,
        "roc_auc_processor": rounded(roc_auc(is_anomalous, compared.reference), 6),
        "roc_auc_gpu": rounded(roc_auc(is_anomalous, compared.engine), 6),
        "scored_images_a_second_processor": images_a_second(processor, judged),
        "scored_images_a_second_gpu": images_a_second(gpu, judged),
        "processor_threads": torch.get_num_threads(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--recipe", default=",".join(RECIPES))
    parser.add_argument("--steps", type=int, default=400, help="of inspect")
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("gpu: PyTorch must see a GPU. It sees none.")
    results = Results("gpu")
    for name in options.recipe.split(","):
        results.measure(name, lambda name=name: measure_recipe(name, options))


if __name__ == "__main__":
    main()
