"""Images of a few parts are not as many independent images: findings that test significance count
groups, and accuse nothing that a new draw of parts explains."""

from __future__ import annotations

import numpy as np

from residua.evaluation.arrays import judge
from residua.findings import (
    find_drift,
    find_overfitting,
    find_reversed_labels,
    find_shortcut,
    find_tracks_complexity,
    find_unlike_parts,
)

SIX = np.repeat(np.arange(15), 6)
DRAWS = 25


def of_parts(rng: np.random.Generator, share: float = 0.95) -> np.ndarray:
    """Numbers of six views of each of fifteen parts, of which the part is that `share`."""
    return np.sqrt(share) * rng.normal(size=15)[SIX] + np.sqrt(1 - share) * rng.normal(size=90)


def test_another_draw_of_parts_is_no_drift_and_parts_are_not_unlike() -> None:
    rng = np.random.default_rng(0)
    alone, grouped, unlike = [], [], []
    for _ in range(DRAWS):
        calibration, new = of_parts(rng), of_parts(rng)
        alone.append(find_drift(calibration, new, are_normal=True).severity)
        told = find_drift(calibration, new, are_normal=True, groups=SIX, calibration_groups=SIX)
        grouped.append(told.severity)
        both = {"train": {"brightness": calibration}, "test": {"brightness": new}}
        unlike.append(find_unlike_parts(both, groups={"train": SIX, "test": SIX}))
    assert set(grouped) == {"ok"}
    assert set(unlike) == {None}
    assert alone.count("ok") < DRAWS  # what it was without groups


def test_drift_of_all_parts_is_found_and_fewer_than_five_say_nothing() -> None:
    rng = np.random.default_rng(1)
    calibration, new = of_parts(rng), of_parts(rng) + 3
    told = find_drift(calibration, new, groups=SIX, calibration_groups=SIX)
    assert told.severity in ("warning", "error")
    assert find_drift(calibration, new, groups=SIX // 4, calibration_groups=SIX) is None


def test_groups_of_one_image_change_nothing() -> None:
    rng = np.random.default_rng(2)
    first, second, own = rng.normal(size=90), rng.normal(size=90) + 0.7, np.arange(90)
    assert find_drift(first, second) == find_drift(
        first, second, groups=own, calibration_groups=own
    )
    assert find_overfitting(first**2, second**2) == find_overfitting(
        first**2, second**2, groups=own
    )
    flags = np.arange(90) < 30
    features = {"brightness": first + 2 * flags}
    assert find_shortcut(features, flags) == find_shortcut(features, flags, groups=own)


def test_intervals_of_findings_widen_with_groups() -> None:
    rng = np.random.default_rng(3)
    flags, part = SIX < 6, rng.normal(size=15)[SIX]
    features = {"brightness": part + 4 * flags}
    assert find_shortcut(features, flags).severity == "warning"
    assert find_shortcut(features, flags, groups=SIX) is None  # six parts against nine
    other = part + 0.35 * rng.normal(size=90)
    assert find_tracks_complexity(part, other).severity == "warning"
    assert find_tracks_complexity(part, other, groups=SIX) is None
    errors = np.exp(of_parts(rng)), 2 * np.exp(of_parts(rng))
    alone, grouped = (find_overfitting(*errors, groups=one).measured for one in (None, SIX))
    assert grouped["low"] < alone["low"] < alone["high"] < grouped["high"]


def test_labels_seem_reversed_only_where_groups_show_it() -> None:
    rng = np.random.default_rng(4)
    known, flags = of_parts(rng), SIX < 7
    scores = of_parts(rng) - 1.6 * ~flags
    assert find_reversed_labels(known, scores, flags).severity == "error"
    few = np.minimum(SIX, 9)
    assert find_reversed_labels(known, scores, flags, groups=few, known_groups=few) is None


def test_judge_hands_groups_to_drift() -> None:
    rng = np.random.default_rng(11)
    calibration, scores = of_parts(rng), of_parts(rng) + 0.8
    given = {"scores": scores, "labels": np.zeros(90, int), "calibration_scores": calibration}
    given["policy"] = "quantile:0.9"
    severities = []
    for groups in (None, SIX):
        record, _ = judge(**given, groups=groups, calibration_groups=groups)
        found = [one.severity for one in record.findings if one.code == "drift"]
        severities.append(found)
    assert severities == [["error"], ["ok"]] or severities == [["warning"], ["ok"]]
