"""The files that a manifest names: found where they lie, kept inside their folder, each once."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from residua._text import count
from residua.errors import SourceError
from residua.images.listing import AS_MASK, Quarantined
from residua.images.masks import MaskFiles
from residua.images.sources.manifest_table import Row
from residua.images.sources.walking import leads_out, shown
from residua.records import Assumption

_LINK = "a link that leads out of the folder: not followed"


class ManifestFiles:
    """The files of a manifest's rows, whose paths are put right, which is told."""

    def __init__(self, path: Path, root: Path, rows: Sequence[Row]) -> None:
        self._path, self._root, self._rows = path, root, rows
        self.quarantined: list[Quarantined] = []
        self.notes: list[str] = []
        self.assumptions: list[Assumption] = []
        self._masks: dict[int, list[Path]] = {}
        self._real: dict[str, str] = {}
        self._turn_slashes()
        self._refuse_unlike_paths()
        self._refuse_outside()

    def there(self) -> list[int]:
        """The rows whose image is there; the others are quarantined with their line."""
        kept, n_missing, n_respelt = [], 0, 0
        for place, row in enumerate(self._rows):
            found = self._found(row["path"])
            if found is None:
                n_missing += 1
                self.quarantined.append(
                    Quarantined(shown(row["path"]), f"there is no such file (line {row.line})")
                )
            elif self._links_out(found):
                self.quarantined.append(Quarantined(shown(found), _LINK))
            else:
                n_respelt += found != row["path"]
                row["path"] = found
                kept.append(place)
        if n_missing == len(self._rows):
            raise SourceError(self._none_there())
        if n_respelt:
            self.notes.append(
                f"{count(n_respelt, 'file')} {'is' if n_respelt == 1 else 'are'} spelt with other"
                " code points than in the manifest (NFC, NFD)"
            )
        return kept

    def once(self, places: Sequence[int]) -> list[int]:
        """Each image's first row, masks joined; `SourceError` where rows contradict each other."""
        first: dict[str, int] = {}
        for place in places:
            row = self._rows[place]
            before = self._rows[first.setdefault(os.path.normpath(row["path"]), place)]
            if any(row[name] != before[name] for name in ("label", "split", "group")):
                said = [
                    ", ".join(filter(None, (one[name] for name in ("label", "split", "group"))))
                    or "none"
                    for one in (before, row)
                ]
                raise SourceError(
                    f"{self._path}: an image must occur once, or with the same label, split and"
                    f" group. Got {row['path']} twice: {said[0]} in line {before.line}, {said[1]}"
                    f" in line {row.line}. Drop or correct one of them."
                )
            self._take_mask(first[os.path.normpath(row["path"])], row)
        n_more = len(places) - len(first)
        if n_more:
            self.notes.append(
                f"{n_more:,} {'row names an image' if n_more == 1 else 'rows name images'} for the"
                " second time, with the same label: left out, their masks joined"
            )
        return list(first.values())

    def masks(self, places: Sequence[int]) -> list[MaskFiles | None] | None:
        """The mask files of each row."""
        if not any(row["mask"] for row in self._rows):
            return None
        found = [tuple(dict.fromkeys(self._masks.get(place, ()))) for place in places]
        return [None if not files else files[0] if len(files) == 1 else files for files in found]

    @cached_property
    def _inside(self) -> str:
        return os.path.realpath(self._root)

    def _take_mask(self, place: int, row: Row) -> None:
        cell = row["mask"]
        if not cell:
            return
        found = self._found(cell)
        if found is None:
            self.quarantined.append(
                Quarantined(shown(cell), f"{AS_MASK}there is no such file (line {row.line})")
            )
        elif self._links_out(found):
            self.quarantined.append(Quarantined(shown(cell), f"{AS_MASK}{_LINK}"))
        else:
            self._masks.setdefault(place, []).append(self._root / found)

    def _turn_slashes(self) -> None:
        """Paths as Windows writes them; a file whose name holds a backslash is taken as it is."""
        turned = [row for row in self._rows if "\\" in row["path"] + row["mask"]]
        if (
            os.sep == "\\"
            or not turned
            or any(
                os.path.lexists(self._root / row["path"]) for row in turned if "\\" in row["path"]
            )
        ):
            return
        example = turned[0]["path"]
        for row in turned:
            for name in ("path", "mask"):
                if row[name]:
                    row[name] = row[name].replace("\\", "/")
        self.assumptions.append(
            Assumption(
                about="paths of the manifest",
                taken="backslashes as slashes",
                because=f"no file has one in its name, such as {example}",
                to_tell="write paths with slashes",
            )
        )

    def _refuse_unlike_paths(self) -> None:
        """Refuse cells that lead nowhere whatever the root is, and images as their own masks."""
        for row in self._rows:
            for cell in (row["path"], row["mask"]):
                if cell.startswith("~/") or "://" in cell:
                    raise SourceError(
                        f"{self._path}: paths must lead to files in {self._root}. Got {cell} in"
                        f" line {row.line}. Write them relative to that folder, without"
                        f" {'~' if cell[0] == '~' else 'a URL'}."
                    )
            is_image = bool(row["mask"]) and os.path.normpath(row["mask"]) == os.path.normpath(
                row["path"]
            )
            if is_image and os.path.lexists(self._root / row["path"]):
                raise SourceError(
                    f"{self._path}: a mask must be a file of its own. Got {row['path']} as image"
                    f" and as mask in line {row.line}. Name the mask's file, or leave the cell"
                    " empty."
                )

    def _refuse_outside(self) -> None:
        outside = [
            (cell, row.line)
            for row in self._rows
            for cell in (row["path"], row["mask"])
            if cell and self._leaves(cell)
        ]
        if outside:
            raise SourceError(
                f"{self._path}: paths must stay inside the folder {self._root.resolve()}. Got"
                f" {count(len(outside), 'path')} that leave it, such as {outside[0][0]} in line"
                f" {outside[0][1]}. Pass root= (--root) with the folder that holds the images, or"
                " write the manifest there."
            )

    def _leaves(self, cell: str) -> bool:
        if cell[1:3] == ":/" and cell[0].isalpha():
            return True
        if ".." not in cell and not cell.startswith(("/", os.sep)):
            return False
        # Lexical: links are looked at file by file.
        try:
            below = Path(os.path.relpath(self._root / cell, self._root))
        except ValueError:  # another drive of Windows
            return True
        return below.is_absolute() or below.parts[:1] == (os.pardir,)

    def _found(self, cell: str) -> str | None:
        """The path of the file, whose letters may be spelled otherwise; None where none is."""
        spellings = (
            (cell,)
            if cell.isascii()
            else (cell, *(unicodedata.normalize(form, cell) for form in ("NFC", "NFD")))
        )
        return next((one for one in spellings if os.path.lexists(self._root / one)), None)

    def _links_out(self, cell: str) -> bool:
        folder, name = os.path.split(self._root / cell)
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        file = Path(self._real[folder], name)
        plain = name not in {"", ".", ".."} and not file.is_symlink()
        return leads_out(str(file) if plain else os.path.realpath(file), self._inside)

    def _none_there(self) -> str:
        row = self._rows[0]
        parents = [
            folder
            for folder in self._root.resolve().parents[:2]
            if os.path.lexists(folder / row["path"])
        ]
        mend = (
            f"It lies in {parents[0]}: pass that" if parents else "Pass the folder that they lie in"
        )
        if (near := self._nearly(row["path"])) is not None:
            return (
                f"{self._path}: paths must be spelt as the files are. Got none of"
                f" {len(self._rows):,} that is there, such as {row['path']} in line {row.line}."
                f" Write {near}."
            )
        return (
            f"{self._path}: the files that a manifest names must lie in {self._root}. Got none of"
            f" {len(self._rows):,}, such as {row['path']} in line {row.line}. {mend} as root="
            " (--root)."
        )

    def _nearly(self, cell: str) -> str | None:
        """A file whose path differs by case, or by the suffix that is left out."""
        named = Path(cell)
        try:
            there = sorted((self._root / named.parent).iterdir())
        except OSError:
            return None
        wanted = named.name.lower()
        found = next((one for one in there if wanted in {one.name.lower(), one.stem.lower()}), None)
        return None if found is None else (named.parent / found.name).as_posix()
