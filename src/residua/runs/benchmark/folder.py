"""The folder that makes a benchmark resumable: what was asked, and a JSON file for each thing that
is finished.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from residua._files import ensure_folder, in_a_line, read_json, write_json
from residua.errors import BundleError, InputError

Record = dict[str, Any]
_FORMAT, _FORMAT_VERSION = "residua-benchmark", 1
_BASELINES = "baselines"


@dataclass(frozen=True)
class BenchmarkFolder:
    """``benchmark.json`` and ``fits/*.json`` in `path`; with None nothing is kept."""

    path: Path | None

    def begin(self, asked: Record) -> None:
        """Take the folder for what was `asked` (everything that a figure depends on), or refuse one
        begun for something else.

        Raises InputError if the folder was begun with other options or other images, each of which
        is named.
        """
        if self.path is None:
            return
        ensure_folder(self.path / "fits", where="benchmark --out")
        target, wanted = (
            self.path / "benchmark.json",
            {
                "format": _FORMAT,
                "format_version": _FORMAT_VERSION,
                **asked,
            },
        )
        if not target.exists():
            write_json(target, wanted)
            return
        begun = _read(target)
        changed = [name for name in wanted if begun.get(name) != wanted[name]]
        if changed:
            got = ", ".join(
                f"{name} {wanted[name]!r} (begun with {begun.get(name)!r})" for name in changed
            )
            raise InputError(
                f"{self.path}: a benchmark must be resumed with the options it was begun with. Got"
                f" {got}. Repeat them, or name another folder with --out; classes, recipes and the"
                " number of seeds may change."
            )

    def fit(self, label: str, recipe: str, seed: int) -> Record | None:
        """What is known of a finished fit; None while it is not finished."""
        return self._known(label, recipe, seed)

    def baselines(self, label: str) -> Record | None:
        """What is known of the baselines of a class."""
        return self._known(label, _BASELINES, None)

    def keep(self, record: Record) -> None:
        """Write a finished fit, or a class's baselines (no ``recipe``), whole or not at all."""
        if self.path is not None:
            write_json(
                self._file(record["class"], record.get("recipe", _BASELINES), record.get("seed")),
                record,
            )

    def _known(self, label: str, recipe: str, seed: int | None) -> Record | None:
        if self.path is None or not (target := self._file(label, recipe, seed)).exists():
            return None
        return _read(target)

    def _file(self, label: str, recipe: str, seed: int | None) -> Path:
        assert self.path is not None
        return (
            self.path
            / "fits"
            / f"{_safe(label)}--{recipe}{'' if seed is None else f'--{seed}'}.json"
        )


def _read(path: Path) -> Record:
    try:
        value = read_json(path)
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{path}: must be what `residua benchmark` wrote. Got: {in_a_line(error)}. Delete it"
            " and repeat the command."
        ) from None
    if not isinstance(value, dict):
        raise BundleError(
            f"{path}: must be what `residua benchmark` wrote. Got a {type(value).__name__}. Delete"
            " it and repeat."
        )
    return value


def _safe(label: str) -> str:
    """`label` in a file name; one that had to be changed carries a checksum, to be unique."""
    name = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "._-") else "_"
        for letter in label
    )[:80]
    return (
        name if name == label and "--" not in label else f"{name}-{zlib.crc32(label.encode()):08x}"
    )
