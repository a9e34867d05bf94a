"""`--groups`: a column, the folder, a pattern of the file name, near-twins, or an array."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import InputError, ShapeError, SourceError
from residua.images import Grouping, ImageSet, load_images
from residua.images.groups import DEFAULT


def parts_of(images: ImageSet) -> dict[str, set[str]]:
    """The parts of the split that each group lies in."""
    found: dict[str, set[str]] = {}
    for group, part in zip(images.groups.tolist(), images.splits.tolist(), strict=True):
        found.setdefault(group, set()).add(part)
    return found


@pytest.fixture
def views(tmp_path, write) -> Path:
    """Ten parts of three views each, and one image of another name."""
    for part in range(10):
        for view in range(3):
            write(tmp_path / "good" / f"part{part:03d}_view{view}.png")
    write(tmp_path / "good" / "extra.png")
    return tmp_path


def test_a_pattern_names_groups_which_stay_together_and_what_does_not_match_is_told(views):
    images = load_images(views, groups=r"part(\d+)")
    assert images.n_groups == 11 and len(images) == 31
    assert set(images.groups.tolist()) == {None, *(f"{part:03d}" for part in range(10))}
    assert all(len(parts) == 1 for group, parts in parts_of(images).items() if group is not None)
    assert images.grouping == Grouping(by="pattern", rule=r"part(\d+)")
    assert any("1 image without one" in note and "extra.png" in note for note in images.notes)
    assert images.assumptions == ()  # what the user tells is none
    assert images.summary()["n_groups"] == 11


def test_without_a_capturing_group_the_whole_match_counts(views):
    assert "part004" in load_images(views, groups=r"part\d+").groups.tolist()


@pytest.mark.parametrize(
    ("told", "error", "words"),
    [
        (r"tile(\d+)", SourceError, "must name a group of some image"),
        (r"^(good)", SourceError, "must tell groups apart"),
        (r"part(\d+", InputError, "must be a regular expression"),
        (r"(\d+)+$", InputError, "must not repeat what is repeated"),
        ("a?" * 101, InputError, "at most 200 characters"),
        ("foldr", SourceError, "'folder' if that is meant"),
        ("label", SourceError, "read as the label itself"),
        ("folder", SourceError, "needs a folder for each group"),
    ],
)
def test_what_tells_no_groups_is_refused(views, told, error, words):
    with pytest.raises(error, match="groups") as caught:
        load_images(views, groups=told)
    assert words in str(caught.value)


def test_a_slow_pattern_is_noticed(views, monkeypatch):
    monkeypatch.setattr("residua.images.groups._MOST_SECONDS", -1.0)
    with pytest.raises(InputError, match="must match each name within"):
        load_images(views, groups=r"part(\d+)")


def test_images_that_are_each_their_own_group_are_told(views):
    notes = load_images(views, groups=r"(part\d+_view\d|extra)").notes
    assert any("each of 31 images is its own group" in note for note in notes)


def test_folders_inside_the_label_folders_are_groups(tmp_path, write):
    for part in range(4):
        for view in range(2):
            write(tmp_path / "good" / f"part {part}" / f"{view}{part}.png")
    images = load_images(tmp_path, groups="folder")
    assert set(images.groups.tolist()) == {f"good/part {part}" for part in range(4)}


def test_a_column_of_the_manifest_counts_before_the_word_that_it_is_called(tmp_path, write):
    rows = ["path,part,folder,twins"]
    for row in range(6):
        write(tmp_path / f"{row}.png")
        rows.append(f"{row}.png,p{row // 2},f{row // 3},")
    file = tmp_path / "set.csv"
    file.write_text("\n".join(rows))
    assert load_images(file).groups is None
    assert load_images(file, groups="part").groups.tolist() == ["p0", "p0", "p1", "p1", "p2", "p2"]
    assert load_images(file, groups="folder").n_groups == 2
    with pytest.raises(SourceError, match="must name a group of some image"):
        load_images(file, groups="twins")


def test_the_column_group_counts_where_nothing_is_said_and_that_is_an_assumption(tmp_path, write):
    rows = ["path,group_id,roll"]
    for row in range(6):
        write(tmp_path / f"{row}.png")
        rows.append(f"{row}.png,g{row // 2},{row // 3}")
    file = tmp_path / "set.csv"
    file.write_text("\n".join(rows))
    found = load_images(file)
    assert found.n_groups == 3 and not found.grouping.told
    assert [one.taken for one in found.assumptions if one.about == "groups"] == [
        "3 groups of 6 images"
    ]
    for told in ("group_id", DEFAULT):
        images = load_images(file, groups=told)
        assert images.n_groups == 3 and images.grouping.told
        assert not any(one.about == "groups" for one in images.assumptions)
    assert load_images(file, groups="roll").groups.tolist() == ["0"] * 3 + ["1"] * 3


def test_a_column_of_a_parquet_file(tmp_path, write):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [write(tmp_path / f"{row}.png").read_bytes() for row in range(4)]
    table = pa.table({"image": images, "part": [7, 7, 8, None]})
    pq.write_table(table, tmp_path / "set.parquet")
    assert load_images(tmp_path / "set.parquet", groups="part").groups.tolist() == [
        "7",
        "7",
        "8",
        None,
    ]
    with pytest.raises(SourceError, match="must be a column"):
        load_images(tmp_path / "set.parquet", groups="image")


def test_twins_are_found_and_are_an_assumption(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 200, (30, 24, 24)).astype(np.uint8)
    for row, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{row:02d}.png")
        if row < 3:
            Image.fromarray(picture // 2 + 20).save(tmp_path / f"{row:02d}_dark.png")
    images = load_images(tmp_path, groups="twins")
    assert images.n_groups == 30 and len(images) == 33
    assert images.groups.tolist()[:6] == ["00.png"] * 2 + ["01.png"] * 2 + ["02.png"] * 2
    assert all(len(parts) == 1 for group, parts in parts_of(images).items() if group is not None)
    assert [one.taken for one in images.assumptions] == ["30 groups of 33 images"]


def test_an_array_names_the_groups_of_any_source(views):
    named = [row // 4 for row in range(31)]
    images = load_images(views, groups=named)
    assert images.groups.tolist() == [str(one) for one in named]
    assert images.grouping.by == "array"
    with pytest.raises(ShapeError, match="one entry per image"):
        load_images(views, groups=named[:-1])
    with pytest.raises(ShapeError, match="one entry per image"):
        ImageSet.from_arrays(np.zeros((3, 8, 8), np.uint8), groups=["a", "b"])


def test_another_set_is_grouped_alike_or_says_that_it_is_not(views, tmp_path_factory, write):
    grouping = load_images(views, groups=r"part(\d+)").grouping
    other = tmp_path_factory.mktemp("other")
    for view in range(3):
        write(other / f"part9_{view}.png")
    assert load_images(other, groups=grouping).n_groups == 1
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    write(elsewhere / "a.png")
    images = load_images(elsewhere, groups=grouping)
    assert images.groups is None
    assert [one.about for one in images.assumptions] == ["groups"]
    by_array = Grouping(by="array")
    assert load_images(elsewhere, groups=by_array).assumptions[0].about == "groups"


def test_a_summary_counts_the_groups_of_each_part(views, capsys):
    from residua.cli import main

    told = load_images(views, groups=r"part(\d+)").summary()
    assert sum(told["groups_in_parts"].values()) == told["n_groups"] == 11
    with pytest.raises(SystemExit):
        main(["info", str(views), "--groups", r"part(\d+)"])
    n = told["groups_in_parts"]["train"]
    assert f"train {told['splits']['train']} of {n} groups" in capsys.readouterr().out
    assert load_images(views).summary()["groups_in_parts"] is None
