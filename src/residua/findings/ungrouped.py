"""Groups that nobody named: intervals that take six views of one part for six parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import JOBS, Estimate, Finding, FindingKind, JudgedFacts
from residua.metrics.names import metric_inside

_SEEN = 0.1  # share of the images
_WIDER = 1.5  # times fewer independent images than images, from which on it matters


def find_ungrouped(
    metric: str,
    alone: Estimate,
    grouped: Estimate,
    *,
    because: str,
    rule: str | None = None,
    n_seen: int = 0,
) -> Finding | None:
    """Show one metric's interval both ways where groups are suspected; None where it hardly
    matters.

    Warning: the images are worth fewer than two in three of as many independent ones, the groups
    are too few for an interval, or more than one in ten images is of a group that the model was
    fitted on.

    Parameters
    ----------
    metric : str
        Its key.
    alone, grouped : Estimate
        The metric of the same images, each image taken for its own group, and by the suspected
        groups.
    because : str
        What suggests the groups: ``names such as part1_view1.png``.
    rule : str, optional
        What ``--groups`` takes for them.
    n_seen : int
        How many of the images are of groups that the model was fitted on.

    Examples
    --------
    >>> alone = Estimate(value=0.9, low=0.87, high=0.93, n=120)
    >>> grouped = Estimate(value=0.9, low=0.8, high=0.95, n=120, n_groups=20, n_effective=31.0)
    >>> told = find_ungrouped(
    ...     "roc_auc", alone, grouped, because="names such as a_1.png", rule="(.*)_"
    ... )
    >>> told.severity, told.measured["n_groups"]
    ('warning', 20)
    """
    if alone.value is None or grouped.n_groups is None:
        return None
    worth = grouped.n_effective
    is_wider = grouped.low is None or (worth is not None and grouped.n >= _WIDER * worth)
    if not is_wider and n_seen <= _SEEN * grouped.n:
        return None
    return Finding(
        code=KIND.code,
        severity="warning",
        measured={
            "metric": metric,
            "n_images": grouped.n,
            "n_groups": grouped.n_groups,
            "n_effective": worth,
            "n_seen": n_seen,
            "rule": rule,
            "alone": [alone.low, alone.high],
            "grouped": [grouped.low, grouped.high],
        },
        meaning=(
            f"The {grouped.n:,} images seem to be of {grouped.n_groups:,} groups ({because}), and"
            f" nobody named groups. As independent images, {metric_inside(metric)} is"
            f" {alone.value:.3g}{_interval(alone)}. By these groups it is"
            f" {alone.value:.3g}{_interval(grouped)}"
            + (f", worth {worth:.0f} independent images." if worth is not None else ".")
            + (
                f" {n_seen:,} of the images are of groups that the model was fitted on, so the"
                " value itself looks better than it is on new groups."
                if n_seen
                else ""
            )
        ),
        what_to_do=(
            "If they do belong together, say so"
            + (f": --groups '{rule}'" if rule is not None else " in a column group of a manifest")
            + ". Then fit again, so that each group is in one part. If not, nothing is to be done."
        ),
    )


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return " without an interval"
    return f" ({estimate.low:.3g} to {estimate.high:.3g})"


def _ask(facts: JudgedFacts) -> Finding | None:
    suspected = facts.suspected
    if facts.groups is not None:
        return None
    made = _grouped(facts, suspected.codes)
    if made is None or made[0] not in facts.metrics:
        return None
    metric, grouped = made
    return find_ungrouped(
        metric,
        facts.metrics[metric],
        grouped,
        because=suspected.because,
        rule=suspected.rule,
        n_seen=suspected.n_seen,
    )


def _grouped(facts: JudgedFacts, codes: NDArray[np.int64]) -> tuple[str, Estimate] | None:
    """The main metric of a job by these groups."""
    from residua.metrics.delong import roc_auc_interval
    from residua.metrics.groups import Groups
    from residua.metrics.intervals import share_interval
    from residua.metrics.means import mean_interval

    if facts.job == "detect":
        scores, is_anomalous = facts.known
        if not is_anomalous.any() or is_anomalous.all():
            return None
        groups = codes[facts.labelled]
        return "roc_auc", roc_auc_interval(
            is_anomalous, scores, groups=groups, confidence=facts.confidence
        )
    if facts.job == "reconstruct":
        return "mse", mean_interval(
            facts.errors["mse"],
            groups=codes,
            confidence=facts.confidence,
            seed=facts.seed,
            least=0,
            most=1,
        )
    if facts.probabilities is None or facts.true is None:
        return None
    labelled = codes if facts.labelled is None else codes[facts.labelled]
    return "accuracy", share_interval(
        facts.probabilities.argmax(axis=1) == facts.true,
        Groups.read(labelled),
        confidence=facts.confidence,
    )


KIND = FindingKind(
    "ungrouped",
    "Groups that nobody named",
    find_ungrouped,
    _ask,
    needs=("suspected", "metrics"),
    jobs=JOBS,
)
