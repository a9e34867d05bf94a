"""Reconstructions that are the same whatever the image is, or worse than the mean image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_images
from residua.findings.kind import Finding, FindingKind


def find_collapsed_reconstruction(
    images: NDArray[Any], reconstructions: NDArray[Any]
) -> Finding | None:
    """Compare a model with showing the mean of these images every time; None where it is better or
    nothing varies.

    ``explained`` is 1 - squared error / squared error of the mean image: 1 is perfect, 0 is the
    mean image, negative worse.

    Parameters
    ----------
    images, reconstructions : float array, (n_images, height, width, channels)
        In [0, 1].

    Examples
    --------
    >>> x = np.arange(12.0).reshape(3, 2, 2, 1) / 12
    >>> find_collapsed_reconstruction(x, np.full_like(x, 0.5)).severity
    'error'
    """
    if len(images) < 2:
        return None
    mean = images.mean(axis=0, dtype=np.float64)
    of_mean = sum(float(np.square(image - mean).sum()) for image in images)
    of_model = sum(
        float(np.square(x.astype(np.float64) - r).sum())
        for x, r in zip(images, reconstructions, strict=True)
    )
    if of_mean == 0:
        return None
    explained = 1 - of_model / of_mean
    if explained > 0.1:
        return None
    spread = float(
        reconstructions.std(axis=0, dtype=np.float64).mean()
        / max(float(images.std(axis=0, dtype=np.float64).mean()), 1e-12)
    )
    severity, verdict = (
        ("error", "no better than") if explained <= 0 else ("warning", "hardly better than")
    )
    return Finding(
        code=KIND.code,
        severity="error" if severity == "error" else "warning",
        measured={"explained": explained, "variation": spread},
        meaning=(
            f"The reconstructions are {verdict} showing the mean of these images every time"
            f" (explained variance {explained:.3g}). They vary {spread:.3g} times as much as"
            " the images do."
        ),
        what_to_do=(
            "Train longer or with a larger latent code. Check the output activation, the scale"
            " of the pixels and dead units."
        ),
    )


KIND = FindingKind(
    "collapsed-reconstruction",
    "The same reconstruction for every image",
    find_collapsed_reconstruction,
    lambda facts: find_collapsed_reconstruction(
        *(
            as_images(array, problems=Problems("evaluate_reconstruction"))
            for array in facts.pictures
        )
    ),
    needs=("pictures",),
    jobs=("reconstruct",),
)
