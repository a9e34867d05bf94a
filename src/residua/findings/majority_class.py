"""An accuracy that naming the commonest class would reach."""

from __future__ import annotations

from residua.findings.kind import Estimate, Finding, FindingKind, JudgedFacts


def find_majority_class(accuracy: Estimate, majority_share: float, majority: str) -> Finding | None:
    """Compare accuracy with that of always answering `majority`; None where accuracy is undefined.

    Parameters
    ----------
    accuracy : Estimate
    majority_share : float
        Share of the commonest class among the tested images.
    majority : str
        Its name.

    Examples
    --------
    >>> find_majority_class(Estimate(value=0.91, low=0.89, high=0.93, n=1000), 0.9, "good").severity
    'warning'
    """
    if accuracy.value is None:
        return None
    low = accuracy.value if accuracy.low is None else accuracy.low
    beaten = low > majority_share
    reached = (
        "is not shown to be more than" if accuracy.value > majority_share else "is no more than"
    )
    return Finding(
        code=KIND.code,
        severity="ok" if beaten else "warning",
        measured={
            "accuracy": accuracy.value,
            "low": accuracy.low,
            "majority_share": majority_share,
            "majority": majority,
        },
        meaning=(
            f"Accuracy {accuracy.value:.3g} beats the {majority_share:.3g} of always answering"
            f" {majority!r}."
            if beaten
            else (
                f"Accuracy {accuracy.value:.3g} {reached} the {majority_share:.3g} of always"
                f" answering {majority!r}."
            )
        ),
        what_to_do=(
            "Nothing."
            if beaten
            else (
                "Read the balanced accuracy and the recall of each class. Weight the classes, or"
                " collect more images of the rare ones."
            )
        ),
    )


def _ask(facts: JudgedFacts) -> Finding | None:
    support = facts.confusion.sum(axis=1)
    if not support.any():
        return None
    commonest = int(support.argmax())
    share = float(support[commonest] / support.sum())
    return find_majority_class(facts.metrics["accuracy"], share, facts.classes[commonest])


KIND = FindingKind(
    "majority-class",
    "An accuracy that the most frequent class would reach",
    find_majority_class,
    _ask,
    needs=("metrics", "confusion", "classes"),
    jobs=("classify",),
    unless="permuted-classes",
)
