"""What each part of the score of joint-one-class is worth, and its second head, on official train
images alone.

Each class in turn: fitted on the normal images of train less calibration and validation, as
`residua benchmark` does, and judged on the calibration normals (never trained on) against 150 train
images of each other class. Test is not read. Sums count each part alike but for "all, weighted",
which is the score. ``--classes 2,5`` names some, ``--seeds 0,1,2`` repeats the training, ``--recipe
restore`` trains without the second head, ``--data FOLDER`` says where fashion_mnist lies,
``--source SOURCE`` takes another set of small images with a test part.
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
from numpy.typing import NDArray

from measure import Results, rounded
from residua import load_images
from residua.images import ImageSet
from residua.metrics.intervals import roc_auc_interval
from residua.training.fitting.fit import fit
from residua.training.fitting.options import DetectOptions
from residua.training.loop.settings import TrainingSettings
from residua.training.scoring.complexity import ExpectedError
from residua.training.scoring.engine import prepare_images
from residua.training.scoring.rotation_score import PARTS, RotationScorer

OTHERS = 150
CODES = ("mahalanobis", "mahalanobis_max", "neighbours")
SUMS: dict[str, tuple[str, ...]] = {
    "all": PARTS,
    "all six": (*CODES, "restoration", "structure", "gradients"),
    "without gradients": (*CODES, "restoration", "structure"),
    "without structure": (*CODES, "restoration", "gradients"),
    "without both errors": (*CODES, "gradients"),
    "without densities of codes": ("restoration", "structure", "gradients"),
    "densities of codes": CODES,
}
DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)


def development(source: str, normal: str) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Train and calibration images of `normal`, and train images of the other classes."""
    images = load_images(source, normal=[normal])
    labels, rng = images.labels.astype(str), np.random.default_rng(7)
    seen = images.splits != "test"
    rows = [
        rng.permutation(np.flatnonzero(seen & (labels == one)))[:OTHERS]
        for one in sorted(set(labels) - {normal})
    ]
    mine = labels == normal
    train, calibration = (
        images[np.flatnonzero(mine & (images.splits == part))] for part in ("train", "calibration")
    )
    return train, calibration, images[np.sort(np.concatenate(rows))]


def parts_of(scorer: RotationScorer, images: torch.Tensor) -> NDArray[np.float32]:
    with torch.inference_mode():
        chunks = (
            chunk.contiguous(memory_format=torch.channels_last) for chunk in images.split(250)
        )
        return torch.cat([scorer.parts_of(chunk) for chunk in chunks]).numpy()


def measure_class(source: str, recipe: str, normal: str, seed: int) -> dict[str, Any]:
    train, calibration, others = development(source, normal)
    started = time.process_time()
    fitted = fit(
        DetectOptions(recipe=recipe, settings=TrainingSettings(seed=seed, threads=1)),
        train,
        calibration,
    )
    seconds = time.process_time() - started
    scorer: Any = fitted.bundle.graph.scorer
    uncorrected = copy.deepcopy(scorer)
    uncorrected.expected = ExpectedError(2)
    sets = [fitted.parts["validation"], calibration, others]
    held, *judged = (
        prepare_images(fitted.bundle.graph.prepare, one, keep_float=True) for one in sets
    )
    images = torch.cat(judged)
    is_anomalous = np.repeat([False, True], [len(calibration), len(others)])
    rows: dict[str, Any] = {
        "train_images": len(train),
        "judged": len(images),
        "processor_seconds": rounded(seconds),
    }
    for title, one in (("", scorer), (", errors not corrected", uncorrected)):
        normal_parts, parts = parts_of(one, held), parts_of(one, images)
        parts = (parts - normal_parts.mean(0)) / normal_parts.std(0)
        columns = dict(zip(scorer.parts, parts.T, strict=True))
        for name, chosen in {**{part: (part,) for part in scorer.parts}, **SUMS}.items():
            if not title or {"restoration", "structure"} & set(chosen):
                rows[name + title] = area(
                    is_anomalous, sum(columns[part] for part in chosen if part in columns)
                )
    weights = scorer.weight.numpy()
    rows["weights"] = {
        part: rounded(float(weight)) for part, weight in zip(scorer.parts, weights, strict=True)
    }
    rows["all, weighted"] = area(is_anomalous, parts_of(scorer, images) @ weights)
    return rows


def area(is_anomalous: NDArray[np.bool_], scores: NDArray[Any]) -> dict[str, float]:
    interval = roc_auc_interval(is_anomalous, scores)
    return {key: rounded(getattr(interval, key), 4) for key in ("value", "low", "high")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--classes", default=",".join(map(str, range(10))))
    parser.add_argument(
        "--recipe", choices=("joint-one-class", "restore"), default="joint-one-class"
    )
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--source")
    options = parser.parse_args()
    if options.source is None and not (options.data / "fashion_mnist").is_dir():
        sys.exit(
            f"{options.data}: must hold fashion_mnist. It does not. Pass --data FOLDER, or set"
            " RESIDUA_TEST_DATA."
        )
    source = options.source or str(options.data / "fashion_mnist")
    prefix = "" if options.source is None else f"{Path(source).stem}, "
    results = Results("ablation")
    for seed in map(int, options.seeds.split(",")):
        for normal in options.classes.split(","):
            results.measure(
                f"{prefix}{options.recipe}, class {normal}, seed {seed}",
                lambda normal=normal, seed=seed: measure_class(
                    source, options.recipe, normal, seed
                ),
            )


if __name__ == "__main__":
    main()
