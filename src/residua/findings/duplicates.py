"""Copies within one part: images that count twice, and pictures that carry two labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind, Severity

_MOST_EXAMPLES = 10
_MANY, _MANY_TORN = (
    0.1,
    0.05,
)  # of the part's images: copies, and images of pictures that carry two labels


def find_duplicates(
    groups: Sequence[NDArray[np.int64]],
    paths: NDArray[Any],
    labels: NDArray[Any] | None = None,
    *,
    part: str = "this source",
) -> Finding | None:
    """Say how many images of a part are copies of others of it, and which copies carry different
    labels; None where none are.

    Error: more than one in twenty images are of a picture with two labels, so that no model can be
    right on about half of them. Warning: a picture has two labels, or more than a tenth of the
    images are copies. Note: fewer.

    Parameters
    ----------
    groups : sequence of int arrays
        Rows of two images or more that are one picture: `Duplicates.members`.
    paths : object array of str, (n_images,)
    labels : object array, (n_images,), optional
        None where an image has none.
    part : str
        What the images are called.

    Examples
    --------
    >>> paths = np.array(["a", "b", "c", "d"], object)
    >>> told = find_duplicates(
    ...     [np.array([0, 2])], paths, np.array(["good", "good", "crack", "good"], object)
    ... )
    >>> told.severity, told.measured["n_extra"], told.measured["n_two_labels"]
    ('error', 1, 1)
    """
    several = [rows for rows in groups if len(rows) > 1]
    if not several:
        return None
    n_extra = sum(len(rows) - 1 for rows in several)
    torn = (
        []
        if labels is None
        else [
            rows
            for rows in several
            if len({str(one) for one in labels[rows] if one is not None}) > 1
        ]
    )
    n_torn = sum(len(rows) for rows in torn)
    severity: Severity = "warning" if torn or n_extra > _MANY * len(paths) else "note"
    severity = "error" if n_torn > _MANY_TORN * len(paths) else severity
    first = [[str(path) for path in paths[rows[:4]]] for rows in [*torn, *several][:_MOST_EXAMPLES]]
    conflict = ""
    if torn and labels is not None:
        one, other = _unlike(torn[0], labels)
        conflict = (
            f" {len(torn):,} of the pictures {'carries' if len(torn) == 1 else 'carry'} two"
            f" labels: {paths[one]} is {str(labels[one])!r} and {paths[other]} is"
            f" {str(labels[other])!r}. One of the two labels is wrong, unless the labels differ"
            " in something that the copies do not share."
        )
    return Finding(
        code=KIND.code,
        severity=severity,
        measured={
            "n_groups": len(several),
            "n_extra": n_extra,
            "n_images": len(paths),
            "n_two_labels": len(torn),
            "largest": max(len(rows) for rows in several),
            "examples": first,
        },
        meaning=(
            f"{n_extra:,} of the {len(paths):,} images of {part} are copies of others of it"
            f" ({len(several):,} picture{'' if len(several) == 1 else 's'} more than once)."
            " They count twice, and intervals look narrower than they are."
        )
        + conflict,
        what_to_do=(
            "Keep one copy of each. Or let copies count as one group: --groups twins, or a column"
            " `group` in a manifest (`residua.images.group_duplicates` names it). "
        )
        + ("Settle the labels first." if torn else ""),
    )


def _unlike(rows: NDArray[np.int64], labels: NDArray[Any]) -> tuple[int, int]:
    """The first two of the rows that carry different labels."""
    labelled = [row for row in rows.tolist() if labels[row] is not None]
    return labelled[0], next(
        row for row in labelled if str(labels[row]) != str(labels[labelled[0]])
    )


KIND = FindingKind(
    "duplicates",
    "Near-duplicates within one part",
    find_duplicates,
    lambda facts: [
        find_duplicates(one.groups, one.paths, one.labels, part=one.part) for one in facts.copies
    ],
    needs=("copies",),
    jobs=("check",),
)
