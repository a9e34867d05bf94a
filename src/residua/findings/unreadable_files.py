"""Files of a source that could not be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from residua.findings.kind import Finding, FindingKind


def find_unreadable_files(quarantined: Sequence[tuple[str, str]], n_images: int) -> Finding | None:
    """Say how many files were kept out and why; None where none was.

    Error: more than one in twenty, for then a whole kind of image may be missing. Warning: fewer.

    Parameters
    ----------
    quarantined : sequence of (path, reason)
    n_images : int
        How many could be read.

    Examples
    --------
    >>> find_unreadable_files([("a.png", "the file is truncated")], 99).severity
    'warning'
    """
    n = len(quarantined)
    if n == 0:
        return None
    reasons = Counter(reason for _, reason in quarantined).most_common(3)
    listed = "; ".join(f"{count:,} x {reason}" for reason, count in reasons)
    return Finding(
        code=KIND.code,
        severity="error" if n > 0.05 * (n + n_images) else "warning",
        measured={
            "n_unreadable": n,
            "n_images": n_images,
            "examples": [list(one) for one in quarantined[:10]],
        },
        meaning=(
            f"{n:,} of {n + n_images:,} files cannot be used and count in no number ({listed})."
            f" The first is {quarantined[0][0]}."
        ),
        what_to_do=(
            "Replace or remove them. If one camera or one kind of part wrote them, the other"
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
