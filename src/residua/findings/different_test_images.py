"""Runs that were tested on different images, and are compared on those they share."""

from __future__ import annotations

from collections.abc import Mapping

from residua.findings.kind import Finding, FindingKind


def find_different_images(
    n_shared: int, n_own: Mapping[str, int], n_taught: int = 0
) -> Finding | None:
    """Say on how many test images several runs are compared; None where it is all of them.

    Parameters
    ----------
    n_shared : int
        Images that every run was tested on and none has learnt from.
    n_own : mapping of str to int
        Test images of each run.
    n_taught : int
        Images that every run was tested on and one of them has learnt from.

    Examples
    --------
    >>> find_different_images(100, {"a": 100, "b": 100}) is None
    True
    >>> find_different_images(80, {"a": 100, "b": 120}).severity
    'warning'
    """
    if all(n == n_shared for n in n_own.values()):
        return None
    is_taught = all(n == n_shared + n_taught for n in n_own.values())
    if is_taught:
        meaning = (
            f"{n_taught:,} of the {n_shared + n_taught:,} images taught one of the runs, so"
            f" they count nowhere. The runs are compared on the other {n_shared:,}."
        )
        what_to_do = "Nothing, if enough images are left."
    else:
        own = ", ".join(f"{name} {n:,}" for name, n in n_own.items())
        meaning = (
            f"The runs were tested on different images ({own}). They are compared on the"
            f" {n_shared:,} images that all of them share."
        )
        what_to_do = (
            "Fit the runs on the same source with the same seed, or evaluate them on the same"
            " images."
        )
    return Finding(
        code=KIND.code,
        severity="note" if is_taught else "warning",
        measured={"n_shared": n_shared, "n_own": dict(n_own)},
        meaning=meaning,
        what_to_do=what_to_do,
    )


KIND = FindingKind(
    "different-test-images",
    "Runs that were tested on different images",
    find_different_images,
)
