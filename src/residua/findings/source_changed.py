"""A source that no longer holds the images it held when the model was fitted."""

from __future__ import annotations

from residua.findings.kind import Finding, FindingKind


def find_source_changed(
    recorded: str | None,
    found: str,
    *,
    n_missing: int,
    n_new: int,
    n_changed: int = 0,
    n_missing_elsewhere: int = 0,
) -> Finding | None:
    """Compare the fingerprint of the test part that was recorded with the one found now.

    ``n_missing`` and ``n_changed`` count test images, ``n_missing_elsewhere`` those of the other
    parts, and ``n_new`` the images of the source that are in no part.

    Examples
    --------
    >>> find_source_changed("aa", "aa", n_missing=0, n_new=0) is None
    True
    >>> find_source_changed("aa", "ab", n_missing=2, n_new=0).severity
    'warning'
    >>> find_source_changed("aa", "aa", n_missing=0, n_new=5).severity
    'note'
    """
    measured = {
        "recorded": recorded,
        "found": found,
        "n_missing": n_missing,
        "n_changed": n_changed,
        "n_missing_elsewhere": n_missing_elsewhere,
        "n_new": n_new,
    }
    elsewhere = (
        f"{n_missing_elsewhere:,} images of other parts are gone, and {n_new:,} images are new and"
        " in no part, so they are not judged"
    )
    if recorded is not None and recorded != found:
        return Finding(
            code=KIND.code,
            severity="warning",
            measured=measured,
            meaning=(
                f"The test images have changed since the run was made: {n_missing:,} are gone,"
                f" {n_changed:,} have other pixels. In the rest of the source, {elsewhere}. These"
                " figures cannot be compared with earlier ones."
            ),
            what_to_do="Restore the source, or fit again and compare runs of the same source.",
        )
    if not n_new and not n_missing_elsewhere:
        return None
    return Finding(
        code=KIND.code,
        severity="note",
        measured=measured,
        meaning=(
            "The source has changed since the run was made, but its test images have not:"
            f" {elsewhere}. The figures are of the same images as before."
        ),
        what_to_do=(
            "Name a folder of the new images as SOURCE to judge them; baselines learn from the"
            " training images that are left."
        ),
    )


KIND = FindingKind(
    "source-changed",
    "A source that has changed since the fit",
    find_source_changed,
)
