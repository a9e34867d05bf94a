"""What lies under transparent pixels: one ground for a whole set, on which the drawings show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.images import ImageSet, load_images
from residua.images.reading import Reading


def drawing(ink: int, place: int) -> np.ndarray:
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., :3] = ink
    pixels[place, 2:6, 3] = 255
    return pixels


def drawings(folder: Path, inks: list[int], **kwargs: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, ink in enumerate(inks):
        Image.fromarray(drawing(ink, number % 8)).save(folder / f"{number}.png", **kwargs)
    return folder


@pytest.mark.parametrize(
    ("inks", "ground", "under"),
    [
        ([0] * 6, "white", 255),
        ([255] * 6, "black", 0),
        ([90] * 6, "black", 0),
        ([0, 0, 0, 0, 0, 200], "white", 255),
        ([0, 255, 0, 255, 0, 255], "grey", 128),
    ],
)
def test_the_ground_is_one_on_which_the_drawings_of_a_set_show(tmp_path, inks, ground, under):
    images = load_images(drawings(tmp_path / "a", inks))
    assert images.reading.ground == ground
    for number, ink in enumerate(inks):
        expected = np.full((8, 8), under, np.uint8)
        expected[number % 8, 2:6] = ink
        assert np.array_equal(images[number][..., 0], expected)
    assert len(set(images.pixel_hashes)) == 6
    (assumption,) = images.assumptions
    assert (assumption.about, assumption.taken) == ("ground under transparency", ground)
    assert f"6 images have transparency: laid on {ground}" in images.notes
    assert np.array_equal(load_images(tmp_path / "a", memory_megabytes=0).array(), images.array())


def test_a_set_is_laid_on_the_ground_that_a_model_was_trained_on(tmp_path):
    light = drawings(tmp_path / "a", [255] * 4)
    images = load_images(light, reading=Reading(ground="white"))
    assert images.reading.ground == "white"
    assert images.assumptions == ()
    assert images.array().min() == 255


def test_palettes_and_grey_with_transparency_go_the_same_way(tmp_path):
    for number in range(4):
        image = Image.new("P", (2, 1))
        image.putpalette([0, 0, 0, 255, 0, 0])
        image.putpixel((number % 2, 0), 1)
        image.save(tmp_path / f"p{number}.png", transparency=1)
        pair = np.array([[[0, 255], [0, 0]]], np.uint8)
        Image.fromarray(pair).save(tmp_path / f"g{number}.png")
    images = load_images(tmp_path)
    assert images.reading.ground == "white"
    assert images[0].ravel().tolist() == images[5].ravel().tolist() == [0, 255]
    assert images[4].ravel().tolist() == [255, 0]


def test_opaque_images_have_no_ground_and_nothing_is_assumed(tmp_path):
    opaque = np.full((4, 4, 4), 255, np.uint8)
    opaque[..., 0] = 7
    for number in range(4):
        Image.fromarray(opaque).save(tmp_path / f"{number}.png")
    images = load_images(tmp_path)
    assert images.reading == Reading()
    assert images.assumptions == ()
    assert images[0][0, 0].tolist() == [7, 255, 255]


def test_arrays_of_four_channels_go_the_same_way(tmp_path):
    pixels = np.stack([drawing(0, number) for number in range(4)])
    np.save(tmp_path / "a.npy", pixels)
    for images in (
        ImageSet.from_arrays(pixels),
        ImageSet.from_arrays(list(pixels)),
        load_images(tmp_path / "a.npy"),
    ):
        assert images.reading.ground == "white"
        assert images[0][:, 2, 0].tolist() == [0, *[255] * 7]
    as_floats = ImageSet.from_arrays(pixels / np.float32(255))
    assert as_floats[0][:, 2, 0].tolist() == [0.0, *[1.0] * 7]
