"""Records: what a judgement hands out."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from residua import load_images
from residua.evaluation import Evidence
from residua.evaluation.report import print_evaluation, write_html
from residua.records import Assumption, Estimate, Evaluation, assumptions_of, with_assumptions

SCALE = Assumption(about="scale", taken="0-255", because="whole numbers to 255", to_tell="--scale")
CLASS = Assumption(about="positive class", taken="crack", because="the rarer", to_tell="--positive")


def test_assumptions_are_kept_once_and_in_order() -> None:
    told = with_assumptions(with_assumptions({"seed": 3}, [SCALE]), [CLASS, SCALE])
    assert assumptions_of(told) == (SCALE, CLASS)
    assert told["seed"] == 3
    assert json.loads(json.dumps(told)) == told


def test_records_of_earlier_versions_have_none() -> None:
    assert assumptions_of({"seed": 3}) == ()


def test_assumptions_are_printed_and_stand_in_the_report(tmp_path) -> None:
    record = Evaluation(
        job="detect", n_images=3, split="test", provenance=with_assumptions({}, [SCALE, CLASS])
    )
    console = Console(width=100, record=True)
    print_evaluation(record, console=console)
    text = console.export_text()
    assert "Assumed scale: 0-255 (whole numbers to 255; to state it: --scale)" in text
    assert "positive class: crack" in text
    write_html(
        tmp_path / "r.html", "record", [(record, Evidence(paths=np.array(["a", "b", "c"], object)))]
    )
    page = (tmp_path / "r.html").read_text()
    assert "What was assumed about the data" in page
    assert "whole numbers to 255" in page


@pytest.fixture
def two_classes(tmp_path):
    for label in ("good", "crack"):
        for number in range(6):
            path = tmp_path / label / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((8, 8), 20 * number + len(label), np.uint8)).save(path)
    return tmp_path


def test_a_normal_label_that_nobody_named_is_an_assumption_of_the_images(two_classes) -> None:
    images = load_images(two_classes)
    assert [(one.about, one.taken, one.to_tell) for one in images.assumptions] == [
        ("normal label", "good", "--normal")
    ]
    assert images.summary()["assumptions"][0]["taken"] == "good"
    assert images.test.assumptions == images.assumptions
    assert not any("normal" in note for note in images.notes)


def test_a_normal_label_that_was_told_is_none(two_classes) -> None:
    assert load_images(two_classes, normal="good").assumptions == ()


def test_an_estimate_is_formatted_with_its_interval_and_becomes_a_float() -> None:
    area = Estimate(value=0.875, low=0.4523, high=0.998)
    assert f"{area:.2f}" == "0.88 [0.45, 1.00]"
    assert f"{area}" == str(area) == "0.875 [0.452, 0.998]"
    assert f"{Estimate(value=0.5):.3f}" == "0.500"
    assert str(Estimate(value=1.0, low=0.00012, high=1234.5)) == "1.00 [0.000120, 1,234]"
    assert float(area) == 0.875
    undefined = Estimate(value=None)
    assert f"{undefined:.3f}" == "not defined"
    with pytest.raises(ValueError, match="must be defined"):
        float(undefined)


def test_an_evaluation_is_one_line_where_no_notebook_shows_it() -> None:
    metrics = {name: Estimate(value=0.5) for name in ("a", "b", "c", "d")}
    record = Evaluation(job="detect", n_images=1200, split="test", metrics=metrics)
    said = "<Evaluation of 1,200 images (detect, test): a 0.500, b 0.500, c 0.500, and 1 more>"
    assert repr(record) == str(record) == said
