"""`residua threshold`: another operating point for a run, from calibration scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from residua.errors import InputError, LabelError
from residua.images import ImageSet
from residua.records import OperatingPoint
from residua.runs.fit import load_source
from residua.runs.parts import has_own_parts, is_own_source, load_other, recorded_parts
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder, RunState
from residua.thresholds.defaults import choose_operating_point
from residua.training.bundle import BundleConfig, load_bundle, save_operating_point, score_set


def change_threshold(
    run: str | Path,
    policy: str,
    source: str | None = None,
    *,
    confidence: float = 0.95,
    bits: int | None = None,
    watcher: Watcher | None = None,
) -> OperatingPoint:
    """Choose a threshold by `policy` and store it in the run's bundle.

    It comes from the calibration scores that `fit` stored, or from another `source`: its
    calibration part if it is divided into parts, else all of it. Nothing else of the model changes.
    """
    watcher = watcher or Watcher()
    folder = RunFolder(Path(run))
    state, bundle = folder.read_finished(), load_bundle(folder.bundle)
    if bundle.config.job != "detect":
        raise InputError(
            f"threshold: the run must be a detector. Got the job {bundle.config.job}. Fit with"
            " --job detect."
        )
    scores, is_anomalous = bundle.calibration_scores, bundle.calibration_is_anomalous
    if source is not None:
        chosen = _calibration_images(folder, state, bundle.config, source, watcher, bits)
        scores, is_anomalous = score_set(bundle, chosen).score, chosen.presumed_anomalous
    point = choose_operating_point(scores, is_anomalous, policy, confidence=confidence)
    with folder.locked():
        save_operating_point(bundle.with_operating_point(point), folder.bundle)
    return point


def _calibration_images(  # noqa: PLR0917
    folder: RunFolder,
    state: RunState,
    config: BundleConfig,
    source: str,
    watcher: Watcher,
    bits: int | None,
) -> ImageSet:
    if is_own_source(state, source):
        images = load_source(state, watcher, named=True)
        return images[
            np.flatnonzero(
                recorded_parts(folder.read_images("path", "part"), images) == "calibration"
            )
        ]
    images = load_other(state, config, source, watcher, bits=bits)
    several = (
        images.labels is not None
        and len({str(label) for label in images.labels if label is not None}) > 1
    )
    if several and images.normal is None:
        raise LabelError(
            f"{source}: the normal images must be known. Got several labels, and a model trained"
            " without any. Fit with --normal, or name the folder of the normal images good."
        )
    return images.calibration if has_own_parts(images) and len(images.calibration) else images
