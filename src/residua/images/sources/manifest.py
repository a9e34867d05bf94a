"""A CSV manifest: ``path,label,mask,split,group``, of which only ``path`` must be there; and writing one."""

from __future__ import annotations

import csv
import difflib
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from residua.errors import SourceError
from residua.files import ensure_folder, write_text
from residua.images.columns import shared, texts
from residua.images.listing import PARTS, Files, Listing, Options, Quarantined, count
from residua.images.sources.walking import shown
from residua.images.stores import LocalFolder

COLUMNS = ("path", "label", "mask", "split", "group")


def recognises(path: Path) -> bool:
    """A file with the suffix ``.csv``."""
    return path.is_file() and path.suffix.lower() == ".csv"


def read(path: Path, options: Options) -> Listing:
    """One image a row; an empty cell is *none*. Paths are relative to the manifest, or to ``root``, and stay inside."""
    root = path.parent if options.root is None else options.root
    rows = _rows(path)
    _check_splits(path, [row.get("split") for row in rows])
    outside = [cell for row in rows for cell in (row["path"], row.get("mask")) if cell and _leaves(cell, root)]
    if outside:
        found = f"{count(len(outside), 'path')} that leave it, such as {outside[0]}"
        raise SourceError(
            f"{path}: paths must stay inside the folder {root}. Got {found}. "
            "Pass root= (--root) with the folder that holds the images, or write the manifest there."
        )
    quarantined = []
    kept = []
    inside = os.path.realpath(root)
    for row in rows:
        if _links_out(root / row["path"], inside):
            quarantined.append(Quarantined(shown(row["path"]), "a link that leads out of the folder: not followed"))
            continue
        if row.get("mask") and _links_out(root / row["mask"], inside):
            quarantined.append(Quarantined(shown(row["mask"]), "as a mask: a link that leads out of the folder: not followed"))
            row["mask"] = ""
        kept.append(row)
    return Listing(
        kind="CSV manifest",
        names=texts(shown(row["path"]) for row in kept),
        content=Files.of(LocalFolder(root), [row["path"] for row in kept], options.byte_limit),
        labels=_column(kept, "label"),
        splits=shared(row["split"].lower() for row in kept) if _column(kept, "split") is not None else None,
        groups=_column(kept, "group"),
        masks=[root / row["mask"] if row.get("mask") else None for row in kept] if _column(kept, "mask") is not None else None,
        quarantined=quarantined,
    )


def write_manifest(
    rows: Iterable[Mapping[str, str | Path | None]],
    path: str | Path,
    *,
    root: str | Path | None = None,
    copy: bool = False,
) -> Path:
    """Write a CSV manifest that `load_images` reads, atomically, and return its path.

    Parameters
    ----------
    rows : iterable of mappings
        ``path``, and where known ``label``, ``mask``, ``split`` (train, calibration or test) and ``group``.
    path : str or Path
        The manifest; its folder is made if it is not there.
    root : str or Path, optional
        The folder that paths are written relative to and have to lie in; the manifest's own if left out. Load such a
        manifest with the same ``root``.
    copy : bool
        Copy images and masks beside the manifest, so that it stands alone; their paths below `root` are kept.

    Raises
    ------
    SourceError
        If there is no row, a column is unknown, or a file lies outside `root`.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     manifest = write_manifest([{"path": f"{folder}/a.png", "label": "good"}], f"{folder}/parts.csv")
    ...     print(manifest.read_text())
    path,label
    a.png,good
    <BLANKLINE>
    """
    path = Path(path)
    ensure_folder(path.parent, where="write_manifest")
    base = Path(root) if root is not None else path.parent
    listed = [{name: _cell(name, value, base, path) for name, value in row.items()} for row in rows]
    if not listed:
        raise SourceError(
            "write_manifest: a manifest must have a row an image. Got none. Check the pattern that finds the images."
        )
    names = [name for name in COLUMNS if any(row.get(name) for row in listed)]
    _check_columns(path, sorted({name for row in listed for name in row}))
    if copy:
        for file in sorted({cell for row in listed for name in ("path", "mask") if (cell := row.get(name))}):
            target = path.parent / file
            if target.resolve() != (base / file).resolve():
                ensure_folder(target.parent, where="write_manifest")
                shutil.copyfile(base / file, target)
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    write_text(path, text.getvalue())
    return path


def _cell(name: str, value: str | Path | None, base: Path, path: Path) -> str:
    if value is None or value == "":
        return ""
    if name not in {"path", "mask"}:
        return str(value)
    below = Path(os.path.relpath(value, base))
    if below.is_absolute() or below.parts[:1] == (os.pardir,):
        raise SourceError(
            f"{path}: files must lie in {base}, which their paths are relative to. Got {value}. "
            "Pass root= with the folder that holds them, and copy=True for a manifest that stands alone."
        )
    return below.as_posix()


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", restkey="", skipinitialspace=True, strict=True)
            names = [name.strip().lower() for name in reader.fieldnames or ()]
            _check_columns(path, names)
            reader.fieldnames = names
            rows = [_row(path, reader.line_num, row) for row in reader]
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise SourceError(f"{path}: a manifest must be CSV in UTF-8. Got: {error}. Save it again as such.") from error
    if not rows:
        raise SourceError(f"{path}: a manifest must have a row an image. Got none below the header. Add rows.")
    return rows


def _row(path: Path, line: int, row: dict[str, str]) -> dict[str, str]:
    if "" in row:
        raise SourceError(
            f"{path}: rows must have as many cells as the header. Got more in line {line}. Quote cells with commas."
        )
    cells = {name: cell.strip() for name, cell in row.items()}
    if not cells["path"]:
        raise SourceError(f"{path}: every row must have a path. Got none in line {line}. Fill it in, or drop the row.")
    if "\0" in cells["path"] + cells.get("mask", ""):
        raise SourceError(f"{path}: a path must be one that a file system can hold. Got a NUL in line {line}. Correct it.")
    return cells


def _check_columns(path: Path, names: Sequence[str]) -> None:
    wrong = [name for name in names if name not in COLUMNS]
    if wrong:
        close = difflib.get_close_matches(wrong[0], COLUMNS, 1, 0.5)
        mend = f"Did you mean {close[0]!r}?" if close else "Drop the column."
        raise SourceError(
            f"{path}: the columns of a manifest are {', '.join(COLUMNS)}. Got {', '.join(map(repr, wrong))}. {mend}"
        )
    if "path" not in names:
        raise SourceError(f"{path}: a manifest must have a column path. Got {', '.join(names) or 'no header'}. Add it.")
    if len(set(names)) < len(names):
        raise SourceError(f"{path}: every column must occur once. Got {', '.join(names)}. Drop one of the same name.")


def _check_splits(path: Path, cells: Sequence[str | None]) -> None:
    values = sorted({cell.lower() for cell in cells if cell})
    wrong = [value for value in values if value not in PARTS]
    if wrong:
        validation = any(value in {"val", "valid", "validation"} for value in wrong)
        mend = "Validation is a slice that train gives up by itself: write train" if validation else "Rename those parts"
        raise SourceError(f"{path}: split must be train, calibration or test. Got {', '.join(map(repr, wrong))}. {mend}.")
    n_empty = sum(not cell for cell in cells)
    if values and n_empty:
        raise SourceError(
            f"{path}: split must be given in every row or in none. Got {count(n_empty, 'row')} without. Fill them in."
        )


def _leaves(cell: str, root: Path) -> bool:
    below = Path(os.path.relpath(root / cell, root))  # lexical: what links do is looked at file by file
    return below.is_absolute() or below.parts[:1] == (os.pardir,)


def _links_out(path: Path, inside: str) -> bool:
    return os.path.commonpath([inside, os.path.realpath(path)]) != inside


def _column(rows: Sequence[Mapping[str, str]], name: str) -> NDArray[Any] | None:
    cells = shared(row.get(name) or None for row in rows)
    return cells if any(cells) else None
