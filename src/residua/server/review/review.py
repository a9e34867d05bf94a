"""A review: a source that is scored, the queue of its images, and what was said of them."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import time as clock
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from residua._files import ensure_folder, one_writer, read_lines
from residua._text import count, few
from residua.errors import ImageError, InputError, SourceError
from residua.evaluation.report.pictures import error_ceiling
from residua.images.listing import EncodedImages, Options
from residua.images.sources import list_source, manifest
from residua.records import now
from residua.runs.learning.reviewed import Reviewed, keep_reviewed, read_reviewed
from residua.runs.open_run import open_run
from residua.runs.origin import Origin
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.server.answers import RefusedError
from residua.server.limits import Limits
from residua.server.model import ServedModel
from residua.server.review.book import LOG, Answer, Book
from residua.server.review.looks import Read, candidates, unlike_others
from residua.server.review.queue import Queue, draw_key, order_images
from residua.server.review.rates import Rate, defect_rate

View = Literal["open", "second", "disagree", "mine"]
VIEWS: tuple[View, ...] = ("open", "second", "disagree", "mine")
AHEAD = 3  # images that a reviewer is given to look at next
_HELD_SECONDS = 90.0
_SCORES = "scores.csv"
_TRAINED = ("train", "validation")
_SCALED_BY = 8  # images


@dataclass(frozen=True)
class Item:
    """An image of the queue: its row in the table of scores, and why it is asked."""

    id: str
    path: str
    row: int
    score: float
    is_flagged: bool
    why: str
    part: str | None


@dataclass(frozen=True)
class Table:
    """What the table of scores says of all images, and those in the queue.

    `n_trained` of all images trained the model.
    """

    flagged: NDArray[np.bool_]
    readable: NDArray[np.bool_]
    queue: Queue
    items: tuple[Item, ...]
    n_trained: int


class Review:
    """The state of a review; all of it is asked and changed by one thread at a time."""

    def __init__(
        self,
        book: Book,
        table: Table,
        encoded: EncodedImages,
        reviewed: Reviewed,
        run: str,
    ) -> None:
        self.book, self.reviewed, self.items = book, reviewed, table.items
        self.run = run
        self._table, self._encoded = table, encoded
        self._places = {item.id: place for place, item in enumerate(table.items)}
        self._held: dict[str, tuple[str, float]] = {}
        self.ceiling: float | None = None
        self._closing = ExitStack()

    def until_closed(self, closing: ExitStack) -> None:
        """What ends with the review."""
        self._closing = closing

    def close(self) -> None:
        """Let others write the folder."""
        self._closing.close()

    def next_step(self) -> str:
        """How much has been said, and the command that learns from it."""
        return (
            f"{count(len(self.book.answers), 'image')} answered. Learn from them:\n  {self.command}"
        )

    @property
    def command(self) -> str:
        """The command that learns from the answers, with paths as they were named."""
        run, table, out = map(quote, (self.run, str(self.book.table), f"{self.run.rstrip('/')}-2"))
        return f"residua learn {run} {table} --out {out}"

    def item(self, image: str) -> Item | None:
        """The image of the queue with this id."""
        place = self._places.get(image)
        return None if place is None else self.items[place]

    def read(self, item: Item) -> bytes:
        """The file of an image; `ImageError` where it cannot be read."""
        return _file(self._encoded, self._places[item.id])

    def answer(
        self, item: Item, reviewer: str, answer: str, kind: str | None, note: str | None
    ) -> None:
        """Keep what a reviewer says of an image."""
        self.book.give(
            Answer(
                path=item.path,
                reviewer=reviewer,
                answer=answer,  # type: ignore[arg-type]
                kind=kind if answer == "defect" else None,
                note=note,
                time=now(),
            )
        )
        self._held.pop(item.id, None)

    def undo(self, reviewer: str) -> str | None:
        """Take a reviewer's last answer back: the id of its image; None where there is none."""
        path = self.book.take_back(reviewer, now())
        return next((item.id for item in self.items if item.path == path), None)

    def next_images(self, reviewer: str, view: View, after: str | None = None) -> list[str]:
        """The ids of the images that `reviewer` should see next, in order; at most `AHEAD`.

        With `after` those behind that image in the queue. What another reviewer looks at right now
        comes last.
        """
        free: list[str] = []
        held: list[str] = []
        first = 0 if after is None else self._places.get(after, -1) + 1
        for item in self.items[first:]:
            if self._is_wanted(item, reviewer, view):
                (held if self._is_held(item, reviewer, view) else free).append(item.id)
                if len(free) == AHEAD:
                    break
        found = (free + held)[:AHEAD]
        if view == "open":
            self._held = {id_: one for id_, one in self._held.items() if one[0] != reviewer}
            self._held |= dict.fromkeys(found, (reviewer, clock.monotonic()))
        return found

    def n_of_views(self, reviewer: str) -> dict[View, int]:
        """How many images each view holds for a reviewer."""
        found = Counter(
            view for item in self.items for view in VIEWS if self._is_wanted(item, reviewer, view)
        )
        return {view: found[view] for view in VIEWS}

    def n_flagged(self) -> int:
        """Images above the threshold."""
        return int(self._table.flagged.sum())

    def n_images(self) -> int:
        """Images with a score."""
        return int(self._table.readable.sum())

    def n_trained(self) -> int:
        """Images that trained the model."""
        return self._table.n_trained

    def n_flagged_open(self) -> int:
        """Flagged images that nobody has answered."""
        said = self.book.answers
        return self.n_flagged() - sum(item.is_flagged and item.path in said for item in self.items)

    def rates(self) -> list[Rate]:
        """How many of the flagged images are defects, and how many of the others."""
        said, done = self.book.answers, 0
        while done < len(self.items) and self.items[done].path in said:
            done += 1
        labels = {
            item.row: self.book.verdict(item.path).label for item in self.items if item.path in said
        }
        return [self._rate(labels, done, flagged=flagged) for flagged in (True, False)]

    def _rate(self, labels: Mapping[int, str | None], done: int, *, flagged: bool) -> Rate:
        on_side = self._table.flagged == flagged
        n_images = int((on_side & self._table.readable).sum())
        answered = [label for row, label in labels.items() if on_side[row]]
        drawn = [
            labels.get(one.row)
            for one in self._table.queue.draws
            if one.is_flagged == flagged and one.after <= done
        ]
        is_all = len(answered) == n_images
        return defect_rate(answered if is_all else drawn, flagged=flagged, n_images=n_images)

    def _is_wanted(self, item: Item, reviewer: str, view: View) -> bool:
        said = self.book.answers.get(item.path)
        if said is None:
            return view == "open"
        if view in ("mine", "second"):
            return (reviewer in said) == (view == "mine")
        return view == "disagree" and len(said) > 1 and self.book.verdict(item.path).disagree

    def _is_held(self, item: Item, reviewer: str, view: View) -> bool:
        who, since = self._held.get(item.id, (reviewer, 0.0))
        return view == "open" and who != reviewer and clock.monotonic() - since < _HELD_SECONDS


def open_review(
    run: str | Path,
    source: str,
    model: ServedModel,
    *,
    folder: str | Path | None = None,
    root: str | Path | None = None,
    engine: str = "torch",
    share: float = 0.2,
    watcher: Watcher | None = None,
) -> Review:
    """Score `source` by the run's model, as far as it is not scored yet, and order its images.

    Scores, answers and `corrections.csv` lie in `folder`, else in the run's folder ``review``. A
    review goes on where it stopped. Of the images that are asked, `share` are drawn at random. The
    paths of a manifest are relative to `root`, else to the manifest.

    Raises
    ------
    InputError
        If the run has no threshold, the images of `source` are no files of their own, or `folder`
        holds the review of another source.
    OutputError
        If the folder cannot be written, or another process reviews into it.
    """
    watcher = watcher or Watcher()
    point = model.facts.operating_point
    if model.facts.job != "detect" or point is None:
        raise InputError(
            f"{run}: a review takes a detector with a threshold. Got"
            f" {'none' if model.facts.job == 'detect' else 'another model'}. Fit one with --job"
            " detect, or choose a threshold with `residua threshold`."
        )
    place = ensure_folder(Path(run) / "review" if folder is None else folder, where="serve")
    opened = open_run(run)
    origin = opened.origin()
    origin = origin if root is None else replace(origin, root=str(root))
    files = _listed(source, origin, is_rooted=root is not None)
    with ExitStack() as stack:
        busy = f"{place}: only one process may review into a folder. Another one does now. Stop it."
        stack.enter_context(one_writer(place / ".lock", busy))
        reviewed = Reviewed(
            source=source,
            root=str(files.root.resolve()),
            run=str(Path(run).resolve()),
            weights=opened.mark().weights,
            threshold=point.threshold,
            engine=engine,
            random_share=share,
        )
        _begin(place, reviewed, watcher)
        keep_reviewed(place, reviewed)
        score_run(
            run,
            source,
            place / _SCORES,
            resume=True,
            engine=engine,
            root=root,
            watcher=watcher,
            raw_cells=True,
        )
        table = _table(place, share, files, model, watcher)
        items, encoded = _found(table.items, files, watcher)
        if not items:
            raise SourceError(
                f"{source}: a review must have an image to ask about. Got none that can be read as"
                " a file. Name a folder with images, or a manifest."
            )
        table = replace(table, items=items)
        review = Review(Book(place), table, encoded, reviewed, str(run))
        review.ceiling = model.ceiling or _ceiling(review, model)
        review.until_closed(stack.pop_all())
        return review


def _ceiling(review: Review, model: ServedModel) -> float | None:
    """The error that maps draw brightest, so that a good image looks dark beside a defect.

    It is the middle one of the first images of the queue; None where none of these can be read.
    """
    found = []
    for item in review.items[:_SCALED_BY]:
        with suppress(ImageError, RefusedError):
            pixels = model.read(review.read(item), Limits()).pixels
            maps = model.engine.score([pixels], maps=True, columns=False).maps
            found += [error_ceiling(errors) for errors in maps or ()]
    return float(np.median(found)) if found else None


@dataclass(frozen=True)
class Files:
    """The images of a source that are files, in the folder `root`.

    `is_own` says that the run was fitted on this source.
    """

    root: Path
    is_own: bool
    names: Sequence[str] | NDArray[Any]
    content: EncodedImages

    def places(self, paths: Iterable[str]) -> dict[str, int]:
        """Where some of them stand."""
        wanted = set(paths)
        return {name: row for row, name in enumerate(map(str, self.names)) if name in wanted}


def _listed(source: str, origin: Origin, *, is_rooted: bool) -> Files:
    """The files of a source; `InputError` where its images are none."""
    is_own = origin.is_own(source)
    there = Path(origin.located(named=True) if is_own else source)
    is_manifest = manifest.recognises(there)
    given = Path(origin.root) if (is_own or is_rooted) and origin.root is not None else None
    options = Options(
        root=given if is_manifest or is_rooted else None, follow_links=origin.follow_links
    )
    listing = list_source(str(there), options)
    root = given or there.parent if is_manifest else there
    if isinstance(listing.content, np.ndarray) or not (is_manifest or there.is_dir()):
        raise InputError(
            f"{source}: the images of a review must be files of their own, which corrections can"
            f" name. Got {listing.kind}. Name a folder with images, or a manifest."
        )
    return Files(root, is_own, listing.names, listing.content)


def _begin(place: Path, reviewed: Reviewed, watcher: Watcher) -> None:
    """Refuse another source; of another model throw the scores away, never the answers."""
    before = read_reviewed(place)
    if before is None:
        return
    if before.root != reviewed.root and (place / LOG).exists():
        raise InputError(
            f"{place}: a folder holds the review of one source. Got {reviewed.source}, and it holds"
            f" that of {before.source}. Name another folder with --review-out."
        )
    same = ("weights", "threshold", "engine", "source")
    if any(getattr(before, name) != getattr(reviewed, name) for name in same):
        watcher.note("another model, threshold or engine: all images are scored again")
        (place / _SCORES).unlink(missing_ok=True)
        shutil.rmtree(place / f".{_SCORES}.part", ignore_errors=True)


def _table(place: Path, share: float, files: Files, model: ServedModel, watcher: Watcher) -> Table:
    """The queue by a table of scores, which is read piece by piece: only its paths are held."""
    columns = array("f"), array("b"), array("Q")
    n_trained = 0
    for row in _rows(place):
        n_trained += files.is_own and row["split"] in _TRAINED
        columns[0].append(float(row["score"] or "nan"))
        columns[1].append(row["anomalous"] == "true")
        columns[2].append(draw_key(row["path"]))
    scores, keys = np.array(columns[0], np.float32), np.array(columns[2], np.uint64)
    flagged = np.array(columns[1], np.bool_) & np.isfinite(scores)
    sides = [candidates(scores, flagged, side=side) for side in (True, False)]
    seen = {row: path for row, (path, _) in _named(place, np.concatenate(sides).tolist()).items()}
    unlike = unlike_others(
        sides, seen, _reader(files, seen.values(), model), place, watcher.on_read
    )
    queue = order_images(scores, flagged, keys, share=share, unlike=unlike)
    told = _named(place, queue.rows)
    items = tuple(
        Item(
            id=hashlib.blake2b(told[row][0].encode(), digest_size=8).hexdigest(),
            path=told[row][0],
            row=row,
            score=float(scores[row]),
            is_flagged=bool(flagged[row]),
            why=why,
            part=told[row][1] if files.is_own else None,
        )
        for row, why in zip(queue.rows, queue.why, strict=True)
    )
    return Table(flagged, np.isfinite(scores), queue, items, n_trained)


def _rows(place: Path) -> Iterator[dict[str, Any]]:
    return csv.DictReader(read_lines(place / _SCORES))


def _named(place: Path, wanted: Iterable[int]) -> dict[int, tuple[str, str | None]]:
    """The path and the part of some rows."""
    rows = set(wanted)
    return {
        number: (row["path"], row["split"] or None)
        for number, row in enumerate(_rows(place))
        if number in rows
    }


def _reader(files: Files, paths: Iterable[str], model: ServedModel) -> Read:
    """What reads the pixels of some files."""
    places = files.places(paths)

    def read(path: str) -> NDArray[Any] | None:
        with suppress(ImageError, RefusedError, KeyError):
            return model.read(_file(files.content, places[path]), Limits()).pixels
        return None

    return read


def _file(encoded: EncodedImages, place: int) -> bytes:
    """The bytes of an image that is a file."""
    data = encoded.read(place)
    if not isinstance(data, bytes):
        raise ImageError("it is no file")
    return data


def _found(
    items: tuple[Item, ...], files: Files, watcher: Watcher
) -> tuple[tuple[Item, ...], EncodedImages]:
    """The items whose file is there under its name, and these files alone."""
    rows = files.places(item.path for item in items)
    there = tuple(
        item
        for item in items
        if item.path in rows
        and item.path == item.path.rstrip()
        and os.path.lexists(files.root / item.path)
    )
    if len(there) < len(items):
        gone = [item.path for item in items if item not in set(there)]
        watcher.note(
            f"{count(len(gone), 'image')} cannot be named in a table and"
            f" {'is' if len(gone) == 1 else 'are'} not asked about: {few(gone)}"
        )
    return there, files.content.part(np.array([rows[item.path] for item in there], np.int64))
