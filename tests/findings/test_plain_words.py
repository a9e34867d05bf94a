"""What findings and policies say can be read by somebody who only knows the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import residua
from residua.findings import find_duplicates, find_overlap, find_torn_groups, find_unlike_parts
from residua.findings.drift import find_drift

HOME = Path(residua.__file__).parent
SPOKEN = sorted([*HOME.glob("findings/*.py"), *HOME.glob("thresholds/*.py")])
RIDDLES = re.compile(
    r"residua\.[a-z_]+\.|on a scale from|add up to \{|may lie above it|1/2 if alike"
    r"|contrast-normalised|Nobody could"
)


@pytest.mark.parametrize("file", SPOKEN, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_no_sentence_names_a_module_or_is_a_riddle(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in documented:
            assert not RIDDLES.search(str(node.value)), node.value


def test_the_distance_of_two_parts_says_what_its_ends_mean():
    rng = np.random.default_rng(0)
    parts = {
        name: {"brightness": rng.normal(at, 0.1, 200)} for name, at in (("train", 0), ("test", 1))
    }
    said = find_unlike_parts(parts).meaning
    assert re.search(r"the median brightness is .* in train and .* in test\.", said) or re.search(
        r"the median brightness is .* in test and .* in train\.", said
    )
    assert "where 0 means the same and 1 means no overlap" in said
    spread = find_drift(rng.normal(size=400), 4 * rng.normal(size=400)).meaning
    assert "among images that are alike it is 50%" in spread


def test_an_overlap_says_which_shares_add_up_to_what():
    said = find_overlap(np.arange(50.0), np.arange(50.0) + 5).meaning
    assert "the share of anomalies that are missed and the share of normal images" in said
    assert "100% is no better than chance" in said


def test_torn_groups_name_the_parts_and_not_parts():
    groups = np.array(["a", "a", "b"], object)
    said = find_torn_groups(groups, np.array(["train", "test", "test"], object)).meaning
    assert "images in more than one of train, calibration and test" in said


def test_copies_say_where_they_count_twice():
    paths = np.array(["a", "b", "c"], object)
    for part, where in (("train", "in training."), ("test", ", so that intervals are too narrow.")):
        said = find_duplicates([np.array([0, 2])], paths, part=part).meaning
        assert said.startswith(
            f"1 of the 3 images of {part} is a copy of other images of {part} (1"
        )
        assert said.endswith(where)
