"""Scores of a table that is there already, so that a source that has grown is not scored again.

A score depends on the image and the model alone, so it is remembered by the hash of what was read:
a renamed image keeps its score, a changed one loses it.
"""

from __future__ import annotations

import csv
import json
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._files import atomic_write, has_sha256, read_arrays, read_lines, sha256
from residua.errors import BundleError

DIGEST = 16
"""Bytes of the hash of an image: BLAKE2b-128 of its file, or of its pixels where it has none."""
_TYPE = f"S{DIGEST}"  # trailing zeros are cut off on both sides of each comparison alike


@dataclass(frozen=True)
class EarlierScores:
    """What a model said of some images, by their hashes, which ascend.

    ``numbers`` are float32, (n_images, n_columns); ``flagged`` says which lie above the threshold.

    >>> two = bytes([2]) * 16, bytes([1]) * 16
    >>> scores = np.array([[0.2], [0.1]])
    >>> earlier = EarlierScores.of_rows(b"".join(two), scores, np.array([True, False]))
    >>> earlier.find(two[0]), earlier.find(bytes([3]) * 16)
    (1, None)
    >>> earlier.of([1])[1].tolist()
    [True]
    """

    digests: NDArray[np.bytes_]
    numbers: NDArray[np.float32]
    flagged: NDArray[np.bool_]

    @classmethod
    def of_rows(cls, digests: bytes, numbers: NDArray[Any], flagged: NDArray[Any]) -> EarlierScores:
        """From rows in any order, ``digests`` in a row; those that were unreadable are left out."""
        keys = np.frombuffer(digests, _TYPE)
        _, first = np.unique(keys, return_index=True)
        first = first[keys[first] != b""]
        return cls(
            keys[first],
            np.asarray(numbers, np.float32)[first],
            np.asarray(flagged, np.bool_)[first],
        )

    def __len__(self) -> int:
        return len(self.digests)

    def find(self, digest: bytes) -> int | None:
        """The row of an image, None where it was not scored before."""
        place = int(np.searchsorted(self.digests, np.bytes_(digest)))
        is_there = place < len(self.digests) and self.digests[place] == digest.rstrip(b"\0")
        return place if is_there else None

    def of(self, rows: Sequence[int]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Numbers and decisions of some rows."""
        return self.numbers[list(rows)], self.flagged[list(rows)]

    def joined(self, other: EarlierScores) -> EarlierScores:
        """What either of both remembers."""
        return EarlierScores.of_rows(
            self.digests.tobytes() + other.digests.tobytes(),
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.flagged, other.flagged]),
        )

    def n_missing_from(self, digests: bytes) -> int:
        """How many images are not among `digests`: they are gone, or have changed."""
        return int((~np.isin(self.digests, np.frombuffer(digests, _TYPE))).sum())

    def save(self, path: Path) -> None:
        """Write a ``.npz`` without objects, atomically."""
        with atomic_write(path) as file:
            np.savez(
                file, digests=self.digests.astype(_TYPE), numbers=self.numbers, flagged=self.flagged
            )

    @classmethod
    def load(cls, path: Path) -> EarlierScores | None:
        """Read what `save` wrote; None where it is not there or damaged."""
        try:
            arrays = read_arrays(path)
            found = cls(arrays["digests"], arrays["numbers"], arrays["flagged"])
        except (OSError, BundleError, KeyError):
            return None
        ascend = bool((found.digests[1:] > found.digests[:-1]).all())
        n = len(found.digests)
        fits = found.digests.dtype == np.dtype(_TYPE) and len(found.numbers) == n
        return found if ascend and fits and found.flagged.shape == (n,) else None


@dataclass(frozen=True)
class Memory:
    """The file beside a finished table that says what its rows were made from and by what.

    It is of use only with that very table: the table's own hash stands in it.
    """

    path: Path
    table: Path

    def write(self, made_by: dict[str, Any], digests: bytes) -> None:
        """Remember a table just written: ``digests`` of its rows, in order."""
        facts = json.dumps({"made_by": made_by, "sha256": sha256(self.table)})
        with atomic_write(self.path) as file:
            np.savez(
                file,
                facts=np.frombuffer(facts.encode(), np.uint8),
                digests=np.frombuffer(digests, np.uint8),
            )

    def made_by(self) -> dict[str, Any] | None:
        """What the table was made by; None where that is not known, or the table was changed."""
        try:
            facts = json.loads(read_arrays(self.path)["facts"].tobytes())
            is_whole = has_sha256(self.table, facts["sha256"])
        except (OSError, BundleError, KeyError, TypeError, ValueError):
            return None
        made_by = facts["made_by"]
        return made_by if is_whole and isinstance(made_by, dict) else None

    def scores(self, columns: Sequence[str], numbers: Sequence[str]) -> EarlierScores | None:
        """The scores of the table, whose ``columns`` are known, by the hashes of its images."""
        try:
            digests = read_arrays(self.path)["digests"].tobytes()
        except (OSError, BundleError, KeyError):
            return None
        suffix = self.table.suffix
        return read_earlier([self.table], suffix, digests, columns, numbers, has_header=True)


def read_earlier(
    tables: Iterable[Path],
    suffix: str,
    digests: bytes,
    columns: Sequence[str],
    numbers: Sequence[str],
    *,
    has_header: bool,
) -> EarlierScores | None:
    """The scores of tables that residua wrote, by the hashes of their images; None where rows and
    hashes do not fit together.

    - `tables`: paths.
    - `suffix`: ``.csv`` or ``.parquet``.
    - `digests`: bytes. Sixteen of each row, in order.
    - `columns`, `numbers`: strings. The names of all columns in order, and of those to remember.
    - `has_header`: Whether the first line of a CSV file names its columns.
    """
    places = [list(columns).index(name) for name in numbers]
    flag = list(columns).index("anomalous")
    values, flagged = array("f"), array("b")
    for table in tables:
        for row in rows_of(table, suffix, has_header=has_header):
            values.extend(_number(row[place]) for place in places)
            flagged.append(row[flag] in ("true", True))
    if len(digests) != DIGEST * len(flagged):
        return None
    scores = np.array(values, np.float32).reshape(len(flagged), len(numbers))
    return EarlierScores.of_rows(digests, scores, np.array(flagged, np.bool_))


def rows_of(table: Path, suffix: str, *, has_header: bool) -> Iterable[Sequence[Any]]:
    """The rows of a table that residua wrote: texts of CSV, values of Parquet."""
    return _csv_rows(table, has_header) if suffix == ".csv" else _parquet_rows(table)


def _csv_rows(table: Path, has_header: bool) -> Iterable[Sequence[Any]]:
    rows = csv.reader(read_lines(table))
    if has_header:
        next(rows, None)
    return rows


def _parquet_rows(table: Path) -> Iterable[Sequence[Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(table) as file:
        for group in range(file.num_row_groups):
            read = file.read_row_group(group)
            yield from zip(*(column.to_pylist() for column in read.columns), strict=True)


def _number(cell: Any) -> float:
    return float("nan") if cell in ("", None) else float(cell)
