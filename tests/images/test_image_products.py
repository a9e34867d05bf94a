"""Which product each image shows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from residua import load_images
from residua.errors import ShapeError, SourceError
from residua.images import ImageSet
from residua.images.products import OfModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("products")
    lines = ["path,label,split,line"]
    for number, name in enumerate(
        f"{part}/{product}/{row}.png"
        for part in ("train/good", "test/good", "test/bad")
        for product in ("lens", "tile")
        for row in range(3)
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 10 * number, np.uint8)).save(path)
        part, label, product, _ = name.split("/")
        lines.append(f"{name},{label},{part},{product}")
    (root / "set.csv").write_text("\n".join(lines), encoding="utf-8")
    return root


@pytest.mark.parametrize("rule", ["folder", r"/(\w+)/\d"])
def test_products_of_folders(folder, rule):
    images = load_images(folder, product=rule)
    shown = {str(path).split("/")[2]: None for path in images.paths}
    assert images.products.tolist() == [str(path).split("/")[2] for path in images.paths]
    assert set(images.test.products.tolist()) == set(shown) == {"lens", "tile"}


def test_products_of_a_column_which_is_then_used(folder):
    images = load_images(folder / "set.csv", product="line")
    assert images[:2].products.tolist() == ["lens", "lens"]
    assert not any("not used" in note for note in images.notes)
    assert any("not used: line" in note for note in load_images(folder / "set.csv").notes)
    assert load_images(folder / "set.csv").products is None


def test_one_product_for_all_and_products_one_by_one(folder):
    images = load_images(folder, product="=lens")
    assert set(images.products.tolist()) == {"lens"}
    named = load_images(np.zeros((3, 8, 8), np.uint8), product=["a", None, 7])
    assert named.products.tolist() == ["a", None, "7"]
    arrays = ImageSet.from_arrays(np.zeros((2, 8, 8), np.uint8), products=["a", "b"])
    assert arrays[1:].products.tolist() == ["b"]
    with pytest.raises(ShapeError, match="products must have one entry per image"):
        ImageSet.from_arrays(np.zeros((2, 8, 8), np.uint8), products=["a"])


@pytest.mark.parametrize("rule", ["camera", r"x(\d+)y"])
def test_a_rule_that_tells_nothing_is_refused_unless_it_is_a_models(folder, rule):
    with pytest.raises(SourceError, match="product"):
        load_images(folder, product=rule)
    assert set(load_images(folder, product=OfModel(rule)).products.tolist()) == {None}


def test_a_column_of_parquet(folder, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    data = (folder / "train/good/lens/0.png").read_bytes()
    table = pa.table({"image": [{"bytes": data}] * 2, "line": ["lens", "tile"]})
    pq.write_table(table, tmp_path / "train.parquet")
    images = load_images(tmp_path / "train.parquet", product="line")
    assert images.products.tolist() == ["lens", "tile"]


def test_missing_names_and_names_nearly_alike_are_told(folder):
    table, other = (folder / "set.csv").read_text(encoding="utf-8"), folder / "other.csv"
    assert not [one for one in load_images(folder, product="folder").notes if "product" in one]
    other.write_text(table.replace("train,lens", "train,Lens", 1).replace("test,tile", "test,", 2))
    told = load_images(other, product="line").notes
    assert "2 of 18 images have no product: nothing is decided about them" in told
    assert [one for one in told if one.startswith("products Lens and lens are taken for two")]


def test_numbers_of_parquet_are_one_product_whatever_their_type(folder, tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    data = (folder / "train/good/lens/0.png").read_bytes()
    for cells, wanted in (([1, 2], ["1", "2"]), ([1.0, None], ["1", None])):
        table = pa.table({"image": [{"bytes": data}] * 2, "line": cells})
        pq.write_table(table, tmp_path / "train.parquet")
        images = load_images(tmp_path / "train.parquet", product="line")
        assert images.products.tolist() == wanted
