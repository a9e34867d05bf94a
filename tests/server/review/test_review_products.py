"""A review of a run with products: each image is flagged by the threshold of its product."""

from __future__ import annotations

import csv

import pytest
from PIL import Image

from chromium import BROWSER
from residua.errors import InputError
from residua.runs.fit import fit_run
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.server import load_model, open_review
from residua.training.fitting.options import make_options
from serving import asking
from training_wing import blobs

BY_NAME = r"^(\w+)_"
N_CALIBRATION = {"lens": 20, "tile": 20, "tube": 2}  # two are too few for a threshold


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Blobs of other contrast a product; defects have a bright corner."""
    folder = tmp_path_factory.mktemp("line")
    rows = [("path", "label", "split", "product")]
    for place, (name, n) in enumerate(N_CALIBRATION.items()):
        pixels = blobs(n + 16, seed=place)[..., 0]
        pixels[-4:, :5, :5] = 255
        parts = ["train"] * 6 + ["calibration"] * n + ["test"] * 10
        for row, (image, part) in enumerate(zip(pixels, parts, strict=True)):
            path = f"{name}_{row:02d}.png"
            Image.fromarray(image // (1 + 2 * place)).save(folder / path)
            rows.append((path, "good" if row < n + 12 else "bad", part, name))
    with (folder / "set.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "set.csv"


@pytest.fixture(scope="module")
def line(source, tmp_path_factory):
    options = make_options(
        "detect",
        source=str(source),
        normal=("good",),
        recipe="neighbours",
        product="product",
        policy="quantile:0.9",
    )
    return fit_run(options, tmp_path_factory.mktemp("runs") / "run").path


@pytest.fixture(scope="module")
def served(line):
    return load_model(line)


@pytest.fixture
def notes():
    return []


@pytest.fixture
def review(line, source, served, tmp_path, notes):
    watcher = Watcher(on_note=notes.append)
    opened = open_review(line, str(source), served, folder=tmp_path / "review", watcher=watcher)
    yield opened
    opened.close()


def test_each_image_is_flagged_by_the_threshold_of_its_product(
    review, line, source, served, notes, tmp_path
):
    score_run(line, str(source), tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    judged = {path: row for path, row in rows.items() if row["product"] != "tube"}
    assert {item.path for item in review.items} == set(judged)
    for item in review.items:
        assert item.product == judged[item.path]["product"]
        assert item.is_flagged == (judged[item.path]["anomalous"] == "true")
    flagged = {item.path for item in review.items if item.is_flagged}
    common = served.facts.products.level
    assert flagged != {path for path, row in judged.items() if float(row["score"]) > common}
    assert {item.product for item in review.items if item.is_flagged} == {"lens", "tile"}
    assert (review.n_images(), review.n_undecided()) == (72, 18)
    assert any("18 images are not judged and not asked about: tube: " in one for one in notes)
    assert "fit again" in review.next_step()
    assert "--out" not in review.next_step()  # learn would refuse them


def test_an_image_is_told_with_its_product_and_no_threshold_stands_for_all(review, served):
    anna = {"reviewer": "anna"}
    with asking(served, review=review) as client:
        told = client.get("/v1/review", params=anna).json()
        assert (told["threshold"], told["command"], told["n_undecided"]) == (None, None, 18)
        first = review.item(told["images"][0])
        shown = client.get(f"/v1/review/images/{first.id}", params=anna).json()
        assert shown["scored"]["threshold"] == served.facts.products.threshold_of(first.product)
        assert shown["scored"]["anomalous"] is shown["flagged"] is True


def test_images_that_show_no_known_product_are_refused(line, source, served, tmp_path):
    bare, folder = str(source.parent), tmp_path / "bare"
    with pytest.raises(InputError, match="Got none of 90 images: the image has no product"):
        open_review(line, bare, served, folder=folder)
    review = open_review(line, bare, served, folder=folder, product=BY_NAME)
    assert {item.product for item in review.items} == {"lens", "tile"}
    review.close()
    notes: list[str] = []
    watcher = Watcher(on_note=notes.append)
    again = open_review(line, bare, served, folder=folder, product="=lens", watcher=watcher)
    assert {item.product for item in again.items} == {"lens"}
    assert any("or rule for products: all images are scored again" in one for one in notes)
    again.close()


def test_a_rule_for_products_of_a_run_without_any_is_refused(run, model, photos, tmp_path):
    with pytest.raises(InputError, match="the run must have products"):
        open_review(run, str(photos), model, folder=tmp_path / "review", product="folder")


class TestPage:
    pytestmark = BROWSER

    def test_it_names_the_product_and_its_threshold(self, review, served, browser):
        with asking(served, review=review) as client:
            page = browser.new_page()
            page.goto(f"{str(client.base_url).rstrip('/')}/review")
            page.fill("#reviewer", "anna")
            page.keyboard.press("Enter")
            page.wait_for_selector("body[data-shown] #work:not([hidden])")
            item = review.item(page.get_attribute("body", "data-shown"))
            level = served.facts.products.threshold_of(item.product)
            assert page.inner_text("#path").endswith(f", product {item.product}")
            told = float(page.inner_text("#words").split("threshold ")[1].split(",")[0])
            assert told == pytest.approx(level, rel=0.01)
            assert "18 more not judged" in page.inner_text("#about")
            assert "fit again" in page.inner_text("#advice")
            assert page.is_hidden("#command")
            page.close()
