"""Which changes of a normal image the operating point would catch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from residua.records import Finding

CODE = "blind-spots"

_BLIND = 0.5


def find_blind_spots(
    scores: Mapping[str, NDArray[Any]],
    threshold: float,
    unchanged: NDArray[Any],
    *,
    confidence: float = 0.95,
) -> Finding | None:
    """Say how many images of each planted change lie above the threshold; None where nothing was
    planted.

    Warning: a change is caught in fewer than half of the images (its interval's upper end); else
    note. What is planted is no measure of real defects, but a change that nobody could overlook and
    the detector does is worth knowing.

    Parameters
    ----------
    scores : mapping of str to float array, (n,)
        Scores of the same normal images with each change planted into them.
    threshold : float
    unchanged : float array, (n,)
        Scores of those images as they are.

    Examples
    --------
    >>> told = find_blind_spots({"dimmed": np.zeros(40), "scratch": np.ones(40)}, 0.5, np.zeros(40))
    >>> told.severity, told.measured["blind"]
    ('warning', ['dimmed'])
    """
    from residua.metrics.intervals import rate_interval

    if not scores or len(unchanged) == 0:
        return None
    caught = {
        name: rate_interval(int((one > threshold).sum()), len(one), confidence=confidence)
        for name, one in scores.items()
    }
    alarms = float((unchanged > threshold).mean())
    blind = [name for name, rate in caught.items() if rate.high is not None and rate.high < _BLIND]
    listed = ", ".join(f"{name} {100 * (rate.value or 0):.0f}%" for name, rate in caught.items())
    return Finding(
        code=CODE,
        severity="warning" if blind else "note",
        measured={
            "caught": {name: rate.model_dump(mode="json") for name, rate in caught.items()},
            "unchanged": alarms,
            "blind": blind,
            "raised": {name: float((one > unchanged).mean()) for name, one in scores.items()},
            "n_images": len(unchanged),
        },
        meaning=(
            f"Planted into {len(unchanged):,} of your normal images, the operating point catches:"
            f" {listed} (unchanged: {100 * alarms:.0f}%)."
        )
        + (f" It is blind to: {', '.join(blind)}." if blind else ""),
        what_to_do=(
            "Where such a change matters in use, take another score (ssim, contrast-normalised"
            " error, density of the code) or recipe, or check it apart (brightness, for one, needs"
            " no network)."
            if blind
            else "Nothing; real defects may still be fainter than these."
        ),
    )
