"""A history of losses, one line an epoch, is no set of images: it is known by the names of its
columns.
"""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from residua._check import Problems
from residua.errors import InputError

_LONGEST_JSON = 1 << 20


def refuse_history(source: Any, name: str, problems: Problems) -> bool:
    """Note a problem where `source` holds losses of epochs: a mapping, a table, an archive or a
    JSON file with their names.
    """
    try:
        names = list(_names(source))
    except (OSError, ValueError, csv.Error, zipfile.BadZipFile):
        return False  # whoever reads it says what is wrong with it
    if not is_history(names):
        return False
    must = f"--{name} must hold one value or one image per image"
    got = f"a history of training ({', '.join(names[:6])}): one row an epoch"
    mend = (
        "Pass the errors of images: what the trained model makes of each, not what it printed while"
        " it trained"
    )
    problems.add(must, got, mend, InputError)
    return True


def is_history(names: Iterable[str]) -> bool:
    """Whether columns of these names are losses of epochs. A column called ``loss`` alone may hold
    one loss per image.

    Examples
    --------
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
