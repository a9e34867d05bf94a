"""Which changes of a normal image the operating point would catch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._pixels import as_bytes, as_unit
from residua.findings.figures import Figure, Group, Picture
from residua.findings.kind import Answer, ChangedScores, Finding, FindingKind, JudgedFacts

_BLIND = 0.5
_FEWEST, _MOST = 10, 40
_PIXELS = 40 * 2**18  # that the network sees: more take minutes a change

_Image = NDArray[np.float32]
Perturbation = Callable[[_Image, np.random.Generator, NDArray[Any]], _Image]
"""From an image in [0, 1], a generator, and another normal image as it is stored."""


def find_blind_spots(
    scores: Mapping[str, NDArray[Any]],
    threshold: float,
    unchanged: NDArray[Any],
    *,
    confidence: float = 0.95,
) -> Finding | None:
    """Say how many images of each planted change lie above the threshold; None where nothing was
    planted.

    Missed means caught in fewer than half of the images, by the upper end of the interval. Every
    detector misses some faint change, so that is a note. Warning: a change in `GROSS` is missed,
    which nobody could overlook.

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
    ('note', ['dimmed'])
    >>> find_blind_spots({"snow": np.zeros(40)}, 0.5, np.zeros(40)).severity
    'warning'
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
    gross = [name for name in blind if name in GROSS]
    listed = ", ".join(f"{name} {100 * (rate.value or 0):.0f}%" for name, rate in caught.items())
    return Finding(
        code=KIND.code,
        severity="warning" if gross else "note",
        measured={
            "caught": {name: rate.model_dump(mode="json") for name, rate in caught.items()},
            "unchanged": alarms,
            "blind": blind,
            "blind_to_gross": gross,
            "raised": {name: float((one > unchanged).mean()) for name, one in scores.items()},
            "n_images": len(unchanged),
        },
        meaning=(
            f"{len(unchanged):,} of your normal images were changed on purpose. At the threshold,"
            f" these shares of them are flagged: {listed}. Unchanged,"
            f" {100 * alarms:.0f}% of them are."
        )
        + (f" The model is blind to: {', '.join(blind)}." if blind else "")
        + (f" A person would see these at once: {', '.join(gross)}." if gross else ""),
        what_to_do=(
            "If such a change matters in use, try another recipe (`residua recipes` lists them)."
            " Or check for it separately: brightness, for example, needs no network."
            if blind
            else "Nothing. Real defects may be fainter than these changes."
        ),
    )


def changed_scores(facts: JudgedFacts) -> ChangedScores | None:
    """Change up to 40 normal images in every way, and score them as any other image; 10 of those
    that are seen large, and None where there is no normal one.
    """
    from residua.images import ImageSet  # slow to load, and arrays are judged without it

    normal = facts.normal_rows
    if not len(normal):
        return None
    rng = np.random.default_rng(0)
    fit = _MOST if facts.network_size is None else _PIXELS // math.prod(facts.network_size)
    most = min(len(normal), max(_FEWEST, min(_MOST, fit)))
    rows = normal[np.sort(rng.choice(len(normal), most, replace=False))]
    images = list(facts.images[rows])
    scores, groups = {}, []
    for kind, changes in (("faint", PERTURBATIONS), ("gross", GROSS)):
        shown = [Picture.of(as_unit(images[0]), "as it is")]
        # One change after the other: large images changed in several ways fill memory.
        for name, change in changes.items():
            changed = _perturbed(images, change, rng, facts.images.dtype)
            made = ImageSet.from_arrays(changed, products=facts.images[rows].products)
            scores[name] = facts.score_of(made)
            shown.append(Picture.of(changed[0], name))
        groups.append(Group(tuple(shown), f"{facts.images.paths[rows[0]]}, {kind} changes"))
    figure = Figure.of(groups, caption="One of the images, unchanged and with each change.")
    return ChangedScores(facts.scores[rows], scores, figure)


def _ask(facts: JudgedFacts) -> Answer:
    changed, threshold = facts.changed, facts.operating_point.threshold
    finding = find_blind_spots(changed.scores, threshold, changed.unchanged)
    return finding, _answered(changed, threshold)


def _answered(changed: ChangedScores, threshold: float) -> Figure | None:
    """The pictures, each with what the threshold says of it."""
    if changed.figure is None:
        return None
    told = {
        name: f"{name}: {'caught' if one[0] > threshold else 'missed'}"
        for name, one in changed.scores.items()
    }
    groups = (
        replace(
            group,
            pictures=tuple(
                replace(one, caption=told.get(one.caption.partition(":")[0], one.caption))
                for one in group.pictures
            ),
        )
        for group in changed.figure.groups
    )
    return replace(changed.figure, groups=tuple(groups))


def _perturbed(
    images: list[NDArray[Any]], change: Perturbation, rng: np.random.Generator, dtype: np.dtype[Any]
) -> list[NDArray[Any]]:
    """Each image changed; what repeats grey is changed once, unless every channel has its noise."""
    from residua.images.channels import own_channels, with_channels

    changed = []
    for image, other in zip(images, images[1:] + images[:1], strict=True):
        both = image, other
        if change not in _NOISES and all(own_channels(one).shape[-1] == 1 for one in both):
            both = own_channels(image), own_channels(other)
        one = change(as_unit(both[0]), rng, both[1])
        stored = one if dtype != np.uint8 else as_bytes(one)
        changed.append(with_channels(stored, image.shape[-1]))
    return changed


def _blurred(image: _Image, rng: np.random.Generator, other: NDArray[Any]) -> _Image:
    """A Gaussian blur, its width 1/28 of the longer side; edges are repeated."""
    for axis in (0, 1):
        image = _blurred_along(image, max(image.shape[:2]) / 28, axis)
    return image


def _blurred_along(image: _Image, width: float, axis: int) -> _Image:
    """By Fourier's transform: on five megapixels a tenth of the time of sums."""
    from scipy import fft

    reach, n = int(4 * width + 0.5), image.shape[axis]
    curve = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / width))
    length = fft.next_fast_len(n + 2 * reach, real=True)
    waves = fft.rfft((curve / curve.sum()).astype(np.float32), length)
    rows = np.moveaxis(image, axis, -1)
    padded = np.pad(rows, [(0, 0), (0, 0), (reach, reach)], mode="edge")
    blurred = fft.irfft(fft.rfft(padded, length) * waves, length)[..., 2 * reach : 2 * reach + n]
    return np.moveaxis(np.clip(blurred, 0, 1), -1, axis)  # rounding leaves the range


def _scratched(image: _Image, rng: np.random.Generator, other: NDArray[Any]) -> _Image:
    """A straight line over a quarter of the side, as bright or dark as any pixel."""
    height, width = image.shape[:2]
    length, thick = max(3, max(height, width) // 4), max(1, max(height, width) // 64)
    angle, row, column = (
        rng.uniform(0, np.pi),
        rng.uniform(0.3, 0.7) * height,
        rng.uniform(0.3, 0.7) * width,
    )
    along = np.linspace(-0.5, 0.5, 4 * length) * length
    rows, columns = row + along * np.sin(angle), column + along * np.cos(angle)
    changed = image.copy()
    here = image[int(row), int(column)].mean()
    value = image.max() if here < (image.max() + image.min()) / 2 else image.min()
    for shift in range(thick):
        changed[
            np.clip(rows + shift, 0, height - 1).astype(int),
            np.clip(columns, 0, width - 1).astype(int),
        ] = value
    return changed


def _patched(image: _Image, rng: np.random.Generator, other: NDArray[Any]) -> _Image:
    """A fifth of the side from the middle of another normal image, turned, near the middle."""
    side = max(2, min(image.shape[:2]) // 5)
    if min(other.shape[:2]) < 2 * side:
        return image
    top, left = ((extent - side) // 2 for extent in other.shape[:2])
    patch = as_unit(np.rot90(other[top : top + side, left : left + side]))
    row, column = (
        int(rng.integers(extent // 4, max(extent // 4 + 1, 3 * extent // 4 - side)))
        for extent in image.shape[:2]
    )
    changed = image.copy()
    changed[row : row + side, column : column + side] = patch
    return changed


def _covered(image: _Image, rng: np.random.Generator, other: NDArray[Any]) -> _Image:
    """The middle half of the rows covered: black where they are bright, white where dark."""
    height = image.shape[0]
    rows = slice(height // 4, height // 4 + max(1, height // 2))
    changed = image.copy()
    changed[rows] = 0.0 if image[rows].mean() > 0.5 else 1.0
    return changed


def _noise(spread: float) -> Perturbation:
    def noisy(image: _Image, rng: np.random.Generator, other: NDArray[Any]) -> _Image:
        return np.clip(image + rng.normal(0, spread, image.shape).astype(np.float32), 0, 1)

    return noisy


PERTURBATIONS: dict[str, Perturbation] = {
    "dimmed": lambda image, rng, other: image * np.float32(0.6),
    "blurred": _blurred,
    "scratch": _scratched,
    "patch": _patched,
    "noise": _noise(0.1),
    "flipped": lambda image, rng, other: np.ascontiguousarray(image[::-1]),
}
"""Changes that a detector may miss: faint ones, and ones that many a part survives."""

GROSS: dict[str, Perturbation] = {
    "snow": _noise(0.5),
    "half covered": _covered,
}
"""Changes that nobody could overlook."""

_NOISES = (PERTURBATIONS["noise"], GROSS["snow"])

KIND = FindingKind(
    "blind-spots",
    "Changes that the operating point misses",
    find_blind_spots,
    _ask,
    needs=("changed", "operating_point"),
    jobs=("detect",),
)
