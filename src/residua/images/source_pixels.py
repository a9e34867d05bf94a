"""Every image of a source decoded once, in parallel: pixels, digests, what was seen of them."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._text import count
from residua.errors import ImageError
from residua.images.columns import shared, taken
from residua.images.decoding import decode, quiet_pillow
from residua.images.hashing import BYTES, PIXELS, byte_digest, pixel_digest
from residua.images.listing import EncodedImages, Listing, Options, Quarantined
from residua.images.mask_set import MaskDecision, MaskSet
from residua.images.masks import PLAIN, Convention, MaskFiles, read_mask
from residua.images.pixels import WORKERS, Decodable, InArray, Pixels, decoders
from residua.images.reading import Ground, Reading, ReadingTally, common_type
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


@dataclass(frozen=True)
class LoadedSource:
    """A listing of which only what decoded is left, and its pixels."""

    listing: Listing
    pixels: Pixels
    options: Options
    mask_convention: Convention = PLAIN


def read_pixels(listing: Listing, options: Options) -> LoadedSource:
    """Decode what `listing` names, once; what does not decode is quarantined."""
    content = listing.content
    if not isinstance(content, np.ndarray):
        return _decode_all(listing, content, options)
    if options.progress is not None:
        options.progress(len(content), len(content))
    return LoadedSource(listing, InArray(content), options)


@dataclass(frozen=True)
class _ImageFacts:
    """What one decoding told: facts, faults, and pixels where memory has room for them."""

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
        files = [None if isinstance(one, np.ndarray) else one for one in listing.masks or ()]
        self.masks = MaskSet(files, options) if any(files) else None

    def all(self) -> Iterator[_ImageFacts]:
        """What each image told, in order; never more than a few are in flight."""
        n = len(self._encoded)
        waiting: deque[Future[_ImageFacts]] = deque()
        try:
            with quiet_pillow():
                for index in range(n):
                    waiting.append(decoders().submit(self._see, index))
                    if len(waiting) >= 8 * WORKERS:
                        yield self._next(waiting, n)
                while waiting:
                    yield self._next(waiting, n)
        finally:  # where a store gave up, the others would go on asking, and hold the threads
            for one in waiting:
                one.cancel()

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
    """What was seen of every image that decodes, in arrays that are filled row by row."""

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


def _decode_all(listing: Listing, encoded: EncodedImages, options: Options) -> LoadedSource:
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
        return replace(
            again,
            listing=replace(
                again.listing,
                assumptions=list(dict.fromkeys([*again.listing.assumptions, *assumed])),
            ),
        )
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
    return LoadedSource(
        replace(
            _only_decoded(listing, columns, len(encoded)),
            quarantined=quarantined,
            notes=[
                *listing.notes,
                *_decoding_notes(facts, channels, dtype, reading),
                *settled.notes,
            ],
            assumptions=[
                *listing.assumptions,
                *getattr(encoded, "assumptions", ()),  # of `Items`, known once all are read
                *assumed,
                *settled.assumptions,
                *_of_turned(n_turned),
            ],
            reading=reading,
            formats=_formats(facts),
        ),
        pixels,
        options,
        settled.convention,
    )


def _only_decoded(listing: Listing, columns: _Columns, n: int) -> Listing:
    """The rows that decoded; all `n` are not copied, which may take 50 MB a column."""
    if columns.n == n:
        return listing
    return replace(
        listing,
        own={name: column[columns.rows] for name, column in listing.own.items()},
        **{
            name: taken(getattr(listing, name), columns.rows)
            for name in ("names", "labels", "splits", "groups", "products", "masks")
        },
    )


def _formats(facts: Counter[_Fact]) -> dict[str, int]:
    counted: Counter[str] = Counter()
    for fact, n in facts.items():
        counted[f"{fact.format} {fact.mode}"] += n
    return dict(sorted(counted.items()))


def _of_turned(n: int) -> list[Assumption]:
    """Who draws masks with a program that knows no EXIF draws them on the image as it lies."""
    return [
        Assumption(
            about="masks of turned images",
            taken="upright already",
            because=(
                f"{count(n, 'image')} with a mask turned as EXIF says, the masks as their own"
                " files say"
            ),
            to_tell="save the images turned upright, without an orientation",
        )
    ] * (n > 0)


def _labelled_by_masks(listing: Listing, convention: Convention, options: Options) -> Listing:
    """Without classes, what a mask marks is defective, so that none is trained on as good."""
    if listing.labels is not None or listing.masks is None:
        return listing

    def is_marked(mask: MaskFiles | NDArray[np.bool_] | None) -> bool:
        if isinstance(mask, np.ndarray):
            return bool(mask.any())
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
