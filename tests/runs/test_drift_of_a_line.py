"""What is said of a line that changes: what, since when, and that more defects are no drift."""

from __future__ import annotations

import json

import numpy as np
import pytest

from residua.runs.watching.drift import FIRST, LOOKS, DriftWatch


def reference(rng, n=200):
    return rng.gamma(2, 1, n), {name: rng.normal(1, 0.05, n) for name in LOOKS}


def watched(rng, *, n=500, at=250, looks=None, factor=1.0, defects=0.02, later=0.02, known=True):
    scores, own = reference(rng)
    drift = DriftWatch.of(scores, own if known else None)
    for n_image in range(1, n + 1):
        has_changed = n_image > at
        score = rng.gamma(2, 1)
        if rng.random() < (later if has_changed else defects):
            score += 12
        values = {name: rng.normal(1, 0.05) for name in LOOKS} | {"score": score}
        if has_changed:
            values = {
                name: value * (factor if name == looks else 1) for name, value in values.items()
            }
            values["score"] += looks == "score"
        drift.add(n_image, "now", values, f"{n_image}.png")
    return drift


@pytest.mark.parametrize("what", [*LOOKS, "score"])
def test_what_has_changed_is_named_with_the_image_since_when(what):
    drift = watched(np.random.default_rng(0), looks=what, factor=0.8 if what in LOOKS else 1.0)
    alarm = drift.alarms[what]
    assert alarm["kind"] == "drift" and 235 <= alarm["since_image"] <= 275
    assert alarm["found_at_image"] <= (350 if what in LOOKS else 420)
    assert alarm["says"] == ("lower" if what in LOOKS else "higher")
    assert f"since about image {alarm['since_image']}" in alarm["words"]
    assert f"Found at image {alarm['found_at_image']}." in alarm["words"]


def test_more_defects_are_told_apart_from_drift():
    drift = watched(np.random.default_rng(1), later=0.3)
    assert list(drift.alarms) == ["flagged"]
    alarm = drift.alarms["flagged"]
    assert (
        alarm["kind"] == "more-anomalies" and "more defects, not another camera" in alarm["words"]
    )


def test_images_that_nearly_all_score_high_are_drift():
    drift = watched(np.random.default_rng(1), later=0.95)
    assert drift.alarms["flagged"]["kind"] == "drift"


def test_a_line_that_goes_on_raises_nothing_and_its_state_goes_on():
    drift = watched(np.random.default_rng(2), n=600)
    assert drift.alarms == {}
    told = drift.status()
    assert told["alarms"] == [] and told["false_alarm_chance"] == 0.01
    again = DriftWatch.from_state(json.loads(json.dumps(drift.state())))
    for one in (drift, again):
        one.add(601, "now", {"score": 1.0, **dict.fromkeys(LOOKS, 1.0)}, "x.png")
    assert again.state() == drift.state()


def test_looks_that_nobody_knows_are_learnt_from_the_first_images():
    drift = watched(
        np.random.default_rng(3), n=600, at=400, looks="sharpness", factor=0.7, known=False
    )
    assert list(drift.alarms) == ["sharpness"] and drift.tests["brightness"].n == 600 - FIRST


def test_of_images_in_groups_one_in_so_many_is_tested_and_a_missing_value_is_not():
    drift = DriftWatch.of(np.arange(50.0), {name: np.arange(50.0) for name in LOOKS}, every=8)
    for n in range(1, 81):
        drift.add(n, "now", {"score": None, "brightness": 3.0}, "x.png")
    assert drift.tests["brightness"].n == 10
    assert drift.tests["contrast"].n == drift.tests["score"].n == 0
    assert drift.status()["tested_every"] == 8


def test_the_chance_of_a_false_alarm_is_shared_and_no_more_than_that():
    told = DriftWatch.of(np.arange(50.0), {name: np.arange(50.0) for name in LOOKS}).status()
    shares = {name: 1 / needed for name, needed in told["needed"].items()}
    assert shares.pop("flagged") == pytest.approx(0.01)
    assert sum(shares.values()) == pytest.approx(told["false_alarm_chance"])
    assert set(shares) == {*LOOKS, "score"}
