"""Metrics of scores, of decisions and of error maps. Those of decisions serve classes too."""

from __future__ import annotations

import numpy as np

from residua.metrics.alarms_at_recall import false_alarms_at_recall
from residua.metrics.confusion_bounds import mean_recall
from residua.metrics.delong import roc_auc_interval
from residua.metrics.intervals import f1_of_share
from residua.metrics.pixel_errors import PixelErrors
from residua.metrics.pixel_spread import (
    aupro_influences,
    average_precision_influences,
    roc_auc_influences,
)
from residua.metrics.precision_intervals import average_precision_interval
from residua.metrics.reported.estimators import (
    average_precision_of_label,
    average_precision_of_labels,
    balanced_decisions,
    f1_of_flags,
    false_alarms,
    flagged_rate,
    precision_of_flags,
    ranked,
    recall_of_flags,
    right_decisions,
    roc_auc_of_classes,
    smallest_found,
)
from residua.metrics.reported.metric import ReportedMetric
from residua.metrics.samples import (
    ClassProbabilities,
    OneClass,
    PredictedClasses,
    ScoredImages,
    SeveralLabels,
)

DETECTION: tuple[ReportedMetric, ...] = (
    ReportedMetric(
        "roc_auc",
        "ROC AUC",
        True,
        "share",
        "chance that an anomalous image scores above a normal one",
        "ranking",
        {ScoredImages: ranked(roc_auc_interval), ClassProbabilities: roc_auc_of_classes},
        meanings={
            "classify": (
                "chance that an image of a class scores above one that is not, mean over the"
                " classes"
            )
        },
        is_by_kind=True,
    ),
    ReportedMetric(
        "average_precision",
        "Average precision",
        True,
        "share",
        "precision averaged over all recalls; depends on the mix",
        "ranking",
        {
            ScoredImages: ranked(average_precision_interval, is_resampled=True),
            SeveralLabels: average_precision_of_labels,
            OneClass: average_precision_of_label,
        },
        meanings={"classify": "precision averaged over all recalls, mean over the classes"},
    ),
    ReportedMetric(
        "precision",
        "Precision",
        True,
        "share",
        "of the flagged images, how many are anomalous",
        "classification",
        {
            ScoredImages: precision_of_flags,
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
        "of the anomalous images, how many are flagged",
        "classification",
        {
            ScoredImages: recall_of_flags,
            PredictedClasses: lambda sample: sample.of_positive("recall"),
            SeveralLabels: lambda sample: sample.pooled(
                sample.holds & sample.predicted, sample.holds
            ),
            OneClass: lambda sample: sample.recall,
        },
        meanings={"classify": "of the images of a class, how many are recognised"},
        is_by_kind=True,
    ),
    ReportedMetric(
        "f1",
        "F1",
        True,
        "share",
        "harmonic mean of precision and recall",
        "classification",
        {
            ScoredImages: f1_of_flags,
            PredictedClasses: lambda sample: sample.of_positive("f1"),
            SeveralLabels: lambda sample: f1_of_share(
                sample.pooled(sample.holds & sample.predicted, sample.holds | sample.predicted)
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
            ScoredImages: right_decisions,
            PredictedClasses: lambda sample: sample.share(sample.true == sample.predicted),
            SeveralLabels: lambda sample: sample.share(sample.wrong == 0),
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
            ScoredImages: balanced_decisions,
            PredictedClasses: lambda sample: sample.average(
                lambda matrix: matrix.balanced_accuracy, mean_recall
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
        {ScoredImages: false_alarms},
    ),
    ReportedMetric(
        "false_alarm_rate_at_90_recall",
        "False alarms to catch 90%",
        False,
        "share",
        "of the normal images, how many score no lower than what catches 90% of the anomalies",
        "ranking",
        {ScoredImages: ranked(false_alarms_at_recall)},
    ),
    ReportedMetric(
        "flagged_rate",
        "Flagged",
        False,
        "share",
        "of all images, how many are flagged",
        "ranking",
        {ScoredImages: flagged_rate},
    ),
    ReportedMetric(
        "smallest_found",
        "Smallest defect found",
        False,
        "count",
        "pixels of the smallest mask among the flagged anomalous images",
        "pixel",
        {ScoredImages: smallest_found},
        is_by_kind=True,
    ),
    ReportedMetric(
        "pixel_roc_auc",
        "Pixel ROC AUC",
        True,
        "share",
        "chance that a defect pixel's error exceeds a good pixel's",
        "pixel",
        {PixelErrors: lambda sample: sample.area(sample.pixels.roc_auc(), roc_auc_influences)},
    ),
    ReportedMetric(
        "pixel_average_precision",
        "Pixel average precision",
        True,
        "share",
        "precision over all recalls, pixel by pixel",
        "pixel",
        {
            PixelErrors: lambda sample: sample.area(
                sample.pixels.average_precision(), average_precision_influences
            )
        },
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
                sample.pixels.aupro() if sample.pixels.n_images else np.nan, aupro_influences
            )
        },
    ),
    ReportedMetric(
        "iou",
        "IoU",
        True,
        "share",
        "marked and defective pixels, over those that are either",
        "pixel",
        {PixelErrors: PixelErrors.overlap},
    ),
    ReportedMetric(
        "defect_detection_rate",
        "Defects found",
        True,
        "share",
        "of the defects, how many have a marked pixel",
        "pixel",
        {PixelErrors: PixelErrors.defects_found},
    ),
    ReportedMetric(
        "marked_normal_rate",
        "Normal images marked",
        False,
        "share",
        "of the images without defects, how many have a marked pixel",
        "pixel",
        {PixelErrors: PixelErrors.normals_marked},
    ),
    ReportedMetric(
        "precision_at_prevalence",
        "Precision at the stated prevalence",
        True,
        "share",
        "as it would be in production",
        "ranking",
    ),
)
