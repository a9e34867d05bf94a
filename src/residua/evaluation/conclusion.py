"""From what is known of a model to its record: findings are asked, and everything is brought
together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._check import fault
from residua.errors import ShapeError
from residua.evaluation.verdict import with_verdict
from residua.findings import JudgedFacts, find_all, not_applicable
from residua.findings.figures import Figure
from residua.records import Estimate, Evaluation, Finding, NotApplicable, with_assumptions

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks

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
    return Conclusion(with_verdict(evaluation), facts, figures)


def with_metrics(facts: JudgedFacts, metrics_of: MetricsOf, leaks: Leaks | None) -> JudgedFacts:
    """`facts` with the metrics of all images, and of those that are no copies of training images.

    Raises
    ------
    ShapeError
        If `leaks` speaks of another number of images.
    """
    metrics = metrics_of(np.ones(facts.n_images, np.bool_))
    if leaks is None:
        return replace(facts, metrics=metrics)
    if len(leaks.kinds) != facts.n_images:
        raise fault(
            "evaluate",
            "leaks must speak of every judged image",
            f"{len(leaks.kinds)} for {facts.n_images}",
            "Judge those",
            ShapeError,
        )
    without = metrics_of(~leaks.leaked) if leaks.leaked.any() else None
    return replace(facts, metrics=metrics, leaks=leaks, metrics_without_leaks=without)
