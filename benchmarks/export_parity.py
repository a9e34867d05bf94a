"""Decisions that differ between a run and its exports, on all Fashion-MNIST test images and all
magnetic tiles.

Small models with little training: parity is not about how good they are. Resumable: what is
measured is not measured again. Images lie in ``../shared/data``, or where ``RESIDUA_TEST_DATA``
points.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from measure import Results, rounded
from residua.engines import KINDS, load_engine, score_with
from residua.images import ImageSet, load_images, write_manifest
from residua.runs.engines import export_run
from residua.runs.fit import fit_run
from residua.training.bundle import load_bundle
from residua.training.fitting.options import make_options
from residua.training.scoring.engine import GraphEngine

DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
ENGINES = ("onnx", "openvino")
CASES: dict[str, dict[str, Any]] = {
    "fashion-mnist plain": {
        "source": "fashion_mnist",
        "normal": ("0",),
        "recipe": "plain",
        "settings": {"epochs": 2},
    },
    "fashion-mnist restore": {
        "source": "fashion_mnist",
        "normal": ("0",),
        "recipe": "restore",
        "recipe_options": {"width": 8, "latent": 16},
        "settings": {"epochs": 1},
    },
    "magnetic tiles inspect": {
        "source": "magnetic_tile",
        "normal": ("Free",),
        "recipe": "inspect",
        "recipe_options": {"width": 4},
        "size": 128,
        "settings": {"epochs": 1},
    },
    "magnetic tiles plain": {
        "source": "magnetic_tile",
        "normal": ("Free",),
        "recipe": "plain",
        "size": 64,
        "settings": {"epochs": 1},
    },
}


def case(name: str) -> dict[str, Any]:
    given = dict(CASES[name])
    source = source_of(str(given.pop("source")))
    run = fit_run(
        make_options(**{"source": source, "job": "detect", **given}),
        Path(tempfile.mkdtemp()) / "run",
    )
    images = load_images(source, normal=given["normal"])
    judged = images.test if "fashion" in name else images
    bundle = load_bundle(run.bundle)
    reference = score_with(
        GraphEngine(bundle.graph, bundle.config.channels, bundle.config.batch_size), judged
    )
    threshold = bundle.config.operating_point.threshold
    return {
        "n_images": len(judged),
        "anomalous": int(reference.anomalous.sum()),
        **{
            one: compared(run.path, one, judged, reference.score, reference.anomalous, threshold)
            for one in ENGINES
        },
    }


def compared(
    run: Path,
    engine: str,
    images: ImageSet,
    scores: np.ndarray,
    decisions: np.ndarray,
    threshold: float,
) -> dict[str, Any]:
    card = export_run(run, KINDS[engine])
    found = score_with(load_engine(run / "export", engine), images)
    near = np.abs(scores.astype(np.float64) - threshold) <= max(
        card.deviation.score, float(np.abs(found.score - scores).max())
    )
    return {
        "decisions_that_differ": int((found.anomalous != decisions).sum()),
        "scores_within_the_deviation_of_the_threshold": int(near.sum()),
        "largest_score_difference": rounded(float(np.abs(found.score - scores).max())),
        "verified_deviation": rounded(card.deviation.score),
        "scores_spread_over": rounded(card.deviation.score_spread),
    }


def source_of(name: str) -> str:
    folder = DATA / name
    if name != "magnetic_tile":
        return str(folder)
    rows = [
        {"path": path, "label": path.parts[-3].removeprefix("MT_")}
        for path in sorted(folder.glob("MT_*/Imgs/*.jpg"))
    ]
    return str(write_manifest(rows, Path(tempfile.mkdtemp()) / "tiles.csv", root=folder, copy=True))


def main() -> None:
    results = Results("export_parity")
    for name in CASES:
        results.measure(name, lambda name=name: case(name))


if __name__ == "__main__":
    main()
