from __future__ import annotations

import io
import threading
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from PIL import Image

from residua.errors import ImageError
from residua.images import load_images
from residua.images.decoding import decode, quiet_pillow
from residua.images.samples import samples_of

LIMIT = 1_000_000


def encoded(image: Image.Image, file_format: str = "PNG", **kwargs: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **kwargs)
    return buffer.getvalue()


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "PPM", "GIF"])
def test_lossless_grey_comes_back_exactly(file_format):
    pixels = noise((5, 7))
    assert np.array_equal(
        decode(encoded(Image.fromarray(pixels), file_format), LIMIT).pixels[..., 0], pixels
    )


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "JPEG2000"])
def test_lossy_formats_are_decoded(file_format):
    pixels = np.full((16, 16), 77, np.uint8)
    found = decode(encoded(Image.fromarray(pixels), file_format), LIMIT)
    assert found.format == file_format
    assert np.abs(found.pixels[..., 0].astype(int) - 77).max() <= 2


def test_sixteen_bits_stay_sixteen_bits():
    pixels = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(8, 8)
    for file_format in ("PNG", "TIFF"):
        found = decode(encoded(Image.fromarray(pixels), file_format), LIMIT).pixels
        assert found.dtype == np.uint16
        assert np.array_equal(found[..., 0], pixels)


def test_a_bilevel_image_is_black_and_white():
    found = decode(encoded(Image.fromarray(noise((6, 9))).convert("1")), LIMIT).pixels
    assert set(np.unique(found)) == {0, 255}


def test_transparency_is_laid_on_black():
    pixels = np.zeros((1, 3, 4), np.uint8)
    pixels[0] = [[200, 100, 50, 255], [200, 100, 50, 0], [200, 100, 50, 128]]
    found = decode(encoded(Image.fromarray(pixels)), LIMIT)
    assert "alpha" in found.done
    assert found.pixels[0].tolist() == [[200, 100, 50], [0, 0, 0], [100, 50, 25]]


def test_an_opaque_alpha_channel_changes_nothing_and_is_not_noted():
    pixels = np.concatenate([noise((4, 4, 3)), np.full((4, 4, 1), 255, np.uint8)], axis=2)
    found = decode(encoded(Image.fromarray(pixels)), LIMIT)
    assert "alpha" not in found.done
    assert np.array_equal(found.pixels, pixels[..., :3])


@pytest.mark.parametrize("mode", ["P", "CMYK", "YCbCr", "RGB", "1", "L"])
def test_a_large_image_is_converted_in_strips_as_it_would_be_whole(mode, monkeypatch):
    drawn = np.random.default_rng(0).integers(0, 256, (23, 10, 3)).astype(np.uint8)
    image = Image.fromarray(drawn).convert(mode)
    whole = np.asarray(image.convert("L" if mode in {"1", "L"} else "RGB"))
    monkeypatch.setattr("residua.images.samples._STRIP", 40)
    np.testing.assert_array_equal(samples_of(image, b"").values.squeeze(), whole)


def test_a_palette_becomes_its_colours_and_its_transparent_entry_black():
    image = Image.new("P", (2, 1))
    image.putpalette([250, 0, 0, 0, 250, 0])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image), LIMIT).pixels.tolist() == [[[250, 0, 0], [0, 250, 0]]]
    assert decode(encoded(image, transparency=1), LIMIT).pixels.tolist() == [
        [[250, 0, 0], [0, 0, 0]]
    ]


def test_grey_stored_as_colour_counts_as_grey():
    grey = noise((4, 4))
    found = decode(encoded(Image.fromarray(np.stack([grey] * 3, axis=2))), LIMIT)
    assert found.pixels.shape == (4, 4, 1)
    assert np.array_equal(found.pixels[..., 0], grey)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_as_pillow_applies_it(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(Image.fromarray(noise((6, 9))), "PNG", exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    assert np.array_equal(decode(data, LIMIT).pixels[..., 0], expected)


def test_the_first_of_several_frames_is_taken():
    frames = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (10, 200)]
    found = decode(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]), LIMIT)
    assert "frames" in found.done
    assert (found.pixels == 10).all()


def test_floats_must_lie_in_zero_to_one():
    inside = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    found = decode(encoded(Image.fromarray(inside), "TIFF"), LIMIT).pixels
    assert np.array_equal(found[..., 0], inside)
    for wrong in (inside * 2, inside - 0.5, np.where(inside > 0.5, np.nan, inside)):
        with pytest.raises(ImageError, match=r"floats must lie in \[0, 1\]"):
            decode(encoded(Image.fromarray(wrong), "TIFF"), LIMIT)


def test_thirty_two_bit_integers_are_refused():
    with pytest.raises(ImageError, match="what the largest possible value is"):
        decode(encoded(Image.fromarray(np.full((2, 2), 70000, np.int32)), "TIFF"), LIMIT)


def test_the_pixel_limit_holds_before_anything_is_decoded():
    data = encoded(Image.fromarray(noise((20, 30))))
    assert decode(data, 600).pixels.shape == (20, 30, 1)
    with pytest.raises(ImageError, match="declares 30 x 20 pixels, more than the limit of 599"):
        decode(data[:60], 599)  # the header alone is enough


def test_formats_that_are_not_on_the_list_are_refused():
    for file_format in ("ICO", "TGA", "EPS", "PCX"):
        data = encoded(Image.fromarray(noise((16, 16, 3))), file_format)
        with pytest.raises(ImageError, match="not an image in a format that is decoded"):
            decode(data, LIMIT)


def test_pillows_warnings_are_silenced_in_every_thread_and_no_others(data_folder):
    data = (data_folder / "awkward_images" / "hopper_bad_exif.jpg").read_bytes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        threads = [threading.Thread(target=decode, args=(data, LIMIT)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        filters = list(warnings.filters)
        with quiet_pillow():
            warnings.warn("somebody else's", UserWarning, stacklevel=1)
        assert list(warnings.filters) == filters
    assert [str(one.message) for one in caught] == ["somebody else's"]


READABLE = {
    "16bit.cropped.tif", "hopper.png", "hopper_16bit.pgm", "hopper_bad_exif.jpg", "hopper_gray.jpg",
    "hopper_orientation_2.jpg",
    "hopper_orientation_6.jpg", "hopper_orientation_8.jpg", "hopper_webp_write.ppm",
    "multipage.tiff", "p_16.png",
    "pil_sample_cmyk.jpg", "transparent.png", "uncompressed_la.png",
}  # fmt: skip
QUARANTINED = {
    "broken.png": "begins like PNG, but its header is broken",
    "broken_data_stream.png": "does not decode",
    "decompression_bomb.gif": "a decompression bomb",
    "png_decompression_dos.png": "unpacks to too much",
    "truncated_image.png": "the file is truncated",
    "truncated_jpeg.jpg": "the file is truncated",
    "zero_width.gif": "begins like GIF, but its header is broken",
}


def test_the_awkward_images_are_read_or_quarantined_with_these_reasons(data_folder):
    images = load_images(data_folder / "awkward_images")
    assert set(images.paths) == READABLE
    found = dict(images.quarantined)
    assert set(found) == set(QUARANTINED)
    for name, words in QUARANTINED.items():
        assert words in found[name], name
    assert (images.channels, images.dtype) == (3, np.float32)
    assert all(image.min() >= 0 and image.max() <= 1 for image in images)
    notes = " | ".join(images.notes)
    for words in (
        "3 images turned upright", "1 image has several frames", "2 images with more than 8 bits",
        "1 image has a palette",
        "1 image has another colour space", "have transparency: laid on black",
        "7 files quarantined", "LICENSE.pillow",
    ):  # fmt: skip
        assert words in notes


def test_turned_copies_of_one_photograph_stand_upright(data_folder):
    images = load_images(data_folder / "awkward_images")
    by_name = {path: index for index, path in enumerate(images.paths)}
    upright = images[by_name["hopper.png"]]
    for turn in (2, 6, 8):
        assert np.abs(images[by_name[f"hopper_orientation_{turn}.jpg"]] - upright).mean() < 0.05


_SAMPLES = [
    encoded(Image.fromarray(noise((12, 12, 3))), name)
    for name in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "JPEG2000")
]


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(_SAMPLES),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=8),
    st.integers(0, 60),
)
def test_mutated_files_decode_or_say_why(sample, changes, cut):
    data = bytearray(sample)
    for place, value in changes:
        data[place % min(len(data), 200)] = value
    try:
        found = decode(bytes(data[: len(data) - cut]), LIMIT)
    except ImageError as error:
        assert str(error)
        assert "object at 0x" not in str(error)
    else:
        assert found.pixels.ndim == 3
        assert found.pixels.shape[2] in {1, 3}


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([sample[:12] for sample in _SAMPLES] + [b""]), st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else_happens(start, rest):
    try:
        decode(start + rest, LIMIT)
    except ImageError as error:
        assert str(error)
