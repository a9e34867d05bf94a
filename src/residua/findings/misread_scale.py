"""A model from elsewhere that reconstructs far better when its input or output is read on another
scale than was told.
"""

from __future__ import annotations

from residua.findings.kind import Finding, FindingKind


def find_misread_scale(
    told: tuple[str, str],
    explained: float,
    better: tuple[str, str],
    better_explained: float,
    *,
    n_images: int,
) -> Finding:
    """The scales of what goes in and of what comes out, as told and as they fit, with the share of
    what varies each explains.

    Examples
    --------
    >>> find_misread_scale(("unit", "unit"), 0.1, ("symmetric", "unit"), 0.97, n_images=64).severity
    'error'
    """
    return Finding(
        code=KIND.code,
        severity="error",
        measured={
            "told": list(told),
            "explained": explained,
            "better": list(better),
            "better_explained": better_explained,
            "n_images": n_images,
        },
        meaning=(
            f"The model was given images as {told[0]}, and its output was read as {told[1]}. So"
            f" the reconstructions explain {explained:.2g} of the variance of {n_images}"
            f" images. With {better[0]} in and {better[1]} out they explain"
            f" {better_explained:.2g}. Every number here was computed on a wrong scale."
        ),
        what_to_do=(
            f"Wrap it with the scales it was trained on: inputs= for {better[0]}, outputs= for"
            f" {better[1]}."
        ),
    )


KIND = FindingKind(
    "misread-scale",
    "A wrapped model used on the wrong scale",
    find_misread_scale,
    lambda facts: find_misread_scale(*facts.misreading[:4], n_images=facts.misreading[4]),
    needs=("misreading",),
    jobs=("detect", "reconstruct"),
)
