"""What is known of a reconstructor from images and their reconstructions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua import diagnostics, metrics
from residua._check import Problems, as_scores, same_length
from residua.evaluation.leaked import leakage_of
from residua.evaluation.scales import to_unit_range
from residua.images.copies import Leaks
from residua.metrics.intervals import mean_interval, rate_interval
from residua.records import Estimate, Evaluation, Finding

_METRICS: dict[str, Callable[..., NDArray[np.float64]]] = {
    "mse": metrics.mse,
    "mae": metrics.mae,
    "rmse": metrics.rmse,
    "psnr": metrics.psnr,
    "ssim": metrics.ssim,
    "ms_ssim": metrics.ms_ssim,
    "msgms": metrics.multiscale_gradient_magnitude_similarity,
    "kl_divergence": metrics.kl_divergence,
    "contrast_normalised_error": metrics.contrast_normalised_error,
}
# The smallest and the largest mean there can be; intervals of a few images would reach beyond.
_RANGES: dict[str, tuple[float, float]] = {
    "psnr": (-math.inf, math.inf),
    "ssim": (-1, 1),
    "ms_ssim": (0, 1),
    "msgms": (0, 1),
    "kl_divergence": (0, math.inf),
    "contrast_normalised_error": (0, math.inf),
}


def evaluate_reconstruction(
    images: Any,
    reconstructions: Any,
    *,
    ids: Any = None,
    train_errors: Any = None,
    baselines: Mapping[str, Any] | None = None,
    leaks: Leaks | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Judge reconstructions: every metric an image, then its mean with an interval; never pooled.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width[, channels]) or (n_images, n_pixels)
        uint8, uint16, bool, or float in [0, 1]. Floats on another known scale are brought to [0, 1], with a finding.
        Flat images have no neighbours, so they get no ``ssim`` and its kin.
    ids : array, (n_images,), optional
        Names; checked for length, named in findings.
    train_errors : float array, (n,), optional
        ``mse`` of training images (or its mean, as a single number), for overfitting.
    baselines : mapping of str to mapping of str to Estimate, optional
        Metrics of simpler models on the same images.
    leaks : Leaks, optional
        Which of the images are copies of training images (`residua.images.copies.leaks_of`): every metric is given without
        them too, in the finding ``leakage``.
    confidence : float
    seed : int
        Of resampled intervals.
    split, provenance
        Kept in the record.

    Returns
    -------
    Evaluation
        ``mse``, ``mae``, ``rmse``, ``psnr`` (decibels), ``ssim``, ``ms_ssim``, ``msgms``, ``kl_divergence`` (nats),
        ``contrast_normalised_error``. A mean that is infinite (``psnr`` of a perfect image) is None with a finding.

    Raises
    ------
    ShapeError, RangeError, InputError
        All problems of the call at once.

    Examples
    --------
    >>> x = np.linspace(0, 1, 2 * 16 * 16).reshape(2, 16, 16)
    >>> record = evaluate_reconstruction(x, np.clip(x + 0.1, 0, 1))
    >>> round(record.metrics["rmse"].value, 3)
    0.097
    """
    evaluation, _ = judge_reconstruction(
        images,
        reconstructions,
        ids=ids,
        train_errors=train_errors,
        baselines=baselines,
        leaks=leaks,
        confidence=confidence,
        seed=seed,
        split=split,
        provenance=provenance,
    )
    return evaluation


def judge_reconstruction(
    images: Any, reconstructions: Any, *, ids: Any = None, train_errors: Any = None, **options: Any
) -> tuple[Evaluation, dict[str, NDArray[np.float64]]]:
    """`evaluate_reconstruction`, and the columns its means were taken of: each metric of each image."""
    columns, found = errors_of(images, reconstructions, ids=ids, train_errors=train_errors)
    train = None if train_errors is None else np.atleast_1d(np.asarray(train_errors, np.float64))
    return evaluate_errors(columns, train_errors=train, findings=found, **options), columns


def errors_of(
    images: Any, reconstructions: Any, *, ids: Any = None, train_errors: Any = None
) -> tuple[dict[str, NDArray[np.float64]], list[Finding | None]]:
    """Each metric of each image, after all checks of the arrays, and the findings that take the pictures themselves."""
    problems = Problems("evaluate_reconstruction")
    x, r, scale = to_unit_range(images, reconstructions, problems)
    if train_errors is not None:
        as_scores(np.atleast_1d(train_errors), name="train_errors", problems=problems)
    if not problems:
        same_length(problems, images=x, ids=ids)
    problems.raise_any()
    return per_image_errors(x, r), [scale, _collapsed(x, r)]


def evaluate_errors(
    columns: Mapping[str, NDArray[np.float64]],
    *,
    train_errors: NDArray[Any] | None = None,
    baselines: Mapping[str, Any] | None = None,
    leaks: Leaks | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
    findings: Iterable[Finding | None] = (),
) -> Evaluation:
    """The record of a reconstructor from what `per_image_errors` gave, and the findings that took the pictures themselves."""
    n_images = len(next(iter(columns.values())))

    def metrics_of(kept: NDArray[np.bool_]) -> dict[str, Estimate]:
        return {name: _mean(name, column[kept], confidence, seed) for name, column in columns.items()}

    estimates = metrics_of(np.ones(n_images, np.bool_))
    beside = {name: dict(values) for name, values in (baselines or {}).items()}
    found = [
        *findings,
        _infinite(columns, estimates),
        diagnostics.find_too_few_images({"test": n_images}),
        None if train_errors is None else diagnostics.find_overfitting(train_errors, columns["mse"], confidence=confidence),
        diagnostics.find_not_better_than_baseline(
            "mse",
            estimates.get("mse", Estimate(value=None)),
            {name: values["mse"] for name, values in beside.items() if "mse" in values},
            higher_is_better=False,
        ),
        diagnostics.find_underfitting(
            estimates.get("mse", Estimate(value=None)),
            {name: values["mse"] for name, values in beside.items() if "mse" in values},
            train_error=None if train_errors is None or len(train_errors) == 0 else float(np.mean(train_errors)),
        ),
        leakage_of(leaks, n_images, estimates, metrics_of),
    ]
    return Evaluation(
        job="reconstruct",
        n_images=n_images,
        split=split,
        metrics=estimates,
        baselines=beside,
        findings=tuple(finding for finding in found if finding is not None),
        provenance=dict(provenance or {}),
    )


def baseline_errors(columns: Mapping[str, NDArray[Any]], *, seed: int) -> dict[str, dict[str, Estimate]]:
    """Means with intervals of what baselines reach, by baseline and metric, from columns named ``pca/mse``."""
    estimates: dict[str, dict[str, Estimate]] = {}
    for name, column in columns.items():
        baseline, _, metric = name.partition("/")
        estimate = rate_interval(int(column.sum()), len(column)) if metric == "accuracy" else mean_interval(column, seed=seed)
        estimates.setdefault(baseline, {})[metric] = estimate
    return estimates


def per_image_errors(images: NDArray[Any], reconstructions: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Every reconstruction metric of each image, by name; images without height get none that look at neighbours."""
    is_flat = images.shape[1] == 1
    neighbours = ("ssim", "ms_ssim", "msgms")
    return {name: metric(images, reconstructions) for name, metric in _METRICS.items() if not (is_flat and name in neighbours)}


def _mean(name: str, column: NDArray[np.float64], confidence: float, seed: int) -> Estimate:
    least, most = _RANGES.get(name, (0, 1))
    return mean_interval(column, confidence=confidence, seed=seed, least=least, most=most)


def _infinite(columns: Mapping[str, NDArray[np.float64]], estimates: dict[str, Estimate]) -> Finding | None:
    names = [name for name, estimate in estimates.items() if estimate.value is None]
    n_images = len(next(iter(columns.values())))
    if n_images == 0:
        return diagnostics.find_undefined_metric(names, "There are no images.", "Pass some.", n_images=0)
    n_infinite = {name: int((~np.isfinite(columns[name])).sum()) for name in names}
    reason = f"Some images have no finite value ({', '.join(f'{n} of {n_images} for {name}' for name, n in n_infinite.items())})."
    advice = "Where an image is reconstructed exactly psnr is infinite: read mse, or leave those images out and say so."
    return diagnostics.find_undefined_metric(names, reason, advice, n_infinite=n_infinite)


def _collapsed(images: NDArray[Any], reconstructions: NDArray[Any]) -> Finding | None:
    problems = Problems("evaluate_reconstruction")
    x, r = (_as_unit(array, problems) for array in (images, reconstructions))
    return diagnostics.find_collapsed_reconstruction(x, r)


def _as_unit(array: NDArray[Any], problems: Problems) -> NDArray[np.float32]:
    from residua._check import as_images

    return as_images(array, problems=problems)
