"""Sketches and exact scores: guaranteed bounds on adversarial scores, merging in any order, two
real processes, damaged bytes."""

import math
import multiprocessing

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from residua.errors import InputError, RangeError, ShapeError
from residua.metrics.alarms_at_recall import false_alarms_at_recall
from residua.metrics.ranking import average_precision, roc_auc
from residua.metrics.sketch import ExactScores, ScoreSketch


def adversarial_scores(name, n=4000):
    rng = np.random.default_rng(7)
    normal = rng.normal(size=n)
    bits = rng.integers(0, 2**64, n, dtype=np.uint64).view(np.float64)
    return {
        "all equal": np.full(n, 0.5),
        "normal": normal,
        "one outlier of 1e30": np.where(np.arange(n) == 5, 1e30, normal),
        "denormals": rng.integers(-5000, 5000, n) * 5e-324,
        "float32 denormals": (rng.integers(-500, 500, n) * np.float32(1e-45)).astype(np.float32),
        "huge ties": rng.integers(0, 4, n).astype(np.float64),
        "both zeros": np.where(normal > 0, 0.0, -0.0),
        "every magnitude": np.where(np.isfinite(bits), bits, 0.0),
        "a hair apart": 1 + np.abs(normal) * 1e-12,
        "negative": -np.exp(20 * normal),
        "float32": normal.astype(np.float32),
    }[name]


NAMES = [
    "all equal",
    "normal",
    "one outlier of 1e30",
    "denormals",
    "float32 denormals",
    "huge ties",
    "both zeros",
    "every magnitude",
    "a hair apart",
    "negative",
    "float32",
]


def labels_of(scores):
    labels = np.random.default_rng(3).random(len(scores)) < 0.3
    labels[:2] = True, False
    return labels


def check_bounds(sketch, labels, scores):
    low, high = sketch.roc_auc_bounds()
    assert 0 <= low <= roc_auc(labels, scores) <= high <= 1
    low, high = sketch.average_precision_bounds()
    assert 0 <= low <= average_precision(labels, scores) <= high <= 1
    for threshold in (*scores[::500].tolist(), 0.0, -1e300, 1e300, 0.123):
        flagged = scores.astype(np.float64) > threshold
        rates = sketch.rates_bounds(threshold)
        assert rates["recall"].low <= flagged[labels].mean() <= rates["recall"].high
        assert (
            rates["false_alarm_rate"].low
            <= flagged[~labels].mean()
            <= rates["false_alarm_rate"].high
        )
        if flagged.any():
            assert rates["precision"].low <= labels[flagged].mean() <= rates["precision"].high


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("n_bins", [2, 9, 300, 65536])
def test_bounds_hold_for_any_scores(name, n_bins):
    scores = adversarial_scores(name)
    labels = labels_of(scores)
    sketch = ScoreSketch(n_bins)
    sketch.update(labels, scores)
    check_bounds(sketch, labels, scores)
    assert sketch.n_scores == len(scores)
    assert (len(sketch.to_bytes()) - 17) // 24 <= n_bins


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
        min_size=2,
        max_size=50,
    ),
    st.integers(2, 20),
)
def test_bounds_hold_for_any_small_set(rows, n_bins):
    labels = np.array([row[0] for row in rows])
    scores = np.array([row[1] for row in rows])
    labels[:2] = True, False
    sketch = ScoreSketch(n_bins)
    sketch.update(labels, scores)
    check_bounds(sketch, labels, scores)


@pytest.mark.parametrize("name", NAMES)
def test_any_order_of_updates_and_merges_gives_the_same_bytes(name):
    scores = adversarial_scores(name, 1000)
    labels = labels_of(scores)
    for make in (lambda: ScoreSketch(50), ExactScores):
        whole = make()
        whole.update(labels, scores)
        parts = []
        for start in range(0, 1000, 250):
            part = make()
            part.update(labels[start : start + 250], scores[start : start + 250])
            parts.append(part.to_bytes())
        read = make().from_bytes
        forward = read(parts[0]).merge(read(parts[1])).merge(read(parts[2])).merge(read(parts[3]))
        paired = read(parts[3]).merge(read(parts[1])).merge(read(parts[2]).merge(read(parts[0])))
        assert forward.to_bytes() == paired.to_bytes() == whole.to_bytes()


def test_bounds_are_narrow_where_scores_are_ordinary():
    rng = np.random.default_rng(0)
    labels = rng.random(200_000) < 0.1
    scores = (np.abs(rng.normal(0.001, 0.0003, 200_000)) + labels * 0.0005).astype(np.float32)
    sketch = ScoreSketch(n_bins=10_000)
    sketch.update(labels, scores)
    assert not sketch.is_exact
    for low, high in (sketch.roc_auc_bounds(), sketch.average_precision_bounds()):
        assert high - low < 1e-3


def test_one_outlier_does_not_widen_the_bounds():
    rng = np.random.default_rng(0)
    labels, scores = rng.random(50_000) < 0.5, rng.random(50_000) + 1
    plain, spoilt = ScoreSketch(1000), ScoreSketch(1000)
    plain.update(labels, scores)
    spoilt.update(labels, np.where(np.arange(50_000) == 0, 1e30, scores))
    widths = [high - low for low, high in (plain.roc_auc_bounds(), spoilt.roc_auc_bounds())]
    assert widths[1] < 2.1 * widths[0]


def test_few_distinct_scores_are_exact():
    labels, scores = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    sketch = ScoreSketch()
    sketch.update(labels, scores)
    assert sketch.is_exact
    assert sketch.roc_auc_bounds() == (0.75, 0.75)
    low, high = sketch.average_precision_bounds()
    assert high - low < 3e-12


def test_sketches_of_different_size_merge_into_the_smaller():
    small, large = ScoreSketch(16), ScoreSketch(1000)
    scores = adversarial_scores("normal")
    labels = labels_of(scores)
    small.update(labels[:2000], scores[:2000])
    large.update(labels[2000:], scores[2000:])
    backward = ScoreSketch.from_bytes(large.to_bytes()).merge(
        ScoreSketch.from_bytes(small.to_bytes())
    )
    assert small.merge(large).to_bytes() == backward.to_bytes()
    assert small.n_bins == 16
    check_bounds(small, labels, scores)


def _gather(kind, seed):
    """What one worker process does: its own scores into its own summary, sent home as bytes."""
    rng = np.random.default_rng(seed)
    summary = ScoreSketch(64) if kind == "sketch" else ExactScores()
    labels = rng.random(5000) < 0.2
    scores = (rng.normal(size=5000) + labels).astype(np.float32)
    scores[seed] = 1e30
    summary.update(labels, scores)
    return summary.to_bytes(), labels, scores


def test_two_processes_merge_into_what_one_would_have_seen():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        sketches = pool.starmap(_gather, [("sketch", 1), ("sketch", 2)])
        exacts = pool.starmap(_gather, [("exact", 1), ("exact", 2)])
    labels = np.concatenate([part[1] for part in sketches])
    scores = np.concatenate([part[2] for part in sketches])
    merged = ScoreSketch.from_bytes(sketches[0][0]).merge(ScoreSketch.from_bytes(sketches[1][0]))
    check_bounds(merged, labels, scores)
    exact = ExactScores.from_bytes(exacts[1][0]).merge(ExactScores.from_bytes(exacts[0][0]))
    assert exact.roc_auc() == roc_auc(labels, scores)
    assert exact.average_precision() == pytest.approx(average_precision(labels, scores), abs=1e-15)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("share", [0.1, 0.9])
def test_exact_scores_give_the_exact_metrics(name, share):
    scores = adversarial_scores(name)
    labels = np.random.default_rng(1).random(len(scores)) < share
    exact = ExactScores()
    for part in np.array_split(np.arange(len(scores)), 3):
        exact.update(labels[part], scores[part])
    assert exact.n_scores == len(scores)
    assert exact.roc_auc() == roc_auc(labels, scores)
    assert exact.average_precision() == pytest.approx(average_precision(labels, scores), abs=1e-15)


def test_exact_scores_take_four_bytes_each_until_a_double_comes():
    exact = ExactScores()
    exact.update([0, 1], np.array([1, 2], np.float32))
    assert len(exact.to_bytes()) == 21 + 2 * 4
    exact.update([0], np.array([0.1]))
    assert len(exact.to_bytes()) == 21 + 3 * 8
    assert ExactScores.from_bytes(exact.to_bytes()).to_bytes() == exact.to_bytes()


def test_one_class_is_undefined():
    sketch, exact = ScoreSketch(), ExactScores()
    for summary in (sketch, exact):
        summary.update([1, 1], [0.1, 0.2])
    assert all(
        map(
            math.isnan,
            (*sketch.roc_auc_bounds(), *sketch.average_precision_bounds(), exact.roc_auc()),
        )
    )
    assert math.isnan(exact.average_precision())
    assert math.isnan(sketch.rates_bounds(0.0)["false_alarm_rate"].low)
    assert math.isnan(sketch.rates_bounds(5.0)["precision"].low)
    assert sketch.rates_bounds(0.15)["recall"] == (0.5, 0.5)
    assert all(map(math.isnan, ScoreSketch().roc_auc_bounds()))


def test_bad_input_is_refused():
    for summary in (ScoreSketch(), ExactScores()):
        with pytest.raises(RangeError, match="1 NaN"):
            summary.update([0, 1], [np.nan, 1.0])
        with pytest.raises(ShapeError, match="same length"):
            summary.update([0], [1.0, 2.0])
    with pytest.raises(RangeError, match="n_bins"):
        ScoreSketch(1)
    with pytest.raises(RangeError, match="threshold"):
        ScoreSketch().rates_bounds(math.nan)


def test_damaged_bytes_are_refused():
    sketch, exact = ScoreSketch(), ExactScores()
    for summary in (sketch, exact):
        summary.update([0, 1, 1], [0.1, 0.2, 0.3])
        data = summary.to_bytes()
        for damaged in (
            b"",
            b"nonsense" * 5,
            data[:-1],
            data + b"\0",
            data[:4] + b"\xff" + data[5:],
        ):
            with pytest.raises(InputError):
                summary.from_bytes(damaged)
    data = sketch.to_bytes()
    with pytest.raises(InputError, match="ascend"):
        ScoreSketch.from_bytes(data[:17] + data[25:33] + data[17:25] + data[33:])
    with pytest.raises(InputError, match="finite"):
        ExactScores.from_bytes(exact.to_bytes()[:-4] + b"\xff\xff\xff\xff")


@pytest.mark.parametrize("n_bins", [65536, 64])
def test_the_cost_of_most_anomalies_is_exact_or_within_bounds(n_bins):
    rng = np.random.default_rng(1)
    labels = rng.random(2000) < 0.2
    scores = (rng.normal(size=2000) + 2.0 * labels).astype(np.float32)
    exact = false_alarms_at_recall(labels, scores)
    sketch = ScoreSketch(n_bins)
    sketch.update(labels, scores)
    found = sketch.false_alarms_at_recall()
    if sketch.is_exact:
        assert found == exact
    else:
        assert found.low <= exact.low + 1e-9 <= exact.high <= found.high + 1e-9
        assert abs(found.value - exact.value) < 0.1
