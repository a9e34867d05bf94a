"""Thumbnails in sheets of a hundred, in order of their score: the page decodes a sheet when one of
its pictures is shown.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.evaluation.evidence import Evidence
from residua.evaluation.report.kinds import ranking_values
from residua.evaluation.thumbnails import Thumbnails

_SIDE = 10  # pictures along each side of a sheet
_QUALITIES = (82, 60, 35)


def sheets(evidence: Evidence, budget: int) -> dict[str, Any] | None:
    """The sheets as base64 WebP, of about `budget` characters at most: by lower quality first, then
    by leaving out.

    ``index`` says which image each place holds, in the order of the places: along the rows, sheet
    by sheet.
    """
    small = evidence.thumbnails
    if small is None or len(small.index) == 0:
        return None
    values = ranking_values(evidence)[1]
    order = (
        np.arange(len(small.index))
        if values is None
        else np.argsort(np.asarray(values)[small.index], kind="stable")
    )
    shown, made = _fitting(small, order, budget)
    height, width = small.pixels.shape[1:3]
    return {
        "height": height,
        "width": width,
        "side": _SIDE,
        "index": small.index[shown].tolist(),
        "sheets": made,
    }


def _fitting(
    small: Thumbnails, order: NDArray[np.int64], budget: int
) -> tuple[NDArray[np.int64], list[str]]:
    """The pictures that fit, evenly over the scores where not all do, and their sheets."""
    size = 0
    for quality in _QUALITIES:
        parts = _parts(order)
        trial = [
            len(_sheet(small.pixels[part], quality)) for part in parts[:: max(1, len(parts) // 5)]
        ]
        size = sum(trial) // len(trial) * len(parts)
        if size <= 0.95 * budget:
            return order, [_sheet(small.pixels[part], quality) for part in parts]
    fewer = max(1, int(len(order) * 0.9 * budget / size))
    order = order[np.linspace(0, len(order) - 1, fewer).round().astype(np.int64)]
    made = [_sheet(small.pixels[part], _QUALITIES[-1]) for part in _parts(order)]
    kept = int(np.searchsorted(np.cumsum([len(one) for one in made]), budget, side="right"))
    return order[: kept * _SIDE**2], made[:kept]


def _parts(order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [order[start : start + _SIDE**2] for start in range(0, len(order), _SIDE**2)]


def _sheet(pixels: NDArray[np.uint8], quality: int) -> str:
    """Up to a hundred pictures (k, h, w, c) as one, row by row."""
    _, height, width, channels = pixels.shape
    full = np.zeros((_SIDE**2, height, width, channels), np.uint8)
    full[: len(pixels)] = pixels
    grid = full.reshape(_SIDE, _SIDE, height, width, channels).swapaxes(1, 2)
    picture = Image.fromarray(np.squeeze(grid.reshape(_SIDE * height, _SIDE * width, channels)))
    buffer = io.BytesIO()
    picture.save(buffer, "webp", quality=quality)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
