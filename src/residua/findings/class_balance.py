"""How the labels are spread over the parts: classes that are rare, or that a part lacks."""

from __future__ import annotations

from collections.abc import Mapping

from residua.findings.kind import Finding, FindingKind

_UNEVEN = 20


def find_class_balance(
    counts: Mapping[str, Mapping[str, int]], *, normal: tuple[str, ...] | None = None
) -> Finding | None:
    """Say which classes a part lacks and how uneven they are; None where there is nothing to say.

    With `normal` named train need hold nothing else, but a test part without anomalies, or without
    normal images, shows nothing. Warning: something can't be measured. Note: the largest class is
    more than 20 times the smallest.

    Parameters
    ----------
    counts : mapping of part to mapping of label to int
    normal : labels that mean normal, optional

    Examples
    --------
    >>> find_class_balance(
    ...     {"train": {"good": 90}, "test": {"good": 10}}, normal=("good",)
    ... ).measured["lacking"]
    ['test holds no anomalous image']
    >>> find_class_balance({"train": {"a": 50, "b": 40}, "test": {"a": 9, "b": 9}}) is None
    True
    """
    labels = sorted({label for part in counts.values() for label in part})
    if len(labels) == 0 or not counts.get("train") or not counts.get("test"):
        return None
    lacking = _lacking(counts, labels, normal)
    total = {label: sum(part.get(label, 0) for part in counts.values()) for label in labels}
    rarest, commonest = (
        min(total, key=lambda one: total[one]),
        max(total, key=lambda one: total[one]),
    )
    ratio = total[commonest] / total[rarest]
    if not lacking and (ratio <= _UNEVEN or normal is not None):
        return None
    uneven = (
        f"{commonest!r} has {ratio:.0f} times as many images as {rarest!r} ({total[commonest]:,}"
        f" and {total[rarest]:,})"
    )
    sentences = [*lacking, *([uneven] if ratio > _UNEVEN and normal is None else [])]
    told = "; ".join(sentences[:5])
    return Finding(
        code=KIND.code,
        severity="warning" if lacking else "note",
        measured={
            "lacking": lacking,
            "ratio": ratio,
            "counts": {part: dict(one) for part, one in counts.items()},
        },
        meaning=(
            f"{told[0].upper()}{told[1:]}. A missing class cannot be learnt or measured, and"
            " accuracy hides rare classes."
        ),
        what_to_do=(
            "Move or add images of those classes. Read recall per class and balanced accuracy."
        ),
    )


def _lacking(
    counts: Mapping[str, Mapping[str, int]], labels: list[str], normal: tuple[str, ...] | None
) -> list[str]:
    if normal is not None:
        kinds = {
            "normal": [one for one in labels if one in normal],
            "anomalous": [one for one in labels if one not in normal],
        }
        found = [
            f"test holds no {kind} image"
            for kind, own in kinds.items()
            if not any(counts["test"].get(one) for one in own)
        ]
        return found + (
            []
            if any(counts["train"].get(one) for one in kinds["normal"])
            else ["train holds no normal image"]
        )
    return [
        f"{part} holds no image of {label!r}"
        for part in ("train", "test")
        for label in labels
        if not counts[part].get(label, 0)
    ]


KIND = FindingKind(
    "class-balance",
    "Classes that are rare or missing from a part",
    find_class_balance,
    lambda facts: find_class_balance(facts.class_counts, normal=facts.normal),
    needs=("class_counts",),
    jobs=("check",),
)
