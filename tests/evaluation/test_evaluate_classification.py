"""What is said of a classifier: the documents' confusion matrix, probabilities, several labels an
image."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from residua.errors import LabelError, RangeError, ShapeError
from residua.evaluation import evaluate_classification
from residua.images.duplicates import Leaks

MATRIX = np.array(
    [
        [109, 0, 4, 1, 87],
        [0, 282, 13, 0, 140],
        [0, 6, 474, 6, 757],
        [3, 4, 50, 174, 358],
        [1, 0, 29, 2, 2500],
    ]
)
TRUE = np.repeat(np.arange(5), MATRIX.sum(axis=1))
PREDICTED = np.concatenate([np.repeat(np.arange(5), row) for row in MATRIX])
RNG = np.random.default_rng(0)


def found(record, code: str):
    return next((finding for finding in record.findings if finding.code == code), None)


def test_the_documents_matrix_of_5000_images_has_accuracy_07078() -> None:
    record = evaluate_classification(TRUE, PREDICTED)
    assert record.n_images == 5000
    assert record.metrics["accuracy"].value == pytest.approx(3539 / 5000)
    told = found(record, "most-confused").measured
    assert told["confusion_matrix"] == MATRIX.tolist()
    assert (told["true"], told["predicted"], told["n"]) == ("2", "4", 757)


def test_rows_are_true_so_precision_goes_down_a_column_and_recall_along_a_row() -> None:
    values = {
        name: estimate.value
        for name, estimate in evaluate_classification(TRUE, PREDICTED).metrics.items()
    }
    for k in range(5):
        assert values[f"precision[{k}]"] == pytest.approx(MATRIX[k, k] / MATRIX[:, k].sum())
        assert values[f"recall[{k}]"] == pytest.approx(MATRIX[k, k] / MATRIX[k].sum())


def test_metrics_of_classes_equal_scikit_learns_and_lie_in_their_intervals() -> None:
    metrics = evaluate_classification(TRUE, PREDICTED).metrics
    expected = {
        "balanced_accuracy": sk.balanced_accuracy_score(TRUE, PREDICTED),
        "matthews_correlation": sk.matthews_corrcoef(TRUE, PREDICTED),
        "cohen_kappa": sk.cohen_kappa_score(TRUE, PREDICTED),
        "f1": sk.f1_score(TRUE, PREDICTED, average="macro"),
        "f1_weighted": sk.f1_score(TRUE, PREDICTED, average="weighted"),
        "precision": sk.precision_score(TRUE, PREDICTED, average="macro"),
    }
    for name, value in expected.items():
        assert metrics[name].value == pytest.approx(value)
        assert metrics[name].low < value < metrics[name].high


@pytest.mark.parametrize("k", [2, 3, 6])
def test_metrics_of_probabilities_equal_scikit_learns(k: int) -> None:
    true = np.arange(200) % k
    p = RNG.dirichlet(np.ones(k), 200) * 0.7 + 0.3 * np.eye(k)[true]
    metrics = evaluate_classification(true, p).metrics
    of = p[:, 1] if k == 2 else p
    expected = {
        "roc_auc": sk.roc_auc_score(true, of, multi_class="ovr"),
        "log_loss": sk.log_loss(true, p),
        "brier_score": (
            sk.brier_score_loss(true, of)
            if k == 2
            else ((p - np.eye(k)[true]) ** 2).sum(axis=1).mean()
        ),
    }
    for top in (3, 5):
        if k > top:
            expected[f"top_{top}_accuracy"] = sk.top_k_accuracy_score(true, p, k=top)
    for name, value in expected.items():
        assert metrics[name].value == pytest.approx(value)
        assert metrics[name].low <= value <= metrics[name].high


def test_our_per_image_losses_are_those_of_the_metrics_room() -> None:
    from residua import metrics as room

    true = np.arange(200) % 3
    p = RNG.dirichlet(np.ones(3), 200)
    told = evaluate_classification(true, p).metrics
    assert told["log_loss"].value == pytest.approx(room.log_loss(true, p))
    assert told["brier_score"].value == pytest.approx(room.brier_score(true, p))
    # The room's counts the noise of each bin as error too.
    calibration = told["expected_calibration_error"]
    assert calibration.value < room.expected_calibration_error(true, p) < calibration.high


def test_one_column_is_the_probability_of_the_second_class_and_two_columns_say_the_same() -> None:
    true = np.where(np.arange(100) % 2 == 1, "dog", "cat")
    p = np.clip(RNG.random(100) + 0.2 * (true == "dog"), 0, 1)
    both = np.stack([1 - p, p], axis=1)
    assert evaluate_classification(true, p).metrics == evaluate_classification(true, both).metrics


def test_100_samples_of_two_classes_are_split_at_one_half_strictly() -> None:
    p = np.full(100, 0.5)
    record = evaluate_classification(np.arange(100) % 2, p)
    assert record.metrics["recall[0]"].value == 1
    assert record.metrics["recall[1]"].value == 0


def test_precision_of_0_and_1_is_that_of_1() -> None:
    true, predicted = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 0])
    metrics = evaluate_classification(true, predicted).metrics
    assert metrics["precision"].value == sk.precision_score(true, predicted)
    assert metrics["recall"] == metrics["recall[1]"]


def test_the_inflated_multi_label_case() -> None:
    record = evaluate_classification([[1, 0, 0, 0, 0, 1]], [[0.23, 0.34, 0.45, 0.22, 0.10, 0.9]])
    values = {name: estimate.value for name, estimate in record.metrics.items()}
    assert values["element_wise_accuracy"] == pytest.approx(5 / 6)
    assert (values["recall"], values["accuracy"]) == (0.5, 0.0)
    assert found(record, "inflated-accuracy").severity == "warning"


def test_multi_label_metrics_equal_scikit_learns() -> None:
    y = RNG.random((200, 4)) < 0.3
    p = np.clip(0.4 * y + 0.6 * RNG.random((200, 4)), 0, 1)
    metrics = evaluate_classification(y, p).metrics
    expected = {
        "accuracy": sk.accuracy_score(y, p > 0.5),
        "hamming_loss": sk.hamming_loss(y, p > 0.5),
        "precision": sk.precision_score(y, p > 0.5, average="micro"),
        "recall": sk.recall_score(y, p > 0.5, average="micro"),
        "f1": sk.f1_score(y, p > 0.5, average="micro"),
        "f1_macro": sk.f1_score(y, p > 0.5, average="macro"),
        "average_precision": sk.average_precision_score(y, p, average="macro"),
    }
    for name, value in expected.items():
        assert metrics[name].value == pytest.approx(value)
        assert metrics[name].low < value < metrics[name].high
    for label in range(4):
        column, said = y[:, label], p[:, label] > 0.5
        assert metrics[f"recall[{label}]"].value == pytest.approx(sk.recall_score(column, said))
        assert metrics[f"precision[{label}]"].value == pytest.approx(
            sk.precision_score(column, said)
        )
        assert metrics[f"f1[{label}]"].value == pytest.approx(sk.f1_score(column, said))
        assert metrics[f"average_precision[{label}]"].value == pytest.approx(
            sk.average_precision_score(column, p[:, label])
        )


def test_no_interval_of_a_few_images_leaves_the_range_of_its_metric() -> None:
    several = evaluate_classification(
        [[1, 0, 1], [0, 0, 1], [1, 1, 0]], [[0.9, 0.2, 0.8], [0.1, 0.4, 0.3], [0.6, 0.7, 0.2]]
    )
    single = evaluate_classification([0, 1, 1], [0.1, 0.9, 0.2])
    for record, names in (
        (several, ("element_wise_accuracy", "hamming_loss")),
        (single, ("brier_score",)),
    ):
        for name in names:
            assert (
                0
                <= record.metrics[name].low
                < record.metrics[name].value
                < record.metrics[name].high
                <= 1
            )
    assert 0 <= single.metrics["log_loss"].low < single.metrics["log_loss"].value


def test_the_commonest_class_is_set_beside_accuracy() -> None:
    record = evaluate_classification([0] * 90 + [1] * 10, [0] * 100)
    assert found(record, "majority-class").severity == "warning"
    assert record.metrics["precision"].value is None
    assert "nothing is predicted as 1" in found(record, "undefined-metric").meaning.lower()


def test_unlabelled_images_are_left_out() -> None:
    labels = np.array([None if i % 10 == 0 else int(i % 2) for i in range(100)], dtype=object)
    predicted = np.arange(100) % 2
    record = evaluate_classification(labels, predicted)
    assert record.metrics["accuracy"].n == 90
    assert found(record, "unlabelled-images").measured["n_unlabelled"] == 10


def test_text_labels_match_text_predictions_and_numbers_read_as_text() -> None:
    assert evaluate_classification(["3", "4"], [3, 4]).metrics["accuracy"].value == 1


def test_names_beside_numbers_are_refused_and_not_an_accuracy_of_0() -> None:
    with pytest.raises(LabelError, match="cat, dog and predictions 0, 1"):
        evaluate_classification(["cat", "dog"], [0, 1])
    assert evaluate_classification(["cat", "cat"], ["dog", "dog"]).metrics["accuracy"].value == 0


@pytest.mark.parametrize(
    ("labels", "predictions", "kind"),
    [
        ([0, 1, 1], [0, 1], ShapeError),
        ([0, 1], [[0.5, 0.4], [0.5, 0.5]], RangeError),
        ([0, 1], [[np.nan, 1], [0.5, 0.5]], RangeError),
        (["a", "b", "c"], [[0.5, 0.5]] * 3, LabelError),
        ([[1, 0], [0, 1]], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], ShapeError),
        ([0, 1], [-1.5, 3.0], RangeError),
    ],
)
def test_bad_predictions_are_refused(labels, predictions, kind) -> None:
    with pytest.raises(kind):
        evaluate_classification(labels, predictions)


def test_no_label_at_all_is_null_with_a_reason() -> None:
    record = evaluate_classification(np.array([None, None], dtype=object), [0, 1], classes=[0, 1])
    assert record.n_images == 2
    assert record.metrics["accuracy"].value is None
    assert found(record, "undefined-metric").meaning.startswith("No image is labelled.")


def test_copies_of_training_images_are_told_by_what_they_do_to_accuracy():
    labels = np.array([0, 1] * 20)
    kinds = np.full(40, None, object)
    kinds[:10] = "exact"
    right = np.where(np.arange(40) < 10, 0.9, 0.4)  # right on the copies alone
    probabilities = np.where(labels[:, None] == np.arange(2), right[:, None], 1 - right[:, None])
    names = np.arange(40).astype(str).astype(object)
    record = evaluate_classification(labels, probabilities, leaks=Leaks(kinds, names, names))
    told = next(finding for finding in record.findings if finding.code == "leakage")
    assert "Without them accuracy is 0 " in told.meaning
    assert "instead of 0.25" in told.meaning


def test_copies_are_told_of_where_images_have_several_labels():
    labels, predicted = np.ones((20, 2), int), np.zeros((20, 2), int)
    labels[::2, 0] = predicted[::2, 0] = 0  # so that it is no one-hot matrix
    predicted[:10] = labels[:10]  # right on the copies alone
    names = np.arange(20).astype(str).astype(object)
    kinds = np.where(np.arange(20) < 10, "exact", None).astype(object)
    record = evaluate_classification(
        labels, predicted, multilabel=True, leaks=Leaks(kinds, names, names)
    )
    assert "Without them accuracy is 0 " in found(record, "leakage").meaning
    assert record.metrics["accuracy"].value == 0.5
