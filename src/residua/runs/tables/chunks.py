"""Scoring a source shard by shard.

Listed, decoded, scored and let go, so that memory does not grow with the set.

The same code runs in one process and in every worker of a cluster. A score depends on the image and
the bundle alone, so how the work is cut changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._check import Problems
from residua.engines import Engine, Scores
from residua.engines.interface import check_channels, join_scores
from residua.errors import ImageError, InputError, SourceError
from residua.images.arrays import as_labels
from residua.images.columns import strings, texts
from residua.images.decoding import DecodedImage, decode, quiet_pillow
from residua.images.groups import DEFAULT, Grouping, group_cells, group_listing
from residua.images.listing import Listing, Options, Quarantined
from residua.images.pixels import WORKERS, as_common, decoders
from residua.images.reading import ReadingTally, common_type
from residua.images.shards import Shard
from residua.images.sources import single_file
from residua.records import Assumption
from residua.runs.tables.part_lookup import PartLookup

ROWS_A_CHUNK = 4096
COLUMNS = ("path", "label", "split", "score", "threshold", "anomalous", "mse", "mae", "ssim")
_LOOKED_AT = 64  # images of the first shard


@dataclass(frozen=True)
class ScoringTask:
    """What scoring a shard needs beside the engine; picklable.

    ``lookup`` says the parts where the source is the run's own; ``classes`` are a classifier's;
    ``assumptions`` what was read off the images. With ``raw_cells`` texts stand in CSV as they are,
    though a spreadsheet may take one for a formula. ``own`` are the source's own columns, each with
    its name among the scores. ``grouping`` says by what images belong together: their groups stand
    in the column ``group``.
    """

    channels: int
    threshold: float | None
    options: Options
    lookup: PartLookup | None = None
    only_test: bool = False
    assumptions: tuple[Assumption, ...] = ()
    classes: tuple[str, ...] | None = None
    multilabel: bool = False
    raw_cells: bool = False
    own: tuple[tuple[str, str], ...] = ()
    grouping: Grouping | None = None

    def listing(self, shard: Shard) -> Listing:
        """What lies in a shard, its groups among the source's own columns."""
        found = shard.listing(self.options)
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
        of_classes = (
            () if self.classes is None else ("predicted", *(f"p[{name}]" for name in self.classes))
        )
        return (*COLUMNS, *of_classes)

    def with_own(self, names: Iterable[str]) -> ScoringTask:
        """The task with the source's own columns.

        One that is named as a column of residua's is told apart.

        Examples
        --------
        >>> ScoringTask(1, None, Options()).with_own(["camera", "Score"]).own
        (('camera', 'camera'), ('Score', 'Score (source)'))
        """
        taken = {name.lower() for name in self._made}
        own = []
        for name in names:
            told = name
            while told.lower() in taken:
                told = f"{told} (source)"
            taken.add(told.lower())
            own.append((name, told))
        return replace(self, own=tuple(own))

    def no_rows(self) -> dict[str, Any]:
        """The columns of no image."""
        texts = {
            "path",
            "label",
            "split",
            "threshold",
            "anomalous",
            "predicted",
            *(told for _, told in self.own),
        }
        return {name: [] if name in texts else np.zeros(0, np.float32) for name in self.columns}


@dataclass(frozen=True)
class Chunk:
    """The results of up to 4,096 images of a shard that follow each other.

    ``n_seen`` counts those that do not decode too.
    """

    columns: dict[str, Any]
    n_seen: int
    quarantined: tuple[Quarantined, ...]
    is_last: bool

    @property
    def n_rows(self) -> int:
        """Images with a row."""
        return len(self.columns["path"])

    @property
    def n_anomalous(self) -> int:
        """Images above the threshold."""
        return sum(flag is True for flag in self.columns["anomalous"])


def score_shard(
    engine: Engine, task: ScoringTask, shard: Shard, *, start: int = 0
) -> Iterator[Chunk]:
    """The chunks of a shard from its image `start` on.

    A shard that cannot be read is one quarantined file, not an error.
    """
    try:
        listing = task.listing(shard)
    except SourceError as error:
        yield Chunk(
            task.no_rows(), 0, (Quarantined(shard.name, f"the whole shard: {error}"),), is_last=True
        )
        return
    n = len(listing.names)
    broken = tuple(listing.quarantined) if start == 0 else ()
    for first in range(start, n, ROWS_A_CHUNK) or [n]:
        stop = min(first + ROWS_A_CHUNK, n)
        chunk = _score_rows(engine, task, listing, first, stop)
        yield replace(chunk, quarantined=(*broken, *chunk.quarantined), is_last=stop == n)
        broken = ()


def check_first(
    task: ScoringTask, shard: Shard, source: str, groups: str | Grouping | None = None
) -> ScoringTask:
    """Look at a share of the first shard before the work begins.

    The task, with what its images leave open settled, and how they are grouped.

    Raises
    ------
    ShapeError
        For colour images and a model of grey ones; grey among colour ones is repeated.
    SourceError
        For images on another scale than the model's, or where `groups` tell nothing of them.
    InputError
        For groups by twins, which only a whole source has.
    """
    try:
        listing = shard.listing(task.options)
    except SourceError:
        return task  # quarantined when its turn comes
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
        image = _read(listing, row, task.options)
        if not isinstance(image, Quarantined):
            channels.add(image.pixels.shape[-1])
            seen.add(image.highest, image.ink)
    if channels:
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


def _score_rows(
    engine: Engine, task: ScoringTask, listing: Listing, start: int, stop: int
) -> Chunk:
    rows = np.arange(start, stop)
    splits = _splits(task, listing, rows)
    wanted = rows if not task.only_test or splits is None else rows[splits == "test"]
    kept: list[int] = []
    quarantined: list[Quarantined] = []
    scored = []
    batch: list[NDArray[Any]] = []
    for row, image in _decoded(listing, wanted, task.options):
        if isinstance(image, Quarantined):
            quarantined.append(image)
            continue
        kept.append(row)
        batch.append(image.pixels)
        if len(batch) == engine.batch_size:
            scored.append(engine.score(_alike(batch, task)))
            batch = []
    if batch:
        scored.append(engine.score(_alike(batch, task)))
    if not scored:
        return Chunk(task.no_rows(), stop - start, tuple(quarantined), is_last=False)
    scores = join_scores(scored)
    chosen = np.asarray(kept)
    columns = {
        "path": [str(listing.names[row]) for row in kept],
        "label": _labels(listing, chosen),
        "split": [None] * len(kept) if splits is None else splits[chosen - start].tolist(),
        "score": scores.score,
        "threshold": [task.threshold] * len(kept),
        "anomalous": (
            scores.anomalous.tolist() if task.threshold is not None else [None] * len(kept)
        ),
        **scores.columns,
        **_class_columns(task, scores),
        **{
            told: [cell or None for cell in listing.own[name][chosen].tolist()]
            for name, told in task.own
        },
    }
    return Chunk(columns, stop - start, tuple(quarantined), is_last=False)


def _class_columns(task: ScoringTask, scores: Scores) -> dict[str, Any]:
    """What a classifier says of each image; nothing of other models.

    Several labels at once are joined by a bar.
    """
    probabilities, names = scores.probabilities, task.classes
    if probabilities is None or names is None:
        return {}
    if task.multilabel:
        predicted = [
            "|".join(name for name, holds in zip(names, row, strict=True) if holds)
            for row in (probabilities > 0.5).tolist()
        ]
    else:
        predicted = [names[column] for column in probabilities.argmax(axis=1).tolist()]
    return {
        "predicted": predicted,
        **{f"p[{name}]": probabilities[:, column] for column, name in enumerate(names)},
    }


def _splits(task: ScoringTask, listing: Listing, rows: NDArray[np.int64]) -> NDArray[Any] | None:
    """Each image's part: recorded where the source is the run's own, else the source's own.

    None where there is none.
    """
    if task.lookup is not None:
        return task.lookup.find((str(listing.names[row]) for row in rows.tolist()), len(rows))
    if listing.splits is None or listing.kind == single_file.KIND:
        return None
    return strings(listing.splits[row] for row in rows.tolist())


def _labels(listing: Listing, rows: NDArray[np.int64]) -> list[Any]:
    if listing.labels is None:
        return [None] * len(rows)
    problems = Problems("score")
    labels = as_labels(
        [listing.labels[row] for row in rows.tolist()], len(rows), name="labels", problems=problems
    )
    problems.raise_any()
    return [None] * len(rows) if labels is None else labels.tolist()


def _decoded(
    listing: Listing, rows: NDArray[np.int64], options: Options
) -> Iterator[tuple[int, DecodedImage | Quarantined]]:
    """Each image in order, decoded in a few threads; never more than a few are in flight."""
    waiting: deque[tuple[int, Future[DecodedImage | Quarantined]]] = deque()
    with quiet_pillow():
        for row in rows.tolist():
            waiting.append((row, decoders().submit(_read, listing, row, options)))
            if len(waiting) > 2 * WORKERS:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def _read(listing: Listing, row: int, options: Options) -> DecodedImage | Quarantined:
    if isinstance(listing.content, np.ndarray):
        return DecodedImage(listing.content[row], listing.kind, "array", frozenset())
    try:
        return decode(listing.content.read(row), options.pixel_limit, options.reading)
    except ImageError as error:
        return Quarantined(str(listing.names[row]), str(error))


def _alike(batch: Sequence[NDArray[Any]], task: ScoringTask) -> list[NDArray[Any]]:
    """Images of one type and number of channels.

    Grey is repeated, and all are floats where one has more than 8 bits.
    """
    channels, reading = task.channels, task.options.reading
    dtype = common_type((image.dtype for image in batch), reading)
    check_channels({max(image.shape[-1], channels) for image in batch}, channels)
    return [as_common(image, channels, dtype, reading) for image in batch]
