"""AUPRO, pixel ROC AUC and average precision on 65 million pixels, beside the incumbent's way:
argsort and cumulative sums.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.ndimage import gaussian_filter, label

from measure import Results, median_seconds, rounded
from residua.metrics.pixel import aupro, pixel_average_precision, pixel_roc_auc

SIZES = {"4 Mpx": 16, "65 Mpx": 250}


def data(n_images: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth float32 maps of 512 x 512, half of the images with four defects."""
    rng = np.random.default_rng(0)
    masks = np.zeros((n_images, 512, 512), bool)
    maps = rng.standard_normal(masks.shape, dtype=np.float32)
    for i in range(n_images):
        gaussian_filter(maps[i], 2, output=maps[i])
        for _ in range(4 * (i % 2)):
            y, x, h, w = rng.integers((0, 0, 5, 5), (440, 440, 70, 70))
            masks[i, y : y + h, x : x + w] = True
    maps[masks] += 0.1
    return masks, maps


def aupro_by_argsort(masks: np.ndarray, maps: np.ndarray, max_fpr: float = 0.3) -> float:
    """MVTec's own evaluation code, and what follows it: all pixels sorted by argsort, both rates as
    cumulative sums.
    """
    false, overlap = np.zeros(maps.shape, np.float64), np.zeros(maps.shape, np.float64)
    n_background, n_regions = int((~masks).sum()), 0
    for i, mask in enumerate(masks):
        names, count = label(mask, structure=np.ones((3, 3)))
        n_regions += count
        false[i] = (names == 0) / n_background
        for k in range(1, count + 1):
            region = names == k
            overlap[i][region] = 1 / region.sum()
    order = np.argsort(maps, axis=None)[::-1]
    values = maps.ravel()[order]
    fpr, pro = np.cumsum(false.ravel()[order]), np.cumsum(overlap.ravel()[order]) / n_regions
    kept = np.append(values[1:] != values[:-1], True)
    fpr, pro = np.append(0, fpr[kept]), np.append(0, pro[kept])
    end = np.searchsorted(fpr, max_fpr, "right")
    x, y = (
        np.append(fpr[:end], max_fpr),
        np.append(pro[:end], np.interp(max_fpr, fpr[end - 1 : end + 1], pro[end - 1 : end + 1])),
    )
    return float(np.trapezoid(y, x) / max_fpr)


def measured(n_images: int) -> dict[str, float]:
    masks, maps = data(n_images)
    ours = median_seconds(lambda: aupro(masks, maps), runs=5)
    theirs = median_seconds(lambda: aupro_by_argsort(masks, maps), runs=2)
    return {
        "aupro_seconds": rounded(ours),
        "argsort_seconds": rounded(theirs),
        "times_argsort": rounded(theirs / ours),
        "aupro": aupro(masks, maps),
        "difference_to_argsort": abs(aupro(masks, maps) - aupro_by_argsort(masks, maps)),
        "pixel_roc_auc_seconds": rounded(
            median_seconds(lambda: pixel_roc_auc(masks, maps), runs=3)
        ),
        "pixel_average_precision_seconds": rounded(
            median_seconds(lambda: pixel_average_precision(masks, maps), runs=3)
        ),
    }


def main() -> None:
    results = Results("pixel")
    for name, n_images in SIZES.items():
        results.measure(name, lambda n_images=n_images: measured(n_images))


if __name__ == "__main__":
    main()
