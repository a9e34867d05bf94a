"""A source that no longer holds the images it held when the model was fitted."""

from __future__ import annotations

from residua.findings.kind import Finding, FindingKind


def find_source_changed(
    recorded: str | None, found: str, *, n_missing: int, n_new: int
) -> Finding | None:
    """Compare the fingerprint of the test part that `fit` recorded with the one found now.

    Examples
    --------
    >>> find_source_changed("aa", "aa", n_missing=0, n_new=0) is None
    True
    >>> find_source_changed("aa", "ab", n_missing=2, n_new=0).severity
    'warning'
    """
    if recorded is None or recorded == found:
        return None
    return Finding(
        code=KIND.code,
        severity="warning",
        measured={"recorded": recorded, "found": found, "n_missing": n_missing, "n_new": n_new},
        meaning=(
            f"The test images have changed since the model was fitted ({n_missing:,} are gone,"
            f" {n_new:,} are new or changed). These figures cannot be compared with earlier"
            " ones."
        ),
        what_to_do="Restore the source, or fit again and compare runs of the same source.",
    )


KIND = FindingKind(
    "source-changed",
    "A source that has changed since the fit",
    find_source_changed,
)
