"""What a watch has written: whole blocks of rows as Parquet files in one folder, and beside them a
small database with the rows of the open block, the images that are scored, and the state.

One transaction holds the rows of some images, the note that they are scored, and the state after
them. So whenever the process is killed, an image is either scored and written, or neither. A
Parquet file is a copy of the block's rows: it is written before they leave the database.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._files import atomic_write, ensure_folder, one_writer
from residua.errors import BundleError, MissingExtraError, OutputError
from residua.runs.watching.table import COLUMNS, Row, WatchTable, schema, text_of

_FORMAT = "residua-watch 1"
_DIGEST = 16
_MERGED_FROM = 8_192
Mark = tuple[int, int]
"""Size and time of a file."""


class Seen:
    """Which paths are scored, and how their files were then, in 16 bytes each: of a million, two
    coincide once in 4e7 watches.
    """

    def __init__(self, keys: NDArray[np.uint64], marks: NDArray[np.int64]) -> None:
        order = np.argsort(keys)
        self._base, self._marks, self._fresh = keys[order], marks[order], dict[int, int]()

    def __len__(self) -> int:
        return len(self._base) + len(self._fresh)

    def add(self, names: Sequence[str], marks: Sequence[Mark | None]) -> None:
        """These are scored, as they are now."""
        self._fresh.update(zip(map(_short, names), map(_shorter, marks), strict=True))
        if len(self._fresh) > _MERGED_FROM:
            fresh = np.fromiter(self._fresh, np.uint64), np.fromiter(self._fresh.values(), np.int64)
            keys = np.concatenate([fresh[0], self._base])
            # Of a file that has changed, what is known last.
            keys, first = np.unique(keys, return_index=True)
            self._base, self._marks = keys, np.concatenate([fresh[1], self._marks])[first]
            self._fresh = {}

    def is_new(self, names: Sequence[str]) -> list[bool]:
        """Which are not scored."""
        return [mark is None for mark in self._known(names)]

    def is_changed(self, names: Sequence[str], marks: Sequence[Mark | None]) -> list[bool]:
        """Which are scored and have another size or time now."""
        return [
            bool(known) and now is not None and known != _shorter(now)
            for known, now in zip(self._known(names), marks, strict=True)
        ]

    def _known(self, names: Sequence[str]) -> list[int | None]:
        keys = np.fromiter(map(_short, names), np.uint64, len(names))
        place = np.searchsorted(self._base, keys)
        place[place == len(self._base)] = 0
        known = self._base[place] == keys if len(self._base) else np.zeros(len(keys), np.bool_)
        return [
            self._fresh.get(key, int(self._marks[at]) if old else None)
            for key, at, old in zip(keys.tolist(), place, known, strict=True)
        ]


class WatchStore:
    """The folder that a watch writes. Lives in one thread, in a ``with`` block; `outbox` is for
    another one.
    """

    def __init__(self, out: Path) -> None:
        try:
            import pyarrow  # noqa: F401  asked before the work begins
        except ModuleNotFoundError:
            raise MissingExtraError("pyarrow", "tables", "watch") from None
        self.out, self.table = out, WatchTable(out)
        self._at = threading.local()
        self.n_images = 0

    @contextlib.contextmanager
    def opened(self) -> Iterator[WatchStore]:
        """Keep a second writer out, and read what is there."""
        ensure_folder(self.out, where="watch")
        with one_writer(
            self.out / ".lock",
            f"{self.out}: only one watch may write a table. Another one does now. Stop it, or name"
            " another --out.",
        ):
            try:
                self._begin()
                yield self
            finally:
                self.leave()

    @property
    def database(self) -> sqlite3.Connection:
        """The connection of this thread."""
        found: sqlite3.Connection | None = getattr(self._at, "database", None)
        if found is None:
            found = sqlite3.connect(self.out / ".state.sqlite", timeout=60, isolation_level=None)
            found.execute("pragma synchronous=full")
            self._at.database = found
        return found

    def _begin(self) -> None:
        try:
            self.database.executescript(
                "begin immediate;"
                "create table if not exists state (key text primary key, value text);"
                "create table if not exists seen (key blob primary key) without rowid;"
                "create table if not exists rows (n integer primary key, row text);"
                "create table if not exists outbox (n integer primary key, event text);"
                "commit;"
            )
            told = self.get("format", _FORMAT)
            names = [column[1] for column in self.database.execute("pragma table_info(seen)")]
            if "mark" not in names:
                self.database.execute("alter table seen add column mark integer not null default 0")
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None
        if told != _FORMAT:
            raise BundleError(
                f"{self.out}: must be the table of a watch of this version. Got {told}. Name"
                " another --out."
            )
        n = self.database.execute("select count(*) from seen").fetchone()[0]
        keys, marks = np.zeros(n, np.uint64), np.zeros(n, np.int64)
        for row, (key, mark) in enumerate(self.database.execute("select key, mark from seen")):
            keys[row], marks[row] = _number(key), mark
        self.seen = Seen(keys, marks)
        self.n_images = int(self.get("n_images", 0))

    def leave(self) -> None:
        """Close the connection of this thread."""
        found = getattr(self._at, "database", None)
        if found is not None:
            found.close()
            self._at.database = None

    def _unusable(self, error: Exception) -> OutputError:
        return OutputError(
            f"{self.out / '.state.sqlite'}: the state of the watch must be readable and writable."
            f" Got: {error}. Free some space, or name another --out."
        )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All of it or nothing.

        Raises
        ------
        OutputError
            If the disk is full or takes no more; nothing is changed then.
        """
        done = False
        try:
            self.database.execute("begin immediate")
            try:
                yield self.database
                self.database.execute("commit")
                done = True
            finally:
                if not done:
                    with contextlib.suppress(sqlite3.Error):
                        self.database.execute("rollback")
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def get(self, key: str, default: Any = None) -> Any:
        """A value of the state."""
        found = self.database.execute("select value from state where key = ?", (key,)).fetchone()
        return default if found is None else json.loads(found[0])

    def keep(
        self,
        rows: Sequence[Row],
        state: dict[str, Any],
        *,
        changed: Sequence[Row] = (),
        events: Sequence[Row] = (),
        marks: Sequence[Mark | None] = (),
    ) -> None:
        """Take rows of images just scored, with the state after them and how the files were;
        `changed` rows of the open block are written again, and `events` wait to be told.
        """
        names = [row["path"] for row in rows]
        marks = marks or [None] * len(rows)
        told = {**state, "format": _FORMAT, "n_images": self.n_images + len(rows)}
        with self.transaction() as database:
            database.executemany("insert into seen (key, mark) values (?, ?)", _seen(names, marks))
            database.executemany(
                "insert or replace into rows values (?, ?)",
                ((row["n"], json.dumps(row)) for row in (*rows, *changed)),
            )
            database.executemany(
                "insert or replace into state values (?, ?)",
                ((key, json.dumps(value)) for key, value in told.items()),
            )
            database.executemany(
                "insert into outbox values (?, ?)",
                ((event["n"], json.dumps(event)) for event in events),
            )
        self.seen.add(names, marks)
        self.n_images += len(rows)

    def keep_marks(
        self, names: Sequence[str], marks: Sequence[Mark | None], state: dict[str, Any]
    ) -> None:
        """Files that have changed since they were scored are told of once."""
        with self.transaction() as database:
            found = ((mark, key) for key, mark in _seen(names, marks))
            database.executemany("update seen set mark = ? where key = ?", found)
            database.executemany(
                "insert or replace into state values (?, ?)",
                ((key, json.dumps(value)) for key, value in state.items()),
            )
        self.seen.add(names, marks)

    def open_rows(self) -> list[Row]:
        """The rows of the open block, in order."""
        found = self.database.execute("select row from rows order by n")
        return [json.loads(row) for (row,) in found]

    def write_block(self) -> int:
        """Write the rows of the open block as a Parquet file; how many there are."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = self.open_rows()
        if not rows:
            return 0
        cells = {name: [row.get(name) for row in rows] for name in COLUMNS}
        cells["path"] = [text_of(row["path"]) for row in rows]
        table = pa.table(cells, schema=schema())
        with atomic_write(self.out / f"part-{rows[0]['n']:012d}.parquet") as file:
            pq.write_table(table, file)
        return len(rows)

    def close_block(self) -> None:
        """Write the block a last time, and begin the next one."""
        if self.write_block():
            with self.transaction() as database:
                database.execute("delete from rows")

    def drop_old(self, days: float) -> int:
        """Delete whole blocks that were written so many days ago; how many. Their images stay
        known, and are not scored again.
        """
        opened, oldest = self.open_rows()[:1], time.time() - days * 86_400
        kept = f"part-{opened[0]['n']:012d}.parquet" if opened else ""
        n = 0
        for part in self.out.glob("part-*.parquet"):
            if part.name != kept and part.stat().st_mtime < oldest:
                part.unlink(missing_ok=True)
                n += 1
        return n

    def outbox(self, most: int) -> list[Row]:
        """The first events that wait to be told."""
        found = self.database.execute("select event from outbox order by n limit ?", (most,))
        return [json.loads(event) for (event,) in found]

    def n_events(self) -> int:
        """How many events wait."""
        return int(self.database.execute("select count(*) from outbox").fetchone()[0])

    def told(self, n: int) -> None:
        """An event was told, or given up."""
        with self.transaction() as database:
            database.execute("delete from outbox where n = ?", (n,))


def _seen(names: Sequence[str], marks: Sequence[Mark | None]) -> Iterator[tuple[bytes, int]]:
    return zip(map(_key, names), map(_shorter, marks), strict=True)


def _shorter(mark: Mark | None) -> int:
    """A file's size and time in 8 bytes; 0 where they are not known."""
    return 0 if mark is None else (mark[1] * 1_000_003 ^ mark[0]) % (1 << 63) or 1


def _key(name: str) -> bytes:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=_DIGEST).digest()


def _number(key: bytes) -> int:
    return int.from_bytes(key[:8], "big")


def _short(name: str) -> int:
    return _number(_key(name))
