"""On which scale images and reconstructions stand, and what that does to an error.

The same model has an error of 0.004, 260 or 200,000, depending on whether pixels run to 1 or 255 and whether the error
is a mean or a sum. Nothing is refused here: the audit looks at the arrays as they were given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.errors import RangeError, ShapeError

Scale = Literal["0-1", "0-255", "0-65535", "-1-1", "unknown"]

# What one unit of the 0-1 scale is on each.
_UNITS: dict[Scale, float] = {"0-1": 1.0, "0-255": 255.0, "0-65535": 65535.0, "-1-1": 2.0, "unknown": float("nan")}


@dataclass(frozen=True)
class ValueScale:
    """The scale that one array seems to stand on: its type, its extremes, and the guess that follows from them."""

    dtype: str
    low: float
    high: float
    scale: Scale


@dataclass(frozen=True)
class ScaleAudit:
    """What `scale_audit` found.

    ``comparable`` is False where images and reconstructions stand on different scales: no error between them means
    anything. ``mse`` is on the 0-1 scale, the mean over all images; ``mse_as_given`` on the arrays' own numbers;
    ``sum_as_given`` sums over the values of an image instead. ``reported_as`` says which of these a reported error
    matches. ``nan`` stands for what cannot be known.
    """

    images: ValueScale
    reconstructions: ValueScale
    comparable: bool
    values_per_image: int
    mse: float
    mse_as_given: float
    sum_as_given: float
    reported_as: str | None
    meaning: str


def scale_audit(images: Any, reconstructions: Any, *, reported: float | None = None) -> ScaleAudit:
    """Find out the scale of two arrays: 0-255 against 0-1, a sum against a mean.

    Parameters
    ----------
    images, reconstructions : numeric array, (n_images, ...)
        As they came: any range, any number of axes. An array whose values all lie in [0, 1] is taken to be on
        that scale unless it is of an integer type.
    reported : float, optional
        An error that somebody states for these reconstructions. The audit names the one it matches within 2%.

    Returns
    -------
    ScaleAudit

    Raises
    ------
    ShapeError, RangeError
        If the two differ in shape or hold something other than finite numbers.

    Examples
    --------
    >>> x = np.linspace(0, 1, 100).reshape(1, 10, 10)
    >>> audit = scale_audit(255 * x, 255 * (1 - x), reported=2211111)
    >>> audit.images.scale, round(audit.mse, 3), audit.comparable
    ('0-255', 0.34, True)
    >>> audit.reported_as
    'squared error on 0-255, summed over the values of an image'
    >>> scale_audit((255 * x).astype(np.uint8), x).comparable
    False
    """
    x, r = _as_numbers(images, reconstructions)
    of_images, of_reconstructions = _value_scale(x), _value_scale(r)
    n_values = int(np.prod(x.shape[1:]))
    comparable = of_images.scale == of_reconstructions.scale != "unknown"
    difference = x.astype(np.float64) - r
    given = float(np.mean(difference**2)) if x.size else float("nan")
    mean = given / _UNITS[of_images.scale] ** 2 if comparable else float("nan")
    errors = _named_errors(given, mean, n_values, of_images.scale)
    reported_as = (
        None
        if reported is None
        else next((name for name, value in errors.items() if np.isclose(value, reported, rtol=0.02)), None)
    )
    meaning = _meaning(of_images, of_reconstructions, comparable, given, given * n_values)
    return ScaleAudit(of_images, of_reconstructions, comparable, n_values, mean, given, given * n_values, reported_as, meaning)


def _as_numbers(images: Any, reconstructions: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    problems = Problems("scale_audit")
    x, r = np.asarray(images), np.asarray(reconstructions)
    for name, array in (("images", x), ("reconstructions", r)):
        if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
            got = f"dtype {array.dtype}" if array.dtype.kind not in "biuf" else "NaN or infinite values"
            problems.add(f"{name} must be finite numbers", got, "Mend or leave out those images", RangeError)
    if x.ndim == r.ndim + 1 and x.shape[-1] == 1:
        x = x[..., 0]
    if r.ndim == x.ndim + 1 and r.shape[-1] == 1:
        r = r[..., 0]
    if x.shape != r.shape or x.ndim < 2:
        must = "images and reconstructions must have the same shape, (n_images, ...)"
        problems.add(must, f"{x.shape} and {r.shape}", "Pass one reconstruction an image", ShapeError)
    problems.raise_any()
    return x, r


def _value_scale(array: NDArray[Any]) -> ValueScale:
    low, high = (float(array.min()), float(array.max())) if array.size else (float("nan"), float("nan"))
    return ValueScale(str(array.dtype), low, high, _guess(array.dtype, low, high))


def _guess(dtype: np.dtype[Any], low: float, high: float) -> Scale:
    if dtype == np.bool_:
        return "0-1"
    if dtype == np.uint8:
        return "0-255"
    if dtype == np.uint16:
        return "0-65535"
    # A linear last layer oversteps the ends a little: half a unit is still the same scale.
    if dtype.kind == "f" and low >= -0.1 and high <= 1.5:
        return "0-1"
    if dtype.kind == "f" and low >= -1.5 and high <= 1.5:
        return "-1-1"
    if low >= -25.5 and 1.5 < high <= 280:
        return "0-255"
    return "0-65535" if low >= 0 and 280 < high <= 65535 else "unknown"


def _named_errors(given: float, mean: float, n_values: int, scale: Scale) -> dict[str, float]:
    """Every error somebody may have reported, the usual one first."""
    named = {
        f"squared error on {scale}, mean": given,
        f"squared error on {scale}, summed over the values of an image": given * n_values,
    }
    if scale not in ("0-1", "unknown"):
        named["squared error on 0-1, mean"] = mean
        named["squared error on 0-1, summed over the values of an image"] = mean * n_values
    named |= {f"root of the {name}": float(np.sqrt(value)) for name, value in list(named.items()) if name.endswith("mean")}
    return named


def _meaning(images: ValueScale, reconstructions: ValueScale, comparable: bool, mean: float, total: float) -> str:
    if comparable:
        return (
            f"Both run on {images.scale}; the mean squared error there is {mean:.4g} a value, which sums to {total:.4g} an image."
        )
    return (
        f"Images run on {images.scale} ([{images.low:.4g}, {images.high:.4g}]), reconstructions on {reconstructions.scale} "
        f"([{reconstructions.low:.4g}, {reconstructions.high:.4g}]): an error between them measures the scale, not the model."
    )
