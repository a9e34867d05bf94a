"""A CSV manifest: ``path,label,mask,split,group``, of which only ``path`` must be there.

And writing one.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from residua._files import ensure_folder, write_text
from residua._text import count, few
from residua.errors import SourceError
from residua.images.columns import shared, texts
from residua.images.listing import Files, Listing, Options
from residua.images.sources.manifest_files import ManifestFiles
from residua.images.sources.manifest_table import COLUMNS, Row, check_columns, read_table
from residua.images.sources.split_folders import PART_FOLDERS
from residua.images.sources.walking import shown
from residua.images.stores import LocalFolder
from residua.records import Assumption


def recognises(path: Path) -> bool:
    """A file with the suffix ``.csv``."""
    return path.is_file() and path.suffix.lower() == ".csv"


def read(path: Path, options: Options) -> Listing:
    """One image a row; an empty cell is *none*; paths stay inside the manifest's or ``root``."""
    root = path.parent if options.root is None else options.root
    if not root.is_dir():
        raise SourceError(
            f"{path}: root must be a folder. Got {root}, where none is. Check the spelling of root="
            " (--root)."
        )
    table = read_table(path)
    splits, told = _splits(path, [row["split"] for row in table.rows])
    files = ManifestFiles(path, root, table.rows)
    kept = files.once(files.there())
    rows = [table.rows[place] for place in kept]
    used = {options.group_column, options.product_column}
    return Listing(
        kind="CSV manifest",
        names=texts(shown(row["path"]) for row in rows),
        content=Files.of(LocalFolder(root), [row["path"] for row in rows], options.byte_limit),
        labels=_column(rows, "label"),
        splits=None if splits is None else shared(splits[place] for place in kept),
        groups=_column(rows, "group"),
        group_column=table.group_column,
        masks=files.masks(kept),
        own={name: texts(row.cells[place] for row in rows) for name, place in table.own.items()},
        quarantined=files.quarantined,
        notes=[*files.notes, *_about_own([name for name in table.own if name not in used])],
        assumptions=[*table.assumptions, *files.assumptions, *told],
    )


def write_manifest(
    rows: Iterable[Mapping[str, str | Path | None]],
    path: str | Path,
    *,
    root: str | Path | None = None,
    copy: bool = False,
) -> Path:
    """Write a CSV manifest that `load_images` reads, atomically, and return its path.

    Raises SourceError if there is no row, a column is unknown, or a file lies outside `root`.

    Parameters
    ----------
    rows : iterable of mappings
        ``path``, and where known ``label``, ``mask``, ``split`` (train, calibration or test) and
        ``group``.
    path : str or Path
        The manifest; its folder is made if it is not there.
    root : str or Path, optional
        The folder that paths are written relative to and have to lie in; the manifest's own if left
        out. Load such a manifest with the same ``root``.
    copy : bool
        Copy images and masks beside the manifest, so that it stands alone; their paths below `root`
        are kept.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     manifest = write_manifest(
    ...         [{"path": f"{folder}/a.png", "label": "good"}], f"{folder}/parts.csv"
    ...     )
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
            "write_manifest: a manifest must have one row per image. Got none. Check the pattern"
            " that finds the images."
        )
    names = [name for name in COLUMNS if any(row.get(name) for row in listed)]
    check_columns(path, sorted({name for row in listed for name in row}))
    if copy:
        for file in sorted(
            {cell for row in listed for name in ("path", "mask") if (cell := row.get(name))}
        ):
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
    try:
        below = Path(os.path.relpath(value, base))
    except ValueError:  # another drive of Windows
        below = Path(os.pardir, value)
    if below.is_absolute() or below.parts[:1] == (os.pardir,):
        raise SourceError(
            f"{path}: files must lie in {base}, which their paths are relative to. Got {value}."
            " Pass root= with the folder that holds them, and copy=True for a manifest that stands"
            " alone."
        )
    return below.as_posix()


def _about_own(own: list[str]) -> list[str]:
    """A note on columns that are not read, so that nobody takes them for a label or a split."""
    if not own:
        return []
    return [
        f"{count(len(own), 'column')} kept as {'it is' if len(own) == 1 else 'they are'}, and not"
        f" used: {few(own, 8)}"
    ]


def _splits(path: Path, cells: Sequence[str]) -> tuple[list[str] | None, list[Assumption]]:
    """The part of every row, None where no row has one; validation joins train, as in folders."""
    lowered = [cell.lower() for cell in cells]
    values = sorted({cell for cell in lowered if cell})
    wrong = [value for value in values if value not in PART_FOLDERS]
    if wrong:
        raise SourceError(
            f"{path}: split must be train, calibration or test. Got {', '.join(map(repr, wrong))}."
            " Rename those parts."
        )
    n_empty = lowered.count("")
    if values and n_empty:
        raise SourceError(
            f"{path}: split must be given in every row or in none. Got {count(n_empty, 'row')}"
            " without. Fill them in."
        )
    if not values:
        return None, []
    renamed = {value: PART_FOLDERS[value] for value in values if PART_FOLDERS[value] != value}
    told = [
        Assumption(
            about="parts of the manifest",
            taken=", ".join(f"{value} as {part}" for value, part in renamed.items()),
            because=(
                "train gives up its own validation slice"
                if "train" in renamed.values()
                else "by their names"
            ),
            to_tell="write train, calibration or test",
        )
    ]
    return [PART_FOLDERS[cell] for cell in lowered], told if renamed else []


def _column(rows: Sequence[Row], name: str) -> NDArray[Any] | None:
    cells = shared(row[name] or None for row in rows)
    return cells if any(cells) else None
