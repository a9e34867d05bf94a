"""One new image unlike those that the threshold was chosen on: what the threshold promises does not
cover it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from residua.findings.kind import Finding, FindingKind

_SIZE_MARGIN = 1.1
_BRIGHTNESS_MARGIN = 0.1
_SCORE_BELOW, _SCORE_ABOVE = 1.0, 3.0
_FEWEST = 5


def find_unlike_calibration(
    image: Mapping[str, float],
    seen: Mapping[str, Any],
    *,
    score: float | None = None,
    scores: tuple[float, float] | None = None,
) -> Finding | None:
    """Compare one image's size, brightness and channels, and its score, with those of the
    calibration images.

    Parameters
    ----------
    image : mapping
        ``height``, ``width``, ``brightness`` (mean value in [0, 1]) and ``channels`` of the image.
    seen : mapping
        ``n``, and (smallest, largest) of ``height``, ``width``, ``brightness`` over the calibration
        images; ``channels`` of the model. What is missing is not compared; neither is anything but
        channels with fewer than five images.
    score, scores : float, (float, float), optional
        The image's score, and the smallest and largest of the normal calibration images.

    Examples
    --------
    >>> seen = {
    ...     "n": 100,
    ...     "height": (200, 400),
    ...     "width": (100, 300),
    ...     "brightness": (0.3, 0.5),
    ...     "channels": 1,
    ... }
    >>> find_unlike_calibration(
    ...     {"height": 390, "width": 95, "brightness": 0.45, "channels": 1}, seen
    ... ) is None
    True
    >>> found = find_unlike_calibration(
    ...     {"height": 64, "width": 64, "brightness": 0.9, "channels": 1}, seen
    ... )
    >>> sorted(found.measured)
    ['brightness', 'height', 'width']
    """
    measured: dict[str, Any] = {}
    if seen.get("channels", image["channels"]) != image["channels"]:
        measured["channels"] = {"image": image["channels"], "calibration": seen["channels"]}
    if seen.get("n", 0) >= _FEWEST:
        for name in ("height", "width", "brightness"):
            low, high = _bounds(name, *seen[name]) if name in seen else (image[name], image[name])
            if not low <= image[name] <= high:
                measured[name] = {"image": round(image[name], 4), "calibration": list(seen[name])}
        if score is not None and scores is not None and not _within(score, *scores):
            measured["score"] = {"image": score, "calibration": list(scores)}
    if not measured:
        return None
    what = ", ".join(measured)
    return Finding(
        code=KIND.code,
        severity="warning",
        measured=measured,
        meaning=(
            f"This image is unlike the normal images that the threshold was chosen on ({what})."
            " The rates of false alarms and misses on such images are not known."
        ),
        what_to_do=(
            "Check camera, light and cropping. If images like this one are to be judged,"
            " choose the threshold on some of them: residua threshold RUN SOURCE --policy ..."
        ),
    )


def _bounds(name: str, low: float, high: float) -> tuple[float, float]:
    if name == "brightness":
        margin = _BRIGHTNESS_MARGIN * max(high - low, 0.05)
        return low - margin, high + margin
    return low / _SIZE_MARGIN, high * _SIZE_MARGIN


def _within(score: float, low: float, high: float) -> bool:
    """Scores above normal ones are for anomalies; those out of proportion tell other images."""
    span = high - low
    return low - _SCORE_BELOW * span <= score <= high + _SCORE_ABOVE * span


KIND = FindingKind(
    "unlike-calibration",
    "An image unlike the calibration images",
    find_unlike_calibration,
)
