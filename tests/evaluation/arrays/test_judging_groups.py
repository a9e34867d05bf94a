"""`judge --groups`: a file, or a column of a table that is given."""

from __future__ import annotations

import numpy as np
import pytest

import residua
from residua.errors import InputError, PolicyError
from residua.evaluation.arrays import judge

N_PARTS, EACH = 30, 4


@pytest.fixture(scope="module")
def drawn():
    """Scores of 30 parts of four views, half of the parts anomalous; the views of a part agree."""
    rng = np.random.default_rng(0)
    part = np.repeat(np.arange(N_PARTS), EACH)
    labels = (part % 2).astype(np.int64)
    scores = rng.normal(size=N_PARTS)[part] + 0.2 * rng.normal(size=len(part)) + labels
    return scores, labels, np.array([f"part {number}" for number in part])


def area(**given):
    return judge(**given)[0].metrics["roc_auc"]


def test_an_array_and_a_file_give_what_evaluate_detection_gives(drawn, tmp_path):
    scores, labels, parts = drawn
    expected = residua.evaluate_detection(labels, scores, groups=parts).metrics["roc_auc"]
    assert expected.n_groups == N_PARTS
    np.save(tmp_path / "parts.npy", parts)
    (tmp_path / "parts.csv").write_text("\n".join(parts))
    for groups in (parts, parts[:, None], tmp_path / "parts.npy", str(tmp_path / "parts.csv")):
        assert area(scores=scores, labels=labels, groups=groups) == expected
    assert area(scores=scores, labels=labels).n_groups is None


def test_a_column_of_a_table_is_named_alone(drawn, tmp_path):
    scores, labels, parts = drawn
    rows = ["which,label"] + [
        f"{part},{'ok' if not label else 'bad'}" for part, label in zip(parts, labels, strict=True)
    ]
    (tmp_path / "y.csv").write_text("\n".join(rows))
    made, evidence = judge(
        scores=scores, labels=f"{tmp_path}/y.csv:label", groups="which", normal="ok"
    )
    assert made.metrics["roc_auc"].n_groups == N_PARTS
    assert evidence.groups.tolist() == parts.tolist()
    with pytest.raises(InputError, match="must be a file"):
        judge(scores=scores, labels=f"{tmp_path}/y.csv:label", groups="what", normal="ok")


def test_an_image_without_a_name_is_its_own_group(drawn):
    scores, labels, parts = drawn
    some = parts.astype(object)
    some[:2] = None
    assert area(scores=scores, labels=labels, groups=some).n_groups == N_PARTS + 2


def test_too_few_names_are_refused(drawn):
    scores, labels, parts = drawn
    with pytest.raises(InputError, match="--groups must have the same length"):
        judge(scores=scores, labels=labels, groups=parts[:-1])
    with pytest.raises(InputError, match="--calibration-groups needs --calibration-scores"):
        judge(scores=scores, labels=labels, calibration_groups=parts)


def test_a_policy_promises_for_new_groups_of_the_calibration_images(drawn):
    scores, labels, parts = drawn
    normal = labels == 0
    given = {"scores": scores, "labels": labels, "calibration_scores": scores[normal]}
    made, evidence = judge(**given, calibration_groups=parts[normal], policy="quantile:0.9")
    assert made.operating_point.promise == "new groups"
    assert len(evidence.calibration_groups) == normal.sum()
    with pytest.raises(PolicyError, match="groups"):
        judge(**given, calibration_groups=parts[normal], policy="quantile:0.95")


def test_reconstructions_have_groups_too(drawn):
    pictures = np.random.default_rng(0).random((24, 8, 8))
    given = {"images": pictures, "reconstructions": pictures * 0.9, "scale": "0-1"}
    made, _ = judge(**given, groups=np.arange(24) // 2)
    assert made.metrics["mse"].n_groups == 12


def test_a_classifier_has_groups_too(drawn):
    scores, labels, parts = drawn
    chances = 1 / (1 + np.exp(-scores))
    made, evidence = judge(labels=labels, predictions=chances, groups=parts)
    assert made.metrics["accuracy"].n_groups == N_PARTS
    assert evidence.groups.tolist() == parts.tolist()


def test_a_promise_can_be_for_known_groups_and_allow_for_hidden_anomalies() -> None:
    rng = np.random.default_rng(0)
    calibration, groups = rng.normal(size=120), np.repeat(np.arange(12), 10)
    asked = {
        "scores": rng.normal(size=60),
        "calibration_scores": calibration,
        "calibration_groups": groups,
        "policy": "false-alarms<=0.05",
    }
    with pytest.raises(PolicyError, match="59 groups"):
        judge(**asked)
    point = judge(**asked, promise="known-groups", contamination=0.02)[0].operating_point
    assert (point.promise, point.contamination) == ("known groups", 0.02)


def test_ids_that_suggest_groups_are_told(drawn, tmp_path):
    scores, labels, _ = drawn
    ids = [f"part{row // EACH:02d}_view{row % EACH}" for row in range(len(scores))]
    rows = zip(ids, scores, strict=True)
    text = "\n".join(["id,score", *(f"{name},{score}" for name, score in rows)])
    (tmp_path / "s.csv").write_text(text)
    made, _ = judge(scores=tmp_path / "s.csv", labels=labels)
    told = {one.code: one for one in made.findings}["ungrouped"]
    assert told.measured["n_groups"] == N_PARTS
