"""`inspect` on seven sets that it was not designed on: drawn parts in colour, photographed textures
(`drawn_surfaces.py`).

80 good images train and 20 choose a threshold; 60 good ones and 12 of each kind of defect are test.
Nothing was chosen on them. Each row is a set: ROC AUC with a 95% interval by bootstrap over images,
of each kind of defect, of the baselines and of the same network untrained, and how well the maps
show where. ``--rows WORDS`` measures the sets named (split by ;), ``--bundles FOLDER`` keeps the
pictures and the models.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from drawn_surfaces import SETS, write_set
from measure import Results, rounded
from residua.images import load_images
from residua.runs.baselines import detecting_baselines
from residua.runs.bundle_model import model_of_bundle
from residua.training.bundle import load_bundle, save_bundle, score_set
from residua.training.fitting.fit import fit
from residua.training.fitting.options import DetectOptions
from residua.training.loop.settings import TrainingSettings
from surface_figures import each_part, judge_maps, noting_parts, with_interval


def judged(name: str, place: Path) -> dict[str, Any]:
    pictures, kept = place / name, place / f"{name}-inspect"
    if not pictures.is_dir():
        write_set(name, pictures)
    images = load_images(pictures, normal="good")
    test, is_anomalous = images.test, images.test.is_anomalous
    row: dict[str, Any] = {"n_train": len(images.train), "n_normal": int((~is_anomalous).sum())}
    row["n_defective"] = int(is_anomalous.sum())
    started = time.process_time()
    if kept.is_dir():
        bundle = load_bundle(kept)
    else:
        fitted = fit(
            DetectOptions(recipe="inspect", settings=TrainingSettings(seed=0, threads=1)),
            images.train,
            images.calibration,
        )
        bundle = fitted.bundle
        row |= {
            "steps": fitted.trained.plan.n_steps,
            "train_processor_seconds": rounded(time.process_time() - started),
        }
        save_bundle(bundle, kept)
    with noting_parts(bundle) as noted:
        scores = score_set(bundle, test, maps=True)
    row["roc_auc"] = with_interval(test, scores.score, is_anomalous)
    kinds = test.labels.astype(str)
    row |= {
        kind: with_interval(test, scores.score, kinds == kind)
        for kind in sorted({*kinds[is_anomalous].tolist()})
    }
    placed = [
        number
        for number in range(len(test))
        if test.masks[number] is not None or not is_anomalous[number]
    ]
    row |= judge_maps(test[np.array(placed)], [(scores.maps or [])[number] for number in placed])
    row |= each_part(bundle, test, noted, scores.score)
    beside = detecting_baselines(model_of_bundle(bundle), images.train, test)
    return row | {
        baseline: with_interval(test, values, is_anomalous) for baseline, values in beside.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--rows", default="", help="measure only sets whose name holds this")
    parser.add_argument("--bundles", type=Path, help="keep pictures and models here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    results = Results("generality")
    with tempfile.TemporaryDirectory() as place:
        for name in SETS:
            if any(word in name for word in options.rows.split(";")):
                results.measure(
                    name, lambda name=name: judged(name, options.bundles or Path(place))
                )


if __name__ == "__main__":
    main()
