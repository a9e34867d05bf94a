"""Images and reconstructions on different scales, or on one other than 0 to 1."""

from __future__ import annotations

from typing import Any

from residua.findings.kind import Finding, FindingKind
from residua.metrics.scale import ScaleAudit, scale_audit


def find_scale(
    images: Any, reconstructions: Any, *, audit: ScaleAudit | None = None
) -> Finding | None:
    """Say on which scale two arrays stood as they were given; None where both ran from 0 to 1
    already, or both are whole bytes.

    An integer type declares its scale, so bytes beside floats in [0, 1] are a note; floats on
    different scales are an error.

    Parameters
    ----------
    images, reconstructions : numeric array, (n_images, ...)
        As given, before any conversion.
    audit : ScaleAudit, optional
        Of these arrays, where it was made already.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.linspace(0, 255, 64).reshape(1, 8, 8)
    >>> find_scale(x, x / 255).severity
    'error'
    """
    audit = audit or scale_audit(images, reconstructions)
    scales = (audit.images.scale, audit.reconstructions.scale)
    is_declared = {audit.images.dtype, audit.reconstructions.dtype} & {
        "uint8",
        "uint16",
        "bool",
    } and "unknown" not in scales
    if scales == ("0-1", "0-1") or (audit.comparable and is_declared):
        return None
    measured = {
        "images": audit.images.scale,
        "reconstructions": audit.reconstructions.scale,
        "mse_as_given": audit.mse_as_given,
        "sum_as_given": audit.sum_as_given,
        "values_per_image": audit.values_per_image,
    }
    if audit.comparable:
        return Finding(
            code=KIND.code,
            severity="note",
            measured=measured,
            meaning=(
                f"{audit.meaning} Here both were brought to 0-1, where errors do not depend on"
                " bit depth or image size. Compare with errors on that scale only."
            ),
            what_to_do=(
                "State errors as means over pixels in [0, 1]. Never compare a sum with a mean,"
                " or 0-255 with 0-1."
            ),
        )
    return Finding(
        code=KIND.code,
        severity="note" if is_declared else "error",
        measured=measured,
        meaning=(
            f"{audit.meaning} Here each was brought to 0-1 by its own scale. An error computed"
            " without that is wrong."
        ),
        what_to_do=(
            "Save both on one scale, and check that the training loss compared like with like."
        ),
    )


KIND = FindingKind(
    "scale",
    "Images and reconstructions on different scales",
    find_scale,
    lambda facts: find_scale(None, None, audit=facts.audit),
    needs=("audit",),
    jobs=("reconstruct",),
)
