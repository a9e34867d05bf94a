from __future__ import annotations

import io
import json
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from PIL import Image

from residua.errors import MissingExtraError, ResiduaError, SourceError
from residua.images import load_images
from residua.images.sources import parquet_rows

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def table(n: int = 6, names: list[str] | None = None, **columns: list[object]) -> pa.Table:
    cells = [{"bytes": png(i), "path": f"{i}.png"} for i in range(n)]
    data = {
        "image": pa.array(cells, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        "label": [i % 2 for i in range(n)],
        **columns,
    }
    result = pa.table(data)
    if names is None:
        return result
    features = {
        "info": {
            "features": {
                "label": {"names": names, "_type": "ClassLabel"},
                "image": {"_type": "Image"},
            }
        }
    }
    return result.replace_schema_metadata({"huggingface": json.dumps(features)})


def test_hugging_face_bytes_and_class_names(tmp_path):
    pq.write_table(table(names=["good", "crack"]), tmp_path / "a.parquet", row_group_size=2)
    images = load_images(tmp_path / "a.parquet")
    assert images.kind == "Parquet"
    assert images.labels.tolist() == ["good", "crack"] * 3
    assert images.normal == ("good",)
    assert [int(image[0, 0, 0]) for image in images] == list(range(6))
    assert images.paths[3] == "a.parquet[3]/3.png"


def test_integer_labels_stay_integers_and_a_plain_binary_column_will_do(tmp_path):
    pq.write_table(
        pa.table({"img": [png(i) for i in range(3)], "label": [7, 8, 9]}), tmp_path / "a.parquet"
    )
    images = load_images(tmp_path / "a.parquet", normal=7)
    assert images.labels.tolist() == [7, 8, 9]
    assert images.labels.dtype == np.int64
    assert images.is_anomalous.tolist() == [False, True, True]


def test_a_folder_of_parts_is_split_by_file_name(tmp_path):
    (tmp_path / "data").mkdir()
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        pq.write_table(table(), tmp_path / "data" / f"{name}.parquet")
    images = load_images(tmp_path)
    assert (len(images.train) + len(images.calibration), len(images.test)) == (12, 6)


def test_split_and_group_columns_count(tmp_path):
    columns = {"split": ["train"] * 3 + ["calibration"] + ["test"] * 2, "group": [1, 1, 1, 2, 3, 3]}
    pq.write_table(table(**columns), tmp_path / "a.parquet")
    images = load_images(tmp_path / "a.parquet")
    assert images.splits.tolist() == columns["split"]
    assert images.groups.tolist() == ["1", "1", "1", "2", "3", "3"]


def test_rows_without_bytes_or_with_broken_ones_are_quarantined(tmp_path):
    cells = [
        {"bytes": png(1), "path": "a"},
        {"bytes": None, "path": "/etc/hostname"},
        {"bytes": b"broken", "path": "c"},
        None,
    ]
    pq.write_table(pa.table({"image": cells}), tmp_path / "a.parquet")
    images = load_images(tmp_path / "a.parquet")
    assert len(images) == 1
    reasons = [reason for _, reason in images.quarantined]
    assert len(reasons) == 3
    assert "a path alone is not followed" in reasons[0]
    assert "not an image in a format" in reasons[1]


def test_labels_of_minus_one_mean_none(tmp_path):
    pq.write_table(table(2, names=["good", "bad"], label=[-1, 0]), tmp_path / "a.parquet")
    assert load_images(tmp_path / "a.parquet").labels.tolist() == [None, "good"]


def test_pixels_that_do_not_fit_are_read_again_from_their_row_group(tmp_path):
    pq.write_table(table(20), tmp_path / "a.parquet", row_group_size=3)
    images = load_images(tmp_path / "a.parquet", memory_megabytes=0)
    assert [int(image[0, 0, 0]) for image in images[::-1]] == list(range(20))[::-1]


def test_a_table_without_images_or_a_broken_one_is_refused(tmp_path):
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(SourceError, match="Got the columns x"):
        load_images(tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(SourceError, match="must be whole"):
        load_images(tmp_path / "b.parquet")


def test_without_pyarrow_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'residua\[tables\]'"):
        load_images(tmp_path / "a.parquet")


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), min_size=1, max_size=5),
    st.integers(0, 20),
)
@example([(858, 0)], 0)  # fewer paths than rows: found by searching
def test_mutated_tables_load_or_raise_an_error_of_ours(tmp_path_factory, changes, cut):
    file = tmp_path_factory.getbasetemp() / "mutated.parquet"
    pq.write_table(table(3), file)
    data = bytearray(file.read_bytes())
    for place, value in changes:
        data[place % len(data)] = value
    file.unlink()
    file.write_bytes(bytes(data[: len(data) - cut]))
    try:
        images = load_images(file)
    except ResiduaError as error:
        assert str(error)
    else:
        assert len(images) > 0


def repeated(value, n):
    """A column that a few bytes stand for: one value, n times."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(n, np.int32)), pa.array([value]))


def bomb(path, **columns):
    pq.write_table(pa.table(columns), path, store_schema=False, compression="zstd")
    return path


def test_a_label_that_unpacks_to_gigabytes_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_rows, "_MOST_TEXTS", 10 << 20)
    path = bomb(
        tmp_path / "x.parquet",
        image=repeated(b"image", 10_000),
        label=repeated("x" * 100_000, 10_000),
    )
    assert path.stat().st_size < 10_000
    with pytest.raises(SourceError, match="unpacks to more than"):
        load_images(path)


def test_images_that_unpack_to_gigabytes_are_quarantined_after_one_look(tmp_path, monkeypatch):
    path = bomb(tmp_path / "x.parquet", image=repeated(b"\0" * 200_000, 2_000))
    monkeypatch.setattr(parquet_rows, "_MOST_IMAGES", 10 << 20)
    looks = []
    unpacked = parquet_rows.Rows._unpacked
    monkeypatch.setattr(
        parquet_rows.Rows,
        "_unpacked",
        lambda self, *given: looks.append(given) or unpacked(self, *given),
    )
    with pytest.raises(SourceError, match="unpacks to more than"):
        load_images(path)
    assert len(looks) < 10


def test_a_cell_that_is_larger_than_all_may_be_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_rows, "_MOST_IMAGES", 1 << 20)
    path = bomb(tmp_path / "x.parquet", image=pa.array([bytes(2 << 20)]))
    with pytest.raises(SourceError, match="unpacks to 2,097,"):
        load_images(path)


def test_more_rows_than_a_file_may_hold_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_rows, "_MOST_ROWS", 1000)
    with pytest.raises(SourceError, match="may hold 1,000 rows"):
        load_images(bomb(tmp_path / "x.parquet", image=repeated(b"image", 1001)))
