"""Files of a source that could not be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from residua.findings.kind import Finding, FindingKind


def find_unreadable_files(
    quarantined: Sequence[tuple[str, str]],
    n_images: int,
    *,
    n_unreadable: int | None = None,
    judged: bool = False,
) -> Finding | None:
    """Say how many files were kept out and why; None where none was.

    Error: more than one in twenty, for then a whole kind of image may be missing; of images that a
    model was to judge, any, for what they show was let pass. Warning: fewer.

    Parameters
    ----------
    quarantined : sequence of (path, reason)
    n_images : int
        How many could be read.
    n_unreadable : int, optional
        How many could not, where not all of them are named.
    judged : bool
        Whether these were images that a model was to judge.

    Examples
    --------
    >>> find_unreadable_files([("a.png", "the file is truncated")], 99).severity
    'warning'
    >>> find_unreadable_files([("a.png", "the file is truncated")], 99, judged=True).severity
    'error'
    """
    n = len(quarantined) if n_unreadable is None else n_unreadable
    if n == 0:
        return None
    reasons = Counter(reason for _, reason in quarantined).most_common(3)
    listed = "; ".join(f"{count:,} x {reason}" for reason, count in reasons)
    return Finding(
        code=KIND.code,
        severity="error" if judged or n > 0.05 * (n + n_images) else "warning",
        measured={
            "n_unreadable": n,
            "n_images": n_images,
            "examples": [list(one) for one in quarantined[:10]],
        },
        meaning=(
            (
                f"{n:,} of {n + n_images:,} images could not be read, so the model judged none of"
                f" them ({listed}). The first is {quarantined[0][0]}."
            )
            if judged
            else (
                f"{n:,} of {n + n_images:,} files cannot be used and count in no number ({listed})."
                f" The first is {quarantined[0][0]}."
            )
        ),
        what_to_do=(
            "Take these images again, or judge what they show by eye. If one camera wrote them,"
            " look at the camera."
            if judged
            else "Replace or remove them. If one camera or one kind of part wrote them, the other"
            " images are a biased sample."
        ),
    )


KIND = FindingKind(
    "unreadable-files",
    "Files that could not be used",
    find_unreadable_files,
    lambda facts: find_unreadable_files(facts.quarantined, facts.n_images),
    needs=("quarantined",),
    jobs=("check",),
)
