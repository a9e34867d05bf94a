"""Whether masks lie where their images show something: measured without a model, on a coarse
grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import find_objects, label, uniform_filter

from residua._pixels import as_bytes
from residua.findings.kind import MaskMeasures
from residua.images import ImageSet
from residua.images.channels import own_channels
from residua.metrics.pixel import boxed

_GRID = 48
_SIDE = 256
_WINDOWS = (
    8,
    3,
)  # parts of the shorter side: what differs from its near and from its far surroundings
_MOST = 100  # masks that are looked at, spread evenly
_Turn = Callable[[NDArray[np.float64]], NDArray[np.float64]]
_TURNED: dict[str, _Turn] = {
    "mirrored left to right": lambda masks: masks[:, :, ::-1],
    "mirrored top to bottom": lambda masks: masks[:, ::-1],
    "turned by 180 degrees": lambda masks: masks[:, ::-1, ::-1],
    "with rows and columns exchanged": lambda masks: masks.transpose(0, 2, 1),
    "turned by 90 degrees": lambda masks: np.rot90(masks, 1, (1, 2)),
    "turned by 270 degrees": lambda masks: np.rot90(masks, 3, (1, 2)),
}


def measure_masks(sets: Sequence[ImageSet]) -> MaskMeasures | None:
    """What findings about the masks of the images need; None where there are no masks.

    Up to 100 masks of defective and of normal images are looked at.

    >>> images = np.full((6, 32, 32), 90, np.uint8)
    >>> masks = [np.zeros((32, 32), bool) for _ in images]
    >>> labelled = ImageSet.from_arrays(
    ...     images, labels=["bad"] * 5 + ["good"], masks=masks, normal="good"
    ... )
    >>> measure_masks([labelled]).of_defects
    array([0., 0., 0., 0., 0.])
    """
    looks = [look for images in sets for look in _looks(images)]
    if not looks:
        return None
    marked = [look for look in looks if not look.is_normal and look.share > 0]
    of_defects = [look for look in looks if look.is_defect]
    shares = np.array([look.share for look in marked], np.float64)
    measures = MaskMeasures(
        np.array([look.share for look in of_defects], np.float64),
        [look.path for look in of_defects],
        shares,
        shares,
        sum(look.is_normal and look.share > 0 for look in looks),
        widths=np.array([look.width for look in marked], np.float64),
        sizes=np.array([look.size for look in marked], np.int64).reshape(-1, 2),
    )
    return _placed(measures, marked) if marked else measures


@dataclass(frozen=True)
class _Look:
    """A mask on the grid, and how much each cell of its image stands out, in steps."""

    path: str
    is_normal: bool
    is_defect: bool
    share: float
    border: float
    width: float  # of the widest part, in pixels as stored
    size: tuple[int, int]
    mask: NDArray[np.float64]
    contrasts: NDArray[np.float64]  # (2, _GRID, _GRID)
    grey: NDArray[np.float64]


def _looks(images: ImageSet) -> list[_Look]:
    if not images.has_masks:
        return []
    none = np.zeros(len(images), np.bool_)
    normal = none if images.normal is None else ~images.is_anomalous & images.labelled
    defect = none if images.normal is None else images.is_anomalous & images.labelled
    known = images.masks.known
    asked = np.concatenate(
        [_even_share(np.flatnonzero(known & ~normal)), _even_share(np.flatnonzero(known & normal))]
    )
    found = []
    for row in asked.tolist():
        mask = images.masks[row]
        if mask is not None:
            found.append(
                _look(
                    str(images.paths[row]),
                    images[row],
                    mask,
                    is_normal=bool(normal[row]),
                    is_defect=bool(defect[row]),
                )
            )
    return found


def _even_share(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    return (
        rows if len(rows) <= _MOST else rows[np.linspace(0, len(rows) - 1, _MOST).astype(np.int64)]
    )


def _look(
    path: str,
    image: NDArray[np.generic],
    mask: NDArray[np.bool_],
    *,
    is_normal: bool,
    is_defect: bool,
) -> _Look:
    small = _small(own_channels(image))
    window = [max(3, int(min(small.shape[:2]) / parts) | 1) for parts in _WINDOWS]
    contrasts = [
        np.maximum.reduce(
            [
                _on_grid(np.abs(one - uniform_filter(one, size)), np.maximum)
                for one in np.moveaxis(small, 2, 0)
            ]
        )
        for size in window
    ]
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return _Look(
        path,
        is_normal,
        is_defect,
        float(mask.mean()),
        float(border.mean()),
        _width(mask),
        (mask.shape[0], mask.shape[1]),
        _on_grid(mask, np.add),
        np.stack(contrasts),
        _on_grid(small.mean(axis=2), np.add),
    )


def _width(mask: NDArray[np.bool_]) -> float:
    """How wide the widest part of a mask is: its area divided by the longer side of its box, so
    that a crack is as wide as its line, whatever its direction.
    """
    parts, _ = label(boxed(mask), np.ones((3, 3)))
    areas = np.bincount(parts.ravel())[1:]
    longer = [max(axis.stop - axis.start for axis in box) for box in find_objects(parts)]
    return max((float(area) / side for area, side in zip(areas, longer, strict=True)), default=0.0)


def _small(image: NDArray[np.generic]) -> NDArray[np.float64]:
    pixels = as_bytes(image)
    shrunk = min(1.0, _SIDE / max(pixels.shape[:2]))
    size = (max(1, round(pixels.shape[1] * shrunk)), max(1, round(pixels.shape[0] * shrunk)))
    picture = Image.fromarray(
        pixels[..., 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels)
    )
    return (
        np.asarray(picture.resize(size, Image.Resampling.BOX), np.float64).reshape(
            size[1], size[0], -1
        )
        / 255
    )


def _on_grid(values: NDArray[np.generic], how: np.ufunc) -> NDArray[np.float64]:
    """Cells of the grid: their means, or with `np.maximum` their largest values."""
    height, width = values.shape
    rows, columns = (np.arange(_GRID) * side // _GRID for side in (height, width))
    if height < _GRID or width < _GRID:
        return values[np.ix_(rows, columns)].astype(np.float64)
    cells: NDArray[np.float64] = how.reduceat(
        how.reduceat(values, rows, axis=0, dtype=np.float64), columns, axis=1
    )
    if how is np.add:
        cells = cells / np.outer(
            np.diff(np.append(rows, height)), np.diff(np.append(columns, width))
        )
    return cells


def _placed(measures: MaskMeasures, looks: Sequence[_Look]) -> MaskMeasures:
    """With how far images stand out where their masks lie, and where other masks would."""
    differing = _differing(looks)
    masks = np.stack([look.mask for look in looks])
    own = _standing_out(differing, masks)
    n, rows = len(looks), np.arange(len(looks))
    of_others = {
        _those(step if step <= n // 2 else step - n): own[rows, (rows + step) % n]
        for step in range(1, n)
    }
    return replace(
        measures,
        own=np.diag(own).copy(),
        unmarked=_unmarked(differing, masks),
        borders=np.array([look.border for look in looks]),
        readings={
            **of_others,
            **{
                words: np.diag(_standing_out(differing, turn(masks)))
                for words, turn in _TURNED.items()
            },
        },
    )


def _those(step: int) -> str:
    if abs(step) == 1:
        return "those of the next image" if step == 1 else "those of the image before"
    return f"those of the image {abs(step):,} places {'on' if step > 0 else 'back'}"


def _differing(looks: Sequence[_Look]) -> NDArray[np.float64]:
    """How much each cell stands out in its image and among the others, as ranks, (n, cells)."""
    n = len(looks)
    grey = np.stack([look.grey for look in looks])
    common = np.median(grey, axis=0)
    levelled = grey - np.median(grey, axis=(1, 2), keepdims=True) + np.median(common)
    unlike = np.abs(levelled - common) / (1.5 * np.median(np.abs(grey - common), axis=0) + 0.02)
    parts = [*np.moveaxis(np.stack([look.contrasts for look in looks]), 1, 0), unlike]
    return _ranks(np.sum([_ranks(part.reshape(n, -1)) for part in parts], axis=0))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    ranks = np.empty(values.shape)  # as scipy.stats' rankdata, which takes most of a second to load
    for row, own in enumerate(values):
        _, place, n = np.unique(own, return_inverse=True, return_counts=True)
        ranks[row] = (np.cumsum(n) - n / 2)[place]
    return np.asarray(ranks / values.shape[1] - 0.5)


def _standing_out(
    differing: NDArray[np.float64], masks: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How much image i stands out where mask j marks it, beyond the mean image, (n, n)."""
    flat = masks.reshape(len(masks), -1)
    weights = flat / np.maximum(flat.sum(axis=1, keepdims=True), 1e-12)
    found = differing @ weights.T
    return np.asarray(found - found.mean(axis=0, keepdims=True))


def _unmarked(differing: NDArray[np.float64], masks: NDArray[np.float64]) -> NDArray[np.float64]:
    rest = 1 - masks.reshape(len(masks), -1)
    total = rest.sum(axis=1)
    return np.where(total > 1e-9, (differing * rest).sum(axis=1) / np.maximum(total, 1e-12), np.nan)
