"""Masks as people save them: the same defect comes out, whatever stands for ground and paint."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from residua.errors import ImageError
from residua.images import load_images
from residua.images.masks import Convention, convention_of, look_at, read_mask

LIMIT = 1_000_000


def discs(n: int = 4, size: int = 40) -> list[np.ndarray]:
    rows, columns = np.mgrid[:size, :size]
    return [np.hypot(rows - 12 - 4 * k, columns - 25 + 3 * k) < 4 + k for k in range(n)]


def colours(mask: np.ndarray, paint: tuple[int, ...], ground: tuple[int, ...]) -> np.ndarray:
    return np.where(mask[..., None], np.array(paint, np.uint8), np.array(ground, np.uint8))


def with_alpha(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    return np.dstack([colour, alpha.astype(np.uint8)])


def palette(mask: np.ndarray) -> Image.Image:
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette([0, 0, 0, 128, 0, 0] + [0] * 750)
    return image


def smooth(mask: np.ndarray) -> Image.Image:
    """As an editor draws it: enlarged, with an edge of in-between values."""
    large = Image.fromarray(mask.astype(np.uint8) * 255).resize(
        (160, 160), Image.Resampling.NEAREST
    )
    return large.resize(mask.shape[::-1], Image.Resampling.BICUBIC)


KINDS = {
    "0 and 255": (lambda m: m.astype(np.uint8) * 255, "png", "black"),
    "0 and 1": (lambda m: m.astype(np.uint8), "png", "black"),
    "0 and 1 in colour": (lambda m: colours(m, (1, 1, 1), (0, 0, 0)), "png", "black"),
    "red on black": (lambda m: colours(m, (255, 0, 0), (0, 0, 0)), "png", "black"),
    "blue on black": (lambda m: colours(m, (0, 0, 90), (0, 0, 0)), "png", "black"),
    "a palette": (palette, "png", "black"),
    "JPEG": (lambda m: m.astype(np.uint8) * 255, "jpg", "black"),
    "dark JPEG": (lambda m: m.astype(np.uint8) * 60, "jpg", "black"),
    "one bit": (Image.fromarray, "png", "black"),
    "16 bits": (lambda m: m.astype(np.uint16) * 65535, "png", "black"),
    "12 bits in 16": (lambda m: m.astype(np.uint16) * 4095, "png", "black"),
    "floats to 1": (lambda m: m.astype(np.float32), "tif", "black"),
    "floats to 255": (lambda m: m.astype(np.float32) * 255, "tif", "black"),
    "32-bit integers": (lambda m: m.astype(np.int32), "tif", "black"),
    "opaque red on transparent": (lambda m: with_alpha(colours(m, (255, 0, 0), (0, 0, 0)), m * 255),
    "png", "transparent"),
    "black on transparent": (lambda m: with_alpha(colours(m, (0, 0, 0), (0, 0, 0)), m * 255), "png",
    "transparent"),
    "half transparent red on black": (lambda m: with_alpha(colours(m, (255, 0, 0), (0, 0, 0)),
    m * 0 + 128), "png", "black"),
    "red on white": (lambda m: colours(m, (255, 0, 0), (255, 255, 255)), "png", "white"),
    "red on white as JPEG": (lambda m: colours(m, (255, 0, 0), (255, 255, 255)), "jpg", "white"),
    "yellow on purple": (lambda m: colours(m, (253, 231, 37), (68, 1, 84)), "png",
    "rgb(68, 1, 84)"),
    "grey on white": (lambda m: np.where(m, np.uint8(90), np.uint8(255)), "png", "white"),
    "1 is ground, 2 is paint": (lambda m: m.astype(np.uint8) + 1, "png", "grey 1"),
    "a smooth edge": (smooth, "png", "black"),
    "with holes of transparency": (lambda m: with_alpha(colours(m, (0, 0, 0), (0, 200, 0)),
    ~m * 255), "png", "rgb(0, 200, 0)"),
}  # fmt: skip


def folder_of(tmp_path, make, suffix="png", masks=None):
    for k, mask in enumerate(discs() if masks is None else masks):
        for place in ("train/good", "test/good", "test/bad"):
            path = tmp_path / place / f"{k}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(
                np.random.default_rng(k).integers(0, 255, mask.shape).astype(np.uint8)
            ).save(path)
        path = tmp_path / "ground_truth" / "bad" / f"{k}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        made = make(mask)
        (made if isinstance(made, Image.Image) else Image.fromarray(made)).save(path)
    return load_images(tmp_path)


def masks_of(images) -> list[np.ndarray]:
    return [mask for mask in images.masks if mask is not None]


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_defect_comes_out_however_its_mask_is_saved(tmp_path, kind):
    make, suffix, ground = KINDS[kind]
    images = folder_of(tmp_path, make, suffix)
    found = masks_of(images)
    assert len(found) == 4
    for mask, true in zip(found, discs(), strict=True):
        assert (mask & true).sum() / (mask | true).sum() > (0.9 if suffix == "jpg" else 0.999)
    told = next(one for one in images.assumptions if one.about == "masks")
    assert told.taken.startswith(f"{ground} is ground")
    assert not images.quarantined


def test_every_class_of_a_mask_of_class_numbers_is_defective(tmp_path):
    numbers = np.zeros((40, 40), np.uint8)
    numbers[2:9, 2:9], numbers[20:30, 5:12], numbers[31:39, 31:39] = 1, 3, 200
    Image.fromarray(numbers).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png", LIMIT, LIMIT), numbers > 0)


def test_a_grey_edge_counts_from_the_middle(tmp_path):
    for values, expected in (
        ([0, 127, 128, 255], [0, 0, 1, 1]),
        ([0, 1, 255, 255], [0, 0, 1, 1]),
        ([0, 0, 0, 0], [0, 0, 0, 0]),
    ):
        Image.fromarray(np.array([values], np.uint8)).save(tmp_path / "mask.png")
        assert read_mask(tmp_path / "mask.png", LIMIT, LIMIT).tolist() == [
            [bool(value) for value in expected]
        ]


def test_a_mask_without_ground_is_read_as_the_others_are(tmp_path):
    """One mask alone, all purple, would be all ground or all paint; beside the others it is
    empty."""
    masks = [*discs(), np.zeros((40, 40), bool)]
    images = folder_of(tmp_path, lambda m: colours(m, (253, 231, 37), (68, 1, 84)), masks=masks)
    assert [int(mask.sum()) for mask in masks_of(images)] == [int(mask.sum()) for mask in masks]
    assert "1 of 5 masks is empty: nothing in it is marked" in images.notes


def test_black_on_white_stays_as_it_is_and_is_told(tmp_path):
    images = folder_of(tmp_path, lambda m: ~m * np.uint8(255))
    assert all(mask.mean() > 0.8 for mask in masks_of(images))
    assert any("are they inverted?" in note for note in images.notes)


@pytest.mark.parametrize(("change", "least"), [
    (lambda m: np.pad(m, ((0, 0), (0, 1))), 1.0),
    (lambda m: np.pad(m, ((0, 2), (0, 1))), 1.0),
    (lambda m: m[:-1], 1.0),
    (lambda m: m[::2, ::2], 0.7),
    (lambda m: np.kron(m, np.ones((3, 3), bool)), 1.0),
])  # fmt: skip
def test_a_mask_of_nearly_the_same_size_or_proportions_is_brought_to_its_image_and_told(
    tmp_path, change, least
):
    images = folder_of(tmp_path, lambda m: change(m) * np.uint8(255))
    for mask, true in zip(masks_of(images), discs(), strict=True):
        assert mask.shape == (40, 40)
        assert (mask & true).sum() / (mask | true).sum() >= least
    assert any("4 masks not of their image's size" in note for note in images.notes)


def test_a_mask_of_other_proportions_is_quarantined(tmp_path):
    images = folder_of(tmp_path, lambda m: m[:20] * np.uint8(255))
    assert [one.reason for one in images.quarantined] == [
        "as a mask: is 20 x 40 where its image is 40 x 40"
    ] * 4


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_given_as_a_mask_is_quarantined_while_loading(tmp_path, suffix):
    images = folder_of(
        tmp_path,
        lambda m: np.random.default_rng(0).integers(0, 255, m.shape).astype(np.uint8),
        suffix,
    )
    assert len(images.quarantined) == 4
    assert all("a picture, not a mask" in one.reason for one in images.quarantined)
    assert not images.has_masks


def test_a_jpeg_too_dark_to_tell_from_its_compression_is_quarantined(tmp_path):
    images = folder_of(tmp_path, lambda m: m * np.uint8(5), "jpg")
    assert "can't be told from what compression adds" in images.quarantined[0].reason


def test_several_masks_of_an_image_are_joined(tmp_path):
    first, second = discs()[0], discs()[3]
    for name, mask in (("a.png", first), ("b.png", second)):
        Image.fromarray(mask).save(tmp_path / name)
    assert np.array_equal(
        read_mask((tmp_path / "a.png", tmp_path / "b.png"), LIMIT, LIMIT), first | second
    )


def test_masks_of_one_image_that_differ_in_size_are_refused(tmp_path):
    for name, size in (("a.png", (4, 4)), ("b.png", (5, 4))):
        Image.fromarray(np.zeros(size, np.uint8)).save(tmp_path / name)
    with pytest.raises(ImageError, match="different sizes"):
        read_mask((tmp_path / "a.png", tmp_path / "b.png"), LIMIT, LIMIT)


def test_values_that_are_not_finite_are_no_mask(tmp_path):
    Image.fromarray(np.full((4, 4), np.nan, np.float32)).save(tmp_path / "mask.tif")
    with pytest.raises(ImageError, match="not finite"):
        look_at(tmp_path / "mask.tif", LIMIT, LIMIT)


def test_one_mask_that_is_white_all_over_marks_all(tmp_path):
    Image.fromarray(np.full((4, 4), 255, np.uint8)).save(tmp_path / "mask.png")
    convention = convention_of([look_at(tmp_path / "mask.png", LIMIT, LIMIT)])
    assert convention == Convention(top=255)
    assert read_mask(tmp_path / "mask.png", LIMIT, LIMIT, convention=convention).all()
