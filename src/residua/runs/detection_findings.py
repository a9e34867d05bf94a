"""What judging a detector notices beyond metrics: drift, blind spots, shortcuts, scores that follow
complexity, copied input.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import Scores
from residua.evaluation.check import SCALES, image_statistics, mask_findings
from residua.findings import (
    Checks,
    blind_spots,
    find_drift,
    find_learnt_identity,
    find_shortcut,
    find_tracks_complexity,
    overfitting,
)
from residua.findings.figures import Exhibit, Histogram
from residua.images import ImageSet
from residua.records import Evaluation, Finding
from residua.runs.blind_spots import ScoreOf, look_for_blind_spots

Noticed = tuple[list[Finding | None], dict[str, Exhibit]]
_Noticed = tuple[Finding | None, dict[str, Exhibit]]

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
    threshold = None if point is None else point.threshold
    normal, anomalous = (
        np.flatnonzero(labelled & ~is_anomalous),
        np.flatnonzero(labelled & is_anomalous),
    )
    judged = normal if len(normal) else np.flatnonzero(~labelled)
    mse = np.asarray(scores.columns["mse"], np.float64)
    checks = Checks()
    statistics = checks.make("the looks of images", lambda: image_statistics(images))
    noticed: list[_Noticed | None] = [
        checks.make(
            "drift",
            lambda: _drift(
                calibration, scores.score[judged], threshold, are_normal=bool(len(normal))
            ),
        ),
        checks.make(
            "blind spots",
            lambda: _blind_spots(score_of, threshold, images[normal], scores.score[normal]),
        ),
    ]
    if statistics is not None:
        noticed += [
            checks.make(
                "shortcuts", lambda: _shortcut(statistics, is_anomalous, labelled, evaluation)
            ),
            checks.make(
                "whether scores follow complexity",
                lambda: (_tracks_complexity(statistics, scores.score, normal), {}),
            ),
            checks.make(
                "copied input",
                lambda: (_learnt_identity(statistics, scores.score, mse, normal, anomalous), {}),
            ),
        ]
    found: list[Finding | None] = [one[0] for one in noticed if one is not None]
    found += checks.make("masks", lambda: mask_findings([images], metrics=evaluation.metrics)) or []
    exhibits = {code: shown for one in noticed if one is not None for code, shown in one[1].items()}
    return [*found, *checks.not_made], exhibits


def _blind_spots(
    score_of: ScoreOf, threshold: float | None, normals: ImageSet, scores: NDArray[Any]
) -> _Noticed:
    finding, shown = look_for_blind_spots(score_of, threshold, normals, scores, seed=0)
    return finding, {} if shown is None else {blind_spots.CODE: shown}


def _shortcut(
    statistics: dict[str, NDArray[np.float64]],
    is_anomalous: NDArray[np.bool_],
    labelled: NDArray[np.bool_],
    evaluation: Evaluation,
) -> _Noticed:
    features = {
        name: column
        for name, column in statistics.items()
        if name not in SCALES | {"brightness", "contrast"}
    }
    finding = find_shortcut(
        {name: column[labelled] for name, column in features.items()},
        is_anomalous[labelled],
        model=evaluation.metrics.get("roc_auc"),
    )
    if finding is None:
        return None, {}
    column = features[finding.measured["feature"]]
    series = {
        "normal": column[labelled & ~is_anomalous],
        "anomalous": column[labelled & is_anomalous],
    }
    shown = Histogram.of(series, finding.measured["feature"].replace("_", " "))
    return finding, {finding.code: Exhibit(histogram=shown)}


def _tracks_complexity(
    statistics: dict[str, NDArray[np.float64]], scores: NDArray[Any], normal: NDArray[np.int64]
) -> Finding | None:
    complexity = statistics["sharpness"] * np.maximum(statistics["contrast"], 1e-3)
    return find_tracks_complexity(scores[normal], complexity[normal])


def _learnt_identity(
    statistics: dict[str, NDArray[np.float64]],
    scores: NDArray[Any],
    mse: NDArray[np.float64],
    normal: NDArray[np.int64],
    anomalous: NDArray[np.int64],
) -> Finding | None:
    if not _is_an_error(scores, mse):
        return None
    contrast = statistics["contrast"][normal]
    explained = (
        1 - float(mse[normal].mean() / max(np.square(contrast).mean(), 1e-12))
        if len(normal)
        else 0.0
    )
    return find_learnt_identity(mse[normal], mse[anomalous], explained=explained)


def _is_an_error(scores: NDArray[Any], mse: NDArray[np.float64]) -> bool:
    """Whether scores rank images about as reconstruction errors do; a score that looks elsewhere
    may well copy its input.
    """
    if len(scores) < 3:
        return False
    first, second = (np.argsort(np.argsort(one)) - (len(one) - 1) / 2 for one in (scores, mse))
    return bool(first @ second > _SAME_RANKING * (first @ first))


def errors_shown(
    evaluation: Evaluation, train: NDArray[Any] | None, new: NDArray[Any]
) -> dict[str, Exhibit]:
    """How errors of training and of new images are distributed, where overfitting was judged."""
    if train is None or not any(one.code == overfitting.CODE for one in evaluation.findings):
        return {}
    shown = Histogram.of({"training images": train, "new images": new}, "error")
    return {overfitting.CODE: Exhibit(histogram=shown)}


def _drift(
    calibration: NDArray[Any], scores: NDArray[Any], threshold: float | None, *, are_normal: bool
) -> _Noticed:
    finding = find_drift(calibration, scores, threshold=threshold, are_normal=are_normal)
    if finding is None or finding.severity == "ok":
        return finding, {}
    shown = Histogram.of({"calibration": calibration, "judged": scores}, "score")
    return finding, {finding.code: Exhibit(histogram=shown)}
