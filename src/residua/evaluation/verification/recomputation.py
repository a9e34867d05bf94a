"""An evaluation made again from what a report carries; and which of its figures could not be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from residua.errors import InputError
from residua.evaluation import Evidence, evaluate_classification
from residua.evaluation.conclusion import conclude
from residua.evaluation.detection import detection_facts
from residua.evaluation.labels import labels_behind
from residua.evaluation.reconstruction import evaluate_errors
from residua.evaluation.standings import by_baseline
from residua.findings import (
    JudgedFacts,
    drift,
    find_all,
    find_not_better_than_baseline,
    find_threshold_optimism,
    hidden_anomalies,
    high_prevalence,
    label_noise,
    not_better_than_baseline,
    shortcut,
)
from residua.findings.unknown_code_size import of_known_size
from residua.metrics.pixel_errors import PixelErrors
from residua.metrics.reported import METRICS
from residua.records import Evaluation, Finding, OperatingPoint
from residua.thresholds.defaults import choose_again

_OF_PIXELS = tuple(metric.name for metric in METRICS if PixelErrors in metric.estimates)


def recompute(record: Evaluation, evidence: Evidence) -> Evaluation | None:
    """The evaluation that these arrays give; None where the report carries no arrays of this job.

    Metrics of pixels and findings that look at the images themselves are not in it. The operating
    point is chosen again by the stored policy on the stored calibration scores.
    """
    options: dict[str, Any] = {
        "confidence": _confidence(record),
        "seed": evidence.seed,
        "split": record.split,
    }
    if record.job == "reconstruct":
        if evidence.per_image.get("mse") is None:
            return None
        return evaluate_errors(
            evidence.per_image,
            train_errors=evidence.train_scores,
            baselines=by_baseline(evidence.baselines),
            groups=evidence.groups,
            **options,
        )
    if record.job == "classify":
        return _classification(record, evidence, options)
    return None if evidence.scores is None else _detection(record, evidence, options)


def not_carried(record: Evaluation, again: Evaluation) -> set[str]:
    """Metrics of `record` that need more than arrays an image: those of pixels."""
    return {name for name in record.metrics if name in _OF_PIXELS and name not in again.metrics}


def _confidence(record: Evaluation) -> float:
    return next((one.confidence for one in record.metrics.values()), 0.95)


def _detection(record: Evaluation, evidence: Evidence, options: dict[str, Any]) -> Evaluation:
    assert evidence.scores is not None
    labelled = (
        np.zeros(len(evidence.scores), np.bool_) if evidence.labelled is None else evidence.labelled
    )
    flags = labelled if evidence.is_anomalous is None else evidence.is_anomalous
    point = _operating_point(record, evidence, flags, labelled)
    facts = detection_facts(
        labels_behind(evidence, _doubt(record)),
        evidence.scores,
        operating_point=point,
        train_scores=evidence.train_scores,
        baselines=evidence.baselines,
        groups=evidence.groups,
        confidence=options["confidence"],
        seed=options["seed"],
    )
    again = conclude(_with_calibration(facts, record, evidence), split=record.split).evaluation
    findings = [one for one in _beside_shortcut(record, again) if not _takes_images(one, record)]
    if evidence.threshold_from == "judged" and record.operating_point is not None:
        known = labelled if labelled.any() else np.ones(len(labelled), np.bool_)
        scores, anomalous = evidence.scores[known], flags[known]
        policy, confidence = record.operating_point.policy, options["confidence"]
        optimism = find_threshold_optimism(
            policy,
            scores,
            anomalous,
            confidence=confidence,
            seed=evidence.seed,
            groups=None if evidence.groups is None else evidence.groups[known],
        )
        findings += [] if optimism is None else [optimism]
    metrics = dict(again.metrics)
    if (
        "mse" in record.metrics and "mse" in evidence.per_image
    ):  # reconstructions judged as a detector too
        errors = evaluate_errors(
            evidence.per_image,
            groups=evidence.groups,
            confidence=options["confidence"],
            seed=evidence.seed,
        )
        metrics |= errors.metrics
    return again.model_copy(update={"findings": tuple(findings), "metrics": metrics})


def _with_calibration(facts: JudgedFacts, record: Evaluation, evidence: Evidence) -> JudgedFacts:
    """`facts` with the normal calibration scores where the record's findings were made with them,
    which `drift` shows unless it is not told of so few, and with the images' names where its
    findings tell them.
    """
    if evidence.normal_calibration is not None:
        scores, groups = evidence.normal_calibration
        known = replace(facts, calibration=scores, calibration_groups=groups)
        is_told = any(one.code == drift.KIND.code for one in record.findings)
        facts = known if is_told or not find_all(known, [drift.KIND])[0] else facts
    told = next((one for one in record.findings if one.code == label_noise.KIND.code), None)
    is_named = told is not None and bool(told.measured.get("paths"))
    return replace(facts, paths=evidence.paths) if is_named else facts


def _takes_images(made: Finding, record: Evaluation) -> bool:
    """Whether a finding of a run names images that no report carries, or scores them again."""
    if made.code != hidden_anomalies.KIND.code:
        return False
    told = next((one for one in record.findings if one.code == made.code), None)
    if told is None:
        return made.measured.get("part") == "training"
    return bool(told.measured.get("paths"))


def _beside_shortcut(record: Evaluation, again: Evaluation) -> list[Finding]:
    """The findings; where a shortcut was told, which takes the images themselves, baselines by
    light are not told a second time.
    """
    findings, code = list(again.findings), not_better_than_baseline.KIND.code
    told = [one for one in record.findings if one.code == shortcut.KIND.code]
    if not any(one.severity == "warning" for one in told) or "roc_auc" not in again.metrics:
        return findings
    beside = {
        name: values["roc_auc"]
        for name, values in again.baselines.items()
        if name not in shortcut.LIGHT and "roc_auc" in values
    }
    other = find_not_better_than_baseline(
        "roc_auc",
        again.metrics["roc_auc"],
        of_known_size(beside),
        standings=again.standings,
    )
    return [one for one in findings if one.code != code] + ([] if other is None else [other])


def _doubt(record: Evaluation) -> str | None:
    """Why labels may be exchanged: by labels as they were written, which are no flags."""
    return next(
        (
            one.measured.get("doubt")
            for one in record.findings
            if one.code == high_prevalence.KIND.code
        ),
        None,
    )


def _operating_point(
    record: Evaluation, evidence: Evidence, flags: Any, labelled: Any
) -> OperatingPoint | None:
    point = record.operating_point
    if point is None or evidence.threshold_from == "elsewhere":
        return point
    scores: Any = evidence.calibration_scores
    labels: Any = evidence.calibration_is_anomalous
    groups: Any = evidence.calibration_groups
    if evidence.threshold_from == "judged":
        scores, labels, groups = evidence.scores, None, evidence.groups
        if labelled.any():
            scores, labels = scores[labelled], flags[labelled]
            groups = None if groups is None else groups[labelled]
    scores = np.zeros(0) if scores is None else scores
    confidence = next((rate.confidence for rate in point.rates.values()), _confidence(record))
    try:
        return choose_again(
            point,
            scores,
            labels,
            groups=groups,
            confidence=confidence,
            prevalence=evidence.prevalence,
        )
    except InputError:
        return None


def _classification(
    record: Evaluation, evidence: Evidence, options: dict[str, Any]
) -> Evaluation | None:
    if evidence.said is None or evidence.classes is None or evidence.labels is None:
        return None
    classes = [str(one) for one in evidence.classes.tolist()]
    predictions: Any = evidence.probabilities
    # Earlier versions carried classes as probabilities of 0 and 1.
    if predictions is None or "log_loss" not in record.metrics:
        predictions = evidence.classes[evidence.said]
    # Reports of earlier versions name no positive class: it was the second of two.
    second = classes[1] if len(classes) == 2 else None
    positive = record.provenance.get("positive_class", second)
    again = evaluate_classification(
        evidence.labels,
        predictions,
        classes=classes,
        positive=positive,
        baselines=by_baseline(evidence.baselines),
        groups=evidence.groups,
        **options,
    )
    rebuilt = {
        name: one
        for name, one in evidence.per_image.items()
        if name in record.metrics and name not in again.metrics
    }
    if not rebuilt:
        return again
    errors = evaluate_errors(
        rebuilt,
        baselines=by_baseline(evidence.baselines),
        groups=evidence.groups,
        confidence=options["confidence"],
        seed=evidence.seed,
    )  # a classifier with a decoder
    metrics = {**again.metrics, **errors.metrics}
    standings = {**errors.standings, **again.standings}
    return again.model_copy(update={"metrics": metrics, "standings": standings})
