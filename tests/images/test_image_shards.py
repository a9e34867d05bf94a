"""Sources in pieces: tar and Parquet shards, object stores, what is broken among them, and what
leads out of them."""

from __future__ import annotations

import io
import json
import pickle
import tarfile

import fsspec
import numpy as np
import pytest
from PIL import Image

from residua.errors import ImageError, SourceError
from residua.images import load_images, stores
from residua.images.listing import Options
from residua.images.sources import list_shards, list_source
from residua.images.stores import RemoteFolder, is_inside, is_url


def png(seed: int, size: tuple[int, int] = (6, 5)) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)).save(
        data, "PNG"
    )
    return data.getvalue()


def tar_of(*members: tuple[str, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def sample(seed: int, label: str) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    return (f"{seed:04d}.png", png(seed)), (f"{seed:04d}.cls", label.encode())


@pytest.fixture
def shards(tmp_path):
    """``train-0.tar``, ``train-1.tar`` and ``test-0.tar`` of four images each."""
    for file, (name, start) in enumerate((("test-0", 0), ("train-0", 4), ("train-1", 8))):
        members = [
            member
            for seed in range(start, start + 4)
            for member in sample(seed, "good" if file else str(seed))
        ]
        (tmp_path / f"{name}.tar").write_bytes(tar_of(*members))
    return tmp_path


def test_tar_shards_are_read_where_they_lie_with_labels_and_parts(shards):
    images = load_images(shards)
    assert images.kind == "tar shards"
    assert images.paths[0] == "test-0.tar/0000.png"
    assert [str(label) for label in images.labels] == ["0", "1", "2", "3"] + ["good"] * 8
    assert images.splits.tolist()[:4] == ["test"] * 4
    assert all(
        np.array_equal(images[row][..., 0], np.asarray(Image.open(io.BytesIO(png(row)))))
        for row in range(12)
    )
    again = load_images(shards, memory_megabytes=0)
    assert np.array_equal(again.array(), images.array())


def test_numbers_are_class_numbers_and_json_tells_label_part_and_group(tmp_path):
    facts = {"label": "crack", "split": "test", "group": "a", "__class__": "os.system"}
    (tmp_path / "numbers.tar").write_bytes(tar_of(*sample(1, "7"), *sample(2, "11")))
    (tmp_path / "facts.tar").write_bytes(
        tar_of(("1.json", json.dumps(facts).encode()), ("1.png", png(1)))
    )
    assert load_images(tmp_path / "numbers.tar").labels.tolist() == [7, 11]
    images = load_images(tmp_path / "facts.tar")
    assert (images.labels.tolist(), images.splits.tolist(), images.groups.tolist()) == (
        ["crack"],
        ["test"],
        ["a"],
    )


def test_masks_in_an_archive_are_no_images_and_are_told(tmp_path):
    members = [(f"{i}.{kind}", png(i)) for i in range(3) for kind in ("jpg", "mask.png", "seg.PNG")]
    (tmp_path / "a.tar").write_bytes(tar_of(*members))
    images = load_images(tmp_path / "a.tar")
    assert images.paths.tolist() == [f"a.tar/{i}.jpg" for i in range(3)]
    assert "a.tar: 6 masks left out, which are not read from shards" in images.notes


def test_an_archive_that_breaks_off_keeps_what_came_before(shards):
    whole = (shards / "train-1.tar").read_bytes()
    (shards / "train-1.tar").write_bytes(whole[: len(whole) // 4])
    images = load_images(shards)
    assert 8 < len(images) < 12
    assert any(one.path.startswith("train-1.tar") for one in images.quarantined)


def test_a_broken_shard_among_whole_ones_is_quarantined_and_alone_it_is_refused(shards):
    (shards / "train-1.tar").write_bytes(b"\x00nothing" * 200)
    images = load_images(shards)
    assert len(images) == 8
    assert [one.path for one in images.quarantined] == ["train-1.tar"]
    with pytest.raises(SourceError, match="tar archive must be whole"):
        load_images(shards / "train-1.tar")


def test_names_and_links_in_an_archive_lead_nowhere(tmp_path):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        link = tarfile.TarInfo("2.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        info = tarfile.TarInfo("../../escaped.png")
        info.size = len(png(1))
        archive.addfile(info, io.BytesIO(png(1)))
    (tmp_path / "a.tar").write_bytes(data.getvalue())
    images = load_images(tmp_path / "a.tar")
    assert images.paths.tolist() == ["a.tar/../../escaped.png"]  # a name, never a place
    assert not list(tmp_path.parent.glob("escaped*"))


@pytest.mark.parametrize("kind", ["folders", "tar", "digits"])
def test_the_pieces_hold_the_same_images_in_the_same_order_as_the_whole(
    kind, shards, tmp_path, write
):
    source = {"tar": shards, "digits": "digits", "folders": tmp_path / "parts"}[kind]
    for i in range(5):
        write(tmp_path / "parts" / ("good" if i % 2 else "bad") / f"{i}.png", i)
    whole = list_source(source, Options())
    pieces = [
        pickle.loads(pickle.dumps(piece)).listing(Options())
        for piece in list_shards(source, Options()).pieces
    ]
    assert [name for piece in pieces for name in piece.names] == list(whole.names)
    labels = None if whole.labels is None else [label for piece in pieces for label in piece.labels]
    assert labels == (None if whole.labels is None else list(whole.labels))
    if kind != "digits":
        read = [piece.content.read(row) for piece in pieces for row in range(len(piece.names))]
        assert read == [whole.content.read(row) for row in range(len(whole.names))]


# --- object stores
# ----


@pytest.fixture
def memory():
    """A URL in fsspec's memory, emptied afterwards."""
    store = fsspec.filesystem("memory")
    yield store
    store.store.clear()


def test_images_in_an_object_store_are_those_of_the_folder(memory, tmp_path, write):
    for i in range(6):
        name = f"{'test' if i < 2 else 'train'}/good/{i}.png"
        memory.pipe(f"/set/{name}", write(tmp_path / name, i).read_bytes())
    memory.pipe("/set/readme.txt", b"no image")
    here, there = load_images(tmp_path), load_images("memory://set")
    assert there.fingerprint == here.fingerprint
    assert there.paths.tolist() == here.paths.tolist()
    assert there.splits.tolist() == here.splits.tolist()
    assert any("readme.txt" in note for note in there.notes)


def test_tar_and_parquet_shards_in_an_object_store_are_those_of_the_folder(memory, shards):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for file in shards.iterdir():
        memory.pipe(f"/tars/{file.name}", file.read_bytes())
    assert load_images("memory://tars").fingerprint == load_images(shards).fingerprint
    assert len(load_images("memory://tars/test-0.tar")) == 4
    table = pa.table({"image": [png(seed) for seed in range(4)], "label": [0, 0, 1, 1]})
    pq.write_table(table, shards / "a.parquet", row_group_size=2)
    memory.pipe("/one/a.parquet", (shards / "a.parquet").read_bytes())
    assert (
        load_images("memory://one/a.parquet").fingerprint
        == load_images(shards / "a.parquet").fingerprint
    )


def test_a_store_that_fails_now_and_then_is_asked_again(memory, monkeypatch):
    monkeypatch.setattr(stores, "FIRST_WAIT", 0)
    for i in range(3):
        memory.pipe(f"/set/{i}.png", png(i))
    asked = []

    def flaky(self, path, start=None, end=None, **more):
        asked.append(path)
        if asked.count(path) < stores.ATTEMPTS:
            raise ConnectionResetError("reset by peer")
        return memory.store[path].getvalue()[start:end]

    monkeypatch.setattr(type(memory), "cat_file", flaky)
    assert len(load_images("memory://set")) == 3
    assert len(asked) == 3 * stores.ATTEMPTS


def test_a_store_that_stays_silent_ends_the_work_and_quarantines_nothing(memory, monkeypatch):
    monkeypatch.setattr(stores, "FIRST_WAIT", 0)
    memory.pipe("/set/0.png", png(0))

    def silent(self, path, **more):
        raise TimeoutError("no answer")

    monkeypatch.setattr(type(memory), "cat_file", silent)
    with pytest.raises(SourceError, match="5 times in a row"):
        load_images("memory://set")


def test_an_empty_place_and_an_unknown_scheme_are_refused(memory):
    with pytest.raises(SourceError, match="must exist"):
        load_images("memory://nothing")
    with pytest.raises(SourceError, match="fsspec can open"):
        load_images("nosuch://bucket/set")


def test_names_that_lead_out_of_a_store_are_not_read():
    assert not any(
        is_inside(name)
        for name in ("../a.png", "a/../../b.png", "/etc/passwd", "..\\a.png", "a\0.png")
    )
    with pytest.raises(ImageError, match="leads out"):
        RemoteFolder("memory://set").read("../other/a.png", 100)
    assert [is_url(text) for text in ("s3://b/f", "C:/data", "a/b", "c://x")] == [
        True,
        False,
        False,
        False,
    ]
