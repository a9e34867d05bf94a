"""An evaluation as the public JSON object, exactly as ``evaluate --json`` and ``judge --json``
write it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from residua import _files as files
from residua.records import Evaluation


def to_json(evaluation: Evaluation) -> dict[str, Any]:
    """The public object: plain dicts, lists, strings and finite numbers; what is infinite or
    undefined is None.

    Examples
    --------
    >>> from residua.records import Estimate
    >>> record = Evaluation(
    ...     job="detect", n_images=3, split="test", metrics={"roc_auc": Estimate(value=0.5, n=3)}
    ... )
    >>> to_json(record)["metrics"]
    {'roc_auc': {'value': 0.5, 'low': None, 'high': None, 'confidence': 0.95, 'n': 3}}
    """
    cleaned = plain(evaluation.model_dump())
    return {str(key): value for key, value in cleaned.items()}


def write_json(evaluation: Evaluation, path: str | Path) -> Path:
    """Write `to_json` to `path`, atomically.

    Raises
    ------
    OutputError
        If the place cannot be written.
    """
    path = Path(path)
    files.write_json(path, to_json(evaluation))
    return path


def plain(value: Any) -> Any:
    """`value` with NumPy's numbers and arrays, paths and sets made JSON's, and NaN and infinities
    made None.
    """
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, set | frozenset):
        return sorted((plain(one) for one in value), key=str)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
