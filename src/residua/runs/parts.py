"""Finding a run's parts again in its source, by what `fit` recorded of every image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import SourceError
from residua.findings import find_source_changed, find_torn_groups
from residua.findings.figures import Figure
from residua.images import ImageSet, load_images
from residua.images.duplicates import Leaks, exact_leaks
from residua.images.listing import PARTS
from residua.images.sources import single_file
from residua.records import Finding
from residua.runs.fit import MEMORY_MEGABYTES, load_source
from residua.runs.leaks import MOST_COMPARED, look_for_leaks
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder, RunState
from residua.runs.tables.part_lookup import PartLookup
from residua.training.bundle import BundleConfig

_FITTED = ("train", "validation")


@dataclass(frozen=True)
class JudgedImages:
    """The images to judge, those the model was fitted on (where the source is still there), and
    what was noticed.
    """

    images: ImageSet
    part: str
    fitted_on: ImageSet | None
    findings: tuple[Finding, ...]
    leaks: Leaks
    leak_pictures: Figure | None = None


def own_test_images(
    run: RunFolder,
    state: RunState,
    config: BundleConfig,
    watcher: Watcher,
    memory_megabytes: float = MEMORY_MEGABYTES,
    *,
    named: bool = False,
) -> JudgedImages:
    """The test part that `fit` drew, found by path; a source that has changed since is a
    finding.
    """
    source = load_source(state, watcher, memory_megabytes, named=named)
    recorded = run.read_images("path", "part")
    parts = recorded_parts(recorded, source)
    parts[parts == None] = "new"  # noqa: E711  element by element
    test = source[np.flatnonzero(parts == "test")]
    if len(test) == 0:
        raise SourceError(
            f"{state.options.source}: there must be test images. Got none. Name a SOURCE to"
            " evaluate on."
        )
    n_recorded = int((recorded["part"] == "test").sum())
    changed = find_source_changed(
        config.fingerprints.get("test"),
        test.fingerprint,
        n_missing=n_recorded - len(test),
        n_new=int((parts == "new").sum()),
    )
    in_train = _is_fitted(parts)
    judged = _judged(run, test, "test", source[np.flatnonzero(in_train)], changed, watcher)
    torn = _torn_groups(source, np.where(in_train, "train", parts))
    return judged if torn is None else replace(judged, findings=(*judged.findings, torn))


def _torn_groups(source: ImageSet, parts: NDArray[Any]) -> Finding | None:
    used = (parts == PARTS[0]) | (parts == PARTS[1]) | (parts == PARTS[2])
    return None if source.groups is None else find_torn_groups(source.groups[used], parts[used])


def other_images(  # noqa: PLR0917  the run and what to judge
    run: RunFolder,
    state: RunState,
    config: BundleConfig,
    source: str,
    watcher: Watcher,
    memory_megabytes: float = MEMORY_MEGABYTES,
    bits: int | None = None,
) -> JudgedImages:
    """The test part of another source that names its parts, or all of one that does not."""
    images = load_other(state, config, source, watcher, memory_megabytes, bits)
    part = "test" if has_own_parts(images) and len(images.test) else "all"
    judged = images.test if part == "test" else images
    try:
        own = load_source(state, memory_megabytes=memory_megabytes)
        fitted_on = own[
            np.flatnonzero(_is_fitted(recorded_parts(run.read_images("path", "part"), own)))
        ]
    except SourceError:
        watcher.note(
            "the source the model was fitted on is gone, so there are no baselines beside it"
        )
        fitted_on = None
    return _judged(run, judged, part, fitted_on, None, watcher)


def recorded_parts(recorded: dict[str, NDArray[Any]], images: ImageSet) -> NDArray[Any]:
    """The part that each image had when the model was fitted, None where it is new; object
    array.
    """
    return PartLookup.of(recorded["path"], recorded["part"]).find(images.paths, len(images))


def _is_fitted(parts: NDArray[Any]) -> NDArray[np.bool_]:
    return np.asarray((parts == _FITTED[0]) | (parts == _FITTED[1]))


def load_other(  # noqa: PLR0917
    state: RunState,
    config: BundleConfig,
    source: str,
    watcher: Watcher,
    memory_megabytes: float = MEMORY_MEGABYTES,
    bits: int | None = None,
) -> ImageSet:
    """Another source's images. Normal is what it is to the model, whatever the source suggests;
    labels may be missing.

    Their values are scaled as those of the training images were, unless `bits` are told; links are
    followed if `fit` did.
    """
    images = load_images(
        source,
        seed=state.options.settings.seed,
        memory_megabytes=memory_megabytes,
        progress=watcher.on_read,
        bits=bits,
        reading=config.reading,
        follow_links=state.options.follow_links,
    )
    if images.labels is None:
        return images
    if config.normal is not None:
        return images.with_normal(config.normal)
    if images.normal is not None:
        watcher.note(
            f"the model was trained without labels: {', '.join(images.normal)} is taken as normal"
        )
    return images


def is_own_source(state: RunState, source: str) -> bool:
    """Whether `source` is the one that the run was fitted on."""
    own = state.located_source(named=True)
    return source == own or (
        Path(source).exists() and Path(own).exists() and Path(source).samefile(own)
    )


def has_own_parts(images: ImageSet) -> bool:
    """Whether the source itself names train and test, so that its parts mean more than a draw."""
    return images.kind != single_file.KIND and "test" not in images.drawn


def _judged(  # noqa: PLR0917
    run: RunFolder,
    images: ImageSet,
    part: str,
    fitted_on: ImageSet | None,
    changed: Finding | None,
    watcher: Watcher,
) -> JudgedImages:
    findings = () if changed is None else (changed,)
    if fitted_on is not None and 0 < len(fitted_on) + len(images) <= MOST_COMPARED:
        watcher.note("looking for copies of training images among those to judge")
        leaks, shown, not_made = look_for_leaks(fitted_on, images, progress=watcher.on_read)
        return JudgedImages(images, part, fitted_on, (*findings, *not_made), leaks, shown)
    recorded = run.read_images("part", "pixels")
    seen_hashes = recorded["pixels"][_is_fitted(recorded["part"])]
    leaks = exact_leaks(seen_hashes, images.pixel_hashes, images.paths)
    return JudgedImages(
        images,
        part,
        fitted_on if fitted_on is not None and len(fitted_on) else None,
        findings,
        leaks,
    )
