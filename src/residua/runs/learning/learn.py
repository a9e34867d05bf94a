"""`residua learn`: from a run and corrections to a new version of the run."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._labels import means_anomalous
from residua._text import count, few
from residua.errors import InputError, OutputError
from residua.images import ImageSet
from residua.images.hashing import of_hex
from residua.records import now
from residua.runs.learning.copies import Copies, find_copies
from residua.runs.learning.corrections import Correction, Corrections, read_corrections
from residua.runs.learning.features import StoredFeatures, joined
from residua.runs.learning.model import LearntModel, check_learns, learn_model
from residua.runs.learning.record import KindsLearnt, LearningRecord, keep_record, read_record
from residua.runs.open_run import check_trained
from residua.runs.origin import Origin
from residua.runs.parts import TAUGHT
from residua.runs.progress import Watcher
from residua.runs.run_folder import image_columns, image_rows
from residua.runs.run_record import RunRecord
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import Bundle, load_bundle, save_bundle

_BEFORE = "before"
_PARTS = ("train", "validation", "calibration", "test")
_TAKEN = ("bundle", "images.csv", "features.npz", "run.json", "learning.json", _BEFORE)
"""What of the parent is kept, so that the last step can be undone."""
COPIED = ("training.npz", "check.json", "tested.json")


def learn_run(
    run: str | Path,
    corrections: str,
    out: str | Path,
    *,
    sample: str | None = None,
    source: str | None = None,
    root: str | None = None,
    watcher: Watcher | None = None,
) -> LearningRecord:
    """Let the model of `run` learn from `corrections`, and write the new version to `out`.

    Nothing is trained: what the run stores of its normal images is enough; where it stores
    nothing, its `source` is read again and compared by hashes. The run itself stays as it is.
    ``root`` is the folder that the paths of manifests are relative to. A complete `sample` of
    good images may join the calibration set.

    Raises
    ------
    InputError, LabelError, OutputError, BundleError
        Where run, corrections or the output folder do not do; nothing is written then.
    """
    watcher, folder, fresh = watcher or Watcher(), TrainedRun(Path(run)), TrainedRun(Path(out))
    check_trained(folder.path, "learn")
    check_place(fresh, folder)
    state, bundle = folder.read_finished(), load_bundle(folder.bundle)
    origin = folder.origin()
    check_learns(bundle.config)
    recorded, normal = folder.read_images(), bundle.config.normal
    manifests = [one for one in (corrections, source, sample) if one and Path(one).is_file()]
    read = read_corrections(
        corrections,
        origin,
        normal,
        anomalous=_anomalous(recorded, normal),
        root=root if corrections in manifests or not manifests else None,
        watcher=watcher,
    )
    earlier = read_record(folder)
    sampled = None
    if sample is not None:
        sampled = origin.load_other(sample, watcher, root=root if sample in manifests else None)
        known = pixels_of(read, earlier)
        sampled = new_of_sample(sampled, recorded, known, normal=normal, watcher=watcher)
    copies = find_copies(
        origin, recorded, read, source=source, root=root, sample=sampled, watcher=watcher
    )
    if sampled is not None and copies.sampled:
        is_near = np.isin(sampled.pixel_hashes.astype(str), list(copies.sampled))
        watcher.note(
            f"{count(int(is_near.sum()), 'image')} of the sample left out, as near-copies of"
            f" images that the run has or learns from: {few(sampled.paths[is_near].tolist())}"
        )
        sampled = sampled[np.flatnonzero(~is_near)]
    copies = copies.and_of(earlier.copies if earlier else {})
    stored = _features(folder, bundle, origin, watcher, source=source, root=root)
    learnt = learn_model(bundle, stored, read, copies=copies, sample=sampled, watcher=watcher)
    record = record_of(
        learnt,
        read,
        bundle,
        recorded=recorded,
        copies=copies,
        earlier=earlier,
        parent=str(folder.path.resolve()),
        parent_weights=folder.mark().weights,
        sampled=0 if sampled is None else len(sampled),
    )
    rows = _rows(recorded, set(record.pixels), set(learnt.lent.tolist()), sampled)
    with fresh.locked():
        for name in COPIED:
            if (folder.path / name).exists():
                shutil.copyfile(folder.path / name, fresh.path / name)
        keep_parent(folder, fresh)
        save_bundle(with_fingerprints(learnt.bundle, rows), fresh.bundle)
        fresh.write_rows(rows)
        learnt.features.save(fresh)
        notes = (*state.notes, f"learnt from {record.about_corrections()}")
        keep_record(fresh, record)
        fresh.write_state(state.model_copy(update={"notes": notes}))
    return record


def record_of(
    learnt: LearntModel,
    corrections: Corrections,
    bundle: Bundle,
    *,
    recorded: Mapping[str, NDArray[Any]],
    copies: Copies,
    earlier: LearningRecord | None,
    **facts: Any,
) -> LearningRecord:
    """What a step of learning from `corrections` did to a model, `bundle` before; `recorded` are
    the columns of the run's `images.csv`.
    """
    pairs = list(zip(recorded["pixels"].tolist(), recorded["part"].tolist(), strict=True))
    # A picture may lie in several parts: what it is judged by counts.
    parts = dict(sorted(pairs, key=lambda pair: _PARTS.index(pair[1]) if pair[1] in _PARTS else -1))
    judged = _judged(corrections, parts, copies, learnt)
    near = {one for correction in judged for one in correction.copies}
    return LearningRecord(
        date=now(),
        corrections=judged,
        **moved_among(recorded, {one.pixels for one in judged}, near),
        n_unsearched=max(copies.n_unsearched, earlier.n_unsearched if earlier else 0),
        earlier=() if earlier is None else _still_true(earlier, corrections),
        threshold_before=_threshold(bundle),
        threshold_after=_threshold(learnt.bundle),
        **facts,
        **_of_learning(learnt),
    )


def moved_among(
    recorded: Mapping[str, NDArray[Any]], exact: set[str], near: set[str]
) -> dict[str, Any]:
    """How many images of a run leave test, and how many of calibration count as if they had taught
    nothing; of both, how many are `near` copies.
    """
    pairs = list(zip(recorded["pixels"].tolist(), recorded["part"].tolist(), strict=True))
    told: dict[str, Any] = {}
    for name, part in (("n_moved", "test"), ("n_held", "calibration")):
        told[name] = sum(its == part and one in exact | near for one, its in pairs)
        told[f"{name}_near"] = sum(its == part and one in near - exact for one, its in pairs)
    return told


def undo_learning(run: str | Path) -> None:
    """Bring back the model, threshold and parts that a run had before its last step of learning.

    Evaluations, reports and exports of the newer model are deleted.
    """
    folder = TrainedRun(Path(run))
    before = folder.path / _BEFORE
    if not before.is_dir():
        raise InputError(
            f"{run}: there must be a step of learning to undo. There is none. Name a run that"
            " `residua learn` wrote."
        )
    with folder.locked():
        for made in (folder.evaluation, folder.evidence, folder.report):
            made.unlink(missing_ok=True)
        shutil.rmtree(folder.export, ignore_errors=True)
        save_bundle(load_bundle(before / "bundle"), folder.bundle)
        for name in ("images.csv", "features.npz", "learning.json", "run.json"):
            if (before / name).exists():
                _link_or_copy(str(before / name), str(folder.path / f".{name}.part"))
                (folder.path / f".{name}.part").replace(folder.path / name)
            else:
                (folder.path / name).unlink(missing_ok=True)
        aside = folder.path / f".{_BEFORE}.old"
        before.rename(aside)
        if (aside / _BEFORE).is_dir():
            (aside / _BEFORE).rename(before)
        shutil.rmtree(aside)


def check_place(fresh: TrainedRun, folder: TrainedRun) -> None:
    """The new version has a folder of its own, so that the old one stays."""
    if fresh.path.exists() and (not fresh.path.is_dir() or any(fresh.path.iterdir())):
        what = "the run that learns" if fresh.path.samefile(folder.path) else "a place in use"
        raise OutputError(
            f"{fresh.path}: the output folder must be new or empty. Got {what}. Name another folder"
            " with --out."
        )


def _features(
    folder: TrainedRun,
    bundle: Bundle,
    origin: Origin,
    watcher: Watcher,
    *,
    source: str | None,
    root: str | None,
) -> StoredFeatures:
    """What the run stores of its normal images, else computed from its source once more."""
    stored = None if source is not None else StoredFeatures.load(folder)
    if stored is not None:
        return stored
    if source is None and not origin.source:
        raise InputError(
            f"{folder.path}: the run must store the features of its normal images, or know its"
            " source. It does neither. Name the images with --source."
        )
    watcher.note("reading the run's images once more: the run stores no features of them")
    own = origin.load_moved(source, watcher, root)
    recorded = folder.read_images("pixels", "part")
    there = {pixels: row for row, pixels in reversed(list(enumerate(own.pixel_hashes.tolist())))}
    parts: dict[str, ImageSet] = {}
    for name, part in (("fitted", "train"), ("validation", "validation"), ("calibration",) * 2):
        wanted = recorded["pixels"][recorded["part"] == part].tolist()
        missing = [one for one in wanted if one not in there]
        if missing and part == "calibration":
            raise InputError(
                f"{own.source}: all {len(wanted):,} calibration images of the run must be there,"
                f" as their hashes tell. {len(missing):,} are not. Name the images that the run was"
                " fitted on with --source."
            )
        parts[name] = own[np.array([there[one] for one in wanted if one in there], np.int64)]
    found = [StoredFeatures.of_fit(bundle, parts)]
    if (kept := StoredFeatures.load(folder)) is not None:
        found.append(kept.of("good", "defect"))
    elif bundle.config.learnt:
        raise InputError(
            f"{folder.path}: the run must store the features of the corrections that it has learnt"
            " from. It does not. Learn again from its parent."
        )
    return joined(found)


def new_of_sample(
    sample: ImageSet,
    recorded: Mapping[str, NDArray[Any]],
    corrected: Collection[str],
    *,
    normal: Collection[str] | None,
    watcher: Watcher,
) -> ImageSet:
    """Those of a complete sample of good images that the run has not seen; each counts once.

    Raises
    ------
    InputError
        If the sample holds corrected images, or labels that say defect.
    """
    hashes = sample.pixel_hashes.tolist()
    known = [path for path, one in zip(sample.paths, hashes, strict=True) if one in corrected]
    if known:
        raise InputError(
            f"{sample.source}: a sample must not hold corrected images, which were picked. Got"
            f" {few(known)}. Draw a sample without looking at scores, and correct it as a whole or"
            " not at all."
        )
    bad, labels = _anomalous(recorded, normal), sample.labels
    if sample.normal is not None:
        flags = sample.labelled & sample.is_anomalous
    else:
        flags = np.array(
            [
                label in bad or (label not in (normal or ()) and means_anomalous(str(label)))
                for label in ([] if labels is None else labels.tolist())
            ],
            np.bool_,
        )
    defects = [] if labels is None else sample.paths[flags].tolist()
    if defects:
        raise InputError(
            f"{sample.source}: a sample must hold good images alone, since all of them count as"
            f" good. Got {count(len(defects), 'image')} labelled as defects: {few(defects)}. Name"
            " the folder of the good ones, and give the defects as corrections."
        )
    first = {one: row for row, one in reversed(list(enumerate(hashes)))}
    own = set(recorded["pixels"].tolist())
    if n_own := sum(one in own for one in hashes):
        watcher.note(f"{count(n_own, 'image')} of the sample left out: the run has them already")
    return sample[np.array(sorted(row for one, row in first.items() if one not in own), np.int64)]


def pixels_of(corrections: Corrections, earlier: LearningRecord | None) -> set[str]:
    """The hashes of all images that were corrected, now or earlier."""
    return {one.pixels for one in corrections.said} | set(earlier.pixels if earlier else ())


def _anomalous(recorded: Mapping[str, NDArray[Any]], normal: Collection[str] | None) -> set[str]:
    """The labels of a run's own images that are not normal."""
    return set(recorded["label"].tolist()) - {"", *(normal or ())}


def _judged(
    corrections: Corrections, parts: Mapping[str, str], copies: Copies, learnt: LearntModel
) -> tuple[Correction, ...]:
    near = copies.by_correction()
    return tuple(
        one.model_copy(
            update={
                "part": parts.get(one.pixels),
                "copies": near.get(one.pixels, ()),
                "flagged_before": bool(before),
                "flagged_after": bool(after),
            }
        )
        for one, (before, after) in zip(corrections.said, learnt.flagged, strict=True)
    )


def _still_true(earlier: LearningRecord, corrections: Corrections) -> tuple[Correction, ...]:
    """Earlier corrections, less those of images that were corrected once more."""
    again = {one.pixels for one in corrections.said}
    return tuple(one for one in (*earlier.earlier, *earlier.corrections) if one.pixels not in again)


def _of_learning(learnt: LearntModel) -> dict[str, Any]:
    head = learnt.learning.head
    told: dict[str, Any] = {"n_alarms": learnt.n_alarms, "lent": len(learnt.lent)}
    told |= {**learnt.at_threshold, "is_headless": learnt.is_headless}
    is_alone = learnt.learning.is_alone
    n_alone = int(is_alone[len(is_alone) - learnt.n_alarms :].sum()) if len(is_alone) else 0
    told |= {"reach": learnt.reach, "harm": learnt.harm, "n_alone": n_alone}
    if learnt.learning.kinds is not None:
        told["kinds"] = KindsLearnt(
            names=learnt.bundle.config.kinds or (), **learnt.learning.kinds._asdict()
        )
    if head is None:
        return told
    return told | {
        "weight": head.weight,
        "gain": head.gain,
        "low": head.low,
        "high": head.high,
        "n_groups": head.n_groups,
    }


def corrected_record(
    record: RunRecord, learning: LearningRecord, learnt: LearntModel, sample: ImageSet | None
) -> RunRecord:
    """A run in memory whose corrected images are of no part that is judged."""
    rows = _rows(record.images, set(learning.pixels), set(learnt.lent.tolist()), sample)
    return replace(record, images=image_columns(rows))


def _rows(
    recorded: Mapping[str, NDArray[Any]],
    corrected: set[str],
    lent: set[str],
    sample: ImageSet | None,
) -> list[tuple[Any, ...]]:
    """`images.csv` of the new version: corrected images are of no part that is judged, and those
    that calibration lent are validation images.
    """
    is_corrected, is_lent = (
        np.array([one in some for one in recorded["pixels"].tolist()], np.bool_)
        for some in (corrected, lent)
    )
    part = recorded["part"].copy()
    part[is_lent & (part == "calibration")] = "validation"
    part[is_corrected & (part == "test")] = TAUGHT
    rows = list(zip(*({**recorded, "part": part}).values(), strict=True))
    return rows + ([] if sample is None else list(image_rows({"calibration": sample})))


def with_fingerprints(bundle: Bundle, rows: Iterable[tuple[Any, ...]]) -> Bundle:
    """The fingerprints of what test and calibration are now."""
    hashes: dict[str, list[str]] = {"test": [], "calibration": [], TAUGHT: []}
    for *_, part, _, pixels in rows:
        if part in hashes:
            hashes[part].append(str(pixels))
    told = {part: of_hex(np.array(some, object)) for part, some in hashes.items()}
    config = bundle.config.model_copy(
        update={"fingerprints": {**bundle.config.fingerprints, **told}}
    )
    return replace(bundle, config=config)


def keep_parent(folder: TrainedRun, fresh: TrainedRun) -> None:
    """What undoing takes, by links where the disk has them: the files are never written again."""
    before = fresh.path / _BEFORE
    shutil.rmtree(before, ignore_errors=True)
    before.mkdir()
    for name in _TAKEN:
        place = folder.path / name
        if place.is_dir():
            shutil.copytree(place, before / name, copy_function=_link_or_copy)
        elif place.exists():
            _link_or_copy(str(place), str(before / name))


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _threshold(bundle: Bundle) -> float:
    point = bundle.config.operating_point
    assert point is not None
    return point.threshold


def say_counts(record: LearningRecord) -> list[str]:
    """What a step of learning did, a sentence each."""
    said = [record.about_alarms(), record.about_defects(), record.about_kinds()]
    said.append(record.about_parts())
    if record.lent:
        said.append(
            f"{count(record.lent, 'good calibration image')} became normals to learn beside, as"
            " training had held out too few"
        )
    return [f"{one[0].upper()}{one[1:]}." for one in said if one is not None]
