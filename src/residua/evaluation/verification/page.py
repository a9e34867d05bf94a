"""Reading a report that somebody sent: its text and its data are looked at, nothing in it is
executed.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from residua._files import in_a_line, read_file
from residua.errors import SourceError
from residua.evaluation.report.markup import VOID

MOST_MEGABYTES = 64
_DATA_ID = "residua-data"


@dataclass(frozen=True)
class Page:
    """What a report says: its data as strict JSON, the text of each figure by name, the names of
    its sections, and the SHA-256 of its scripts.
    """

    data: dict[str, Any]
    figures: dict[str, list[str]]
    scripts: tuple[str, ...]
    sections: tuple[str, ...] = ()


@dataclass
class _Open:
    """An element that was opened, and the figure whose text is collected until it closes."""

    tag: str
    figure: str | None
    texts: list[str] = field(default_factory=list)


class _Reader(HTMLParser):
    """Collects texts of elements with ``data-figure``, the data block, digests of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[_Open] = []
        self.figures: dict[str, list[str]] = {}
        self.scripts: list[str] = []
        self.sections: list[str] = []
        self.data: list[str] = []
        self.script: list[str] | None = None
        self.is_data = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            return
        given = dict(attrs)
        if tag == "section":
            self.sections.append(given.get("id") or "without a name")
        if tag == "script":
            self.script, self.is_data = [], given.get("id") == _DATA_ID
        self.stack.append(_Open(tag, given.get("data-figure")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "script" and self.script is not None:
            self._close_script("".join(self.script))
        while self.stack:
            closed = self.stack.pop()
            if closed.figure is not None:
                self.figures.setdefault(closed.figure, []).append(
                    " ".join("".join(closed.texts).split())
                )
            if closed.tag == tag:
                return

    def _close_script(self, text: str) -> None:
        if self.is_data:
            self.data.append(text)
        else:
            self.scripts.append(hashlib.sha256(text.encode()).hexdigest())
        self.script = None

    def handle_data(self, data: str) -> None:
        if self.script is not None:
            self.script.append(data)
            return
        for one in self.stack:
            if one.figure is not None:
                one.texts.append(data)


def read_page(path: str | Path) -> Page:
    """Read a report.

    Raises SourceError if the file is not there, too large, no HTML of residua, or its data is not
    strict JSON.
    """
    path = Path(path)
    try:
        text = read_file(path, MOST_MEGABYTES * 1_000_000).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"{path}: must be a readable HTML file. Got: {in_a_line(error)}. Name a report of"
            " residua."
        ) from None
    found = read_text(text)
    if len(found.data) != 1:
        raise SourceError(
            f"{path}: must be one report of residua. Got {len(found.data)} blocks of its data. Name"
            " another file."
        )
    try:
        data = json.loads(found.data[0], parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise SourceError(
            f"{path}: the data in it must be strict JSON. Got: {in_a_line(error)}. Write the report"
            " again."
        ) from None
    if not isinstance(data, dict):
        raise SourceError(
            f"{path}: the data in it must be a JSON object. Got {type(data).__name__}. Write the"
            " report again."
        )
    return Page(data, found.figures, tuple(found.scripts), tuple(found.sections))


def read_text(text: str) -> _Reader:
    """Figures, sections, scripts and data of HTML."""
    reader = _Reader()
    reader.feed(text)
    reader.close()
    return reader


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")
