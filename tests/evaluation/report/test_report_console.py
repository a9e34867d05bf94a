import io

import numpy as np
import pytest
from report_samples import HOSTILE, detector, reconstructor
from rich.console import Console

from residua.evaluation.evidence import Evidence
from residua.evaluation.report import print_evaluation, words
from residua.records import (
    Assumption,
    Estimate,
    Evaluation,
    Finding,
    OperatingPoint,
    with_assumptions,
)


def printed(*arguments, width=100, **more):
    console = Console(width=width, record=True, file=io.StringIO(), color_system=None)
    print_evaluation(*arguments, console=console, **more)
    return console.export_text()


def test_the_headline_comes_first_then_numbers_with_intervals():
    lines = printed(*detector()).splitlines()
    assert lines[0] == "Anomaly detection"
    assert lines[1].startswith("Of 626 anomalous images, 571 are caught and 55 missed.")
    assert lines[2].startswith("ROC AUC 0.") and "697 test images" in lines[2]
    assert any(line.split()[:3] == ["Recall", "0.980", "[0.970,"] for line in lines)


def test_operating_point_baselines_findings_and_worst_images_are_told():
    text = printed(*detector())
    assert "An image is flagged when its score exceeds" in text and "quantile:0.9" in text
    rows = {line.strip()[:8]: line.split() for line in text.splitlines() if "[" in line}
    assert rows["Nearest "][-4:] == ["-0.030", "[-0.035,", "-0.025]", "better"]
    assert rows["PCA     "][-4:] == ["+0.350", "[+0.345,", "+0.355]", "worse"]
    assert text.index("ERROR") < text.index("NOTE") and "1 check found nothing wrong." in text
    worst = int(np.argmax(detector()[1].scores))
    assert f"digits/test/{worst:04d}" in text.split("Highest score")[1]
    assert "1 file of the source could not be read" in text
    assert len(text.split("Highest score")[1].strip().split("\n\n")[0].splitlines()) == 6


def test_the_findings_are_last_and_counted_and_the_threshold_is_told_in_counts():
    text = printed(*detector())
    assert "What to know before you trust it: 1 error, 1 note" in text
    assert (
        text.index("Highest score")
        < text.index("What to know before you trust it")
        < text.index("ERROR")
    )
    assert (
        "Of 626 anomalous images, 571 are caught and 55 missed. Of 66 normal images, 12 are false"
        " alarms." in text
    )


def test_a_narrow_terminal_keeps_every_number():
    text = printed(*detector(), width=60)
    assert all(len(line) <= 60 for line in text.splitlines())
    assert "0.980 [0.970, 0.990]" in text
    table = text.split("Model or")[1].split("An image is flagged")[0]
    assert "…" not in table
    assert all(word in table for word in ("Nearest", "brightness", "+0.350", "[+0.345,", "+0.355]"))


def test_text_with_brackets_is_not_taken_for_markup():
    finding = Finding(
        code="x", severity="error", meaning="[bold]raw[/bold] [0.1, 0.2]", what_to_do=HOSTILE
    )
    point = OperatingPoint(threshold=0.5, policy="quantile:0.99", how="[red]by hand[/red]")
    record = Evaluation(
        job="detect", n_images=1, split="test", findings=(finding,), operating_point=point
    )
    text = printed(
        record, Evidence(paths=np.array(["[/red] a[0].png"]), scores=np.array([1.0])), width=200
    )
    for raw in ("[bold]raw[/bold] [0.1, 0.2]", "[red]by hand[/red]", "[/red] a[0].png", HOSTILE):
        assert raw in text


def test_an_assumption_that_was_told_at_the_fit_is_counted_and_not_repeated():
    scale, bits = (
        Assumption(about=about, taken="8", because="whole numbers", to_tell=f"--{about}")
        for about in ("scale", "bits")
    )
    told = with_assumptions({}, [scale, bits])
    record = Evaluation(job="detect", n_images=1, split="test", provenance=told)
    text = printed(record)
    assert "Assumed scale: 8" in text and "Assumed bits: 8" in text
    text = printed(record, told_before=(scale,))
    assert "Assumed scale" not in text and "Assumed bits: 8" in text
    assert "Assumed as in the fit: 1 assumption. `residua info RUN` lists them." in text


def test_an_evaluation_without_metrics_says_so():
    text = printed(Evaluation(job="classify", n_images=0, split="test"))
    assert "No metric of this job could be measured" in text


def test_classes_are_listed_by_recall_the_lowest_first():
    metrics = {"accuracy": Estimate(value=0.7)}
    for name, recall in (("owl", 0.9), ("cat", 0.2), ("[x]", None), ("dog", 0.5)):
        metrics |= {
            f"recall[{name}]": Estimate(value=recall),
            f"precision[{name}]": Estimate(value=0.75),
        }
    text = printed(Evaluation(job="classify", n_images=9, split="test", metrics=metrics))
    rows = [
        line.split()
        for line in text.splitlines()
        if line.split()[:1] in (["cat"], ["dog"], ["owl"])
    ]
    assert rows == [["cat", "0.200", "0.750"], ["dog", "0.500", "0.750"], ["owl", "0.900", "0.750"]]
    assert "[x]" not in text


def test_a_reconstructor_is_compared_where_lower_is_better():
    line = next(
        line
        for line in printed(*reconstructor()).splitlines()
        if line.strip().startswith("Mean image")
    )
    assert line.split()[-1] == "worse"


def test_a_baseline_that_separates_backwards_is_told_turned_around_and_never_green():
    record, _ = detector()
    told = words.baselines_in(record, "roc_auc")["brightness"]
    assert (told.value, told.low, told.high) == pytest.approx((0.98, 0.97, 0.99))
    console = Console(width=140, record=True, file=io.StringIO(), force_terminal=True)
    print_evaluation(record, console=console)
    line = next(one for one in console.export_text(styles=True).splitlines() if "brightness" in one)
    assert " 0.980 " in line and "better, turned around" in line
    assert "\x1b[31mbetter" in line and "\x1b[32m" not in line


def test_records_of_earlier_versions_have_no_word_on_their_baselines():
    record, _ = detector()
    old = record.model_copy(update={"standings": {}, "schema_version": 2})
    text = printed(old)
    assert text.count("not compared in pairs") == 4 and "Model minus baseline" not in text
    assert "Nearest neighbours on pixels, reaches 1.000 [1.000, 1.000]" in " ".join(text.split())


def test_baselines_that_do_not_reach_the_main_metric_make_no_empty_table():
    metrics = {
        "accuracy": Estimate(value=0.9, low=0.8, high=0.95, n=50),
        "mse": Estimate(value=0.1, n=50),
    }
    record = Evaluation(
        job="classify",
        n_images=50,
        split="test",
        metrics=metrics,
        baselines={"pca": {"mse": Estimate(value=0.2, n=50)}},
    )
    assert "Model or baseline" not in printed(record)
    assert "Model or baseline" in printed(
        record.model_copy(update={"baselines": {"pca": {"accuracy": metrics["accuracy"]}}})
    )
