"""What judging a detector notices beyond metrics: drift, blind spots, shortcuts, scores that follow complexity, copied input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua import diagnostics
from residua.engines import Scores
from residua.exhibits import Exhibit, Histogram
from residua.images import ImageSet
from residua.noticing.planted import ScoreOf, look_for_blind_spots
from residua.records import Evaluation, Finding
from residua.survey import image_statistics

Noticed = tuple[list[Finding | None], dict[str, Exhibit]]

_SAME_RANKING = 0.7


def notice_in_detection(
    score_of: ScoreOf,
    images: ImageSet,
    scores: Scores,
    truth: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    *,
    evaluation: Evaluation,
    calibration: NDArray[Any],
) -> Noticed:
    """Findings of a detector, and the pictures and distributions that show them.

    Parameters
    ----------
    score_of : callable
        The model's scores of other images: changes are planted into normal ones.
    scores : Scores
        Of the judged images, with their error columns.
    truth : is_anomalous, labelled
        Bool arrays, (n_images,).
    evaluation : Evaluation
        What is known already: metrics and the operating point.
    calibration : float array, (n,)
        Scores of the normal calibration images.
    """
    is_anomalous, labelled = truth
    point = evaluation.operating_point
    normal, anomalous = np.flatnonzero(labelled & ~is_anomalous), np.flatnonzero(labelled & is_anomalous)
    statistics = image_statistics(images)
    features = {name: column for name, column in statistics.items() if name not in {"highest", "brightness", "contrast"}}
    shortcut = diagnostics.find_shortcut(
        {name: column[labelled] for name, column in features.items()},
        is_anomalous[labelled],
        model=evaluation.metrics.get("roc_auc"),
    )
    threshold = None if point is None else point.threshold
    judged = normal if len(normal) else np.flatnonzero(~labelled)
    drift, exhibits = _drift(calibration, scores.score[judged], threshold, are_normal=bool(len(normal)))
    blind, shown = look_for_blind_spots(score_of, threshold, images[normal], scores.score[normal], seed=0)
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
        blind,
        shortcut,
        diagnostics.find_tracks_complexity(scores.score[normal], complexity[normal]),
        diagnostics.find_learnt_identity(mse[normal], mse[anomalous], explained=explained)
        if _is_an_error(scores.score, mse)
        else None,
    ]
    return found, exhibits


def _is_an_error(scores: NDArray[Any], mse: NDArray[np.float64]) -> bool:
    """Whether scores rank images about as reconstruction errors do; a score that looks elsewhere may well copy its input."""
    if len(scores) < 3:
        return False
    first, second = (np.argsort(np.argsort(one)) - (len(one) - 1) / 2 for one in (scores, mse))
    return bool(first @ second > _SAME_RANKING * (first @ first))


def errors_shown(evaluation: Evaluation, train: NDArray[Any] | None, new: NDArray[Any]) -> dict[str, Exhibit]:
    """How errors of training and of new images are distributed, where overfitting was judged."""
    if train is None or not any(one.code == diagnostics.overfitting.CODE for one in evaluation.findings):
        return {}
    shown = Histogram.of({"training images": train, "new images": new}, "error")
    return {diagnostics.overfitting.CODE: Exhibit(histogram=shown)}


def _drift(
    calibration: NDArray[Any], scores: NDArray[Any], threshold: float | None, *, are_normal: bool
) -> tuple[Finding | None, dict[str, Exhibit]]:
    finding = diagnostics.find_drift(calibration, scores, threshold=threshold, are_normal=are_normal)
    if finding is None or finding.severity == "ok":
        return finding, {}
    shown = Histogram.of({"calibration": calibration, "judged": scores}, "score")
    return finding, {finding.code: Exhibit(histogram=shown)}
