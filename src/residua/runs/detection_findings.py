"""What is known of a detector and of the images it judged, beyond scores and labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from residua.engines import Scores
from residua.evaluation.check import SCALES, image_statistics, measure_masks
from residua.findings import Checks, JudgedFacts
from residua.findings.facts import ScoreOf
from residua.images import ImageSet
from residua.runs.model import Calibration

_BASELINES = {"brightness", "contrast"}  # numbers that are baselines already


def with_images(
    facts: JudgedFacts,
    score_of: ScoreOf,
    images: ImageSet,
    scores: Scores,
    calibration: Calibration,
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
    calibration : Calibration
        What the threshold was chosen on.
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
        calibration=calibration.normals,
        chosen_on=calibration.pixel_hashes,
        errors={"mse": np.asarray(scores.columns["mse"], np.float64)},
        statistics=statistics,
        features=None if statistics is None else features,
        masks=checks.make("masks", lambda: measure_masks([images])),
        not_made=(*facts.not_made, *checks.not_made),
    )
