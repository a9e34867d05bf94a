"""From what is known of a model to its record: findings are asked, and everything is brought
together.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._log import logger
from residua.errors import ShapeError
from residua.evaluation.evidence import Evidence
from residua.evaluation.verdict import with_verdict
from residua.evaluation.worst_images import worst_images
from residua.findings import JudgedFacts, find_all, not_applicable
from residua.findings.figures import Figure
from residua.records import Estimate, Evaluation, Finding, NotApplicable, with_assumptions

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks

_log = logger("evaluate")
_LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "note": logging.INFO}
MetricsOf = Callable[[NDArray[np.bool_]], dict[str, Estimate]]
"""The metrics over some of the images, by bools (n_images,)."""


@dataclass(frozen=True)
class Conclusion:
    """The record of a model, the facts that it was made from, and figures by the finding's code."""

    evaluation: Evaluation
    facts: JudgedFacts
    figures: dict[str, Figure]

    @property
    def not_applicable(self) -> tuple[NotApplicable, ...]:
        """The findings that could not be asked, with the reason."""
        return not_applicable(self.facts)


def conclude(
    facts: JudgedFacts,
    *,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
    before: Iterable[Finding | None] = (),
) -> Conclusion:
    """Ask all findings that `facts` allow, and make the record.

    Whoever knows more than an ``evaluate_*`` function takes (the images, the network) adds it with
    `dataclasses.replace` to what ``*_facts`` returned, and calls this. The findings `before` were
    made while images were at hand, and stand first.
    """
    findings, figures = find_all(facts)
    earlier = tuple(finding for finding in before if finding is not None)
    known = dict(provenance or {})
    if facts.positive is not None:
        known["positive_class"] = facts.positive
    if facts.assumptions is not None:
        known = with_assumptions(known, facts.assumptions)
    evaluation = Evaluation(
        job=facts.job,  # type: ignore[arg-type]
        n_images=facts.n_images,
        split=split,
        metrics=dict(facts.metrics),
        operating_point=facts.operating_point,
        baselines={name: dict(values) for name, values in (facts.baselines or {}).items()},
        standings=dict(facts.standings),
        findings=(*earlier, *findings),
        provenance=known,
    )
    evaluation = with_verdict(evaluation).with_evidence(_evidence(facts, figures))
    _tell(evaluation)
    return Conclusion(evaluation, facts, figures)


def _tell(evaluation: Evaluation) -> None:
    if evaluation.verdict is not None:
        because = " ".join(evaluation.verdict.because)
        _log.info("%s: %s. %s", evaluation.job, evaluation.verdict.word, because)
    for one in evaluation.findings:
        _log.log(_LEVELS.get(one.severity, logging.DEBUG), "%s: %s", one.code, one.meaning)


def _evidence(facts: JudgedFacts, figures: dict[str, Figure]) -> Callable[[], Evidence] | None:
    """Who makes the arrays behind a record of `facts`; it keeps no image but a few of the worst."""
    found: dict[str, Any] = {
        "figures": figures,
        "groups": facts.groups,
        "seed": facts.seed,
        "train_scores": facts.train_errors,
    }
    if facts.job == "detect":
        found |= {
            "scores": facts.scores,
            "is_anomalous": facts.is_anomalous,
            "labelled": facts.labelled if facts.is_anomalous is not None else None,
            "calibration_scores": facts.calibration,
        }
    elif facts.job == "classify" and facts.true is not None:
        found |= {"probabilities": facts.probabilities, "predicted": facts.predicted}
        return partial(_of_classes, facts.true, tuple(facts.classes), found)
    elif facts.errors is not None:
        found["per_image"] = dict(facts.errors)
        if facts.pictures is not None:
            x, r = facts.pictures
            found["gallery"] = worst_images(x, r, facts.errors["mse"])
    else:
        return None
    return partial(_numbered, facts.n_images, found)


def _of_classes(
    true: NDArray[np.int64], classes: tuple[Any, ...], found: dict[str, Any]
) -> Evidence:
    names = np.array(classes, object)
    if found["groups"] is not None and len(found["groups"]) != len(true):
        found = {**found, "groups": None}  # of the images without a label too
    if found["probabilities"] is not None:
        found = {**found, "predicted": None}
    return _numbered(len(true), {**found, "labels": names[true], "classes": names})


def _numbered(n_images: int, found: dict[str, Any]) -> Evidence:
    return Evidence(paths=np.arange(1, n_images + 1).astype(str), **found)


def with_metrics(facts: JudgedFacts, metrics_of: MetricsOf, leaks: Leaks | None) -> JudgedFacts:
    """`facts` with the metrics of all images, and of those that are no copies of training images.

    Raises ShapeError if `leaks` speaks of another number of images.
    """
    metrics = metrics_of(np.ones(facts.n_images, np.bool_))
    if leaks is None:
        return replace(facts, metrics=metrics)
    if len(leaks.kinds) != facts.n_images:
        raise ShapeError(
            f"evaluate: leaks must speak of every judged image. Got {len(leaks.kinds)} for"
            f" {facts.n_images}. Judge those."
        )
    without = metrics_of(~leaks.leaked) if leaks.leaked.any() else None
    return replace(facts, metrics=metrics, leaks=leaks, metrics_without_leaks=without)
