"""From calibration scores to an operating point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_binary_labels, as_scores, same_length
from residua.errors import RangeError, ShapeError
from residua.metrics.groups import Groups
from residua.records import OperatingPoint
from residua.thresholds.calibration import PROMISED, Calibration, Promised
from residua.thresholds.fixed import Fixed
from residua.thresholds.policy import Policy
from residua.thresholds.rates import rates_at
from residua.thresholds.registry import parse_policy


def choose_threshold(
    policy: str | float | Policy,
    scores: Any,
    labels: Any = None,
    *,
    confidence: float = 0.95,
    prevalence: float | None = None,
    groups: Any = None,
    promise: Promised = "new-groups",
    contamination: float | None = None,
) -> OperatingPoint:
    """Turn calibration scores into an operating point.

    Threshold, rates with intervals, the words of how.

    Anomalous means ``score > threshold``, strictly. A chosen threshold lies midway between two
    neighbouring distinct calibration scores (in float32, like the scoring graph), so rounding flips
    nothing; above all scores it lies half the distance between the two highest beyond the highest.

    Parameters
    ----------
    policy : str, number or Policy
        See `parse_policy`.
    scores : float array, (n_images,)
        Higher = more anomalous. Images that the model was not fitted on, and that will not be
        tested on.
    labels : bool or 0/1 array, (n_images,), optional
        True = anomalous. None: all are normal.
    confidence : float
        Of the bounds (one-sided) and the intervals (two-sided).
    prevalence : float, optional
        Share of anomalies where the detector will work, for precision, cost and F1. None: the
        calibration set's own.
    groups : array, (n_images,), optional
        What was sampled together (the part, the patient), by name; an image without a name is a
        group of its own. None: every image is.
    promise : {"new-groups", "known-groups"}
        What a bound from grouped images holds for: images of groups that are not among these (the
        default), or new images of these groups, which is weaker and takes fewer groups.
    contamination : float, optional
        Share of the images taken for normal that may be hidden anomalies. The threshold is as low
        as that allows, and the words of how say what holds if there are none.

    Returns
    -------
    OperatingPoint

    Raises
    ------
    PolicyError
        If the policy is unknown, or the scores can't support it; the message says how many images
        would.
    ShapeError, RangeError, LabelError
        If scores or labels don't hold (NaN, lengths that differ, labels other than 0 and 1).

    Examples
    --------
    >>> point = choose_threshold("quantile:0.9", np.arange(1, 21) / 100)
    >>> round(point.threshold, 6), point.rates["false_alarm_rate"].value
    (0.195, 0.05)
    >>> choose_threshold("recall>=0.99", [0.1, 0.2, 0.8], [0, 0, 1])
    Traceback (most recent call last):
    ...
    residua.errors.PolicyError: choose_threshold: 1 anomalous calibration images can't show
    recall>=0.99 with 95% confidence; \
299 without a miss would, one-sided. Got 1. Label more anomalies, promise a lower recall, or lower
    the confidence.
    """
    rule = parse_policy(policy)
    problems = Problems("choose_threshold")
    array, is_anomalous = _checked(rule, scores, labels, problems)
    known = None if groups is None else Groups.read(groups, len(array), problems)
    known = None if known is None or known.is_single else known
    check_confidence(problems, confidence)
    if prevalence is not None:
        mend = "Pass the share of images that are anomalous"
        problems.within("prevalence", prevalence, "(0, 1)", mend)
    if contamination is not None:
        mend = "Pass the share of calibration images that may be hidden anomalies, such as 0.02"
        problems.within("contamination", contamination, "[0, 0.5)", mend)
    if promise not in PROMISED:
        problems.add(
            f"promise must be {' or '.join(PROMISED)}",
            f"{promise!r}",
            "Pass one of them",
            RangeError,
        )
    problems.raise_any()
    calibration = calibration_of(
        array,
        is_anomalous,
        confidence=confidence,
        prevalence=prevalence,
        groups=known,
        promised=promise,
        contamination=contamination or 0.0,
    )
    choice = rule.choose(calibration)
    rates = (
        rates_at(
            choice.threshold,
            array,
            is_anomalous,
            confidence=confidence,
            prevalence=prevalence,
            groups=known,
        )
        if len(array)
        else {}
    )
    return OperatingPoint(
        threshold=choice.threshold,
        policy=str(rule),
        how=choice.how,
        rates=rates,
        promise=choice.promise,
        prevalence=prevalence if choice.prevalence is None else choice.prevalence,
        contamination=contamination or None,
    )


def calibration_of(
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_] | None,
    *,
    confidence: float = 0.95,
    prevalence: float | None = None,
    groups: Groups | None = None,
    promised: Promised = "new-groups",
    contamination: float = 0.0,
) -> Calibration:
    """Sort checked scores by label."""
    anomalous = np.zeros(len(scores), np.bool_) if is_anomalous is None else is_anomalous
    normals, others = (
        rows[np.argsort(scores[rows], kind="stable")]
        for rows in (np.flatnonzero(~anomalous), np.flatnonzero(anomalous))
    )
    return Calibration(
        scores[normals],
        scores[others],
        confidence,
        prevalence,
        is_labelled=is_anomalous is not None,
        normal_groups=groups.of(normals) if groups is not None else None,
        anomalous_groups=groups.of(others) if groups is not None else None,
        promised=promised,
        contamination=contamination,
    )


def _checked(
    rule: Policy, scores: Any, labels: Any, problems: Problems
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    array = as_scores(scores, problems=problems)
    is_anomalous = None if labels is None else as_binary_labels(labels, problems=problems)
    if not problems:
        same_length(problems, scores=array, labels=is_anomalous)
        if len(array) == 0 and not isinstance(rule, Fixed):
            problems.add(
                f"{rule} needs calibration scores",
                "none",
                "Pass scores of images that were held out",
                ShapeError,
            )
    return array, is_anomalous


def check_confidence(problems: Problems, confidence: float) -> None:
    """Note a problem unless the confidence is at least 0.5 and below 1."""
    mend = f"Write {confidence / 100:g}" if 50 <= confidence < 100 else "Write for instance 0.95"
    problems.within("confidence", confidence, "[0.5, 1)", mend)
