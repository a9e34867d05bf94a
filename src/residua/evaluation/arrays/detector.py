"""Judging scores: labels, threshold and calibration brought together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_scores, same_length
from residua.errors import LabelError
from residua.evaluation import Evidence
from residua.evaluation.arrays.inputs import Decision, Inputs
from residua.evaluation.conclusion import conclude
from residua.evaluation.detection import detection_facts
from residua.evaluation.labels import DetectionLabels, as_detection_labels
from residua.records import Evaluation, OperatingPoint
from residua.thresholds import choose_threshold

if TYPE_CHECKING:
    from residua.images.group_names import SuspectedGroups


def judge_scores(
    given: Inputs, values: Any, decision: Decision, seed: int
) -> tuple[Evaluation, Evidence]:
    """Judge `values`, the scores that were given or the errors of reconstructions."""
    problems = Problems("judge")
    scores = as_scores(values, problems=problems)
    labels, column = (
        (None, None) if given.labels is None else (given.labels.values, given.labels.name)
    )
    truth = as_detection_labels(
        labels, len(np.atleast_1d(values)), normal=decision.normal, problems=problems, column=column
    )
    train = (
        None
        if given.train_scores is None
        else as_scores(
            np.atleast_1d(given.train_scores.values), name="train-scores", problems=problems
        )
    )
    calibration, of_calibration = _calibration(given, decision, problems)
    if not problems:
        same_length(problems, labels=truth.labelled, scores=scores)
    problems.raise_any()
    point, tuned_on_judged = _operating_point(
        decision,
        (scores, truth, given.names_of_groups),
        (calibration, of_calibration, given.names_of_calibration_groups),
    )
    facts = replace(
        detection_facts(
            truth,
            scores,
            operating_point=point,
            train_scores=train,
            groups=given.names_of_groups,
            confidence=decision.confidence,
            seed=seed,
        ),
        tuned_on_judged=tuned_on_judged,
        score_column=None if given.scores is None else given.scores.name,
        known_normal=_known_normal(calibration, of_calibration, train),
        calibration=_known_normal(calibration, of_calibration, None),
        calibration_groups=_known_normal(given.names_of_calibration_groups, of_calibration, None),
        nameless_scores=given.nameless_scores,
        suspected=_suspected(given, truth),
    )
    made = conclude(facts)
    evidence = Evidence(
        paths=given.names(len(scores)),
        scores=scores,
        labels=_names(labels, truth),
        is_anomalous=truth.is_anomalous if labels is not None else None,
        labelled=truth.labelled if labels is not None else None,
        calibration_scores=calibration,
        calibration_is_anomalous=None if of_calibration is None else of_calibration.is_anomalous,
        train_scores=train,
        groups=given.names_of_groups,
        calibration_groups=given.names_of_calibration_groups,
        seed=seed,
        figures=made.figures,
        prevalence=decision.prevalence,
        threshold_from=(
            "calibration" if calibration is not None or decision.policy is None else "judged"
        ),
    )
    return made.evaluation, evidence


def _names(labels: Any, truth: DetectionLabels) -> NDArray[Any] | None:
    """Labels as they were given; as the record names them, where it speaks of kinds."""
    if labels is None:
        return None
    given = np.asarray(labels, dtype=object).reshape(-1)
    if truth.kinds is None:
        return given
    named: NDArray[Any] = truth.kinds.copy()
    named[~truth.labelled] = None
    return named


def _suspected(given: Inputs, truth: DetectionLabels) -> SuspectedGroups | None:
    """Groups that the ids suggest, where nobody named any."""
    if given.ids is None or given.labels is None or given.groups is not None:
        return None
    from residua.images.group_names import groups_in_names  # slow to load

    return groups_in_names(given.names(len(truth.is_anomalous)), truth.is_anomalous)


def _known_normal(
    calibration: NDArray[Any] | None,
    of_calibration: DetectionLabels | None,
    train: NDArray[Any] | None,
) -> NDArray[Any] | None:
    """Scores of calibration images that are normal, else of training images."""
    if calibration is None:
        return train
    return calibration if of_calibration is None else calibration[~of_calibration.is_anomalous]


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
        problems.add(
            "calibration labels must not be missing",
            f"{int((~labels.labelled).sum())} missing",
            "Leave out those calibration images",
            LabelError,
        )
    return scores, labels


def _operating_point(
    decision: Decision,
    judged: tuple[NDArray[Any], DetectionLabels, NDArray[Any] | None],
    calibration: tuple[NDArray[Any] | None, DetectionLabels | None, NDArray[Any] | None],
) -> tuple[OperatingPoint | None, str | None]:
    """The threshold, and its policy where that was chosen on the judged images."""
    (scores, truth, groups), (held_out, of_held_out, of_groups) = judged, calibration
    if decision.threshold is not None:
        return choose_threshold(decision.threshold, [], confidence=decision.confidence), None
    if decision.policy is None:
        return None, None
    is_held_out, flags = held_out is not None, None
    if held_out is not None:
        chosen_on, groups = held_out, of_groups
        flags = None if of_held_out is None else of_held_out.is_anomalous
    elif truth.labelled.any():
        chosen_on, flags = scores[truth.labelled], truth.is_anomalous[truth.labelled]
        groups = None if groups is None else groups[truth.labelled]
    else:
        chosen_on = scores
    point = choose_threshold(
        decision.policy,
        chosen_on,
        flags,
        confidence=decision.confidence,
        prevalence=decision.prevalence,
        promise=decision.promise,
        contamination=decision.contamination,
        groups=groups,
    )
    return point, None if is_held_out else decision.policy
