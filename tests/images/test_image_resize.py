from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from residua.errors import ShapeError
from residua.images import resize, resize_weights
from residua.images.channels import grey_of, own_channels, with_channels
from residua.images.resize import fit_to

LENGTHS = st.integers(1, 40)


@given(LENGTHS, LENGTHS)
def test_rows_sum_to_one_and_no_weight_is_negative(n_in, n_out):
    weights = resize_weights(n_in, n_out).toarray()
    assert weights.shape == (n_out, n_in)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(weights, weights[::-1, ::-1], atol=1e-6)


def test_equal_lengths_change_nothing():
    assert np.array_equal(resize_weights(7, 7).toarray(), np.eye(7))
    image = np.random.default_rng(0).random((5, 6, 3), np.float32)
    assert resize(image, (5, 6)) is image


@settings(max_examples=60, deadline=None)
@given(LENGTHS, LENGTHS, LENGTHS, LENGTHS, st.integers(0, 9))
def test_it_equals_pillows_bilinear(height, width, to_height, to_width, seed):
    image = np.random.default_rng(seed).random((height, width), np.float32)
    expected = np.asarray(
        Image.fromarray(image).resize((to_width, to_height), Image.Resampling.BILINEAR)
    )
    np.testing.assert_allclose(
        resize(image[..., np.newaxis], (to_height, to_width))[..., 0], expected, atol=2e-6
    )


def test_bytes_equal_pillows_to_one_level(data_folder):
    image = np.asarray(Image.open(data_folder / "awkward_images" / "hopper.png").convert("RGB"))
    for size in ((31, 64), (200, 57)):
        expected = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
        found = resize(image, size)
        assert found.dtype == np.uint8
        assert np.abs(found.astype(int) - expected).max() <= 1


def test_grey_that_is_repeated_gives_what_its_copy_gives():
    grey = np.random.default_rng(0).integers(0, 256, (40, 50, 1)).astype(np.uint8)
    view = with_channels(grey, 3)
    copy = np.ascontiguousarray(view)
    assert own_channels(view).shape[-1] == 1 and own_channels(copy).shape[-1] == 3
    assert np.array_equal(resize(view, (9, 7)), resize(copy, (9, 7)))
    assert np.array_equal(fit_to(view[np.newaxis], (9, 7)), fit_to(copy[np.newaxis], (9, 7)))
    np.testing.assert_allclose(grey_of(view), grey_of(copy), atol=1e-7)


def test_it_equals_torchs_antialiased_bilinear():
    functional = pytest.importorskip("torch.nn.functional")
    torch = pytest.importorskip("torch")
    image = np.random.default_rng(0).random((20, 31, 3), np.float32)
    planes = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = (
        functional.interpolate(planes, (7, 50), mode="bilinear", antialias=True)[0]
        .permute(1, 2, 0)
        .numpy()
    )
    np.testing.assert_allclose(resize(image, (7, 50)), expected, atol=1e-5)


def test_a_constant_image_stays_constant_and_many_are_resized_as_one():
    assert (resize(np.full((9, 7, 1), 200, np.uint8), (3, 4)) == 200).all()
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 2)).astype(np.uint8)
    assert np.array_equal(resize(images, (4, 5))[1], resize(images[1], (4, 5)))


def test_white_stays_within_its_range_whatever_rounding_does():
    for height in range(5, 60, 3):
        white = np.ones((1, height, height + 3, 1), np.float32)
        for side in (8, 28, 32):
            assert fit_to(white, (side, side)).max() <= 1
            assert resize(white, (side, side)).max() <= 1


def test_lengths_below_one_are_refused():
    with pytest.raises(ShapeError):
        resize_weights(0, 3)
