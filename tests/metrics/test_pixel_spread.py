"""Intervals of pixel metrics: influences are what a jackknife measures, groups widen, few groups say
so, and what is marked is counted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from sklearn.metrics import jaccard_score

from residua.errors import LabelError, RangeError
from residua.metrics import aupro, pixel_average_precision, pixel_roc_auc
from residua.metrics.groups import Groups
from residua.metrics.pixel_errors import PixelErrors
from residua.metrics.pixel_spread import (
    PooledPoints,
    aupro_influences,
    average_precision_influences,
    roc_auc_influences,
)
from residua.metrics.pixel_tally import PixelTally
from residua.metrics.reported import estimates_of

AREAS = ("pixel_roc_auc", "pixel_average_precision", "aupro")


def drawn(n_defective, n_normal, *, per_group=1, share=0.0, seed=0):
    """Masks, maps and groups; images of a group share that much of the variance of their level."""
    rng = np.random.default_rng(seed)
    masks, maps, groups = [], [], []
    for group in range(n_defective + n_normal):
        common = rng.normal() * np.sqrt(share)
        for _ in range(per_group):
            mask = np.zeros((16, 20), bool)
            if group < n_defective:
                top, left, height, width = rng.integers((0, 0, 2, 2), (9, 12, 7, 8))
                mask[top : top + height, left : left + width] = True
                mask[15, rng.integers(0, 19)] = True
            level = common + rng.normal() * np.sqrt(1 - share)
            maps.append(rng.normal(size=mask.shape) + level + (1.5 + level) * mask)
            masks.append(mask)
            groups.append(group)
    return masks, maps, np.array(groups)


def judged(masks, maps, groups=None, **options):
    tally = PixelTally(**options)
    for mask, one in zip(masks, maps, strict=True):
        tally.add(mask, one)
    own = None if groups is None else Groups.read(groups)
    return estimates_of(PixelErrors(groups=own, pixels=tally))


@pytest.mark.parametrize(
    ("metric", "influences"),
    [
        (pixel_roc_auc, roc_auc_influences),
        (pixel_average_precision, average_precision_influences),
        (aupro, aupro_influences),
    ],
)
def test_an_influence_is_what_leaving_the_image_out_changes(metric, influences):
    masks, maps, _ = drawn(12, 8)
    tally = PixelTally()
    for mask, one in zip(masks, maps, strict=True):
        tally.add(mask, one)
    parts = influences(PooledPoints(tally.points))
    assert sum(float(part.values.sum()) for part in parts) == pytest.approx(0, abs=1e-9)
    assert all(float(part.shares.sum()) == pytest.approx(1) for part in parts)
    said = sum(part.values / (1 - part.shares) for part in parts)
    value = metric(masks, maps)
    changed = [
        value - metric(masks[:i] + masks[i + 1 :], maps[:i] + maps[i + 1 :]) for i in range(20)
    ]
    assert np.corrcoef(said, changed)[0, 1] > 0.98
    assert np.std(said) == pytest.approx(np.std(changed), rel=0.15)


def test_alike_images_of_a_group_widen_and_a_group_each_changes_nothing():
    masks, maps, groups = drawn(12, 12, per_group=4, share=0.95)
    alone, each = judged(masks, maps), judged(masks, maps, np.arange(len(maps)))
    grouped = judged(masks, maps, groups)
    for name in AREAS:
        assert each[name] == alone[name]
        assert grouped[name].value == alone[name].value
        assert grouped[name].high - grouped[name].low > 1.2 * (alone[name].high - alone[name].low)
        assert grouped[name].n_groups == 24
        assert grouped[name].n_effective < 60
        assert alone[name].n_groups is None


def test_a_group_of_copies_is_worth_one_image():
    masks, maps, groups = drawn(12, 12)
    once = judged(masks, maps)
    thrice = judged(masks * 3, maps * 3, np.tile(groups, 3))
    for name in AREAS:
        assert thrice[name].value == pytest.approx(once[name].value)
        assert thrice[name].low == pytest.approx(once[name].low, abs=1e-6)
        assert thrice[name].high == pytest.approx(once[name].high, abs=1e-6)
        assert thrice[name].n_effective == pytest.approx(24, abs=0.1)


@pytest.mark.parametrize(
    ("n_defective", "bounded", "told"), [(4, False, "it takes 5"), (7, True, "7 images")]
)
def test_few_defective_images_say_so(n_defective, bounded, told):
    for one in (judged(*drawn(n_defective, 30)[:2])[name] for name in AREAS):
        assert (one.low is not None) is bounded
        assert told in one.caveat


def test_a_good_detector_on_many_images_has_no_caveat():
    one = judged(*drawn(60, 20)[:2])["pixel_average_precision"]
    assert one.low < one.value < one.high
    assert one.caveat is None


def test_maps_that_find_everything_have_no_interval_and_say_so():
    masks, _, _ = drawn(12, 4)
    found = judged(masks, [mask.astype(float) for mask in masks], pixel_threshold=0.5)
    for name in (*AREAS, "iou"):
        assert found[name].value == pytest.approx(1)
        assert found[name].low is None
        assert found[name].caveat.startswith("No interval")
    assert found["defect_detection_rate"].low > 0.7


def test_only_the_order_of_the_values_matters_and_counting_hardly_does():
    masks, maps, _ = drawn(10, 4)
    plain = judged(masks, maps)
    other = judged(masks, [np.exp(one) * 8 for one in maps])
    counted = judged(masks, maps, most_exact=0)
    for name in AREAS:
        assert other[name].low == pytest.approx(plain[name].low, abs=1e-6)
        assert counted[name].high == pytest.approx(plain[name].high, abs=3e-3)


def test_what_is_marked_is_counted():
    masks, maps, _ = drawn(15, 15)
    found = judged(masks, maps, pixel_threshold=2.5)
    marked = [one > 2.5 for one in maps]
    assert found["iou"].value == pytest.approx(
        jaccard_score(np.ravel(masks), np.ravel(marked)), abs=1e-12
    )
    hits = []
    for mask, mark in zip(masks, marked, strict=True):
        regions, n = ndimage.label(mask, np.ones((3, 3)))
        hits += [bool(mark[regions == k].any()) for k in range(1, n + 1)]
    rate = found["defect_detection_rate"]
    assert (rate.value, rate.n) == (pytest.approx(np.mean(hits)), len(hits))
    assert rate.n_groups is None
    assert found["marked_normal_rate"].value == np.mean([mark.any() for mark in marked[15:]])
    assert found["marked_normal_rate"].n == 15
    assert "iou" not in judged(masks, maps)


def test_nothing_defective_has_no_overlap():
    found = judged([None] * 20, np.ones((20, 3, 3)), pixel_threshold=0.5)
    assert found["iou"].value is None
    assert found["defect_detection_rate"].value is None
    assert found["marked_normal_rate"].value == 1
    assert judged([], [], pixel_threshold=0.5)["aupro"].value is None


def test_masks_of_numbers_and_a_threshold_that_is_none_are_refused():
    with pytest.raises(LabelError, match="dtype uint8"):
        PixelTally().add(np.ones((2, 2), np.uint8), np.ones((2, 2)))
    with pytest.raises(RangeError, match="nan"):
        PixelTally(pixel_threshold=np.nan)
