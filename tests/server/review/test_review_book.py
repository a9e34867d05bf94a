"""Answers that a crash does not lose, and the table that `learn` reads."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from residua.errors import InputError, OutputError
from residua.images import load_images
from residua.server.review import book as module
from residua.server.review.book import Answer, Book


def said(path: str, answer: str, reviewer: str = "anna", **more) -> Answer:
    return Answer(path=path, reviewer=reviewer, answer=answer, time="2026-01-01T00:00:00Z", **more)


def rows(book: Book) -> list[dict[str, str]]:
    with book.table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_after_a_crash_nothing_is_lost_or_doubled_and_a_cut_off_line_never_counted(tmp_path):
    book = Book(tmp_path)
    for number in range(5):
        book.give(said(f"{number}.png", "good"))
    book.give(said("1.png", "defect", kind="scratch"))
    with (tmp_path / "answers.jsonl").open("a") as log:
        log.write('{"path": "6.png", "revi')
    (tmp_path / "corrections.csv").unlink()
    again = Book(tmp_path)
    assert [row["path"] for row in rows(again)] == [f"{number}.png" for number in range(5)]
    assert rows(again)[1]["label"] == "defect"
    again.give(said("6.png", "good"))
    assert len(rows(Book(tmp_path))) == 6


def test_an_undo_brings_the_answer_before_back_and_outlives_a_crash(tmp_path):
    book = Book(tmp_path)
    assert book.take_back("anna", "now") is None
    book.give(said("a.png", "good"))
    book.give(said("b.png", "good"))
    book.give(said("a.png", "defect"))
    assert book.take_back("anna", "now") == "a.png"
    assert Book(tmp_path).verdict("a.png").label == "good"
    assert [Book(tmp_path).take_back("anna", "now") for _ in range(3)] == ["b.png", "a.png", None]
    assert Book(tmp_path).answers == {}


def test_where_reviewers_disagree_there_is_a_row_each_and_no_label(tmp_path):
    book = Book(tmp_path)
    book.give(said("a.png", "good"))
    book.give(said("a.png", "defect", "ben", kind="dent", note="left edge"))
    found = rows(book)
    assert [row["label"] for row in found] == ["", ""]
    assert [row["said"] for row in found] == ["good", "defect: dent"]
    assert [row["reviewer"] for row in found] == ["anna", "ben"]
    book.give(said("a.png", "defect", kind="scratch"))
    assert [(row["label"], row["kind"]) for row in rows(book)] == [("defect", "")] * 2
    assert book.verdict("a.png").disagree
    book.give(said("a.png", "skip"))
    assert [(row["reviewer"], row["kind"]) for row in rows(book)] == [("ben", "dent")]
    assert not book.verdict("a.png").disagree


def test_no_cell_is_a_formula_and_paths_are_still_found(tmp_path):
    book = Book(tmp_path)
    book.give(said("=cmd.png", "good", note="=1+2"))
    book.give(said("+x/a.png", "good", note='a "quote", a; semicolon\nand a line'))
    cells = [cell for row in rows(book) for cell in row.values()]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in cells)
    assert [row["path"] for row in rows(book)] == ["./=cmd.png", "./+x/a.png"]
    assert rows(book)[1]["note"] == 'a "quote", a; semicolon and a line'


def test_a_table_of_odd_names_is_read_as_it_was_meant(tmp_path):
    names = ["a b.png", "ü.png", "x,y;z.png", "=x.png", " lead.png", 'q"uote.png', "#1.png",
             "-1.png", "nan.png", "~/x.png", "sub/@a.png", "back\\slash.png"]  # fmt: skip
    book = Book(tmp_path)
    for place, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), place, np.uint8)).save(tmp_path / name)
        book.give(said(name, "good", note='; ,"x" #'))
    images = load_images(str(book.table))
    assert [str(path).removeprefix("./") for path in images.paths] == names
    assert set(images.own_columns["note"].tolist()) == {'; ,"x" #'}


@pytest.mark.parametrize("name", ["=anna", "-", "", " ", "a" * 61, "a\x1b[0m", "\u202eanna"])
def test_a_name_or_kind_that_is_no_plain_text_is_refused(name):
    with pytest.raises(ValidationError):
        said("a.png", "good", name)
    with pytest.raises(ValidationError):
        said("a.png", "defect", kind=name)


def test_a_full_disk_changes_nothing(tmp_path, monkeypatch):
    book = Book(tmp_path)
    book.give(said("a.png", "good"))
    before = (tmp_path / "answers.jsonl").read_bytes()
    monkeypatch.setattr(module.os, "write", lambda handle, line: len(line) // 2)
    with pytest.raises(OutputError, match="no space is left"):
        book.give(said("b.png", "good"))
    assert (tmp_path / "answers.jsonl").read_bytes() == before
    assert list(book.answers) == ["a.png"]


def test_what_is_no_answer_in_the_log_is_refused_with_its_line(tmp_path):
    Book(tmp_path).give(said("a.png", "good"))
    with (tmp_path / "answers.jsonl").open("a") as log:
        log.write(json.dumps({"path": "b.png"}) + "\n")
    with pytest.raises(InputError, match="in line 2"):
        Book(tmp_path)


def test_there_is_an_end_to_reviewers(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_REVIEWERS", 2)
    book = Book(tmp_path)
    for name in ("anna", "ben"):
        book.give(said("a.png", "good", name))
    with pytest.raises(InputError, match="at most 2 reviewers"):
        book.give(said("a.png", "good", "cem"))
    book.give(said("b.png", "good", "ben"))


def test_kinds_that_differ_by_case_are_one(tmp_path):
    book = Book(tmp_path)
    for reviewer, kind in (("anna", "Crack"), ("ben", "crack")):
        book.give(
            Answer(path="a.png", reviewer=reviewer, answer="defect", kind=kind, time="2026-01-01")
        )
    assert (book.verdict("a.png").kind, book.verdict("a.png").disagree) == ("Crack", False)
    assert book.kinds() == Book(tmp_path).kinds() == ["Crack"]
