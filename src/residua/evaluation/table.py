"""The table an image: its id, its error, whether it is flagged."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_scores, same_length
from residua.thresholds import is_flagged


def per_image_table(
    errors: Any, *, ids: Any = None, threshold: float | None = None
) -> dict[str, NDArray[Any]]:
    """Columns ``id``, ``error`` and, with a threshold, ``flagged`` (error > threshold), one row an
    image, in order.

    Parameters
    ----------
    errors : float array, (n_images,)
        Error or score of each image; higher = worse.
    ids : array, (n_images,), optional
        Names; without them 1, 2, 3, ...
    threshold : float, optional

    Examples
    --------
    >>> table = per_image_table([0.002, 0.0015, 0.005, 0.0008, 0.007], threshold=0.004)
    >>> table["id"][table["flagged"]].tolist()
    [3, 5]
    """
    problems = Problems("per_image_table")
    array = as_scores(errors, name="errors", problems=problems)
    names = np.arange(1, len(array) + 1) if ids is None else np.asarray(ids)
    if not problems:
        same_length(problems, errors=array, ids=names)
    problems.raise_any()
    table: dict[str, NDArray[Any]] = {"id": names, "error": array}
    if threshold is not None:
        table["flagged"] = is_flagged(array, threshold)
    return table
