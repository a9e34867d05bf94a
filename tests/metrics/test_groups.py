"""Images that were sampled together: what they do to an interval."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import ShapeError
from residua.metrics.groups import FEWEST_GROUPS, LEAST_GROUPS, Groups, names_of
from residua.metrics.intervals import (
    average_precision_interval,
    rate_interval,
    roc_auc_difference,
    roc_auc_interval,
    share_interval,
)
from residua.metrics.precision_intervals import average_precision_influence


def _views(rng, n_groups, n_views, share, shift=0.0):
    """Scores of parts with `n_views` images each, which share `share` of the variance."""
    part = np.repeat(rng.normal(size=n_groups), n_views)
    return np.sqrt(share) * part + np.sqrt(1 - share) * rng.normal(size=len(part)) + shift


def _two_classes(seed, n_groups=30, n_views=6, share=0.9):
    rng = np.random.default_rng(seed)
    scores = np.concatenate(
        [_views(rng, n_groups, n_views, share), _views(rng, n_groups, n_views, share, 1.19)]
    )
    labels = np.repeat([False, True], n_groups * n_views)
    return labels, scores, np.repeat(np.arange(2 * n_groups), n_views)


def test_names_are_read_and_missing_ones_are_groups_of_their_own():
    groups = Groups.read(["b", None, "a", "b", float("nan"), ""])
    assert groups.codes.tolist() == [0, 1, 2, 0, 3, 4]
    assert Groups.read(np.array([7, 7, 8])).sizes.tolist() == [2, 1]
    with pytest.raises(ShapeError, match="3 for 4 images"):
        Groups.read([1, 2, 3], 4)
    with pytest.raises(ShapeError, match="one group per image"):
        Groups.read([[1, 2], [3, 4]])


def test_what_masked_arrays_and_pandas_call_missing_is_a_group_of_its_own():
    pandas = pytest.importorskip("pandas")
    names = [1, None, 1, None]
    of_names = [
        np.ma.array([1, 2, 1, 2], mask=[False, True, False, True]),
        np.ma.array(["a", "b", "a", "b"], mask=[False, True, False, True]),
        pandas.Series(names),
        pandas.Series(names, dtype="Int64"),
        pandas.Series(names, dtype="string"),
        pandas.Series(names, dtype="category"),
        pandas.to_datetime(pandas.Series(["2020-01-01", None, "2020-01-01", None])),
    ]
    for given in of_names:
        read = Groups.read(given)
        assert read.codes.tolist() == [0, 1, 0, 2]
        named = names_of(given, read).tolist()
        assert named[1] is None and named[3] is None and named[0] == named[2]


def test_whole_numbers_and_their_texts_are_one_name():
    assert Groups.read([1, 1.0, "1", np.float32(1), 2.5]).codes.tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize("interval", [roc_auc_interval, average_precision_interval])
def test_images_that_are_groups_of_their_own_change_nothing(interval):
    labels, scores, _ = _two_classes(0, n_views=1)
    assert interval(labels, scores, groups=np.arange(60)) == interval(labels, scores)


def test_a_share_of_images_that_are_groups_of_their_own_is_wilsons():
    flagged = np.arange(40) < 7
    assert share_interval(flagged, Groups.read(np.arange(40))) == rate_interval(7, 40)


def test_copies_of_each_image_give_about_the_interval_of_the_originals():
    labels, scores, _ = _two_classes(1, n_groups=60, n_views=1)
    once = roc_auc_interval(labels, scores)
    copied = roc_auc_interval(
        np.repeat(labels, 5), np.repeat(scores, 5), groups=np.repeat(np.arange(120), 5)
    )
    assert copied.value == pytest.approx(once.value)
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.05)
    assert copied.n_groups == 120
    assert copied.n_effective == pytest.approx(120, rel=0.05)


def test_grouped_intervals_cover_where_independent_ones_do_not():
    grouped, alone, ap = 0, 0, 0
    for seed in range(120):
        labels, scores, parts = _two_classes(seed)
        estimate = roc_auc_interval(labels, scores, groups=parts)
        naive = roc_auc_interval(labels, scores)
        precision = average_precision_interval(labels, scores, groups=parts)
        grouped += estimate.low <= 0.8 <= estimate.high
        alone += naive.low <= 0.8 <= naive.high
        ap += precision.low <= 0.7997 <= precision.high
    assert grouped >= 108
    assert ap >= 107
    assert alone <= 90


def test_shares_by_groups_cover_where_independent_ones_do_not():
    grouped, alone = 0, 0
    for seed in range(150):
        scores = _views(np.random.default_rng(seed), 40, 6, 0.9)
        flagged, parts = scores > 1.6449, Groups.read(np.repeat(np.arange(40), 6))
        estimate = share_interval(flagged, parts, scores=scores)
        naive = share_interval(flagged)
        grouped += estimate.low <= 0.05 <= estimate.high
        alone += naive.low <= 0.05 <= naive.high
    assert grouped >= 138
    assert alone <= 120


def test_few_groups_have_a_caveat_and_very_few_no_interval():
    labels, scores, parts = _two_classes(3, n_groups=LEAST_GROUPS - 1)
    refused = roc_auc_interval(labels, scores, groups=parts)
    assert (refused.low, refused.high) == (None, None)
    assert "4 groups of a class" in refused.caveat
    labels, scores, parts = _two_classes(3, n_groups=FEWEST_GROUPS - 2)
    labelled = roc_auc_interval(labels, scores, groups=parts)
    assert labelled.low < labelled.value
    assert "From 8 groups" in labelled.caveat
    flagged = np.repeat([True, False], 10)
    assert share_interval(flagged, Groups.read(np.repeat([0, 1, 2, 3], 5))).low is None


def test_a_share_without_a_success_counts_groups_and_not_images():
    parts = Groups.read(np.repeat(np.arange(20), 6))
    none = share_interval(np.zeros(120, np.bool_), parts)
    assert none.n_effective == 20
    assert none.high > rate_interval(0, 120).high * 4


def test_a_perfect_separation_has_bounds_in_groups_and_without():
    labels = np.repeat([False, True], 60)
    parts = np.repeat(np.arange(24), 5)
    for interval in (roc_auc_interval, average_precision_interval):
        alone = interval(labels, labels * 1.0 + np.arange(120) / 1e4)
        grouped = interval(labels, labels * 1.0 + np.arange(120) / 1e4, groups=parts)
        assert 0.75 < grouped.low < alone.low < alone.value == alone.high == 1


def test_a_paired_difference_of_areas_is_wider_in_groups():
    labels, scores, parts = _two_classes(5)
    other = scores + np.repeat(np.random.default_rng(6).normal(size=60), 6)
    alone = roc_auc_difference(labels, scores, other)
    grouped = roc_auc_difference(labels, scores, other, groups=parts)
    assert grouped.value == pytest.approx(alone.value)
    assert grouped.high - grouped.low > 1.5 * (alone.high - alone.low)


def test_influences_on_average_precision_agree_with_leaving_images_out():
    rng = np.random.default_rng(7)
    labels = rng.random(300) < 0.3
    scores = np.round(rng.normal(size=300) + labels, 1)
    influence = average_precision_influence(labels, scores)
    assert influence[labels].sum() == pytest.approx(0, abs=1e-12)
    assert influence[~labels].sum() == pytest.approx(0, abs=1e-12)
    value = average_precision_interval(labels, scores).value
    left_out = np.array(
        [
            value - average_precision_interval(np.delete(labels, k), np.delete(scores, k)).value
            for k in np.flatnonzero(labels)[:20]
        ]
    )
    # Leaving out an image changes the mix as well, by about the same for each of a class.
    assert np.corrcoef(left_out, influence[labels][:20])[0, 1] > 0.99
