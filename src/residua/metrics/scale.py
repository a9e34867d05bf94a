"""On which scale images and reconstructions stand, and what that does to an error.

The same model has an error of 0.004, 260 or 200,000, depending on whether pixels run to 1 or 255
and whether the error is a mean or a sum. Nothing is refused here: the audit looks at the arrays as
they were given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, array_of
from residua.errors import ShapeError
from residua.metrics._values import SPANS, Candidate, Scale, Values, check_finite

_VALUES_TO_FIT = 1 << 20
_LEAST_CORRELATION = 0.5
_MOST_EXCESS = 1.5  # how far a reading's error may lie above that of the best straight line


@dataclass(frozen=True)
class ValueScale:
    """The scale that one array stands on: its type, its extremes, and what follows from them.

    ``scale`` is ``unknown`` where the values fit nothing, or several scales equally well;
    ``because`` says what it was read from.
    """

    dtype: str
    low: float
    high: float
    scale: Scale
    because: str = ""


@dataclass(frozen=True)
class ScaleAudit:
    """What `scale_audit` found.

    ``comparable`` is False where images and reconstructions stand on different scales: no error
    between them means anything. ``mse`` is on the 0-1 scale, the mean over all images;
    ``mse_as_given`` on the arrays' own numbers; ``sum_as_given`` sums over the values of an image
    instead. ``reported_as`` says which of these a reported error matches. ``nan`` stands for what
    cannot be known.
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
        As they came: any range, any number of axes. Each side is read by itself; where its values
        fit several scales, the other side decides if it can, else the scale is ``unknown``.
    reported : float, optional
        An error that somebody states for these reconstructions. The audit names the one it matches
        within 2%.

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
    return audited(x, r, read_scales(x, r), reported=reported)


def read_scales(
    images: NDArray[Any],
    reconstructions: NDArray[Any],
    told: tuple[str | None, str | None] = (None, None),
) -> tuple[ValueScale, ValueScale]:
    """The scale of each side, by itself where its values say it, else by the other side.

    ``unknown`` where neither does.

    `told` names the scales that the user stated; those are not questioned.
    """
    x, r = Values(images, are_images=True), Values(reconstructions, are_images=False)
    of_x, of_r = (
        _stated(name) or side.candidates() for name, side in zip(told, (x, r), strict=True)
    )
    first, second = _settled(x, of_x, r, of_r), _settled(r, of_r, x, of_x)
    if first is None and second is None and _are_blank(x, of_x) and _are_blank(r, of_r):
        first, second = of_x[0], of_r[0]
    if second is None and first is not None:
        second = _settled(r, of_r, x, [first])
    if first is None and second is not None:
        first = _settled(x, of_x, r, [second])
    if told[1] is None and first is not None and second is not None:
        second = _signed_without_negatives(r, second, x, first)
    return _value_scale(x, first, of_x), _value_scale(r, second, of_r)


def _signed_without_negatives(
    r: Values, found: Candidate, x: Values, of_images: Candidate
) -> Candidate:
    """Bright reconstructions beside bright images of -1..1 may lack negative values.

    Then the images decide.
    """
    if (
        (found.scale, of_images.scale, r.dtype.kind) != ("0-1", "-1..1", "f")
        or r.low == r.high
        or r.array.shape != x.array.shape
    ):
        return found
    target = unit_sample(x.array, "-1..1")
    of_unit, of_signed = (
        float(np.square(unit_sample(r.array, scale) - target).mean()) for scale in ("0-1", "-1..1")
    )
    line = straight_line(unit_sample(r.array, "0-1"), target)
    if line is None or line.correlation < 0.3 or line.slope > 0.75 or of_signed > of_unit / 4:
        return found
    return Candidate("-1..1", "as the images, which they resemble only so", True)


def _are_blank(side: Values, found: list[Candidate]) -> bool:
    """Whether one value from 0 to 1 fills the array, so that 0-1 is the plain reading."""
    return bool(found) and side.low == side.high and 0 <= side.low <= 1


def _stated(name: str | None) -> list[Candidate] | None:
    return None if name is None else [Candidate(name, "told", True)]  # type: ignore[arg-type]


def _settled(
    side: Values, found: list[Candidate], other: Values, of_other: list[Candidate]
) -> Candidate | None:
    """The one scale of `side` that stands.

    Firm by itself, or decided by the other side where that is firm.
    """
    firm = next((candidate for candidate in found if candidate.is_firm), None)
    if firm is not None or not found:
        return firm
    reference = next((candidate for candidate in of_other if candidate.is_firm), None)
    if reference is None:
        return None
    if side.low == side.high:
        return _of_blank(side, found, other, reference)
    if reference.scale in SPANS and side.array.shape == other.array.shape:
        fitting = [each for each in found if _fits(side, each.scale, other, reference.scale)]
        if len(fitting) == 1:
            return Candidate(
                fitting[0].scale, f"{fitting[0].because}, and only so do both sides agree", True
            )
    same = next((each for each in found if each.scale == reference.scale), None)
    if same is not None:
        return Candidate(same.scale, f"{same.because}, and the other side stands on it", True)
    # Overstepping 0-1 by far and never otherwise: a decoder without an end. Its clipping is told as
    # an error.
    return (
        Candidate("0-1", found[0].because, True)
        if [each.scale for each in found] == ["0-1"] and side.high > 1
        else None
    )


def _of_blank(
    side: Values, found: list[Candidate], other: Values, reference: Candidate
) -> Candidate | None:
    """The scale of an array that holds one value.

    None where that would be black on one scale and grey on another.
    """
    names = [each.scale for each in found]
    if side.low == 0 and reference.scale.startswith("0-"):
        return Candidate(reference.scale, "every value is 0", True)
    if side.dtype.kind == "f" and other.dtype.kind in "biu" and 0 < side.low <= 1:
        return Candidate("0-1", found[0].because, True)
    is_grey_on_one = 0 <= side.low < 1 if reference.scale == "-1..1" else 0 < side.low <= 1
    if reference.scale not in names or (is_grey_on_one and reference.scale != "0-1"):
        return None
    return Candidate(reference.scale, f"{found[0].because}, and the other side stands on it", True)


def _fits(side: Values, scale: str, other: Values, of_other: str) -> bool:
    """Whether `side` read on `scale` resembles the other side.

    Close to the best straight line, or of like contrast and grey.
    """
    a, b = (unit_sample(each.array, name) for each, name in ((side, scale), (other, of_other)))
    line = straight_line(a, b)
    if line is None or line.correlation < _LEAST_CORRELATION:
        return False
    return line.is_plain or float(np.square(a - b).mean()) <= _MOST_EXCESS * line.mse + 1e-6


def unit_sample(array: NDArray[Any], scale: str) -> NDArray[np.float64]:
    """An even sample of the images of `array`, flat, brought from `scale` to 0-1."""
    step = max(1, array.size // _VALUES_TO_FIT)
    black, span = SPANS[scale]
    return (array[::step].reshape(-1).astype(np.float64) - black) / span


@dataclass(frozen=True)
class StraightLine:
    """The best ``target = slope * source + offset``, its correlation and its mean squared error."""

    slope: float
    offset: float
    correlation: float
    mse: float

    @property
    def is_plain(self) -> bool:
        """Whether a dull or pale model would do as much.

        Reading twice the span has slope 2 or 1/2; half a span moves mid-grey by 0.5.
        """
        return 0.55 < self.slope < 1.9 and abs(self.slope * 0.5 + self.offset - 0.5) < 0.35


def straight_line(source: NDArray[np.float64], target: NDArray[np.float64]) -> StraightLine | None:
    """Least squares of `target` on `source`; None where either does not vary."""
    a, b = source - source.mean(), target - target.mean()
    of_a, of_b, both = float(a @ a), float(b @ b), float(a @ b)
    if of_a <= 0 or of_b <= 0:
        return None
    correlation = both / np.sqrt(of_a * of_b)
    slope = both / of_a
    return StraightLine(
        slope,
        float(target.mean() - slope * source.mean()),
        float(correlation),
        float(max(of_b / len(b) * (1 - correlation**2), 0.0)),
    )


def _value_scale(side: Values, settled: Candidate | None, found: list[Candidate]) -> ValueScale:
    if settled is not None:
        return ValueScale(str(side.dtype), side.low, side.high, settled.scale, settled.because)
    doubt = f"may be {' or '.join(each.scale for each in found)}" if found else "fit no known scale"
    doubt += "; mean and deviation leave such values" if side.looks_normalised else ""
    return ValueScale(str(side.dtype), side.low, side.high, "unknown", doubt)


def audited(
    x: NDArray[Any],
    r: NDArray[Any],
    scales: tuple[ValueScale, ValueScale],
    *,
    reported: float | None = None,
) -> ScaleAudit:
    """The audit of two arrays whose scales were read."""
    of_images, of_reconstructions = scales
    n_values = int(np.prod(x.shape[1:]))
    comparable = of_images.scale == of_reconstructions.scale != "unknown"
    given = float(np.mean((x.astype(np.float64) - r) ** 2)) if x.size else float("nan")
    span = SPANS.get(of_images.scale, (0.0, float("nan")))[1]
    mean = given / span**2 if comparable else float("nan")
    errors = _named_errors(given, mean, n_values, of_images.scale)
    reported_as = (
        None
        if reported is None
        else next(
            (name for name, value in errors.items() if np.isclose(value, reported, rtol=0.02)), None
        )
    )
    return ScaleAudit(
        of_images,
        of_reconstructions,
        comparable,
        n_values,
        mean,
        given,
        given * n_values,
        reported_as,
        _meaning(of_images, of_reconstructions, comparable, given, given * n_values),
    )


def _as_numbers(images: Any, reconstructions: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    problems = Problems("scale_audit")
    x, r = array_of(images), array_of(reconstructions)
    check_finite(problems, images=x, reconstructions=r)
    if x.ndim == r.ndim + 1 and x.shape[-1] == 1:
        x = x[..., 0]
    if r.ndim == x.ndim + 1 and r.shape[-1] == 1:
        r = r[..., 0]
    if x.shape != r.shape or x.ndim < 2:
        problems.add(
            "images and reconstructions must have the same shape, (n_images, ...)",
            f"{x.shape} and {r.shape}",
            "Pass one reconstruction an image",
            ShapeError,
        )
    problems.raise_any()
    return x, r


def _named_errors(given: float, mean: float, n_values: int, scale: Scale) -> dict[str, float]:
    """Every error somebody may have reported, the usual one first."""
    named = {
        f"squared error on {scale}, mean": given,
        f"squared error on {scale}, summed over the values of an image": given * n_values,
    }
    if scale not in ("0-1", "unknown"):
        named["squared error on 0-1, mean"] = mean
        named["squared error on 0-1, summed over the values of an image"] = mean * n_values
    named |= {
        f"root of the {name}": float(np.sqrt(value))
        for name, value in list(named.items())
        if name.endswith("mean")
    }
    return named


def _meaning(
    images: ValueScale, reconstructions: ValueScale, comparable: bool, mean: float, total: float
) -> str:
    if comparable:
        return (
            f"Both run on {images.scale}; the mean squared error there is {mean:.4g} a value, which"
            f" sums to {total:.4g} an image."
        )
    return (
        f"Images run on {images.scale} ([{images.low:.4g}, {images.high:.4g}]), reconstructions on"
        f" {reconstructions.scale} ([{reconstructions.low:.4g}, {reconstructions.high:.4g}]): an"
        " error between them measures the scale, not the model."
    )
