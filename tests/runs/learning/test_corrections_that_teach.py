"""What corrections say: labels, kinds, reviewers, and what is refused."""

from __future__ import annotations

import csv
import shutil

import pytest

from residua.errors import LabelError
from residua.images import load_images
from residua.runs.learning.corrections import corrections_of
from residua.runs.learning.learn import learn_run
from residua.runs.progress import Watcher
from runs import add_image


def test_corrections_that_are_given_again_teach_the_same_again(finished, tmp_path):
    for number in range(6):
        place = tmp_path / "all" / ("good" if number < 3 else "defect")
        place.mkdir(parents=True, exist_ok=True)
        add_image(place / f"{number}.png", number)
    first = learn_run(finished.path, str(tmp_path / "all"), tmp_path / "run2")
    assert first.n_alarms == first.alarms.n == first.defects.n == 3
    again = learn_run(tmp_path / "run2", str(tmp_path / "all"), tmp_path / "run3")
    assert again.n_alarms == 3
    assert again.threshold_after == pytest.approx(first.threshold_after)
    # The parent knew them, so that before and after say nothing.
    assert again.alarms.n == again.defects.n == 0


def test_a_manifest_tells_kinds_reviewers_and_notes(finished, source, tmp_path):
    rows = [
        ("bad/000.png", "defect", "scratch", "anna", "deep", "2026-01-05T10:00:00"),
        ("good/003.png", "good", "", "ben", "dust", ""),
        ("bad/001.png", "", "", "ben", "", ""),
    ]
    with (tmp_path / "corrections.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "kind", "reviewer", "note", "time"))
        writer.writerows(rows)
    record = learn_run(
        finished.path, str(tmp_path / "corrections.csv"), tmp_path / "run2", root=str(source)
    )
    first, second = record.corrections
    assert (first.kind, first.reviewer, first.note) == ("scratch", "anna", "deep")
    assert (second.label, second.kind, second.time) == ("good", None, None)
    assert record.about_corrections() == "2 corrections: 1 good, 1 defective, by anna, ben"


def test_a_kind_has_one_spelling_and_a_name_of_its_own(source, tmp_path):
    def read(*kinds: str) -> list[str | None]:
        rows = [f"bad/{n:03d}.png,defect,{kind}" for n, kind in enumerate(kinds)]
        (tmp_path / "said.csv").write_text("\n".join(["path,label,kind", *rows]), encoding="utf-8")
        images = load_images(str(tmp_path / "said.csv"), root=str(source))
        return [one.kind for one in corrections_of(images, None).said]

    assert read("Crack", "crack", "hole", "CRACK ") == ["Crack", "Crack", "hole", "Crack"]
    with pytest.raises(LabelError, match="names of their own"):
        read("Crack", "None of these")


def test_a_folder_too_high_is_refused(finished, source, tmp_path):
    for label, image in (("good", "good/000.png"), ("defect", "bad/000.png")):
        place = tmp_path / "outer" / "corrections" / label
        place.mkdir(parents=True)
        shutil.copy(source / image, place / "a.png")
    with pytest.raises(
        LabelError, match=r"Got corrections \(2 images\)\. Name the folder that holds good"
    ):
        learn_run(finished.path, str(tmp_path / "outer"), tmp_path / "run2")


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        (("false_alarms", "real_defects"), r"Got false_alarms \(1 image\), real_defects"),
        (("good", "defect/false alarms"), "defects named as good: defect/false alarms/1.png"),
        (("good/real_defects", "defect"), "good images named as defects"),
    ],
)
def test_a_folder_that_says_the_opposite_is_refused(finished, tmp_path, folders, said):
    for number, folder in enumerate(folders):
        (tmp_path / "said" / folder).mkdir(parents=True)
        add_image(tmp_path / "said" / folder / f"{number}.png", number)
    with pytest.raises(LabelError, match=said):
        learn_run(finished.path, str(tmp_path / "said"), tmp_path / "run2")


def test_rows_of_one_picture_are_one_correction_of_all_who_said_so(source, tmp_path):
    for copy, original in (("copy", "000"), ("again", "000"), ("third", "000"), ("other", "001")):
        shutil.copy(source / "bad" / f"{original}.png", tmp_path / f"{copy}.png")
    rows = [
        "copy.png,defect,crack,anna",
        "again.png,defect,Crack,ben",
        "other.png,defect,,ben",
    ]

    def read(*rows: str):
        (tmp_path / "said.csv").write_text("\n".join(["path,label,kind,reviewer", *rows]))
        notes: list[str] = []
        images = load_images(str(tmp_path / "said.csv"), root=str(tmp_path))
        return corrections_of(images, None, watcher=Watcher(on_note=notes.append)), notes

    found, notes = read(*rows)
    assert [(one.kind, one.reviewer) for one in found.said] == [
        ("crack", "anna, ben"),
        (None, "ben"),
    ]
    assert (len(found.images), notes) == (2, [])
    found, notes = read(*rows, "third.png,defect,dent,cleo")
    assert [one.kind for one in found.said] == [None, None]
    assert notes == [
        "one picture is called crack and dent, so it teaches no kind: copy.png, again.png, third.png"
    ]
