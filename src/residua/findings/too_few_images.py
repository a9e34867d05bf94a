"""Too few images to say much, or to confirm what the operating point promises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residua.findings.kind import JOBS, FindingKind
from residua.records import Finding, OperatingPoint


def find_too_few_images(
    counts: Mapping[str, int],
    *,
    operating_point: OperatingPoint | None = None,
    confidence: float = 0.95,
) -> Finding | None:
    """Say that a test set is too small: fewer than 30 images of a kind, or fewer than its operating
    point's promise needs.

    Parameters
    ----------
    counts : mapping of str to int
        Labelled test images of each kind (``normal``, ``anomalous``, a class); kinds that are
        absent altogether are left to `find_undefined_metric`.
    operating_point : OperatingPoint, optional
        Its policy may promise a rate; the images it takes to show that, without a fault, are
        compared.
    confidence : float

    Examples
    --------
    >>> point = OperatingPoint(threshold=0.5, policy="recall>=0.99", how="...")
    >>> find_too_few_images({"normal": 500, "anomalous": 30}, operating_point=point).measured[
    ...     "n_needed"
    ... ]
    299
    """
    small = {kind: n for kind, n in counts.items() if 0 < n < 30}
    promised = _unconfirmed_promise(counts, operating_point, confidence)
    if not small and not promised:
        return None
    sentences = (
        [f"There are only {_listed(small)}, so every number computed from them is uncertain."]
        if small
        else []
    )
    if promised:
        sentences.append(
            f"The operating point promises {promised['policy']}. {promised['n_images']}"
            f" {promised['kind']} test images cannot show that, even without a mistake."
            f" {promised['n_needed']} without a mistake would, one-sided at"
            f" {100 * confidence:g}%."
        )
    return Finding(
        code=KIND.code,
        severity="warning" if small else "note",
        measured={**{f"n_{kind}": n for kind, n in counts.items()}, **promised},
        meaning=" ".join(sentences),
        what_to_do=(
            "Read the intervals, not the values, and label more images. `residua plan` says"
            " how many."
        ),
    )


def _listed(small: Mapping[str, int]) -> str:
    shown = [f"{n} {kind} image{'' if n == 1 else 's'}" for kind, n in list(small.items())[:5]]
    return ", ".join(shown) + (", ..." if len(small) > 5 else "")


def _unconfirmed_promise(
    counts: Mapping[str, int], point: OperatingPoint | None, confidence: float
) -> dict[str, Any]:
    from residua.thresholds import parse_policy, plan

    promise = None if point is None else parse_policy(point.policy).promise()
    if point is None or promise is None or promise.kind == "flagged":
        return {}
    n_images = counts.get(promise.kind, 0)
    needed = plan(point.policy, confidence=confidence, misses=(0,)).rows[0].n_images
    if not 0 < n_images < needed:
        return {}
    return {"policy": point.policy, "kind": promise.kind, "n_images": n_images, "n_needed": needed}


KIND = FindingKind(
    "too-few-images",
    "Too few images for the claim",
    find_too_few_images,
    lambda facts: find_too_few_images(
        facts.counts, operating_point=facts.operating_point, confidence=facts.confidence
    ),
    needs=("counts",),
    jobs=(*JOBS, "check"),
)
