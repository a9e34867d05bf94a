"""The table of a watch, as any process reads it while it grows: a folder of Parquet files.

A file is written elsewhere and put in place whole, so it is never read half. One that has gone
meanwhile, or is damaged, is left out.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COLUMNS = {
    **dict.fromkeys(("n",), "int64"),
    **dict.fromkeys(("path", "time"), "string"),
    **dict.fromkeys(("score", "threshold", "p_value"), "float64"),
    "anomalous": "bool_",
    **dict.fromkeys(("mse", "mae", "ssim", "brightness", "contrast", "sharpness"), "float64"),
    **dict.fromkeys(("unreadable", "product", "undecided"), "string"),
}
"""The columns of the table and their types. ``n`` counts images from 1, as they were scored."""
Row = dict[str, Any]
_AT_ONCE = 65_536
_MOST_PARTS = 2_000
_Counted = tuple[tuple[int, ...], Counter[tuple[int, str]]]
_NAMES = ("images", "judged", "flagged", "unreadable")


@dataclass
class WatchTable:
    """The files in `folder`; what a file that has not changed comes to is counted once.

    ``damaged`` are names of files that could not be read.
    """

    folder: Path
    damaged: set[str] = field(default_factory=set)
    _counted: dict[Path, _Counted] = field(default_factory=dict)

    def parts(self) -> list[tuple[int, Path]]:
        """The number of the first image of each file, and the file; in order."""
        found = sorted(self.folder.glob("part-*.parquet"))
        return [(int(one.stem[5:]), one) for one in found if one.stem[5:].isdigit()]

    def rows_between(self, start: str, end: str) -> dict[str, list[Any]]:
        """The rows whose time lies from `start` up to `end`, as columns."""
        parts = [part for _, part in self.parts()]
        return self._read(parts, [("time", ">=", start), ("time", "<", end)])

    def rows_of(self, first: int, last: int) -> list[Row]:
        """The rows of the images from `first` to `last`, in order; those that are kept."""
        parts = self.parts()
        ends = [n - 1 for n, _ in parts[1:]] + [last]
        within = [
            part for (n, part), end in zip(parts, ends, strict=False) if n <= last and end >= first
        ]
        found = self._read(within, [("n", ">=", first), ("n", "<=", last)])
        return [dict(zip(found, cells, strict=True)) for cells in zip(*found.values(), strict=True)]

    def periods(self, seconds: int, most: int) -> list[dict[str, int]]:
        """How many images came in each of the last `most` periods that have any, newest first.

        A period is so many seconds, counted in UTC from midnight 1970. ``judged`` are images with a
        score and a threshold or policy; of an open block, those that are not flagged so far count
        as not flagged. ``start`` is in seconds. Files are read from the newest on, 2,000 at most,
        and only as far as it takes.
        """
        total: Counter[tuple[int, str]] = Counter()
        kept = {}
        parts = self.parts()
        for _, part in reversed(parts[-_MOST_PARTS:]):
            counted = self._count(part, seconds)
            if counted is not None:
                kept[part] = counted
                total.update(counted[1])
            if len({period for period, _ in total}) > most:
                break
        is_cut = len(kept) < len(parts)
        self._counted = kept
        found = sorted({period for period, _ in total}, reverse=True)
        if is_cut and len(found) > 1:
            found = found[:-1]  # counted in part
        return [
            {"start": period * seconds, **{name: total[period, name] for name in _NAMES}}
            for period in found[:most]
        ]

    def _count(self, part: Path, seconds: int) -> _Counted | None:
        """What a file comes to, by period, and which version of it; None where it has none."""
        counted = None
        with self._whole(part):
            told = part.stat()
            counted, mark = self._counted.get(part), (told.st_mtime_ns, told.st_size, seconds)
            if counted is None or counted[0] != mark:
                counted = None  # until all of it is read
                counted = mark, _counts(part, seconds)
        return counted

    @contextlib.contextmanager
    def _whole(self, part: Path) -> Iterator[None]:
        """Leave out a file that has gone, or is damaged."""
        try:
            yield
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, NotImplementedError):
            self.damaged.add(part.name)

    def last_times(self, n: int) -> list[str]:
        """When the last images were scored, at most `n`, in order."""
        found: list[str] = []
        for _, part in reversed(self.parts()):
            with self._whole(part):
                for columns in _batches(part, ("time",)):
                    found = [*found, *map(str, filter(None, columns["time"]))][-n:]
            if found:
                break
        return found

    def _read(
        self, parts: Sequence[Path], within: list[tuple[str, str, Any]]
    ) -> dict[str, list[Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        read = [schema().empty_table()]
        for part in parts:
            with self._whole(part):
                found = pq.read_table(part, filters=within)
                there = [one for one in schema() if one.name in found.column_names]
                found = found.select([one.name for one in there]).cast(pa.schema(there))
                read.append(found)
        return dict(pa.concat_tables(read, promote_options="default").to_pydict())

    def last_number(self) -> int:
        """The number of the last image that is in the table; 0 without any."""
        import pyarrow.parquet as pq

        for first, part in reversed(self.parts()):
            with self._whole(part):
                if n := pq.read_metadata(part).num_rows:
                    return first + int(n) - 1
        return 0


def schema() -> Any:
    """The columns of a file, as pyarrow has them."""
    import pyarrow as pa

    return pa.schema([(name, getattr(pa, kind)()) for name, kind in COLUMNS.items()])


def text_of(name: str) -> str:
    """The name of a file as text that every table holds, where it is no UTF-8 too."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def is_undecided(row: Row) -> bool:
    """Whether an image has a score, and nothing is decided of its product."""
    return row["score"] is not None and row.get("undecided") is not None


def is_judged(columns: Mapping[str, Sequence[Any]]) -> NDArray[np.bool_]:
    """Which rows show a product that has a threshold; all where no products are told apart."""
    why = columns.get("undecided") or [None] * len(columns["time"])
    return np.array([one is None for one in why], np.bool_)


def _counts(part: Path, seconds: int) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for columns in _batches(part, ("time", "anomalous", "unreadable", "undecided")):
        times = np.asarray(columns["time"], "U19").astype("datetime64[s]").astype(np.int64)
        flagged = np.array([one is True for one in columns["anomalous"]])
        unread = np.array([one is not None for one in columns["unreadable"]])
        masks = (np.ones(len(times), np.bool_), ~unread & is_judged(columns), flagged, unread)
        for name, mask in zip(_NAMES, masks, strict=True):
            periods, n = np.unique(times[mask] // seconds, return_counts=True)
            for period, several in zip(periods.tolist(), n.tolist(), strict=True):
                found[period, name] += several
    return found


def _batches(part: Path, columns: Sequence[str]) -> Iterator[dict[str, list[Any]]]:
    """The cells of a file, some thousand rows at a time; `OSError` or `ValueError` where it cannot
    be read.
    """
    import pyarrow.parquet as pq

    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(_AT_ONCE, columns=list(columns)):
            yield batch.to_pydict()
