"""`tested.json` and `acceptance.json`: each time that a run judged images, and the criteria that
were fixed before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from residua._files import checksum, one_writer, read_record, write_json
from residua.errors import BundleError
from residua.evaluation import Evidence
from residua.evaluation.dossier.protocol import (
    Acceptance,
    TestedEntry,
    packed_digests,
    unpacked_digests,
)
from residua.evaluation.report import to_json
from residua.images.hashing import of_hex
from residua.records import Evaluation, Record
from residua.runs.run_folder import RunFolder

_MOST_BYTES = 1 << 30
_WAIT = 20.0
_MEND = "Restore a copy: nothing else tells which criteria stood before which test."


class _Tested(Record):
    format: Literal["residua-tested"] = "residua-tested"
    format_version: Literal[1] = 1
    entries: tuple[TestedEntry, ...] = ()
    checksum: str = ""


class _Acceptances(Record):
    format: Literal["residua-acceptance"] = "residua-acceptance"
    format_version: Literal[1] = 1
    versions: tuple[Acceptance, ...] = ()
    checksum: str = ""


_Kept = TypeVar("_Kept", _Tested, _Acceptances)


def read_tested(folder: RunFolder) -> tuple[TestedEntry, ...]:
    """The evaluations of a run and of those that it has learnt from, the first one first.

    Raises BundleError if the file is damaged.
    """
    return _read(folder.path / "tested.json", _Tested).entries


def read_acceptances(folder: RunFolder) -> tuple[Acceptance, ...]:
    """A run's criteria, the version in force last; raises BundleError if damaged."""
    return _read(folder.path / "acceptance.json", _Acceptances).versions


def write_acceptances(folder: RunFolder, versions: tuple[Acceptance, ...]) -> None:
    """Write `acceptance.json`; the caller holds the run's lock."""
    _write(folder.path / "acceptance.json", _Acceptances(versions=versions))


def record_tested(folder: RunFolder, evaluation: Evaluation, evidence: Evidence) -> None:
    """Add that these images were judged to `tested.json`."""
    if evidence.pixel_hashes is None or not len(evidence.pixel_hashes):
        return
    hashes = np.asarray(evidence.pixel_hashes).tolist()
    refusal = f"{folder.path}: another evaluation is being recorded. Repeat the command."
    with one_writer(folder.path / ".tested.lock", refusal, seconds=_WAIT):
        entries, accepted = read_tested(folder), read_acceptances(folder)
        known = {one for entry in entries for one in unpacked_digests(entry.pixels)}
        fresh = [one for one in dict.fromkeys(hashes) if bytes.fromhex(one) not in known]
        told, point = evaluation.provenance, evaluation.operating_point
        entry = TestedEntry(
            n_images=len(hashes),
            n_new=len(fresh),
            fingerprint=of_hex(evidence.pixel_hashes),
            pixels=packed_digests(fresh),
            weights=str(told.get("weights_sha256") or ""),
            threshold=None if point is None else point.threshold,
            engine=str(told.get("engine") or ""),
            judged_on=str(told.get("judged_on") or ""),
            acceptance=accepted[-1].mark if accepted else None,
            evaluation=checksum(to_json(evaluation)),
            date=str(told.get("date") or ""),
            previous=entries[-1].mark if entries else None,
        )
        _write(folder.path / "tested.json", _Tested(entries=(*entries, entry)))


def accepted_place(folder: RunFolder) -> RunFolder:
    """Where the evaluation lies that a run's criteria are for: in the run for its own test part, in
    a folder of its own for another source.
    """
    versions = read_acceptances(folder)
    is_own = not versions or versions[-1].source is None
    return folder if is_own else RunFolder(folder.path / "accepted")


def _write(path: Path, kept: _Tested | _Acceptances) -> None:
    body = kept.model_dump(mode="json", exclude={"checksum"})
    write_json(path, {**body, "checksum": checksum(body)})


def _read(path: Path, kind: type[_Kept]) -> _Kept:
    if not path.exists():
        return kind()
    kept = read_record(path, kind, "residua", _MEND, _MOST_BYTES)
    if kept.checksum != checksum(kept.model_dump(mode="json", exclude={"checksum"})):
        raise BundleError(
            f"{path}: must be what residua wrote. Got: content that does not match its checksum: it"
            f" was edited or damaged. {_MEND}"
        )
    return kept
