from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import SourceError
from residua.images import load_images, write_manifest


def manifest(folder: Path, text: str) -> Path:
    file = folder / "parts.csv"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_column_is_read_and_an_empty_cell_is_none(tmp_path, write):
    for name in "abcd":
        write(tmp_path / "img" / f"{name}.png")
    mask = np.zeros((10, 12), np.uint8)
    mask[0, 0] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    rows = "img/a.png,good,,train,t1\nimg/b.png,,,train,t1\nimg/c.png,crack,mask.png,test,t2\nimg/d.png,good,,calibration,\n"
    images = load_images(manifest(tmp_path, "path,label,mask,split,group\n" + rows))
    assert images.kind == "CSV manifest"
    assert images.paths.tolist() == ["img/a.png", "img/b.png", "img/c.png", "img/d.png"]
    assert images.labels.tolist() == ["good", None, "crack", "good"]
    assert images.splits.tolist() == ["train", "train", "test", "calibration"]
    assert images.groups.tolist() == ["t1", "t1", "t2", None]
    assert images.masks[2].sum() == 1
    assert images.masks[0] is None
    assert images.labelled.tolist() == [True, False, True, True]
    assert images.is_anomalous.tolist() == [False, False, True, False]


def test_path_alone_is_enough_and_a_byte_order_mark_does_no_harm(tmp_path, write):
    write(tmp_path / "a.png")
    images = load_images(manifest(tmp_path, "\ufeffpath\na.png\n"))
    assert (len(images), images.labels, images.groups) == (1, None, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,lable\na.png,x\n", "Did you mean 'label'"),
        ("file\na.png\n", "columns of a manifest"),
        ("label\nx\n", "must have a column path"),
        ("path,path\na,b\n", "every column must occur once"),
        ("path,label\na.png,x,y\n", "more in line 2"),
        ("path,label\n,x\n", "none in line 2"),
        ("path,split\na.png,validation\n", "write train"),
        ("path,split\na.png,holdout\n", "Rename those parts"),
        ("path,split\na.png,train\nb.png,\n", "1 row without"),
        ("path\n", "none below the header"),
        ("", "no header"),
        ("path\n../a.png\n", "must stay inside the folder"),
        ("path\nsub/../../a.png\n", "must stay inside the folder"),
        ("path\n/etc/hostname.png\n", "must stay inside the folder"),
        ("path,mask\na.png,../m.png\n", "must stay inside the folder"),
        ('path\n"a.png\n', "must be CSV"),
    ],
)
def test_a_manifest_that_does_not_hold_is_refused(tmp_path, write, text, words):
    write(tmp_path / "a.png")
    with pytest.raises(SourceError, match=words):
        load_images(manifest(tmp_path, text))


def test_a_file_that_is_missing_or_a_link_out_is_quarantined(tmp_path, write):
    folder = tmp_path / "here"
    write(folder / "a.png")
    (folder / "link.png").symlink_to(write(tmp_path / "secret.png"))
    images = load_images(manifest(folder, "path\na.png\nb.png\nlink.png\n"))
    assert images.paths.tolist() == ["a.png"]
    assert dict(images.quarantined) == {
        "b.png": "there is no such file",
        "link.png": "a link that leads out of the folder: not followed",
    }


def test_root_lets_a_manifest_lie_elsewhere_and_still_holds_its_paths(tmp_path, write):
    write(tmp_path / "data" / "x" / "a.png")
    (tmp_path / "lists").mkdir()
    file = manifest(tmp_path / "lists", "path\nx/a.png\n")
    assert len(load_images(file, root=tmp_path / "data")) == 1
    with pytest.raises(SourceError, match="must stay inside"):
        load_images(manifest(tmp_path / "lists", "path\n../lists/a.png\n"), root=tmp_path / "data")


def test_a_written_manifest_is_read_back(tmp_path, write):
    rows = [{"path": write(tmp_path / f"{i}, odd.png"), "label": "ok", "group": str(i // 2)} for i in range(4)]
    images = load_images(write_manifest(rows, tmp_path / "m.csv"))
    assert images.paths.tolist() == [f"{i}, odd.png" for i in range(4)]
    assert images.groups.tolist() == ["0", "0", "1", "1"]


def test_a_manifest_with_copies_stands_alone(tmp_path, write):
    source = write(tmp_path / "data" / "x" / "a.png")
    written = write_manifest([{"path": source, "label": "ok"}], tmp_path / "out" / "m.csv", root=tmp_path / "data", copy=True)
    source.unlink()
    assert load_images(written).paths.tolist() == ["x/a.png"]


def test_a_manifest_of_files_elsewhere_has_to_name_their_root(tmp_path, write):
    source = write(tmp_path / "data" / "a.png")
    with pytest.raises(SourceError, match="root="):
        write_manifest([{"path": source}], tmp_path / "out" / "m.csv")
    with pytest.raises(SourceError, match="a row an image"):
        write_manifest([], tmp_path / "out" / "m.csv")
    with pytest.raises(SourceError, match="Did you mean 'group'"):
        write_manifest([{"path": source, "grp": "1"}], tmp_path / "data" / "m.csv")
