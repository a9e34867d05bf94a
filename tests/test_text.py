"""Names from outside cannot speak to a terminal or to a spreadsheet."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image
from rich.table import Table
from rich.text import Text

from residua._text import cell, printable, terminal
from residua.images import load_images
from residua.runs.tables.chunk_files import encode
from residua.runs.tables.chunks import Chunk

HOSTILE = "a\x1b]0;owned\x07b\r\n\x9b2Jc\u202egnp.png"
SHOWN = r"a\x1b]0;owned\x07b\r\n\x9b2Jc\u202egnp.png"


def test_control_characters_are_spelled_out_and_letters_stay():
    assert printable(HOSTILE) == SHOWN
    assert printable("Prüfling 7 · 部品.png") == "Prüfling 7 · 部品.png"
    assert printable("one\ntwo\x07", lines=True) == "one\ntwo\\x07"


@given(st.text())
def test_what_is_printable_stays_as_it_is_and_nothing_else_is_left(text):
    shown = printable(text)
    assert printable(shown) == shown
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)


@pytest.mark.parametrize(
    "text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", " =1", "\r=1"]
)
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text):
    assert cell(text) == "'" + text


@pytest.mark.parametrize("text", ["-1", "+0.5", "-1e-3", "1", "", "good", "a=b", "part-7.png"])
def test_numbers_and_plain_names_stay_as_they_are(text):
    assert cell(text) == text


def test_a_terminal_shows_hostile_names_in_every_kind_of_output():
    file = io.StringIO()
    console = terminal(file=file, width=200, force_terminal=True)
    table = Table(box=None)
    table.add_column("name")
    table.add_row(HOSTILE)
    console.print(table)
    console.print(Text(HOSTILE, style="bold"))
    console.print(f"[red]{HOSTILE}[/red]")
    assert "\x1b]0" not in file.getvalue()
    assert "\x07" not in file.getvalue()
    assert r"\x1b]0;owned" in file.getvalue()
    assert "\x1b[1m" in file.getvalue(), "its own styles stay"


@pytest.fixture
def hostile_folder(tmp_path):
    for row in range(4):
        path = (
            tmp_path
            / ("good" if row % 2 else "bad\x1b[31m")
            / (f"{row}\x1b]0;x\x07.png" if row else "=1+1.png")
        )
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 40 * row, np.uint8)).save(path)
    return tmp_path


def test_names_of_files_and_classes_are_shown_and_their_images_read(hostile_folder):
    images = load_images(hostile_folder)
    assert not images.quarantined
    assert sorted(set(images.labels)) == [r"bad\x1b[31m", "good"]
    assert r"good/1\x1b]0;x\x07.png" in images.paths.tolist()
    assert sorted(int(images[row].mean()) for row in range(4)) == [0, 40, 80, 120]


def test_the_table_of_scores_has_no_formula_unless_asked_for():
    columns = {
        "path": ["=1+1.png", "a.png"],
        "score": np.float32([-0.5, 1]),
        "unreadable": [None, None],
    }
    part = Chunk(columns, n_seen=2, quarantined=(), is_last=True)
    safe, raw = (
        list(csv.reader(io.StringIO(encode(part, ".csv", raw_cells=flag).decode())))
        for flag in (False, True)
    )
    assert safe == [["'=1+1.png", "-0.5", ""], ["a.png", "1.0", ""]]
    assert raw == [["=1+1.png", "-0.5", ""], ["a.png", "1.0", ""]]


def test_a_column_of_the_users_own_speaks_to_no_terminal_either():
    part = Chunk(
        {"path": ["a.png"], "own\x1b]0;x\x07": ["\x1b[31m=1\nforged\u202e"]},
        n_seen=1,
        quarantined=(),
        is_last=True,
    )
    assert encode(part, ".csv", raw_cells=False).decode() == "a.png,\\x1b[31m=1\\nforged\\u202e\r\n"


@pytest.mark.parametrize("mark", ["\u200e", "\u200f", "\u061c", "\u202e", "\u2066"])
def test_marks_that_turn_the_direction_of_writing_are_spelled_out(mark):
    assert printable(f"a{mark}b") == f"a\\u{ord(mark):04x}b"
