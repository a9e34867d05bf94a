"""A run and the version of it that has learnt: what changed at their thresholds, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np

from residua.evaluation.comparison import Contestant, common_rows
from residua.evaluation.paired import paired_shares
from residua.findings import different_test_images
from residua.metrics.groups import as_groups
from residua.records import Finding
from residua.runs.learning.record import read_record
from residua.runs.run_folder import Run


def compare_versions(
    folders: Sequence[Run], models: Sequence[Contestant], *, confidence: float = 0.95
) -> tuple[str, ...]:
    """What each run has learnt since another of them, and what its threshold does on the test
    images that both have; nothing where none has learnt from another.
    """
    said: list[str] = []
    for old, new in permutations(range(len(folders)), 2):
        record = read_record(folders[new])
        if record is None or record.parent_weights != folders[old].mark().weights:
            continue
        said.append(
            f"{models[new].name} has learnt from {models[old].name}: {record.about_corrections()}."
            f" {record.about_right()}."
        )
        said += _at_thresholds(models[old], models[new], record.pixels, confidence)
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


def _at_thresholds(
    old: Contestant, new: Contestant, taught: Sequence[str], confidence: float
) -> list[str]:
    """Recall and false alarms of both on the same labelled images that `taught` neither, with
    paired intervals.
    """
    rows = common_rows([np.asarray(one.evidence.pixel_hashes) for one in (old, new)])
    flags = []
    for model, own in zip((old, new), rows, strict=True):
        point, scores = model.evaluation.operating_point, model.evidence.scores
        if point is None or scores is None or model.evidence.is_anomalous is None:
            return []
        flags.append(np.asarray(scores)[own] > point.threshold)
    evidence = new.evidence
    is_anomalous = np.asarray(evidence.is_anomalous, np.bool_)[rows[1]]
    known = np.ones(len(is_anomalous), np.bool_)
    if evidence.labelled is not None:
        known = np.asarray(evidence.labelled, np.bool_)[rows[1]]
    known &= ~np.isin(np.asarray(evidence.pixel_hashes).astype(str)[rows[1]], list(taught))
    said = []
    for name, of_them in (("defects", is_anomalous), ("good images", ~is_anomalous)):
        chosen = np.flatnonzero(of_them & known)
        if not len(chosen):
            continue
        before, after = (one[chosen] for one in flags)
        groups = None
        if evidence.groups is not None:
            named = np.asarray(evidence.groups, object)[rows[1]][chosen]
            groups = as_groups(named, len(chosen))
        change = paired_shares(after, before, confidence=confidence, groups=groups).difference
        between = (
            ""
            if change.value is None or change.low is None or change.high is None
            else f" (change {change.value:+.3f} [{change.low:+.3f}, {change.high:+.3f}])"
        )
        said.append(
            f"Each at its threshold, of {len(chosen):,} {name} that are test images of both:"
            f" {old.name} flags {int(before.sum()):,}, {new.name} {int(after.sum()):,}{between}."
        )
    return said
