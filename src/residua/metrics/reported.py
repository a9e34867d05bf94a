"""Every metric that a record may hold: its name, its words, its direction and format, and how it is
computed from each kind of sample, with its interval.

A metric is one entry of `METRICS`. Their order is that of a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua.metrics.bootstrap import bootstrap_interval
from residua.metrics.delong import roc_auc_interval
from residua.metrics.multilabel import multilabel_average_precision, multilabel_f1
from residua.metrics.precision_intervals import average_precision_interval
from residua.metrics.probability import top_k_accuracy
from residua.metrics.reconstruction import (
    contrast_normalised_error,
    kl_divergence,
    mae,
    mse,
    psnr,
    rmse,
)
from residua.metrics.samples import (
    ClassProbabilities,
    Floats,
    ImageErrors,
    OneClass,
    PixelErrors,
    PredictedClasses,
    Sample,
    ScoredImages,
    SeveralLabels,
)
from residua.metrics.structural import (
    ms_ssim,
    multiscale_gradient_magnitude_similarity,
    ssim,
)
from residua.records import Estimate, Job

Kind = Literal["share", "error", "decibel", "plain"]
Estimator = Callable[[Any], Estimate | None]
"""From a sample to the metric; None where the sample cannot have it."""
_MOST_CLASSES = 30
_BINS = 15


@dataclass(frozen=True)
class PerImage:
    """A metric of one reconstruction, whose mean is reported.

    ``least`` and ``most`` are the ends of what the mean can be, at which the interval ends too.
    ``needs_height`` is True for metrics of neighbouring pixels: flat images have none.
    """

    metric: Callable[..., Floats]
    least: float = 0
    most: float = 1
    needs_height: bool = False


@dataclass(frozen=True)
class ReportedMetric:
    """One metric.

    Attributes
    ----------
    label : str
        What people call it.
    higher_is_better : bool
    kind : {"share", "error", "decibel", "plain"}
        How it is written.
    meaning : str
        A few words below it.
    page : str
        Its page in ``docs/metrics``.
    estimates : mapping of sample to callable
        How it is computed from each kind of sample. Empty for what other commands measure.
    per_image : PerImage, optional
        For a metric of reconstructions.
    meanings : mapping of job to str
        Other words where the metric means something else in a job.
    """

    name: str
    label: str
    higher_is_better: bool
    kind: Kind
    meaning: str
    page: str
    estimates: Mapping[type[Sample], Estimator] = field(default_factory=dict)
    per_image: PerImage | None = None
    meanings: Mapping[Job, str] = field(default_factory=dict)

    def estimate(self, sample: Sample) -> Estimate | None:
        """The metric of `sample`; None where it is not computed from such a sample."""
        if type(sample) in self.estimates:
            return self.estimates[type(sample)](sample)
        each = self.per_image
        if each is None or not isinstance(sample, ImageErrors) or self.name not in sample.columns:
            return None
        return sample.mean(sample.columns[self.name], least=each.least, most=each.most)


def estimates_of(sample: Sample) -> dict[str, Estimate]:
    """Every metric that can be computed from `sample`.

    Examples
    --------
    >>> sample = ScoredImages(is_anomalous=np.array([False, True]), scores=np.array([0.1, 0.9]))
    >>> {name: one.value for name, one in estimates_of(sample).items()}
    {'roc_auc': 1.0, 'average_precision': 1.0}
    """
    made = ((metric.name, metric.estimate(sample)) for metric in METRICS)
    return {name: one for name, one in made if one is not None}


def estimates_per_class(
    sample: PredictedClasses | SeveralLabels, names: Iterable[str]
) -> dict[str, Estimate]:
    """``recall[CLASS]`` and so on of up to 30 classes or labels."""
    listed = list(names)
    if len(listed) > _MOST_CLASSES:
        return {}
    each = [(name, estimates_of(sample.of_one(place))) for place, name in enumerate(listed)]
    metrics = each[0][1] if each else {}
    return {f"{metric}[{name}]": found[metric] for metric in metrics for name, found in each}


def errors_per_image(images: NDArray[Any], reconstructions: NDArray[Any]) -> dict[str, Floats]:
    """Every metric of every reconstruction, by name; images without height get none that needs
    neighbouring pixels.
    """
    is_flat = images.shape[1] == 1
    return {
        metric.name: metric.per_image.metric(images, reconstructions)
        for metric in METRICS
        if metric.per_image is not None and not (is_flat and metric.per_image.needs_height)
    }


def _ranked(
    interval: Callable[..., Estimate], **options: Any
) -> Callable[[ScoredImages], Estimate]:
    def rank(sample: ScoredImages) -> Estimate:
        if not sample.has_both:
            return sample.without_interval(np.nan, len(sample.scores))
        more = {"seed": sample.seed} if options.get("is_resampled") else {}
        return interval(sample.is_anomalous, sample.scores, confidence=sample.confidence, **more)

    return rank


def _precision(sample: ScoredImages) -> Estimate | None:
    found = sample.decided(lambda flagged, anomalous: (anomalous, flagged))
    return found if found is None or sample.has_both else sample.without_interval(np.nan, 0)


def _f1(sample: ScoredImages) -> Estimate | None:
    if sample.flagged is None or not sample.has_both:
        return None if sample.flagged is None else sample.without_interval(np.nan, 0)
    flagged, anomalous = sample.flagged, sample.is_anomalous
    return OneClass(
        sample.confidence,
        hits=int((flagged & anomalous).sum()),
        n_true=int(anomalous.sum()),
        n_predicted=int(flagged.sum()),
    ).f1


def _recall(sample: ScoredImages) -> Estimate | None:
    return sample.decided(lambda flagged, anomalous: (flagged, anomalous))


def _false_alarms(sample: ScoredImages) -> Estimate | None:
    return sample.decided(lambda flagged, anomalous: (flagged, ~anomalous))


def _right(sample: ScoredImages) -> Estimate | None:
    return sample.decided(lambda flagged, anomalous: (flagged == anomalous, np.ones_like(flagged)))


def _balanced(sample: ScoredImages) -> Estimate | None:
    """Mean of recall and specificity; the interval recovers the variance of each side's own
    (Newcombe's MOVER).
    """
    recall, alarms = _recall(sample), _false_alarms(sample)
    if recall is None or alarms is None:
        return None
    ends = (recall.value, recall.low, recall.high, alarms.value, alarms.low, alarms.high)
    numbers = [end for end in ends if end is not None]
    if len(numbers) < len(ends):
        return sample.without_interval(np.nan, recall.n + alarms.n)
    hit, hit_low, hit_high, false, false_low, false_high = numbers
    value = (hit + 1 - false) / 2
    below = np.hypot(hit - hit_low, false_high - false) / 2
    above = np.hypot(hit_high - hit, false - false_low) / 2
    return Estimate(
        value=value,
        low=max(0.0, float(value - below)),
        high=min(1.0, float(value + above)),
        confidence=sample.confidence,
        n=recall.n + alarms.n,
    )


def _flagged(sample: ScoredImages) -> Estimate | None:
    flags = sample.all_flagged
    return None if flags is None else sample.rate(np.count_nonzero(flags), len(flags))


def _class_roc_auc(sample: ClassProbabilities) -> Estimate:
    """Of two classes the second's; of more the mean of one-against-rest areas.

    Its interval is the mean of theirs: on the safe side, as if the areas moved together.
    """
    p = sample.probabilities.astype(np.float64)
    columns = [1] if p.shape[1] == 2 else range(p.shape[1])
    areas = [
        roc_auc_interval(sample.true == column, p[:, column], confidence=sample.confidence)
        for column in columns
    ]
    if len(areas) == 1:
        return areas[0]
    ends = {
        end: [getattr(area, end) for area in areas if getattr(area, end) is not None]
        for end in ("value", "low", "high")
    }
    means = {
        end: float(np.mean(values)) if len(values) == len(areas) else None
        for end, values in ends.items()
    }
    return Estimate(**means, confidence=sample.confidence, n=len(sample.true))


def _log_loss(sample: ClassProbabilities) -> Estimate:
    p = sample.probabilities.astype(np.float64)
    smallest = float(np.finfo(sample.probabilities.dtype).eps)
    of_truth = p[np.arange(len(p)), sample.true] / np.maximum(p.sum(axis=1), smallest)
    losses = -np.log(np.clip(of_truth, smallest, 1 - smallest))
    return sample.mean(losses, most=np.inf)


def _brier_score(sample: ClassProbabilities) -> Estimate:
    off = sample.probabilities.astype(np.float64)
    off[np.arange(len(off)), sample.true] -= 1
    is_binary = off.shape[1] == 2
    squared = (off**2).sum(axis=1) / (2 if is_binary else 1)
    return sample.mean(squared, most=1 if is_binary else 2)


def _calibration(sample: ClassProbabilities) -> Estimate:
    p = sample.probabilities.astype(np.float64)
    sure, right = p.max(axis=1, initial=0.0), p.argmax(axis=1) == sample.true
    place = np.clip(np.ceil(sure * _BINS).astype(np.int64) - 1, 0, _BINS - 1)

    def error(place: NDArray[np.int64], difference: Floats) -> float:
        if not len(place):
            return float("nan")
        return float(np.abs(np.bincount(place, difference, minlength=_BINS)).sum() / len(place))

    return bootstrap_interval(
        error,
        place,
        sure - right,
        confidence=sample.confidence,
        n_resamples=1000 if len(p) <= 20_000 else 100,
        seed=sample.seed,
    )


def _top(k: int) -> ReportedMetric:
    def share(sample: ClassProbabilities) -> Estimate | None:
        n, n_classes = sample.probabilities.shape
        if n_classes <= k:
            return None
        hits = round(top_k_accuracy(sample.true, sample.probabilities, k) * n) if n else 0
        return sample.rate(hits, n)

    return ReportedMetric(
        f"top_{k}_accuracy",
        f"Top-{k} accuracy",
        True,
        "share",
        f"share of images whose class is among the {k} most probable",
        "classification",
        {ClassProbabilities: share},
    )


def _label_precision(sample: OneClass) -> Estimate | None:
    if sample.holds is None or sample.scores is None:
        return None
    return average_precision_interval(sample.holds, sample.scores, confidence=sample.confidence)


METRICS: tuple[ReportedMetric, ...] = (
    ReportedMetric(
        "roc_auc",
        "ROC AUC",
        True,
        "share",
        "chance that an abnormal image scores above a normal one",
        "ranking",
        {ScoredImages: _ranked(roc_auc_interval), ClassProbabilities: _class_roc_auc},
        meanings={
            "classify": (
                "chance that an image of a class scores above one that is not, mean over the"
                " classes"
            )
        },
    ),
    ReportedMetric(
        "average_precision",
        "Average precision",
        True,
        "share",
        "precision averaged over all recalls; depends on the mix",
        "ranking",
        {
            ScoredImages: _ranked(average_precision_interval, is_resampled=True),
            SeveralLabels: lambda sample: sample.over_labels(
                lambda holds, given: multilabel_average_precision(holds, given, average="macro"),
                sample.given.astype(np.float64),
            ),
            OneClass: _label_precision,
        },
        meanings={"classify": "precision averaged over all recalls, mean over the classes"},
    ),
    ReportedMetric(
        "precision",
        "Precision",
        True,
        "share",
        "of the flagged images, how many are abnormal",
        "classification",
        {
            ScoredImages: _precision,
            PredictedClasses: lambda sample: sample.of_positive("precision"),
            SeveralLabels: lambda sample: sample.pooled(
                sample.holds & sample.predicted, sample.predicted
            ),
            OneClass: lambda sample: sample.precision,
        },
        meanings={"classify": "of the images said to be of a class, how many are"},
    ),
    ReportedMetric(
        "recall",
        "Recall",
        True,
        "share",
        "of the abnormal images, how many are flagged",
        "classification",
        {
            ScoredImages: _recall,
            PredictedClasses: lambda sample: sample.of_positive("recall"),
            SeveralLabels: lambda sample: sample.pooled(
                sample.holds & sample.predicted, sample.holds
            ),
            OneClass: lambda sample: sample.recall,
        },
        meanings={"classify": "of the images of a class, how many are recognised"},
    ),
    ReportedMetric(
        "f1",
        "F1",
        True,
        "share",
        "harmonic mean of precision and recall",
        "classification",
        {
            ScoredImages: _f1,
            PredictedClasses: lambda sample: sample.of_positive("f1"),
            SeveralLabels: lambda sample: sample.pooled(
                sample.holds & sample.predicted, sample.predicted, sample.holds
            ),
            OneClass: lambda sample: sample.f1,
        },
        meanings={"classify": "harmonic mean of precision and recall of a class"},
    ),
    ReportedMetric(
        "accuracy",
        "Accuracy",
        True,
        "share",
        "share of images whose class is right",
        "classification",
        {
            ScoredImages: _right,
            PredictedClasses: lambda sample: sample.rate(
                np.trace(sample.matrix), sample.matrix.sum()
            ),
            SeveralLabels: lambda sample: sample.rate(
                np.count_nonzero(sample.wrong == 0), len(sample.wrong)
            ),
        },
        meanings={"detect": "share of decisions that are right; depends on the mix"},
    ),
    ReportedMetric(
        "balanced_accuracy",
        "Balanced accuracy",
        True,
        "share",
        "recall averaged over the classes",
        "classification",
        {
            ScoredImages: _balanced,
            PredictedClasses: lambda sample: sample.average(
                lambda matrix: matrix.balanced_accuracy
            ),
        },
    ),
    ReportedMetric(
        "false_alarm_rate",
        "False-alarm rate",
        False,
        "share",
        "of the normal images, how many are flagged",
        "ranking",
        {ScoredImages: _false_alarms},
    ),
    ReportedMetric(
        "flagged_rate",
        "Flagged",
        False,
        "share",
        "of all images, how many are flagged",
        "ranking",
        {ScoredImages: _flagged},
    ),
    ReportedMetric(
        "pixel_roc_auc",
        "Pixel ROC AUC",
        True,
        "share",
        "chance that a defect pixel's error exceeds a good pixel's",
        "pixel",
        {PixelErrors: lambda sample: sample.area(sample.pixels.roc_auc())},
    ),
    ReportedMetric(
        "pixel_average_precision",
        "Pixel average precision",
        True,
        "share",
        "precision over all recalls, pixel by pixel",
        "pixel",
        {PixelErrors: lambda sample: sample.area(sample.pixels.average_precision())},
    ),
    ReportedMetric(
        "aupro",
        "AUPRO",
        True,
        "share",
        "overlap with each defect region, up to 30% false pixels",
        "pixel",
        {
            PixelErrors: lambda sample: sample.area(
                sample.pixels.aupro() if sample.pixels.n_images else np.nan
            )
        },
    ),
    ReportedMetric(
        "precision_at_prevalence",
        "Precision at the stated prevalence",
        True,
        "share",
        "as it would be in production",
        "ranking",
    ),
    ReportedMetric(
        "matthews_correlation",
        "Matthews correlation",
        True,
        "share",
        "1 is perfect, 0 is chance",
        "classification",
        {
            PredictedClasses: lambda sample: sample.average(
                lambda matrix: matrix.matthews_correlation
            )
        },
    ),
    ReportedMetric(
        "cohen_kappa",
        "Cohen's kappa",
        True,
        "share",
        "agreement beyond chance; 1 is perfect",
        "classification",
        {PredictedClasses: lambda sample: sample.average(lambda matrix: matrix.cohen_kappa)},
    ),
    ReportedMetric(
        "f1_weighted",
        "F1, weighted",
        True,
        "share",
        "each image counts the same",
        "classification",
        {
            PredictedClasses: lambda sample: sample.average(
                lambda matrix: matrix.average("f1", "weighted")
            )
        },
    ),
    ReportedMetric(
        "f1_macro",
        "F1, mean over classes",
        True,
        "share",
        "each class counts the same",
        "multilabel",
        {
            SeveralLabels: lambda sample: sample.over_labels(
                lambda holds, given: multilabel_f1(holds, given, average="macro"), sample.given
            )
        },
    ),
    ReportedMetric(
        "log_loss",
        "Log loss",
        False,
        "plain",
        "how surprised the probabilities are by the truth",
        "classification",
        {ClassProbabilities: _log_loss},
    ),
    ReportedMetric(
        "brier_score",
        "Brier score",
        False,
        "share",
        "squared distance of the probabilities from the truth",
        "classification",
        {ClassProbabilities: _brier_score},
    ),
    ReportedMetric(
        "expected_calibration_error",
        "Calibration error",
        False,
        "share",
        "stated confidence minus share that is right",
        "classification",
        {ClassProbabilities: _calibration},
    ),
    _top(3),
    _top(5),
    ReportedMetric(
        "element_wise_accuracy",
        "Element-wise accuracy",
        True,
        "share",
        "flattering where few labels hold",
        "multilabel",
        {SeveralLabels: lambda sample: sample.mean(1 - sample.wrong)},
    ),
    ReportedMetric(
        "hamming_loss",
        "Hamming loss",
        False,
        "share",
        "share of labels that are wrong",
        "multilabel",
        {SeveralLabels: lambda sample: sample.mean(sample.wrong)},
    ),
    ReportedMetric(
        "linear_probe_accuracy",
        "Linear probe on the code",
        True,
        "share",
        "classes read off the code by a line",
        "../probes",
    ),
    ReportedMetric(
        "neighbours_probe_accuracy",
        "Neighbours probe on the code",
        True,
        "share",
        "classes read off the nearest codes of training images",
        "../probes",
    ),
    ReportedMetric(
        "mse",
        "Mean squared error",
        False,
        "error",
        "per pixel, images in [0, 1]",
        "reconstruction",
        per_image=PerImage(mse),
    ),
    ReportedMetric(
        "mae",
        "Mean absolute error",
        False,
        "error",
        "per pixel, images in [0, 1]",
        "reconstruction",
        per_image=PerImage(mae),
    ),
    ReportedMetric(
        "rmse",
        "Root mean squared error",
        False,
        "error",
        "per pixel, images in [0, 1]",
        "reconstruction",
        per_image=PerImage(rmse),
    ),
    ReportedMetric(
        "psnr",
        "PSNR",
        True,
        "decibel",
        "mean over images of the peak signal-to-noise ratio",
        "reconstruction",
        per_image=PerImage(psnr, -np.inf, np.inf),
    ),
    ReportedMetric(
        "ssim",
        "SSIM",
        True,
        "share",
        "structural similarity; 1 is identical",
        "reconstruction",
        per_image=PerImage(ssim, -1, needs_height=True),
    ),
    ReportedMetric(
        "ms_ssim",
        "Multi-scale SSIM",
        True,
        "share",
        "structural similarity over several scales; 1 is identical",
        "reconstruction",
        per_image=PerImage(ms_ssim, needs_height=True),
    ),
    ReportedMetric(
        "msgms",
        "Gradient similarity",
        True,
        "share",
        "of edges, over several scales; 1 is identical",
        "reconstruction",
        per_image=PerImage(multiscale_gradient_magnitude_similarity, needs_height=True),
    ),
    ReportedMetric(
        "kl_divergence",
        "KL divergence",
        False,
        "error",
        "between image and reconstruction, read as distributions",
        "reconstruction",
        per_image=PerImage(kl_divergence, most=np.inf),
    ),
    ReportedMetric(
        "contrast_normalised_error",
        "Contrast-normalised error",
        False,
        "error",
        "does not shrink when an image is dimmed",
        "reconstruction",
        per_image=PerImage(contrast_normalised_error, most=np.inf),
    ),
)
