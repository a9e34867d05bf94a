"""Above which error a pixel is marked: a level that few normal images reach anywhere.

Vovk et al. (2005), conformal prediction: of n + 1 exchangeable images each is as likely as any
other to have the highest peak, so the k-th lowest of n peaks is exceeded by a new one with a chance
of at most 1 - k / (n + 1).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_scores


def pixel_threshold_of(peaks: Any, *, share: float = 0.05) -> float | None:
    """The pixel threshold that at most `share` of new normal images exceed anywhere.

    Parameters
    ----------
    peaks : float array, (n_images,)
        The highest error in the map of each of some normal images. The model was not fitted to
        them, and they are not judged.
    share : float in (0, 1)
        The expected share of new normal images with a marked pixel.

    Returns
    -------
    float or None
        None from too few images: it takes ``1 / share - 1`` of them, which is 19.

    Examples
    --------
    >>> pixel_threshold_of(range(19)), pixel_threshold_of(range(18))
    (18.0, None)
    >>> pixel_threshold_of(range(99))
    94.5
    """
    problems = Problems("pixel_threshold_of")
    problems.within("share", share, "(0, 1)", "Pass 0.05")
    known = np.sort(as_scores(peaks, name="peaks", problems=problems)).astype(np.float64)
    problems.raise_any()
    # Rounded, because (n + 1) * (1 - .05) is a little more than a whole number for n = 19.
    place = math.ceil(round((len(known) + 1) * (1 - share), 9))
    if place > len(known):
        return None
    return float(known[place - 1 : place + 1].mean())  # midway, so that rounding flips nothing


class MapPeaks:
    """The highest error of each map, gathered while images are scored.

    >>> peaks = MapPeaks(2)
    >>> peaks(0, np.array([[0.1, 0.3]]))
    >>> peaks.of.tolist()
    [0.3, nan]
    """

    def __init__(self, n_images: int) -> None:
        self.of = np.full(n_images, np.nan)

    def __call__(self, row: int, error_map: NDArray[Any]) -> None:
        """Take the map of image `row`."""
        self.of[row] = error_map.max()
