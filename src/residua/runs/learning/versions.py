"""A run and the version of it that has learnt: what that says of a comparison, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

from residua._text import count
from residua.errors import BundleError
from residua.findings import different_test_images
from residua.records import Finding
from residua.runs.learning.record import LearningRecord, read_record
from residua.runs.open_run import open_run
from residua.runs.run_folder import Run

_MOST_PARENTS = 100
_FRESH = "fresh images, drawn without looking at scores, compare fairly (--on SOURCE)."


def parents_of(folder: Run) -> list[tuple[Run | None, LearningRecord, str]]:
    """The runs that a run has learnt from, the nearest first; None for one that is gone or holds
    another model by now.
    """
    found: list[tuple[Run | None, LearningRecord, str]] = []
    here: Run | None = folder
    while here is not None and len(found) < _MOST_PARENTS:
        record = read_record(here)
        if record is None:
            break
        parent: Run | None = open_run(record.parent)
        try:
            is_same = parent is not None and parent.mark().weights == record.parent_weights
        except BundleError:
            is_same = False
        here = parent if is_same else None
        found.append((here, record, record.parent))
    return found


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
        steps = [record for _, record, _ in parents_of(folders[new])]
        weights = [one.parent_weights for one in steps]
        if (mark := folders[old].mark().weights) not in weights:
            continue
        steps = steps[: weights.index(mark) + 1]
        start = f"{names[new]} has learnt from {names[old]}"
        if len(steps) > 1:
            n = len({one.pixels for step in steps for one in step.corrections})
            said.append(
                f"{start} in {len(steps)} steps, {count(n, 'corrected image')} in all. None of"
                f" them counts here. Where most were errors of {names[old]}, it looks better here"
                f" than it is: {_FRESH}"
            )
            continue
        said.append(f"{start}: {steps[0].about_corrections()}. {steps[0].about_right()}.")
        said += _favoured(steps[0], names[old])
    return tuple(said)


def as_expected(finding: Finding) -> Finding:
    """That versions have other test images is how it must be: corrected ones are test no longer."""
    if finding.code != different_test_images.KIND.code or finding.severity == "note":
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
        f" {wrong:,} of them. So {parent} looks better here than it is: {_FRESH}"
    ]
