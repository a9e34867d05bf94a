"""Reconstructions that would fit far better after a change that no model makes: another scale,
order, channel or side.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._pixels import as_unit
from residua.findings.kind import Finding, FindingKind
from residua.metrics.scale import straight_line

Floats = NDArray[np.float32]

_MOST_IMAGES, _MOST_VALUES = 256, 1 << 22
_MOST_ROWS, _QUERIES, _SIDE, _FEW = 20_000, 200, 8, 15
_LEAST_ERROR = 1e-4
# What read on one scale belongs on another: -1..1 on 0-1 and back, centred values, bytes divided
# once too little or too much.
_CONVERSIONS = ((0.5, 0.5), (2.0, -1.0), (1.0, 0.5), (1.0, -0.5), (255.0, 0.0), (1 / 255, 0.0))
_LIKE = 0.5  # least correlation of a change that is believed
# the same, of what differs from image to image: no pattern that all reconstructions share passes
# for it
_SPECIFIC = 0.3
_SURE = 3.0  # standard errors


@dataclass(frozen=True)
class _Change:
    """What may have been done to the reconstructions, and the reconstructions with it undone."""

    name: str
    meaning: str
    what_to_do: str
    images: Floats


def find_mispaired(images: NDArray[Any], reconstructions: NDArray[Any]) -> Finding | None:
    """Undo, one after the other, what happens to arrays on their way: scale, negative, channels,
    mirror images, order of rows.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width, channels)
        In [0, 1], or of an integer type that declares its scale. An even sample of them is looked
        at.

    Returns
    -------
    Finding or None
        None where no such change takes away a large part of the error; ``measured`` holds the error
        with and without it.

    Examples
    --------
    >>> x = np.random.default_rng(0).random((20, 8, 8, 3))
    >>> found = find_mispaired(x, x[..., ::-1])
    >>> found.severity, found.measured["change"]
    ('error', 'channels 2, 1, 0')
    """
    if len(images) == 0 or images[0].size < 4:
        return None
    n_values = images[0].size
    step = max(1, len(images) // min(_MOST_IMAGES, max(1, _MOST_VALUES // n_values)))
    x, r = (as_unit(array[::step]) for array in (images, reconstructions))
    error = float(np.square(x - r).mean())
    if x.std() > 0 and _are_one_array(images, reconstructions, x, r):
        return _same(error)
    if error < _LEAST_ERROR or not _resembles(x, r):
        return None
    return _scaled(x, r, error) or _changed(x, r) or _reordered(images, reconstructions)


def _are_one_array(
    images: NDArray[Any], reconstructions: NDArray[Any], x: Floats, r: Floats
) -> bool:
    """Whether both sides are equal, or would be if both were bytes."""
    if np.array_equal(images, reconstructions):
        return True
    is_bytes = (
        np.uint8 in (images.dtype, reconstructions.dtype) and images.dtype != reconstructions.dtype
    )
    return is_bytes and float(np.abs(x - r).max()) <= 0.501 / 255


def _same(error: float) -> Finding:
    return Finding(
        code=KIND.code,
        severity="error",
        measured={"change": "none", "mse": error},
        meaning=(
            "Images and reconstructions are equal in every value, except for rounding to"
            " bytes. One array was given twice, or the model passes images through."
        ),
        what_to_do="Name the array of each: FILE.npz:NAME, or two files.",
    )


def _resembles(x: Floats, r: Floats) -> bool:
    """Whether the reconstructions vary within an image; nothing can be learnt from flat ones."""
    return bool(r.std(axis=(1, 2)).mean() > 1e-3 * max(float(x.std(axis=(1, 2)).mean()), 1e-6))


def _scaled(x: Floats, r: Floats, error: float) -> Finding | None:
    """The same pictures on another scale, or their negative."""
    source, target = (array.reshape(-1).astype(np.float64) for array in (r, x))
    line = straight_line(source, target)
    if line is None or line.mse > error / 4:
        return None
    if not line.is_plain and abs(line.correlation) >= 0.9:
        return _rescaled(line.slope, line.offset, line.correlation, (error, line.mse))
    negative = float(np.square(1 - source - target).mean())
    if line.correlation <= -0.3 and negative < error / 4:
        return _rescaled(-1.0, 1.0, line.correlation, (error, negative))
    for slope, offset in _CONVERSIONS if line.correlation >= 0.3 else ():
        # Where the best line points the other way, a model that is too dark or too pale explains as
        # much.
        if (slope < 1 and line.slope > 0.75) or (slope > 1 and line.slope < 1.2):
            continue
        left = float(np.square(np.clip(slope * source + offset, 0, 1) - target).mean())
        if left < error / 4:
            return _rescaled(slope, offset, line.correlation, (error, left))
    return None


def _rescaled(
    slope: float, offset: float, correlation: float, errors: tuple[float, float]
) -> Finding:
    what = "the negatives of the images" if slope < 0 else "the same pictures on another scale"
    return _finding(
        "negative" if slope < 0 else "scale",
        f"The reconstructions look like {what}: {slope:.3g} times the reconstruction plus"
        f" {offset:.3g} comes close to the image",
        "State the scale of each side: --scale and --reconstructions-scale (scale=,"
        " reconstructions_scale=), or mean and deviation. Or correct how they were saved.",
        errors,
        {"slope": slope, "offset": offset, "correlation": correlation},
    )


def _changed(x: Floats, r: Floats) -> Finding | None:
    """Channels in another order, or a mirror image, where three in four resemble more by it."""
    target = _standardised(x)
    errors = np.square(target - _standardised(r)).mean(axis=(1, 2, 3))
    most_left = 0.9 if len(x) >= 8 else 0.7
    best: tuple[float, _Change] | None = None
    for change in _changes(r):
        new = np.square(target - _standardised(change.images)).mean(axis=(1, 2, 3))
        left = float(new.mean() / max(float(errors.mean()), 1e-12))
        is_like = new.mean() < 2 * (1 - _LIKE) or _own_likeness(target, change.images) > _SPECIFIC
        if (
            left < (most_left if best is None else best[0])
            and is_like
            and (new < 0.99 * errors).mean() >= 0.75
        ):
            best = (left, change)
    if best is None:
        return None
    given, undone = (float(np.square(x - array).mean()) for array in (r, best[1].images))
    return _finding(
        best[1].name, best[1].meaning, best[1].what_to_do, (given, undone), {"share_left": best[0]}
    )


def _own_likeness(target: Floats, made: Floats) -> float:
    """Mean correlation of images with their reconstructions, less the mean of all."""
    x, r = (_directions(array.reshape(len(array), -1)) for array in (target, _standardised(made)))
    return float((x * r).sum(axis=1).mean())


def _standardised(array: Floats) -> Floats:
    """Each image less its mean, divided by its deviation, so that dull models count alike."""
    centred = array - array.mean(axis=(1, 2, 3), keepdims=True)
    scaled: Floats = centred / np.maximum(centred.std(axis=(1, 2, 3), keepdims=True), 1e-6)
    return scaled


def _changes(r: Floats) -> Iterator[_Change]:
    if r.shape[3] == 3:
        for order in itertools.permutations(range(3)):
            if order != (0, 1, 2):
                yield _Change(
                    f"channels {', '.join(map(str, order))}",
                    "The colour channels of the two sides stand in different orders",
                    "Bring both to one order of channels. OpenCV reads blue, green, red.",
                    r[..., order],
                )
    mend = (
        "Look at an image beside its reconstruction. Rotate or flip one side back before you"
        " save it."
    )
    for name, turned in _turns(r):
        yield _Change(name, f"The reconstructions are {name}", mend, turned)


def _turns(r: Floats) -> Iterator[tuple[str, Floats]]:
    if r.shape[1] == 1:
        return
    yield "mirrored left to right", r[:, :, ::-1]
    yield "mirrored top to bottom", r[:, ::-1]
    yield "turned by 180 degrees", r[:, ::-1, ::-1]
    if r.shape[1] == r.shape[2]:
        other = r.swapaxes(1, 2)
        yield "transposed: rows are columns", other
        yield "turned by 90 degrees", other[:, :, ::-1]
        yield "turned by 270 degrees", other[:, ::-1]
        yield "transposed along the other diagonal", other[:, ::-1, ::-1]


def _reordered(images: NDArray[Any], reconstructions: NDArray[Any]) -> Finding | None:
    """Rows in another order: most reconstructions lie far nearer to another image, one each."""
    n = min(len(images), _MOST_ROWS)
    if n < 6:
        return None
    rows = np.unique(np.linspace(0, n - 1, min(n, _QUERIES)).astype(np.int64))
    x, r = (_directions(_small(array[:n])) for array in (images, reconstructions))
    likeness = r[rows] @ x.T
    own, nearest, near = (
        likeness[np.arange(len(rows)), rows],
        likeness.argmax(axis=1),
        likeness.max(axis=1),
    )
    moved = (nearest != rows) & (near > 0.8) & (1 - near < 0.4 * (1 - own))
    if (
        moved.mean() <= 0.6
        or len(np.unique(nearest[moved])) <= 0.5 * moved.sum()
        or own.mean() > 0.5
    ):
        is_like_something = (
            near.mean() > _LIKE or _smoothness(reconstructions) > _smoothness(images) / 2
        )
        if not is_like_something or _is_own(likeness, own):  # noise is no picture
            return None
        return _unrelated(float(own.mean()), _error_of(images, reconstructions, rows, rows))
    shifts, counts = np.unique(nearest[moved] - rows[moved], return_counts=True)
    shift = int(shifts[counts.argmax()]) if counts.max() > 0.8 * moved.sum() else None
    order = "in another order than the images"
    if shift is not None:
        order = f"{abs(shift)} rows {'before' if shift > 0 else 'after'} their images"
    return _finding(
        "order of rows",
        f"The reconstructions stand {order}: {moved.mean():.0%} of them resemble another image far"
        " more than their own",
        "Predict without shuffling, and save images and reconstructions from one pass.",
        (
            _error_of(images, reconstructions, rows, rows),
            _error_of(images, reconstructions, nearest, rows),
        ),
        {"share_moved": float(moved.mean()), "shift": shift},
    )


def _is_own(likeness: Floats, own: Floats) -> bool:
    """Whether reconstructions resemble their own images most; of few images it cannot be said."""
    if len(own) < _FEW or not likeness.any():
        return True
    ahead = own - (likeness.sum(axis=1) - own) / (likeness.shape[1] - 1)
    return bool(ahead.mean() > _SURE * ahead.std(ddof=1) / np.sqrt(len(ahead)))


def _smoothness(array: NDArray[Any]) -> float:
    """Correlation of neighbours along the width: about 0 of noise."""
    values = as_unit(array[:: max(1, len(array) // _MOST_IMAGES)]).astype(np.float64)
    centred = values - values.mean(axis=0)
    left, right = centred[:, :, :-1].ravel(), centred[:, :, 1:].ravel()
    return float(left @ right / max(float(np.linalg.norm(left) * np.linalg.norm(right)), 1e-12))


def _unrelated(likeness: float, error: float) -> Finding:
    return Finding(
        code=KIND.code,
        severity="error",
        measured={"change": "unrelated rows", "mse": error, "likeness": likeness},
        meaning=(
            "The reconstructions resemble their own images no more than other images. Either"
            " the rows stand in another order, or the model ignores its input."
        ),
        what_to_do=(
            "Predict without shuffling, and save both arrays from one pass. Then look at an"
            " image beside its reconstruction."
        ),
    )


def _error_of(
    images: NDArray[Any], reconstructions: NDArray[Any], of_images: NDArray[Any], rows: NDArray[Any]
) -> float:
    return float(
        np.mean(
            [
                np.square(as_unit(images[i : i + 1]) - as_unit(reconstructions[j : j + 1])).mean()
                for i, j in zip(of_images, rows, strict=True)
            ]
        )
    )


def _directions(flat: Floats) -> Floats:
    """Each row less the mean of all, at length 1: the product of two is their correlation."""
    centred = flat - flat.mean(axis=0)
    unit: Floats = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    return unit


def _small(array: NDArray[Any]) -> Floats:
    """Images averaged over an 8 x 8 grid, flat: what is compared when rows are looked for."""
    _, height, width, _ = array.shape
    parts = []
    rows = np.linspace(0, height, min(height, _SIDE), endpoint=False).astype(int)
    columns = np.linspace(
        0, width, min(width, _SIDE if height > 1 else _SIDE**2), endpoint=False
    ).astype(int)
    for start in range(0, len(array), 256):
        unit = as_unit(array[start : start + 256])
        sums = np.add.reduceat(np.add.reduceat(unit, rows, axis=1), columns, axis=2)
        area = np.outer(np.diff([*rows, height]), np.diff([*columns, width]))
        parts.append((sums / area[..., np.newaxis]).reshape(len(unit), -1).astype(np.float32))
    return np.concatenate(parts)


def _finding(
    change: str, meaning: str, what_to_do: str, errors: tuple[float, float], more: dict[str, Any]
) -> Finding:
    error, undone = errors
    return Finding(
        code=KIND.code,
        severity="error",
        measured={"change": change, "mse": error, "mse_without_it": undone, **more},
        meaning=(
            f"{meaning}. The mean squared error of the images looked at is {error:.3g}. Once"
            f" that is undone it is {undone:.3g}."
        ),
        what_to_do=what_to_do,
    )


KIND = FindingKind(
    "mispaired",
    "Reconstructions paired or scaled wrongly",
    find_mispaired,
    lambda facts: find_mispaired(*facts.pictures),
    needs=("pictures", "from_arrays"),
    jobs=("reconstruct",),
)
