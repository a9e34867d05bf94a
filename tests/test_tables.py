"""The one reader of tables: dialects, encodings, and lines as an editor counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from residua._tables import decimal_comma, number, read_cells
from residua.errors import SourceError


def cells(folder: Path, text: str, encoding: str = "utf-8"):
    path = folder / "t.csv"
    path.write_bytes(text.encode(encoding))
    return read_cells(path)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("path,score\na.png,0.5\n", [["path", "score"], ["a.png", "0.5"]]),
        (
            "path;score\na.png;0,5\nb.png;0,7\n",
            [["path", "score"], ["a.png", "0,5"], ["b.png", "0,7"]],
        ),
        ("a.png;0,5\nb.png;0,7\n", [["a.png", "0,5"], ["b.png", "0,7"]]),
        ("0,5;1,2\n0,5;1,7\n", [["0,5", "1,2"], ["0,5", "1,7"]]),
        ("score\n0,5\n0,75\n", [["score"], ["0,5"], ["0,75"]]),
        ("x.png,a;b\ny.png,c;d\n", [["x.png", "a;b"], ["y.png", "c;d"]]),
        ("score\tlabel\n0.1\tgood, nearly\n", [["score", "label"], ["0.1", "good, nearly"]]),
        ("a|b\n1|2\n", [["a", "b"], ["1", "2"]]),
        ("sep=;\nscore;x\n1,5;2\n", [["score", "x"], ["1,5", "2"]]),
        ('"sep=,"\nscore,x\n1.5,2\n', [["score", "x"], ["1.5", "2"]]),
        ('"p[good]", "p[bad]"\n".1","0.9"\n', [["p[good]", "p[bad]"], [".1", "0.9"]]),
        (
            "# good bad\n1.0e-01 9.0e-01\n0.3  0.7\n",
            [["good", "bad"], ["1.0e-01", "9.0e-01"], ["0.3", "0.7"]],
        ),
        ("good part\nbad part\n", [["good part"], ["bad part"]]),
        ("label\r0\r1\r", [["label"], ["0"], ["1"]]),
        ("label\n0\n\n1\n\n\n", [["label"], ["0"], [""], ["1"]]),
        ("a,b\n1,\n,\n,,\n", [["a", "b"], ["1", ""]]),
        ("", []),
    ],
)
def test_a_dialect_gives_the_cells_that_were_meant(
    tmp_path: Path, text: str, rows: list[list[str]]
) -> None:
    assert cells(tmp_path, text).rows == rows


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]
)
def test_every_encoding_gives_the_same_cells_and_a_guess_is_told(
    tmp_path: Path, encoding: str
) -> None:
    read = cells(tmp_path, "label\r\ncafé\r\nüber\r\n", encoding)
    assert read.rows == [["label"], ["café"], ["über"]]
    told = encoding in ("utf-16-le", "utf-16-be", "cp1252")
    assert [one.taken for one in read.assumptions] == [encoding] * told


def test_bytes_of_no_known_encoding_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"label\n\x81\x8d\n")
    with pytest.raises(SourceError, match="UTF-8"):
        read_cells(tmp_path / "t.csv")


def test_lines_are_those_that_an_editor_shows(tmp_path: Path) -> None:
    read = cells(tmp_path, 'sep=,\npath,label\n"a\nb.png",x\nc.png,y,z\n')
    assert read.lines == [2, 3, 5]
    assert read.ragged() == (2, [5])


def test_a_quote_that_is_not_closed_is_refused_and_swallows_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="quotes closed"):
        cells(tmp_path, 'path,label\n"a.png,x\nb.png,y\n')


@pytest.mark.parametrize(
    "cell", ["1_000", "1,000", "1 000", "0x10", "97%", "", "1e", "٣", "--1", "-", "--nan"]
)
def test_what_only_python_or_nobody_takes_for_a_number_is_none(cell: str) -> None:
    assert number(cell) is None


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["0,5", "12,25"], True),
        (["0,123", "1,234"], True),
        (["a.png", "3"], False),
        (["1.5", "2e-3"], False),
        (["1,234", "2,345"], "'1,234', a thousand and more or a decimal comma"),
        (["0,5", "1.234,5"], "'1.234,5', with a mark between thousands"),
        (["1,234.5"], "'1,234.5', with a mark between thousands"),
    ],
)
def test_the_decimal_comma_is_read_only_where_it_can_be_nothing_else(
    given: list[str], expected: bool | str
) -> None:
    assert decimal_comma(given) == expected
