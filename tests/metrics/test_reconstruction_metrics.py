"""Metrics of reconstructions beside NumPy's plain formulas, scikit-image and torchmetrics, for
every type and shape."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from residua import metrics

SHAPES = [(3, 28, 28), (3, 28, 28, 1), (3, 32, 40, 3)]
SCALES = {"uint8": 255, "uint16": 65535, "float32": 1, "float64": 1}


def pair(shape: tuple[int, ...], dtype: str, seed: int = 0):
    """Images and reconstructions in `dtype`, and the same in float64 on [0, 1]."""
    rng = np.random.default_rng(seed)
    x = rng.random(shape)
    r = np.clip(x + rng.normal(0, 0.1, shape), 0, 1)
    given = tuple((array * SCALES[dtype]).astype(dtype) for array in (x, r))
    return given, tuple(array.astype(np.float64) / SCALES[dtype] for array in given)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", SCALES)
def test_errors_and_similarities_equal_the_plain_formulas(
    shape: tuple[int, ...], dtype: str
) -> None:
    (x, r), (a, b) = pair(shape, dtype)
    axes = tuple(range(1, len(shape)))
    assert metrics.mse(x, r) == pytest.approx(((a - b) ** 2).mean(axes), rel=1e-5)
    assert metrics.mae(x, r) == pytest.approx(np.abs(a - b).mean(axes), rel=1e-5)
    assert metrics.rmse(x, r) == pytest.approx(np.sqrt(((a - b) ** 2).mean(axes)), rel=1e-5)
    noise = [
        peak_signal_noise_ratio(one, other, data_range=1) for one, other in zip(a, b, strict=True)
    ]
    assert metrics.psnr(x, r) == pytest.approx(noise, rel=1e-5)
    kwargs = {"data_range": 1, "gaussian_weights": True, "use_sample_covariance": False}
    channel = -1 if len(shape) == 4 else None
    alike = [
        structural_similarity(one, other, channel_axis=channel, **kwargs)
        for one, other in zip(a, b, strict=True)
    ]
    assert metrics.ssim(x, r) == pytest.approx(alike, abs=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_both_forms_of_divergence_equal_their_formulas(shape: tuple[int, ...]) -> None:
    (x, r), (a, b) = pair(shape, "float64")
    p, q = (array.reshape(len(array), -1) + 1e-7 for array in (a, b))
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    assert metrics.kl_divergence(x, r) == pytest.approx((p * np.log(p / q)).sum(axis=1), abs=1e-5)
    inside = np.clip(b, 1e-7, 1 - 1e-7)
    entropy = -(a * np.log(inside) + (1 - a) * np.log(1 - inside)).mean(
        axis=tuple(range(1, len(shape)))
    )
    assert metrics.binary_cross_entropy(x, r) == pytest.approx(entropy, rel=1e-4)


def test_multi_scale_ssim_is_torchmetrics_but_for_its_mirrored_border() -> None:
    torch = pytest.importorskip("torch")
    image = pytest.importorskip("torchmetrics.functional.image")
    (x, r), _ = pair((2, 192, 180, 1), "float64")
    ours = metrics.ms_ssim(x, r)
    first, second = (torch.from_numpy(array.transpose(0, 3, 1, 2)) for array in (x, r))
    theirs = image.multiscale_structural_similarity_index_measure(
        second, first, data_range=1.0, reduction="none"
    )
    assert ours == pytest.approx(theirs.numpy(), abs=2e-3)
    assert metrics.ms_ssim(x, x) == pytest.approx([1, 1])


def test_a_dimmed_defect_keeps_its_contrast_normalised_error_while_mse_falls_with_the_square() -> (
    None
):
    (x, r), _ = pair((4, 16, 16), "float64")
    assert metrics.mse(x * 0.3, r * 0.3) == pytest.approx(metrics.mse(x, r) * 0.09, rel=1e-4)
    assert metrics.contrast_normalised_error(x * 0.3, r * 0.3) == pytest.approx(
        metrics.contrast_normalised_error(x, r), rel=1e-4
    )


def test_psnr_of_a_set_is_one_value_an_image_and_never_pooled() -> None:
    x = np.full((2, 8, 8), 0.5)
    r = x + np.array([0.01, 0.1])[:, np.newaxis, np.newaxis]
    pooled = -10 * np.log10(np.mean((x - r) ** 2))
    assert metrics.psnr(x, r) == pytest.approx([40, 20], rel=1e-4)
    assert metrics.psnr(x, r).mean() > pooled + 6


def test_gradient_similarity_is_1_for_a_copy_and_falls_where_edges_go() -> None:
    (x, r), _ = pair((3, 32, 32), "float64")
    for similarity in (
        metrics.gradient_magnitude_similarity,
        metrics.multiscale_gradient_magnitude_similarity,
    ):
        assert similarity(x, x) == pytest.approx([1, 1, 1])
        assert (similarity(x, np.full_like(x, 0.5)) < similarity(x, r)).all()


def test_compression_counts_values_and_bits() -> None:
    told = metrics.latent_compression((28, 28, 1), 32)
    assert (told.ratio, told.bits_a_pixel) == (24.5, 32 * 32 / 784)
    assert told.bit_ratio == pytest.approx(784 * 8 / (32 * 32))


def test_the_scale_audit_names_pixels_of_0_to_255_and_a_sum_that_passes_for_a_mean() -> None:
    (x, r), _ = pair((3, 16, 16), "float64")
    assert not metrics.scale_audit(x * 255, r).comparable
    summed = float(((x - r) ** 2).sum(axis=(1, 2)).mean())
    assert "summed" in metrics.scale_audit(x, r, reported=summed).reported_as
