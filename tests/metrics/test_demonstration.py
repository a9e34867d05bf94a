"""What a user sees who asks for the accuracy of an autoencoder."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra.numpy import arrays

from residua.errors import RangeError, ShapeError
from residua.metrics import accuracy_demonstration, keras, mse

DATA = Path(os.environ.get("RESIDUA_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def fashion():
    path = DATA / "fashion_mnist" / "t10k-images-idx3-ubyte.gz"
    if not path.exists():
        pytest.skip(f"the Fashion-MNIST test images are not at {path}: set RESIDUA_TEST_DATA")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 28, 28, 1) / np.float32(
            255
        )


def test_on_fashion_mnist_a_perfect_copy_is_capped_by_the_share_of_pure_pixels(fashion):
    shown = accuracy_demonstration(fashion, fashion)
    pure = np.mean((fashion == 0) | (fashion == 1))
    assert shown.rule == "BinaryAccuracy"
    assert (
        shown.value == shown.ceiling == shown.share_of_pure_pixels == pytest.approx(pure, abs=1e-9)
    )
    assert shown.rounded == shown.ceiling < 0.6


def test_on_fashion_mnist_an_all_black_image_gets_the_share_of_black_pixels(fashion):
    black = np.zeros_like(fashion)
    shown = accuracy_demonstration(fashion, black)
    assert shown.value == shown.black == pytest.approx(np.mean(fashion == 0), abs=1e-9)
    assert shown.black > 0.95 * shown.ceiling  # although it reconstructs nothing:
    assert mse(fashion, black).mean() > 0.1


def test_noise_that_ruins_the_error_leaves_the_accuracy_nearly_where_it_was(fashion):
    shown = accuracy_demonstration(fashion, fashion)
    assert shown.noisy == pytest.approx(shown.ceiling, abs=1e-4)


def test_flat_images_are_asked_for_the_place_of_their_brightest_pixel(fashion):
    flat = fashion[:500].reshape(500, 784)
    shown = accuracy_demonstration(flat, flat)
    assert (shown.rule, shown.value) == ("CategoricalAccuracy", 1.0)
    assert shown.black == pytest.approx(np.mean(flat.argmax(axis=1) == 0))
    assert "largest value" in shown.meaning


def test_the_sentence_holds_the_three_numbers_and_what_to_use_instead(fashion):
    shown = accuracy_demonstration(fashion[:100], fashion[100:200])
    for value in (shown.value, shown.ceiling, shown.black):
        assert f"{value:.1%}" in shown.meaning
    assert "mse" in shown.meaning


@given(arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3), st.just(1))))
def test_no_reconstruction_beats_the_ceiling_of_binary_images(images):
    rng = np.random.default_rng(0)
    images = images / np.float32(255)
    shown = accuracy_demonstration(images, rng.random(images.shape, np.float32), black=0, white=1)
    assert shown.value <= shown.ceiling == shown.rounded
    assert shown.ceiling == pytest.approx(shown.share_of_pure_pixels)


def test_the_same_seed_gives_the_same_noise():
    image = np.full((2, 8, 8, 1), 1.0)
    first, again = (accuracy_demonstration(image, image, seed=3) for _ in range(2))
    assert first == again


def test_before_2_4_the_loss_decides_here_too():
    image = np.eye(4).reshape(1, 4, 4)
    assert (
        accuracy_demonstration(image, image, version="2.3", loss="binary_crossentropy").rule
        == "BinaryAccuracy"
    )
    assert (
        accuracy_demonstration(image, image, version="2.3", loss="mse").rule
        == "CategoricalAccuracy"
    )


def test_what_is_no_pair_of_images_is_refused():
    with pytest.raises(ShapeError, match="same shape"):
        accuracy_demonstration(np.zeros((2, 4, 4)), np.zeros((2, 4, 4, 1)))
    with pytest.raises(ShapeError, match="at least one image"):
        accuracy_demonstration(np.zeros((0, 4, 4)), np.zeros((0, 4, 4)))
    with pytest.raises(RangeError, match="white="):
        accuracy_demonstration(np.full((1, 2, 2, 1), 7.0), np.full((1, 2, 2, 1), 8.0))
    with pytest.raises(RangeError, match="finite"):
        accuracy_demonstration(np.full((1, 2, 2, 1), np.nan), np.zeros((1, 2, 2, 1)))


def on_scales(x: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "0-1": x,
        "0-255": 255 * x,
        "uint8": (255 * x).round().astype(np.uint8),
        "-1..1": 2 * x - 1,
    }


@pytest.mark.parametrize("scale", ["0-1", "0-255", "uint8", "-1..1"])
def test_every_number_is_what_keras_computes_on_the_arrays_as_they_are(scale):
    x = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 1)) / np.float32(255)
    x[:, :3] = 0
    r = np.clip(x * 0.9 + 0.03, 0, 1)
    images, reconstructions = on_scales(x)[scale], on_scales(r)[scale]
    shown = accuracy_demonstration(images, reconstructions)
    black = np.full(x.shape, -1.0 if scale == "-1..1" else 0.0, np.float32)
    assert shown.value == keras.accuracy(images, reconstructions).value
    assert shown.ceiling == keras.accuracy(images, images.astype(np.float32)).value
    assert shown.black == keras.accuracy(images, black).value
    assert shown.share_of_pure_pixels == np.mean((images == 0) | (images == 1))
    assert shown.ceiling == pytest.approx(
        {"-1..1": np.mean(images == 1)}.get(scale, shown.share_of_pure_pixels)
    )
