from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from residua.errors import ImageError, LabelError, RangeError, ShapeError
from residua.images import ImageSet, imageset, load_images, resize


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def mixed(tmp_path, write) -> ImageSet:
    for i in range(9):
        write(tmp_path / ("good" if i % 3 else "bad") / f"{i}.png", i, size=(8 + i, 9))
    return load_images(tmp_path)


def test_slices_and_index_arrays_are_sets_and_integers_are_images(mixed):
    assert len(mixed[2:5]) == 3
    assert mixed[[4, 1]].paths.tolist() == [mixed.paths[4], mixed.paths[1]]
    assert len(mixed[mixed.is_anomalous]) == 3
    assert len(mixed[[]]) == 0
    assert np.array_equal(mixed[-1], mixed[len(mixed) - 1])
    assert np.array_equal(mixed[3:][2], mixed[5])
    with pytest.raises(IndexError):
        mixed[99]


def test_columns_follow_the_rows(mixed):
    part = mixed[::-1]
    for name in (
        "paths",
        "labels",
        "splits",
        "byte_hashes",
        "pixel_hashes",
        "sizes",
        "is_anomalous",
    ):
        assert np.array_equal(getattr(part, name), getattr(mixed, name)[::-1]), name


def test_parts_divide_the_set(mixed):
    assert sorted([*mixed.train.paths, *mixed.calibration.paths, *mixed.test.paths]) == sorted(
        mixed.paths
    )


def test_batches_keep_the_order_and_all_images(mixed):
    batches = list(mixed.batches(4))
    assert [len(batch) for batch in batches] == [4, 4, 1]
    flat = [image for batch in batches for image in batch]
    assert all(np.array_equal(image, mixed[i]) for i, image in enumerate(flat))


def test_mixed_sizes_form_no_array_until_a_size_is_given(mixed):
    with pytest.raises(ShapeError, match=r"9 images between 8x9 and 16x9"):
        mixed.array()
    array = mixed.array(size=(5, 6))
    assert array.shape == (9, 5, 6, 1)
    assert np.array_equal(array[2], resize(mixed[2], (5, 6)))


def test_images_cannot_be_written_to_but_an_array_is_a_copy(mixed):
    with pytest.raises(ValueError, match="read-only"):
        mixed[0][0, 0, 0] = 1
    source = noise(3, 4, 4)
    images = ImageSet.from_arrays(source)
    with pytest.raises(ValueError, match="read-only"):
        images[0][0, 0, 0] = 1
    images.array()[:] = 0
    assert np.array_equal(images.array()[..., 0], source)


def test_pixels_beyond_the_memory_limit_are_decoded_again_and_are_the_same(tmp_path, write):
    for i in range(30):
        write(tmp_path / f"{i}.png", i, size=(64, 64), mode="RGB")
    all_kept, some, none = (
        load_images(tmp_path, memory_megabytes=limit) for limit in (2048, 0.1, 0)
    )
    for images in (some, none):
        assert np.array_equal(images.array(), all_kept.array())
        assert images.fingerprint == all_kept.fingerprint


def test_single_images_are_read_several_at_a_time_so_that_threads_decode_them(
    tmp_path, write, monkeypatch
):
    for i in range(9):
        write(tmp_path / f"{i}.png", i, size=(16, 16))
    images, read = load_images(tmp_path, memory_megabytes=0), []
    pixels = images._table.pixels
    monkeypatch.setattr(imageset, "WORKERS", 4)
    monkeypatch.setattr(
        pixels, "read", lambda rows, own=pixels.read: read.append(len(rows)) or own(rows)
    )
    assert [len(batch) for batch in images.batches(1)] == [1] * 9 and read == [4, 4, 1]
    read.clear()
    assert [len(batch) for batch in images.batches(3)] == [3] * 3 and read == [3] * 3
    read.clear()
    monkeypatch.setattr(imageset, "_READ_VALUES", 2 * 16 * 16)
    assert len(list(images.batches(1))) == 9 and read == [2, 2, 2, 2, 1]


def test_a_file_that_changes_after_loading_is_noticed(tmp_path, write):
    file = write(tmp_path / "a.png", 1)
    images = load_images(tmp_path, memory_megabytes=0)
    write(file, 2)
    with pytest.raises(ImageError, match="must not change"):
        _ = images[0]


def test_hashes_of_bytes_and_pixels_are_what_they_say(tmp_path, write):
    file = write(tmp_path / "a.png", 1)
    Image.open(file).save(tmp_path / "b.bmp")
    images = load_images(tmp_path)
    assert images.byte_hashes[0] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert images.byte_hashes[0] != images.byte_hashes[1]
    assert images.pixel_hashes[0] == images.pixel_hashes[1]


def test_a_picture_has_one_hash_in_a_file_and_in_an_array(tmp_path, write):
    write(tmp_path / "a.png", 1, mode="RGB")
    grey = Image.open(write(tmp_path / "b.png", 2)).convert("RGB")
    grey.save(tmp_path / "b.png")
    files = load_images(tmp_path)
    arrays = ImageSet.from_arrays(np.stack(list(files)))
    assert files.pixel_hashes.tolist() == arrays.pixel_hashes.tolist()
    assert files.fingerprint == arrays.fingerprint


def test_the_fingerprint_ignores_order_and_notices_a_pixel_and_a_copy():
    x = noise(6, 5, 5)
    images = ImageSet.from_arrays(x)
    assert images[::-1].fingerprint == images.fingerprint
    changed = x.copy()
    changed[3, 2, 2] ^= 1
    assert ImageSet.from_arrays(changed).fingerprint != images.fingerprint
    assert images[[0, 1, 2, 3, 4, 5, 5]].fingerprint != images.fingerprint


def test_plain_arrays_are_one_part_and_a_set_comes_back_as_it_is():
    images = ImageSet.from_arrays(noise(4, 6, 5, 3), labels=[0, 0, 1, 0], normal=0)
    assert (len(images.train), len(images.calibration), len(images.test)) == (4, 0, 0)
    assert images.is_anomalous.tolist() == [False, False, True, False]
    assert images.channels == 3
    assert ImageSet.from_arrays(images) is images
    assert images.calibration.array().shape == (0, 6, 5, 3)


def test_a_list_of_arrays_of_several_sizes_is_a_set():
    images = ImageSet.from_arrays([noise(4, 5), noise(6, 7, 3)])
    assert images.channels == 3
    assert [image.shape for image in images] == [(4, 5, 3), (6, 7, 3)]
    assert images.uniform_size is None
    mixed = ImageSet.from_arrays([noise(4, 5), np.full((3, 3), 0.5)])
    assert mixed.dtype == np.float32
    assert mixed[1].max() == 0.5


def test_all_problems_of_arrays_are_told_at_once():
    with pytest.raises(ValueError) as caught:
        ImageSet.from_arrays(
            np.full((3, 4, 4), 9.0), labels=[1, 2], paths=["a"], splits="validation"
        )
    text = str(caught.value)
    for words in (
        "must lie in [0, 1]",
        "labels must have one entry",
        "paths must have one entry",
        "'validation'",
    ):
        assert words in text
    with pytest.raises(RangeError):
        ImageSet.from_arrays(np.full((3, 4, 4), 9.0))
    with pytest.raises(LabelError, match=r"0\.5"):
        ImageSet.from_arrays(noise(2, 4, 4), labels=[0.5, 1])
    with pytest.raises(ShapeError, match="argmax"):
        ImageSet.from_arrays(noise(2, 4, 4), labels=np.eye(2))


def test_none_nan_and_masked_labels_are_no_labels():
    x = noise(3, 4, 4)
    for labels in (
        [3, None, 5],
        np.array([3, np.nan, 5]),
        np.ma.masked_array([3, 9, 5], [False, True, False]),
    ):
        images = ImageSet.from_arrays(x, labels=labels, normal=3)
        assert images.labels.tolist() == [3, None, 5]
        assert images.labelled.tolist() == [True, False, True]
        assert images.is_anomalous.tolist() == [False, False, True]


def test_parts_and_normal_can_be_named_afterwards():
    images = ImageSet.from_arrays(noise(3, 4, 4), labels=["a", "b", None])
    assert len(images.with_split(["test", "train", "test"]).test) == 2
    assert len(images[1:].with_split("test").test) == 2
    named = images.with_normal(["a"])
    assert named.normal == ("a",)
    assert named.is_anomalous.tolist() == [False, True, False]
    assert named.train.normal == ("a",)
    with pytest.raises(LabelError, match="where there are a, b"):
        images.with_normal("c")
    with pytest.raises(LabelError, match="normal label must be named"):
        _ = images.is_anomalous


def test_the_summary_is_json_and_counts_what_is_there(mixed):
    summary = json.loads(json.dumps(mixed.summary(), allow_nan=False))
    assert summary["n_images"] == 9
    assert sum(summary["splits"].values()) == 9
    assert sum(n for counts in summary["labels"].values() for n in counts.values()) == 9
    assert summary["sizes"] == {
        "min": {"height": 8, "width": 9},
        "median": {"height": 12, "width": 9},
        "max": {"height": 16, "width": 9},
        "n_different": 9,
    }
    assert summary["formats"] == {"PNG L": 9}
    assert summary["normal"] == ["good"]
    assert json.dumps(mixed.calibration[:0].summary())


def test_progress_is_told_image_by_image(tmp_path, write):
    for i in range(5):
        write(tmp_path / f"{i}.png")
    told: list[tuple[int, int]] = []
    load_images(tmp_path, progress=lambda done, total: told.append((done, total)))
    assert told == [(i, 5) for i in range(1, 6)]


def test_limits_below_sense_are_refused():
    with pytest.raises(RangeError):
        load_images("digits", pixel_limit=0)
    with pytest.raises(RangeError):
        load_images("digits", memory_megabytes=float("nan"))


def test_repr_says_what_is_in_it(mixed):
    assert "9 images, mixed sizes, 1 channel, uint8; train " in repr(mixed)


def test_labels_that_differ_from_the_normal_one_by_case_or_blanks_are_normal_and_told() -> None:
    labels = ["good", "Good", "GOOD ", "crack", "Crack"]
    for named in ("good", "Good", "goOD"):
        images = ImageSet.from_arrays(np.zeros((5, 4, 4), np.uint8), labels=labels, normal=named)
        assert images.is_anomalous.tolist() == [False, False, False, True, True]
        (told,) = images.assumptions
        assert (told.about, "too" in told.taken) == ("normal label", True)
    one = ImageSet.from_arrays(
        np.zeros((2, 4, 4), np.uint8), labels=["good", "crack"], normal="good"
    )
    assert one.assumptions == ()


def test_single_letters_of_two_cases_are_two_labels() -> None:
    images = ImageSet.from_arrays(np.zeros((3, 4, 4), np.uint8), labels=["a", "A", "b"], normal="a")
    assert images.is_anomalous.tolist() == [False, True, True]
