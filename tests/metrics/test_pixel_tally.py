"""Pixel metrics of maps that are added one at a time: those of all at once, exactly or counted by
value."""

from __future__ import annotations

import math

import numpy as np
import pytest

from residua.metrics import aupro, pixel_average_precision, pixel_roc_auc
from residua.metrics.pixel_tally import PixelTally


def _photographs(n, *, offset=0.0):
    """Masks of one to three boxes (None on every third image) and noisy maps that are higher there,
    of several sizes."""
    rng = np.random.default_rng(0)
    masks, maps = [], []
    for row in range(n):
        height, width = rng.integers(20, 60, 2)
        mask = np.zeros((height, width), bool)
        for _ in range(row % 3):
            top, left = rng.integers(0, height - 5), rng.integers(0, width - 5)
            mask[top : top + rng.integers(1, 6), left : left + rng.integers(1, 6)] = True
        maps.append((rng.normal(size=mask.shape) + 1.5 * mask + offset).astype(np.float32))
        masks.append(mask if mask.any() else None)
    return masks, maps


def _tallied(masks, maps, **options):
    tally = PixelTally(**options)
    for mask, one in zip(masks, maps, strict=True):
        tally.add(mask, one)
    return tally


def test_what_fits_is_exactly_what_all_at_once_gives():
    masks, maps = _photographs(12)
    tally = _tallied(masks, maps)
    assert tally.is_exact
    assert tally.roc_auc() == pixel_roc_auc(masks, maps)
    assert tally.average_precision() == pixel_average_precision(masks, maps)
    assert tally.aupro(max_fpr=0.1) == aupro(masks, maps, max_fpr=0.1)


@pytest.mark.parametrize("offset", [0.0, -3.0, 20.0])
def test_what_does_not_fit_is_counted_by_value_and_hardly_differs(offset):
    masks, maps = _photographs(30, offset=offset)
    tally = _tallied(masks, maps, most_exact=10_000)
    assert not tally.is_exact
    assert tally.n_pixels == sum(one.size for one in maps)
    assert tally.roc_auc() == pytest.approx(pixel_roc_auc(masks, maps), abs=1e-3)
    assert tally.average_precision() == pytest.approx(
        pixel_average_precision(masks, maps), abs=2e-3
    )
    assert tally.aupro() == pytest.approx(aupro(masks, maps), abs=1e-3)


def test_values_of_few_digits_are_exact_even_when_counted():
    masks, maps = _photographs(12)
    maps = [np.round(one * 16) / 16 for one in maps]
    tally = _tallied(masks, maps, most_exact=0)
    assert tally.roc_auc() == pytest.approx(pixel_roc_auc(masks, maps), abs=1e-12)
    assert tally.average_precision() == pytest.approx(
        pixel_average_precision(masks, maps), abs=1e-12
    )
    assert tally.aupro() == pytest.approx(aupro(masks, maps), abs=1e-12)


@pytest.mark.parametrize("most_exact", [1e9, 0])
def test_nothing_defective_has_no_area(most_exact):
    tally = _tallied([None, None], [np.zeros((3, 3)), np.ones((3, 3))], most_exact=most_exact)
    assert all(
        math.isnan(value) for value in (tally.roc_auc(), tally.average_precision(), tally.aupro())
    )
    assert math.isnan(PixelTally().roc_auc())


@pytest.mark.parametrize("most_exact", [2**25, 3000])
def test_tallies_that_travelled_merge_into_that_of_one_process(most_exact):
    masks, maps = _photographs(12)
    whole = _tallied(masks, maps, pixel_threshold=2.0, most_exact=most_exact)
    merged = PixelTally(pixel_threshold=2.0, most_exact=most_exact)
    for start in range(0, 12, 5):
        part = _tallied(
            masks[start : start + 5],
            maps[start : start + 5],
            pixel_threshold=2.0,
            most_exact=most_exact,
        )
        merged.merge(PixelTally.from_bytes(part.to_bytes()), first_row=start)
    assert merged.rows == list(range(12)) and merged.overlaps == whole.overlaps
    assert merged.highest == whole.highest and merged.is_exact == whole.is_exact
    for name in ("roc_auc", "average_precision", "aupro"):
        assert getattr(merged, name)() == pytest.approx(getattr(whole, name)(), abs=1e-12), name
    for one, other in zip(merged.points, whole.points, strict=True):
        for found, expected in zip(one, other, strict=True):
            np.testing.assert_array_equal(found, expected)
