"""Metrics as pure functions of arrays, a family a file. What the data cannot define is ``nan``, never 0."""

from residua.metrics.compression import Compression, latent_compression
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
from residua.metrics.structural import (
    gms_map,
    gradient_magnitude_similarity,
    ms_ssim,
    multiscale_gradient_magnitude_similarity,
    ssim,
    ssim_map,
)

__all__ = [
    "Compression",
    "ScaleAudit",
    "ValueScale",
    "average_precision",
    "binary_cross_entropy",
    "contrast_normalised_error",
    "euclidean_distance",
    "gms_map",
    "gradient_magnitude_similarity",
    "kl_divergence",
    "latent_compression",
    "mae",
    "ms_ssim",
    "mse",
    "multiscale_gradient_magnitude_similarity",
    "partial_roc_auc",
    "precision_recall_curve",
    "psnr",
    "rmse",
    "roc_auc",
    "roc_curve",
    "scale_audit",
    "ssim",
    "ssim_map",
]
