"""Arrays from ``.npy``, ``.npz`` and ``.csv`` files of any framework, without pickle, with every
problem told at once; a history of losses is known by the names of its columns and refused.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from residua._check import Problems, unmasked
from residua._files import NUMPY_FAULTS
from residua._tables import read_cells, read_parquet
from residua.errors import InputError, ShapeError, SourceError
from residua.evaluation.arrays.column import MAY_BE_MISSING, RECONSTRUCTIONS, Column, Role
from residua.evaluation.arrays.table import Classes, read_table
from residua.evaluation.labels import without_missing

_LONGEST_JSON = 1 << 20
_TABLES = (".csv", ".tsv", ".txt", ".parquet")
_UNNAMED = Classes()


def read(source: Any, role: Role, problems: Problems, classes: Classes = _UNNAMED) -> Column | None:
    """Read one argument: an array as it is, a path from its file; None (and a problem) where it
    can't be.

    ``file.npz:NAME`` and ``file.csv:COLUMN`` name one array or column of several. `classes` are
    those that a header of predictions may name.
    """
    if source is None or refuse_history(source, role.name, problems):
        return None
    if not isinstance(source, str | Path):
        return _array(source, role, problems)
    path, wanted = _split(str(source))
    kind = path.suffix.lower()
    where = f"--{role.name} {path}"
    try:
        if not path.is_file():
            problems.add(
                f"{where} must be a file",
                "a folder" if path.is_dir() else "nothing there",
                "Check the path",
                SourceError,
            )
        elif path.stat().st_size == 0:
            problems.add(
                f"{where} must not be empty", "an empty file", "Write the array again", SourceError
            )
        elif path.stat().st_size > LIMIT_MEGABYTES * 2**20:
            problems.add(
                f"{where} must have at most {LIMIT_MEGABYTES} MB",
                f"{path.stat().st_size >> 20} MB",
                "Judge a part",
                SourceError,
            )
        elif kind == ".npy":
            return Column(np.asarray(np.load(path, mmap_mode="r", allow_pickle=False)))
        elif kind == ".npz":
            return _npz(path, wanted, role, where, problems)
        elif kind in _TABLES:
            cells = (
                read_parquet(path, most_megabytes=LIMIT_MEGABYTES)
                if kind == ".parquet"
                else read_cells(path)
            )
            return read_table(cells, wanted, role, where, classes, problems=problems)
        else:
            problems.add(
                f"{where} must be .npy, .npz, .csv, .tsv or .parquet",
                kind or "no ending",
                "Save it with numpy.save, or as CSV",
                SourceError,
            )
    except SourceError as error:
        must, _, rest = str(error).removeprefix(f"{path}: ").partition(". Got")
        got, _, mend = rest.lstrip(": ").rpartition(". ")
        problems.add(f"{where}: {must}", got, mend.rstrip("."), SourceError)
    except NUMPY_FAULTS as error:
        holds_objects = "Python objects" in str(error) or "Object arrays" in str(error)
        mend = "Write it again" if kind in _TABLES else "Write it again with numpy.save"
        if holds_objects:
            mend = (
                "Objects (pickle) are never loaded: write names as text, numpy.save(file,"
                " labels.astype(str))"
            )
        problems.add(
            f"{where} must be readable",
            (
                "Python objects"
                if holds_objects
                else (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
            ),
            mend,
            SourceError,
        )
    return None


def _array(source: Any, role: Role, problems: Problems) -> Column | None:
    """An array as it is, NaN in it too; only labels and groups may be missing."""
    if role not in MAY_BE_MISSING:
        source = unmasked(source, f"--{role.name}", problems)
    try:
        return Column(without_missing(source) if role in MAY_BE_MISSING else np.asarray(source))
    except ValueError:
        return problems.instead(
            None,
            f"--{role.name} must form one array",
            "parts that do not stack",
            "Give all the same shape",
            ShapeError,
        )


def _split(text: str) -> tuple[Path, str | None]:
    """``file.npz:NAME`` into its parts; a colon elsewhere belongs to the path."""
    path = Path(text)
    head, colon, name = text.rpartition(":")
    return (
        (Path(head), name)
        if colon and not path.exists() and Path(head).suffix.lower() in (".npz", *_TABLES)
        else (path, None)
    )


def _npz(
    path: Path, wanted: str | None, role: Role, where: str, problems: Problems
) -> Column | None:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > LIMIT_MEGABYTES * 2**20:
        return problems.instead(
            None,
            f"{where} must hold at most {LIMIT_MEGABYTES} MB",
            f"{unpacked >> 20} MB unpacked",
            "Judge a part",
            SourceError,
        )
    with np.load(path, allow_pickle=False) as arrays:
        name = wanted or _chosen(arrays.files, role)
        if name not in arrays.files:
            return problems.instead(
                None,
                f"{where} must hold an array {wanted or 'called ' + role.known_as[0]}",
                ", ".join(arrays.files[:8]) or "no array",
                (
                    f"Name one: {path.name}:{arrays.files[0]}"
                    if arrays.files
                    else "Write it again with numpy.savez"
                ),
                ShapeError,
            )
        ids = next(
            (
                arrays[key]
                for key in ("ids", "paths", "id", "path")
                if key in arrays.files and key != name
            ),
            None,
        )
        return Column(arrays[name], ids, name=name)


def _chosen(names: list[str], role: Role) -> str | None:
    if len(names) == 1:
        return names[0]
    # Of several arrays without names, or an "x" beside others, nothing says that the
    # reconstructions are among them.
    unclear = ("arr_0", "x") if role is RECONSTRUCTIONS else ("arr_0",)
    return next((known for known in role.known_as if known in names and known not in unclear), None)


def refuse_history(source: Any, name: str, problems: Problems) -> bool:
    """Note a problem where `source` holds losses of epochs, by the names of its columns."""
    try:
        names = list(_names(source))
    except (OSError, ValueError, csv.Error, zipfile.BadZipFile):
        return False  # whoever reads it says what is wrong with it
    if not is_history(names):
        return False
    return problems.instead(
        True,
        f"--{name} must hold one value, or one picture, per image",
        f"a history of training ({', '.join(names[:6])}): one row per epoch",
        "Pass the errors of images: what the trained model makes of each, not what it printed"
        " while it trained",
        InputError,
    )


def is_history(names: Iterable[str]) -> bool:
    """Whether columns of these names are losses of epochs; ``loss`` alone may be of images.

    >>> is_history(["epoch", "loss", "val_loss"]), is_history(["id", "loss"])
    (True, False)
    """
    told = [name.strip().lower() for name in names]
    of_losses = [name for name in told if "loss" in name]
    counts_epochs = any(name in ("epoch", "epochs") for name in told)
    return any(name.startswith(("val_loss", "validation_loss", "valid_loss")) for name in told) or (
        counts_epochs and bool(of_losses)
    )


def _names(source: Any) -> Iterable[str]:
    if isinstance(source, Mapping):
        return [str(key) for key in source]
    if not isinstance(source, str | Path):
        return []
    path = Path(source)
    if not path.is_file():
        path = Path(str(source).rpartition(":")[0])
    kind = path.suffix.lower()
    if not path.is_file():
        return []
    if kind == ".npz":
        with zipfile.ZipFile(path) as archive:
            return [entry.removesuffix(".npy") for entry in archive.namelist()]
    if kind == ".json" and path.stat().st_size < _LONGEST_JSON:
        held = json.loads(path.read_text(encoding="utf-8"))
        return [str(key) for key in held] if isinstance(held, dict) else []
    if kind not in (".csv", ".tsv", ".txt"):
        return []
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        line = file.readline(10_000)
    return next(csv.reader([line], delimiter=max(",;\t", key=line.count)), [])


LIMIT_MEGABYTES = 16_384


_READ = {".csv", ".tsv", ".txt", ".parquet"}


def beside(named: Any, given: Sequence[Any]) -> Any:
    """``FILE:COLUMN`` where `named` is no file but a column of a `given` table; else as it is."""
    if not isinstance(named, str) or Path(named).suffix.lower() or Path(named).exists():
        return named
    for source in given:
        if isinstance(source, str | Path) and (path := _table(source)) and named in _header(path):
            return f"{path}:{named}"
    return named


def _table(source: str | Path) -> Path | None:
    """The file of a table; of ``FILE:COLUMN`` too."""
    for path in (Path(source), Path(str(source).rpartition(":")[0])):
        if path.suffix.lower() in _READ and path.is_file():
            return path
    return None


def _header(path: Path) -> list[str]:
    try:
        cells = (
            read_parquet(path, most_megabytes=LIMIT_MEGABYTES)
            if path.suffix.lower() == ".parquet"
            else read_cells(path)
        )
    except SourceError:
        return []  # whoever reads its values says what is wrong with it
    return [cell.strip() for cell in cells.rows[0]] if cells.rows else []
