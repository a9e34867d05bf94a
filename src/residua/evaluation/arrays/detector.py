"""Judging scores: labels, threshold and calibration brought together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_scores, same_length
from residua.errors import LabelError
from residua.evaluation import Evidence, evaluate_detection
from residua.evaluation.arrays.inputs import Decision, Inputs
from residua.evaluation.labels import DetectionLabels, as_detection_labels
from residua.findings import find_reversed_labels, find_reversed_scores, find_threshold_optimism
from residua.records import Evaluation, Finding, OperatingPoint
from residua.thresholds import choose_threshold


def judge_scores(
    given: Inputs, values: Any, decision: Decision, seed: int
) -> tuple[Evaluation, Evidence]:
    """Judge `values`, the scores that were given or the errors of reconstructions."""
    problems = Problems("judge")
    scores = as_scores(values, problems=problems)
    labels, column = (
        (None, None) if given.labels is None else (given.labels.values, given.labels.name)
    )
    n_images = len(np.atleast_1d(values))
    truth = as_detection_labels(
        labels, n_images, normal=decision.normal, problems=problems, column=column
    )
    train = None
    if given.train_scores is not None:
        train = as_scores(
            np.atleast_1d(given.train_scores.values), name="train-scores", problems=problems
        )
    calibration, of_calibration = _calibration(given, decision, problems)
    if not problems:
        same_length(problems, labels=truth.labelled, scores=scores)
    problems.raise_any()
    point, optimism = _operating_point(
        decision, (scores, truth), (calibration, of_calibration), seed
    )
    evaluation = evaluate_detection(
        truth,
        scores,
        operating_point=point,
        train_scores=train,
        confidence=decision.confidence,
        seed=seed,
    )
    noticed = [
        optimism,
        *_reversals(
            given, evaluation, scores, truth, _known_normal(calibration, of_calibration, train)
        ),
    ]
    more = tuple(finding for finding in noticed if finding is not None)
    evaluation = evaluation.model_copy(update={"findings": (*evaluation.findings, *more)})
    evidence = Evidence(
        paths=given.names(len(scores)),
        scores=scores,
        labels=None if labels is None else np.asarray(labels, dtype=object).reshape(-1),
        is_anomalous=truth.is_anomalous if labels is not None else None,
        labelled=truth.labelled if labels is not None else None,
        calibration_scores=calibration,
        calibration_is_anomalous=None if of_calibration is None else of_calibration.is_anomalous,
        train_scores=train,
        seed=seed,
        prevalence=decision.prevalence,
        threshold_from=(
            "calibration" if calibration is not None or decision.policy is None else "judged"
        ),
    )
    return evaluation, evidence


def _known_normal(
    calibration: NDArray[Any] | None,
    of_calibration: DetectionLabels | None,
    train: NDArray[Any] | None,
) -> NDArray[Any] | None:
    """Scores of calibration images that are normal, else of training images."""
    if calibration is None:
        return train
    return calibration if of_calibration is None else calibration[~of_calibration.is_anomalous]


def _reversals(
    given: Inputs,
    evaluation: Evaluation,
    scores: NDArray[Any],
    truth: DetectionLabels,
    known_normal: NDArray[Any] | None,
) -> list[Finding | None]:
    """Scores or labels that seem the wrong way round by what their column is called, or beside
    known normal images.
    """
    column = None if given.scores is None else given.scores.name
    found = [find_reversed_scores(column, evaluation.metrics.get("roc_auc"))]
    if known_normal is not None:
        labelled = truth.labelled
        found.append(
            find_reversed_labels(known_normal, scores[labelled], truth.is_anomalous[labelled])
        )
    return found


def _calibration(
    given: Inputs, decision: Decision, problems: Problems
) -> tuple[NDArray[Any] | None, DetectionLabels | None]:
    if given.calibration_scores is None:
        return None, None
    scores = as_scores(
        given.calibration_scores.values, name="calibration-scores", problems=problems
    )
    if given.calibration_labels is None:
        return scores, None
    labels = as_detection_labels(
        given.calibration_labels.values,
        len(scores),
        normal=decision.normal,
        problems=problems,
        column=given.calibration_labels.name,
    )
    if not problems:
        same_length(problems, calibration_scores=scores, calibration_labels=labels.labelled)
    if not problems and not labels.labelled.all():
        n = int((~labels.labelled).sum())
        problems.add(
            "calibration labels must all be there",
            f"{n} missing",
            "Leave out those calibration images",
            LabelError,
        )
    return scores, labels


def _operating_point(
    decision: Decision,
    judged: tuple[NDArray[Any], DetectionLabels],
    calibration: tuple[NDArray[Any] | None, DetectionLabels | None],
    seed: int,
) -> tuple[OperatingPoint | None, Finding | None]:
    """The threshold, and the finding that it was chosen on the judged images where it was."""
    (scores, truth), (held_out, of_held_out) = judged, calibration
    confidence, prevalence = decision.confidence, decision.prevalence
    if decision.threshold is not None:
        return choose_threshold(decision.threshold, [], confidence=confidence), None
    if decision.policy is None:
        return None, None
    if held_out is not None:
        labels = None if of_held_out is None else of_held_out.is_anomalous
        return (
            choose_threshold(
                decision.policy, held_out, labels, confidence=confidence, prevalence=prevalence
            ),
            None,
        )
    known, labels = (
        (scores[truth.labelled], truth.is_anomalous[truth.labelled])
        if truth.labelled.any()
        else (scores, None)
    )
    point = choose_threshold(
        decision.policy, known, labels, confidence=confidence, prevalence=prevalence
    )
    anomalous = np.zeros(len(known), np.bool_) if labels is None else labels
    return point, find_threshold_optimism(
        decision.policy, known, anomalous, confidence=confidence, seed=seed
    )
