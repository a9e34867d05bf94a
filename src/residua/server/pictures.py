"""The pictures of an answer.

The error map as PNG, alone, over the image, or as raw 16-bit numbers.
"""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua._pixels import as_bytes
from residua.evaluation.report.pictures import data_uri, error_ceiling, heat_map
from residua.server.answers import Pictures
from residua.server.batcher import ImageResult

Style = Literal["overlay", "heat", "raw"]

_SIDE = 768
_DARKENED, _HEAT_SHARE = 0.85, 0.65


def pictures_of(pixels: NDArray[Any], scored: ImageResult, ceiling: float | None) -> Pictures:
    """Image, reconstruction and map for a page, brightest at `ceiling` or its own highest."""
    errors = _errors(scored)
    brightest = error_ceiling(errors) if ceiling is None else ceiling
    return Pictures(
        image=data_uri(as_bytes(pixels), _SIDE),
        reconstruction=(
            None
            if scored.reconstruction is None
            else data_uri(as_bytes(scored.reconstruction), _SIDE)
        ),
        map=data_uri(heat_map(errors, brightest), _SIDE),
        brightest=brightest,
        one_scale_for_all=ceiling is not None,
    )


def map_png(
    pixels: NDArray[Any], scored: ImageResult, style: Style, ceiling: float | None
) -> tuple[bytes, float]:
    """The error map at the image's own size, and the error at which its scale ends.

    ``heat`` is the map in colours, ``overlay`` the same over a darkened image, where errors shine
    through by their size. ``raw`` is 16-bit grey, ``error = value / 65535 * scale`` (off by at most
    half a step).
    """
    errors = _errors(scored)
    if style == "raw":
        scale = float(errors.max()) or 1.0
        return _png(Image.fromarray((errors / scale * 65535).round().astype(np.uint16))), scale
    scale = error_ceiling(errors) if ceiling is None else ceiling
    heat = heat_map(errors, scale)
    if style == "heat":
        return _png(Image.fromarray(heat)), scale
    share = np.clip(errors / scale, 0, 1)[..., np.newaxis] * _HEAT_SHARE
    under = as_bytes(pixels).astype(np.float32) * _DARKENED
    return (
        _png(Image.fromarray((under * (1 - share) + heat * share).round().astype(np.uint8))),
        scale,
    )


def _errors(scored: ImageResult) -> NDArray[np.float32]:
    """The map with nothing in it that cannot be drawn; the batcher was asked for pictures."""
    assert scored.error_map is not None
    return np.nan_to_num(scored.error_map, nan=0.0).clip(0, None)


def _png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
