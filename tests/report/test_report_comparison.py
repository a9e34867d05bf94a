from dataclasses import replace

import numpy as np
import pytest
from report_samples import classifier, detector, reconstructor

from residua import evaluate_detection
from residua.errors import InputError
from residua.evaluation import Evidence
from residua.metrics.delong import roc_auc_difference
from residua.records import Estimate, Evaluation
from residua.report import write_html
from residua.report.comparison import Difference, are_comparable, comparison, differences, disagreements, verdict
from residua.verify import verify_report

RNG = np.random.default_rng(3)


def detectors(gain=0.02):
    """The digits' detector, and one whose abnormal scores are higher by `gain`; each with a threshold of its own."""
    _, first = detector()
    first = replace(first, train_scores=None, calibration_scores=None, gallery=None, exhibits={})
    moved = first.scores + gain * first.is_anomalous + RNG.normal(0, 0.002, len(first.scores))
    second = replace(first, scores=moved.astype(np.float32))
    truth = np.ma.MaskedArray(first.is_anomalous, mask=~first.labelled)
    return [(evaluate_detection(truth, one.scores, operating_point=0.04), one) for one in (first, second)]


def test_differences_are_paired_and_of_the_second_minus_the_first():
    jobs = detectors()
    known = jobs[0][1].labelled
    found = {one.metric: one for one in differences(jobs)}
    labels, scores = jobs[0][1].is_anomalous[known], [job.scores[known] for _, job in jobs]
    assert found["roc_auc"].difference == roc_auc_difference(labels, scores[1], scores[0])
    assert found["roc_auc"].difference.low > 0
    recalls = [float((column[labels] > np.float32(0.04)).mean()) for column in scores]
    assert (found["recall"].first, found["recall"].second) == pytest.approx(recalls)
    assert found["recall"].difference.value == pytest.approx(recalls[1] - recalls[0])


def test_images_that_only_one_of_them_catches_are_shown_and_counted():
    jobs = detectors()
    known, anomalous = jobs[0][1].labelled, jobs[0][1].is_anomalous
    flagged = [job.scores > np.float32(0.04) for _, job in jobs]
    only_second = int((known & anomalous & flagged[1] & ~flagged[0]).sum())
    seen = disagreements(jobs, ["before", "after"])
    group = next(one for one in seen.groups if one.caption == f"Caught by after alone: {only_second}")
    assert 0 < len(group.pictures) <= 8 and only_second > 0
    names = {str(path).rsplit("/", 1)[-1] for path in jobs[0][1].paths[known & anomalous & flagged[1] & ~flagged[0]]}
    assert {picture.caption for picture in group.pictures} <= names


def test_a_difference_within_chance_is_said_to_be_that():
    jobs = [detectors(gain=0.0)[0], detectors(gain=0.0)[0]]
    assert "cannot tell b and a apart" in verdict(differences(jobs)[0], ["a", "b"])


@pytest.mark.parametrize(
    ("metric", "value", "said"),
    [
        ("roc_auc", 0.05, "b is better than a: ROC AUC higher by 0.050 [0.010, 0.090]."),
        ("roc_auc", -0.05, "b is worse than a: ROC AUC lower by 0.050 [0.010, 0.090]."),
        ("mse", -0.05, "b is better than a: Mean squared error lower by 0.0500 [0.0100, 0.0900]."),
    ],
)
def test_the_verdict_knows_which_end_is_better(metric, value, said):
    low, high = sorted((value * 0.2, value * 1.8))
    found = Difference(metric, 0.5, 0.5 + value, Estimate(value=value, low=low, high=high))
    assert verdict(found, ["a", "b"]) == said


def test_other_images_other_labels_and_other_jobs_are_not_compared():
    one, two = detectors()
    assert are_comparable([one, two])
    renamed = (two[0], replace(two[1], paths=two[1].paths[::-1]))
    relabelled = (two[0], replace(two[1], is_anomalous=~two[1].is_anomalous))
    unlabelled = (two[0], replace(two[1], is_anomalous=None))
    for other in (renamed, relabelled, unlabelled, reconstructor(), classifier()):
        assert not are_comparable([one, other]) and comparison([one, other], ["a", "b"], 10_000) is None
    assert not are_comparable([one]) and not are_comparable([one, two, two])


def test_reconstructors_and_classifiers_are_compared_image_by_image():
    record, evidence = reconstructor()
    worse = replace(evidence, per_image={"mse": evidence.per_image["mse"] + 0.01})
    (found,) = differences([(record, evidence), (record, worse)])
    assert found.metric == "mse" and found.difference.value == pytest.approx(0.01)
    record, evidence = classifier()
    flipped = replace(evidence, probabilities=np.asarray(evidence.probabilities)[:, ::-1])
    (found,) = differences([(record, evidence), (record, flipped)])
    assert (found.first, found.second) == (pytest.approx(3 / 5), pytest.approx(2 / 5)) and found.difference.n == 5


def test_a_page_of_two_runs_follows_from_its_data_and_a_changed_difference_is_found(tmp_path):
    path = write_html(tmp_path / "x.html", "Two runs", detectors(), names=["before", "after"])
    assert verify_report(path).differing == ()
    text = path.read_text("utf-8")
    changed = text.replace("after is better than before", "after is far better than before", 1)
    assert changed != text
    path.write_text(changed, "utf-8")
    assert {one.name for one in verify_report(path).differing} == {"figures as printed", "printed verdict"}


def test_one_name_a_job_or_none(tmp_path):
    with pytest.raises(InputError, match="one name a job"):
        write_html(tmp_path / "x.html", "x", detectors(), names=["only one"])


def test_jobs_without_scores_have_cards_and_no_comparison():
    bare = (Evaluation(job="detect", n_images=1, split="test"), Evidence(paths=np.array(["a"])))
    assert comparison([bare, bare], ["a", "b"], 1000) is None
