"""Images that look unlike the others are asked early, and are looked at once."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from residua.server.review.looks import MOST_LOOKED_AT, candidates, look_of, unlike_others
from residua.server.review.queue import UNLIKE


def test_of_real_images_a_darker_copy_comes_after_all_that_differ(data_folder, tmp_path):
    files = sorted((data_folder / "magnetic_tile" / "MT_Break" / "Imgs").glob("*.jpg"))[:16:2]
    paths = {row: f"{files[row // 2]}?{row % 2}" for row in range(16)}

    def read(path: str) -> np.ndarray:
        file, _, is_copy = path.partition("?")
        pixels = np.asarray(Image.open(file).convert("L"))[..., np.newaxis]
        return pixels - pixels // 4 if is_copy == "1" else pixels

    order = unlike_others([np.arange(16)], paths, read, tmp_path)
    assert sorted(order) == list(range(16))
    assert sorted(row // 2 for row in order[:8]) == list(range(8))

    def again(path: str) -> np.ndarray:
        raise AssertionError(path)

    assert unlike_others([np.arange(16)], paths, again, tmp_path) == order
    (tmp_path / "looks.npz").write_bytes(b"damaged")
    assert unlike_others([np.arange(16)], paths, read, tmp_path) == order


def test_light_and_contrast_change_no_look_and_an_even_image_has_one():
    image = np.random.default_rng(0).integers(0, 200, (30, 40, 3)).astype(np.uint8)
    assert np.allclose(look_of(image), look_of(image // 2 + 40), atol=0.02)
    assert np.linalg.norm(look_of(image)) == pytest.approx(1)
    assert np.abs(look_of(np.full((9, 9, 1), 7, np.uint8))).max() < 1e-5


def test_what_cannot_be_read_is_left_out(tmp_path):
    assert unlike_others([np.arange(2)], {0: "a", 1: "b"}, lambda _: None, tmp_path) == []


def test_flagged_images_are_looked_at_evenly_and_the_others_near_the_threshold():
    scores = np.linspace(0, 1, 1000, dtype=np.float32)
    high, low = (candidates(scores, scores > 0.5, side=side) for side in (True, False))
    assert len(high) == len(low) == MOST_LOOKED_AT
    assert scores[high].min() < 0.51 < 0.99 < scores[high].max()
    assert scores[low].min() > 0.36


def test_a_review_asks_for_them(reopen):
    assert UNLIKE in {item.why for item in reopen().items}
