"""`load_images`: from a SOURCE to a clean `ImageSet`.

Every file is decoded once; what fails is quarantined.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua._labels import means_anomalous, normal_among
from residua.errors import ImageError, RangeError, SourceError
from residua.images.arrays import as_labels
from residua.images.columns import shared, taken, texts
from residua.images.decoding import decode, quiet_pillow
from residua.images.hashing import BYTES, PIXELS, byte_digest, pixel_digest
from residua.images.imageset import ImageSet, as_texts, known_labels, spelled_otherwise
from residua.images.listing import EncodedImages, Listing, Options, Progress, Quarantined, count
from residua.images.mask_set import MaskDecision, MaskSet
from residua.images.masks import PLAIN, Convention, MaskFiles, read_mask
from residua.images.pixels import WORKERS, Decodable, InArray, Pixels, decoders
from residua.images.reading import Ground, Reading, ReadingTally, common_type, reading_of
from residua.images.sources import list_source
from residua.images.sources.walking import few
from residua.images.splits import drawn_parts, groups_in_two_splits, make_splits
from residua.images.table import Table
from residua.records import Assumption

_NOTES = {
    "turned": "{} turned upright as the EXIF orientation says",
    "frames": "{} several frames: the first was taken",
    "alpha": "{} transparency: laid on GROUND",
    "palette": "{} a palette: converted to RGB",
    "colour space": (
        "{} another colour space (CMYK, YCbCr, ...): converted to RGB without a colour profile"
    ),
    "gamma": "{} a gamma of its own in the file: values are taken as they lie",
    "profile": "{} a colour profile other than sRGB: values are taken as they lie",
    "grey": "{} only grey stored as colour: counted as grey",
    "reduced": "{} 16-bit colour, of which the decoder gives 8 bits",
    "exif": "{} EXIF data that cannot be read: taken as they lie",
}

GOOD, DEFECT = "good", "defect"

_OBJECT = 200  # bytes that an array costs beside its pixels


def load_images(
    source: str | Path,
    *,
    normal: str | int | Sequence[str | int] | None = None,
    seed: int = 0,
    pixel_limit: int = 100_000_000,
    memory_megabytes: float = 2048,
    progress: Progress | None = None,
    root: str | Path | None = None,
    bits: int | None = None,
    reading: Reading | None = None,
    follow_links: bool = False,
) -> ImageSet:
    """Read a SOURCE: a folder in any layout, ``.npz``, ``.npy``, IDX, Parquet, tar shards, a URL, a
    CSV manifest, or ``digits``.

    Every file is decoded once, in parallel, so that what comes back is clean; a file that does not
    decode or exceeds a limit is in ``.quarantined`` with its reason. The layouts are described in
    the page *Images*.

    Parameters
    ----------
    source : str or Path
        The word ``digits`` means scikit-learn's bundled digits; a folder of that name is
        ``./digits``.
    normal : str, int or several
        The label or labels that mean *normal*, compared as text. None: taken from the source where
        it shows (said in ``.notes``), else left open.
    seed : int
        Of the split, where the source does not give one.
    pixel_limit : int
        An image that declares more pixels is quarantined before it is decoded.
    memory_megabytes : float
        Decoded pixels are kept in memory up to this; the rest is decoded again on access.
    progress : callable, optional
        Called with (done, total) as files are decoded.
    root : str or Path, optional
        For a manifest: the folder that its paths are relative to and must stay in, instead of the
        manifest's own.
    bits : int, optional
        How many bits of whole numbers in larger containers count: 12 for a camera of 12 bits that
        writes 16. None: what the files declare, else recognised where all images end at 8, 10, 12
        or 14 bits (said in ``.assumptions``), else all.
    reading : Reading, optional
        How another set was read (its ``.reading``), so that this one is read alike; `bits` comes
        before it.
    follow_links : bool
        For a folder: follow links that lead out of it, as DVC and git-annex make them. Left out,
        such files are quarantined, as a folder from elsewhere could otherwise bring in any file of
        this machine.

    Raises
    ------
    SourceError
        If the source does not exist, holds no readable image, or contradicts itself.
    LabelError
        If `normal` names a label that is not there.

    Examples
    --------
    >>> images = load_images("digits", normal=0)
    >>> (
    ...     len(images.train),
    ...     len(images.calibration),
    ...     len(images.test),
    ...     images.uniform_size,
    ...     images.channels,
    ... )
    (107, 522, 1168, (8, 8), 1)
    """
    _check_limits(pixel_limit, memory_megabytes)
    how = reading_of(bits, reading, where="load_images")
    options = Options(
        pixel_limit,
        memory_megabytes,
        None if root is None else Path(root),
        follow_links,
        progress,
        how,
        of_model=bits is None and reading is not None,
    )
    listing = list_source(source, options)
    content = listing.content
    loaded = (
        _in_array(listing, content, options)
        if isinstance(content, np.ndarray)
        else _decode_all(listing, content, options)
    )
    return _assemble(str(source), loaded, normal, seed)


def _check_limits(pixel_limit: int, memory_megabytes: float) -> None:
    if pixel_limit < 1 or not memory_megabytes >= 0:
        raise RangeError(
            "load_images: pixel_limit must be at least 1 and memory_megabytes at least 0. "
            f"Got {pixel_limit} and {memory_megabytes}. Leave them out for the defaults."
        )


@dataclass(frozen=True)
class _LoadedSource:
    """A listing of which only what decoded is left, and its pixels."""

    listing: Listing
    pixels: Pixels
    options: Options
    mask_convention: Convention = PLAIN


def _in_array(listing: Listing, content: NDArray[Any], options: Options) -> _LoadedSource:
    if options.progress is not None:
        options.progress(len(content), len(content))
    return _LoadedSource(listing, InArray(content), options)


@dataclass(frozen=True)
class _ImageFacts:
    """What one decoding told: the image's facts, its pixels where memory has room for them, and
    faults.
    """

    size: tuple[int, int] = (0, 0)
    pixel_digest: bytes = b""
    byte_digest: bytes = b""
    fact: _Fact | None = None
    pixels: NDArray[Any] | None = None
    highest: int | None = None
    ink: dict[Ground, float] | None = None
    reason: str | None = None


class _Fact(NamedTuple):
    """What kind of file an image came from; few kinds occur, so they are counted, not listed."""

    format: str
    mode: str
    dtype: str
    channels: int
    done: frozenset[str]


class _Reader:
    """Decodes image after image in several threads, keeping pixels while they fit."""

    def __init__(self, listing: Listing, encoded: EncodedImages, options: Options) -> None:
        self._listing, self._encoded, self._options = listing, encoded, options
        self._room = int(options.memory_megabytes * 2**20)
        self._lock = threading.Lock()
        self._n_done = 0
        self.masks = None if listing.masks is None else MaskSet(listing.masks, options)

    def all(self) -> Iterator[_ImageFacts]:
        """What each image told, in order; never more than a few are in flight."""
        n = len(self._encoded)
        waiting: deque[Future[_ImageFacts]] = deque()
        with quiet_pillow():
            for index in range(n):
                waiting.append(decoders().submit(self._see, index))
                if len(waiting) >= 8 * WORKERS:
                    yield self._next(waiting, n)
            while waiting:
                yield self._next(waiting, n)

    def _next(self, waiting: deque[Future[_ImageFacts]], n: int) -> _ImageFacts:
        seen = waiting.popleft().result()
        self._n_done += 1
        if self._options.progress is not None:
            self._options.progress(self._n_done, n)
        return seen

    def _see(self, index: int) -> _ImageFacts:
        try:
            data = self._encoded.read(index)
            decoded = decode(data, self._options.pixel_limit, self._options.reading)
        except ImageError as error:
            return _ImageFacts(reason=str(error))
        pixels = decoded.pixels
        height, width, channels = pixels.shape
        if self.masks is not None:
            self.masks.look(index, (height, width))
        return _ImageFacts(
            size=(height, width),
            pixel_digest=pixel_digest(pixels),
            byte_digest=byte_digest(data),
            fact=_Fact(decoded.format, decoded.mode, pixels.dtype.name, channels, decoded.done),
            pixels=pixels if self._has_room(pixels.nbytes + _OBJECT) else None,
            highest=decoded.highest,
            ink=decoded.ink,
        )

    def _has_room(self, n_bytes: int) -> bool:
        with self._lock:
            if n_bytes > self._room:
                return False
            self._room -= n_bytes
            return True


class _Columns:
    """What was seen of every image that decodes, in arrays of fixed width that are filled row by
    row.
    """

    def __init__(self, n: int) -> None:
        self._sizes = np.zeros((n, 2), np.int32)
        self._byte_digests = np.zeros((n, BYTES), np.uint8)
        self._pixel_digests = np.zeros((n, PIXELS), np.uint8)
        self._rows = np.zeros(n, np.int64)
        self.kept: dict[int, NDArray[Any]] = {}
        self.facts: Counter[_Fact] = Counter()
        self.seen = ReadingTally()
        self.n = 0

    def add(self, row: int, seen: _ImageFacts, fact: _Fact) -> None:
        """Take an image of the listing's `row`."""
        self._rows[self.n], self._sizes[self.n] = row, seen.size
        self._byte_digests[self.n] = np.frombuffer(seen.byte_digest, np.uint8)
        self._pixel_digests[self.n] = np.frombuffer(seen.pixel_digest, np.uint8)
        if seen.pixels is not None:
            self.kept[self.n] = seen.pixels
        self.facts[fact] += 1
        self.seen.add(seen.highest, seen.ink)
        self.n += 1

    @property
    def rows(self) -> NDArray[np.int64]:
        """The listing's rows that decoded."""
        return self._rows[: self.n]

    def pixels(
        self,
        encoded: EncodedImages,
        *,
        channels: int,
        dtype: np.dtype[Any],
        pixel_limit: int,
        reading: Reading,
    ) -> Decodable:
        """The images, to be read."""
        return Decodable(
            encoded if self.n == len(encoded) else encoded.part(self.rows),
            self.kept,
            sizes=self._sizes[: self.n],
            byte_digests=self._byte_digests[: self.n],
            pixel_digests=self._pixel_digests[: self.n],
            channels=channels,
            dtype=dtype,
            pixel_limit=pixel_limit,
            reading=reading,
        )


def _decode_all(listing: Listing, encoded: EncodedImages, options: Options) -> _LoadedSource:
    columns = _Columns(len(encoded))
    quarantined, n_turned = [*listing.quarantined], 0
    reader = _Reader(listing, encoded, options)
    for index, one in enumerate(reader.all()):
        if one.fact is None:
            quarantined.append(Quarantined(str(listing.names[index]), str(one.reason)))
            continue
        columns.add(index, one, one.fact)
        n_turned += (
            "turned" in one.fact.done
            and listing.masks is not None
            and listing.masks[index] is not None
        )
    reading, assumed = columns.seen.settle(options.reading, model=options.of_model)
    if options.reading.ground is None and reading.ground not in (None, "black"):
        again = _decode_all(
            listing,
            encoded,
            replace(options, reading=Reading(bits=options.reading.bits, ground=reading.ground)),
        )
        made = list(dict.fromkeys([*again.listing.assumptions, *assumed]))
        return replace(again, listing=replace(again.listing, assumptions=made))
    settled = MaskDecision(PLAIN) if reader.masks is None else reader.masks.settle()
    quarantined += [one for row in sorted(settled.faults) for one in settled.faults[row]]
    masks = (
        None
        if listing.masks is None
        else [None if row in settled.faults else one for row, one in enumerate(listing.masks)]
    )
    listing = _labelled_by_masks(replace(listing, masks=masks), settled.convention, options)
    facts = columns.facts
    dtype = common_type((np.dtype(fact.dtype) for fact in facts), reading)
    channels = max((fact.channels for fact in facts), default=1)
    pixels = columns.pixels(
        encoded, channels=channels, dtype=dtype, pixel_limit=options.pixel_limit, reading=reading
    )
    formats: Counter[str] = Counter()
    for fact, n in facts.items():
        formats[f"{fact.format} {fact.mode}"] += n
    # Where all is well no column is copied: at a million images each copy is 8 to 50 MB.
    good = None if columns.n == len(encoded) else columns.rows
    named = ("names", "labels", "splits", "groups")
    kept = {} if good is None else {name: taken(getattr(listing, name), good) for name in named}
    own = (
        listing.own
        if good is None
        else {name: column[good] for name, column in listing.own.items()}
    )
    clean = replace(
        listing,
        **kept,
        own=own,
        masks=masks if good is None else taken(masks, good),
        quarantined=quarantined,
        notes=[*listing.notes, *_decoding_notes(facts, channels, dtype, reading), *settled.notes],
        assumptions=[*listing.assumptions, *assumed, *settled.assumptions, *_of_turned(n_turned)],
        reading=reading,
        formats=dict(sorted(formats.items())),
    )
    return _LoadedSource(clean, pixels, options, settled.convention)


def _of_turned(n: int) -> list[Assumption]:
    """Who draws masks with a program that knows no EXIF draws them on the image as it lies."""
    if not n:
        return []
    because = (
        f"{count(n, 'image')} with a mask turned as EXIF says, the masks as their own files say"
    )
    to_tell = "save the images turned upright, without an orientation"
    return [
        Assumption(
            about="masks of turned images",
            taken="upright already",
            because=because,
            to_tell=to_tell,
        )
    ]


def _labelled_by_masks(listing: Listing, convention: Convention, options: Options) -> Listing:
    """Where nothing names a class, what its mask marks is defective: else defects would be trained
    on as if they were good.
    """
    if listing.labels is not None or listing.masks is None:
        return listing

    def is_marked(mask: MaskFiles | None) -> bool:
        return mask is not None and bool(
            read_mask(mask, options.pixel_limit, options.byte_limit, convention=convention).any()
        )

    labels = [DEFECT if one else GOOD for one in decoders().map(is_marked, listing.masks)]
    n_defects = labels.count(DEFECT)
    if n_defects in {0, len(labels)}:
        return listing
    marked = f"{count(n_defects, 'image')} whose mask marks something"
    made = Assumption(
        about="labels",
        taken=f"{marked} {DEFECT!r}, the other {len(labels) - n_defects:,} {GOOD!r}",
        because="nothing else names a class",
        to_tell="a folder a class, or a manifest with a column label",
    )
    return replace(listing, labels=shared(labels), assumptions=[*listing.assumptions, made])


def _decoding_notes(
    facts: Counter[_Fact], channels: int, dtype: np.dtype[Any], reading: Reading
) -> list[str]:
    tally: Counter[str] = Counter()
    for fact, n in facts.items():
        tally.update(dict.fromkeys(fact.done, n))
    notes = []
    for flag, sentence in _NOTES.items():
        if tally[flag]:
            noun, verb = count(tally[flag], "image"), "has" if tally[flag] == 1 else "have"
            told = sentence.replace("GROUND", reading.ground or "black")
            notes.append(told.format(noun if flag == "turned" else f"{noun} {verb}"))
    n_grey = sum(n for fact, n in facts.items() if fact.channels < channels)
    if n_grey:
        notes.append(f"{count(n_grey, 'grey image')} beside colour ones: repeated to 3 channels")
    if dtype == np.float32:
        n_deep = sum(n for fact, n in facts.items() if fact.dtype != "uint8")
        notes.append(
            f"{count(n_deep, 'image')} with more than 8 bits: all images are float32 in [0, 1]"
        )
    return notes


def _assemble(
    source: str, loaded: _LoadedSource, normal: str | int | Sequence[str | int] | None, seed: int
) -> ImageSet:
    listing = loaded.listing
    if not len(listing.names):
        raise SourceError(_nothing_readable(source, listing))
    problems = Problems("load_images")
    labels = (
        None
        if listing.labels is None
        else as_labels(listing.labels, len(listing.names), name="labels", problems=problems)
    )
    problems.raise_any()
    if labels is not None and labels.dtype == object and all(label is None for label in labels):
        labels = None
    assumed = list(listing.assumptions)
    named = (
        _named_normal(normal, labels, assumed)
        if normal is not None
        else _inferred_normal(listing, labels, assumed)
    )
    splits, split_notes = make_splits(
        listing.names, labels, splits=listing.splits, groups=listing.groups, normal=named, seed=seed
    )
    split_notes += _about_test(listing, labels, named)
    torn = groups_in_two_splits(splits, listing.groups)
    if torn:
        split_notes.append(
            f"{count(len(torn), 'group')} in more than one part, {torn[0]!r} for one: test is not"
            " independent"
        )
    if listing.quarantined:
        split_notes.append(f"{count(len(listing.quarantined), 'file')} quarantined")
    table = Table(
        pixels=loaded.pixels,
        paths=texts(listing.names),
        labels=shared(labels) if labels is not None and labels.dtype == object else labels,
        splits=splits,
        drawn=drawn_parts(listing.splits),
        groups=None if listing.groups is None else shared(listing.groups),
        masks=None if listing.masks is None or not any(listing.masks) else tuple(listing.masks),
        own=listing.own,
        mask_convention=loaded.mask_convention,
        source=source,
        kind=listing.kind,
        notes=(*listing.notes, *split_notes),
        reading=listing.reading,
        assumptions=tuple(assumed),
        quarantined=tuple(listing.quarantined),
        formats=listing.formats,
        pixel_limit=loaded.options.pixel_limit,
        byte_limit=loaded.options.byte_limit,
    )
    return ImageSet(table, np.arange(len(listing.names)), named)


def _nothing_readable(source: str, listing: Listing) -> str:
    got = "none"
    if listing.quarantined:
        first = listing.quarantined[0]
        got = (
            f"{count(len(listing.quarantined), 'file')} that cannot be read ({first.path}:"
            f" {first.reason})"
        )
    return (
        f"{source}: a source must hold at least one image that decodes. Got {got}. Name a folder or"
        " file with images."
    )


def _named_normal(
    normal: str | int | Sequence[str | int], labels: NDArray[Any] | None, assumed: list[Assumption]
) -> tuple[str, ...]:
    named = as_texts(normal)
    found = known_labels(named, labels, where="load_images")
    assumed.extend(spelled_otherwise(named, found))
    return found


def _inferred_normal(
    listing: Listing, labels: NDArray[Any] | None, assumed: list[Assumption]
) -> tuple[str, ...] | None:
    """The normal label where the source shows it: the layout says so, train holds one label only,
    or one is called good.
    """
    if labels is None:
        return None
    texts = [None if label is None else str(label) for label in labels]
    there = {text for text in texts if text is not None}
    why = ""
    found: tuple[str, ...] = ()
    if listing.normal is not None and listing.normal in there:
        found, why = (listing.normal,), "as the MVTec layout has it"
    elif listing.splits is not None:
        in_train = {
            text
            for text, part in zip(texts, listing.splits, strict=True)
            if part == "train" and text is not None
        }
        if len(in_train) == 1 and len(there) > 1 and not means_anomalous(next(iter(in_train))):
            found, why = tuple(in_train), "the only label in train"
    if found:
        found = known_labels(found, labels, where="load_images")
    elif len(there) > 1:
        found, why = normal_among(sorted(there))
    if not found:
        return None
    others = sorted(there - set(found))
    if len(others) > 1:
        why += f"; anomalous are {few(others, 8)}"
    assumed.append(
        Assumption(about="normal label", taken=", ".join(found), because=why, to_tell="--normal")
    )
    return found


def _about_test(
    listing: Listing, labels: NDArray[Any] | None, normal: tuple[str, ...] | None
) -> list[str]:
    """A sentence where the source's own test part cannot show how well normal and anomalous images
    are told apart.
    """
    if listing.splits is None or labels is None or normal is None:
        return []
    parts = zip(labels, listing.splits, strict=True)
    is_normal = {
        str(label) in normal for label, part in parts if part == "test" and label is not None
    }
    if len(is_normal) != 1:
        return []
    there, missing = ("anomalous", "normal") if False in is_normal else ("normal", "anomalous")
    return [
        f"the test part holds no {missing} image, {there} ones alone: ROC AUC cannot be measured"
        " on it"
    ]
