"""Images that show nothing: every pixel has the same value."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Finding, FindingKind, Severity

_MANY, _SOME = 0.1, 0.01
_MOST_EXAMPLES = 10


def find_constant_images(
    ranges: NDArray[Any],
    paths: NDArray[Any],
    labels: NDArray[Any] | None = None,
    *,
    levels: NDArray[Any] | None = None,
) -> Finding | None:
    """Count the images without any contrast; None where there is none.

    Error: more than a tenth of all images, or all images of a label. Warning: more than one in a
    hundred. Note: fewer.

    Parameters
    ----------
    ranges : float array, (n_images,)
        Largest less smallest value of each image, of the channel where that is most; 0 = constant.
    paths : object array of str, (n_images,)
    labels : object array, (n_images,), optional
        None where an image has none.
    levels : float array, (n_images,), optional
        The mean value of each image in [0, 1], 0 = black.

    Examples
    --------
    >>> paths = np.array(["a", "b", "c"], object)
    >>> told = find_constant_images(np.array([0.0, 0.4, 0.7]), paths, levels=np.zeros(3))
    >>> told.severity, told.measured["n_constant"], told.measured["n_black"]
    ('error', 1, 1)
    """
    constant = ranges == 0
    n, n_images = int(constant.sum()), len(ranges)
    if not n:
        return None
    whole = [] if labels is None else _all_of(labels, constant)
    share = n / n_images
    severity: Severity = (
        "error" if whole or share > _MANY else "warning" if share > _SOME else "note"
    )
    n_black = None if levels is None else int((levels[constant] == 0).sum())
    number = (
        f"1 of the {n_images:,} images shows"
        if n == 1
        else f"{n:,} of the {n_images:,} images show"
    )
    of_label = f", among them all of the label {', '.join(whole[:5])}" if whole else ""
    black = f" ({n_black:,} black)" if n_black else ""
    return Finding(
        code=KIND.code,
        severity=severity,
        measured={
            "n_constant": n,
            "n_images": n_images,
            "n_black": n_black,
            "labels": whole,
            "examples": [str(path) for path in paths[constant][:_MOST_EXAMPLES]],
        },
        meaning=(
            f"{number} nothing: all pixels have one value{black}{of_label}. They are not counted as"
            " copies of each other."
        ),
        what_to_do=(
            "Look at them. Each may be an empty frame, a drawing on a ground of its own"
            " colour, values far below the scale, or a file that was written wrongly. Leave"
            " them out, or correct them."
        ),
    )


def _all_of(labels: NDArray[Any], constant: NDArray[np.bool_]) -> list[str]:
    """The labels of which every image is constant."""
    return [
        name
        for name in sorted({str(label) for label in labels.tolist() if label is not None})
        if constant[np.array([str(label) == name for label in labels.tolist()], np.bool_)].all()
    ]


KIND = FindingKind(
    "constant-images",
    "Images that show nothing",
    find_constant_images,
    lambda facts: find_constant_images(
        facts.statistics["range"],
        facts.paths,
        facts.labels,
        levels=facts.statistics["brightness"],
    ),
    needs=("statistics", "paths"),
    jobs=("check",),
)
