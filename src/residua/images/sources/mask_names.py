"""What the names of folders and files say about masks.

Words, and where the image of a mask should lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua.images.sources.walking import suffix_of

LOOKED_FOR = (
    "the image's own name, also with _mask, _segmentation, _seg, _label, _gt or _annotation, in any"
    " case and format"
)

_WORD = (
    r"masks?|masken?|masques?|m[a\u00e1]scaras?|maschere?|ground[\W_]?truths?|gts?|gt(?:fine|coarse)|(?:pixel[\W_]?)?labels?(?:[\W_]?ids)?|annotations?|annots?|annos?"
    r"|segmentations?(?:[\W_]?(?:class|object|maps?))?|segmaps?|segs?"
)
_FOLDER = re.compile(
    rf"(?:(?P<before>.+?)[\W_]+|(?P<part>train|test|val))?(?P<word>{_WORD})|(?P<first>{_WORD})[\W_]+(?P<after>.+)",
    re.IGNORECASE,
)
_STEM = re.compile(
    rf"(?P<stem>.+?)[\W_]+(?:{_WORD})(?:[\W_]*\d{{1,3}})?|(?:{_WORD})[\W_]+(?P<rest>.+)",
    re.IGNORECASE,
)
_LAST = re.compile(r"(?P<stem>.+?)(?P<word>[\W_]+[^\W_]+)")
_FIRST = re.compile(r"(?P<word>[^\W_]+[\W_]+)(?P<stem>.+)")
# Words that are as likely the name of a class: face masks, printed labels.
_ALSO_A_CLASS = frozenset({"mask", "label", "labels", "seg", "segs"})
# Folders that hold the images beside a folder of masks.
IMAGE_FOLDERS = frozenset({
    "images", "image", "imgs", "img", "data", "dataset", "rgb", "jpegimages", "pictures", "photos",
    "originals",
})  # fmt: skip
_TEST = frozenset({"test", "testing"})
MAIN_PARTS = _TEST | {"train", "training"}
_PARTS = MAIN_PARTS | {"val", "valid", "validation", "calibration"}


class Place(NamedTuple):
    """Where the image of a mask may be.

    Its stem, and the folders that must lie on the way to it, in lower case.

    Of several masks of an image those of the lowest ``rank`` count: ``000_mask`` before ``000``.
    """

    stem: str
    folders: tuple[str, ...]
    rank: int


class FolderOfMasks(NamedTuple):
    """A folder that by its name holds masks.

    ``rests`` are the other folders on the way, which the way to the image must have too: first with
    what is left of the name (``train`` of ``train_masks``), then without it.
    """

    name: str
    rests: tuple[tuple[str, ...], ...]
    may_be_a_class: bool


@lru_cache(maxsize=4096)
def folder_of_masks(folder: str) -> FolderOfMasks | None:
    """Whether a relative folder has the name of masks anywhere on the way.

    >>> folder_of_masks("Data/Masks/Anomaly").rests, folder_of_masks("good/line 2")
    ((('data', 'anomaly'),), None)
    """
    names = folder.split("/") if folder else []
    matches = [_FOLDER.fullmatch(name) for name in names]
    first = next((at for at, match in enumerate(matches) if match), None)
    if first is None:
        return None
    left: list[str] = []
    plain: list[str] = []
    for name, match in zip(names, matches, strict=True):
        more = name if match is None else match["before"] or match["part"] or match["after"]
        left += [more.lower()] if more else []
        plain += [name.lower()] if match is None else []
    rests = tuple(dict.fromkeys((tuple(left), tuple(plain))))
    sure = any(
        match and match.group().lower() not in _ALSO_A_CLASS and len(rests) == 1
        for match in matches
    )
    return FolderOfMasks("/".join(names[: first + 1]), rests, may_be_a_class=not sure)


def stem_of(name: str) -> str:
    """The last part of a name without its suffix, in lower case."""
    base = name[name.rfind("/") + 1 :]
    dot = base.rfind(".")
    return (base[:dot] if dot > 0 else base).lower()


def stem_of_image(stem: str) -> str | None:
    """The image's stem where a mask's has a word more.

    >>> [
    ...     stem_of_image(stem)
    ...     for stem in ("0576_label", "10000_gt", "mask-7", "000_mask_2", "labels")
    ... ]
    ['0576', '10000', '7', '000', None]
    """
    match = _STEM.fullmatch(stem)
    return None if match is None else match["stem"] or match["rest"]


def shorter_stems(stem: str) -> list[tuple[str, str]]:
    """The stem without its last and without its first word, each with the file's pattern.

    >>> shorter_stems("m_014"), shorter_stems("014")
    ([('m', 'NAME_014'), ('014', 'm_NAME')], [])
    """
    found = []
    if last := _LAST.fullmatch(stem):
        found.append((last["stem"], f"NAME{last['word']}"))
    if first := _FIRST.fullmatch(stem):
        found.append((first["stem"], f"{first['word']}NAME"))
    return found


def places(name: str, rests: tuple[tuple[str, ...], ...]) -> list[Place]:
    """Where the image of the mask `name` may be, the likeliest first.

    ``000_mask`` belongs to ``000``; a mask may have the image's own stem; of several masks of an
    image, each in a folder that has the image's name, that name counts.
    """
    stem = stem_of(name)
    shorter = stem_of_image(stem)
    found = [
        Place(one, rest, rank) for rank, one in enumerate((shorter, stem)) if one for rest in rests
    ]
    return found + [Place(rest[-1], rest[:-1], 2) for rest in rests if rest]


def nearness(folders: list[str], place: Place) -> tuple[int, int, int] | None:
    """How well an image's folders agree with a place, 0 the best; None where one is missing."""
    way = iter(folders)
    if not all(any(one == wanted for one in way) for wanted in place.folders):
        return None
    other_part = not _PARTS & set(place.folders) and not _TEST & set(folders)
    return int(other_part), int(not IMAGE_FOLDERS & set(folders)), len(folders)


def suffix_pairs(
    names: Sequence[str] | NDArray[Any], rows: NDArray[np.int64]
) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose names differ in the suffix alone; three of a name are no pair."""

    def without_suffix(row: int) -> str:
        name = str(names[row])
        return name[: len(name) - len(suffix_of(name))]

    # Names are in order within a folder, so what differs in the suffix alone mostly stands
    # together.
    for _, run in groupby(rows.tolist(), without_suffix):
        pair = list(run)
        if len(pair) == 2:
            yield pair[0], pair[1]
