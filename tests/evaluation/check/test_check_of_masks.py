"""Masks beside their images: the wrong ones are found, the right ones left alone."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image
from scipy.stats import rankdata

from residua.evaluation.check import check_sources, measure_masks
from residua.evaluation.check.masks import _look, _ranks
from residua.findings import JudgedFacts, find_all
from residua.images import ImageSet, load_images
from residua.images.channels import with_channels


def mask_findings(sets):
    return find_all(JudgedFacts(job="check", masks=measure_masks(sets)))[0]


def parts(
    n: int, *, contrast: float = 60, size: int = 40, colour: bool = False
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Rings with a dark spot somewhere on them, and where it is."""
    rng = np.random.default_rng(n)
    rows, columns = np.mgrid[:size, :size] - size / 2
    ring = 110 + 50 * np.exp(-(((np.hypot(rows, columns) - size * 0.3) / 3) ** 2))
    images, masks = [], []
    for _ in range(n):
        angle = rng.uniform(0, 2 * np.pi)
        spot = (
            np.hypot(rows - size * 0.3 * np.sin(angle), columns - size * 0.3 * np.cos(angle)) < 3.5
        )
        image = np.repeat(
            (ring + rng.normal(0, 5, (size, size)))[..., None], 3 if colour else 1, axis=2
        )
        image[spot, -1] -= contrast
        images.append(image)
        masks.append(spot)
    return np.clip(images, 0, 255).astype(np.uint8), masks


def said(images: np.ndarray, masks: list[np.ndarray], **more: object) -> list[tuple[str, str, str]]:
    labelled = ImageSet.from_arrays(images, labels=["spot"] * len(images), masks=masks, **more)
    return [(one.code, one.severity, one.meaning) for one in mask_findings([labelled])]


@pytest.mark.parametrize("turn", [0, 30, 45, 90])
def test_a_crack_is_as_wide_as_its_line_in_any_direction(turn):
    rows, columns = np.mgrid[:400, :400] - 200
    angle = np.deg2rad(turn)
    across = np.abs(np.sin(angle) * columns - np.cos(angle) * rows)
    crack = (across < 3) & (np.hypot(rows, columns) < 150)
    crack[:9, :9] = True  # a speck far from it makes it no wider
    image = np.full((400, 400), 90, np.uint8)
    found = measure_masks([ImageSet.from_arrays([image], masks=[crack])])
    assert found.sizes.tolist() == [[400, 400]]
    assert 5 < found.widths[0] < 9.5


def test_check_names_the_size_at_which_narrow_defects_can_be_seen():
    """Photographs of 640 px with defects of 4: the default shrinks them to 256 px."""
    images, masks = np.full((6, 640, 640), 90, np.uint8), np.zeros((6, 640, 640), bool)
    masks[:, 100:104, 50:300] = True
    source = ImageSet.from_arrays(images, labels=["crack"] * 6, masks=list(masks))
    told = next(one for one in check_sources([source]).findings if one.code == "small-defects")
    assert told.severity == "warning" and told.measured["network_size"] == [256, 256]
    assert "fit --size 480" in told.what_to_do
    larger = check_sources([source], network_size=(640, 640)).findings
    assert not [one for one in larger if one.code == "small-defects"]


CHANGES = {
    "inverted": (lambda masks: [~mask for mask in masks], "inverted"),
    "the next image's": (lambda masks: [*masks[1:], masks[0]], "those of the image before"),
    "the image's before": (lambda masks: [masks[-1], *masks[:-1]], "those of the next image"),
    "three places on": (lambda masks: [*masks[3:], *masks[:3]], "3 places back"),
    "mirrored": (lambda masks: [mask[:, ::-1] for mask in masks], "mirrored left to right"),
    "upside down": (lambda masks: [mask[::-1] for mask in masks], "mirrored top to bottom"),
    "transposed": (lambda masks: [mask.T for mask in masks], "rows and columns exchanged"),
    "turned": (lambda masks: [np.rot90(mask) for mask in masks], "turned by 270 degrees"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("colour", [False, True], ids=["grey", "colour"])
def test_wrong_masks_are_an_error_that_says_how_they_are_wrong(change, colour):
    images, masks = parts(24, colour=colour)
    changed, words = CHANGES[change]
    ((code, severity, meaning),) = said(images, changed(masks))
    assert (code, severity) == ("suspicious-masks", "error")
    assert words in meaning


def test_right_masks_are_left_alone():
    for n in (1, 2, 5, 10, 40):
        assert said(*parts(n)) == []


def test_masks_of_defects_too_faint_to_see_are_left_alone():
    assert said(*parts(40, contrast=0)) == []


def test_large_masks_that_are_right_are_left_alone():
    rng = np.random.default_rng(3)
    images, masks = rng.normal(120, 4, (20, 40, 40)), []
    for image in images:
        mask = np.ones((40, 40), bool)
        mask[: rng.integers(4, 16), : rng.integers(10, 40)] = False
        image[mask] += rng.normal(0, 30, int(mask.sum()))
        masks.append(mask)
    assert np.median([mask.mean() for mask in masks]) > 0.7
    assert said(np.clip(images, 0, 255).astype(np.uint8), masks) == []


def test_masks_that_mark_whole_images_are_left_alone():
    images, masks = parts(10)
    assert said(images, [np.ones_like(mask) for mask in masks]) == []


def test_empty_masks_are_told_by_name_and_the_rest_is_judged_without_them():
    images, masks = parts(30)
    emptied = [masks[0] & False, *masks[1:], None]
    labels = [*["spot"] * 30, "good"]
    (told,) = mask_findings(
        [ImageSet.from_arrays([*images, images[0]], labels=labels, masks=emptied, normal="good")]
    )
    assert (told.code, told.severity) == ("empty-masks", "note")
    assert told.meaning.startswith(
        "1 of the 30 masks of defective images that were looked at marks nothing, for example that of"
    )


def test_empty_masks_are_no_fault_where_nobody_says_which_images_are_defective():
    images, masks = parts(12)
    assert said(images, [mask & (row < 3) for row, mask in enumerate(masks)]) == []


def test_images_of_eight_bits_and_floats_and_mixed_sizes_are_judged_alike():
    images, masks = parts(12)
    inverted = [~mask for mask in masks]
    assert said(images.astype(np.float32) / 255, inverted) == said(images, inverted)
    larger = [
        np.kron(image[..., 0], np.ones((3, 2), np.uint8)) if row % 2 else image[..., 0]
        for row, image in enumerate(images)
    ]
    wide = [
        np.kron(mask, np.ones((3, 2), bool)) if row % 2 else mask
        for row, mask in enumerate(inverted)
    ]
    assert said(larger, wide)[0][:2] == ("suspicious-masks", "error")


def test_a_survey_tells_of_masks_and_says_nothing_where_there_are_none():
    images, masks = parts(12)
    good = parts(12, contrast=0)[0]
    labels = ["good"] * 12 + ["spot"] * 12
    both = np.concatenate([good, images])
    wrong = ImageSet.from_arrays(
        both, labels=labels, masks=[None] * 12 + [~mask for mask in masks], normal="good"
    )
    assert [
        one.severity for one in check_sources([wrong]).findings if one.code == "suspicious-masks"
    ] == ["error"]
    without = ImageSet.from_arrays(both, labels=labels, normal="good")
    assert not [one for one in check_sources([without]).findings if one.code.endswith("-masks")]


def test_masks_of_normal_images_that_mark_something_are_told():
    images, masks = parts(12)
    labelled = ImageSet.from_arrays(
        images, labels=["good", *["spot"] * 11], masks=masks, normal="good"
    )
    (told,) = mask_findings([labelled])
    assert told.measured["n_normal_marked"] == 1


def real(data_folder, name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    if name.startswith("MT_"):
        files = [
            (file, file.with_suffix(".png"))
            for file in sorted((data_folder / "magnetic_tile" / name).rglob("*.jpg"))
        ]
    else:
        with (data_folder / name / "set.csv").open() as table:
            rows = [row for row in csv.DictReader(table) if row["mask"]]
        files = [
            (data_folder / name / row["path"], data_folder / name / row["mask"]) for row in rows
        ]
    files = files[:: max(1, len(files) // 40)]
    images = [np.asarray(Image.open(file).convert("L")) for file, _ in files]
    return images, [np.asarray(Image.open(mask).convert("L")) > 127 for _, mask in files]


@pytest.mark.parametrize(
    "name", ["MT_Blowhole", "MT_Crack", "MT_Break", "MT_Fray", "MT_Uneven", "commutators"]
)
def test_real_masks_are_not_accused_and_inverted_they_are(data_folder, name):
    images, masks = real(data_folder, name)
    assert [one for one in said(images, masks) if one[0] == "suspicious-masks"] == []
    ((_, severity, meaning),) = [
        one for one in said(images, [~mask for mask in masks]) if one[0] == "suspicious-masks"
    ]
    assert severity == ("warning" if name == "MT_Fray" else "error")
    assert "inverted" in meaning


def test_a_survey_tells_what_was_assumed_of_its_images(tmp_path):
    images, masks = parts(6)
    for row, (image, mask) in enumerate(zip(images, masks, strict=True)):
        for place, pixels in (
            ("train/good", image),
            ("test/bad", image),
            ("ground_truth/bad", mask * np.uint8(255)),
        ):
            (tmp_path / place).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.squeeze()).save(tmp_path / place / f"{row}.png")
    assert [one.about for one in check_sources([load_images(tmp_path)]).assumptions] == [
        "files of masks",
        "masks",
        "normal label",
    ]


def test_grey_that_is_repeated_is_looked_at_as_its_copy_is() -> None:
    rng = np.random.default_rng(0)
    grey, mask = (
        rng.integers(0, 256, (300, 200, 1)).astype(np.uint8),
        np.zeros((300, 200), np.bool_),
    )
    mask[40:50, 60:90] = True
    of = {"is_normal": False, "is_defect": True}
    view, copy = (
        _look("a", image, mask, **of) for image in (with_channels(grey, 3), grey.repeat(3, 2))
    )
    assert view.width == copy.width == 10 and view.share == copy.share
    for name in ("mask", "contrasts", "grey"):
        np.testing.assert_allclose(getattr(view, name), getattr(copy, name), atol=1e-12)


def test_ranks_are_those_of_scipy():
    values = np.random.default_rng(0).integers(0, 9, (3, 40)).astype(float)
    assert np.array_equal(_ranks(values), (rankdata(values, axis=1) - 0.5) / 40 - 0.5)
