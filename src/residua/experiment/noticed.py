"""What evaluating a run notices beyond metrics: drift, blind spots, shortcuts, a code that is dead, a copied input."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from residua import diagnostics
from residua.bundle import Bundle
from residua.exhibits import Exhibit, Histogram
from residua.experiment.parts import JudgedImages
from residua.experiment.planted import look_for_blind_spots
from residua.experiment.run_folder import RunFolder
from residua.records import Evaluation, Finding
from residua.scoring.engine import Scores, prepare_images
from residua.survey import image_statistics

_MOST_CODES = 2000
Noticed = tuple[list[Finding | None], dict[str, Exhibit]]


def notice_in_detection(
    bundle: Bundle,
    judged: JudgedImages,
    scores: Scores,
    truth: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    evaluation: Evaluation,
) -> Noticed:
    """Findings of a detector, and the pictures and distributions that show them.

    Parameters
    ----------
    truth : is_anomalous, labelled
        Bool arrays, (n_images,).
    """
    is_anomalous, labelled = truth
    images, point = judged.images, bundle.config.operating_point
    normal, anomalous = np.flatnonzero(labelled & ~is_anomalous), np.flatnonzero(labelled & is_anomalous)
    statistics = image_statistics(images)
    features = {name: column for name, column in statistics.items() if name not in {"highest", "brightness", "contrast"}}
    shortcut = diagnostics.find_shortcut(
        {name: column[labelled] for name, column in features.items()},
        is_anomalous[labelled],
        model=evaluation.metrics.get("roc_auc"),
    )
    drift, exhibits = _drift(
        bundle, scores.score, normal if len(normal) else np.flatnonzero(~labelled), are_normal=bool(len(normal))
    )
    blind, shown = look_for_blind_spots(bundle, images[normal], scores.score[normal], seed=0)
    if shown is not None:
        exhibits[diagnostics.blind_spots.CODE] = shown
    if shortcut is not None:
        name = shortcut.measured["feature"]
        series = {"normal": features[name][normal], "anomalous": features[name][anomalous]}
        exhibits[shortcut.code] = Exhibit(histogram=Histogram.of(series, name.replace("_", " ")))
    contrast = statistics["contrast"]
    mse = np.asarray(scores.columns["mse"], np.float64)
    explained = 1 - float(mse[normal].mean() / max(np.square(contrast[normal]).mean(), 1e-12)) if len(normal) else 0.0
    complexity = statistics["sharpness"] * np.maximum(contrast, 1e-3)
    found = [
        drift,
        blind if point is not None else None,
        shortcut,
        diagnostics.find_tracks_complexity(scores.score[normal], complexity[normal]),
        diagnostics.find_learnt_identity(mse[normal], mse[anomalous], explained=explained),
        find_dead_codes(bundle, judged),
    ]
    return found, exhibits


def errors_shown(evaluation: Evaluation, train: NDArray[Any] | None, new: NDArray[Any]) -> dict[str, Exhibit]:
    """How errors of training and of new images are distributed, where overfitting was judged."""
    if train is None or not any(one.code == diagnostics.overfitting.CODE for one in evaluation.findings):
        return {}
    shown = Histogram.of({"training images": train, "new images": new}, "error")
    return {diagnostics.overfitting.CODE: Exhibit(histogram=shown)}


def find_dead_codes(bundle: Bundle, judged: JudgedImages) -> Finding | None:
    """The finding about the codes of up to 2,000 judged images; None where the network has none."""
    encode = getattr(getattr(bundle.graph.scorer, "network", None), "encode", None)
    if encode is None:
        return None
    prepared = prepare_images(bundle.graph.prepare, judged.images[:_MOST_CODES], keep_float=True)
    with torch.inference_mode():
        codes = torch.cat([encode(batch) for batch in prepared.split(256)]).flatten(1)
    return diagnostics.find_dead_latent(codes.float().cpu().numpy())


def find_reused(folder: RunFolder, judged: JudgedImages) -> Finding | None:
    """Judged images on which the threshold was chosen, by the hashes of the run's calibration part."""
    recorded = folder.read_images()
    chosen_on = recorded["pixels"][recorded["part"] == "calibration"]
    return diagnostics.find_test_reused(chosen_on, judged.images.pixel_hashes, judged.images.paths)


def _drift(
    bundle: Bundle, scores: NDArray[Any], rows: NDArray[np.int64], *, are_normal: bool
) -> tuple[Finding | None, dict[str, Exhibit]]:
    calibration = calibration_normals(bundle)
    point = bundle.config.operating_point
    finding = diagnostics.find_drift(
        calibration, scores[rows], threshold=None if point is None else point.threshold, are_normal=are_normal
    )
    if finding is None or finding.severity == "ok":
        return finding, {}
    shown = Histogram.of({"calibration": calibration, "judged": scores[rows]}, "score")
    return finding, {finding.code: Exhibit(histogram=shown)}


def calibration_normals(bundle: Bundle) -> NDArray[Any]:
    """Scores of the normal calibration images; empty where there are none."""
    scores, flags = bundle.calibration_scores, bundle.calibration_is_anomalous
    return np.asarray(scores if flags is None else scores[~flags])
