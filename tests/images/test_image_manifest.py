from __future__ import annotations

import unicodedata
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
        ("path,grup\na.png,x\n", "Did you mean 'group'"),
        ("a.png\n", "must name its columns"),
        ("a.png,good\n", "'a.png' looks like an image"),
        ("path,\na.png,3 mm\n", "every column must have a name"),
        ("path,label\na.png,x\na.png,y\n", "twice: x in line 2, y in line 3"),
        ("path,split\na.png,train\na.png,test\n", "twice: train in line 2, test in line 3"),
        ("path,group\na.png,1\n./a.png,2\n", "twice: 1 in line 2, 2 in line 3"),
        ("path\nb.png\nc.png\n", "Got none of 2, such as b.png in line 2"),
        ("path\nC:\\img\\a.png\n", "must stay inside the folder"),
        ("label\nx\n", "must have a column path"),
        ("path,path\na,b\n", "every column must occur once"),
        ("path,label\na.png,x,y\n", "more in line 2"),
        ("path,label\n,x\n", "none in line 2"),
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
        "b.png": "there is no such file (line 3)",
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
    rows = [
        {"path": write(tmp_path / f"{i}, odd.png"), "label": "ok", "group": str(i // 2)}
        for i in range(4)
    ]
    images = load_images(write_manifest(rows, tmp_path / "m.csv"))
    assert images.paths.tolist() == [f"{i}, odd.png" for i in range(4)]
    assert images.groups.tolist() == ["0", "0", "1", "1"]


def test_a_manifest_with_copies_stands_alone(tmp_path, write):
    source = write(tmp_path / "data" / "x" / "a.png")
    written = write_manifest(
        [{"path": source, "label": "ok"}],
        tmp_path / "out" / "m.csv",
        root=tmp_path / "data",
        copy=True,
    )
    source.unlink()
    assert load_images(written).paths.tolist() == ["x/a.png"]


def test_a_manifest_of_files_elsewhere_has_to_name_their_root(tmp_path, write):
    source = write(tmp_path / "data" / "a.png")
    with pytest.raises(SourceError, match="root="):
        write_manifest([{"path": source}], tmp_path / "out" / "m.csv")
    with pytest.raises(SourceError, match="one row per image"):
        write_manifest([], tmp_path / "out" / "m.csv")
    with pytest.raises(SourceError, match="Did you mean 'group'"):
        write_manifest([{"path": source, "grp": "1"}], tmp_path / "data" / "m.csv")


ROWS = [("a.png", "good"), ("b.png", "bad"), ("sub/c.png", "good")]


def table(head: tuple[str, ...] = ("path", "label"), mark: str = ",", end: str = "\r\n") -> str:
    return end.join([mark.join(head), *(mark.join(row) for row in ROWS)]) + end


DIALECTS = {
    "commas": table().encode(),
    "semicolons": table(mark=";").encode(),
    "semicolons and a mark": b"\xef\xbb\xbf" + table(mark=";").encode(),
    "tabs": table(mark="\t").encode(),
    "bars": table(mark="|").encode(),
    "old Mac lines": table(end="\r").encode(),
    "sep=": b"sep=;\r\n" + table(mark=";").encode(),
    "UTF-16": table(mark="\t").encode("utf-16"),
    "quotes": table().replace("a.png", '"a.png"').replace("path,label", '"path","label"').encode(),
    "capitals and blanks": table((" Path ", "LABEL")).encode(),
    "backslashes": table().replace("/", "\\").encode(),
    "./": table().replace("\r\na", "\r\n./a").encode(),
    "the index of pandas": (
        ("," + table())
        .replace("a.png", "0,a.png")
        .replace("b.png", "1,b.png")
        .replace("sub", "2,sub")
        .encode()
    ),
    "filename and class": table(("filename", "class")).encode(),
    "image and category": table(("image", "category")).encode(),
    "filepath and class_name": table(("filepath", "class_name")).encode(),
    "empty rows and columns": (table().replace("\r\n", ",\r\n") + ",,\r\n,,\r\n").encode(),
    "a row twice": (table() + "a.png,good\r\n").encode(),
    "a row twice, spelt otherwise": (table() + "sub/../a.png,good\r\n").encode(),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_manifest_means_the_same_whoever_exported_it(tmp_path, write, dialect):
    for name, _ in ROWS:
        write(tmp_path / name)
    (tmp_path / "m.csv").write_bytes(DIALECTS[dialect])
    images = load_images(tmp_path / "m.csv")
    assert [path.removeprefix("./") for path in images.paths] == ["a.png", "b.png", "sub/c.png"]
    assert images.labels.tolist() == ["good", "bad", "good"]
    assert not images.own_columns
    assert not images.quarantined


def assumed(images) -> dict[str, str]:
    return {one.about: one.taken for one in images.assumptions}


def test_what_a_manifest_left_open_is_told(tmp_path, write):
    for name in "abc":
        write(tmp_path / "img" / f"{name}.png")
    rows = "img\\a.png,0.0,val\nimg\\b.png,1.0,train\nimg\\c.png,nan,test\n"
    images = load_images(manifest(tmp_path, "image,class,subset\n" + rows))
    assert images.labels.tolist() == ["0", "1", None]
    assert (images.splits == "test").tolist() == [False, False, True]
    assert assumed(images) == {
        "columns of the manifest": "image as path, class as label, subset as split",
        "cells of the manifest": "1 of nan as none",
        "labels of the manifest": "0.0 as 0",
        "paths of the manifest": "backslashes as slashes",
        "parts of the manifest": "val as train",
    }


def test_the_encoding_of_an_older_spreadsheet_is_told(tmp_path, write):
    write(tmp_path / "größe.png")
    (tmp_path / "m.csv").write_bytes("path,label\ngröße.png,schön\n".encode("cp1252"))
    images = load_images(tmp_path / "m.csv")
    assert (images.paths.tolist(), images.labels.tolist()) == (["größe.png"], ["schön"])
    assert assumed(images)["encoding of the table"] == "cp1252"


@pytest.mark.parametrize(("of_file", "of_row"), [("NFD", "NFC"), ("NFC", "NFD")])
def test_a_name_is_found_however_its_letters_are_composed(tmp_path, write, of_file, of_row):
    name = unicodedata.normalize(of_file, "späte.png")
    write(tmp_path / name)
    images = load_images(manifest(tmp_path, f"path\n{unicodedata.normalize(of_row, name)}\n"))
    assert images.paths.tolist() == [name]
    assert images.notes[0].startswith("1 file is spelt with other code points")


def test_whole_numbers_that_are_no_floats_and_words_stay_as_they_are(tmp_path, write):
    for name in "abc":
        write(tmp_path / f"{name}.png")
    images = load_images(manifest(tmp_path, "path,label\na.png,1.0\nb.png,2.5\nc.png,None\n"))
    assert images.labels.tolist() == ["1.0", "2.5", "None"]


def test_a_table_of_visa_is_read(tmp_path, write):
    for name in ("n0", "n1", "n2"):
        write(tmp_path / "candle" / f"{name}.JPG")
    write(tmp_path / "candle" / "a0.JPG")
    Image.fromarray(np.pad(np.full((2, 2), 3, np.uint8), 4)).resize((12, 10), 0).save(
        tmp_path / "candle" / "a0.png"
    )
    text = "object,split,label,image,mask\ncandle,train,normal,candle/n0.JPG,\ncandle,train,normal,candle/n1.JPG,\n"
    text += "candle,test,normal,candle/n2.JPG,\ncandle,test,anomaly,candle/a0.JPG,candle/a0.png\n"
    images = load_images(manifest(tmp_path, text))
    assert images.normal == ("normal",)
    assert (images.splits == "test").tolist() == [False, False, True, True]
    assert images.own_columns["object"].tolist() == ["candle"] * 4
    assert [None if mask is None else bool(mask.any()) for mask in images.masks] == [
        None,
        None,
        None,
        True,
    ]


def test_rows_of_one_image_with_several_masks_are_joined(tmp_path, write):
    write(tmp_path / "a.png")
    for name, rows in (("m.png", slice(0, 3)), ("n.png", slice(5, 8))):
        mask = np.zeros((10, 12), np.uint8)
        mask[rows] = 255
        Image.fromarray(mask).save(tmp_path / name)
    images = load_images(manifest(tmp_path, "path,label,mask\na.png,bad,m.png\na.png,bad,n.png\n"))
    assert len(images) == 1
    assert images.masks[0].sum() == 6 * 12


def test_a_mask_that_is_missing_is_told_with_its_line(tmp_path, write):
    write(tmp_path / "a.png")
    images = load_images(manifest(tmp_path, "path,mask\na.png,m.png\n"))
    assert dict(images.quarantined) == {"m.png": "as a mask: there is no such file (line 2)"}


def test_columns_of_ones_own_are_kept_and_follow_the_images(tmp_path, write):
    write(tmp_path / "a.png")
    write(tmp_path / "c.png")
    (tmp_path / "b.png").write_bytes(b"nonsense")
    images = load_images(manifest(tmp_path, "path,Serial,part\na.png,S1,7\nb.png,S2,8\nc.png,,9\n"))
    assert {name: column.tolist() for name, column in images.own_columns.items()} == {
        "Serial": ["S1", ""],
        "part": ["7", "9"],
    }
    assert images[1:].own_columns["part"].tolist() == ["9"]


def test_a_root_that_is_not_there_is_refused(tmp_path, write):
    write(tmp_path / "a.png")
    with pytest.raises(SourceError, match="root must be a folder"):
        load_images(manifest(tmp_path, "path\na.png\n"), root=tmp_path / "gone")


def test_the_folder_that_the_files_lie_in_is_named(tmp_path, write):
    write(tmp_path / "candle" / "a.png")
    (tmp_path / "split_csv").mkdir()
    with pytest.raises(SourceError, match=f"It lies in {tmp_path}: pass that as root="):
        load_images(manifest(tmp_path / "split_csv", "path\ncandle/a.png\n"))


def test_a_folder_that_is_a_link_is_followed_up_before_the_way_out_of_it(tmp_path, write):
    """``link/../x.png`` is beside what the link leads to, not beside the link."""
    write(tmp_path / "elsewhere" / "x.png")
    (tmp_path / "elsewhere" / "deep").mkdir()
    write(tmp_path / "here" / "a.png")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere" / "deep")
    images = load_images(manifest(tmp_path / "here", "path\na.png\nlink/../x.png\n"))
    assert images.paths.tolist() == ["a.png"]
    assert "leads out" in images.quarantined[0].reason


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            "~/img/a.png,",
            r"Got ~/img/a.png in line 2. Write them relative to that folder, without ~",
        ),
        ("https://x.org/a.png,", r"Got https://x.org/a.png in line 2. .* without a URL"),
        ("img/a,", "paths must be spelt as the files are. .* img/a in line 2. Write img/a.png"),
        ("img/A.PNG,", "such as img/A.PNG in line 2. Write img/a.png"),
        (
            "img/a.png,./img/a.png",
            "a mask must be a file of its own. Got img/a.png as image and as mask in line 2",
        ),
    ],
)
def test_paths_that_cannot_be_meant_are_refused_with_what_to_write(tmp_path, write, cells, said):
    write(tmp_path / "img" / "a.png")
    with pytest.raises(SourceError, match=said):
        load_images(manifest(tmp_path, f"path,mask\n{cells}\n"))


def test_columns_that_nothing_is_read_from_are_named(tmp_path, write):
    write(tmp_path / "a.png")
    images = load_images(manifest(tmp_path, "path,is_good,fold\na.png,1,2\n"))
    assert "2 columns kept as they are, and not used: is_good, fold" in images.notes
    assert images.labels is None
