"""Classes stand in the order in which people count, in metrics, in training and in probes."""

from __future__ import annotations

import numpy as np

from residua.metrics import confusion_matrix
from residua.metrics._classes import in_order


def test_numbers_as_text_and_inside_words_are_counted() -> None:
    texts = [str(number) for number in range(12)]
    assert in_order(texts[::-1]) == texts
    assert in_order(["-1", "1.5", "10", "2"]) == ["-1", "1.5", "2", "10"]
    assert in_order(["a10", "a9", "b1", "7"]) == ["7", "a9", "a10", "b1"]
    assert in_order(["b", "A", "good", "bad"]) == ["A", "b", "bad", "good"]


def test_rows_of_a_confusion_matrix_are_in_that_order() -> None:
    names = [str(number) for number in range(12)]
    matrix = confusion_matrix(names, np.roll(names, -1))
    assert matrix[2, 3] == matrix[11, 0] == 1
