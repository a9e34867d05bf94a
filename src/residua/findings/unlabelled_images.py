"""Images that nobody labelled."""

from __future__ import annotations

from residua.findings.kind import Finding, FindingKind


def find_unlabelled(n_unlabelled: int, n_images: int) -> Finding | None:
    """Say how many images have no label and were left out of whatever needs one; None where none or
    all lack it.

    Examples
    --------
    >>> find_unlabelled(3, 10).measured
    {'n_unlabelled': 3, 'n_images': 10}
    """
    if n_unlabelled in (0, n_images):
        return None
    return Finding(
        code=KIND.code,
        severity="note",
        measured={"n_unlabelled": n_unlabelled, "n_images": n_images},
        meaning=(
            f"{n_unlabelled} of {n_images} images have no label. They were left out of every metric"
            " that needs one."
        ),
        what_to_do=(
            "Label them, unless they were left unlabelled at random. If the unlabelled images"
            " are the hard ones, the result looks too good."
        ),
    )


KIND = FindingKind(
    "unlabelled-images",
    "Images without a label",
    find_unlabelled,
    lambda facts: find_unlabelled(facts.n_unlabelled, facts.n_images),
    needs=("n_unlabelled",),
    jobs=("detect", "classify"),
)
