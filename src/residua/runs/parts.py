"""The images that a run is judged on: its own test part, found again in its source, or another
source.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._text import count, few
from residua.errors import BundleError, InputError, LabelError, SourceError
from residua.findings import (
    Checks,
    find_products_not_judged,
    find_source_changed,
    find_torn_groups,
    find_unreadable_files,
)
from residua.findings.figures import Figure
from residua.findings.leakage import draw_leaks
from residua.findings.test_reused import find_not_searched
from residua.images import ImageSet
from residua.images.duplicates import Leaks, exact_leaks, leaks_of, search_duplicates
from residua.images.group_names import SuspectedGroups, groups_in_names, suspected_groups
from residua.images.listing import PARTS, Quarantined
from residua.images.sources import single_file
from residua.records import Finding
from residua.runs.learning.record import read_record
from residua.runs.model import JudgedModel
from residua.runs.origin import MEMORY_MEGABYTES, Origin
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder
from residua.runs.tables.part_lookup import PartLookup

MOST_COMPARED = 200_000  # images among which near-duplicates are looked for: some minutes
_FITTED = ("train", "validation")
TAUGHT = "corrected"
"""The part of test images that a run has learnt from; they are test no longer."""


@dataclass(frozen=True)
class JudgedImages:
    """The images to judge, those the model was fitted on (where they are still there), and what was
    found between the two.

    ``targets`` are what should come out, in the order of the images, where that is not what goes
    in. ``calibration`` holds the images that the threshold was chosen on, where they are at hand.
    ``suspected`` are groups that nobody named.
    """

    images: ImageSet
    part: str = "test"
    fitted_on: ImageSet | None = None
    findings: tuple[Finding, ...] = ()
    leaks: Leaks | None = None
    leak_pictures: Figure | None = None
    targets: ImageSet | None = None
    calibration: ImageSet | None = None
    suspected: SuspectedGroups | None = None


@dataclass(frozen=True)
class RunImages:
    """A run's images: its own source in the parts that were recorded, and other sources."""

    folder: RunFolder
    origin: Origin
    model: JudgedModel
    watcher: Watcher
    memory_megabytes: float = MEMORY_MEGABYTES

    def own_test(self, *, named: bool = False) -> JudgedImages:
        """The run's test part; a source that has changed since is a finding."""
        source = self.origin.load(self.watcher, self.memory_megabytes, named=named)
        parts = self.parts_of(source)
        test = source[np.flatnonzero(parts == "test")]
        if len(test) == 0:
            raise SourceError(
                f"{self.origin.source}: there must be test images. Got none. Name a SOURCE to"
                " evaluate on."
            )
        kept, of_products = self._decided(test)
        in_train = self._is_fitted(source, parts)
        judged = self._judged(test[kept], "test", source[np.flatnonzero(in_train)])
        is_test, fitted = np.flatnonzero(parts == "test")[kept], np.flatnonzero(in_train)
        by_name = _groups_in_source(source, is_test, fitted)
        judged = replace(judged, suspected=by_name or judged.suspected)
        used = np.where(in_train | (parts == TAUGHT), "train", parts)
        judged = replace(
            judged,
            findings=(
                *of_products,
                *self._source_findings(source, test, used),
                *judged.findings,
            ),
            calibration=source[np.flatnonzero(parts == "calibration")],
        )
        return _with_unread(judged, self._unread_test(source))

    def _decided(self, images: ImageSet) -> tuple[NDArray[np.int64], list[Finding]]:
        """The rows of images whose product has a threshold, all where there are no products, and
        what there is to say of the others.
        """
        products, n = self.model.facts.products, len(images)
        if products is None:
            return np.arange(n), []
        names = [None] * n if images.products is None else images.products.tolist()
        why = {name: products.why_not(name) for name in dict.fromkeys(names)}
        kept = np.array([row for row in range(n) if why[names[row]] is None], np.int64)
        if not len(kept):
            reasons = few([str(one) for one in why.values()], 3)
            raise InputError(
                f"{images.source}: some image must show a product that the model has a threshold"
                f" for. Got {count(n, 'image')}: {reasons}. Name the column or folder of products"
                " with --product, or --product =NAME where all are of one."
            )
        there = {names[row] for row in kept.tolist()}
        found = find_products_not_judged(
            dict(Counter(reason for name in names if (reason := why[name]) is not None)),
            [one for one in products.names if not (products.why_not(one) or one in there)],
            n,
        )
        return kept, [] if found is None else [found]

    def _unread_test(self, source: ImageSet) -> list[Quarantined]:
        """Test images of the run that could be read when it was made, and cannot be now."""
        unread = [one for one in source.quarantined if not one.is_mask]
        if not unread or not self.folder.images.exists():
            return []
        recorded = self.folder.read_images("path", "part")
        lookup = PartLookup.of(recorded["path"], recorded["part"])
        parts = lookup.find((one.path for one in unread), len(unread))
        return [one for one, part in zip(unread, parts, strict=True) if part == "test"]

    def other(self, source: str, bits: int | None = None) -> JudgedImages:
        """The test part of another source that names its parts, or all of one that does not."""
        images = self.load_other(source, bits)
        part = "test" if has_own_parts(images) and len(images.test) else "all"
        fitted_on = self._fitted_on()
        if fitted_on is None:
            why = "is gone" if self.origin.source else "is not known"
            self.watcher.note(
                f"the source the model was fitted on {why}, so there are no baselines"
            )
        images = images.test if part == "test" else images
        kept, of_products = self._decided(images)
        judged = self._judged(images[kept], part, fitted_on)
        judged = replace(judged, findings=(*of_products, *judged.findings))
        unread = [one for one in images.quarantined if not one.is_mask]
        return _with_unread(judged, unread)

    def unseen(self, images: ImageSet) -> ImageSet:
        """Those of `images` that the model was not fitted on; near-duplicates of such are left out.

        Raises InputError if none is left.
        """
        leaks = self._judged(images, "calibration", self._fitted_on()).leaks
        if leaks is None or not leaks.leaked.any():
            return images
        n_seen, n = int(leaks.leaked.sum()), len(images)
        seen = (
            f"{n_seen:,} of {n:,} images are ones that the model was fitted on, or near-duplicates"
            " of those"
        )
        if n_seen == n:
            raise InputError(
                f"{images.source}: images to choose a threshold on must be new to the model, which"
                f" scores those it has seen too low. Got none: {seen}. Name images that were held"
                " out, or leave SOURCE out to use the run's own."
            )
        self.watcher.note(f"{seen}: left out, so that {n - n_seen:,} choose the threshold")
        return images[np.flatnonzero(~leaks.leaked)]

    def _fitted_on(self) -> ImageSet | None:
        """The images that the model learnt from; None where its source is not there."""
        try:
            own = self.origin.load(memory_megabytes=self.memory_megabytes)
        except SourceError:
            return None
        return own[np.flatnonzero(self._is_fitted(own, self.parts_of(own)))]

    def calibration(self, source: str, bits: int | None = None) -> ImageSet:
        """Images to choose a threshold on: the calibration part of the run's own source, or of one
        that names its parts, else all of it.

        Raises LabelError if there are several labels, and nothing says which are normal.
        """
        if self.origin.is_own(source):
            own = self.origin.load(self.watcher, self.memory_megabytes, named=True)
            return own[np.flatnonzero(self.parts_of(own) == "calibration")]
        images = self.load_other(source, bits)
        labels = () if images.labels is None else images.labels
        if images.normal is None and len({str(one) for one in labels if one is not None}) > 1:
            raise LabelError(
                f"{source}: the normal images must be known. Got several labels, and a model"
                " trained without any. Fit with --normal, or name the folder of the normal images"
                " good."
            )
        has_part = has_own_parts(images) and len(images.calibration)
        return images.calibration if has_part else images

    def load_other(self, source: str, bits: int | None = None) -> ImageSet:
        """Another source's images. Normal is what it is to the model; labels may be missing."""
        images = self.origin.load_other(source, self.watcher, self.memory_megabytes, bits=bits)
        self._tell_of_sizes(images)
        if images.labels is None:
            return images
        normal = self.model.facts.normal
        if normal is not None:
            return images.with_normal(normal)
        if images.normal is not None:
            self.watcher.note(
                f"the model was trained without labels: {', '.join(images.normal)} is taken as"
                " normal"
            )
        return images

    def _tell_of_sizes(self, images: ImageSet) -> None:
        """Say so where tiles and a region were chosen for images of other sizes."""
        looks = self.model.calibration.looks
        if not self.model.facts.is_framed or "height" not in looks:
            return
        low, high = ([looks[side][end] for side in ("height", "width")] for end in (0, 1))
        n_other = int(((images.sizes < low) | (images.sizes > high)).any(axis=1).sum())
        if n_other:
            self.watcher.note(
                f"{count(n_other, 'image')} of other sizes than the calibration images: tiles and"
                " region scale with each image"
            )

    def parts_of(self, own: ImageSet) -> NDArray[Any]:
        """The part that each image had when the run was made, ``new`` for none; object array."""
        if not self.folder.images.exists():  # wrapped runs of earlier versions recorded no parts
            return own.splits.astype(object)
        recorded = self.folder.read_images("path", "part")
        parts = PartLookup.of(recorded["path"], recorded["part"]).find(own.paths, len(own))
        parts[parts == None] = "new"  # noqa: E711  element by element
        return parts

    def _is_fitted(self, own: ImageSet, parts: NDArray[Any]) -> NDArray[np.bool_]:
        """Which images the model learnt from: a one-class model from normal ones alone."""
        fitted = np.asarray((parts == _FITTED[0]) | (parts == _FITTED[1]))
        return fitted & ~own.presumed_anomalous if self.model.facts.job == "detect" else fitted

    def _source_findings(
        self, source: ImageSet, test: ImageSet, parts: NDArray[Any]
    ) -> list[Finding]:
        found: list[Finding | None] = []
        fingerprint = self.origin.test_fingerprint
        if not self.folder.images.exists() and fingerprint not in (None, test.fingerprint):
            raise BundleError(
                f"{self.folder.images}: must be there, as the source has changed since the run was"
                " made. It is not, so nothing tells which images are the test part. Restore it or"
                " the source, or name another SOURCE."
            )
        if self.folder.images.exists():
            recorded = self.folder.read_images("part", "pixels")
            was_test = np.asarray(recorded["part"] == "test")
            n_missing = int(was_test.sum()) - len(test)
            n_new = int((parts == "new").sum())
            there = set(test.pixel_hashes.tolist())
            gone = sum(pixels not in there for pixels in recorded["pixels"][was_test])
            found.append(
                find_source_changed(
                    fingerprint,
                    test.fingerprint,
                    n_missing=n_missing,
                    n_new=n_new,
                    n_changed=max(0, gone - n_missing),
                    n_missing_elsewhere=len(was_test) - (len(source) - n_new) - n_missing,
                )
            )
        if source.groups is not None:
            used = np.isin(parts, PARTS)
            found.append(find_torn_groups(source.groups[used], parts[used]))
        learnt = read_record(self.folder)
        found.append(find_not_searched(learnt.n_unsearched) if learnt else None)
        return [one for one in found if one is not None]

    def _judged(self, images: ImageSet, part: str, fitted_on: ImageSet | None) -> JudgedImages:
        if fitted_on is not None and 0 < len(fitted_on) + len(images) <= MOST_COMPARED:
            self.watcher.note("searching the test images for near-duplicates of training images")
            return compared(images, part, fitted_on, self.watcher)
        known = fitted_on if fitted_on is not None and len(fitted_on) else None
        if not self.folder.images.exists():
            return JudgedImages(images, part, known)
        leaks = leaks_by_hash(self.folder, images.pixel_hashes, images.paths)
        return JudgedImages(images, part, known, (), leaks)


def leaks_by_hash(folder: RunFolder, hashes: NDArray[Any], paths: NDArray[Any]) -> Leaks:
    """Which images are exact copies of those that the run was fitted on, as it recorded them."""
    recorded = folder.read_images("part", "pixels")
    in_train = np.isin(recorded["part"].astype(str), _FITTED)
    return exact_leaks(recorded["pixels"][in_train], hashes, paths)


def compared(
    images: ImageSet, part: str, fitted_on: ImageSet | None, watcher: Watcher | None = None
) -> JudgedImages:
    """Images to judge, compared with those the model was fitted on: with near-duplicates of every
    kind, or with exact ones alone where that search fails.
    """
    if fitted_on is None or not len(fitted_on) or len(fitted_on) + len(images) > MOST_COMPARED:
        return JudgedImages(
            images, part, fitted_on if fitted_on else None, suspected=_suspected(images)
        )
    checks, both = Checks(), [fitted_on, images]
    progress = None if watcher is None else watcher.on_read
    found = checks.make("near-duplicates", lambda: search_duplicates(both, progress=progress))
    leaks, rows = leaks_of(
        search_duplicates(both, only_exact=True) if found is None else found,
        np.arange(len(fitted_on) + len(images)) < len(fitted_on),
        np.concatenate([one.paths for one in both]),
    )
    leaks = replace(leaks, is_thorough=found is not None)
    figure = draw_leaks(
        leaks,
        lambda place: (fitted_on[int(rows[place])], images[place]),
        caption="A training image, and the judged image that is a copy of it.",
    )
    twins = None if found is None else found.groups[len(fitted_on) :]
    return JudgedImages(
        images,
        part,
        fitted_on,
        tuple(checks.not_made),
        leaks,
        figure,
        suspected=_suspected(images, twins),
    )


def _with_unread(judged: JudgedImages, unread: Sequence[Quarantined]) -> JudgedImages:
    """The same with a finding about images that were to be judged and cannot be read."""
    found = find_unreadable_files(unread, len(judged.images), judged=True)
    return judged if found is None else replace(judged, findings=(found, *judged.findings))


def _suspected(images: ImageSet, twins: NDArray[np.int64] | None = None) -> SuspectedGroups | None:
    """Groups that nobody named, by the names of the images or by `twins`."""
    if images.groups is not None:
        return None
    return suspected_groups(images.paths, images.labels, twins)


def _groups_in_source(
    source: ImageSet, rows: NDArray[np.int64], fitted: NDArray[np.int64]
) -> SuspectedGroups | None:
    """Groups of `rows` by all images of a source: a part may hold a view or two of each."""
    found = None if source.groups is not None else groups_in_names(source.paths, source.labels)
    return None if found is None else found.of(rows, fitted)


def has_own_parts(images: ImageSet) -> bool:
    """Whether the source itself names train and test, so that its parts mean more than a draw."""
    return images.kind != single_file.KIND and "test" not in images.drawn
