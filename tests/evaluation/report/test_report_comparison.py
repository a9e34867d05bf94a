from dataclasses import replace

import numpy as np
import pytest
from report_samples import classifier, detectors, reconstructor

from residua.errors import InputError
from residua.evaluation import Evidence
from residua.evaluation.report import write_html
from residua.evaluation.report.comparison import (
    are_comparable,
    at_thresholds,
    compared,
    comparison,
    disagreements,
)
from residua.evaluation.verification import verify_report
from residua.metrics.delong import roc_auc_difference
from residua.records import Evaluation


def test_differences_are_paired_and_of_the_second_minus_the_first():
    jobs = detectors()
    known = jobs[0][1].labelled
    found = {pair.metric: pair.difference for pair in compared(jobs, ["before", "after"]).pairs}
    labels, scores = jobs[0][1].is_anomalous[known], [job.scores[known] for _, job in jobs]
    assert found["roc_auc"] == roc_auc_difference(labels, scores[1], scores[0])
    assert found["roc_auc"].low > 0
    recalls = [float((column[labels] > np.float32(0.04)).mean()) for column in scores]
    first, second, difference = at_thresholds(jobs)["recall"]
    assert (first.value, second.value) == pytest.approx(recalls)
    assert difference.value == pytest.approx(recalls[1] - recalls[0])


def test_images_that_only_one_of_them_catches_are_shown_and_counted():
    jobs = detectors()
    known, anomalous = jobs[0][1].labelled, jobs[0][1].is_anomalous
    flagged = [job.scores > np.float32(0.04) for _, job in jobs]
    only_second = int((known & anomalous & flagged[1] & ~flagged[0]).sum())
    seen = disagreements(jobs, ["before", "after"])
    group = next(
        one for one in seen.groups if one.caption == f"Caught by after alone: {only_second}"
    )
    assert 0 < len(group.pictures) <= 8 and only_second > 0
    names = {
        str(path).rsplit("/", 1)[-1]
        for path in jobs[0][1].paths[known & anomalous & flagged[1] & ~flagged[0]]
    }
    assert {picture.caption for picture in group.pictures} <= names


def test_a_difference_within_chance_is_said_to_be_that():
    jobs = [detectors(gain=0.0)[0], detectors(gain=0.0)[0]]
    assert "No difference" in compared(jobs, ["a", "b"]).sentence


def test_other_images_other_labels_and_other_jobs_are_not_compared():
    one, two = detectors()
    assert are_comparable([one, two])
    renamed = (two[0], replace(two[1], paths=two[1].paths[::-1]))
    relabelled = (two[0], replace(two[1], is_anomalous=~two[1].is_anomalous))
    unlabelled = (two[0], replace(two[1], is_anomalous=None))
    fingerprints = {"fingerprints": {"judged": "other pixels under the same names"}}
    repainted = (two[0].model_copy(update={"provenance": fingerprints}), two[1])
    for other in (repainted, renamed, relabelled, unlabelled, reconstructor(), classifier()):
        assert (
            not are_comparable([one, other])
            and comparison([one, other], ["a", "b"], 10_000) is None
        )
    assert not are_comparable([one]) and not are_comparable([one, two, two])


def test_reconstructors_are_compared_image_by_image():
    record, evidence = reconstructor()
    worse = replace(evidence, per_image={"mse": evidence.per_image["mse"] + 0.01})
    jobs = [(record, evidence), (record, worse)]
    (found,) = compared(jobs, ["a", "b"]).pairs
    assert (
        found.metric == "mse"
        and found.difference.value == pytest.approx(0.01)
        and found.better == "a"
    )
    assert 'data-figure="comparison/mse/2"' in comparison(jobs, ["a", "b"], 10_000)


def test_a_page_of_two_runs_follows_from_its_data_and_a_changed_difference_is_found(tmp_path):
    path = write_html(tmp_path / "x.html", "Two runs", detectors(), names=["before", "after"])
    assert verify_report(path).differing == ()
    text = path.read_text("utf-8")
    changed = text.replace("after beats before by", "after beats before by far: by", 1)
    assert changed != text
    path.write_text(changed, "utf-8")
    assert {one.name for one in verify_report(path).differing} == {
        "figures as printed",
        "printed sentence",
    }


def test_one_name_a_job_or_none(tmp_path):
    with pytest.raises(InputError, match="one name per job"):
        write_html(tmp_path / "x.html", "x", detectors(), names=["only one"])


def test_jobs_without_scores_have_cards_and_no_comparison():
    bare = (Evaluation(job="detect", n_images=1, split="test"), Evidence(paths=np.array(["a"])))
    assert comparison([bare, bare], ["a", "b"], 1000) is None
