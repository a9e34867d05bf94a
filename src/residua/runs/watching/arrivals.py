"""Images as they arrive: files in a folder, or a stream of paths. Half-written files are waited
for.
"""

from __future__ import annotations

import os
import queue
import stat
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from residua.images.decoding import SUFFIXES
from residua.images.sources.walking import is_junk, suffix_of
from residua.runs.watching.store import Mark, Seen

_MOST_AT_ONCE = 16_384  # files that are looked at in one round
_MOST_WAITING = 1_000  # paths that are read ahead of a stream
_BATCH = 4_096
_BETWEEN_TRIES = 0.2  # seconds
_OLD = 10.0  # seconds after which a file is taken for whole at first sight
_RACY = 2.0  # a folder that changed so lately may change again within one tick of its clock
_PATROL, _LEAST_REST = 1_000, 10.0  # files at once, and seconds between two rounds
_REST = 10  # times as long as a round took


@dataclass
class _Pending:
    """A file that is not known to be whole: how it looked last, and since when."""

    mark: Mark | None
    since: float
    first: float
    tries: int = 0


@dataclass
class Arrivals:
    """Files that have come and are not scored yet; `take` gives those that seem whole.

    ``settle`` is how many seconds a file must stay as it is, ``patience`` how long one that cannot
    be read is waited for. ``seen`` says of names which are scored.
    """

    root: Path
    seen: Seen
    settle: float = 1.0
    patience: float = 30.0
    pending: dict[str, _Pending] = field(default_factory=dict)
    ready: deque[str] = field(default_factory=deque)
    ended: bool = False
    none_waited: float = field(default_factory=time.time)

    def found(self) -> Iterable[str]:
        """Names that are not scored yet, or may not be."""
        raise NotImplementedError

    def changed(self) -> dict[str, Mark]:
        """Files that were written over since they were scored, and how they are now. Each call
        looks at some of the files.
        """
        return {}

    @property
    def is_looking(self) -> bool:
        """Whether a round over the files that are scored is on its way."""
        return False

    def _new(self, names: list[str]) -> list[str]:
        return [name for name, new in zip(names, self.seen.is_new(names), strict=True) if new]

    def _changed(self, marks: dict[str, Mark]) -> dict[str, Mark]:
        changed = self.seen.is_changed(list(marks), list(marks.values()))
        return {name: marks[name] for name, is_one in zip(marks, changed, strict=True) if is_one}

    def path(self, name: str) -> Path:
        """Where a file lies."""
        return self.root / name

    @property
    def n_waiting(self) -> int:
        """Files that have come, as far as they were looked at."""
        return len(self.pending) + len(self.ready)

    def take(self, n: int) -> list[str]:
        """Up to `n` files that seem whole, the oldest first."""
        if len(self.ready) < n:
            self._look()
        if not self.n_waiting:
            self.none_waited = time.time()
        return [self.ready.popleft() for _ in range(min(n, len(self.ready)))]

    def waiting(self) -> dict[str, Any]:
        """How many files wait, and since when there are any, for the status."""
        since = datetime.fromtimestamp(self.none_waited, UTC).isoformat(timespec="seconds")
        return {"n_waiting": self.n_waiting, "waiting_since": since if self.n_waiting else None}

    def mark(self, name: str) -> Mark | None:
        """Size and time of a file; None where it is no regular file that can be asked."""
        try:
            return _mark(self.path(name).stat(follow_symlinks=False))
        except (OSError, ValueError):
            return None

    def again(self, name: str, before: Mark | None) -> bool:
        """Wait for a file that could not be read, or changed while it was read; False where it was
        waited for long enough.
        """
        now, mark = time.monotonic(), self.mark(name)
        known = self.pending.setdefault(name, _Pending(mark, now, now))
        is_old = mark is None or time.time() - mark[1] / 1e9 >= self.patience
        if mark == before and (is_old or now - known.first >= self.patience):
            return False
        known.first = known.first if mark == known.mark else now
        known.mark, known.since, known.tries = mark, now, known.tries + 1
        return True

    def forget(self, name: str) -> None:
        """A file is scored, or will never be."""
        self.pending.pop(name, None)

    def _look(self) -> None:
        if not self.root.is_dir():  # a drive that is away: files on it are not missing
            return
        now, on_the_way = time.monotonic(), set(self.ready)
        for name in self.found():
            self.pending.setdefault(name, _Pending(None, now, now))
        whole: list[tuple[int, str]] = []
        for name, known in list(self.pending.items()):
            if name in on_the_way:
                continue
            mark = self.mark(name)
            if mark is None:
                if self._is_missed(known, now):
                    whole.append((0, name))
                continue
            if mark != known.mark:
                known.mark, known.since = mark, now
            is_old = not known.tries and time.time() - mark[1] / 1e9 > _OLD
            wait = max(self.settle, _BETWEEN_TRIES) if known.tries else self.settle
            if is_old or now - known.since >= wait:
                whole.append((mark[1], name))
        self.ready.extend(name for _, name in sorted(whole))

    def _is_missed(self, known: _Pending, now: float) -> bool:
        """Whether a file that is not there is told of, after it was waited for."""
        return now - known.first >= self.patience


@dataclass
class FolderArrivals(Arrivals):
    """The image files of a folder and its subfolders. A folder that has not changed is not read
    again. Links are not followed.
    """

    folders: dict[str, tuple[int, list[str]]] = field(default_factory=dict)
    _patrol: Iterator[dict[str, Mark]] | None = None
    _began: float = 0.0
    _next_round: float = float("-inf")

    def changed(self) -> dict[str, Mark]:
        """Of the next thousand files those that have changed; all are looked at in turn."""
        now = time.monotonic()
        if self._patrol is None and now >= self._next_round:
            self._patrol, self._began = self._round(), now
        if self._patrol is None:
            return {}
        found = next(self._patrol, None)
        if found is None:
            self._patrol = None
            self._next_round = now + max(_LEAST_REST, _REST * (now - self._began))
        return found or {}

    @property
    def is_looking(self) -> bool:
        """Whether a round over the files that are scored is on its way."""
        return self._patrol is not None

    def _round(self) -> Iterator[dict[str, Mark]]:
        waiting = [""]
        while waiting:
            inside: list[str] = []
            for names in self._batches(waiting.pop(), inside, _PATROL):
                marks = {name: mark for name in names if (mark := self.mark(name)) is not None}
                yield self._changed(marks)
            waiting.extend(inside)

    def found(self) -> Iterable[str]:
        """Names of image files, of folders that have changed; about 16,384 new ones at most."""
        waiting, n = [""], 0
        while waiting and n < _MOST_AT_ONCE:
            folder = waiting.pop()
            told = self._stat(folder)
            known = self.folders.get(folder)
            if told is None:
                self.folders.pop(folder, None)
            elif known is not None and known[0] == told:
                waiting.extend(known[1])
            else:
                inside: list[str] = []
                for names in self._batches(folder, inside):
                    kept = self._new(names)
                    yield from kept
                    n += len(kept)
                    if n >= _MOST_AT_ONCE:
                        break
                settled = time.time() - told / 1e9 > _RACY and n < _MOST_AT_ONCE
                self.folders[folder] = (told if settled else -1, inside)
                waiting.extend(inside)

    def _batches(self, folder: str, inside: list[str], most: int = _BATCH) -> Iterator[list[str]]:
        """The names of images in a folder, some thousand at a time; its folders go to `inside`."""
        names: list[str] = []
        try:
            entries = os.scandir(self.root / folder)
        except OSError:
            return
        with entries:
            for entry in entries:
                name = f"{folder}{entry.name}"
                if is_junk(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    inside.append(f"{name}/")
                elif suffix_of(name) in SUFFIXES and entry.is_file(follow_symlinks=False):
                    names.append(name)
                if len(names) == most:
                    yield names
                    names = []
        yield names

    def _stat(self, folder: str) -> int | None:
        try:
            return (self.root / folder).stat(follow_symlinks=not folder).st_mtime_ns
        except OSError:
            return None


@dataclass
class StreamArrivals(Arrivals):
    """Paths, one a line, as somebody sends them; no more than 1,000 are read ahead."""

    lines: queue.Queue[str | None] = field(
        default_factory=lambda: queue.Queue(maxsize=_MOST_WAITING)
    )
    is_closed: bool = False
    _sent_again: dict[str, Mark] = field(default_factory=dict)

    def changed(self) -> dict[str, Mark]:
        """Of the paths that were sent again, those whose files have changed."""
        found, self._sent_again = self._changed(self._sent_again), {}
        return found

    @property
    def is_looking(self) -> bool:
        """Whether paths that were sent again are still to be looked at."""
        return bool(self._sent_again)

    @classmethod
    def of(cls, stream: IO[str], root: Path, seen: Seen, **more: Any) -> StreamArrivals:
        """Begin to read `stream` in a thread of its own, which waits while images are scored."""
        made = cls(root, seen, **more)

        def read() -> None:
            for line in stream:
                made.lines.put(line.rstrip("\r\n"))
            made.lines.put(None)

        threading.Thread(target=read, daemon=True, name="residua-paths").start()
        return made

    def found(self) -> Iterable[str]:
        """The paths that have come since."""
        seen: set[str] = set()
        while len(self.pending) + len(seen) < _MOST_WAITING and not self.is_closed:
            try:
                line = self.lines.get_nowait()
            except queue.Empty:
                break
            if line is None:
                self.is_closed = True
            elif line and line not in seen and self._new([line]):
                seen.add(line)
                yield line
            elif line and len(self._sent_again) < _MOST_WAITING:
                mark = self.mark(line)
                self._sent_again |= {} if mark is None else {line: mark}

    def take(self, n: int) -> list[str]:
        """Up to `n` files; the stream has ended once it is closed and none waits."""
        found = super().take(n)
        self.ended = self.is_closed and not found and not self.n_waiting
        return found


def _mark(told: os.stat_result) -> Mark | None:
    return (told.st_size, told.st_mtime_ns) if stat.S_ISREG(told.st_mode) else None
