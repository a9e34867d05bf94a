"""What the metrics do at their edges: nothing to divide by, ties, small images, names of classes,
bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays

from residua import metrics
from residua.errors import InputError, LabelError, RangeError, ShapeError
from residua.metrics import classification

FIVE_CLASSES = [
    [109, 0, 4, 1, 87],
    [0, 282, 13, 0, 140],
    [0, 6, 474, 6, 757],
    [3, 4, 50, 174, 358],
    [1, 0, 29, 2, 2500],
]

PER_IMAGE = [
    metrics.mse,
    metrics.mae,
    metrics.rmse,
    metrics.psnr,
    metrics.kl_divergence,
    metrics.binary_cross_entropy,
    metrics.contrast_normalised_error,
    metrics.euclidean_distance,
    metrics.ssim,
    metrics.ms_ssim,
    metrics.gradient_magnitude_similarity,
    metrics.multiscale_gradient_magnitude_similarity,
]
SIMILARITIES = {
    metrics.psnr,
    metrics.ssim,
    metrics.ms_ssim,
    metrics.gradient_magnitude_similarity,
    metrics.multiscale_gradient_magnitude_similarity,
}
BY_CLASS = [
    classification.accuracy,
    classification.balanced_accuracy,
    classification.precision,
    classification.f1,
]


def test_the_matrix_of_five_classes_has_false_positives_down_its_columns_and_false_negatives_along_its_rows():
    read = metrics.metrics_from_confusion(FIVE_CLASSES)
    assert (read.n, read.accuracy) == (5000, 3539 / 5000)
    assert read.false_positives.tolist() == [4, 10, 96, 9, 1342]
    assert read.false_negatives.tolist() == [92, 153, 769, 415, 32]
    assert read.precision[4] == 2500 / 3842
    assert read.recall[4] == 2500 / 2532
    assert (
        read.true_positives + read.false_positives + read.false_negatives + read.true_negatives
        == 5000
    ).all()


def test_undefined_is_nan_and_never_0():
    read = metrics.metrics_from_confusion([[3, 0, 0], [2, 0, 0], [0, 0, 0]])
    assert np.isnan(read.precision[1:]).all()
    assert np.isnan(read.recall[2])
    assert read.f1[1] == 0
    assert np.isnan(
        [
            read.matthews_correlation,
            read.average("precision", "macro"),
            read.average("precision", "weighted"),
        ]
    ).all()
    assert np.isnan(
        [
            metrics.accuracy([], []),
            metrics.cohen_kappa([1, 1], [1, 1]),
            metrics.multiclass_roc_auc([0, 1], np.eye(3)[:2]),
        ]
    ).all()
    assert np.isnan(metrics.subset_accuracy(np.zeros((0, 3)), np.zeros((0, 3))))


def test_counts_of_a_hundred_million_images_keep_the_coefficients_exact():
    n = 10**9
    read = metrics.metrics_from_confusion([[n, 1], [0, 1]])
    assert read.matthews_correlation == pytest.approx(0.5**0.5, rel=1e-6)
    assert read.cohen_kappa == pytest.approx(2 / 3, rel=1e-6)
    assert np.isnan(metrics.metrics_from_confusion([[n + 1, 0], [0, 0]]).matthews_correlation)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30),
    st.permutations(range(4)),
)
def test_what_classes_are_called_does_not_matter(pairs, renamed):
    true, predicted = np.array(pairs).T
    names = np.array(["d", "b", "a", "c"])[list(renamed)]
    for metric in (
        metrics.accuracy,
        metrics.balanced_accuracy,
        metrics.cohen_kappa,
        metrics.matthews_correlation,
    ):
        assert metric(names[true], names[predicted]) == pytest.approx(
            metric(true, predicted), nan_ok=True
        )


def test_numbers_read_from_text_are_the_same_classes():
    assert metrics.accuracy(["3", "1"], [3, 1]) == 1.0
    assert metrics.accuracy([3.0, 1.0], [3, 1]) == 1.0


def test_the_first_of_equal_probabilities_wins_so_that_top_1_is_the_accuracy():
    even = np.full((4, 4), 0.25)
    labels = [0, 1, 2, 3]
    assert metrics.accuracy(labels, even) == metrics.top_k_accuracy(labels, even, 1) == 0.25
    assert metrics.top_k_accuracy(labels, even, 3) == 0.75
    assert metrics.accuracy([0, 1], [0.5, 0.5]) == 0.5


@given(st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_calibration_error_is_torchmetrics(seed):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(4), 50)
    y = rng.integers(0, 4, 50)
    theirs = functional.multiclass_calibration_error(
        torch.from_numpy(p), torch.from_numpy(y), num_classes=4, n_bins=15
    )
    assert metrics.expected_calibration_error(y, p) == pytest.approx(float(theirs), abs=1e-6)


def test_confidence_that_is_as_often_right_as_it_says_has_no_calibration_error():
    p = np.tile([0.75, 0.25], (4, 1))
    assert metrics.expected_calibration_error([0, 0, 0, 1], p) == pytest.approx(0)
    assert metrics.expected_calibration_error([1, 1, 1, 1], p) == pytest.approx(0.75)


def test_element_wise_accuracy_flatters_where_few_labels_hold():
    labels, outputs = [[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]]
    found = metrics.inflation(labels, outputs)
    assert found.element_wise_accuracy == pytest.approx(5 / 6)
    assert found.all_negative_accuracy == pytest.approx(4 / 6)
    assert (found.recall, found.precision, found.subset_accuracy) == (0.5, 1.0, 0.0)
    assert found.gain == pytest.approx(0.5)
    silent = metrics.inflation(labels, np.zeros((1, 6)))
    assert silent.gain == 0
    assert np.isnan(silent.precision)


@pytest.mark.parametrize("metric", PER_IMAGE)
def test_a_worse_reconstruction_is_told_apart_and_order_of_images_does_not_matter(metric):
    rng = np.random.default_rng(0)
    images = np.kron(rng.random((3, 4, 4)), np.ones((8, 8)))
    noise = rng.normal(size=images.shape)
    slight, heavy = (np.clip(images + sd * noise, 0, 1) for sd in (0.02, 0.2))
    change = metric(images, heavy) - metric(images, slight)
    assert (change < 0).all() if metric in SIMILARITIES else (change > 0).all()
    assert np.array_equal(metric(images[::-1], heavy[::-1]), metric(images, heavy)[::-1])


@pytest.mark.parametrize("metric", PER_IMAGE)
def test_each_image_is_judged_alone_and_no_image_gives_no_number(metric):
    rng = np.random.default_rng(1)
    images, reconstructions = rng.random((2, 300, 16, 16, 3)).astype(
        np.float32
    )  # more than one block
    together = metric(images, reconstructions)
    assert together.dtype == np.float64
    assert together[[0, 150, 299]] == pytest.approx(
        [metric(images[i : i + 1], reconstructions[i : i + 1])[0] for i in (0, 150, 299)]
    )
    assert metric(images[:0], reconstructions[:0]).shape == (0,)


@given(arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(1, 14), st.integers(1, 14))))
@settings(max_examples=60, deadline=None)
def test_a_copy_is_perfect_at_any_size(images):
    for similarity in (
        metrics.ssim,
        metrics.ms_ssim,
        metrics.gradient_magnitude_similarity,
        metrics.multiscale_gradient_magnitude_similarity,
    ):
        assert similarity(images, images) == pytest.approx(1)
    for error in (metrics.mse, metrics.kl_divergence, metrics.contrast_normalised_error):
        assert error(images, images) == pytest.approx(0, abs=1e-12)
    assert np.isposinf(metrics.psnr(images, images)).all()


@pytest.mark.parametrize(
    ("shape", "half"), [((2, 30, 24), 5), ((2, 12, 20, 3), 5), ((2, 8, 9), 3), ((1, 2, 5), 0)]
)
def test_ssim_is_the_mean_of_its_map_where_the_whole_window_fits(shape, half):
    rng = np.random.default_rng(2)
    x, r = rng.random(shape), rng.random(shape)
    similarity = metrics.ssim_map(x, r)
    assert similarity.shape == shape[:3]
    inner = similarity[:, half : shape[1] - half, half : shape[2] - half]
    assert metrics.ssim(x, r) == pytest.approx(inner.mean(axis=(1, 2)))
    assert metrics.gradient_magnitude_similarity(x, r) == pytest.approx(
        metrics.gms_map(x, r).mean(axis=(1, 2))
    )


def test_a_blank_image_has_a_finite_contrast_normalised_error():
    blank, spot = np.zeros((1, 8, 8)), np.zeros((1, 8, 8))
    spot[0, 4, 4] = 1
    assert metrics.contrast_normalised_error(blank, spot)[0] == pytest.approx(255**2 / 64)


def test_divergence_without_epsilon_is_infinite_or_undefined_where_it_must_be():
    image = np.array([[[0.5, 0.5]]])
    assert metrics.kl_divergence(image, np.array([[[1.0, 0.0]]]), epsilon=0)[0] == np.inf
    assert np.isnan(metrics.kl_divergence(np.zeros((1, 1, 2)), image, epsilon=0))[0]
    assert metrics.kl_divergence(np.zeros((1, 1, 2)), image)[0] == pytest.approx(0)


@pytest.mark.parametrize("metric", PER_IMAGE)
def test_bad_images_are_refused_with_all_problems_at_once(metric):
    with pytest.raises(ShapeError, match="same shape"):
        metric(np.zeros((2, 4, 4)), np.zeros((2, 4, 5)))
    with pytest.raises(RangeError) as refused:
        metric(np.full((1, 4, 4), np.nan), np.full((1, 4, 4), 3.0))
    assert "images must be finite" in str(refused.value)
    assert "float reconstructions must lie in [0, 1]" in str(refused.value)


@pytest.mark.parametrize("metric", BY_CLASS)
def test_bad_classes_and_probabilities_are_refused_in_words(metric):
    with pytest.raises(ShapeError, match="same length"):
        metric([0, 1], [0])
    with pytest.raises(RangeError, match="sum to 1"):
        metric([0, 1], [[0.5, 0.6], [0.5, 0.5]])
    with pytest.raises(RangeError, match="softmax"):
        metric([0, 1], [[2.0, -1.0], [0.0, 1.0]])
    with pytest.raises(LabelError, match="missing labels"):
        metric(np.array(["a", None], object), ["a", "b"])
    with pytest.raises(LabelError, match="known classes"):
        metric([0, 7], [0, 1], classes=[0, 1])
    with pytest.raises(LabelError, match="one column per class"):
        metric(["a", "b"], np.full((2, 3), 1 / 3))
    with pytest.raises(InputError) as refused:
        metric([[0, 1]], [[np.nan, 1.0]])
    assert "y_true must have shape" in str(refused.value)
    assert "probabilities must be finite" in str(refused.value)


def test_bad_options_are_refused():
    image = np.zeros((1, 4, 4))
    for call in (
        lambda: metrics.ssim(image, image, window=4),
        lambda: metrics.ssim(image, image, sigma=0),
        lambda: metrics.multiscale_gradient_magnitude_similarity(image, image, scales=0),
        lambda: metrics.kl_divergence(image, image, epsilon=-1),
        lambda: metrics.binary_cross_entropy(image, image, epsilon=0),
        lambda: metrics.latent_compression((28, 28), 0),
        lambda: metrics.top_k_accuracy([0], [0.5], 0),
        lambda: metrics.reliability_table([0], [0.5], bins=0),
        lambda: metrics.confusion_matrix([0], [0], normalise="rows"),
        lambda: metrics.f1([0], [0], average="mean"),
        lambda: metrics.metrics_from_confusion([[1, -1], [0, 1]]),
        lambda: metrics.inflation([[1, 0]], [[1.5, 0.0]]),
    ):
        with pytest.raises(RangeError):
            call()


def test_bad_label_matrices_are_refused():
    with pytest.raises(ShapeError, match="n_labels"):
        metrics.subset_accuracy([1, 0], [1, 0])
    with pytest.raises(LabelError, match="0 and 1 only"):
        metrics.hamming_loss([[2, 0]], [[1, 0]])
    with pytest.raises(ShapeError, match="same shape"):
        metrics.multilabel_f1([[1, 0]], [[1, 0, 1]])


def test_confusion_as_rates_sums_to_1_along_what_it_is_divided_by():
    true, predicted = [0, 0, 1, 2, 2, 2], [0, 1, 1, 0, 2, 2]
    assert metrics.confusion_matrix(true, predicted, normalise="true").sum(axis=1) == pytest.approx(
        1
    )
    assert metrics.confusion_matrix(true, predicted, normalise="predicted").sum(
        axis=0
    ) == pytest.approx(1)
    assert metrics.confusion_matrix(true, predicted, normalise="all").sum() == pytest.approx(1)
    assert np.isnan(metrics.confusion_matrix([0], [0], classes=[0, 1], normalise="true")[1]).all()


def test_the_audit_tells_scales_apart_and_knows_a_linear_layer_that_oversteps():
    x = np.linspace(0, 1, 64).reshape(1, 8, 8)
    scales = {"0-1": x, "0-255": x * 255, "0-65535": x * 65535, "-1..1": 2 * x - 1}
    for name, array in scales.items():
        audit = metrics.scale_audit(array, array)
        assert (audit.images.scale, audit.comparable, audit.mse) == (name, True, 0)
    assert metrics.scale_audit(x, x * 1.1 - 0.05).comparable
    crossed = metrics.scale_audit(x, x * 255)
    assert not crossed.comparable
    assert np.isnan(crossed.mse)
    assert "measures the scale, not the model" in crossed.meaning
    grey = metrics.scale_audit(255 * x, 255 * (1 - x))
    assert grey.mse_as_given == pytest.approx(255**2 * grey.mse)
    assert grey.sum_as_given == pytest.approx(64 * grey.mse_as_given)
