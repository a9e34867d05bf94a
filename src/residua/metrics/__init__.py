"""Metrics as pure functions of arrays, a family a file.

What the data cannot define is ``nan``, never 0.
"""

from residua.metrics import keras
from residua.metrics.alarms_at_recall import false_alarms_at_recall
from residua.metrics.bootstrap import bootstrap_interval
from residua.metrics.classification import (
    accuracy,
    balanced_accuracy,
    cohen_kappa,
    f1,
    matthews_correlation,
    precision,
    recall,
)
from residua.metrics.compression import Compression, code_words, latent_compression
from residua.metrics.confusion import ConfusionMetrics, confusion_matrix, metrics_from_confusion
from residua.metrics.delong import delong_variance, roc_auc_difference, roc_auc_interval
from residua.metrics.demonstration import AccuracyDemonstration, accuracy_demonstration
from residua.metrics.exact_scores import ExactScores
from residua.metrics.intervals import rate_interval
from residua.metrics.means import mean_interval, paired_difference_interval
from residua.metrics.multilabel import (
    Inflation,
    element_wise_accuracy,
    hamming_loss,
    inflation,
    multilabel_average_precision,
    multilabel_f1,
    subset_accuracy,
)
from residua.metrics.pixel import aupro, pixel_average_precision, pixel_roc_auc
from residua.metrics.pixel_tally import PixelTally
from residua.metrics.precision_difference import average_precision_difference
from residua.metrics.precision_intervals import average_precision_interval
from residua.metrics.probability import (
    Reliability,
    brier_score,
    expected_calibration_error,
    log_loss,
    multiclass_roc_auc,
    reliability_table,
    roc_auc_per_class,
    top_k_accuracy,
)
from residua.metrics.ranking import (
    average_precision,
    partial_roc_auc,
    precision_recall_curve,
    roc_auc,
    roc_curve,
)
from residua.metrics.reconstruction import (
    binary_cross_entropy,
    contrast_normalised_error,
    euclidean_distance,
    kl_divergence,
    mae,
    mse,
    psnr,
    rmse,
)
from residua.metrics.scale import ScaleAudit, ValueScale, scale_audit
from residua.metrics.sketch import Bounds, ScoreSketch
from residua.metrics.structural import (
    gms_map,
    gradient_magnitude_similarity,
    ms_ssim,
    multiscale_gradient_magnitude_similarity,
    ssim,
    ssim_map,
)

__all__ = [
    "AccuracyDemonstration",
    "Bounds",
    "Compression",
    "ConfusionMetrics",
    "ExactScores",
    "Inflation",
    "PixelTally",
    "Reliability",
    "ScaleAudit",
    "ScoreSketch",
    "ValueScale",
    "accuracy",
    "accuracy_demonstration",
    "aupro",
    "average_precision",
    "average_precision_difference",
    "average_precision_interval",
    "balanced_accuracy",
    "binary_cross_entropy",
    "bootstrap_interval",
    "brier_score",
    "code_words",
    "cohen_kappa",
    "confusion_matrix",
    "contrast_normalised_error",
    "delong_variance",
    "element_wise_accuracy",
    "euclidean_distance",
    "expected_calibration_error",
    "f1",
    "false_alarms_at_recall",
    "gms_map",
    "gradient_magnitude_similarity",
    "hamming_loss",
    "inflation",
    "keras",
    "kl_divergence",
    "latent_compression",
    "log_loss",
    "mae",
    "matthews_correlation",
    "mean_interval",
    "metrics_from_confusion",
    "ms_ssim",
    "mse",
    "multiclass_roc_auc",
    "multilabel_average_precision",
    "multilabel_f1",
    "multiscale_gradient_magnitude_similarity",
    "paired_difference_interval",
    "partial_roc_auc",
    "pixel_average_precision",
    "pixel_roc_auc",
    "precision",
    "precision_recall_curve",
    "psnr",
    "rate_interval",
    "recall",
    "reliability_table",
    "rmse",
    "roc_auc",
    "roc_auc_difference",
    "roc_auc_interval",
    "roc_auc_per_class",
    "roc_curve",
    "scale_audit",
    "ssim",
    "ssim_map",
    "subset_accuracy",
    "top_k_accuracy",
]
