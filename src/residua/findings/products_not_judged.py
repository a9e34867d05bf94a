"""Products of which nothing could be judged: unknown ones, ones without a threshold, or without
images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from residua._text import count, few
from residua.findings.kind import Finding, FindingKind


def find_products_not_judged(
    undecided: Mapping[str, int], missing: Sequence[str], n_images: int
) -> Finding | None:
    """Say which images were left out because nothing is decided about their product, and which
    products had no image.

    Error: images were left out. Warning: a product has no image.

    Parameters
    ----------
    undecided : mapping
        How many images were left out, by the reason.
    missing : sequence of str
        Products with a threshold that no image shows.
    n_images : int
        Images that were to be judged.

    Examples
    --------
    >>> find_products_not_judged({"the image has no product": 3}, [], 60).severity
    'error'
    >>> find_products_not_judged({}, ["lens"], 60).measured["missing"]
    ['lens']
    """
    if not undecided and not missing:
        return None
    n_left = sum(undecided.values())
    said = []
    if n_left:
        reasons = [f"{why} ({count(n, 'image')})" for why, n in undecided.items()]
        said.append(
            f"Nothing is decided about {n_left:,} of {count(n_images, 'image')}:"
            f" {few(reasons, 5)}. The figures do not speak of them."
        )
    if missing:
        said.append(
            f"No image shows {few(list(missing), 8)}, so nothing is known of how the model does"
            " on such parts."
        )
    return Finding(
        code=KIND.code,
        severity="error" if n_left else "warning",
        measured={
            "n_left_out": n_left,
            "n_images": n_images,
            "undecided": dict(undecided),
            "missing": list(missing),
        },
        meaning=" ".join(said),
        what_to_do=(
            "Teach the model a new product with `residua learn`, give a product more normal"
            " calibration images, or correct the column of products."
            if n_left
            else "Add test images of each product that the model is to judge."
        ),
    )


KIND = FindingKind(
    "products-not-judged",
    "Products of which nothing was judged",
    find_products_not_judged,
)
