"""'accuracy' against the installed Keras, on thousands of random cases, and what old versions
did."""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "torch"

import numpy as np
import pytest

from residua.errors import RangeError, ShapeError
from residua.metrics import keras as ours

ml_dtypes = pytest.importorskip("ml_dtypes", reason="bfloat16 needs ml_dtypes, which Keras brings")
keras = pytest.importorskip("keras", reason="the differential test needs Keras")
from keras.src import backend  # noqa: E402
from keras.src.trainers.compile_utils import get_metric  # noqa: E402

N_CASES = 1500


def keras_accuracy(y_true, y_pred, sample_weight=None, mask=None, identifier="accuracy"):
    """The metric class that Keras resolves the string to, and its result."""
    predicted = backend.convert_to_tensor(y_pred)
    metric = get_metric(identifier, y_true, predicted)
    return type(metric).__name__, keras_value(metric, y_true, predicted, sample_weight, mask)


def keras_value(metric, y_true, y_pred, sample_weight=None, mask=None):
    predicted = backend.convert_to_tensor(y_pred)
    if mask is not None:
        backend.set_keras_mask(predicted, backend.convert_to_tensor(mask))
    metric.update_state(y_true, predicted, sample_weight=sample_weight)
    return float(metric.result())


def random_case(rng):
    """Labels and predictions of random rank, layout and type, with many ties."""
    n, n_classes = int(rng.integers(1, 9)), int(rng.integers(2, 6))
    middle = tuple(rng.integers(1, 4, int(rng.integers(0, 3))).tolist())
    dtype = rng.choice([np.float32, np.float64, np.float16])
    steps = int(rng.choice([4, 1000]))
    kind = rng.choice(
        ["binary", "binary flat", "categorical", "sparse", "sparse column", "images", "rank 1"]
    )

    def grid(shape):
        return (rng.integers(0, steps + 1, shape) / steps).astype(dtype)

    if kind == "binary":
        labels = rng.integers(0, 2, (n, *middle, 1)).astype(
            rng.choice([np.int64, np.float32, np.bool_])
        )
        return labels, grid((n, *middle, 1))
    if kind == "binary flat":
        return rng.integers(0, 2, n), grid((n, 1))
    if kind == "categorical":
        return np.eye(n_classes, dtype=np.float32)[rng.integers(0, n_classes, (n, *middle))], grid(
            (n, *middle, n_classes)
        )
    if kind == "sparse":
        return rng.integers(0, n_classes, (n, *middle)), grid((n, *middle, n_classes))
    if kind == "sparse column":
        return rng.integers(0, n_classes, (n, *middle, 1)).astype(np.float32), grid(
            (n, *middle, n_classes)
        )
    if kind == "images":
        return grid((n, *middle, int(rng.choice([1, 3])))), None
    return grid(n), grid(n)


def with_predictions(rng, y_true, y_pred):
    if y_pred is not None:
        return y_true, y_pred
    noisy = y_true.astype(np.float64) + rng.choice([0.0, 0.3]) * rng.normal(size=y_true.shape)
    return y_true, np.clip(noisy, 0, 1).astype(y_true.dtype)


@pytest.mark.parametrize("seed", range(4))
def test_accuracy_resolves_to_the_same_rule_and_the_same_count_as_keras(seed):
    rng = np.random.default_rng(seed)
    rules = set()
    for _ in range(N_CASES):
        y_true, y_pred = with_predictions(rng, *random_case(rng))
        rule, value = keras_accuracy(y_true, y_pred)
        found = ours.accuracy(y_true, y_pred)
        n = y_pred.size if rule == "BinaryAccuracy" else max(1, y_pred.size // y_pred.shape[-1])
        assert (found.rule, round(found.value * n)) == (rule, round(value * n)), (y_true, y_pred)
        assert found.value == pytest.approx(value, abs=1e-6)
        rules.add(rule)
    assert rules == {"BinaryAccuracy", "CategoricalAccuracy", "SparseCategoricalAccuracy"}


@pytest.mark.parametrize("seed", range(2))
def test_weights_and_masks_count_as_in_keras(seed):
    rng = np.random.default_rng(100 + seed)
    for _ in range(N_CASES // 2):
        y_true, y_pred = with_predictions(rng, *random_case(rng))
        if y_pred.ndim == 1:
            continue
        n_axes = int(rng.integers(1, y_pred.ndim))
        shape = y_pred.shape[:n_axes]
        weight = (
            rng.choice([0.0, 0.5, 1.0, 3.0], shape).astype(np.float32)
            if rng.random() < 0.7
            else None
        )
        mask = rng.random(shape) < 0.7 if rng.random() < 0.7 else None
        rule, value = keras_accuracy(y_true, y_pred, weight, mask)
        found = ours.accuracy(y_true, y_pred, sample_weight=weight, mask=mask)
        assert (found.rule, found.value) == (rule, pytest.approx(value, abs=1e-6)), (
            y_true.shape,
            y_pred.shape,
            weight,
            mask,
        )


@pytest.mark.parametrize(
    ("ours_function", "metric", "layout"),
    [
        (ours.top_k_categorical_accuracy, "TopKCategoricalAccuracy", "one-hot"),
        (ours.sparse_top_k_categorical_accuracy, "SparseTopKCategoricalAccuracy", "index"),
    ],
)
def test_top_k_counts_every_tie_at_the_boundary_as_keras_does(ours_function, metric, layout):
    rng = np.random.default_rng(3)
    for _ in range(N_CASES // 2):
        n, n_classes = int(rng.integers(1, 9)), int(rng.integers(2, 7))
        k = int(rng.integers(1, n_classes + 1))
        predicted = (rng.integers(0, 4, (n, n_classes)) / 3).astype(np.float32)
        labels = rng.integers(0, n_classes, n)
        truth = np.eye(n_classes, dtype=np.float32)[labels] if layout == "one-hot" else labels
        weight = rng.choice([0.0, 1.0, 2.0], n).astype(np.float32) if rng.random() < 0.5 else None
        expected = keras_value(getattr(keras.metrics, metric)(k=k), truth, predicted, weight)
        assert ours_function(truth, predicted, k, sample_weight=weight) == pytest.approx(
            expected, abs=1e-6
        )


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_binary_accuracy_follows_keras_at_any_threshold(threshold, dtype):
    rng = np.random.default_rng(5)
    labels, predicted = (
        rng.integers(0, 2, (200, 3)),
        (rng.integers(0, 11, (200, 3)) / 10).astype(dtype),
    )
    expected = keras_value(keras.metrics.BinaryAccuracy(threshold=threshold), labels, predicted)
    assert ours.binary_accuracy(labels, predicted, threshold=threshold) == pytest.approx(
        expected, abs=1e-6
    )


def test_categorical_and_sparse_functions_agree_with_keras_metrics():
    rng = np.random.default_rng(6)
    labels, predicted = rng.integers(0, 4, 300), rng.random((300, 4)).astype(np.float32)
    one_hot = np.eye(4, dtype=np.float32)[labels]
    expected = keras_value(keras.metrics.SparseCategoricalAccuracy(), labels, predicted)
    assert ours.sparse_categorical_accuracy(labels, predicted) == pytest.approx(expected, abs=1e-6)
    assert ours.categorical_accuracy(one_hot, predicted) == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)  # torch's, inside Keras
def test_a_compiled_model_prints_the_same_number():
    rng = np.random.default_rng(7)
    images = rng.random((32, 4, 4, 1)).astype(np.float32).round(1)
    model = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 3, padding="same", activation="sigmoid")]
    )
    model.compile(loss="mse", metrics=["accuracy"])
    printed = model.evaluate(images, images, verbose=0, return_dict=True)["accuracy"]
    found = ours.accuracy(images, model.predict(images, verbose=0))
    assert found.rule == "BinaryAccuracy"
    assert found.value == pytest.approx(printed, abs=1e-6)


def test_one_of_two_positives_is_categorical_and_wrong_by_name_but_five_sixths_when_binary():
    labels, outputs = [[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]]
    found = ours.accuracy(labels, outputs)
    assert (found.rule, found.threshold, found.value) == ("CategoricalAccuracy", None, 0.0)
    assert ours.binary_accuracy(labels, outputs) == pytest.approx(5 / 6)


def test_a_hundred_samples_of_two_classes_are_binary_or_categorical_by_their_columns():
    rng = np.random.default_rng(8)
    labels, p = rng.integers(0, 2, 100), rng.random(100).astype(np.float32)
    by_class = np.stack([1 - p, p], axis=1)
    one_column, two_columns = (
        ours.accuracy(labels, p[:, np.newaxis]),
        ours.accuracy(labels, by_class),
    )
    assert (one_column.rule, one_column.threshold) == ("BinaryAccuracy", 0.5)
    assert (two_columns.rule, two_columns.threshold) == ("SparseCategoricalAccuracy", None)
    assert one_column.value == two_columns.value == pytest.approx(((p > 0.5) == labels).mean())
    one_hot = ours.accuracy(np.eye(2)[labels], by_class)
    assert (one_hot.rule, one_hot.value) == ("CategoricalAccuracy", one_column.value)


@pytest.mark.parametrize(
    ("shape", "rule"),
    [
        ((5, 28, 28, 1), "BinaryAccuracy"),
        ((5, 8, 8, 3), "CategoricalAccuracy"),
        ((5, 1, 28, 28), "CategoricalAccuracy"),
        ((5, 784), "CategoricalAccuracy"),
        ((5,), "CategoricalAccuracy"),
    ],
)
def test_images_as_labels_get_the_rule_of_their_last_axis(shape, rule):
    images = np.random.default_rng(9).random(shape)
    found = ours.accuracy(images, images)
    assert found.rule == rule
    assert found.value == (
        0.0 if rule == "BinaryAccuracy" else 1.0
    )  # a grey pixel never equals 0 or 1


def test_before_2_4_the_loss_decides():
    labels, p = np.array([[1, 0, 1]]), np.array([[0.9, 0.2, 0.4]])
    assert (
        ours.accuracy(labels, p, version="2.3", loss="binary_crossentropy").rule == "BinaryAccuracy"
    )
    assert ours.accuracy(labels, p, version="2.3", loss="mse").rule == "CategoricalAccuracy"
    assert (
        ours.accuracy(labels, p, version="2.4", loss="binary_crossentropy").rule
        == "CategoricalAccuracy"
    )
    column = np.array([[2]])
    assert (
        ours.accuracy(column, p, version="1.0.6", loss="sparse_categorical_crossentropy").rule
        == "SparseCategoricalAccuracy"
    )
    assert ours.accuracy(column, p, version="2.4", loss="mse").rule == "SparseCategoricalAccuracy"
    assert (
        ours.accuracy(labels, p, version="2.2", loss=keras.losses.BinaryCrossentropy()).rule
        == "BinaryAccuracy"
    )
    assert (
        ours.accuracy(labels, p, version="2.2", loss=keras.losses.binary_crossentropy).rule
        == "BinaryAccuracy"
    )


def test_before_2_4_binary_accuracy_rounds_halves_to_even():
    labels, predicted = (
        np.array([[1], [0], [1], [0], [0]]),
        np.array([[0.5], [0.5], [1.7], [-0.7], [0.4]]),
    )
    old = [
        ours.binary_accuracy(labels[i : i + 1], predicted[i : i + 1], version="2.3.1")
        for i in range(5)
    ]
    new = [
        ours.binary_accuracy(labels[i : i + 1], predicted[i : i + 1], version="2.4")
        for i in range(5)
    ]
    assert old == [0, 1, 0, 0, 1]
    assert new == [0, 1, 1, 1, 1]


def test_soft_labels_never_match_and_nan_counts_as_0():
    assert ours.binary_accuracy([[0.9]], [[0.9]]) == 0.0
    assert ours.binary_accuracy([[0], [1]], [[np.nan], [np.nan]]) == 0.5


def test_an_empty_set_has_accuracy_0_and_so_has_one_without_weight():
    assert ours.accuracy(np.zeros((0, 3)), np.zeros((0, 3))).value == 0.0
    assert ours.accuracy(np.zeros((0, 1)), np.zeros((0, 1))).value == 0.0
    assert ours.accuracy([[1], [0]], [[0.9], [0.1]], sample_weight=[0, 0]).value == 0.0


def test_masks_without_weights_are_ignored_from_3_0_to_3_11_only():
    labels, p, mask = np.array([[1], [1]]), np.array([[0.9], [0.1]]), np.array([True, False])
    values = {
        v: ours.accuracy(labels, p, version=v, mask=mask).value
        for v in ("2.15", "3.0", "3.11", "3.12", "3")
    }
    assert values == {"2.15": 1.0, "3.0": 0.5, "3.11": 0.5, "3.12": 1.0, "3": 1.0}
    assert ours.accuracy(labels, p, version="3.5", mask=mask, sample_weight=[1, 1]).value == 1.0


def test_half_precision_makes_neighbouring_classes_equal_since_3_4():
    predicted = np.zeros((4, 1002), ml_dtypes.bfloat16)
    predicted[:, 1000] = 1
    labels = np.array([1000, 1001, 1001, 1001])
    assert ours.sparse_categorical_accuracy(labels, predicted, version="3.3") == 0.25
    assert ours.sparse_categorical_accuracy(labels, predicted, version="3.4") == 1.0
    metric = keras.metrics.SparseCategoricalAccuracy()
    assert (
        keras_value(
            metric,
            labels,
            backend.convert_to_tensor(predicted.astype(np.float32), dtype="bfloat16"),
        )
        == 1.0
    )


def test_thresholds_outside_0_and_1_are_refused_where_keras_refused_them():
    for threshold in (0.0, 1.0, 1.5):
        with pytest.raises(RangeError, match=r"threshold in \(0, 1\)"):
            ours.binary_accuracy([[1]], [[2.0]], threshold=threshold, version="3.4")
    assert ours.binary_accuracy([[1]], [[2.0]], threshold=1.5, version="3.5") == 1.0
    assert ours.binary_accuracy([[1]], [[2.0]], threshold=1.5, version="2.15") == 1.0


@pytest.mark.parametrize("version", ["4.0", "0.9", "three", "3.x", ""])
def test_unknown_versions_are_refused(version):
    with pytest.raises(RangeError, match="Keras version"):
        ours.accuracy([[1]], [[1.0]], version=version)


def test_what_keras_cannot_compare_is_refused_in_words():
    with pytest.raises(ShapeError, match="comparable"):
        ours.accuracy(np.zeros((2, 4)), np.zeros((3, 4)))
    with pytest.raises(ShapeError, match="sample_weight"):
        ours.accuracy(np.zeros((2, 1)), np.zeros((2, 1)), sample_weight=[1, 2, 3])
    with pytest.raises(RangeError, match="must be numbers"):
        ours.accuracy(["cat"], [[0.1, 0.9]])


def test_the_sentence_says_what_was_compared():
    assert "largest of 784" in ours.accuracy(np.zeros((2, 784)), np.zeros((2, 784))).meaning
    assert "y_pred > 0.5" in ours.accuracy(np.zeros((2, 1)), np.zeros((2, 1))).meaning
    assert "whole batch" in ours.accuracy(np.zeros(3), np.zeros(3)).meaning
    assert "rounded" in ours.accuracy(np.zeros((2, 1)), np.zeros((2, 1)), version="2.0").meaning
