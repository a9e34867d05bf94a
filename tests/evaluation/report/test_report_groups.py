"""Images that were sampled in groups, in the words of a terminal and of a page."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from residua import evaluate_detection
from residua.evaluation import Evidence
from residua.evaluation.report import print_evaluation, words, write_html
from residua.evaluation.report.comparison import at_thresholds
from residua.records import Estimate, Evaluation


def judged(n_groups: int) -> tuple[Evaluation, Evidence]:
    """Four images of each group; every third group is anomalous."""
    rng, groups = np.random.default_rng(0), np.repeat(np.arange(n_groups), 4)
    anomalous = groups % 3 == 0
    scores = (
        rng.normal(size=n_groups)[groups] + 1.5 * anomalous + 0.2 * rng.normal(size=len(groups))
    )
    record = evaluate_detection(anomalous, scores, operating_point=1.0, groups=groups)
    paths = np.array([f"parts/{i:03d}.png" for i in range(len(groups))])
    return record, Evidence(paths, scores, is_anomalous=anomalous, groups=groups)


@pytest.fixture(scope="module")
def many():
    return judged(60)


def printed(record: Evaluation) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    print_evaluation(record, console=console)
    return console.export_text()


def test_a_terminal_says_how_many_groups_and_what_the_images_are_worth(many):
    text = printed(many[0])
    assert "on 240 test images of 60 groups." in text
    assert "Worth" in text
    worth = many[0].metrics["roc_auc"].n_effective
    assert f"{worth:,.0f} images" in text
    assert text.count("Worth: images of one group") == 1


def test_without_groups_nothing_is_said_of_them():
    record, evidence = judged(60)
    alone = evaluate_detection(evidence.is_anomalous, evidence.scores, operating_point=1.0)
    assert "group" not in printed(alone).split("What to know")[0]
    assert "Worth" not in printed(alone)
    assert words.worth(alone.metrics["roc_auc"]) == ""
    assert record.metrics["roc_auc"].low < alone.metrics["roc_auc"].low


def test_few_groups_are_told_once_for_all_metrics_that_they_are_about():
    record, _ = judged(18)
    text = printed(record)
    assert text.count("groups of a class only: intervals from fewer than 10") == 1
    told = words.caveats(record)
    assert len({caveat for _, caveat in told}) == len(told)


def test_more_than_three_metrics_are_counted():
    few = Estimate(value=0.5, caveat="Few.")
    record = Evaluation(
        job="reconstruct",
        n_images=9,
        split="test",
        metrics=dict.fromkeys(("mse", "mae", "rmse", "psnr"), few),
    )
    assert words.caveats(record) == [("Mean squared error and 3 more", "Few.")]


def test_a_page_says_groups_and_caveats(tmp_path):
    record, evidence = judged(18)
    page = write_html(tmp_path / "r.html", "Parts", [(record, evidence)]).read_text("utf-8")
    assert "Measured on 72 test images of 18 groups." in page
    assert "n = 72 of 18 groups, worth" in page
    assert "Worth: images of one group" in page
    assert "without intervals" in page and "Images of one group tend to go wrong together" in page
    assert 'data-figure="job0/metrics/caveats"' in page


def test_differences_at_thresholds_are_by_groups(many):
    record, evidence = many
    found = at_thresholds([many, (record, evidence)])
    assert found["recall"][2].n_groups == 20
