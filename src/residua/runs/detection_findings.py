"""What is known of a detector and of the images it judged, beyond scores and labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import Scores
from residua.evaluation.check import SCALES, image_statistics, measure_masks
from residua.findings import FINDINGS, Checks, JudgedFacts, find_all, overfitting
from residua.findings.facts import ScoreOf
from residua.findings.figures import Figure, Histogram
from residua.images import ImageSet
from residua.records import Evaluation, Finding

_BASELINES = {"brightness", "contrast"}  # numbers that are baselines already
_OF_IMAGES = {"calibration", "score_of", "statistics", "features", "masks"}


def with_images(
    facts: JudgedFacts,
    score_of: ScoreOf,
    images: ImageSet,
    scores: Scores,
    *,
    calibration: NDArray[Any],
) -> JudgedFacts:
    """`facts` of a detector with what its images and its model can be asked.

    Parameters
    ----------
    facts : JudgedFacts
        From `residua.evaluation.detection.detection_facts`.
    score_of : callable
        The model's scores of other images: normal ones are perturbed.
    images : ImageSet
        The judged images.
    scores : Scores
        Theirs, with error columns.
    calibration : float array, (n,)
        Scores of the normal calibration images.
    """
    checks = Checks()
    statistics = checks.make("the looks of images", lambda: image_statistics(images))
    features = {
        name: column
        for name, column in (statistics or {}).items()
        if name not in SCALES | _BASELINES
    }
    return replace(
        facts,
        score_of=score_of,
        images=images,
        paths=images.paths,
        pixel_hashes=images.pixel_hashes,
        calibration=calibration,
        errors={"mse": np.asarray(scores.columns["mse"], np.float64)},
        statistics=statistics,
        features=None if statistics is None else features,
        masks=checks.make("masks", lambda: measure_masks([images])),
        not_made=(*facts.not_made, *checks.not_made),
    )


def notice_in_detection(
    score_of: ScoreOf,
    images: ImageSet,
    scores: Scores,
    truth: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    *,
    evaluation: Evaluation,
    calibration: NDArray[Any],
) -> tuple[list[Finding | None], dict[str, Figure]]:
    """The findings that `with_images` adds to those of `evaluate_detection`, and their figures.

    `truth` holds is_anomalous and labelled, bool arrays, (n_images,).
    """
    is_anomalous, labelled = truth
    facts = JudgedFacts(
        job="detect",
        n_images=len(images),
        scores=scores.score,
        labelled=labelled,
        is_anomalous=is_anomalous if labelled.any() else None,
        metrics=evaluation.metrics,
        operating_point=evaluation.operating_point,
    )
    facts = with_images(facts, score_of, images, scores, calibration=calibration)
    kinds = [kind for kind in FINDINGS if _OF_IMAGES & set(kind.needs)]
    findings, figures = find_all(facts, kinds)
    return list(findings), figures


def errors_shown(
    evaluation: Evaluation, train: NDArray[Any] | None, new: NDArray[Any]
) -> dict[str, Figure]:
    """How errors of training and of new images are distributed, where overfitting was judged."""
    if train is None or not any(one.code == overfitting.CODE for one in evaluation.findings):
        return {}
    shown = Histogram.of({"training images": train, "new images": new}, "error")
    return {overfitting.CODE: Figure(histogram=shown)}
