"""`residua threshold`: another operating point for a run, from calibration scores."""

from __future__ import annotations

from pathlib import Path

from residua.bundle import load_bundle, save_operating_point
from residua.errors import InputError
from residua.estimators.fitting import anomalies_of, choose_operating_point, score_set
from residua.experiment.fit import Watcher
from residua.experiment.run_folder import RunFolder
from residua.images import load_images
from residua.records import OperatingPoint


def change_threshold(
    run: str | Path, policy: str, source: str | None = None, *, confidence: float = 0.95, watcher: Watcher | None = None
) -> OperatingPoint:
    """Choose a threshold by `policy` and store it in the run's bundle.

    It comes from the calibration scores that `fit` stored, or from another `source`: its calibration part if it names
    one, else all of it. Nothing else of the model changes.
    """
    watcher = watcher or Watcher()
    folder = RunFolder(Path(run))
    state, bundle = folder.read_state(), load_bundle(folder.bundle)
    if bundle.config.job != "detect":
        raise InputError(f"threshold: the run must be a detector. Got the job {bundle.config.job}. Fit with --job detect.")
    scores, is_anomalous = bundle.calibration_scores, bundle.calibration_is_anomalous
    if source is not None:
        images = load_images(source, normal=state.options.normal, seed=state.options.settings.seed, progress=watcher.on_read)
        chosen = images.calibration if (images.splits == "calibration").any() else images
        scores, is_anomalous = score_set(bundle, chosen).score, anomalies_of(chosen)
    point = choose_operating_point(scores, is_anomalous, policy, confidence=confidence)
    with folder.locked():
        save_operating_point(bundle.with_operating_point(point), folder.bundle)
    return point
