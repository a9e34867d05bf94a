"""What can be said of images that nobody labelled: which are flagged, and how unlike calibration
images they are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._text import count
from residua.errors import InputError
from residua.evaluation.evidence import Evidence
from residua.evaluation.report import words
from residua.evaluation.report.kinds import truth
from residua.records import Evaluation, OperatingPoint
from residua.thresholds import is_flagged, parse_policy

_MOST_NAMED = 5


def shift_sentences(evaluation: Evaluation, evidence: Evidence) -> list[str]:
    """The sentences; none where the job is another, or some image has a label.

    >>> arrays = Evidence(paths=np.array(["a.png", "b.png"]), scores=np.array([0.1, 0.9]))
    >>> point = OperatingPoint(threshold=0.5, policy="fixed:0.5", how="by hand")
    >>> record = Evaluation(job="detect", n_images=2, split="all", operating_point=point)
    >>> shift_sentences(record, arrays)
    ['Flagged: b.png (0.9).']
    """
    if evaluation.job != "detect" or evidence.scores is None or truth(evidence) is not None:
        return []
    scores = np.asarray(evidence.scores, np.float64)
    if len(scores) == 0:
        return []
    said = [_highest(scores, evidence.paths, evaluation.operating_point)]
    if (known := evidence.normal_calibration) is not None and len(known[0]):
        said.append(_place(scores, known[0]))
    if evaluation.operating_point is not None:
        said += _beyond_promise(evaluation, evaluation.operating_point)
    return said


def _highest(scores: NDArray[Any], paths: NDArray[Any], point: OperatingPoint | None) -> str:
    order = np.argsort(-scores, kind="stable")
    flagged = order if point is None else order[is_flagged(scores[order], point.threshold)]
    if point is not None and not len(flagged):
        return (
            f"The highest score is {words.significant(float(scores[order[0]]))}"
            f" ({paths[order[0]]}), the threshold {words.significant(point.threshold)}."
        )
    named = ", ".join(
        f"{paths[row]} ({words.significant(float(scores[row]))})"
        for row in flagged[:_MOST_NAMED].tolist()
    )
    more = f" and {len(flagged) - _MOST_NAMED:,} more" if len(flagged) > _MOST_NAMED else ""
    if point is None:
        return f"Highest scores: {named}. There is no threshold, so nothing is flagged."
    ordered = ", the highest score first" if len(flagged) > 1 else ""
    return f"Flagged{ordered}: {named}{more}."


def _place(scores: NDArray[Any], normals: NDArray[Any]) -> str:
    middle = float(np.median(scores))
    below = float((normals < middle).mean() + (normals == middle).mean() / 2)
    return (
        f"The middle score of all {count(len(scores), 'image')} is higher than {below:.0%} of the"
        f" {count(len(normals), 'normal calibration score')}; about 50% means alike."
    )


def _beyond_promise(evaluation: Evaluation, point: OperatingPoint) -> list[str]:
    """The flagged share beside what was promised; nothing where none is flagged."""
    share, promised = evaluation.metrics.get("flagged_rate"), _promised(point)
    if share is None or not share.value or promised is None:
        return []
    rate, about = promised
    said = f"{share.value:.1%} are flagged. {about} {rate:.3g}% of normal images would be."
    if share.low is None or share.low <= rate / 100:
        return [said]
    return [f"{said} So many of these are anomalous, or they are unlike the calibration images."]


def _promised(point: OperatingPoint) -> tuple[float, str] | None:
    """The percentage of normal images that the threshold may flag, and how sure that is."""
    try:
        promise = parse_policy(point.policy).promise()
    except InputError:
        return None
    if promise is not None and promise.kind == "normal":
        return 100 * promise.rate, "At most"
    rate = point.rates.get("false_alarm_rate")
    return None if rate is None or rate.value is None else (100 * rate.value, "About")
