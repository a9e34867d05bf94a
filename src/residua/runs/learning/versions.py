"""A run and the version of it that has learnt: what that says of a comparison, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from residua._text import count
from residua.findings import different_test_images
from residua.records import Finding
from residua.runs.learning.record import LearningRecord, read_record
from residua.runs.run_folder import Run


def taught_by(folders: Sequence[Run]) -> set[str]:
    """The hashes of all images that any of the runs has learnt from."""
    records = [read_record(folder) for folder in folders]
    return {pixels for one in records if one is not None for pixels in one.pixels}


def compare_versions(folders: Sequence[Run], names: Sequence[str]) -> tuple[str, ...]:
    """What each run has learnt since another of them, and whom the images that it left out favour;
    nothing where none has learnt from another.
    """
    said: list[str] = []
    for old, new in permutations(range(len(folders)), 2):
        record = read_record(folders[new])
        if record is None or record.parent_weights != folders[old].mark().weights:
            continue
        said.append(
            f"{names[new]} has learnt from {names[old]}: {record.about_corrections()}."
            f" {record.about_right()}."
        )
        said += _favoured(record, names[old])
    return tuple(said)


def as_expected(finding: Finding) -> Finding:
    """That versions have other test images is how it must be: corrected ones are test no longer."""
    if finding.code != different_test_images.KIND.code:
        return finding
    return finding.model_copy(
        update={
            "severity": "note",
            "what_to_do": "The images in which they differ taught the newer version, so they are"
            " no test of it.",
        }
    )


def _favoured(record: LearningRecord, parent: str) -> list[str]:
    left = [one for one in record.corrections if one.part == "test"]
    wrong = sum(one.flagged_before != (one.label == "defect") for one in left)
    if not wrong:
        return []
    return [
        f"{count(len(left), 'corrected test image')} left the test, and {parent} is wrong on"
        f" {wrong:,} of them. So {parent} looks better here than it is: fresh images, drawn without"
        " looking at scores, compare fairly (--on SOURCE)."
    ]
