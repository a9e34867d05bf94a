"""Judged images on which the threshold was chosen, or that taught the model as corrections."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind


def find_test_reused(
    chosen_on: NDArray[Any], judged: NDArray[Any], paths: NDArray[Any]
) -> Finding | None:
    """Say which judged images were also used to choose the threshold, or as corrections that the
    model learnt from, by their hashes; None where none was.

    Error: more than one in a hundred. Warning: fewer.

    Parameters
    ----------
    chosen_on, judged : array of hashes, (n,) and (m,)
    paths : object array of str, (m,)

    Examples
    --------
    >>> find_test_reused(
    ...     np.array(["a", "b"]), np.array(["b", "c"]), np.array(["x", "y"], object)
    ... ).measured["examples"]
    ['x']
    """
    known = set(chosen_on.tolist())
    again = np.array([one in known for one in judged.tolist()], np.bool_)
    n = int(again.sum())
    if n == 0:
        return None
    return Finding(
        code=KIND.code,
        severity="error" if n > 0.01 * len(judged) else "warning",
        measured={
            "n_reused": n,
            "n_images": len(judged),
            "examples": [str(path) for path in paths[again][:5]],
        },
        meaning=(
            f"{n:,} of the {len(judged):,} images judged here"
            f" {'was' if n == 1 else 'were'} used to choose the threshold, or as corrections that"
            " the model learnt from. The rates look better than they will be on other images."
        ),
        what_to_do=(
            "Judge on images that were used for neither, or choose the threshold on other images."
        ),
    )


def find_not_searched(n_images: int) -> Finding | None:
    """Say that images of the run could not be compared with the corrections that it learnt from.

    Error: near-copies of corrections may be among the images judged. None where all were compared.

    Parameters
    ----------
    n_images : int
        Test and calibration images that could not be compared.

    Examples
    --------
    >>> find_not_searched(3).severity, find_not_searched(0)
    ('error', None)
    """
    if n_images == 0:
        return None
    return Finding(
        code=KIND.code,
        severity="error",
        measured={"n_not_searched": n_images},
        meaning=(
            f"The model learnt from corrections while {n_images:,} test and calibration images"
            " could not be read. Re-encoded or resized copies of corrections may be among them, and"
            " the rates would look better than they will be on other images."
        ),
        what_to_do="Learn again from the parent run, with its images: `residua learn --source`.",
    )


KIND = FindingKind(
    "test-reused",
    "Test images that chose the threshold",
    find_test_reused,
    lambda facts: find_test_reused(facts.chosen_on, facts.pixel_hashes, facts.paths),
    needs=("chosen_on", "pixel_hashes", "paths"),
    jobs=("detect",),
    noun="images used before",
)
