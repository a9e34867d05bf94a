"""The sections of a classifier: the confusion matrix with its margins, curves, and the surest
mistakes."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from residua.evaluation import Evidence, evaluate_classification
from residua.evaluation.arrays import judge
from residua.evaluation.report import write_html
from residua.evaluation.report.classes import class_curves, classes, confusion
from residua.findings.most_confused import draw_mistakes
from residua.records import not_applicable_of


@pytest.fixture
def evidence() -> Evidence:
    """Three classes, 30 images each; every fifth image is said to be of the next class, and one has
    no label."""
    true = np.repeat([0, 1, 2], 30)
    said = np.where(np.arange(90) % 5 == 0, (true + 1) % 3, true)
    probabilities = np.full((90, 3), 0.1)
    probabilities[np.arange(90), said] = 0.8
    labels = np.array(["ant", "bee", "cat"], object)[true]
    labels[1] = None
    return Evidence(
        paths=np.array([f"{index}.png" for index in range(90)]),
        labels=labels,
        probabilities=probabilities,
        classes=np.array(["ant", "bee", "cat"]),
    )


def test_margins_count_false_negatives_by_row_and_false_positives_by_column(evidence):
    names, counts = confusion(evidence)
    assert names == ["ant", "bee", "cat"]
    assert counts.sum() == 89
    cells = re.findall(r'class="margin">(\d+)<', classes("job0", evidence))
    assert [int(cell) for cell in cells] == [
        6,
        6,
        6,
        6,
        6,
        6,
        18,
    ]  # missed by row, then falsely said by column and the total


def test_each_class_has_a_roc_curve_and_all_share_a_calibration_curve(evidence):
    drawn = class_curves("job0", evidence)
    assert drawn.count("<figure") == 4
    assert drawn.count("<polyline") == 4
    assert "ROC AUC" in drawn
    assert "sure 0.80, right 0.80" in drawn


@pytest.mark.parametrize("kind", ["numbers", "names", "one-hot", "whole floats"])
def test_classes_without_probabilities_have_a_matrix_and_no_figure_of_ranking(kind, tmp_path):
    """Nothing says how sure such a model is: no ROC AUC, no calibration, no "sure 1.00"."""
    true = np.repeat([0, 1, 2], 20)
    said = np.where(np.arange(60) % 4 == 0, (true + 1) % 3, true)
    names = np.array(["ant", "bee", "cat"])
    given = {
        "numbers": (true, said),
        "names": (names[true], names[said]),
        "one-hot": (true, np.eye(3, dtype=int)[said]),
        "whole floats": (true, said.astype(float)),
    }
    record, evidence = judge(labels=given[kind][0], predictions=given[kind][1])
    assert evidence.probabilities is None
    assert confusion(evidence)[1].trace() == 45
    assert not {"roc_auc", "log_loss", "brier_score", "top_3_accuracy"} & set(record.metrics)
    (absent,) = not_applicable_of(record.provenance)
    assert absent.what.startswith("ROC AUC, log loss")
    drawn = class_curves("job0", evidence)
    assert "There are no curves" in drawn and "<svg" not in drawn and "sure 1.00" not in drawn
    page = write_html(tmp_path / "page.html", "Classes", [(record, evidence)]).read_text("utf-8")
    assert "sure 1.00" not in page
    loaded_from = tmp_path / "evidence.npz"
    evidence.save(loaded_from)
    assert Evidence.load(loaded_from).said.tolist() == said.tolist()


def test_probabilities_of_0_and_1_draw_no_curves(evidence):
    sure = np.eye(3)[evidence.said]
    assert "decisions" in class_curves("job0", replace(evidence, probabilities=sure))


def test_a_class_that_no_image_is_of_is_said_to_have_no_curve(evidence):
    without = Evidence(
        paths=evidence.paths[:60],
        labels=evidence.labels[:60],
        probabilities=evidence.probabilities[:60],
        classes=evidence.classes,
    )
    assert "not defined" in class_curves("job0", without)


def test_there_are_no_curves_without_classes(evidence):
    assert class_curves("job0", Evidence(paths=evidence.paths, labels=evidence.labels)) is None


def test_the_surest_mistakes_come_first_in_the_commonest_pair():
    labels = np.array([0, 0, 0, 1, -1])
    probabilities = np.array([[0.4, 0.6], [0.1, 0.9], [0.8, 0.2], [0.7, 0.3], [0.0, 1.0]])
    names, paths = ["ant", "bee"], np.array([f"{row}.png" for row in range(5)])
    shown = draw_mistakes(labels, probabilities, names, lambda row: np.zeros((8, 8, 1)), paths)
    assert [group.caption for group in shown.groups] == [
        "ant, said bee (2 images)",
        "bee, said ant (1 image)",
    ]
    assert [picture.caption for picture in shown.groups[0].pictures] == [
        "1.png: 0.90",
        "0.png: 0.60",
    ]
    assert (
        draw_mistakes(
            labels[2:3], probabilities[2:3], names, lambda row: np.zeros((8, 8, 1)), paths
        )
        is None
    )


def test_element_wise_accuracy_of_several_labels_is_told_to_be_inflated():
    """Ten labels of which one or two hold: saying nothing at all is right in most answers."""
    rng = np.random.default_rng(0)
    truth = np.zeros((100, 10), int)
    truth[np.arange(100), rng.integers(10, size=100)] = 1
    record = evaluate_classification(truth, np.full((100, 10), 0.2), multilabel=True)
    told = next(finding for finding in record.findings if finding.code == "inflated-accuracy")
    assert told.severity == "warning"
    assert record.metrics["element_wise_accuracy"].value == pytest.approx(0.9)
    assert record.metrics["accuracy"].value == 0
