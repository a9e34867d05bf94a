from __future__ import annotations

import os
import shutil
import tarfile
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
    assert dict(zip(images.paths, images.labels, strict=True)) == {
        "loose.png": None,
        "ok/a.png": "ok",
    }
    assert images.labelled.sum() == 1


def test_train_and_test_folders_keep_their_split_and_calibration_comes_out_of_train(
    tmp_path, write
):
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
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(
        mvtec / "ground_truth" / "grey" / "000_mask.png"
    )
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
    assert any(
        "1 pair of files differ only in the suffix" in note for note in load_images(tmp_path).notes
    )


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
        "broken.png": "a link to a file that is not there: fetch it (git annex get, dvc pull)",
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


# --- what lies beside the images
# ----


def broken_idx(folder: Path) -> None:
    (folder / "train-images-idx3-ubyte").write_bytes(b"x" * 20)


def small_tar(folder: Path) -> None:
    with tarfile.open(folder / "old.tar", "w") as archive:
        archive.add(folder / "good" / "0.png", "0.png")


@pytest.mark.parametrize(
    ("name", "put"),
    [
        ("old.tar", small_tar),
        ("scores.parquet", lambda folder: (folder / "scores.parquet").write_bytes(b"PAR1")),
        ("train-images-idx3-ubyte", broken_idx),
        ("features.npz", lambda folder: np.savez(folder / "features.npz", f=np.zeros(3))),
        ("set.csv", lambda folder: (folder / "set.csv").write_text("path\n")),
        ("backup.zip", lambda folder: (folder / "backup.zip").write_bytes(b"PK")),
    ],
)
def test_a_file_of_data_beside_images_is_named_and_the_images_are_read(tmp_path, write, name, put):
    for i in range(7):
        write(tmp_path / "good" / f"{i}.png", i)
    for i in range(6):
        (tmp_path / f"a{i}.txt").write_text("no image")
    put(tmp_path)
    images = load_images(tmp_path)
    assert len(images) == 7
    (note,) = [note for note in images.notes if "left alone" in note]
    assert f"left alone: {name}, " in note
    assert note.endswith(
        "to read what is packed, unpack it"
        if name.endswith(".zip")
        else "to read one of them, name it as the source"
    )


def test_shards_with_a_readme_are_shards_and_with_as_many_images_they_are_refused(tmp_path, write):
    write(tmp_path / "good" / "0.png", 0)
    small_tar(tmp_path)
    with pytest.raises(
        SourceError, match=r"Got 1 \.tar file and 1 image\. Name one of the files \(old\.tar\)"
    ):
        load_images(tmp_path)
    shutil.rmtree(tmp_path / "good")
    (tmp_path / "README.md").write_text("shards")
    (tmp_path / "dataset.json").write_text("{}")
    assert load_images(tmp_path).kind == "tar shards"
    (tmp_path / "more.parquet").write_bytes(b"PAR1")
    with pytest.raises(SourceError, match=r"Got 1 \.parquet file and 1 \.tar file"):
        load_images(tmp_path)


@pytest.mark.parametrize(
    "folder",
    ["@eaDir", "__MACOSX", ".thumbnails", ".ipynb_checkpoints", "#recycle", "$RECYCLE.BIN"],
)
def test_pictures_that_systems_and_tools_left_are_skipped_and_counted(tmp_path, write, folder):
    for i in range(4):
        write(tmp_path / "good" / f"{i}.png", i)
    write(tmp_path / "good" / folder / "0.png" / "THUMB_M.jpg", 9)
    write(tmp_path / folder / "1.png", 8)
    (tmp_path / "good" / "Thumbs.db").write_bytes(b"\0")
    images = load_images(tmp_path)
    assert len(images) == 4
    assert (
        images.notes[0]
        == f"2 image files are hidden, or in folders that systems and tools make ({folder}):"
        " skipped"
    )


def test_hidden_images_alone_are_told(tmp_path, write):
    write(tmp_path / ".cache" / "0.png", 0)
    with pytest.raises(SourceError, match=r"hidden images alone: 1 image file is hidden.*\.cache"):
        load_images(tmp_path)


@pytest.fixture
def linked(tmp_path, write) -> Path:
    """Six images, of which all but two lie elsewhere, and a folder that is a link."""
    store, parts = tmp_path / "store", tmp_path / "parts"
    for i in range(2):
        write(parts / "good" / f"{i}.png", i)
    for i in range(2, 6):
        (parts / "good" / f"{i}.png").symlink_to(write(store / f"{i}.png", i))
    for i in range(6, 9):
        write(store / "bent" / f"{i}.png", i)
    (parts / "bent").symlink_to(store / "bent")
    (parts / "bent" / "again").symlink_to(store / "bent")
    (parts / "loop").symlink_to(parts)
    return parts


def test_links_to_data_elsewhere_are_counted_with_the_reason_and_the_option(linked):
    images = load_images(linked)
    assert len(images) == 2
    (note,) = [note for note in images.notes if "lead to files outside" in note]
    assert note.startswith("5 links lead to files outside the folder: not followed, as")
    assert note.endswith("If they are yours (DVC, git-annex): follow_links=True (--follow-links)")


def test_links_are_followed_where_that_is_asked_and_no_folder_is_read_twice(linked):
    images = load_images(linked, follow_links=True)
    assert images.paths.tolist() == [f"bent/{i}.png" for i in (6, 7, 8)] + [
        f"good/{i}.png" for i in range(6)
    ]
    assert dict(images.quarantined) == {
        "bent/again": "a link to a folder that is read already",
        "loop": "a link to a folder that is read already",
    }


def test_a_set_of_links_alone_names_the_option(tmp_path, write):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "0.png").symlink_to(write(tmp_path / "store" / "0.png", 0))
    with pytest.raises(SourceError, match="follow_links=True"):
        load_images(tmp_path / "parts")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s1--00.png\n", "git annex get"),
    ],
)
def test_a_file_that_only_stands_for_another_says_how_to_fetch_it(tmp_path, write, content, reason):
    write(tmp_path / "0.png", 0)
    (tmp_path / "1.png").write_bytes(content)
    (one,) = load_images(tmp_path).quarantined
    assert reason in one.reason


def test_a_link_to_what_was_not_fetched_says_so(tmp_path, write):
    write(tmp_path / "0.png", 0)
    (tmp_path / "1.png").symlink_to(tmp_path / "missing.png")
    (one,) = load_images(tmp_path).quarantined
    assert "a link to a file that is not there" in one.reason


# --- layouts
# ----


def test_suffixes_count_in_any_case(tmp_path, write):
    for i, suffix in enumerate((".PNG", ".Jpg", ".JPEG", ".TIF", ".BmP")):
        write(tmp_path / "good" / f"{i}{suffix}", i)
    assert len(load_images(tmp_path)) == 5


def test_one_picture_in_two_formats_is_told_as_a_copy(tmp_path):
    for i in range(6):
        rows = np.add.outer(np.arange(32) * i, np.arange(32) * 3) % 200
        pixels = np.clip(rows + np.random.default_rng(i).normal(20, 3, (32, 32)), 0, 255).astype(
            np.uint8
        )
        for suffix in ("png", "jpg"):
            (tmp_path / "a").mkdir(exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / "a" / f"{i}.{suffix}")
    images = load_images(tmp_path)
    assert len(images) == 12
    assert any(
        "6 pairs of files differ only in the suffix and show the same picture" in note
        for note in images.notes
    )


@pytest.mark.parametrize("part", ["val", "valid", "Validation", "VAL"])
def test_parts_in_a_folder_of_images_are_parts_and_text_beside_them_is_named(tmp_path, write, part):
    for i in range(4):
        write(tmp_path / "images" / "train" / f"{i}.jpg", i)
        write(tmp_path / "images" / part / f"{9 + i}.jpg", 9 + i)
        write(tmp_path / "images" / "test" / f"{20 + i}.jpg", 20 + i)
        (tmp_path / "labels" / "train").mkdir(parents=True, exist_ok=True)
        (tmp_path / "labels" / "train" / f"{i}.txt").write_text("0 .5 .5 .1 .1\n")
    images = load_images(tmp_path)
    assert (len(images.train) + len(images.calibration), len(images.test)) == (8, 4)
    assert images.labels is None
    assert any(
        "4 files are no images" in note and "labels/train/0.txt" in note for note in images.notes
    )
    assert any("images is where the images lie" in one.taken for one in images.assumptions)


@pytest.mark.parametrize(
    "name", ["Normal", "OK", "Good", "GOOD", "normal", "ok", "defect-free", "No_Defect"]
)
def test_a_class_that_is_called_good_is_normal_in_any_case(tmp_path, write, name):
    write(tmp_path / name / "0.png", 0)
    write(tmp_path / "bent" / "1.png", 1)
    assert load_images(tmp_path).normal == (name,)


def test_several_objects_with_good_and_bad_images_each_are_refused_and_one_is_named(
    tmp_path, write
):
    for thing in ("candle", "capsules"):
        for kind in ("Normal", "Anomaly"):
            write(tmp_path / thing / "Data" / "Images" / kind / "0.png", 0)
    with pytest.raises(
        SourceError,
        match=r"Got candle, capsules, each with 'Normal' and other.*Name one, such as .*/candle",
    ):
        load_images(tmp_path)
    assert load_images(tmp_path / "candle").normal == ("Normal",)


def test_a_test_part_without_normal_or_anomalous_images_is_told_while_loading(tmp_path, write):
    for i in range(5):
        write(tmp_path / "train" / "good" / f"{i}.png", i)
        write(tmp_path / "test" / "bent" / f"{i}.png", 9 + i)
    assert any(
        "the test part holds no normal image" in note for note in load_images(tmp_path).notes
    )
    write(tmp_path / "test" / "good" / "0.png", 40)
    assert not any("the test part holds" in note for note in load_images(tmp_path).notes)


@pytest.mark.parametrize(
    ("folders", "normal"),
    [
        (("good", "OK", "crack"), ("OK", "good")),
        (("Pass", "Fail"), ("Pass",)),
        (("bad", "parts"), ("parts",)),
        (("no_defect", "scratch"), ("no_defect",)),
        (("cats", "dogs"), None),
        (("0", "1"), None),
    ],
)
def test_folders_that_say_by_their_names_which_are_normal_are_taken_at_their_word_and_told(
    tmp_path, write, folders, normal
):
    for folder in folders:
        write(tmp_path / folder / "a.png")
    images = load_images(tmp_path)
    assert images.normal == normal
    assert [one.about for one in images.assumptions] == ["normal label"] * (normal is not None)


def test_the_only_label_in_train_is_not_normal_where_it_says_anomalous(tmp_path, write):
    for name in ("train/defect/a.png", "test/defect/b.png", "test/parts/c.png"):
        write(tmp_path / name)
    assert load_images(tmp_path).normal == ("parts",)


@pytest.mark.parametrize(
    "parts",
    [
        ("train2017", "val2017"),
        ("train_set", "test_set"),
        ("trainA", "testA"),
        ("Train_good", "test_bad"),
    ],
)
def test_folders_that_are_called_nearly_train_and_test_are_refused_as_classes(
    tmp_path, write, parts
):
    for i in range(4):
        write(tmp_path / parts[i % 2] / f"{i}.png", i)
    with pytest.raises(
        SourceError, match=f"parts must be called train, calibration and test. Got .*{parts[0]}"
    ):
        load_images(tmp_path)


@pytest.mark.parametrize(
    "classes",
    [
        ("trains", "planes"),
        ("valve", "training_ring"),
        ("train_1", "train_2"),
        ("test_tube", "crack"),
    ],
)
def test_classes_that_begin_like_parts_stay_classes(tmp_path, write, classes):
    for i in range(4):
        write(tmp_path / classes[i % 2] / f"{i}.png", i)
    assert set(load_images(tmp_path).labels) == set(classes)


def test_a_folder_of_archives_alone_says_that_they_must_be_unpacked(tmp_path):
    (tmp_path / "images.zip").write_bytes(b"PK")
    with pytest.raises(SourceError, match=r"Got 1 file of other kinds \(images.zip\). Unpack it"):
        load_images(tmp_path)


def test_labels_that_count_as_anomalous_are_listed_where_nobody_named_the_normal_one(
    tmp_path, write
):
    for i, label in enumerate(("good", "good", "crack", "unsorted")):
        write(tmp_path / label / f"{i}.png", i)
    (told,) = load_images(tmp_path).assumptions
    assert (told.taken, told.because) == ("good", "by its name; anomalous are crack, unsorted")
