"""The finding of groups that nobody named is made where it matters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from residua.evaluation.classification import classification_facts
from residua.evaluation.detection import detection_facts
from residua.evaluation.labels import DetectionLabels
from residua.evaluation.reconstruction import error_facts
from residua.findings import find_all, ungrouped
from residua.findings.blind_spots import changed_scores
from residua.images.group_names import groups_in_names

NAMES = [f"part{part:02d}_view{view}.png" for part in range(40) for view in range(6)]
SUSPECTED = groups_in_names(NAMES)
PART = SUSPECTED.codes


def told(facts):
    found = find_all(replace(facts, suspected=SUSPECTED), [ungrouped.KIND])[0]
    return found[0] if found else None


def drawn(share: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    of_part = np.sqrt(share) * rng.normal(size=40)[PART]
    return of_part + np.sqrt(1 - share) * rng.normal(size=len(PART))


def detected(share: float, **more):
    labels = DetectionLabels(PART % 2 == 1, np.ones(len(PART), bool))
    return detection_facts(labels, drawn(share) + (PART % 2), **more)


def test_a_detector_is_told_with_both_intervals():
    found = told(detected(0.9))
    assert (found.code, found.severity) == ("ungrouped", "warning")
    measured = found.measured
    assert (measured["n_groups"], measured["rule"]) == (40, r"part(\d+)")
    (low, high), (alone_low, alone_high) = measured["grouped"], measured["alone"]
    assert high - low > 1.5 * (alone_high - alone_low)
    assert r"--groups 'part(\d+)'" in found.what_to_do


def test_it_is_silent_where_groups_change_nothing_or_are_named():
    assert told(detected(0.0)) is None
    assert told(detected(0.9, groups=PART)) is None


def test_reconstructors_and_classifiers_are_told_too():
    errors = error_facts({"mse": np.exp(drawn(0.9)) / 1000})
    assert told(errors).measured["metric"] == "mse"
    chances = 1 / (1 + np.exp(-drawn(0.9) - (PART % 2)))
    facts = classification_facts(PART % 2, np.stack([1 - chances, chances], axis=1))
    assert told(facts).measured["metric"] == "accuracy"


@pytest.mark.parametrize(("n_seen", "is_told"), [(0, False), (20, False), (100, True)])
def test_groups_that_were_fitted_on_are_told_by_themselves(n_seen, is_told):
    facts = replace(detected(0.0), suspected=replace(SUSPECTED, n_seen=n_seen))
    found = find_all(facts, [ungrouped.KIND])[0]
    assert bool(found) == is_told
    if is_told:
        assert "100 of the images are of groups that the model was fitted on" in found[0].meaning


def test_it_is_asked_of_images_without_labels_too():
    nothing = np.zeros(len(PART), bool)
    facts = detection_facts(DetectionLabels(nothing, nothing), drawn(0.9))
    assert told(facts) is None
    assert facts.normal_rows.size == facts.anomalous_rows.size == 0
    assert changed_scores(facts) is None
