"""What is known of a reconstructor from images and their reconstructions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems, as_scores, same_length
from residua.evaluation.conclusion import Conclusion, conclude, with_metrics
from residua.evaluation.pictures import Pictures, known_pictures, read_pictures
from residua.evaluation.scale_options import Numbers, ScaleOptions
from residua.evaluation.standings import beside_columns
from residua.findings import JudgedFacts, find_all
from residua.metrics.groups import Groups, names_of
from residua.metrics.reported import errors_per_image, estimates_of
from residua.metrics.samples import ImageErrors
from residua.records import Estimate, Evaluation, Finding

if TYPE_CHECKING:
    from residua.images.duplicates import Leaks


def evaluate_reconstruction(
    images: Any,
    reconstructions: Any,
    *,
    scale: str = "auto",
    mean: Numbers = None,
    std: Numbers = None,
    reconstructions_scale: str | None = None,
    reconstructions_mean: Numbers = None,
    reconstructions_std: Numbers = None,
    ids: Any = None,
    train_errors: Any = None,
    baselines: Mapping[str, Any] | None = None,
    leaks: Leaks | None = None,
    groups: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Judge reconstructions: every metric an image, then its mean with an interval; never pooled.

    Parameters
    ----------
    images, reconstructions : array, (n_images, height, width[, channels]) or (n_images, n_pixels)
        Numbers on any scale that their values show, each side read by itself; all metrics are
        computed on [0, 1]. What was read is in ``provenance["assumptions"]``; what fits no scale,
        or several, is refused. Channels may come first. Flat images have no neighbours, so they get
        no ``ssim`` and its kin.
    scale : {"auto", "0-1", "0-255", "-1..1", "0-65535", ...}
        Of both sides, where it is to be told.
    mean, std : float, or one per channel, optional
        Of both sides, which then hold (pixel - mean) / std of pixels in [0, 1].
    reconstructions_scale, reconstructions_mean, reconstructions_std
        Of the reconstructions alone, where they differ from the images; ``"auto"`` reads them from
        the values.
    ids : array, (n_images,), optional
        Names; checked for length, named in findings.
    train_errors : float array, (n,), optional
        ``mse`` of training images (or its mean, as a single number), for overfitting.
    baselines : mapping of str to mapping of str to Estimate or array (n_images,), optional
        Metrics of simpler models on the same images. Of values an image the mean is taken, and by
        their ``mse`` they are compared with the model in pairs: ``standings``.
    leaks : Leaks, optional
        Which of the images are copies of training images (`residua.images.duplicates.leaks_of`):
        every metric is given without them too, in the finding ``leakage``.
    groups : array, (n_images,), optional
        Names of what the images were sampled in; see `evaluate_detection`.
    confidence : float
    seed : int
        Of resampled intervals.
    split, provenance
        Kept in the record.

    Returns
    -------
    Evaluation
        ``mse``, ``mae``, ``rmse``, ``euclidean_distance``, ``psnr`` (decibels), ``ssim``,
        ``ms_ssim``, ``msgms``, ``kl_divergence`` (nats), ``contrast_normalised_error``. A mean that
        is infinite (``psnr`` of a perfect image) is None with a finding.

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
    pictures = pictures_of(
        images,
        reconstructions,
        ids=ids,
        train_errors=train_errors,
        scales=scale_options(
            ScaleOptions(scale, mean, std),
            ScaleOptions(reconstructions_scale, reconstructions_mean, reconstructions_std),
        ),
    )
    return judge_pictures(
        pictures,
        train_errors=train_errors,
        baselines=baselines,
        leaks=leaks,
        groups=groups,
        confidence=confidence,
        seed=seed,
        split=split,
        provenance=provenance,
    ).evaluation


def judge_pictures(
    pictures: Pictures,
    *,
    train_errors: Any = None,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
    **options: Any,
) -> Conclusion:
    """`evaluate_reconstruction` of pictures that were read already."""
    columns = errors_per_image(pictures.images, pictures.reconstructions)
    train = None if train_errors is None else np.atleast_1d(np.asarray(train_errors, np.float64))
    return conclude(
        replace(
            error_facts(columns, train_errors=train, **options),
            from_arrays=True,
            assumptions=pictures.assumptions or None,
            **pictures.facts,
        ),
        split=split,
        provenance=provenance,
    )


def scale_options(
    of_both: ScaleOptions, of_reconstructions: ScaleOptions
) -> tuple[ScaleOptions, ScaleOptions]:
    """What is told of images and of reconstructions: the same, unless the latter have their own."""
    return of_both, of_both if of_reconstructions == ScaleOptions() else of_reconstructions


def pictures_of(
    images: Any,
    reconstructions: Any,
    *,
    ids: Any = None,
    train_errors: Any = None,
    scales: tuple[ScaleOptions, ScaleOptions] | None = None,
) -> Pictures:
    """Both sides read, after all checks of the call's arrays."""
    problems = Problems("evaluate_reconstruction")
    of_images, of_reconstructions = scales or (None, None)
    pictures = read_pictures(
        images,
        reconstructions,
        problems,
        of_images=of_images,
        of_reconstructions=of_reconstructions,
    )
    if train_errors is not None:
        as_scores(np.atleast_1d(train_errors), name="train_errors", problems=problems)
    if not problems:
        same_length(problems, images=pictures.images, ids=ids)
    problems.raise_any()
    return pictures


def errors_of(
    images: Any, reconstructions: Any
) -> tuple[dict[str, NDArray[np.float64]], list[Finding | None]]:
    """Each metric of each image on 0-1, and the findings that take the pictures themselves."""
    problems = Problems("evaluate_reconstruction")
    pictures = known_pictures(images, reconstructions, problems)
    problems.raise_any()
    findings, _ = find_all(JudgedFacts(job="reconstruct", **pictures.facts))
    return errors_per_image(pictures.images, pictures.reconstructions), list(findings)


def evaluate_errors(
    columns: Mapping[str, NDArray[np.float64]],
    *,
    split: str = "test",
    provenance: Mapping[str, Any] | None = None,
    findings: Iterable[Finding | None] = (),
    **options: Any,
) -> Evaluation:
    """The record of a reconstructor from `errors_per_image` and the pictures' own findings."""
    facts = error_facts(columns, **options)
    return conclude(facts, split=split, provenance=provenance, before=findings).evaluation


def error_facts(
    columns: Mapping[str, NDArray[np.float64]],
    *,
    train_errors: NDArray[Any] | None = None,
    baselines: Mapping[str, Any] | None = None,
    leaks: Leaks | None = None,
    groups: Any = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> JudgedFacts:
    """What is known of a reconstructor from what `errors_per_image` gave."""
    n_images = len(next(iter(columns.values())))
    grouped = None if groups is None else Groups.read(groups, n_images)

    def metrics_of(kept: NDArray[np.bool_]) -> dict[str, Estimate]:
        some = {name: column[kept] for name, column in columns.items()}
        own = None if grouped is None else grouped.of(kept)
        return estimates_of(ImageErrors(confidence, seed, columns=some, groups=own))

    beside = beside_columns(
        "evaluate_reconstruction",
        baselines,
        columns,
        groups=grouped,
        confidence=confidence,
        seed=seed,
    )
    return with_metrics(
        JudgedFacts(
            job="reconstruct",
            confidence=confidence,
            seed=seed,
            n_images=n_images,
            counts={"test": n_images},
            errors=columns,
            train_errors=train_errors,
            baselines=beside.metrics or None,
            standings=beside.standings,
            groups=names_of(groups, grouped),
        ),
        metrics_of,
        leaks,
    )
