"""Metrics of classes, of their probabilities and of several labels."""

from __future__ import annotations

from residua.metrics.confusion_bounds import kappa, matthews, weighted_f1
from residua.metrics.multilabel import multilabel_f1
from residua.metrics.probability import among_most_probable
from residua.metrics.reported.estimators import (
    brier_score_of_classes,
    calibration_error_of_classes,
    log_loss_of_classes,
    wrong_labels,
)
from residua.metrics.reported.metric import ReportedMetric
from residua.metrics.samples import ClassProbabilities, PredictedClasses, SeveralLabels
from residua.records import Estimate


def _top(k: int) -> ReportedMetric:
    def share(sample: ClassProbabilities) -> Estimate | None:
        if sample.probabilities.shape[1] <= k:
            return None
        return sample.share(among_most_probable(sample.true, sample.probabilities, k))

    return ReportedMetric(
        f"top_{k}_accuracy",
        f"Top-{k} accuracy",
        True,
        "share",
        f"share of images whose class is among the {k} most probable",
        "classification",
        {ClassProbabilities: share},
    )


CLASSIFICATION: tuple[ReportedMetric, ...] = (
    ReportedMetric(
        "matthews_correlation",
        "Matthews correlation",
        True,
        "share",
        "1 is perfect, 0 is chance",
        "classification",
        {
            PredictedClasses: lambda sample: sample.average(
                lambda matrix: matrix.matthews_correlation, matthews
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
        {PredictedClasses: lambda sample: sample.average(lambda matrix: matrix.cohen_kappa, kappa)},
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
                lambda matrix: matrix.average("f1", "weighted"), weighted_f1
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
                lambda holds, given: multilabel_f1(holds, given, average="macro"),
                sample.given,
                lambda label: label.f1,
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
        {ClassProbabilities: log_loss_of_classes},
    ),
    ReportedMetric(
        "brier_score",
        "Brier score",
        False,
        "share",
        "squared distance of the probabilities from the truth",
        "classification",
        {ClassProbabilities: brier_score_of_classes},
    ),
    ReportedMetric(
        "expected_calibration_error",
        "Calibration error",
        False,
        "share",
        "stated confidence minus share that is right",
        "classification",
        {ClassProbabilities: calibration_error_of_classes},
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
        {SeveralLabels: lambda sample: wrong_labels(sample, is_loss=False)},
    ),
    ReportedMetric(
        "hamming_loss",
        "Hamming loss",
        False,
        "share",
        "share of labels that are wrong",
        "multilabel",
        {SeveralLabels: lambda sample: wrong_labels(sample, is_loss=True)},
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
)
