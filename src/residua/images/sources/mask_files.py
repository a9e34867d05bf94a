"""Which of the files in a folder are masks of the others.

By name first, and only if they look like masks too.

Three rounds, each over what the round before left: folders with the name of masks, files named
after another with a word more (``10000_GT.png`` beside ``10000.png``), and pairs that differ in
their suffix alone. What is not sure stays an image. What looks like masks of the others and has no
name that says so is refused: as an image it is an anomaly that any model finds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._text import count, few
from residua.errors import SourceError
from residua.images.columns import grouped
from residua.images.listing import AS_MASK, Options, Quarantined
from residua.images.masks import MaskFiles
from residua.images.sources.mask_looks import SAMPLES, Samples, evenly
from residua.images.sources.mask_names import (
    LOOKED_FOR,
    MAIN_PARTS,
    Place,
    folder_of_masks,
    nearness,
    places,
    shorter_stems,
    stem_of,
    stem_of_image,
    suffix_pairs,
)
from residua.images.sources.walking import FoundImages, suffix_of
from residua.images.stores import LocalFolder
from residua.records import Assumption

_FEWEST = 3  # files of a name that says nothing
_MOST_ASKED = 20_000  # files of such names: memory, where there are millions
_TO_TELL = "a manifest with a column mask"


@dataclass(frozen=True)
class MaskMatches:
    """The rows that are images, the masks of each, and what to say of it."""

    images: NDArray[np.int64]
    masks: list[MaskFiles | None] | None = None
    n_loose: int = 0
    quarantined: list[Quarantined] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    assumptions: list[Assumption] = field(default_factory=list)

    def names(self, found: FoundImages) -> NDArray[Any]:
        """Of the images; the column itself, not a copy, where every file is one."""
        return found.names if len(self.images) == len(found.column) else found.names[self.images]


class _Candidate(NamedTuple):
    row: int
    places: Sequence[Place]


class _Group(NamedTuple):
    """Files that are masks together, or not at all."""

    words: str
    candidates: list[_Candidate]
    may_be_a_class: bool


def match_masks(found: FoundImages, options: Options) -> MaskMatches:
    """The images among the files found, and their masks."""
    work = _MaskMatcher(found, options)
    work.take_folders()
    work.take_named_after()
    work.take_suffix_pairs()
    work.refuse_unnamed()
    return work.matches()


class _MaskMatcher:
    """The rounds."""

    def __init__(self, found: FoundImages, options: Options) -> None:
        self._found, self._names = found, found.names
        self._is_image = np.ones(len(self._names), np.bool_)
        self._samples = Samples(found, options, self._is_image)
        self._masks: defaultdict[int, list[int]] = defaultdict(list)
        self._folders: set[tuple[str, int]] = set()
        self._loose: list[str] = []
        self._notes: list[str] = []
        self._assumptions: list[Assumption] = []

    def take_folders(self) -> None:
        """Take folders named like masks: ``ground_truth/crack``, ``Data/Masks/Anomaly``."""
        groups: dict[tuple[str, int], _Group] = {}
        for row, name in enumerate(self._names):
            folder = folder_of_masks(name.rpartition("/")[0])
            if folder is not None:
                group = groups.setdefault(
                    _kind(folder.name), _Group(folder.name, [], folder.may_be_a_class)
                )
                group.candidates.append(_Candidate(row, places(name, folder.rests)))
        waiting = np.zeros(len(self._names), np.bool_)
        for group in groups.values():
            waiting[[one.row for one in group.candidates]] = True
        if waiting.all():  # masks of nothing are the images that somebody wants to look at
            return
        self._is_image[:] = ~waiting
        partners = self._partners(one for group in groups.values() for one in group.candidates)
        self._folders = {
            kind for kind, group in groups.items() if self._take_folder(group, partners)
        }

    def _take_folder(self, group: _Group, partners: dict[int, tuple[int, int]]) -> bool:
        rows = [one.row for one in group.candidates]
        paired = {row: partners[row] for row in rows if row in partners}
        folder = f"the folder {group.words}"
        of = {row: image for row, (image, _) in paired.items()}
        if not (paired and self._is_beside_parts(group)) and not self._samples.look_like_masks(
            rows, of, sure=not group.may_be_a_class
        ):
            self._is_image[rows] = True
            self._notes.append(
                f"{folder} has the name of masks, but {count(len(rows), 'file')} in it do not look"
                " like masks: taken as images"
            )
            return False
        self._attach(paired)
        loose = [row for row in rows if row not in paired]
        self._loose += [self._names[row] for row in loose]
        some = f", {len(paired):,} of them of an image" if loose else ""
        self._assume(
            f"{folder} holds {count(len(rows), 'mask')}, no images{some}",
            "its name, and few distinct values",
        )
        return True

    def _is_beside_parts(self, group: _Group) -> bool:
        """Whether masks alone can lie there: beside ``train``, in no part, named like no class."""
        tops = {name.partition("/")[0].lower() for name in self._names}
        return not group.may_be_a_class and group.words.lower() in tops and bool(tops & MAIN_PARTS)

    def take_named_after(self) -> None:
        """A file beside another whose name it has, and a word more."""
        groups: dict[str, _Group] = {}
        longer = {row: shorter for row, stem in self._images() if (shorter := stem_of_image(stem))}
        if not longer:
            return
        wanted = set(longer.values())
        beside = grouped(
            ((self._folder(row), stem), row) for row, stem in self._images() if stem in wanted
        )
        paired = {}
        for row, shorter in longer.items():
            others = [one for one in beside.get((self._folder(row), shorter), ()) if one != row]
            if len(others) != 1:
                continue
            paired[row] = (others[0], 0)
            word = self._stem(row).replace(shorter, "NAME", 1)
            groups.setdefault(word, _Group(word, [], may_be_a_class=True)).candidates.append(
                _Candidate(row, ())
            )
        for group in groups.values():
            rows = [one.row for one in group.candidates]
            if self._samples.look_like_masks(
                rows, {row: paired[row][0] for row in rows}, sure=False
            ):
                self._is_image[rows] = False
                self._attach({row: paired[row] for row in rows})
                self._assume(
                    f"{count(len(rows), 'file')} named {group.words} are masks, no images",
                    "the names, and few distinct values",
                )
            else:
                self._notes.append(
                    f"{count(len(rows), 'file')} named {group.words} have the names of masks, but"
                    " do not look like masks beside pictures: taken as images"
                )

    def take_suffix_pairs(self) -> None:
        """Take pairs that differ in the suffix alone, where one side looks like masks."""
        pairs = grouped(
            (tuple(suffix_of(str(self._names[row])) for row in pair), pair)
            for pair in suffix_pairs(self._names, np.flatnonzero(self._is_image))
        )
        for suffixes, rows in pairs.items():
            for suffix, masks in zip(suffixes, (dict(rows), {b: a for a, b in rows}), strict=True):
                if self._samples.look_like_masks(list(masks), masks, sure=False):
                    self._is_image[list(masks)] = False
                    self._attach({mask: (image, 0) for mask, image in masks.items()})
                    self._assume(
                        f"of {count(len(rows), 'pair')} of files with one name, the {suffix} is the"
                        " mask",
                        "few distinct values",
                    )

    def refuse_unnamed(self) -> None:
        """Refuse what looks like masks of the other images where no name says it."""
        for words, images in (*self._named_longer(), *self._namesakes()):
            rows = list(images)
            if (
                len(rows) < _FEWEST
                or not self._samples.look_drawn(rows)
                or not self._samples.look_like_masks(rows, images, sure=False)
            ):
                continue
            raise SourceError(
                f"{self._found.root}: masks must be named as masks, else they count as images. Got"
                f" files {words} that look like masks of others, such as {self._names[rows[0]]} of"
                f" {self._names[images[rows[0]]]}. Move them to a folder ground_truth, end their"
                " names in _mask, or write a manifest; take out what is no mask."
            )

    def _named_longer(self) -> Iterator[tuple[str, dict[int, int]]]:
        """Files named like another beside them and a word more, by that word, with the other."""
        wanted = grouped(
            ((self._folder(row), shorter), (row, called))
            for row in evenly(np.flatnonzero(self._is_image).tolist(), _MOST_ASKED)
            for shorter, called in shorter_stems(self._stem(row))
        )
        groups: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for image, stem in self._images():
            for row, called in wanted.get((self._folder(image), stem), ()):
                groups[called][row] = image
        return ((f"named {called}", images) for called, images in groups.items())

    def _namesakes(self) -> Iterator[tuple[str, dict[int, int]]]:
        """Folders whose files have the names of files elsewhere, nearly all of some."""
        folders = grouped(
            (self._folder(row), row) for row in np.flatnonzero(self._is_image).tolist()
        )
        asked = {folder: evenly(rows) for folder, rows in folders.items()}
        wanted = {self._stem(row) for rows in asked.values() for row in rows}
        by_stem: defaultdict[str, list[int]] = defaultdict(list)
        for row, stem in self._images():
            if stem in wanted and len(by_stem[stem]) < SAMPLES:
                by_stem[stem].append(row)
        for folder, rows in asked.items():
            others = {
                row: [one for one in by_stem[self._stem(row)] if self._folder(one) != folder]
                for row in rows
            }
            images = {row: some[0] for row, some in others.items() if some}
            if len(images) >= 0.9 * len(rows):
                yield f"in {folder or 'the folder itself'}", images

    def _folder(self, row: int) -> str:
        return str(self._names[row].rpartition("/")[0])

    def matches(self) -> MaskMatches:
        """What came of it."""
        rows = np.flatnonzero(self._is_image)
        if self._loose:
            self._notes.append(
                f"{count(len(self._loose), 'mask')} without an image were left out:"
                f" {few(self._loose, 3)}. Looked for was {LOOKED_FOR}; where names say nothing,"
                " write a manifest"
            )
        local = isinstance(self._found.store, LocalFolder)
        if self._masks and not local:
            self._notes.append(
                "masks in an object store are not read: copy the folder here for pixel metrics"
            )
        return MaskMatches(
            images=rows,
            masks=[self._files(row) for row in rows.tolist()] if self._masks and local else None,
            n_loose=len(self._loose),
            quarantined=[self._told(one) for one in self._found.quarantined],
            notes=self._notes,
            assumptions=self._assumptions,
        )

    def _files(self, image: int) -> MaskFiles | None:
        masks = self._masks.get(image)
        if masks is None or not isinstance(self._found.store, LocalFolder):
            return None
        files = tuple(
            self._found.store.root / self._found.real(row, self._names[row])
            for row in sorted(masks)
        )
        return files[0] if len(files) == 1 else files

    def _told(self, one: Quarantined) -> Quarantined:
        folder = folder_of_masks(one.path.rpartition("/")[0])
        is_mask = folder is not None and _kind(folder.name) in self._folders
        return Quarantined(one.path, f"{AS_MASK}{one.reason}") if is_mask else one

    def _images(self) -> Iterator[tuple[int, str]]:
        """Rows and stems of what is an image so far."""
        return ((row, self._stem(row)) for row in np.flatnonzero(self._is_image).tolist())

    def _stem(self, row: int) -> str:
        return stem_of(self._names[row])

    def _partners(self, candidates: Iterable[_Candidate]) -> dict[int, tuple[int, int]]:
        """The image of each candidate that surely has one, and its place's rank, 0 the best."""
        candidates = list(candidates)
        wanted = {place.stem for one in candidates for place in one.places}
        by_stem = grouped((stem, row) for row, stem in self._images() if stem in wanted)
        found = {}
        for one in candidates:
            for place in one.places:
                image = self._nearest(by_stem.get(place.stem, ()), place)
                if image is not None:
                    found[one.row] = (image, place.rank)
                    break
        return found

    def _nearest(self, rows: Sequence[int], place: Place) -> int | None:
        found = ((nearness(self._names[row].lower().split("/")[:-1], place), row) for row in rows)
        ranked = sorted((near, row) for near, row in found if near is not None)
        return (
            ranked[0][1] if ranked and (len(ranked) == 1 or ranked[0][0] < ranked[1][0]) else None
        )

    def _attach(self, paired: dict[int, tuple[int, int]]) -> None:
        """Each mask to its image by the likeliest names; what is as likely is joined."""
        best: dict[int, int] = {}
        for image, rank in paired.values():
            best[image] = min(rank, best.get(image, rank))
        for row, (image, rank) in paired.items():
            if rank == best[image]:
                self._masks[image].append(row)
            else:
                self._loose.append(self._names[row])

    def _assume(self, taken: str, because: str) -> None:
        several = sum(len(rows) > 1 for rows in self._masks.values())
        joined = f", {count(several, 'image')} with several that are joined" if several else ""
        self._assumptions.append(
            Assumption(
                about="files of masks",
                taken=f"{taken}{joined}",
                because=because,
                to_tell=f"{_TO_TELL}, or name the folder of the images",
            )
        )


def _kind(folder: str) -> tuple[str, int]:
    """Folders of one name and depth, ``kos01/mask``, which hold masks together or none."""
    return folder.rpartition("/")[2].lower(), folder.count("/")
