"""Which of two classes precision, recall and F1 are of, and that every door says it."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sklearn import metrics as sk

from residua._check import Problems
from residua.errors import InputError, LabelError
from residua.evaluation import evaluate_classification
from residua.evaluation.arrays import judge
from residua.evaluation.positive import positive_class
from residua.evaluation.reconstruction import evaluate_errors
from residua.evaluation.report import print_evaluation, write_html
from residua.evaluation.verification import verify_report
from residua.records import assumptions_of

RNG = np.random.default_rng(1)
BAD = RNG.random(400) < 0.1
SAID_BAD = np.where(RNG.random(400) < 0.05, ~BAD, BAD)


def f1_of_bad(bad, good, **options) -> float:
    record = evaluate_classification(
        np.where(BAD, bad, good), np.where(SAID_BAD, bad, good), **options
    )
    return record.metrics["f1"].value


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ("Bad", "Good"),
        ("NG", "OK"),
        ("scratch", "good"),
        ("defect", "part"),
        ("dent", "pass"),
        ("sick", "healthy"),
        (1, 0),
        (True, False),
        ("True", "False"),
        ("yes", "no"),
        (255, 0),
        ("cat", "dog"),  # the rarer one
        ("zebra", "dog"),
        (-1, 1),
        (1, 2),
    ],
)
def test_the_anomaly_or_else_the_rarer_class_is_positive_and_told(bad, good) -> None:
    assert f1_of_bad(bad, good) == pytest.approx(sk.f1_score(BAD, SAID_BAD))
    record = evaluate_classification(np.where(BAD, bad, good), np.where(SAID_BAD, bad, good))
    name = str(int(bad)) if isinstance(bad, bool) else str(bad)
    assert record.provenance["positive_class"] == name
    assert record.metrics["f1"] == record.metrics[f"f1[{name}]"]
    (told,) = assumptions_of(record.provenance)
    assert (told.about, told.taken) == ("positive class", name)
    assert "--positive" in told.to_tell


def test_names_win_over_frequency_and_1_over_both() -> None:
    for names in (["Bad", "Good"], ["Good", "Bad"]):
        found = positive_class(names, [900, 100], None, Problems("test"))
        assert names[found.place] == "Bad"
    assert positive_class(["0", "1"], [100, 900], None, Problems("test")).place == 1
    assert positive_class(["a", "b"], [50, 50], None, Problems("test")).place == 1
    assert positive_class(["a", "b", "c"], [5, 5, 5], None, Problems("test")) is None


@pytest.mark.parametrize("named", ["Good", "good", " Good"])
def test_the_class_that_was_named_is_followed_and_no_assumption(named) -> None:
    labels, said = np.where(BAD, "Bad", "Good"), np.where(SAID_BAD, "Bad", "Good")
    record = evaluate_classification(labels, said, positive=named)
    assert record.metrics["f1"].value == pytest.approx(sk.f1_score(~BAD, ~SAID_BAD))
    assert record.provenance["positive_class"] == "Good"
    assert assumptions_of(record.provenance) == ()


def test_numbers_and_booleans_may_be_named() -> None:
    true = sk.f1_score(~BAD, ~SAID_BAD)
    for named in (0, "0", 0.0, False):
        record = evaluate_classification(BAD.astype(int), SAID_BAD.astype(int), positive=named)
        assert record.metrics["f1"].value == pytest.approx(true)


def test_a_positive_class_that_cannot_be_is_refused() -> None:
    with pytest.raises(LabelError, match="'cow' where they are cat, dog"):
        evaluate_classification(["cat", "dog"], ["cat", "dog"], positive="cow")
    with pytest.raises(LabelError, match="Got 3 classes"):
        evaluate_classification([0, 1, 2], [0, 1, 2], positive=1)
    with pytest.raises(LabelError, match="Got several labels per image"):
        evaluate_classification([[1, 0, 1]] * 2, [[1, 0, 1]] * 2, positive=1)
    with pytest.raises(InputError, match="--positive is for a classifier"):
        judge(scores=[1, 2], positive="1")


def test_one_column_of_probabilities_is_of_the_second_class_and_told() -> None:
    p_good = np.where(SAID_BAD, 0.2, 0.9)
    record = evaluate_classification(np.where(BAD, "Bad", "Good"), p_good)
    assert record.metrics["f1"].value == pytest.approx(sk.f1_score(BAD, SAID_BAD))
    told = {one.about: one.taken for one in assumptions_of(record.provenance)}
    assert told == {"positive class": "Bad", "class of the probabilities": "Good"}
    named = evaluate_classification(
        np.where(BAD, "Bad", "Good"), 1 - p_good, classes=["Good", "Bad"]
    )
    assert named.metrics["f1"] == record.metrics["f1"]
    assert [one.about for one in assumptions_of(named.provenance)] == ["positive class"]


def test_probabilities_of_0_and_1_alone_are_decisions() -> None:
    def told(p):
        record = evaluate_classification(np.arange(20) % 2, p)
        return next((one.severity for one in record.findings if one.code == "hard-scores"), None)

    assert told((np.arange(20) % 4 == 1).astype(float)) == "error"
    assert told(np.where(np.arange(20) % 2, 0.9, 0.1)) is None


def test_console_report_json_and_verify_say_the_same_class(tmp_path: Path) -> None:
    labels, said = np.where(BAD, "Bad", "Good"), np.where(SAID_BAD, "Bad", "Good")
    for named in (None, "Good"):
        record, evidence = judge(labels=labels, predictions=said, positive=named)
        positive = named or "Bad"
        printed = io.StringIO()
        print_evaluation(record, evidence, console=Console(file=printed, width=200))
        assert f"F1 of {positive}" in printed.getvalue()
        page = write_html(tmp_path / "report.html", "Two classes", [(record, evidence)])
        assert f"F1 of {positive}" in page.read_text(encoding="utf-8")
        assert json.loads(record.model_dump_json())["provenance"]["positive_class"] == positive
        assert verify_report(page).differing == ()


def test_a_report_of_a_classifier_that_reconstructs_follows_from_what_it_carries(
    tmp_path: Path,
) -> None:
    record, evidence = judge(labels=BAD.astype(int), predictions=SAID_BAD.astype(int))
    columns = {"mse": np.random.default_rng(7).random(400), "confidence": np.ones(400)}
    errors = evaluate_errors({"mse": columns["mse"]}, seed=evidence.seed)
    record = record.model_copy(update={"metrics": {**record.metrics, **errors.metrics}})
    page = write_html(
        tmp_path / "report.html", "Both", [(record, replace(evidence, per_image=columns))]
    )
    assert verify_report(page).differing == ()


def test_a_report_counts_labels_whatever_numbers_they_are_written_as(tmp_path: Path) -> None:
    from residua.evaluation.report.classes import confusion

    for kind in (int, float, bool, object):
        _, evidence = judge(labels=BAD.astype(kind), predictions=SAID_BAD.astype(int))
        _, counts = confusion(evidence)
        assert counts.tolist() == sk.confusion_matrix(BAD, SAID_BAD).tolist()
