"""What reviewers have said: a log that loses nothing, and `corrections.csv` made from it."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from residua._files import MOST_TEXT_BYTES, atomic_write, read_file, sync_folder
from residua._labels import spelled
from residua._text import cell, printable
from residua.errors import InputError, OutputError
from residua.records import Record
from residua.runs.learning.corrections import COLUMNS, is_kind

LOG, TABLE = "answers.jsonl", "corrections.csv"
MOST_NOTE, MOST_NAME = 500, 60
_MOST_REVIEWERS = 100
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_APPEND |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_FORMULA_AT_START = re.compile(r"[=+\-@\t\r]")


def _name(text: str) -> str:
    """A name in one line that no spreadsheet takes for a formula."""
    text = " ".join(text.split())
    if not text or printable(text) != text or _FORMULA_AT_START.match(text):
        raise ValueError("must begin with a letter or a digit, and be plain text in one line")
    return text


def _note(text: str) -> str | None:
    return printable(" ".join(text.split())) or None


def _kind(text: str) -> str:
    if not is_kind(text):
        raise ValueError("must name a kind of defect; a good image is answered with good")
    return text


Name = Annotated[str, Field(min_length=1, max_length=MOST_NAME), AfterValidator(_name)]
Kind = Annotated[Name, AfterValidator(_kind)]
Note = Annotated[str, Field(max_length=MOST_NOTE), AfterValidator(_note)]


class Answer(Record):
    """What a reviewer says of an image; with ``undo`` the answer before is taken back."""

    path: str
    reviewer: Name
    answer: Literal["good", "defect", "skip", "undo"]
    kind: Name | None = None
    note: Note | None = None
    time: str


class Verdict(Record):
    """What all reviewers together say; the label is None for nobody or a disagreement."""

    label: Literal["good", "defect"] | None
    kind: str | None = None
    disagree: bool = False


class Book:
    """The answers of one review, in `folder`.

    An answer counts once its line is on the disk. `corrections.csv` is made from all of them after
    each, whole or as it was.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._log, self.table = folder, folder / LOG, folder / TABLE
        self.answers: dict[str, dict[str, Answer]] = {}
        self._history: dict[str, list[tuple[str, Answer | None]]] = {}
        self._kinds: dict[str, str] = {}
        for answer in self._read():
            self._apply(answer)
        self.write_table()

    def give(self, answer: Answer) -> None:
        """Keep an answer; the reviewer's earlier one on the same image is replaced.

        Raises InputError if there are too many reviewers. Raises OutputError if it cannot be
        written; then nothing has changed.
        """
        known = self._history
        if answer.reviewer not in known and len(known) >= _MOST_REVIEWERS:
            raise InputError(f"A review has at most {_MOST_REVIEWERS} reviewers. Take one's name.")
        self._append(answer)
        self._apply(answer)
        self.write_table()

    def take_back(self, reviewer: str, time: str) -> str | None:
        """Undo the last answer of a reviewer: the path of its image; None where there is none."""
        history = self._history.get(reviewer)
        if not history:
            return None
        path = history[-1][0]
        self.give(Answer(path=path, reviewer=reviewer, answer="undo", time=time))
        return path

    def verdict(self, path: str) -> Verdict:
        """What all reviewers together say of an image."""
        decided = [one for one in self.answers.get(path, {}).values() if one.answer != "skip"]
        labels = {one.answer for one in decided}
        kinds = {one.kind for one in decided if one.kind}
        if len(labels) > 1:
            return Verdict(label=None, disagree=True)
        label = decided[0].answer if decided else None
        return Verdict(
            label=label,  # type: ignore[arg-type]
            kind=next(iter(kinds)) if len(kinds) == 1 else None,
            disagree=len(kinds) > 1,
        )

    def reviewers(self) -> dict[str, int]:
        """Who has answered how many images."""
        return dict(Counter(name for said in self.answers.values() for name in said))

    def kinds(self) -> list[str]:
        """The kinds that are in use, in the order in which they were named: keys stay theirs."""
        used = {one.kind for said in self.answers.values() for one in said.values()}
        return [kind for kind in self._kinds.values() if kind in used]

    def write_table(self) -> None:
        """Write `corrections.csv`: a row for each image and reviewer.

        Where reviewers disagree the label is empty, and ``said`` what each said.
        """
        with atomic_write(self.table, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow((*COLUMNS, "said"))
            for path in self.answers:
                writer.writerows(self._rows(path))

    def _rows(self, path: str) -> Iterator[list[str]]:
        said, verdict = list(self.answers[path].values()), self.verdict(path)
        is_decided = any(one.answer != "skip" for one in said)
        for one in said:
            if is_decided and one.answer == "skip":
                continue
            told: dict[str, Any] = {
                "path": _safe_path(path),
                "label": verdict.label,
                "kind": verdict.kind,
                "reviewer": one.reviewer,
                "note": one.note,
                "time": one.time,
            }
            own = f"{one.answer}: {one.kind}" if one.kind else one.answer
            row = [str(told.get(name) or "") for name in COLUMNS]
            yield [row[0], *(cell(text) for text in row[1:]), own]

    def _apply(self, answer: Answer) -> None:
        history = self._history.setdefault(answer.reviewer, [])
        said = self.answers.setdefault(answer.path, {})
        if answer.kind is not None:  # the first spelling stays
            kind = self._kinds.setdefault(spelled(answer.kind), answer.kind)
            answer = answer.model_copy(update={"kind": kind})
        if answer.answer != "undo":
            history.append((answer.path, said.get(answer.reviewer)))
            said[answer.reviewer] = answer
        elif history:
            _, before = history.pop()
            said.pop(answer.reviewer, None)
            if before is not None:
                said[answer.reviewer] = before
        if not said:
            del self.answers[answer.path]

    def _append(self, answer: Answer) -> None:
        line = (json.dumps(answer.model_dump(exclude_none=True)) + "\n").encode("ascii")
        try:
            handle = os.open(self._log, _APPEND, 0o666)
            try:
                size = os.fstat(handle).st_size
                if size + len(line) > MOST_TEXT_BYTES:
                    raise OSError("the log of answers is full")
                try:
                    _write_all(handle, line)
                except OSError:
                    os.ftruncate(handle, size)
                    raise
            finally:
                os.close(handle)
        except OSError as error:
            raise OutputError(
                f"{self._log}: the file must be writable. Got: {error.strerror or error}. Free some"
                " space, or review into another folder."
            ) from error
        if not size:
            sync_folder(self.folder)

    def _read(self) -> Iterator[Answer]:
        """The answers in the log; a last line that was cut off by a crash never counted."""
        if not self._log.exists():
            return
        try:
            data = read_file(self._log)
        except OSError as error:
            raise OutputError(f"{self._log}: the file must be readable. Got: {error}.") from None
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            os.truncate(self._log, len(whole))
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                yield Answer.model_validate_json(line)
            except ValidationError:
                raise InputError(
                    f"{self._log}: each line must be an answer that the review page wrote. Got"
                    f" something else in line {number}. Take the line out, or review into another"
                    " folder."
                ) from None


def _safe_path(path: str) -> str:
    """A path as no spreadsheet takes it for a formula, and a manifest still finds it."""
    is_odd = cell(path) != path or path != path.lstrip() or path.startswith("~/")
    return f"./{path}" if is_odd else path


def _write_all(handle: int, line: bytes) -> None:
    if os.write(handle, line) < len(line):
        raise OSError(errno.ENOSPC, "no space is left")
    os.fsync(handle)
