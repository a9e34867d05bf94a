from __future__ import annotations

import re

import numpy as np

from residua.images import ImageSet, group_duplicates, load_images, write_manifest


def pictures(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(30, 200, (n, 40, 40)).astype(np.uint8)


def test_other_light_makes_no_other_picture():
    x = pictures(3)
    images = ImageSet.from_arrays(np.concatenate([x, x // 2 + 20]), paths=list("abcdef"))
    assert group_duplicates(images).tolist() == ["a", "b", "c", "a", "b", "c"]


def test_images_without_contrast_are_alone_and_no_image_gives_no_group():
    flat = (
        np.full((3, 8, 8), 100, np.uint8) + np.arange(3, dtype=np.uint8)[:, np.newaxis, np.newaxis]
    )
    images = ImageSet.from_arrays(flat)
    assert len(set(group_duplicates(images).tolist())) == 3
    assert len(group_duplicates(images[:0])) == 0


def test_the_groups_of_the_tiles_are_exposures_of_one_tile_and_none_is_parted(
    data_folder, tmp_path
):
    folder = data_folder / "magnetic_tile"
    rows = [
        {
            "path": file,
            "label": file.parts[-3].removeprefix("MT_"),
            "mask": file.with_suffix(".png"),
        }
        for kind in ("MT_Fray", "MT_Crack")
        for file in sorted((folder / kind / "Imgs").glob("*.jpg"))
    ]
    alone = load_images(write_manifest(rows, tmp_path / "tiles.csv", root=folder), root=folder)
    groups = group_duplicates(alone)
    names = [re.search(r"exp(\d)_num_(\d+)", path) for path in alone.paths.tolist()]
    exposure, number = (np.array([int(name[part]) for name in names]) for part in (1, 2))
    several = [
        np.flatnonzero(groups == group) for group in set(groups) if (groups == group).sum() > 1
    ]
    assert sum(map(len, several)) > 0.6 * len(rows)
    # One tile's photographs were taken one after the other: each at another exposure, their numbers
    # close together.
    assert np.mean([len(set(exposure[members])) == len(members) for members in several]) > 0.8
    assert np.median([np.ptp(number[members]) for members in several]) < 0.01 * np.ptp(number)
    grouped = [{**row, "group": group} for row, group in zip(rows, groups, strict=True)]
    images = load_images(write_manifest(grouped, tmp_path / "tiles.csv", root=folder), root=folder)
    assert images.summary()["groups_in_two_splits"] == []
    assert images.has_masks
