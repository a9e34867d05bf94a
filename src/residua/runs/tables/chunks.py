"""Scoring a source shard by shard.

Listed, decoded, scored and let go, so that memory does not grow with the set.

The same code runs in one process and in every worker of a cluster. A score depends on the image and
the bundle alone, so how the work is cut changes nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.engines import Engine, Scores
from residua.engines.interface import check_channels, join_scores, kinds_of
from residua.errors import ImageError, InputError, ShapeError, SourceError
from residua.images.arrays import as_labels
from residua.images.columns import strings, texts
from residua.images.decoding import DecodedImage, decode, quiet_pillow
from residua.images.groups import DEFAULT, Grouping, group_cells, group_listing
from residua.images.hashing import pixel_digest
from residua.images.listing import Listing, Options, Quarantined
from residua.images.pixels import WORKERS, as_common, decoders
from residua.images.products import with_products
from residua.images.reading import ReadingTally, common_type
from residua.images.shards import Shard
from residua.images.sources import single_file
from residua.records import Assumption
from residua.runs.tables.earlier import DIGEST, EarlierScores
from residua.runs.tables.part_lookup import PartLookup
from residua.thresholds import PValues
from residua.thresholds.false_discoveries import BatchDecision, FalseDiscoveries
from residua.thresholds.products import ProductPValues, Products

ROWS_A_CHUNK = 4096
COLUMNS = (
    *("path", "label", "split", "score", "threshold", "anomalous", "mse", "mae", "ssim"),
    "unreadable",
)
"""The columns of every table of scores: the last one says why an image has no score."""
P_VALUE = "p_value"
"""Beside them, where normal calibration scores are known."""
PRODUCT, UNDECIDED = "product", "undecided"
"""Beside them, where there are products: that of the image, and why nothing is decided of it."""
_ERRORS = ("mse", "mae", "ssim")
_LOOKED_AT = 64  # images of the first shard


@dataclass(frozen=True)
class ScoringTask:
    """What scoring a shard needs beside the engine; picklable.

    ``lookup`` says the parts where the source is the run's own; ``classes`` are a classifier's,
    or kinds of defects if ``says_kinds``;
    ``assumptions`` what was read off the images. With ``raw_cells`` texts stand in CSV as they are,
    though a spreadsheet may take one for a formula. ``own`` are the source's own columns, each with
    its name among the scores. ``grouping`` says by what images belong together: their groups stand
    in the column ``group``. ``earlier`` holds scores of images that need not be scored again.
    ``reference`` makes p-values of scores. ``policy`` decides about all images together at the end,
    where there is no threshold before. ``products`` each have a threshold, and ``product_rule``
    says which one an image shows.
    """

    channels: int
    threshold: float | None
    options: Options
    lookup: PartLookup | None = None
    only_test: bool = False
    assumptions: tuple[Assumption, ...] = ()
    classes: tuple[str, ...] | None = None
    says_kinds: bool = False
    multilabel: bool = False
    raw_cells: bool = False
    own: tuple[tuple[str, str], ...] = ()
    grouping: Grouping | None = None
    earlier: EarlierScores | None = None
    reference: PValues | ProductPValues | None = None
    policy: FalseDiscoveries | None = None
    products: Products | None = None
    product_rule: str | None = None

    def listing(self, shard: Shard) -> Listing:
        """What lies in a shard, its groups among the source's own columns."""
        found = with_products(
            shard.listing(self.options), self.product_rule, must_hold=False, where="score"
        )
        if self.grouping is None:
            return found
        cells = group_cells(found, self.grouping, where="score")
        return replace(found, own={**found.own, DEFAULT: texts(cell or "" for cell in cells)})

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the scores, in order."""
        return (*self._made, *(told for _, told in self.own))

    @property
    def _made(self) -> tuple[str, ...]:
        of_classes = () if self.classes is None else (self.told, *self._probabilities)
        own = () if self.reference is None else (P_VALUE,)
        of_products = () if self.products is None else (PRODUCT, UNDECIDED)
        return (*COLUMNS, *own, *of_products, *of_classes)

    @property
    def told(self) -> str:
        """The column of the likeliest class, or kind."""
        return "kind" if self.says_kinds else "predicted"

    @property
    def _probabilities(self) -> tuple[str, ...]:
        return tuple(f"p[{name}]" for name in self.classes or ())

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns that come from the model, which is what `earlier` remembers."""
        return ("score", *_ERRORS, *self._probabilities)

    def with_own(self, names: Iterable[str]) -> ScoringTask:
        """The task with the source's own columns; those named as residua's are told apart.

        >>> ScoringTask(1, None, Options()).with_own(["camera", "Score"]).own
        (('camera', 'camera'), ('Score', 'Score (source)'))
        """
        taken = {name.lower() for name in self._made}
        own = []
        for name in names:
            if self.products is not None and name == self.product_rule == PRODUCT:
                continue
            told = name
            while told.lower() in taken:
                told = f"{told} (source)"
            taken.add(told.lower())
            own.append((name, told))
        return replace(self, own=tuple(own))

    def level_of(self, decision: BatchDecision, product: str | None) -> float | None:
        """The threshold of a decision about a batch for an image; None where it has none."""
        if self.products is None:
            return decision.threshold
        assert isinstance(self.reference, ProductPValues)
        return self.reference.threshold_of(decision.p_value, product)

    def no_scores(self, n: int = 0) -> dict[str, Any]:
        """The columns of `n` images that nothing is known of: texts None, numbers NaN."""
        return {
            name: np.full(n, np.nan, np.float32) if name in self.numbers else [None] * n
            for name in self.columns
        }

    def unread(self, files: Sequence[Quarantined], *, is_last: bool = True) -> Chunk:
        """A row for each file that was kept out as a whole; a mask that was has none."""
        own = [one for one in files if not one.is_mask]
        columns = self.no_scores(len(own)) | {
            "path": [one.path for one in own],
            "unreadable": [one.reason for one in own],
        }
        return Chunk(columns, 0, tuple(files), is_last=is_last, digests=bytes(DIGEST * len(own)))


@dataclass(frozen=True)
class Chunk:
    """The results of up to 4,096 images of a shard that follow each other.

    Those that cannot be read have a row too: the reason stands in ``unreadable``, and there are no
    numbers. ``quarantined`` names them again, with masks and whole shards. ``digests`` are the
    hashes of what was read, one after the other, zeros where nothing could be. ``n_reused`` have
    their scores from before.
    """

    columns: dict[str, Any]
    n_seen: int
    quarantined: tuple[Quarantined, ...]
    is_last: bool
    digests: bytes = b""
    n_reused: int = 0

    @property
    def n_rows(self) -> int:
        """Rows of the table, those without a score too."""
        return len(self.columns["path"])

    @property
    def is_scored(self) -> NDArray[np.bool_]:
        """Which rows have a score."""
        return np.array([reason is None for reason in self.columns["unreadable"]], np.bool_)

    @property
    def n_scored(self) -> int:
        """Images with a score."""
        return int(self.is_scored.sum())

    def scored(self, name: str) -> Any:
        """A column of the rows that have a score."""
        column, kept = self.columns[name], self.is_scored
        if isinstance(column, np.ndarray):
            return column[kept]
        return [value for value, is_kept in zip(column, kept.tolist(), strict=True) if is_kept]

    def joined(self, other: Chunk) -> Chunk:
        """The rows of both, as one chunk."""
        columns = {
            name: np.concatenate([column, other.columns[name]])
            if isinstance(column, np.ndarray)
            else [*column, *other.columns[name]]
            for name, column in self.columns.items()
        }
        return replace(
            self,
            columns=columns,
            quarantined=(*self.quarantined, *other.quarantined),
            digests=self.digests + other.digests,
        )

    @property
    def undecided(self) -> dict[str, int]:
        """How many scored images nothing is decided of, by the reason."""
        return dict(Counter(why for why in self.columns.get(UNDECIDED, []) if why is not None))

    @property
    def n_anomalous(self) -> int:
        """Images above the threshold."""
        return sum(flag is True for flag in self.columns["anomalous"])


def score_shard(
    engine: Engine, task: ScoringTask, shard: Shard, *, start: int = 0
) -> Iterator[Chunk]:
    """A shard's chunks from image `start` on; one unreadable shard is a quarantined file."""
    try:
        listing = task.listing(shard)
    except SourceError as error:
        yield task.unread([Quarantined(shard.name, f"the whole shard: {error}")])
        return
    n = len(listing.names)
    for first in range(start, n, ROWS_A_CHUNK) or [n]:
        stop = min(first + ROWS_A_CHUNK, n)
        chunk = score_rows(engine, task, listing, first, stop)
        if stop == n:
            chunk = replace(chunk.joined(task.unread(listing.quarantined)), is_last=True)
        yield chunk


def check_first(
    task: ScoringTask, shard: Shard, source: str, groups: str | Grouping | None = None
) -> ScoringTask:
    """Look at a share of the first shard before the work begins.

    The task, with what its images leave open settled, and how they are grouped.

    Raises ShapeError where no image has the model's channels; grey among colour ones is repeated,
    and colour among grey ones has no score. Raises SourceError for images on another scale than the
    model's, or where `groups` tell nothing of them. Raises InputError for groups by twins, which
    only a whole source has.
    """
    try:
        listing = shard.listing(task.options)
    except SourceError:
        return task  # quarantined when its turn comes
    if task.products is not None:
        with_products(listing, task.product_rule, where="score")
    grouped = group_listing(listing, groups, where="score")
    grouping = grouped.grouping
    if grouping is not None and grouping.by == "twins":
        if isinstance(groups, str):
            raise InputError(
                "score: groups must be told image by image, as a source is read piece by piece. Got"
                " twins. Name a column, folder or a pattern, or leave --groups out."
            )
        grouping = None
    channels, seen, n = set(), ReadingTally(), len(listing.names)
    for row in np.unique(np.linspace(0, n - 1, min(_LOOKED_AT, n)).astype(np.int64)).tolist():
        image = _read(listing, row, task, is_scored=False).image
        if isinstance(image, DecodedImage):
            channels.add(image.pixels.shape[-1])
            seen.add(image.highest, image.ink)
    if channels and task.channels not in channels:  # where some fit, others have a row each
        check_channels([max(channels)], task.channels)
    options = task.options
    reading, assumptions = seen.settle(options.reading, model=options.of_model, where=source)
    settled = replace(
        task,
        options=replace(options, reading=reading),
        assumptions=(*listing.assumptions, *assumptions),
        grouping=grouping,
    )
    return settled.with_own((*listing.own, *([] if grouping is None else [DEFAULT])))


def score_rows(engine: Engine, task: ScoringTask, listing: Listing, start: int, stop: int) -> Chunk:
    """The results of the images from `start` up to `stop` of a listing."""
    rows = np.arange(start, stop)
    splits = splits_of(task, listing, rows)
    wanted = rows if not task.only_test or splits is None else rows[splits == "test"]
    columns = task.no_scores(len(wanted))
    if task.products is not None and listing.products is not None:
        columns[PRODUCT] = listing.products[wanted].tolist()
    digests = bytearray(DIGEST * len(wanted))
    quarantined: list[Quarantined] = []
    fresh: list[int] = []
    scored: list[Scores] = []
    batch: list[NDArray[Any]] = []
    earlier, known, remembered = task.earlier, [], []
    for place, read in enumerate(_decoded(listing, wanted, task)):
        if isinstance(read.image, Quarantined):
            quarantined.append(read.image)
            columns["unreadable"][place] = read.image.reason
            continue
        digests[place * DIGEST : (place + 1) * DIGEST] = read.digest
        if read.image is None:
            known.append(place)
            remembered.append(read.earlier)
            continue
        fresh.append(place)
        batch.append(read.image.pixels)
        if len(batch) == engine.batch_size:
            scored.append(engine.score(alike(batch, task)))
            batch = []
    if batch:
        scored.append(engine.score(alike(batch, task)))
    if scored:
        _fill(columns, task, fresh, *_of_engine(task, join_scores(scored)))
    if earlier is not None and known:
        numbers, flagged = earlier.of(remembered)
        _fill(columns, task, known, dict(zip(task.numbers, numbers.T, strict=True)), flagged)
    columns |= {
        "path": [str(listing.names[row]) for row in wanted.tolist()],
        "label": labels_of(listing, wanted),
        "split": [None] * len(wanted) if splits is None else splits[wanted - start].tolist(),
        **{
            told: [cell or None for cell in listing.own[name][wanted].tolist()]
            for name, told in task.own
        },
    }
    return Chunk(
        columns,
        stop - start,
        tuple(quarantined),
        is_last=False,
        digests=bytes(digests),
        n_reused=len(known),
    )


def _of_engine(
    task: ScoringTask, scores: Scores
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_]]:
    """What a model says of some images: its numbers by their column, and which are flagged."""
    numbers = {"score": scores.score, **scores.columns}
    if scores.probabilities is not None and task.classes is not None:
        names = task.numbers[-len(task.classes) :]
        numbers |= dict(zip(names, scores.probabilities.T, strict=True))
    return numbers, scores.anomalous


def _fill(
    columns: dict[str, Any],
    task: ScoringTask,
    places: Sequence[int],
    numbers: dict[str, NDArray[np.float32]],
    flagged: NDArray[Any],
) -> None:
    """Write what a model says of some images into the columns of all."""
    for name, values in numbers.items():
        columns[name][places] = values
    shown = [columns[PRODUCT][place] for place in places] if task.products is not None else []
    if task.reference is not None:
        named = () if isinstance(task.reference, PValues) else (shown,)
        found = task.reference(numbers["score"], *named)
        for place, value in zip(places, found.tolist(), strict=True):
            columns[P_VALUE][place] = None if value != value else value  # noqa: PLR0124
    if task.products is not None:
        flags = task.products.flags(numbers["score"], shown)
        for place, name, flag in zip(places, shown, flags, strict=True):
            if task.policy is None or columns[P_VALUE][place] is None:
                columns[UNDECIDED][place] = task.products.why_not(name)
            if task.policy is None:
                columns["threshold"][place] = task.products.threshold_of(name)
                columns["anomalous"][place] = flag
    elif task.threshold is not None:
        for place, flag in zip(places, flagged.tolist(), strict=True):
            columns["threshold"][place], columns["anomalous"][place] = task.threshold, flag
    if task.classes is not None:
        probabilities = np.stack([numbers[name] for name in task.numbers[-len(task.classes) :]], 1)
        for place, name in zip(places, _predicted(task, probabilities), strict=True):
            is_told = not task.says_kinds or columns["anomalous"][place] in (True, None)
            columns[task.told][place] = name if is_told else None


def _predicted(task: ScoringTask, probabilities: NDArray[np.float32]) -> list[str]:
    """The class of each image; several labels at once are joined by a bar."""
    names = task.classes or ()
    if task.multilabel:
        return [
            "|".join(name for name, holds in zip(names, row, strict=True) if holds)
            for row in (probabilities > 0.5).tolist()
        ]
    if task.says_kinds:
        return kinds_of(probabilities, names[:-1])
    return [names[column] for column in probabilities.argmax(axis=1).tolist()]


def splits_of(task: ScoringTask, listing: Listing, rows: NDArray[np.int64]) -> NDArray[Any] | None:
    """Each image's part: as the run recorded it, else the source's own, else None."""
    if task.lookup is not None:
        return task.lookup.find((str(listing.names[row]) for row in rows.tolist()), len(rows))
    if listing.splits is None or listing.kind == single_file.KIND:
        return None
    return strings(listing.splits[row] for row in rows.tolist())


def labels_of(listing: Listing, rows: NDArray[np.int64]) -> list[Any]:
    """The label of each image, None where it has none."""
    if listing.labels is None:
        return [None] * len(rows)
    problems = Problems("score")
    labels = as_labels(
        [listing.labels[row] for row in rows.tolist()], len(rows), name="labels", problems=problems
    )
    problems.raise_any()
    return [None] * len(rows) if labels is None else labels.tolist()


class _Read(NamedTuple):
    """What came of one image: pixels or a reason; else row ``earlier`` of the known scores."""

    image: DecodedImage | Quarantined | None
    digest: bytes = bytes(DIGEST)
    earlier: int = -1


def _decoded(listing: Listing, rows: NDArray[np.int64], task: ScoringTask) -> Iterator[_Read]:
    """Each image in order, decoded in a few threads; never more than a few are in flight."""
    waiting: deque[Future[_Read]] = deque()
    with quiet_pillow():
        for row in rows.tolist():
            waiting.append(decoders().submit(_read, listing, row, task))
            if len(waiting) > 2 * WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _read(listing: Listing, row: int, task: ScoringTask, *, is_scored: bool = True) -> _Read:
    content = listing.content
    try:
        if isinstance(content, np.ndarray):
            data, digest = content[row], pixel_digest(content[row])
        else:
            data = content.read(row)
            assert isinstance(data, bytes)  # a SOURCE is scored here, not an object
            digest = hashlib.blake2b(data, digest_size=DIGEST).digest()
        earlier = None if task.earlier is None else task.earlier.find(digest)
        if earlier is not None:
            return _Read(None, digest, earlier)
        if isinstance(data, np.ndarray):
            image = DecodedImage(data, listing.kind, "array", frozenset())
        else:
            image = decode(data, task.options.pixel_limit, task.options.reading)
        if is_scored:
            check_channels([max(image.pixels.shape[-1], task.channels)], task.channels)
        return _Read(image, digest)
    except (ImageError, ShapeError) as error:
        return _Read(Quarantined(str(listing.names[row]), str(error)))


def alike(batch: Sequence[NDArray[Any]], task: ScoringTask) -> list[NDArray[Any]]:
    """Images of one type and number of channels: grey repeated, floats where one needs it."""
    channels, reading = task.channels, task.options.reading
    dtype = common_type((image.dtype for image in batch), reading)
    return [as_common(image, channels, dtype, reading) for image in batch]
