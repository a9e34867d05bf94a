"""Masks that do not lie where the images show something: inverted, mirrored, or those of other
images.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr  # scipy.stats takes most of a second to load

from residua.findings.kind import Estimate, Finding, FindingKind, Severity

_SURE = 1e-4  # chance of being wrong, over all readings together
_CLEAR = 0.1
_FEWEST = 5
_WHOLE, _AROUND = 0.8, 0.9
_FOUND, _LOST = 0.9, 0.6
_LOOK = "Look at a few images with their masks laid over them."


def find_suspicious_masks(
    shares: NDArray[np.float64],
    own: NDArray[np.float64],
    *,
    unmarked: NDArray[np.float64] | None = None,
    borders: NDArray[np.float64] | None = None,
    readings: Mapping[str, NDArray[np.float64]] | None = None,
    n_normal_marked: int = 0,
    metrics: Mapping[str, Estimate] | None = None,
) -> Finding | None:
    """Say that masks look wrong, and how; None where nothing speaks against them. Faint defects are
    no reason.

    Error: another reading of the masks fits the images far better (by .1, and by chance once in
    10,000: Student's t of the difference, one-sided, over all readings). Warning: nearly all of the
    images is marked, normal images are marked, or a model that finds the images does not find the
    marked pixels.

    Parameters
    ----------
    shares : float array, (n,)
        The share of its image that each mask marks; of defective images whose mask is not empty.
    own : float array, (n,)
        How much more the marked part stands out from its image than the same part of other images
        does, -1 to 1; 0 is chance.
    unmarked : float array, (n,), optional
        How much the part that is *not* marked stands out from its image; NaN where all is marked.
    borders : float array, (n,), optional
        The share of the image's border that is marked.
    readings : mapping of str to float array, (n,), optional
        As `own`, were the masks read otherwise, by what they would be then.
    n_normal_marked : int
        Normal images whose mask marks something.
    metrics : mapping of str to Estimate, optional
        ``roc_auc`` and ``pixel_roc_auc`` of a model.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> chance, clear = rng.normal(0, 0.1, 20), rng.normal(0.4, 0.1, 20)
    >>> find_suspicious_masks(
    ...     np.full(20, 0.02), chance, readings={"those of the next image": clear}
    ... ).severity
    'error'
    >>> find_suspicious_masks(
    ...     np.full(20, 0.02), clear, readings={"those of the next image": chance}
    ... ) is None
    True
    """
    said = (
        _inverted(shares, unmarked, borders)
        or _another_reading(own, readings or {})
        or _normals(n_normal_marked)
        or _not_found(metrics or {})
    )
    if said is None:
        return None
    severity, meaning, mend = said
    return Finding(
        code=KIND.code,
        severity=severity,
        measured={
            "n_masks": len(shares),
            "median_share": float(np.median(shares)) if len(shares) else None,
            "stands_out": float(own.mean()) if len(own) else None,
            "n_normal_marked": n_normal_marked,
        },
        meaning=meaning,
        what_to_do=mend,
    )


Said = tuple[Severity, str, str]


def _inverted(
    shares: NDArray[np.float64],
    unmarked: NDArray[np.float64] | None,
    borders: NDArray[np.float64] | None,
) -> Said | None:
    if unmarked is None or borders is None or len(shares) < 1 or np.median(shares) <= 0.5:
        return None
    known = unmarked[np.isfinite(unmarked)]
    middle = float(np.median(shares))
    marked = f"The masks mark {middle:.0%} of the median image"
    mend = f"{_LOOK} If the unmarked part is the defect, invert the masks: white is defective."
    if _chance(known) < _SURE:
        return (
            "error",
            f"{marked}, and the unmarked part is what stands out. The masks look inverted, and"
            " pixel figures are false.",
            mend,
        )
    if middle > _WHOLE and np.median(borders) > _AROUND and len(known) > len(shares) / 2:
        return (
            "warning",
            f"{marked} and {np.median(borders):.0%} of its border. They may be inverted.",
            mend,
        )
    return None


def _another_reading(
    own: NDArray[np.float64], readings: Mapping[str, NDArray[np.float64]]
) -> Said | None:
    if len(own) < _FEWEST or not readings:
        return None
    chances = {name: _chance(values - own) * len(readings) for name, values in readings.items()}
    best = min(chances, key=lambda name: chances[name])
    fits = float(readings[best].mean())
    if chances[best] >= _SURE or fits < _CLEAR or own.mean() > fits / 2:
        return None
    return (
        "error",
        f"The {len(own):,} masks do not lie where their images show something: the marked parts"
        f" stand out by {own.mean():.2f} (chance is 0). They would stand out by {fits:.2f} if"
        f" the masks were {best}. Pixel figures are false.",
        (
            f"{_LOOK} Then pair images and masks by name, not by their order. Rotate images"
            " and masks together, or neither."
        ),
    )


def _normals(n: int) -> Said | None:
    if not n:
        return None
    have = "image has a mask that marks" if n == 1 else "images have masks that mark"
    return (
        "warning",
        f"{n:,} normal {have} something. Either the label is wrong or the mask.",
        f"{_LOOK} Their marked pixels count as defective, whatever the label says.",
    )


def _not_found(metrics: Mapping[str, Estimate]) -> Said | None:
    images, pixels = (
        metrics[name].value if name in metrics else None for name in ("roc_auc", "pixel_roc_auc")
    )
    if images is None or pixels is None or images < _FOUND or pixels > _LOST:
        return None
    return (
        "warning",
        f"The model finds the defective images (ROC AUC {images:.3f}) but not the marked pixels"
        f" (pixel ROC AUC {pixels:.3f}, chance is .5). Either the masks belong to other images,"
        " or the model recognises the images by something else than the defects.",
        _LOOK,
    )


def _chance(values: NDArray[np.float64]) -> float:
    """How likely chance makes the mean of the values as large as it is, by Student's t."""
    if len(values) < _FEWEST:
        return 1.0
    spread = float(values.std(ddof=1)) / np.sqrt(len(values))
    return float(stdtr(len(values) - 1, -float(values.mean()) / max(spread, 1e-12)))


KIND = FindingKind(
    "suspicious-masks",
    "Masks that do not fit their images",
    find_suspicious_masks,
    lambda facts: find_suspicious_masks(
        facts.masks.shares,
        facts.masks.own,
        unmarked=facts.masks.unmarked,
        borders=facts.masks.borders,
        readings=facts.masks.readings,
        n_normal_marked=facts.masks.n_normal_marked,
        metrics=facts.metrics if len(facts.masks.shares) else None,
    ),
    needs=("masks",),
    jobs=("detect", "check"),
)
