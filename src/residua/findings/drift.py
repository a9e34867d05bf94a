"""Scores of new images that are unlike those the threshold was chosen on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.findings.kind import Answer, Figure, Finding, FindingKind, Histogram, JudgedFacts
from residua.findings.unlike_parts import distance_of

_FEWEST = 20
_SPREAD = 0.2


def find_drift(
    calibration: NDArray[Any],
    new: NDArray[Any],
    *,
    threshold: float | None = None,
    are_normal: bool = False,
    groups: Any = None,
    calibration_groups: Any = None,
    confidence: float = 0.99,
) -> Finding | None:
    """Compare the scores of new images with those of the calibration normals; None where there are
    fewer than 20 of either.

    The measure is the chance that a new score is above a calibration score: 1/2 where nothing
    changed. New images may hold anomalies, which are above, so where they are not known to be
    normal more is needed. Error: the interval of that chance lies beyond .75 (unknown: .85) or
    below .25. Warning: beyond .6 (unknown: .7) or below .4; or, of images known to be normal,
    scores that are spread otherwise, more than .2 apart by Kolmogorov and Smirnov: blur lowers an
    error and noise raises it, and both together leave the chance at 1/2.

    Parameters
    ----------
    calibration : float array, (n,)
        Scores of normal calibration images.
    new : float array, (m,)
    threshold : float, optional
        To say how many are flagged.
    are_normal : bool
        Whether `new` holds images known to be normal alone.
    groups, calibration_groups : array, (m,) and (n,), optional
        What was sampled together: the interval is then that of new groups, and where there are
        fewer than five of either kind, nothing is said.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> find_drift(rng.normal(size=200), rng.normal(size=300)).severity
    'ok'
    >>> find_drift(rng.normal(size=200), rng.normal(size=300) + 2).severity
    'error'
    """
    from residua.metrics.intervals import roc_auc_interval

    if min(len(calibration), len(new)) < _FEWEST:
        return None
    is_new = np.arange(len(calibration) + len(new)) >= len(calibration)
    chance = roc_auc_interval(
        is_new,
        np.concatenate([calibration, new]).astype(np.float64),
        groups=groups_of_both((calibration, calibration_groups), (new, groups)),
        confidence=confidence,
    )
    if chance.value is None or chance.low is None or chance.high is None:
        return None
    error, warning = (0.75, 0.6) if are_normal else (0.85, 0.7)
    apart, by_chance = distance_of(
        calibration, new, 1 - confidence, groups=(calibration_groups, groups)
    )
    is_spread = are_normal and apart > max(_SPREAD, by_chance + 0.05)
    is_moved = chance.low > warning or chance.high < 0.4
    severity = (
        "error"
        if chance.low > error or chance.high < 0.25
        else "warning"
        if is_moved or is_spread
        else "ok"
    )
    measured: dict[str, Any] = {
        "above_calibration": chance.value,
        "low": chance.low,
        "high": chance.high,
        "distance": apart,
        "n_new": len(new),
    }
    flags = ""
    if threshold is not None:
        measured["flagged"], measured["flagged_of_calibration"] = (
            float((one > threshold).mean()) for one in (new, calibration)
        )
        flags = (
            f" At the threshold {100 * measured['flagged']:.3g}% of them are flagged, and"
            f" {100 * measured['flagged_of_calibration']:.3g}% of the calibration images."
        )
    words = (
        f"These {len(new):,} images score above the normal calibration images in"
        f" {100 * chance.value:.0f}% of pairs; among images that are alike it is 50%.{flags}"
    )
    if severity == "ok":
        return Finding(
            code=KIND.code, severity="ok", measured=measured, meaning=words, what_to_do=""
        )
    mixed = "" if are_normal else ", or most of them are anomalous"
    direction = (
        f"Their scores are spread differently: the distance of the two distributions is"
        f" {apart:.2g}, where 0 means the same and 1 means no overlap. The images changed in ways"
        " that raise some scores and lower others, as blur and noise do"
        if not is_moved
        else (
            f"They are unlike the images that the threshold was chosen on{mixed}"
            if chance.value > 0.5
            else (
                "They score lower than the images that the threshold was chosen on. They may"
                " be duller images, or copies of training images. Anomalies may be missed"
            )
        )
    )
    return Finding(
        code=KIND.code,
        severity="error" if severity == "error" else "warning",
        measured=measured,
        meaning=f"{words} {direction}.",
        what_to_do=(
            "Look at some of them beside training images (camera, light, scale, file format)."
            " If they are as they should be, choose the threshold again on such images:"
            " `residua threshold RUN SOURCE --policy ...`."
        ),
    )


def groups_of_both(
    first: tuple[NDArray[Any], Any], second: tuple[NDArray[Any], Any]
) -> NDArray[np.int64] | None:
    """The groups of two samples in a row, none in common; None where neither is grouped.

    >>> groups_of_both((np.zeros(3), ["a", "a", "b"]), (np.zeros(2), None)).tolist()
    [0, 0, 1, 2, 3]
    """
    from residua.metrics.groups import Groups

    if first[1] is None and second[1] is None:
        return None
    one, other = (
        np.arange(len(values)) if groups is None else Groups.read(groups, len(values)).codes
        for values, groups in (first, second)
    )
    return np.concatenate([one, one.max(initial=-1) + 1 + other])


def _ask(facts: JudgedFacts) -> Answer:
    new = facts.scores[facts.new_rows]
    finding = find_drift(
        facts.calibration,
        new,
        threshold=None if facts.operating_point is None else facts.operating_point.threshold,
        are_normal=facts.are_normal,
        groups=facts.groups_of(facts.new_rows),
        calibration_groups=facts.calibration_groups,
    )
    if finding is None or finding.severity == "ok":
        return finding
    series = {"calibration": facts.calibration, "judged": new}
    return finding, Figure(histogram=Histogram.of(series, "score"))


KIND = FindingKind(
    "drift",
    "Scores unlike the calibration scores",
    find_drift,
    _ask,
    needs=("calibration", "scores"),
    jobs=("detect",),
)
