from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from residua.images import load_images
from residua.images.splits import groups_in_two_splits, make_splits


def names(n: int) -> list[str]:
    return [f"{i:04}.png" for i in range(n)]


def parts_of(*args: object, **kwargs: object) -> np.ndarray:
    return make_splits(*args, **kwargs)[0]  # type: ignore[arg-type]


def test_every_class_is_divided_sixty_twenty_twenty():
    labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 10
    parts = parts_of(names(160), labels)
    found = Counter(zip(labels, parts.tolist(), strict=True))
    assert [found["a", part] for part in ("train", "calibration", "test")] == [60, 20, 20]
    assert [found["b", part] for part in ("train", "calibration", "test")] == [30, 10, 10]
    assert [found["c", part] for part in ("train", "calibration", "test")] == [6, 2, 2]


def test_with_normal_named_no_anomaly_is_in_train():
    labels = ["good"] * 50 + ["bad"] * 20
    parts, notes = make_splits(names(70), labels, normal=("good",))
    found = Counter(zip(labels, parts.tolist(), strict=True))
    assert found["bad", "train"] == 0
    assert (found["bad", "calibration"], found["bad", "test"]) == (6, 14)
    assert (found["good", "train"], found["good", "calibration"], found["good", "test"]) == (
        30,
        10,
        10,
    )
    assert "anomalies went 30% to calibration, 70% to test" in notes[0]


def test_the_same_seed_gives_the_same_split_whatever_the_order_of_files():
    labels = [str(i % 3) for i in range(60)]
    first = dict(zip(names(60), parts_of(names(60), labels, seed=4), strict=True))
    turned = dict(
        zip(names(60)[::-1], parts_of(names(60)[::-1], labels[::-1], seed=4), strict=True)
    )
    assert first == turned


def test_another_seed_gives_another_split():
    assert (parts_of(names(60), None, seed=0) != parts_of(names(60), None, seed=1)).any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 12), st.sampled_from(["good", "bad", "worse"])),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 5),
)
def test_groups_are_never_torn(rows, seed):
    groups = [str(group) for group, _ in rows]
    labels = [label for _, label in rows]
    normal = ("good",) if "good" in labels else None
    parts = parts_of(names(len(rows)), labels, groups=groups, normal=normal, seed=seed)
    assert groups_in_two_splits(parts, groups) == []


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 40), st.integers(0, 20), st.integers(0, 5))
def test_every_part_has_a_normal_image_where_there_are_three(n_normal, n_bad, seed):
    labels = ["good"] * n_normal + ["bad"] * n_bad
    parts = parts_of(names(len(labels)), labels, normal=("good",), seed=seed)
    assert set(parts[:n_normal]) == {"train", "calibration", "test"}


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_images_go_to_train_first(n):
    assert parts_of(names(n), None)[0:1].tolist() == ["train"] or n == 2
    assert "train" in parts_of(names(n), None)


def test_rare_classes_are_spread_over_the_parts():
    labels = [str(i) for i in range(100)]  # one image a class
    found = Counter(parts_of(names(100), labels).tolist())
    assert (found["train"], found["calibration"], found["test"]) == (60, 20, 20)


def test_an_explicit_split_stands_and_calibration_is_held_out_of_train_only():
    splits = ["train"] * 50 + ["test"] * 20
    parts, notes = make_splits(names(70), None, splits=splits)
    assert (parts[50:] == "test").all()
    assert Counter(parts.tolist()) == {"train": 40, "calibration": 10, "test": 20}
    assert "20% of train were held out" in notes[0]


def test_a_complete_split_is_left_as_it_is_and_so_is_one_without_train():
    for splits in (["train", "calibration", "test"], ["calibration", "test", "test"], ["test"] * 3):
        parts, notes = make_splits(names(3), None, splits=splits)
        assert parts.tolist() == splits
        assert notes == []


def test_a_group_in_two_explicit_parts_is_told(tmp_path, write):
    for name in "abc":
        write(tmp_path / f"{name}.png")
    rows = "a.png,train,tile 1\nb.png,test,tile 1\nc.png,calibration,tile 2\n"
    (tmp_path / "m.csv").write_text("path,split,group\n" + rows)
    images = load_images(tmp_path / "m.csv")
    assert images.summary()["groups_in_two_splits"] == ["tile 1"]
    assert any(
        "1 group in more than one of train, calibration and test" in note for note in images.notes
    )


def test_images_without_a_group_are_their_own():
    parts = parts_of(names(10), None, groups=[None] * 10)
    assert Counter(parts.tolist()) == {"train": 6, "calibration": 2, "test": 2}
