import base64
import io
import re
from dataclasses import replace

import numpy as np
from PIL import Image
from report_samples import detector

from residua.evaluation.evidence import Gallery
from residua.evaluation.report import write_html
from residua.evaluation.report.pictures import (
    data_uri,
    error_ceiling,
    gallery_pictures,
    heat_map,
    inferno,
    outlined,
)


def opened(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


def lightness(colours):
    from skimage.color import rgb2lab

    return rgb2lab(colours.reshape(1, -1, 3) / 255)[0, :, 0]


def test_the_colour_scale_brightens_in_even_steps():
    steps = np.diff(lightness(inferno()))
    assert steps.min() > 0
    assert (
        np.abs(np.cumsum(steps)[::16] - np.linspace(steps[0], steps.sum(), 255)[::16]).max() < 6
    )  # of 100; the original scale's own deviation is 5.4


def test_files_are_shown_with_their_folder(tmp_path):
    record, evidence = detector()
    rows, paths = evidence.gallery.index[:3], evidence.paths.astype(object)
    paths[rows] = ["parts/kos01/Part1.jpg", "parts/kos02/Part1.jpg", "parts/kos02/Part7.jpg"]
    page = write_html(tmp_path / "r.html", "x", [(record, replace(evidence, paths=paths))])
    names = re.findall(r'class="name"[^>]*>([^<]*)<', page.read_text("utf-8"))
    assert {"kos01/Part1.jpg", "kos02/Part1.jpg", "kos02/Part7.jpg"} <= set(names)


def test_a_larger_error_is_a_brighter_colour_and_zero_is_black():
    drawn = heat_map(np.array([[0.0, 0.1, 0.2, 0.5, np.nan]], np.float32), ceiling=0.2)
    assert drawn.shape == (1, 5, 3)
    assert (drawn[0, 0] == inferno()[0]).all() and (drawn[0, 4] == drawn[0, 0]).all()
    assert (drawn[0, 2] == drawn[0, 3]).all()
    assert lightness(drawn[0, :1])[0] < lightness(drawn[0, 1:2])[0] < lightness(drawn[0, 2:3])[0]


def test_one_wild_pixel_does_not_set_the_scale_and_no_error_does_not_divide_by_zero():
    maps = np.full((4, 20, 20), 0.1, np.float32)
    maps[0, 0, 0] = 50
    assert error_ceiling(maps) < 0.2
    assert error_ceiling(np.zeros((2, 3, 3), np.float32)) == 1.0
    assert error_ceiling(np.full((2, 3, 3), np.nan, np.float32)) == 1.0


def test_small_pictures_keep_every_pixel():
    pixels = np.random.default_rng(0).integers(0, 256, (28, 20, 3), dtype=np.uint8)
    assert (opened(data_uri(pixels)) == pixels).all()
    assert (opened(data_uri(pixels[..., :1])) == pixels[..., 0]).all()


def test_large_pictures_are_shrunk_with_their_proportions():
    assert opened(data_uri(np.zeros((300, 600, 3), np.uint8), side=128)).shape == (64, 128, 3)


def test_the_outline_of_a_mask_surrounds_it_and_leaves_the_inside():
    pixels, mask = np.full((192, 192, 1), 50, np.uint8), np.zeros((192, 192), bool)
    mask[50:100, 60:120] = True
    drawn = outlined(pixels, mask)
    changed = (drawn != 50).any(-1)
    assert changed[50, 60:120].all() and changed[50:100, 119].all()
    assert not changed[51:99, 61:119].any() and not changed[~mask].any()


def test_each_image_gets_the_pictures_there_are():
    images = np.zeros((2, 8, 8, 1), np.uint8)
    assert [set(one) for one in gallery_pictures(Gallery(np.arange(2), images), 10**6)] == [
        {"input"}
    ] * 2
    full = Gallery(
        np.arange(2), images, images, np.zeros((2, 8, 8), np.float32), np.ones((2, 8, 8), bool)
    )
    assert [list(one) for one in gallery_pictures(full, 10**6)] == [
        ["input", "reconstruction", "error"]
    ] * 2


def test_a_budget_shrinks_pictures_and_at_last_cuts_the_gallery_short():
    noise = np.random.default_rng(0).integers(0, 256, (10, 200, 200, 3), dtype=np.uint8)
    gallery = Gallery(np.arange(10), noise)
    for budget in (300_000, 60_000, 8_000):
        pictures = gallery_pictures(gallery, budget)
        assert sum(len(uri) for one in pictures for uri in one.values()) <= budget
    assert 0 < len(gallery_pictures(gallery, 8_000)) < 10 == len(gallery_pictures(gallery, 300_000))
