"""Metrics of reconstructions, one value per image."""

from __future__ import annotations

import numpy as np

from residua.metrics.reconstruction import (
    contrast_normalised_error,
    euclidean_distance,
    kl_divergence,
    mae,
    mse,
    psnr,
    rmse,
)
from residua.metrics.reported.metric import PerImage, ReportedMetric
from residua.metrics.structural import ms_ssim, multiscale_gradient_magnitude_similarity, ssim

RECONSTRUCTION: tuple[ReportedMetric, ...] = (
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
        "euclidean_distance",
        "Euclidean distance",
        False,
        "plain",
        "root of the sum of squared differences; grows with the image",
        "reconstruction",
        per_image=PerImage(euclidean_distance, most=np.inf),
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
