"""Classes as people have them: one-hot rows, names spelled in two ways, numbers as text, columns in
another order."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from residua.errors import LabelError, ShapeError
from residua.evaluation import evaluate_classification
from residua.records import assumptions_of, not_applicable_of

RNG = np.random.default_rng(0)


def drawn(n: int, k: int, sure: float = 1.5):
    y = RNG.integers(0, k, n)
    z = RNG.normal(size=(n, k))
    z[np.arange(n), y] += sure
    return y, np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def accuracy(*given, **options) -> float:
    return evaluate_classification(*given, **options).metrics["accuracy"].value


def assumed(record, about: str):
    return next((one for one in assumptions_of(record.provenance) if one.about == about), None)


def permuted(record):
    return next((one for one in record.findings if one.code == "permuted-classes"), None)


Y, P = drawn(400, 5)
TRUE = float((P.argmax(axis=1) == Y).mean())


@pytest.mark.parametrize("dtype", [int, float, bool, np.uint8])
def test_one_hot_labels_beside_softmax_are_classes_and_that_is_told(dtype) -> None:
    record = evaluate_classification(np.eye(5, dtype=dtype)[Y], P)
    assert record.metrics["accuracy"].value == TRUE
    assert record.metrics["log_loss"].value == pytest.approx(sk.log_loss(Y, P))
    assert assumed(record, "matrix of labels").taken == "one-hot rows: classes"


def test_one_hot_labels_beside_classes_and_one_hot_predictions_are_classes() -> None:
    said = P.argmax(axis=1)
    one_hot = np.eye(5, dtype=int)
    for predictions in (said, one_hot[said], said.astype(float)):
        assert accuracy(one_hot[Y], predictions) == TRUE
    assert accuracy(Y, one_hot[said]) == TRUE
    record = evaluate_classification(Y, one_hot[said])
    assert "log_loss" not in record.metrics
    assert not any(one.severity == "error" for one in record.findings)
    assert accuracy(one_hot[Y], P.astype(np.float32)) == TRUE


def test_decisions_about_several_labels_rank_no_images() -> None:
    several = (RNG.random((60, 4)) < 0.4).astype(int)
    said = np.where(RNG.random((60, 4)) < 0.8, several, 1 - several)
    record = evaluate_classification(several, said, multilabel=True)
    assert not any(name.startswith("average_precision") for name in record.metrics)
    assert not_applicable_of(record.provenance)[0].what == "Average precision"
    as_floats = evaluate_classification(several, said.astype(float), multilabel=True)
    assert next(one for one in as_floats.findings if one.code == "hard-scores").severity == "error"


def test_the_columns_of_one_hot_labels_go_by_the_names_that_are_told() -> None:
    names = ["plane", "car", "bird", "cat", "deer"]
    record = evaluate_classification(np.eye(5)[Y], P, classes=names)
    assert record.metrics["accuracy"].value == TRUE
    assert record.metrics["recall[plane]"].value == pytest.approx(
        (P.argmax(axis=1)[Y == 0] == 0).mean()
    )


def test_a_one_hot_row_of_nan_has_no_label() -> None:
    labels = np.eye(5)[Y]
    labels[:40] = np.nan
    assert accuracy(labels, P) == pytest.approx((P.argmax(axis=1) == Y)[40:].mean())


def test_a_matrix_that_may_be_either_is_asked_about_and_the_answer_is_taken() -> None:
    one_hot, sigmoids = np.eye(3, dtype=int)[Y % 3], RNG.random((400, 3))
    with pytest.raises(LabelError, match="multilabel=True"):
        evaluate_classification(one_hot, sigmoids)
    assert accuracy(one_hot, sigmoids, multilabel=True) == sk.accuracy_score(
        one_hot, sigmoids > 0.5
    )
    several = (RNG.random((400, 5)) < 0.4).astype(int)
    with pytest.raises(LabelError, match="another number of 1s"):
        evaluate_classification(several, P)
    assert "hamming_loss" in evaluate_classification(several, P, multilabel=True).metrics
    with pytest.raises(LabelError, match="another number of 1s"):
        evaluate_classification(several, RNG.random((400, 5)), multilabel=False)


def test_columns_without_names_are_taken_in_order_and_that_is_told() -> None:
    names = np.array(["ant", "bee", "cow", "dog", "eel"])
    record = evaluate_classification(names[Y], P)
    assert record.metrics["accuracy"].value == TRUE
    assert assumed(record, "order of the columns").taken == "ant, bee, cow, dog, eel"
    assert (
        "numbers from 0" in assumed(evaluate_classification(Y, P), "order of the columns").because
    )
    assert (
        assumed(
            evaluate_classification(names[Y], P, classes=names.tolist()), "order of the columns"
        )
        is None
    )


def test_numbers_as_text_are_in_the_order_of_numbers() -> None:
    y, p = drawn(600, 12, 4)
    true = float((p.argmax(axis=1) == y).mean())
    assert true > 0.9
    assert accuracy(y.astype(str), p) == true
    assert accuracy(np.char.add("class ", y.astype(str)), p) == true
    assert accuracy(np.char.add("s", np.char.zfill(y.astype(str), 2)), p) == true


def test_columns_in_another_order_than_the_names_are_an_error_that_names_the_order() -> None:
    order = ["plane", "car", "bird", "cat", "deer"]
    record = evaluate_classification(np.array(order)[Y], P)
    told = permuted(record)
    assert told.severity == "error"
    assert told.measured["likely_order"] == order
    assert told.measured["accuracy_in_that_order"] == TRUE
    assert not any("collect more" in one.what_to_do for one in record.findings)
    assert permuted(evaluate_classification(np.array(order)[Y], P, classes=order)) is None


def test_twelve_classes_of_sixty_images_in_another_order_are_seen() -> None:
    y = np.arange(60) % 12
    said = np.where(np.arange(60) < 6, (y + 1) % 12, y)
    told = permuted(evaluate_classification(y, (said + 5) % 12))
    assert told.measured["accuracy_in_that_order"] == pytest.approx(0.9)


def test_two_classes_the_wrong_way_round_are_seen_even_where_one_is_always_answered() -> None:
    y = RNG.random(2000) < 0.1
    p = 1 / (
        1 + np.exp(-(RNG.normal(size=2000) + 2 * y - 4))
    )  # never above one half: always "good"
    names = np.where(y, "bad", "good")  # alphabetically the column is that of good
    assert permuted(evaluate_classification(names, 0.4 * p)).severity == "error"
    assert permuted(evaluate_classification(names, 1 - 0.4 * p)) is None


@pytest.mark.parametrize("seed", range(5))
def test_honest_classifiers_are_not_accused(seed: int) -> None:
    g = np.random.default_rng(seed)
    for k in (2, 3, 10):
        n = int(g.choice([30, 300]))
        y = g.choice(k, n, p=g.dirichlet(np.ones(k)))
        noise = g.dirichlet(np.ones(k), n)
        assert permuted(evaluate_classification(y, noise)) is None
        assert (
            permuted(evaluate_classification(y, np.full(n, int(np.bincount(y).argmax())))) is None
        )
        mixed = y.copy()
        pair = y < 2
        mixed[pair] = g.integers(0, 2, int(pair.sum()))
        assert permuted(evaluate_classification(y, mixed)) is None


@pytest.mark.parametrize(
    ("labels", "predictions"),
    [
        (["good", "bad"], ["Good", "BAD"]),
        (["good", "bad"], ["good ", " bad"]),
        (["a", "b"], ["A", "B"]),
        (["Caf\u00e9", "bar"], ["Cafe\u0301", "bar"]),
        (["1", "2"], [1, 2]),
        ([1, 2], ["1.0", "2.0"]),
        (["1.0", "2.0"], ["1", "2"]),
        ([True, False], ["True", "False"]),
        (["true", "false"], [1, 0]),
        ([1.0, 0.0], ["1", "0"]),
    ],
)
def test_names_that_mean_the_same_are_matched(labels, predictions) -> None:
    y, p = np.array(labels * 10), np.array(predictions * 10)
    p[:5] = predictions[1]
    expected = 1 - 3 / 20
    assert accuracy(y, p) == expected
    assert accuracy(y, p[::-1]) == pytest.approx(np.mean(np.array([*predictions * 10]) == p[::-1]))


def test_a_match_is_told_with_both_spellings() -> None:
    told = assumed(
        evaluate_classification(["good", "bad"] * 9, ["Good", "bad"] * 9), "names of the classes"
    )
    assert told.taken == "'Good' as 'good'"
    assert (
        assumed(evaluate_classification(["a", "A"] * 9, ["A", "a"] * 9), "names of the classes")
        is None
    )
    assert accuracy(["a", "A"] * 9, ["A", "a"] * 9) == 0


@pytest.mark.parametrize(
    ("labels", "predictions", "words"),
    [
        ([0, 1], [-1, 1], "-1 is the anomaly"),
        ([0, 1], [-1, -1], "-1 is the anomaly"),
        ([1, 2, 3], [0, 1, 2], "count classes from the same number"),
        ([0, 1], [1, 2], "count classes from the same number"),
        (["cat", "dog"], ["Katze", "Hund"], "cat, dog and predictions Hund, Katze"),
        (["good", "Good", "bad"], ["GOOD", "GOOD", "bad"], "spell each class in one way"),
    ],
)
def test_names_that_cannot_be_the_same_classes_are_refused(labels, predictions, words: str) -> None:
    with pytest.raises(LabelError, match=words):
        evaluate_classification(labels * 5, predictions * 5)


def test_a_class_that_only_one_side_knows_is_told() -> None:
    record = evaluate_classification(["cat", "dog"] * 9, ["cat", "fox"] * 9)
    told = next(one for one in record.findings if one.code == "undefined-metric").meaning
    assert "no image is of class fox" in told.lower()
    assert "nothing is predicted as dog" in told


def test_numbers_are_places_in_the_classes_that_are_told() -> None:
    names = ["plane", "car", "bird", "cat", "deer"]
    said = P.argmax(axis=1)
    for labels, predictions in ((np.array(names)[Y], said), (Y, P), (Y, said), (Y.astype(str), P)):
        record = evaluate_classification(labels, predictions, classes=names)
        assert record.metrics["accuracy"].value == TRUE
        assert "recall[plane]" in record.metrics


def test_one_hot_labels_of_other_columns_and_counts_in_columns_are_refused() -> None:
    with pytest.raises(ShapeError, match="one shape"):
        evaluate_classification(np.eye(3)[[0, 1, 2]], np.eye(4)[[0, 1, 2]])
    with pytest.raises(LabelError, match="one-hot rows"):
        evaluate_classification([0, 1], np.array([[1, 1], [0, 3]]))
