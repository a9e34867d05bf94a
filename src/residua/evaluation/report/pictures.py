"""Pictures in the page: the gallery's as data URIs, error maps under a perceptually uniform colour
scale, and thumbnails in sheets of a hundred, in order of their score.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua.evaluation.evidence import Evidence, Gallery
from residua.evaluation.report.kinds import ranking_values
from residua.evaluation.thumbnails import Thumbnails

Pixels = NDArray[np.uint8]

# Matplotlib's inferno (CC0) at 33 even steps, linear in between.
_INFERNO = bytes.fromhex(
    "000004 040312 0b0724 150b37 210c4a 2f0a5b 3d0965 4a0c6b 57106e 64156e 71196e 7d1e6d 8a226a"
    " 972766 a32c61 b0315b bc3754 c63d4d d04545 da4e3c e35933 eb6429 f1711f f67e14 f98c0a fb9b06"
    " fcaa0f fbba1f f9c932 f5d949 f2e865 f3f586 fcffa4"
)
_OUTLINE = (64, 224, 255)
_SIDES = (256, 192, 128, 96, 64)
_SHEET_SIDE = 10  # pictures along each side of a sheet
_QUALITIES = (82, 60, 35)


def inferno() -> Pixels:
    """The colour scale as (256, 3) uint8, dark to bright with even perceived steps."""
    anchors = np.frombuffer(_INFERNO, np.uint8).reshape(-1, 3)
    steps = np.linspace(0, len(anchors) - 1, 256)
    channels = [
        np.interp(steps, np.arange(len(anchors)), anchors[:, channel]) for channel in range(3)
    ]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def error_ceiling(maps: NDArray[np.float32]) -> float:
    """Where the colours of a gallery end: the 99% quantile, so that few pixels rule nothing."""
    finite = maps[np.isfinite(maps)]
    if finite.size == 0:
        return 1.0
    ceiling = float(np.quantile(finite, 0.99)) or float(finite.max())
    return ceiling if ceiling > 0 else 1.0


def heat_map(errors: NDArray[np.float32], ceiling: float) -> Pixels:
    """Errors (h, w) as colours (h, w, 3); 0 is black, `ceiling` and above the brightest."""
    level = np.nan_to_num(errors.astype(np.float64), nan=0.0, posinf=ceiling) / ceiling
    return inferno()[(np.clip(level, 0, 1) * 255).round().astype(np.intp)]


def outlined(pixels: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """`pixels` with the edge of `mask`; small pictures are enlarged, so that it stays thin."""
    factor = max(1, 192 // max(pixels.shape[:2]))
    coloured = np.repeat(np.repeat(_rgb(pixels), factor, 0), factor, 1)
    large = np.repeat(np.repeat(mask, factor, 0), factor, 1)
    inner = np.pad(large, 1)
    inner = inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]
    coloured[large & ~inner] = _OUTLINE
    return coloured


def data_uri(pixels: Pixels, side: int = _SIDES[0]) -> str:
    """(h, w, 1 | 3) uint8 as a ``data:`` URI of at most `side` pixels: PNG or, if large, WebP."""
    picture = Image.fromarray(_rgb(pixels) if pixels.shape[-1] == 3 else pixels[..., 0])
    is_small = max(picture.size) <= 64
    if max(picture.size) > side:
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    kind, options = ("png", {"optimize": True}) if is_small else ("webp", {"quality": 82})
    picture.save(buffer, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def gallery_pictures(gallery: Gallery, budget: int) -> list[dict[str, str]]:
    """The gallery's pictures by role, shrunk and at last cut to `budget` characters."""
    ceiling = 1.0 if gallery.error_maps is None else error_ceiling(gallery.error_maps)
    pictures: list[dict[str, str]] = []
    expected = 0.0
    for side in _SIDES:
        if expected * (side / _SIDES[0]) ** 2 > 1.5 * budget and side != _SIDES[-1]:
            continue  # a waste of time: files grow about with the area
        pictures = [_roles(gallery, row, side, ceiling) for row in range(len(gallery.index))]
        size = sum(len(uri) for roles in pictures for uri in roles.values())
        if size <= budget:
            return pictures
        expected = size / (side / _SIDES[0]) ** 2
    sizes = np.cumsum([sum(len(uri) for uri in roles.values()) for roles in pictures])
    return pictures[: int(np.searchsorted(sizes, budget, side="right"))]


def _roles(gallery: Gallery, row: int, side: int, ceiling: float) -> dict[str, str]:
    mask = None if gallery.masks is None or not gallery.masks[row].any() else gallery.masks[row]
    roles = {"input": data_uri(_with(gallery.images[row], mask), side)}
    if gallery.reconstructions is not None:
        roles["reconstruction"] = data_uri(gallery.reconstructions[row], side)
    if gallery.error_maps is not None:
        roles["error"] = data_uri(_with(heat_map(gallery.error_maps[row], ceiling), mask), side)
    if gallery.nearest is not None:
        roles["nearest in training"] = data_uri(gallery.nearest[row], side)
    return roles


def _with(pixels: Pixels, mask: NDArray[np.bool_] | None) -> Pixels:
    return pixels if mask is None or mask.shape != pixels.shape[:2] else outlined(pixels, mask)


def _rgb(pixels: NDArray[Any]) -> Pixels:
    return pixels.copy() if pixels.shape[-1] == 3 else np.repeat(pixels[..., :1], 3, axis=-1)


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
        "side": _SHEET_SIDE,
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
    return order[: kept * _SHEET_SIDE**2], made[:kept]


def _parts(order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [order[start : start + _SHEET_SIDE**2] for start in range(0, len(order), _SHEET_SIDE**2)]


def _sheet(pixels: NDArray[np.uint8], quality: int) -> str:
    """Up to a hundred pictures (k, h, w, c) as one, row by row."""
    _, height, width, channels = pixels.shape
    full = np.zeros((_SHEET_SIDE**2, height, width, channels), np.uint8)
    full[: len(pixels)] = pixels
    grid = full.reshape(_SHEET_SIDE, _SHEET_SIDE, height, width, channels).swapaxes(1, 2)
    picture = Image.fromarray(
        np.squeeze(grid.reshape(_SHEET_SIDE * height, _SHEET_SIDE * width, channels))
    )
    buffer = io.BytesIO()
    picture.save(buffer, "webp", quality=quality)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
