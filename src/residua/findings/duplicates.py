"""Copies within one part: images that count twice, and pictures that carry two labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._text import count
from residua.findings.kind import Finding, FindingKind, Severity

_MOST_EXAMPLES = 10
_TWICE = {"train": " in training", "calibration": " in the choice of the threshold"}
_NARROW = ", so that intervals are too narrow"
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
    named: NDArray[Any] | None = None,
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
    named : object array, (n_images,), optional
        The group that each image is named to be of. Copies in one of them count once: only their
        labels matter.

    Examples
    --------
    >>> paths = np.array(["a", "b", "c", "d"], object)
    >>> told = find_duplicates(
    ...     [np.array([0, 2])], paths, np.array(["good", "good", "crack", "good"], object)
    ... )
    >>> told.severity, told.measured["n_extra"], told.measured["n_two_labels"]
    ('error', 1, 1)
    """
    copies = [rows for rows in groups if len(rows) > 1]
    torn = (
        []
        if labels is None
        else [
            rows
            for rows in copies
            if len({str(one) for one in labels[rows] if one is not None}) > 1
        ]
    )
    apart = [rows for rows in copies if not _is_one_group(rows, named)]
    faulty = {id(rows) for rows in (*torn, *apart)}
    several = [rows for rows in copies if id(rows) in faulty]
    if not several:
        return None
    n_extra = sum(len(rows) - 1 for rows in apart)
    n_torn = sum(len(rows) for rows in torn)
    severity: Severity = "warning" if torn or n_extra > _MANY * len(paths) else "note"
    severity = "error" if n_torn > _MANY_TORN * len(paths) else severity
    first = [[str(path) for path in paths[rows[:4]]] for rows in [*torn, *several][:_MOST_EXAMPLES]]
    meaning = (
        f"{n_extra:,} of the {len(paths):,} images of {part}"
        f" {'is a copy' if n_extra == 1 else 'are copies'} of other images of {part}"
        f" ({count(len(apart), 'picture')} more than once)."
        f" Copies count twice{_TWICE.get(part, _NARROW)}."
    )
    if torn and labels is not None:
        one, other = _unlike(torn[0], labels)
        of_what = (
            "of the pictures" if n_extra else f"picture{'' if len(torn) == 1 else 's'} of {part}"
        )
        conflict = (
            f"{len(torn):,} {of_what} {'carries' if len(torn) == 1 else 'carry'} two"
            f" labels: {paths[one]} is {str(labels[one])!r} and {paths[other]} is"
            f" {str(labels[other])!r}. One of the two labels is wrong, unless the labels differ"
            " in something that the copies do not share."
        )
        meaning = f"{meaning} {conflict}" if n_extra else conflict
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
        meaning=meaning,
        what_to_do=_advice(n_extra > 0, bool(torn), named is not None),
    )


_KEEP_ONE = (
    "Keep one copy of each. Or let copies count as one group: --groups twins (groups='twins'), or"
    " one name in the column `group` of a manifest."
)
_NAME_ONE = "Keep one copy of each, or put the copies into one group."


def _advice(count_twice: bool, are_torn: bool, are_grouped: bool) -> str:
    if not count_twice:
        return "Settle the labels."
    return (_NAME_ONE if are_grouped else _KEEP_ONE) + (
        " Settle the labels first." if are_torn else ""
    )


def _is_one_group(rows: NDArray[np.int64], named: NDArray[Any] | None) -> bool:
    return (
        named is not None
        and named[rows[0]] is not None
        and len({str(one) for one in named[rows]}) == 1
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
        find_duplicates(one.groups, one.paths, one.labels, part=one.part, named=one.named)
        for one in facts.copies
    ],
    needs=("copies",),
    jobs=("check",),
)
