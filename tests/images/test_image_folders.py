from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import LabelError, SourceError
from residua.images import load_images


def test_a_flat_folder_has_no_labels_and_three_parts(tmp_path, write):
    for i in range(10):
        write(tmp_path / f"{i}.png", i)
    images = load_images(tmp_path)
    assert images.kind == "flat folder"
    assert images.labels is None
    assert not images.labelled.any()
    assert [len(part) for part in (images.train, images.calibration, images.test)] == [6, 2, 2]
    assert images.normal is None
    with pytest.raises(LabelError, match="no labels at all"):
        _ = images.is_anomalous


def test_class_folders_give_labels_and_deeper_folders_belong_to_the_class(tmp_path, write):
    write(tmp_path / "good" / "a.png")
    write(tmp_path / "good" / "line 2" / "b.png")
    write(tmp_path / "crack" / "c.jpg")
    images = load_images(tmp_path)
    assert images.kind == "class folders"
    assert images.paths.tolist() == ["crack/c.jpg", "good/a.png", "good/line 2/b.png"]
    assert images.labels.tolist() == ["crack", "good", "good"]
    assert images.normal == ("good",)
    assert [one.taken for one in images.assumptions] == ["good"]
    assert images.is_anomalous.tolist() == [True, False, False]


def test_images_beside_class_folders_have_no_label(tmp_path, write):
    write(tmp_path / "loose.png")
    write(tmp_path / "ok" / "a.png")
    images = load_images(tmp_path)
    assert dict(zip(images.paths, images.labels, strict=True)) == {"loose.png": None, "ok/a.png": "ok"}
    assert images.labelled.sum() == 1


def test_train_and_test_folders_keep_their_split_and_calibration_comes_out_of_train(tmp_path, write):
    for i in range(10):
        write(tmp_path / "train" / "fine" / f"{i}.png")
    write(tmp_path / "test" / "fine" / "a.png")
    write(tmp_path / "test" / "bent" / "b.png")
    images = load_images(tmp_path)
    assert images.test.paths.tolist() == ["test/bent/b.png", "test/fine/a.png"]
    assert [len(images.train), len(images.calibration)] == [8, 2]
    assert images.normal == ("fine",)
    assert [one.because for one in images.assumptions] == ["the only label in train"]


def test_a_calibration_folder_is_used_as_it_is_and_validation_joins_train(tmp_path, write):
    for part, n in (("train", 4), ("val", 2), ("calibration", 3), ("test", 1)):
        for i in range(n):
            write(tmp_path / part / "good" / f"{i}.png")
    images = load_images(tmp_path)
    assert [len(images.train), len(images.calibration), len(images.test)] == [6, 3, 1]
    assert any("2 validation images joined train" in note for note in images.notes)


@pytest.fixture
def mvtec(tmp_path, write) -> Path:
    for i in range(5):
        write(tmp_path / "train" / "good" / f"{i:03}.png")
    write(tmp_path / "test" / "good" / "000.png")
    for kind in ("grey", "bilevel", "plain"):
        write(tmp_path / "test" / kind / "000.png")
        (tmp_path / "ground_truth" / kind).mkdir(parents=True)
    mask = np.zeros((10, 12), np.uint8)
    mask[2:4, 3:6] = 255
    Image.fromarray(mask).save(tmp_path / "ground_truth" / "grey" / "000_mask.png")
    Image.fromarray(mask).convert("1").save(tmp_path / "ground_truth" / "bilevel" / "000_mask.png")
    Image.fromarray(mask // 255).save(tmp_path / "ground_truth" / "plain" / "000.png")
    (tmp_path / "license.txt").write_text("free")
    return tmp_path


def test_the_mvtec_layout_has_masks_grey_bilevel_or_zero_one(mvtec):
    images = load_images(mvtec)
    assert images.kind == "MVTec layout"
    assert images.normal == ("good",)
    assert images.has_masks
    assert not images.train.has_masks
    masks = dict(zip(images.test.paths, images.test.masks, strict=True))
    assert masks["test/good/000.png"] is None
    for kind in ("grey", "bilevel", "plain"):
        mask = masks[f"test/{kind}/000.png"]
        assert mask.dtype == np.bool_
        assert mask[2:4, 3:6].all()
        assert mask.sum() == 6
    assert images.quarantined == ()


def test_a_mask_of_another_size_or_that_does_not_decode_is_quarantined_and_its_image_kept(mvtec):
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(mvtec / "ground_truth" / "grey" / "000_mask.png")
    (mvtec / "ground_truth" / "plain" / "000.png").write_bytes(b"nonsense")
    images = load_images(mvtec)
    reasons = [reason for _, reason in images.quarantined]
    assert len(images) == 9
    assert len(reasons) == 2
    assert all(reason.startswith("as a mask:") for reason in reasons)
    assert any("is 3 x 3 where its image is 10 x 12" in reason for reason in reasons)
    assert sum(mask is not None for mask in images.masks) == 1


def test_a_defect_without_a_mask_is_noted(mvtec):
    (mvtec / "ground_truth" / "grey" / "000_mask.png").unlink()
    assert any("1 defective test image without a mask" in note for note in load_images(mvtec).notes)


def test_real_tiles_in_class_folders_are_read_as_they_are(data_folder, tmp_path):
    for kind in ("MT_Free", "MT_Crack"):
        (tmp_path / kind).mkdir()
        for file in sorted((data_folder / "magnetic_tile" / kind / "Imgs").glob("*.jpg"))[:4]:
            shutil.copy(file, tmp_path / kind)
    images = load_images(tmp_path, normal="MT_Free")
    assert len(images) == 8
    assert images.uniform_size is None
    for image, path in zip(images, images.paths, strict=True):
        assert np.array_equal(image[..., 0], np.asarray(Image.open(tmp_path / path)))
    assert images.is_anomalous.sum() == 4
    assert not images.train.is_anomalous.any()


def test_pairs_that_differ_only_in_the_suffix_are_pointed_out(tmp_path, write):
    write(tmp_path / "a" / "1.png")
    write(tmp_path / "a" / "1.jpg")
    assert any("1 pair of files differ only in the suffix" in note for note in load_images(tmp_path).notes)


def test_other_files_are_left_alone_and_said(tmp_path, write):
    write(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").write_bytes(b"\0")
    (tmp_path / "b.heic").write_bytes(b"\0")
    shutil.copy(write(tmp_path / "c.png"), tmp_path / "no suffix")
    images = load_images(tmp_path)
    assert images.paths.tolist() == ["a.png", "c.png", "no suffix"]
    assert any("notes.txt" in note for note in images.notes)
    assert images.quarantined == (("b.heic", ".heic is not a format that is decoded"),)


def test_links_are_not_followed_out_of_the_folder(tmp_path, write):
    secret = write(tmp_path / "elsewhere" / "secret.png")
    folder = tmp_path / "parts"
    inside = write(folder / "a.png")
    (folder / "inside.png").symlink_to(inside)
    (folder / "outside.png").symlink_to(secret)
    (folder / "folder").symlink_to(secret.parent)
    (folder / "broken.png").symlink_to(folder / "nowhere.png")
    images = load_images(folder)
    assert images.paths.tolist() == ["a.png", "inside.png"]
    assert dict(images.quarantined) == {
        "folder": "a link to a folder: links are not followed",
        "outside.png": "a link that leads out of the folder: not followed",
        "broken.png": "there is no such file",
    }


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes: this system has none")
def test_a_pipe_does_not_make_us_wait(tmp_path, write):
    write(tmp_path / "a.png")
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe")
    assert load_images(tmp_path).quarantined == (("pipe.png", "not a regular file"),)


def test_names_that_are_not_utf8_can_be_told(tmp_path, write):
    source = write(tmp_path / "a.png")
    source.rename(tmp_path / os.fsdecode(b"caf\xe9.png"))
    assert load_images(tmp_path).paths.tolist() == ["caf�.png"]


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match="Got an empty folder"):
        load_images(tmp_path)
    (tmp_path / "readme.md").write_text("nothing")
    with pytest.raises(SourceError, match="1 file of other kinds"):
        load_images(tmp_path)
    (tmp_path / "train").mkdir()
    with pytest.raises(SourceError, match="must hold images"):
        load_images(tmp_path)


def test_a_folder_of_which_nothing_decodes_is_refused_with_the_first_reason(tmp_path):
    (tmp_path / "a.png").write_bytes(b"nothing")
    with pytest.raises(SourceError, match=r"1 file that cannot be read \(a.png: not an image"):
        load_images(tmp_path)


def test_a_source_that_is_not_there_or_unknown_is_refused(tmp_path):
    with pytest.raises(SourceError, match="must exist"):
        load_images(tmp_path / "nowhere")
    with pytest.raises(SourceError, match="must exist"):
        load_images("bad\0name")
    (tmp_path / "a.xyz").write_text("?")
    with pytest.raises(SourceError, match="a source must be a folder"):
        load_images(tmp_path / "a.xyz")


def test_a_normal_label_that_is_not_there_is_refused_with_those_that_are(tmp_path, write):
    write(tmp_path / "good" / "a.png")
    write(tmp_path / "bent" / "b.png")
    with pytest.raises(LabelError, match=r"Got 'god' where there are bent, good"):
        load_images(tmp_path, normal="god")


def test_one_image_file_is_a_set_of_one_to_score(tmp_path, write):
    images = load_images(write(tmp_path / "a.png"))
    assert (len(images), images.splits.tolist()) == (1, ["test"])


def test_a_folder_of_sources_is_refused_and_the_source_in_it_named(tmp_path):
    for place in ("train/good", "test/crack", "ground_truth/crack"):
        (tmp_path / "tile" / place).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "tile" / place / "0.png")
    with pytest.raises(SourceError, match=r"a source of its own. Name .*tile"):
        load_images(tmp_path)
    assert len(load_images(tmp_path / "tile")) == 2


def test_one_class_folder_that_holds_several_is_pointed_out(tmp_path):
    for label in ("good", "bad"):
        (tmp_path / "parts" / label).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "parts" / label / "0.png")
    assert any("every image has the label 'parts'" in note for note in load_images(tmp_path).notes)
    assert not any("every image" in note for note in load_images(tmp_path / "parts").notes)
