"""The classes of a benchmark: each as the normal one, with its parts; and why one cannot be run."""

from __future__ import annotations

from dataclasses import dataclass

from residua.errors import LabelError
from residua.images import ImageSet
from residua.images.normal_labels import known_labels, known_texts
from residua.images.splits import NO_SPLIT, make_splits
from residua.runs.parts import has_own_parts
from residua.training.fitting.splits import CALIBRATION_SHARE, hold_out, normals_of

_FEWEST_TRAIN = 4


@dataclass(frozen=True)
class Case:
    """One class as the normal one: normal images to train on, calibration normals, and the labelled
    test images.

    `notes` say how the images were read and parted.
    """

    label: str
    train: ImageSet
    calibration: ImageSet
    test: ImageSet
    notes: tuple[str, ...] = ()


def find_cases(
    images: ImageSet, normal: tuple[str, ...] | None, seed: int
) -> tuple[list[Case], list[str]]:
    """The classes that can be run, and a sentence for each that cannot.

    Parameters
    ----------
    images : ImageSet
        The whole source.
    normal : tuple of str, optional
        The labels to take, each in turn; None: every label in train.
    seed : int
        Of the parts, where the source has none of its own, and of the calibration slice.

    Raises
    ------
    LabelError
        If a label is unknown, train has none, or no class can be run.

    Examples
    --------
    >>> from residua.images import load_images
    >>> cases, skipped = find_cases(load_images("digits"), ("0", "7"), seed=0)
    >>> [(case.label, len(case.train), len(case.calibration)) for case in cases], skipped
    ([('0', 107, 36), ('7', 107, 36)], [])
    """
    labels = _labels(images, normal)
    cases, skipped = [], []
    for label in labels:
        case = _case(images, label, seed)
        reason = _why_not(case)
        if reason is None:
            cases.append(case)
        else:
            skipped.append(f"class {label} was skipped: {reason}")
    if not cases:
        raise LabelError(
            f"{images.source}: a class must have at least {_FEWEST_TRAIN} images in train, and test"
            f" must hold it and others. Got none such: {'; '.join(skipped)}. Name other classes"
            " with --normal, or a source with a test part of both kinds."
        )
    return cases, skipped


def _labels(images: ImageSet, normal: tuple[str, ...] | None) -> tuple[str, ...]:
    if normal is not None:
        return known_labels(tuple(dict.fromkeys(normal)), images.labels, where="benchmark")
    found = known_texts(images.train.labels)
    if not found:
        raise LabelError(
            f"{images.source}: train must have labels, so that each can be the normal one. Got"
            " none. Name a source with labels, or the normal one with --normal."
        )
    return tuple(found)


def _case(images: ImageSet, label: str, seed: int) -> Case:
    """The parts with `label` as normal: the source's own, else a draw without anomalies."""
    named, notes = images.with_normal([label]), images.notes
    if not has_own_parts(images):
        parts, drawn = make_splits(
            images.paths.tolist(),
            images.labels,
            groups=None if images.groups is None else images.groups.tolist(),
            normal=(label,),
            seed=seed,
        )
        named = named.with_split(parts.tolist())
        notes = (*(note for note in notes if not note.startswith(NO_SPLIT)), *drawn)
    train, _ = normals_of(named.train)
    calibration, _ = normals_of(named.calibration)
    if len(calibration) == 0 and len(train) > _FEWEST_TRAIN:
        train, calibration = hold_out(train, CALIBRATION_SHARE, seed=seed + 1)
    return Case(label, train, calibration, named.test[named.test.labelled], notes)


def _why_not(case: Case) -> str | None:
    if len(case.train) < _FEWEST_TRAIN or len(case.calibration) == 0:
        return (
            f"train holds {len(case.train)} images of it, and it takes {_FEWEST_TRAIN} beside those"
            " for calibration"
        )
    n_anomalous = int(case.test.is_anomalous.sum())
    if n_anomalous in (0, len(case.test)):
        return (
            f"test holds {len(case.test) - n_anomalous} normal and {n_anomalous} anomalous images,"
            " and it takes both"
        )
    return None
