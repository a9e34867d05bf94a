from __future__ import annotations

import numpy as np
import pytest

from residua.errors import RangeError
from residua.images import ImageSet, group_twins, load_images, write_manifest


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(30, 200, (n, 40, 40)).astype(np.uint8)


def test_other_light_makes_no_other_picture():
    x = pictures(3)
    images = ImageSet.from_arrays(np.concatenate([x, x // 2 + 20]), paths=list("abcdef"))
    assert group_twins(images).tolist() == ["a", "b", "c", "a", "b", "c"]


def test_what_is_alike_through_a_third_belongs_together():
    first, second = pictures(2).astype(float)
    chain = np.stack([first, 0.75 * first + 0.25 * second, 0.5 * first + 0.5 * second, second])
    images = ImageSet.from_arrays((chain / 255).astype(np.float32))
    assert len(set(group_twins(images, threshold=0.85).tolist())) == 2


def test_images_without_contrast_are_alone_and_no_image_gives_no_group():
    images = ImageSet.from_arrays(np.full((3, 8, 8), 100, np.uint8))
    assert len(set(group_twins(images).tolist())) == 3
    assert len(group_twins(images[:0])) == 0


def test_a_threshold_outside_zero_to_one_is_refused():
    with pytest.raises(RangeError):
        group_twins(ImageSet.from_arrays(pictures(2)), threshold=1)


def test_no_near_twin_of_the_tiles_is_parted(data_folder, tmp_path):
    folder = data_folder / "magnetic_tile"
    rows = [
        {"path": file, "label": file.parts[-3].removeprefix("MT_"), "mask": file.with_suffix(".png")}
        for kind in ("MT_Fray", "MT_Crack")
        for file in sorted((folder / kind / "Imgs").glob("*.jpg"))
    ]
    alone = load_images(write_manifest(rows, tmp_path / "tiles.csv", root=folder), root=folder)
    groups = group_twins(alone)
    assert len(set(groups.tolist())) < 0.8 * len(rows)
    grouped = [{**row, "group": group} for row, group in zip(rows, groups, strict=True)]
    images = load_images(write_manifest(grouped, tmp_path / "tiles.csv", root=folder), root=folder)
    assert images.summary()["groups_in_two_splits"] == []
    small = np.stack([np.asarray(resized, np.float64).ravel() for resized in images.array(size=(32, 32))])
    alike = np.corrcoef(small) > 0.96  # rounding to bytes moves a correlation by far less than this margin
    parts = images.splits
    assert (parts[:, np.newaxis] == parts)[alike].all()
    assert images.has_masks
