"""Which files of a folder are masks: the layouts of public sets, and folders of photographs that
only have the name."""

from __future__ import annotations

from pathlib import Path

import fsspec
import numpy as np
import pytest
from PIL import Image

from residua.errors import SourceError
from residua.images import ImageSet, load_images

SIDE = 24


def photo(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(
        120 + np.add.outer(np.arange(SIDE), np.arange(SIDE)) + rng.normal(0, 9, (SIDE, SIDE)),
        0,
        255,
    ).astype(np.uint8)


def spot(seed: int) -> np.ndarray:
    """A mask of its own: 3 x 4 pixels at a place that depends on the seed."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    row = seed % 18
    mask[row : row + 3, 5:9] = 255
    return mask


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def masks_by_path(images: ImageSet) -> dict[str, int]:
    """The first marked row of each mask, which tells whose it is."""
    found = zip(images.paths, images.masks, strict=True)
    return {
        path: int(np.flatnonzero(mask.any(axis=1))[0])
        for path, mask in found
        if mask is not None and mask.any()
    }


def taken(images: ImageSet) -> str:
    return "; ".join(one.taken for one in images.assumptions if one.about == "files of masks")


@pytest.mark.parametrize(
    "folder",
    ["mask", "masks", "ground_truth", "Ground-Truth", "groundtruth", "gt", "label", "labels",
    "Annotations", "segmentation",
     "SegmentationClass", "defect_masks"],
)  # fmt: skip
def test_a_folder_of_masks_beside_class_folders_is_no_class(tmp_path, folder):
    for i in range(6):
        save(tmp_path / "good" / f"{i:03}.png", photo(i))
        save(tmp_path / "crack" / f"{i:03}.jpg", photo(50 + i))
        save(tmp_path / folder / "crack" / f"{i:03}.png", spot(i))
    images = load_images(tmp_path, normal="good")
    assert sorted(set(images.labels)) == ["crack", "good"]
    assert len(images) == 12
    assert masks_by_path(images) == {f"crack/{i:03}.jpg": i for i in range(6)}
    assert folder in taken(images)


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("{k}/Part{i}.jpg", "{k}/Part{i}_label.bmp"),
        ("{k}/1000{i}.png", "{k}/1000{i}_GT.png"),
        ("{k}/{i}.jpg", "{k}/{i}.png"),
        ("{k}/Imgs/exp_{i}.JPG", "{k}/Imgs/exp_{i}.PNG"),
        ("{k}/{i}.jpg", "{k}/{i}_mask.png"),
        ("{k}/{i}.jpg", "{k}/{i}_MASK.TIF"),
        ("{k}/{i}.jpg", "{k}/{i}_segmentation.png"),
        ("{k}/{i}.jpg", "{k}/{i}-seg.png"),
        ("{k}/{i}.png", "{k}/mask_{i}.png"),
        ("{k}/images/{i}.png", "{k}/masks/{i}.png"),
        ("images/{k}/{i}.png", "masks/{k}/{i}.png"),
        ("Data/Images/{k}/{i}.JPG", "Data/Masks/{k}/{i}.png"),
        ("{k}/{i}.png", "ground_truth/{k}/{i}/000.png"),
        ("{k}/{i}.png", "masks/{k}/{i}_mask.bmp"),
        ("{k}/{i}.png", "{k}_masks/{i}.png"),
        ("test/{k}/{i}.png", "ground_truth/{k}/{i}_mask.png"),
        ("test/{k}/{i}.bmp", "ground_truth/{k}/{i}.png"),
        ("test/{k}/rgb/{i}.png", "test/{k}/gt/{i}.png"),
        ("images/test/{k}/{i}.jpg", "annotations/test/{k}/{i}.png"),
    ],
)
def test_masks_find_their_images(tmp_path, image, mask):
    for k in ("bent", "cracked"):
        for i in range(5):
            number = 5 * (k == "cracked") + i
            save(tmp_path / image.format(k=k, i=i), photo(number))
            save(tmp_path / mask.format(k=k, i=i), spot(number))
    images = load_images(tmp_path)
    assert len(images) == 10
    assert sorted(set(images.labels)) == ["bent", "cracked"]
    found = masks_by_path(images)
    assert found == {
        image.format(k=k, i=i): 5 * (k == "cracked") + i
        for k in ("bent", "cracked")
        for i in range(5)
    }


def test_several_masks_of_an_image_are_joined_and_of_two_names_the_longer_counts(tmp_path):
    for i in range(4):
        save(tmp_path / "train/good" / f"{i:03}.png", photo(i))
        save(tmp_path / "test/logical" / f"{i:03}.png", photo(20 + i))
        save(tmp_path / "test/bent" / f"{i:03}.png", photo(40 + i))
        for part, row in enumerate((2, 12)):
            save(tmp_path / f"ground_truth/logical/{i:03}/{part:03}.png", spot(row))
        save(tmp_path / "ground_truth/bent" / f"{i:03}_mask.png", spot(7))
        save(tmp_path / "ground_truth/bent" / f"{i:03}.png", spot(0))
    images = load_images(tmp_path)
    masks = {
        path: mask
        for path, mask in zip(images.paths, images.masks, strict=True)
        if mask is not None
    }
    assert len(images) == 12
    assert masks["test/logical/000.png"].sum() == 24
    assert masks["test/bent/000.png"].sum() == 12
    assert np.flatnonzero(masks["test/bent/000.png"].any(axis=1))[0] == 7
    assert "4 images with several that are joined" in taken(images)
    assert any("4 masks without an image were left out" in note for note in images.notes)


def test_a_mask_is_never_given_to_an_image_of_another_folder(tmp_path):
    for i in range(5):
        save(tmp_path / "test/good" / f"{i}.png", photo(i))
        save(tmp_path / "train/good" / f"{i}.png", photo(10 + i))
        save(tmp_path / "ground_truth/bent" / f"{i}.png", spot(i))
    save(tmp_path / "test/bent/0.png", photo(40))
    images = load_images(tmp_path)
    assert masks_by_path(images) == {"test/bent/0.png": 0}
    assert any("4 masks without an image were left out" in note for note in images.notes)


def test_masks_whose_image_is_not_clear_are_left_out_and_the_names_are_told(tmp_path):
    for i in range(5):
        save(tmp_path / "a" / f"{i}.png", photo(i))
        save(tmp_path / "b" / f"{i}.png", photo(10 + i))
        save(tmp_path / "masks" / f"{i}.png", spot(i))
    images = load_images(tmp_path)
    assert len(images) == 10
    assert not images.has_masks
    (note,) = [note for note in images.notes if "5 masks without an image" in note]
    assert "_mask, _segmentation, _seg, _label, _gt" in note
    assert "write a manifest" in note


@pytest.mark.parametrize(
    "name", ["mask", "label", "labels", "masks", "gt", "with_mask", "seg_train"]
)
def test_a_class_of_photographs_stays_a_class_whatever_its_name(tmp_path, name):
    for i in range(12):
        save(tmp_path / name / f"{i}.png", photo(i))
        save(tmp_path / "other" / f"{i}.png", photo(100 + i))
    images = load_images(tmp_path)
    assert sorted(set(images.labels)) == sorted({name, "other"})
    assert len(images) == 24
    assert not images.has_masks
    assert taken(images) == ""
    assert any(f"the folder {name} has the name of masks" in note for note in images.notes)


def on_white(seed: int) -> np.ndarray:
    """A part photographed on pure white, which is most of the picture."""
    picture = np.full((SIDE, SIDE), 255, np.uint8)
    picture[6:18, 6:18] = np.random.default_rng(seed).normal(120, 15, (12, 12)).clip(0, 255)
    return picture


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_photographs_on_pure_white_are_no_masks_and_masks_of_them_are(tmp_path, suffix):
    for i in range(8):
        for kind in ("gt", "other"):
            save(tmp_path / "classes" / kind / f"{i}.{suffix}", on_white(i + 50 * (kind == "gt")))
        save(tmp_path / "masked" / "good" / f"{i}.{suffix}", on_white(i))
        save(tmp_path / "masked" / "bent" / f"{i}.{suffix}", on_white(99 + i))
        save(tmp_path / "masked" / "mask" / "bent" / f"{i}.{suffix}", spot(i))
    assert sorted(set(load_images(tmp_path / "classes").labels)) == ["gt", "other"]
    images = load_images(tmp_path / "masked")
    assert sorted(set(images.labels)) == ["bent", "good"]
    assert sum(mask is not None for mask in images.masks) == 8


def test_a_jpeg_mask_of_a_few_pixels_is_a_mask(tmp_path):
    for i in range(8):
        save(tmp_path / "good" / f"{i}.png", photo(i))
        save(tmp_path / "bent" / f"{i}.png", photo(99 + i))
        dot = np.zeros((SIDE, SIDE), np.uint8)
        dot[2 * i : 2 * i + 2, 9:11] = 255
        save(tmp_path / "bent" / f"{i}_mask.jpg", dot)
    images = load_images(tmp_path)
    assert len(images) == 16
    assert sum(mask is not None for mask in images.masks) == 8


def test_drawings_of_few_values_are_classes_where_all_are_drawings(tmp_path):
    for i in range(6):
        save(tmp_path / "label" / f"{i}.png", spot(i))
        save(tmp_path / "stamp" / f"{i}.png", spot(i + 6).T.copy())
    images = load_images(tmp_path)
    assert len(images) == 12
    assert not images.has_masks


def test_a_source_that_is_masks_alone_is_images(tmp_path):
    for i in range(4):
        save(tmp_path / "masks" / f"{i}.png", spot(i))
    assert len(load_images(tmp_path)) == len(load_images(tmp_path / "masks")) == 4


def test_photographs_that_are_named_after_others_stay_images(tmp_path):
    for i in range(6):
        save(tmp_path / f"{i}.png", photo(i))
        save(tmp_path / f"{i}_label.png", photo(30 + i))
        save(tmp_path / f"lone{i}_mask.png", spot(i))
    images = load_images(tmp_path)
    assert len(images) == 18
    assert any(
        "6 files named NAME_label have the names of masks, but do not look like masks" in note
        for note in images.notes
    )


def test_where_no_folder_names_a_class_the_masks_do_and_blank_ones_are_good(tmp_path):
    for part, start in (("Train", 0), ("Test", 100)):
        for i in range(12):
            save(tmp_path / part / f"{start + i:04}.PNG", photo(start + i))
            if i < 4:
                save(
                    tmp_path / part / "Label" / f"{start + i:04}_label.PNG",
                    spot(i) if i else np.zeros_like(spot(0)),
                )
    images = load_images(tmp_path)
    assert len(images) == 24
    assert images.normal == ("good",)
    assert set(images.paths[images.is_anomalous]) == {
        f"{part}/{n:04}.PNG"
        for part, n in (
            ("Train", 1),
            ("Train", 2),
            ("Train", 3),
            ("Test", 101),
            ("Test", 102),
            ("Test", 103),
        )
    }
    (told,) = [one for one in images.assumptions if one.about == "labels"]
    assert told.taken == "6 images whose mask marks something 'defect', the other 18 'good'"


def test_ok_and_ko_with_masks_as_btad_has_them(tmp_path):
    for i in range(5):
        save(tmp_path / "train/ok" / f"{i:04}.bmp", photo(i))
        save(tmp_path / "test/ok" / f"{i:04}.bmp", photo(10 + i))
        save(tmp_path / "test/ko" / f"{i:04}.bmp", photo(20 + i))
        save(tmp_path / "ground_truth/ko" / f"{i:04}.png", spot(i))
    images = load_images(tmp_path)
    assert images.normal == ("ok",)
    assert masks_by_path(images) == {f"test/ko/{i:04}.bmp": i for i in range(5)}
    assert not any("without a mask" in note for note in images.notes)


def test_a_broken_file_among_the_masks_is_told_as_a_mask(tmp_path):
    for i in range(5):
        save(tmp_path / "good" / f"{i}.png", photo(i))
        save(tmp_path / "bent" / f"{i}.png", photo(9 + i))
        save(tmp_path / "masks/bent" / f"{i}.png", spot(i))
    (tmp_path / "masks/bent/4.png").write_bytes(b"nothing")
    (tmp_path / "masks/bent/5.heic").write_bytes(b"nothing")
    images = load_images(tmp_path)
    assert len(images) == 10
    assert all(one.reason.startswith("as a mask: ") for one in images.quarantined)
    assert len(images.quarantined) == 2


def test_real_tiles_with_masks_beside_them_are_read_with_their_masks(data_folder):
    images = load_images(data_folder / "magnetic_tile" / "MT_Crack")
    assert len(images) == 57
    assert sum(mask is not None and bool(mask.any()) for mask in images.masks) == 57


def test_masks_in_an_object_store_are_no_images(tmp_path):
    store = fsspec.filesystem("memory")
    for i in range(6):
        for name, pixels in (
            (f"good/{i}.png", photo(i)),
            (f"bent/{i}.png", photo(9 + i)),
            (f"mask/bent/{i}.png", spot(i)),
        ):
            save(tmp_path / name, pixels)
            store.pipe(f"/masked/{name}", (tmp_path / name).read_bytes())
    try:
        images = load_images("memory://masked")
    finally:
        store.rm("/masked", recursive=True)
    assert sorted(set(images.labels)) == ["bent", "good"]
    assert not images.has_masks
    assert any("masks in an object store are not read" in note for note in images.notes)


def dark(seed: int) -> np.ndarray:
    """A frame without light: few values, and no area of one."""
    return (
        np.random.default_rng(seed).choice(4, (SIDE, SIDE), p=[0.5, 0.3, 0.1, 0.1]).astype(np.uint8)
    )


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ("crack/m_{}.png", "named m_NAME"),
        ("crack/{}_defect.png", "named NAME_defect"),
        ("crack/{}-roi.png", "named NAME-roi"),
        ("crack_binary/{}.png", "in crack_binary"),
        ("x/crack/{}.png", "in x/crack"),
    ],
)
def test_what_looks_like_masks_and_has_no_name_of_masks_is_refused(tmp_path, mask, said):
    for i in range(8):
        save(tmp_path / "good" / f"{i:03}.png", photo(i))
        save(tmp_path / "crack" / f"{100 + i}.png", photo(50 + i))
        save(tmp_path / mask.format(100 + i), spot(i))
    with pytest.raises(
        SourceError, match=f"masks must be named as masks.* Got files {said} that look like masks"
    ) as told:
        load_images(tmp_path)
    assert f"such as {mask.format(100)} of crack/100" in str(told.value)


@pytest.mark.parametrize(
    "other", [photo, dark, lambda i: np.zeros((SIDE, SIDE), np.uint8), lambda i: spot(i)[:12]]
)
def test_numbered_photographs_dark_frames_and_drawings_of_another_size_are_images(tmp_path, other):
    for i in range(8):
        save(tmp_path / "good" / f"{i:03}.png", photo(i))
        save(tmp_path / "other" / f"{i:03}.png", other(i))
        save(tmp_path / "good" / f"{i:03}_b.png", other(100 + i))
    assert len(load_images(tmp_path)) == 24


def test_drawings_alone_are_images_whatever_they_are_called(tmp_path):
    for i in range(8):
        for name in ("a/{}.png", "b/{}.png", "a/m_{}.png"):
            save(tmp_path / name.format(i), spot(i))
    assert len(load_images(tmp_path)) == 24


@pytest.mark.parametrize("folder", ["Masken", "masques", "m\u00e1scaras", "gtFine"])
def test_folders_of_masks_in_other_languages_and_sets(tmp_path, folder):
    for i in range(6):
        save(tmp_path / "good" / f"{i:03}.png", photo(i))
        save(tmp_path / "crack" / f"{100 + i}.png", photo(50 + i))
        save(tmp_path / folder / f"{100 + i}.png", spot(i))
    assert masks_by_path(load_images(tmp_path)) == {f"crack/{100 + i}.png": i for i in range(6)}
