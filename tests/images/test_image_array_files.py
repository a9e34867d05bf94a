from __future__ import annotations

import gzip
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from residua.errors import InputError, RangeError, ResiduaError, ShapeError, SourceError
from residua.images import load_images


def idx(array: np.ndarray) -> bytes:
    code = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}[array.dtype.str[1:]]
    return (
        struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize("zipped", [False, True])
def test_an_idx_folder_gives_train_and_test_with_labels(tmp_path, zipped):
    pack, suffix = (gzip.compress, ".gz") if zipped else (bytes, "")
    for stem, n in (("train", 10), ("t10k", 4)):
        (tmp_path / f"{stem}-images-idx3-ubyte{suffix}").write_bytes(
            pack(idx(noise(n, 6, 5, seed=n)))
        )
        (tmp_path / f"{stem}-labels-idx1-ubyte{suffix}").write_bytes(
            pack(idx(np.arange(n, dtype=np.uint8) % 2))
        )
    images = load_images(tmp_path, normal=0)
    assert images.kind == "IDX"
    assert (len(images.train), len(images.calibration), len(images.test)) == (8, 2, 4)
    assert images.labels.dtype == np.int64
    assert np.array_equal(images.test.array()[..., 0], noise(4, 6, 5, seed=4))
    assert images.test.paths.tolist() == [f"t10k[{i}]" for i in range(4)]
    assert images.test.is_anomalous.tolist() == [False, True, False, True]


def test_the_real_test_images_of_fashion_mnist_alone(data_folder):
    images = load_images(data_folder / "fashion_mnist" / "t10k-images-idx3-ubyte.gz", normal=0)
    assert (len(images), images.uniform_size, images.channels) == (10_000, (28, 28), 1)
    assert images.summary()["labels"]["train"] == {"0": 600}
    assert len(set(images.pixel_hashes.tolist())) == len(
        {image.tobytes() for image in images.array()}
    )


def test_an_idx_file_that_promises_more_than_it_holds_is_refused(tmp_path):
    whole = idx(noise(3, 4, 4))
    file = tmp_path / "a-images-idx3-ubyte"
    for broken, words in (
        (whole[:-1], "promises 48 bytes. Got 47"),
        (whole + b"x", "promises 48 bytes. Got more"),
        (b"\1" + whole[1:], "must begin with 0, 0"),
        (whole[:6], "must be whole"),
        (gzip.compress(whole)[:-12], "must be whole"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**31, 2**31, 2**31), "must fit in memory"),
        (struct.pack(">HBB3I", 0, 8, 3, 0, 4, 4), "at least one image"),
    ):
        file.write_bytes(broken)
        with pytest.raises(SourceError, match=words):
            load_images(file)


def test_a_label_file_of_another_length_is_refused(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(noise(3, 4, 4)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(noise(2)))
    with pytest.raises(SourceError, match="one whole number per image"):
        load_images(tmp_path)


def test_keras_names_in_an_npz(tmp_path):
    x, y = noise(10, 4, 4, 3), np.arange(10)[:, np.newaxis] % 3
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:4], y_test=y[:4])
    images = load_images(tmp_path / "a.npz")
    assert images.channels == 3
    assert images.test.labels.tolist() == [0, 1, 2, 0]
    assert np.array_equal(images.test.array(), x[:4])
    assert len(images.calibration) == 2


def test_names_with_the_part_first_and_a_validation_part(tmp_path):
    x, y = noise(5, 4, 4), np.zeros(5, np.uint8)
    np.savez(
        tmp_path / "a.npz",
        train_images=x,
        train_labels=y,
        val_images=x,
        val_labels=y,
        test_images=x,
        test_labels=y,
    )
    images = load_images(tmp_path / "a.npz")
    assert (len(images.train) + len(images.calibration), len(images.test)) == (10, 5)
    assert "5 validation images joined train" in images.notes


def test_one_array_with_labels_in_an_npz(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        images=noise(6, 4, 4),
        labels=np.array(["good", "good", "good", "good", "bad", "bad"]),
    )
    images = load_images(tmp_path / "a.npz")
    assert images.labels.tolist() == ["good"] * 4 + ["bad"] * 2
    assert images.normal == ("good",)


def test_an_npz_without_images_is_refused_with_what_is_there(tmp_path):
    np.savez(tmp_path / "a.npz", weights=np.zeros((3, 3)))
    with pytest.raises(SourceError, match=r"Got weights \(3, 3\)"):
        load_images(tmp_path / "a.npz")


def test_python_objects_are_never_executed(tmp_path):
    objects = np.array([{"a": 1}], object)
    np.savez(tmp_path / "a.npz", x_train=objects)
    np.save(tmp_path / "a.npy", objects)
    for name in ("a.npz", "a.npy"):
        with pytest.raises(SourceError, match="Python objects, which would have to be executed"):
            load_images(tmp_path / name)


@pytest.mark.parametrize(
    ("array", "dtype", "largest"),
    [
        (np.full((3, 4, 4), True), np.uint8, 255),
        (np.full((3, 4, 4), 65535, np.uint16), np.float32, 1),
        (np.full((3, 4, 4), 0.5), np.float32, 0.5),
        (np.full((3, 4, 4, 4), 255, np.uint8), np.uint8, 255),
    ],
)
def test_arrays_of_other_types_become_bytes_or_floats(tmp_path, array, dtype, largest):
    np.save(tmp_path / "a.npy", array)
    images = load_images(tmp_path / "a.npy")
    assert images.dtype == dtype
    assert images.array().max() == largest


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.full((3, 4, 4), 200.0), RangeError, "Divide by 255"),
        (np.full((3, 4, 4), np.nan), RangeError, "finite"),
        (np.full((3, 4, 4), 7), RangeError, "int64"),
        (np.zeros((3, 16), np.uint8), ShapeError, "shape"),
        (np.zeros((3, 3, 8, 8), np.uint8), ShapeError, "Move the channels last"),
        (np.zeros((0, 8, 8), np.uint8), SourceError, "at least one image"),
    ],
)
def test_arrays_that_are_no_images_are_refused(tmp_path, array, error, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(error, match=words):
        load_images(tmp_path / "a.npy")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", images=np.zeros((500, 100, 100), np.uint8))
    assert (tmp_path / "a.npz").stat().st_size < 10_000
    with pytest.raises(SourceError, match=r"must fit in memory\. Got 5,000,"):
        load_images(tmp_path / "a.npz", memory_megabytes=1)


def test_the_digits_are_spread_over_all_grey_levels():
    images = load_images("digits", normal="0")
    assert (len(images), images.uniform_size, images.dtype) == (1797, (8, 8), np.uint8)
    assert set(np.unique(images.array())) == {round(v * 255 / 16) for v in range(17)}
    assert images.train.summary()["labels"]["train"] == {"0": 107}


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


_FILES = {
    "a-images-idx3-ubyte": idx(noise(2, 4, 4)),
    "a-images-idx3-ubyte.gz": gzip.compress(idx(noise(2, 4, 4))),
    "a.npz": _npz(x_train=noise(2, 4, 4), y_train=np.arange(2)),
    "a.npy": _npy(noise(2, 4, 4)),
    "a.csv": b"path,label,mask,split,group\na.png,good,,train,1\n",
}


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(sorted(_FILES)),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 255)), max_size=6),
    st.integers(0, 40),
)
def test_mutated_files_load_or_raise_an_error_of_ours(tmp_path_factory, name, changes, cut):
    data = bytearray(_FILES[name])
    for place, value in changes:
        data[place % len(data)] = value
    file = _scratch(tmp_path_factory) / name
    file.write_bytes(bytes(data[: max(len(data) - cut, 0)]))
    try:
        images = load_images(file, memory_megabytes=1)
    except ResiduaError as error:
        assert isinstance(error, InputError)
    else:
        assert len(images) > 0


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(_FILES)), st.integers(0, 12), st.binary(max_size=200))
def test_random_bytes_load_or_raise_an_error_of_ours(tmp_path_factory, name, kept, rest):
    file = _scratch(tmp_path_factory) / name
    file.write_bytes(_FILES[name][:kept] + rest)
    try:
        load_images(file, memory_megabytes=1)
    except ResiduaError as error:
        assert str(error)


def _scratch(factory: pytest.TempPathFactory) -> Path:
    folder = factory.getbasetemp() / "mutated"
    folder.mkdir(exist_ok=True)
    return folder


def test_an_encrypted_or_odd_archive_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x_train.npy", b"not an array")
    with pytest.raises(SourceError):
        load_images(tmp_path / "a.npz")
