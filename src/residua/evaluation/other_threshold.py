"""A detector's evaluation at another threshold, from the arrays behind it: no image is read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from residua.errors import InputError
from residua.evaluation.detection import detection_facts
from residua.evaluation.evidence import Evidence, ThresholdFrom
from residua.evaluation.labels import labels_behind
from residua.evaluation.per_day import PER_DAY, counted_again
from residua.evaluation.products import PRODUCTS
from residua.evaluation.verdict import with_verdict
from residua.findings import FINDINGS, JudgedFacts, blind_spots, find_all, leakage, random_model
from residua.findings.figures import Figure
from residua.records import Evaluation, Finding, NotApplicable, OperatingPoint, not_applicable_of
from residua.thresholds.defaults import choose_again

_TAKE_IMAGES = (blind_spots.KIND, random_model.KIND)  # where an earlier version kept no answers
_ORDER = {kind.code: row for row, kind in enumerate(FINDINGS)}


def at_operating_point(
    evaluation: Evaluation, evidence: Evidence, point: OperatingPoint
) -> tuple[Evaluation, Evidence]:
    """The same judgement with another operating point, as if the images had been judged with it.

    Metrics that depend on the threshold and the findings that speak of it are made again from the
    stored scores. Everything else stays: metrics of pixels, baselines, findings about images. The
    gallery shows the images that were chosen for it. A finding that takes images, and whose answers
    an earlier version did not keep, is left out and named in ``not_applicable``.

    Raises InputError if this is no evaluation of a detector with its scores.

    >>> from residua.evaluation import evaluate_detection
    >>> from residua.thresholds import choose_threshold
    >>> scores = np.array([0.1, 0.4, 0.35, 0.8])
    >>> truth = np.array([False, False, True, True])
    >>> record = evaluate_detection(truth, scores, operating_point=0.5)
    >>> arrays = Evidence(
    ...     paths=np.array(list("abcd")),
    ...     scores=scores,
    ...     is_anomalous=truth,
    ...     labelled=np.ones(4, bool),
    ... )
    >>> again, _ = at_operating_point(record, arrays, choose_threshold(0.3, []))
    >>> record.metrics["recall"].value, again.metrics["recall"].value
    (0.5, 1.0)
    """
    if evaluation.job != "detect" or evidence.scores is None:
        raise InputError(
            "at_operating_point: the evaluation must be one of a detector, with its scores. Got"
            f" {evaluation.job}{'' if evidence.scores is not None else ' without scores'}. Evaluate"
            " again."
        )
    if PRODUCTS in evaluation.provenance:
        raise InputError(
            "at_operating_point: a record of several products must be made from their images, as"
            " its scores lie on a scale that thresholds change. Evaluate again."
        )
    before = _facts(evaluation, evidence, evaluation.operating_point)
    of_pixels = {
        name: one for name, one in evaluation.metrics.items() if name not in before.metrics
    }
    before = replace(before, metrics={**before.metrics, **of_pixels})
    now = _facts(evaluation, evidence, point)
    now = replace(now, metrics={**now.metrics, **of_pixels})
    findings, figures, left_out = _findings(evaluation, evidence, before, now)
    scores, flags = evidence.calibration_scores, evidence.calibration_is_anomalous
    origin = threshold_from(point, scores, flags, evidence.calibration_groups)
    provenance = dict(evaluation.provenance)
    if left_out:
        not_asked = (*not_applicable_of(provenance), *left_out)
        provenance["not_applicable"] = [one.model_dump(mode="json") for one in not_asked]
    if PER_DAY in provenance:
        provenance[PER_DAY] = counted_again(provenance[PER_DAY], now.metrics)
    changed = {
        "metrics": dict(now.metrics),
        "operating_point": point,
        "findings": findings,
        "provenance": provenance,
    }
    return (
        with_verdict(evaluation.model_copy(update=changed)),
        replace(evidence, figures=figures, threshold_from=origin),
    )


def threshold_from(
    point: OperatingPoint | None, scores: Any, is_anomalous: Any, groups: Any
) -> ThresholdFrom:
    """Whether the stored calibration scores give this operating point."""
    if point is None:
        return "calibration"
    if scores is None:
        return "elsewhere"
    try:
        again = choose_again(point, scores, is_anomalous, groups=groups)
    except InputError:
        return "elsewhere"
    return "calibration" if again.threshold == point.threshold else "elsewhere"


def _facts(evaluation: Evaluation, evidence: Evidence, point: OperatingPoint | None) -> JudgedFacts:
    """What the stored arrays say with an operating point."""
    scores = evidence.scores
    assert scores is not None
    confidence = next((one.confidence for one in evaluation.metrics.values()), 0.95)
    facts = detection_facts(
        labels_behind(evidence),
        scores,
        operating_point=point,
        train_scores=evidence.train_scores,
        baselines=evidence.baselines,
        leaks=evidence.leaks,
        groups=evidence.groups,
        confidence=confidence,
        seed=evidence.seed,
    )
    calibration, groups = evidence.normal_calibration or (None, evidence.calibration_groups)
    changed = evidence.changed
    if changed is not None:
        shown = evidence.figures.get(blind_spots.KIND.code)
        changed = replace(changed, figure=changed.figure or shown)
    again = evidence.again
    return replace(
        facts,
        calibration=calibration,
        calibration_groups=groups,
        calibration_paths=evidence.calibration_paths,
        changed=changed,
        asked_twice=None if again is None else lambda: (scores[: len(again)], again),
        paths=evidence.paths,
    )


def _findings(
    evaluation: Evaluation, evidence: Evidence, before: JudgedFacts, now: JudgedFacts
) -> tuple[tuple[Finding, ...], dict[str, Figure], list[NotApplicable]]:
    """The findings of the record with those in place of which the threshold gives others."""
    (old, drawn_before), (new, drawn_now) = find_all(before), find_all(now)
    listed, figures = list(evaluation.findings), dict(evidence.figures)
    left_out = []
    for kind in _TAKE_IMAGES:
        told = any(one.code == kind.code for one in listed)
        if told and now.lacks(kind.needs):
            listed = [one for one in listed if one.code != kind.code]
            figures.pop(kind.code, None)
            reason = "the threshold has changed, and this takes the images: run residua evaluate"
            left_out.append(NotApplicable(what=kind.check, reason=reason))
    if now.leaks is None:
        listed = [_of_ranking(one, before, now) for one in listed]
    for code in dict.fromkeys(one.code for one in (*old, *new)):
        made = [one for one in new if one.code == code]
        if made == [one for one in old if one.code == code]:
            continue  # the threshold changes nothing about it
        listed = _replaced(listed, code, made)
        if not made:
            figures.pop(code, None)
        elif code in drawn_now and not _same(drawn_before.get(code), drawn_now[code]):
            figures[code] = drawn_now[code]
    return tuple(listed), figures, left_out


def _replaced(listed: list[Finding], code: str, made: list[Finding]) -> list[Finding]:
    """`listed` with `made` in place of the findings with this code. Where there is none, `made`
    stands in the order of the registry.
    """
    places = [row for row, one in enumerate(listed) if one.code == code]
    kept = [one for one in listed if one.code != code]
    rank = _ORDER.get(code, len(_ORDER))
    after = (row for row, one in enumerate(kept) if _ORDER.get(one.code, -1) > rank)
    place = places[0] if places else next(after, len(kept))
    return [*kept[:place], *made, *kept[place:]]


def _of_ranking(finding: Finding, before: JudgedFacts, now: JudgedFacts) -> Finding:
    """A finding about copies of training images, without the metrics that the threshold changes:
    which images are copies is not known here.
    """
    without = finding.measured.get("metrics_without")
    if finding.code != leakage.KIND.code or not isinstance(without, dict):
        return finding
    kept = {
        name: one
        for name, one in without.items()
        if before.metrics.get(name) == now.metrics.get(name)
    }
    return finding.model_copy(update={"measured": {**finding.measured, "metrics_without": kept}})


def _same(one: Figure | None, two: Figure) -> bool:
    if one is None:
        return False
    left, right = one.to_arrays(), two.to_arrays()
    return left.keys() == right.keys() and all(
        np.array_equal(left[name], right[name]) for name in left
    )
