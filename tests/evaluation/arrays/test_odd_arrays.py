"""Arrays as other tools leave them: masked, complex, of bytes, with labels that may mean "no
label", with axes at odd places."""

from __future__ import annotations

import numpy as np
import pytest

from residua import evaluate_classification, evaluate_detection, evaluate_reconstruction
from residua.errors import LabelError, RangeError, ResiduaError, ShapeError
from residua.evaluation.arrays import judge

N = 60
TRUE = np.arange(N) % 3
SAID = np.where(np.arange(N) % 5 == 0, (TRUE + 1) % 3, TRUE)  # a fifth is wrong
LETTERS = np.array(["a", "b", "c"])
NO_LABEL = np.arange(N) < 10
ACCURACY = float((TRUE == SAID)[~NO_LABEL].mean())
MASK = "must have no masked entries"


def test_masked_entries_are_refused_and_not_brought_back():
    labels, scores = TRUE > 0, np.ma.array(np.arange(N, dtype=float), mask=NO_LABEL)
    pixels = np.ma.array(np.zeros((4, 8, 8)), mask=np.eye(8, dtype=bool)[None].repeat(4, 0))
    calls = [
        lambda: judge(labels=labels, scores=scores),
        lambda: evaluate_detection(labels, scores),
        lambda: judge(labels=TRUE, predictions=np.ma.array(SAID, mask=NO_LABEL)),
        lambda: evaluate_classification(TRUE, np.ma.array(SAID, mask=NO_LABEL)),
        lambda: judge(images=pixels, reconstructions=np.zeros((4, 8, 8))),
        lambda: evaluate_reconstruction(np.zeros((4, 8, 8)), pixels),
    ]
    for call in calls:
        with pytest.raises(RangeError, match=MASK):
            call()


def test_masked_labels_are_no_labels_and_masked_arrays_without_a_mask_are_plain():
    record = judge(labels=np.ma.array(TRUE, mask=NO_LABEL), predictions=np.ma.array(SAID))[0]
    assert record.metrics["accuracy"].value == pytest.approx(ACCURACY)


def test_complex_scores_are_refused():
    with pytest.raises(RangeError, match="scores must be numbers"):
        evaluate_detection([0, 1], np.array([1j, 2]))


@pytest.mark.parametrize("text", ["nan", "NaN", "", "<NA>", "#N/A"])
def test_texts_that_stand_for_nothing_are_no_labels(text):
    labels = np.where(NO_LABEL, text, LETTERS[TRUE])
    for given in (labels, labels.astype(object)):
        record = judge(labels=given, predictions=LETTERS[SAID])[0]
        assert record.metrics["accuracy"].value == pytest.approx(ACCURACY)


@pytest.mark.parametrize("text", ["NA", "None", "null", "N/A"])
def test_a_name_that_may_be_no_label_is_asked_about_where_nothing_is_predicted_as_it(text):
    labels = np.where(NO_LABEL, text, LETTERS[TRUE])
    with pytest.raises(
        LabelError, match=rf"Got {text} \(10 of 60 images\), which nothing is predicted as"
    ):
        judge(labels=labels, predictions=LETTERS[SAID])
    told = judge(labels=labels, predictions=LETTERS[SAID], classes=[*LETTERS, text])[0]
    as_class = float((labels == LETTERS[SAID]).mean())
    assert told.metrics["accuracy"].value == pytest.approx(as_class)
    said = np.where(np.arange(N) < 8, text.lower(), LETTERS[SAID])  # predicted as well: a class
    assert judge(labels=labels, predictions=said)[0].metrics["accuracy"].value == pytest.approx(
        float((np.char.lower(labels) == np.char.lower(said)).mean())
    )


@pytest.mark.parametrize("number", [-1, -100, 255])
def test_a_number_that_may_be_no_label_is_asked_about_beside_classes_from_0(number):
    labels = np.where(NO_LABEL, number, TRUE)
    for predictions in (SAID, np.eye(3)[SAID] * 0.7 + 0.1):
        with pytest.raises(LabelError, match=rf"Got {number} \(10 of 60 images\)"):
            judge(labels=labels, predictions=predictions)


def test_a_classifier_that_always_says_1_of_minus_1_and_1_is_judged():
    record = judge(labels=np.where(TRUE > 0, 1, -1), predictions=np.ones(N, int))[0]
    assert record.metrics["accuracy"].value == pytest.approx(2 / 3)


def test_labels_of_bytes_are_read_as_their_text():
    scores = np.arange(N) % 7 + TRUE
    labels = np.where(TRUE > 0, "crack", "good")
    of_bytes, of_text = (
        judge(labels=one, scores=scores)[0] for one in (labels.astype("S"), labels)
    )
    assert of_bytes.metrics["roc_auc"].value == of_text.metrics["roc_auc"].value is not None


@pytest.mark.parametrize("name", ["confidence", "Conf", "max_prob"])
def test_the_confidence_of_whatever_was_answered_is_no_probability_of_a_class(tmp_path, name):
    path = tmp_path / "answers.csv"
    path.write_text("\n".join([name, *(f"{0.5 + 0.008 * row:.3f}" for row in range(N))]))
    with pytest.raises(
        ResiduaError, match=f"a column {name}, the probability of whatever class was predicted"
    ):
        judge(labels=(TRUE > 0).astype(int), predictions=path)


def test_images_along_the_last_axis_are_refused():
    pixels = np.random.default_rng(0).random((16, 16, 3, 40))
    with pytest.raises(ShapeError, match=r"np.moveaxis\(array, 3, 0\)"):
        evaluate_reconstruction(pixels, pixels * 0.9)
    moved = np.moveaxis(pixels, 3, 0)
    record = evaluate_reconstruction(moved, moved * 0.9)
    assert record.metrics["mse"].value == pytest.approx(float(np.square(0.1 * pixels).mean()))
