"""Groups that names of files suggest, and names that suggest none."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from residua.images.group_names import groups_in_names, suspected_groups


@pytest.mark.parametrize(
    ("names", "n_groups", "rule"),
    [
        ([f"part{p:03d}_view{v}.png" for p, v in product(range(20), range(3))], 20, r"part(\d+)"),
        ([f"kos{p:02d}/Part{v}.jpg" for p, v in product(range(20), range(8))], 20, r"kos(\d+)"),
        ([f"good/p{p:03d}{v}.png" for p, v in product(range(30), "abc")], 30, r"p(\d+)"),
        ([f"view{v}_part{p:03d}.png" for p, v in product(range(30), range(4))], 30, r"part(\d+)"),
        (
            [f"piece-{p}-{v}.tiff" for p, v in product(range(30), ("left", "right", "top"))],
            30,
            r"-(\d+)",
        ),
        (
            [f"line{k}_part{p:02d}_v{v}.png" for k, p, v in product(range(2), range(9), range(4))],
            18,
            "(.*)_",
        ),
        (
            [
                f"{part}/good/p{p:03d}_{v}.png"
                for p, (part, v) in product(range(20), (("train", 1), ("train", 2), ("test", 3)))
            ],
            20,
            r"p(\d+)",
        ),
    ],
)
def test_views_of_parts_are_told_with_the_rule_that_names_them(names, n_groups, rule):
    found = groups_in_names(names)
    assert (found.n_groups, found.rule) == (n_groups, rule)
    assert names[0] in found.because


@pytest.mark.parametrize(
    "names",
    [
        [f"img_{number:04d}.png" for number in range(500)],
        [str(number) for number in range(1, 1000)],
        [f"1 ({number}).jpg" for number in range(300)],
        [f"x_train[{number}]" for number in range(500)],
        [
            f"IMG_202401{d:02d}_{h:02d}{m:02d}{d:02d}.jpg"
            for d, h, m in product(range(1, 20), range(8, 12), range(0, 60, 7))
        ],
        [f"{number // 100:03d}/{number % 100:02d}.png" for number in range(3000)],
        [f"part-{number // 1000:05d}.parquet[{number % 1000}]" for number in range(3000)],
        [f"{label}_{number}.png" for label, number in product(range(10), range(50))],
        [f"exp{number % 6 + 1}_num_{17 * number + 3}.jpg" for number in range(300)],
        [],
    ],
)
def test_counters_dates_and_shards_are_no_groups(names):
    assert groups_in_names(names) is None


@pytest.mark.parametrize(
    "form",
    ["test/{label}/{number:03d}.png", "{label}_{number}.png", "{label}/{label}_{number}.jpg"],
)
def test_what_follows_from_the_label_is_no_group(form):
    pairs = list(product([f"kind{k}" for k in range(12)], range(12)))
    names = [form.format(label=label, number=number) for label, number in pairs]
    assert groups_in_names(names, [label for label, _ in pairs]) is None


def test_near_twins_count_from_one_in_ten_images_on():
    names = [f"{number}.png" for number in range(40)]
    twins = np.arange(40)
    twins[1] = 0
    assert suspected_groups(names, twins=twins) is None
    twins[3], twins[5] = 2, 4
    found = suspected_groups(names, twins=twins)
    assert (found.n_groups, found.rule) == (37, "twins")
    assert found.because.startswith("6 of 40 images")


def test_some_of_the_images_and_what_the_model_was_fitted_on():
    names = [f"part{p:03d}_view{v}.png" for p, v in product(range(20), range(3))]
    some = groups_in_names(names).of(np.arange(0, 6), np.array([8, 4]))
    assert some.codes.tolist() == [0, 0, 0, 1, 1, 1]
    assert some.n_seen == 3
