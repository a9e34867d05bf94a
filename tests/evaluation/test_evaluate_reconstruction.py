"""What is said of reconstructions, on whatever scale they come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from skimage.metrics import structural_similarity

from residua.errors import InputError, RangeError, ShapeError
from residua.evaluation import evaluate_reconstruction
from residua.records import Estimate

RNG = np.random.default_rng(0)
IMAGES = RNG.random((40, 16, 16, 1)).astype(np.float32)
CLOSE = np.clip(IMAGES + RNG.normal(0, 0.05, IMAGES.shape), 0, 1).astype(np.float32)

ERRORS = (
    *("mse", "mae", "rmse", "euclidean_distance"),
    *("kl_divergence", "contrast_normalised_error"),
)


def found(record, code: str):
    return next((finding for finding in record.findings if finding.code == code), None)


def test_metrics_are_means_over_images_and_equal_plain_numpy_and_scikit_image() -> None:
    record = evaluate_reconstruction(IMAGES, CLOSE)
    error = (IMAGES.astype(float) - CLOSE) ** 2
    each = error.mean(axis=(1, 2, 3))
    similarity = np.mean(
        [
            structural_similarity(
                x[..., 0],
                r[..., 0],
                data_range=1,
                gaussian_weights=True,
                use_sample_covariance=False,
            )
            for x, r in zip(IMAGES.astype(float), CLOSE.astype(float), strict=True)
        ]
    )
    names = ("mse", "mae", "rmse", "euclidean_distance", "psnr", "ssim")
    values = {name: record.metrics[name].value for name in names}
    expected = {
        "euclidean_distance": np.sqrt(each * 256).mean(),
        "mse": each.mean(),
        "mae": np.abs(IMAGES.astype(float) - CLOSE).mean(),
        "rmse": np.sqrt(each).mean(),
        "psnr": (-10 * np.log10(each)).mean(),
        "ssim": similarity,
    }
    assert values == pytest.approx(expected, rel=1e-6)
    assert all(
        estimate.low < estimate.value < estimate.high for estimate in record.metrics.values()
    )


@settings(max_examples=15, deadline=None)
@given(st.floats(0.01, 0.2), st.floats(1.3, 3))
def test_a_worse_reconstruction_is_worse_by_every_metric(noise: float, factor: float) -> None:
    off = RNG.normal(size=IMAGES.shape)
    better, worse = (
        evaluate_reconstruction(IMAGES, np.clip(IMAGES + noise * times * off, 0, 1)).metrics
        for times in (1, factor)
    )
    for name in ERRORS:
        assert worse[name].value > better[name].value
    for name in ("psnr", "ssim", "msgms"):
        assert worse[name].value < better[name].value


def test_intervals_of_three_images_hold_nothing_impossible() -> None:
    worse = np.stack([IMAGES[0], CLOSE[1], np.ones_like(IMAGES[2])])
    metrics = evaluate_reconstruction(IMAGES[:3], worse).metrics
    for name in ERRORS:
        assert metrics[name].low == 0
    for name in ("ssim", "ms_ssim", "msgms"):
        assert metrics[name].high == 1


def test_a_perfect_copy_has_no_mean_psnr_and_says_why() -> None:
    record = evaluate_reconstruction(IMAGES, IMAGES)
    assert record.metrics["mse"].value == 0
    assert record.metrics["psnr"].value is None
    assert found(record, "undefined-metric").measured["n_infinite"] == {"psnr": 40}


@pytest.mark.parametrize(
    ("images", "reconstructions", "severity"),
    [
        (IMAGES * 255, CLOSE * 255, "note"),
        (IMAGES * 255, CLOSE, "error"),
        (IMAGES, CLOSE * 255, "error"),
        (IMAGES * 2 - 1, CLOSE * 2 - 1, "note"),
        ((IMAGES * 255).astype(np.int64), CLOSE * 255, "note"),
    ],
)
def test_other_scales_are_brought_to_0_1_with_a_finding(
    images, reconstructions, severity: str
) -> None:
    record = evaluate_reconstruction(images, reconstructions)
    plain = evaluate_reconstruction(IMAGES, CLOSE)
    assert record.metrics["mse"].value == pytest.approx(plain.metrics["mse"].value, rel=0.02)
    assert found(record, "scale").severity == severity


def test_bytes_need_no_finding() -> None:
    record = evaluate_reconstruction(
        (IMAGES * 255).astype(np.uint8), (CLOSE * 255).astype(np.uint8)
    )
    assert found(record, "scale") is None


def test_a_linear_layers_oversteps_are_clipped_and_counted() -> None:
    record = evaluate_reconstruction(IMAGES, IMAGES * 1.2)
    assert found(record, "clipped-values").measured["clipped_share"] == pytest.approx(
        (IMAGES * 1.2 > 1).mean()
    )
    assert record.metrics["mse"].value == pytest.approx(
        ((IMAGES - np.clip(IMAGES * 1.2, 0, 1)) ** 2).mean(), rel=1e-4
    )


def test_flat_images_are_judged_without_neighbours() -> None:
    record = evaluate_reconstruction(IMAGES.reshape(40, -1), CLOSE.reshape(40, -1))
    assert record.metrics["mse"].value == pytest.approx(
        evaluate_reconstruction(IMAGES, CLOSE).metrics["mse"].value
    )
    assert "ssim" not in record.metrics


def test_colour_and_two_axes_are_taken() -> None:
    assert (
        evaluate_reconstruction(IMAGES[..., 0], CLOSE[..., 0]).metrics
        == evaluate_reconstruction(IMAGES, CLOSE).metrics
    )
    colour = np.repeat(IMAGES, 3, axis=3)
    assert evaluate_reconstruction(colour, colour * 0.9).metrics["mse"].value > 0


def test_train_errors_show_overfitting_and_a_collapse_is_found() -> None:
    record = evaluate_reconstruction(IMAGES, CLOSE, train_errors=0.00001)
    assert found(record, "overfitting").severity == "error"
    flat = evaluate_reconstruction(IMAGES, np.full_like(IMAGES, IMAGES.mean()))
    assert found(flat, "collapsed-reconstruction").severity == "error"


def test_baselines_are_compared_by_mse_where_lower_is_better() -> None:
    record = evaluate_reconstruction(
        IMAGES, CLOSE, baselines={"pca": {"mse": Estimate(value=1e-9)}}
    )
    assert found(record, "not-better-than-baseline").severity == "warning"


def test_no_images_give_null_and_a_reason() -> None:
    record = evaluate_reconstruction(IMAGES[:0], CLOSE[:0])
    assert record.n_images == 0
    assert all(estimate.value is None for estimate in record.metrics.values())
    assert found(record, "undefined-metric").meaning.startswith("There are no images.")


@pytest.mark.parametrize(
    ("images", "reconstructions", "kind"),
    [
        (IMAGES, CLOSE[:3], ShapeError),
        (IMAGES, CLOSE[:, :8], ShapeError),
        (IMAGES, np.where(CLOSE > 0.9, np.nan, CLOSE), RangeError),
        (IMAGES, CLOSE * 1e9, RangeError),
        ([[["a"]]], [[["b"]]], RangeError),
        (3, 4, ShapeError),
    ],
)
def test_bad_images_are_refused(images, reconstructions, kind) -> None:
    with pytest.raises(kind):
        evaluate_reconstruction(images, reconstructions)


def test_problems_of_both_arrays_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        evaluate_reconstruction(np.full((2, 4, 4), np.nan), np.zeros(3), train_errors=[np.nan])
    assert len(str(caught.value).splitlines()) == 3
