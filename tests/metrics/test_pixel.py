"""Pixel metrics: AUPRO against the curve it stands for, the others against scikit-learn, and what
is refused."""

import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy.ndimage import label
from sklearn import metrics as sk

from residua.errors import InputError, LabelError, RangeError, ShapeError
from residua.metrics.pixel import aupro, pixel_average_precision, pixel_roc_auc


def aupro_from_the_curve(masks, maps, max_fpr):
    """The definition: every threshold, every region, then the trapezoidal area up to the limit."""
    masks = [
        np.zeros(image.shape, bool) if mask is None else mask
        for mask, image in zip(masks, maps, strict=True)
    ]
    background = np.concatenate([image[~mask] for mask, image in zip(masks, maps, strict=True)])
    regions = []
    for mask, image in zip(masks, maps, strict=True):
        names, count = label(mask, structure=np.ones((3, 3)))
        regions += [image[names == k + 1] for k in range(count)]
    thresholds = np.unique(np.concatenate([image.ravel() for image in maps]))[::-1]
    fpr = np.array([0.0] + [np.mean(background >= t) for t in thresholds])
    overlap = np.array(
        [0.0] + [np.mean([np.mean(region >= t) for region in regions]) for t in thresholds]
    )
    end = np.searchsorted(fpr, max_fpr, "right")
    x, y = fpr[:end], overlap[:end]
    if end < len(fpr):
        part = (max_fpr - fpr[end - 1]) / (fpr[end] - fpr[end - 1])
        x, y = np.append(x, max_fpr), np.append(y, y[-1] + part * (overlap[end] - y[-1]))
    return np.trapezoid(y, x) / max_fpr


@st.composite
def defective_images(draw):
    """One to three small images of mixed sizes, from nearly all tied to all distinct, with at least
    one defect."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.normal(size=draw(st.integers(1, 12))) * draw(st.sampled_from([1e-30, 1.0, 1e30]))
    sizes = [(2, 3), *draw(st.lists(st.tuples(st.integers(1, 7), st.integers(1, 7)), max_size=2))]
    maps = [
        rng.choice(values, size).astype(draw(st.sampled_from([np.float32, np.float64])))
        for size in sizes
    ]
    masks = [rng.random(size) < draw(st.sampled_from([0.1, 0.4])) for size in sizes]
    masks[0][:] = [[True, False, False], [False, False, False]]
    return [mask if mask.any() else None for mask in masks], maps


@settings(max_examples=150, deadline=None)
@given(defective_images(), st.sampled_from([0.01, 0.05, 0.3, 0.5, 1.0]))
def test_aupro_is_the_area_under_the_per_region_overlap_curve(images, max_fpr):
    masks, maps = images
    assert aupro(masks, maps, max_fpr=max_fpr) == pytest.approx(
        aupro_from_the_curve(masks, maps, max_fpr), abs=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(defective_images())
def test_pixel_areas_are_those_of_scikit_learn_over_all_pixels(images):
    masks, maps = images
    truth = np.concatenate(
        [
            (np.zeros(x.shape, bool) if m is None else m).ravel()
            for m, x in zip(masks, maps, strict=True)
        ]
    )
    values = np.concatenate([image.ravel() for image in maps])
    assert pixel_roc_auc(masks, maps) == pytest.approx(sk.roc_auc_score(truth, values), abs=1e-13)
    assert pixel_average_precision(masks, maps) == pytest.approx(
        sk.average_precision_score(truth, values), abs=1e-13
    )


def test_many_images_agree_with_the_curve():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(6, 40, 50)).astype(np.float32)
    masks = np.zeros(maps.shape, bool)
    masks[0, 5:15, 5:15] = masks[0, 30:35, 20:40] = masks[3, 2, 3] = True
    maps[masks] += 1
    assert aupro(masks, maps) == pytest.approx(aupro_from_the_curve(masks, maps, 0.3), abs=1e-12)


def test_a_small_defect_counts_as_much_as_a_large_one():
    mask = np.zeros((20, 20), bool)
    mask[:10, :10] = mask[19, 19] = True
    found_large, found_small = np.zeros((20, 20)), np.zeros((20, 20))
    found_large[:10, :10] = found_small[19, 19] = 1.0
    assert aupro([mask], [found_large]) == pytest.approx(aupro([mask], [found_small]))
    assert pixel_roc_auc([mask], [found_large]) > pixel_roc_auc([mask], [found_small])


def test_diagonal_neighbours_are_one_defect():
    mask = np.array([[1, 0, 0, 0], [0, 1, 0, 1]], bool)
    image = np.array([[3.0, 0, 0, 0], [0, 0, 0, 2.0]])
    # Two defects, not three: half of the first is found and all of the second.
    assert aupro([mask], [image], max_fpr=0.01) == pytest.approx((0.5 + 1) / 2, abs=0.01)


def test_perfect_maps_reach_one_and_constant_maps_are_chance():
    mask = np.zeros((10, 10), bool)
    mask[2:5, 2:5] = True
    assert aupro([mask], [mask.astype(float)]) == pytest.approx(1.0, abs=1e-15)
    assert aupro([mask], [np.zeros((10, 10))]) == pytest.approx(0.15)
    assert pixel_roc_auc([mask], [np.zeros((10, 10))]) == 0.5
    assert aupro([mask], [-mask.astype(float)]) == 0.0


def test_a_map_that_gets_worse_scores_lower():
    rng = np.random.default_rng(0)
    mask = np.zeros((30, 30), bool)
    mask[5:12, 5:12] = True
    noise = rng.normal(size=(30, 30))
    values = [aupro([mask], [noise + strength * mask]) for strength in (3.0, 1.0, 0.0, -1.0)]
    assert values == sorted(values, reverse=True)


def test_scale_of_the_maps_changes_nothing():
    rng = np.random.default_rng(0)
    masks, maps = rng.random((3, 8, 8)) < 0.2, rng.normal(size=(3, 8, 8))
    assert aupro(masks, maps * 1e-20) == aupro(masks, maps)
    assert pixel_roc_auc(masks, maps * 2.0**90) == pixel_roc_auc(masks, maps)


def test_order_of_images_changes_nothing_and_generators_will_do():
    rng = np.random.default_rng(0)
    masks, maps = list(rng.random((3, 8, 9)) < 0.2), list(rng.normal(size=(3, 8, 9)))
    assert aupro((m for m in masks[::-1]), iter(maps[::-1])) == pytest.approx(
        aupro(masks, maps), abs=1e-14
    )


def test_no_mask_an_empty_mask_and_masks_in_numbers_mean_the_same():
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(2, 5, 5))
    mask = rng.random((5, 5)) < 0.3
    expected = aupro([None, mask], maps)
    assert aupro([np.zeros((5, 5), bool), mask], maps) == expected
    assert aupro([None, mask.astype(np.uint8) * 255], maps) == expected
    assert aupro([None, mask.astype(float)], maps) == expected


def test_without_defects_or_background_nothing_is_defined():
    for function in (aupro, pixel_roc_auc, pixel_average_precision):
        assert math.isnan(function([None, None], np.zeros((2, 3, 3))))
        assert math.isnan(function([np.ones((3, 3), bool)], np.zeros((1, 3, 3))))
        assert math.isnan(function([], []))


@pytest.mark.parametrize("function", [aupro, pixel_roc_auc, pixel_average_precision])
def test_bad_input_is_refused_with_every_problem_at_once(function):
    good = np.zeros((3, 3))
    with pytest.raises(ShapeError, match="more maps than the 1 masks"):
        function([None], [good, good])
    with pytest.raises(ShapeError, match="more masks than the 1 maps"):
        function([None, None], [good])
    with pytest.raises(ShapeError, match=r"mask 0 \(2, 3\) and map \(3, 3\)"):
        function([np.zeros((2, 3), bool)], [good])
    with pytest.raises(RangeError, match="2 NaN or infinite values in map 0"):
        function([None], [np.array([[np.nan, np.inf]])])
    with pytest.raises(LabelError, match="mask 0"):
        function([np.array([[0, 1, 2]])], [np.zeros((1, 3))])
    with pytest.raises(InputError, match=r"(?s)map 0 with shape \(3,\).*mask 1"):
        function([None, np.zeros((2, 2), bool)], [np.zeros(3), good])


def test_a_set_that_is_wrong_throughout_is_told_in_a_few_lines():
    with pytest.raises(ShapeError) as caught:
        aupro([None] * 1000, [np.zeros(3)] * 1000)
    assert len(str(caught.value).splitlines()) == 5


def test_limits_outside_their_range_are_refused():
    for max_fpr in (0.0, 1.1, math.nan):
        with pytest.raises(RangeError, match="max_fpr"):
            aupro([None], np.zeros((1, 2, 2)), max_fpr=max_fpr)
