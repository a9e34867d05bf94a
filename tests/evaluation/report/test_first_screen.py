"""The first lines say what a colleague would say first."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from residua import evaluate_classification, evaluate_detection
from residua.evaluation.arrays import judge
from residua.evaluation.evidence import MASK_PIXELS, Evidence
from residua.evaluation.labels import DetectionLabels, kinds_of
from residua.evaluation.report import print_evaluation, write_html
from residua.evaluation.report.by_kind import kind_rows
from residua.evaluation.verification import verify_report

SCORES = np.random.default_rng(0).normal(size=134)
KINDS = np.repeat(["good", "crack", "dent"], [84, 20, 30]).astype(object)


def printed(*arguments, width=80):
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    print_evaluation(*arguments, console=console)
    return console.export_text()


def of_kinds(threshold=1.7):
    """Dents are found, cracks are not."""
    anomalous = KINDS != "good"
    scores = SCORES + 4 * (KINDS == "dent")
    areas = np.where(anomalous, 10.0 + np.arange(134), 0.0)
    labels = DetectionLabels(
        anomalous, np.ones(134, bool), kinds=kinds_of(KINDS, anomalous), areas=areas
    )
    record = evaluate_detection(labels, scores, operating_point=threshold)
    evidence = Evidence(
        np.array([f"test/{kind}/{row:03d}.png" for row, kind in enumerate(KINDS)]),
        scores,
        labels=KINDS,
        is_anomalous=anomalous,
        labelled=np.ones(134, bool),
        per_image={MASK_PIXELS: areas},
        threshold_from="elsewhere",
    )
    return record, evidence


@pytest.mark.parametrize("width", [80, 100])
def test_24_lines_say_whether_to_deploy_it_what_it_costs_and_what_to_do(width):
    record, evidence = of_kinds(9.0)
    first = " ".join(" ".join(printed(record, evidence, width=width).splitlines()[:24]).split())
    assert first.startswith(
        "Anomaly detection: USELESS. At its threshold, the model misses 50 of 50 anomalous images"
    )
    assert "- It flags anomalous images no more often than normal ones." in first
    assert "To catch 90%, it would flag about" in first and "ROC AUC 0." in first
    assert "Next: Do not use it." in first and "(useless-threshold; 1 error" in first


def test_a_kind_has_its_row_on_every_face_and_is_verified(tmp_path):
    record, evidence = of_kinds()
    worst, best = kind_rows(record)
    assert (worst.name, worst.count, best.name, best.missed) == ("crack", 20, "dent", 0)
    assert record.metrics["roc_auc[dent]"].low > 0.9 > record.metrics["roc_auc[crack]"].value
    found = SCORES[104:] + 4 > 1.7
    assert record.metrics["smallest_found[dent]"].value == 10 + 104 + int(np.argmax(found))
    line = next(one for one in printed(record, evidence).splitlines() if one.startswith(" dent"))
    assert line.split()[1:4] == ["30", "30", "0"] and line.split()[-1] == "114"
    page = write_html(tmp_path / "r.html", "x", [(record, evidence)])
    assert "By kind of anomaly" in page.read_text("utf-8")
    verified = verify_report(page)
    assert verified.differing == ()
    assert {"Recall of crack", "ROC AUC of dent", "Smallest defect found of dent"} <= {
        one.name for one in verified.figures if one.verdict == "same"
    }
    text = page.read_text("utf-8")
    page.write_text(text.replace("Missed</th>", "Missed!</th>"), "utf-8")
    assert "printed kinds/table" in {one.name for one in verify_report(page).differing}


def test_one_kind_makes_no_table():
    labels = np.where(KINDS == "good", "good", "dent")
    record = evaluate_detection(labels, SCORES, operating_point=1.0)
    assert kind_rows(record) == [] and not any("[" in name for name in record.metrics)


def test_kinds_are_those_of_the_labels_without_a_threshold_too():
    record, evidence = judge(scores=SCORES, labels=KINDS, normal="good")
    assert {"roc_auc[crack]", "roc_auc[dent]"} == {one for one in record.metrics if "[" in one}
    assert [one.count for one in kind_rows(record, evidence)] in ([20, 30], [30, 20])


def test_unlabelled_images_are_told_by_what_is_flagged_and_how_unlike_they_are(tmp_path):
    record, evidence = judge(
        scores=SCORES[:50] + 2,
        calibration_scores=SCORES[50:],
        policy="false-alarms<=0.1",
    )
    text = " ".join(printed(record, evidence).split())
    assert text.startswith("Anomaly detection: NOT SHOWN to be usable. At its threshold, the model")
    flagged = np.flatnonzero(evidence.scores > record.operating_point.threshold)
    first = evidence.paths[np.argmax(evidence.scores)]
    assert f"flags {len(flagged)} of 50 images." in text
    assert f"Flagged, the highest score first: {first} (" in text
    assert "of the 84 normal calibration scores; about 50% means alike." in text
    assert "At most 10% of normal images would be. So many of these are anomalous" in text
    assert text.index("Flagged, the") < text.index("Next: ") < text.index("Highest score")
    page = write_html(tmp_path / "r.html", "x", [(record, evidence)])
    html = page.read_text("utf-8")
    assert "Flagged, the highest score first" in html and verify_report(page).differing == ()
    cards = html.split('class="cards"')[1].split("</section>")[0].split("<details>")[0]
    assert "not defined" not in cards and "Flagged" in cards


def test_nothing_flagged_names_the_highest_score():
    record, evidence = judge(scores=[0.25, 0.5, 0.125], threshold=2.0)
    assert "The highest score is 0.5 (2), the threshold 2." in printed(record, evidence)


def test_decisions_stand_in_two_rows_with_the_truth_named():
    text = printed(*of_kinds())
    assert "Truth in rows, decisions in columns" in text
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.split()}
    assert rows["normal"][0].isdigit() and "(FP)" in rows["normal"] and "(TN)" in rows["normal"]
    assert "(TP)" in rows["anomalous"] and "(FN)" in rows["anomalous"]


def test_the_confusion_matrix_is_on_the_terminal_with_its_margins_and_counts():
    record, evidence = judge(
        labels=["cat", "cat", "dog", "owl"] * 5, predictions=["cat", "dog", "dog", "owl"] * 5
    )
    text = printed(record, evidence)
    assert "Truth in rows, what the model says in columns" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["cat", "5", "5", "·", "5"] in rows  # the last is false negatives
    assert ["false", "positives", "0", "5", "0", "5"] in rows
    assert ["cat", "5", "0", "5", "10"] in [row[:5] for row in rows]  # TP, FP, FN, TN


def test_of_many_classes_the_worst_pairs_are_told():
    labels = np.repeat(np.arange(20), 5)
    said = labels.copy()
    said[:3] = 7
    record, evidence = judge(labels=labels, predictions=said)
    text = printed(record, evidence)
    assert "the worst pairs of 20 classes" in text and ["0", "7", "3"] in [
        line.split() for line in text.splitlines()
    ]


def test_a_gap_between_the_scores_is_told():
    record, evidence = judge(scores=[0.1, 0.2, 0.7, 0.9], labels=[0, 0, 1, 1])
    text = " ".join(printed(record, evidence).split())
    assert "the highest normal score is 0.2, and the lowest anomalous one is 0.7" in text


def test_a_record_of_an_earlier_version_has_no_word():
    record, evidence = of_kinds()
    older = record.model_copy(update={"verdict": None, "schema_version": 2})
    assert printed(older, evidence).splitlines()[0] == "Anomaly detection"


def test_a_changed_verdict_is_found(tmp_path):
    record, evidence = of_kinds(9.0)
    usable = record.verdict.model_copy(update={"word": "usable", "because": ("It is.",)})
    for changed in (usable, None, record.verdict.model_copy(update={"because": ()})):
        page = write_html(
            tmp_path / "r.html", "x", [(record.model_copy(update={"verdict": changed}), evidence)]
        )
        assert {one.name for one in verify_report(page).differing} == {"verdict"}
    page = write_html(tmp_path / "r.html", "x", [(record, evidence)])
    text = page.read_text("utf-8")
    page.write_text(text.replace("<strong>Useless</strong>", "<strong>Usable</strong>"), "utf-8")
    assert "printed verdict/word" in {one.name for one in verify_report(page).differing}


def test_fine_print_comes_last():
    record, evidence = judge(
        scores=SCORES, labels=np.where(KINDS == "good", "ok", "bad"), threshold=1.0
    )
    text = printed(record, replace(evidence, groups=None))
    assert text.index("What to know before") < text.index("Assumed ")


def test_classes_have_a_word_too():
    record = evaluate_classification(np.arange(200) % 4, np.arange(200) % 4)
    assert printed(record).startswith("Classification: USABLE.")
