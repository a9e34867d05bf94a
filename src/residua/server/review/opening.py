"""From a run and a source to a review: scored as far as it is not yet, and put in order."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._files import ensure_folder, one_writer, read_lines
from residua._text import count, few
from residua.errors import ImageError, InputError, SourceError
from residua.evaluation.report.pictures import error_ceiling
from residua.images.listing import EncodedImages, Options
from residua.images.sources import digits, list_source, manifest
from residua.images.stores import is_url
from residua.runs.learning.reviewed import Reviewed, keep_reviewed, read_reviewed
from residua.runs.open_run import open_run
from residua.runs.origin import Origin
from residua.runs.progress import Watcher
from residua.runs.score import score_run
from residua.server.answers import RefusedError
from residua.server.limits import Limits
from residua.server.model import ServedModel
from residua.server.review.book import LOG, Book
from residua.server.review.looks import Read, candidates, unlike_others
from residua.server.review.queue import draw_key, order_images
from residua.server.review.review import Item, Review, Table, read_file_of

_SCORES = "scores.csv"
_TRAINED = ("train", "validation")
_SCALED_BY = 8  # images


def open_review(
    run: str | Path,
    source: str,
    model: ServedModel,
    *,
    folder: str | Path | None = None,
    root: str | Path | None = None,
    engine: str = "torch",
    share: float = 0.2,
    product: str | None = None,
    watcher: Watcher | None = None,
) -> Review:
    """Score `source` by the run's model, as far as it is not scored yet, and order its images.

    Scores, answers and `corrections.csv` lie in `folder`, else in the run's folder ``review``. A
    review goes on where it stopped. Of the images that are asked, `share` are drawn at random. The
    paths of a manifest are relative to `root`, else to the manifest. `product` says which product
    an image shows, as in `load_images`; left out, as in the run. An image of a product without a
    threshold is not asked about.

    Raises InputError if the run, or every product that `source` shows, has no threshold, the images
    of `source` are no files of their own, or `folder` holds the review of another source. Raises
    OutputError if the folder cannot be written, or another process reviews into it.
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
            product=product,
        )
        _begin(place, reviewed, watcher)
        keep_reviewed(place, reviewed)
        summary = score_run(
            run,
            source,
            place / _SCORES,
            resume=True,
            engine=engine,
            root=root,
            product=product,
            watcher=watcher,
            raw_cells=True,
        )
        if summary.n_unreadable:
            first = few(f"{one.path} ({one.reason})" for one in summary.unreadable)
            watcher.note(
                f"{count(summary.n_unreadable, 'image')} cannot be read and"
                f" {'is' if summary.n_unreadable == 1 else 'are'} not asked about: {first}"
            )
        if n := summary.undecided.total():
            why = few(summary.undecided)
            if n == summary.n_images:
                raise InputError(
                    f"{source}: a review must have an image whose product has a threshold. Got none"
                    f" of {count(n, 'image')}: {why}. Say with --product which product an image"
                    " shows, or give that product a threshold with `residua threshold`."
                )
            is_or_are = "is" if n == 1 else "are"
            watcher.note(f"{count(n, 'image')} {is_or_are} not judged and not asked about: {why}")
        table = _table(place, share, files, model, watcher)
        items, encoded = _found(table.items, files, watcher)
        if not items:
            raise SourceError(
                f"{source}: a review must have an image to ask about. Got none that can be read as"
                " a file. Name a folder with images, or a manifest."
            )
        table = replace(table, items=items)
        learns = model.facts.products is None
        review = Review(Book(place), table, encoded, reviewed, str(run), learns=learns)
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
    """A source's images that are files, in `root`; `is_own` if the run was fitted on it."""

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
    may_be_files = is_manifest or there.is_dir()
    is_other = is_url(source) or source == digits.WORD or there.exists()
    listing = None if is_other and not may_be_files else list_source(str(there), options)
    if listing is None or isinstance(listing.content, np.ndarray):
        raise InputError(
            f"{source}: the images of a review must be files of their own, which corrections can"
            " name. Got a source of another kind. Name a folder with images, or a manifest."
        )
    root = given or there.parent if is_manifest else there
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
    same = ("weights", "threshold", "engine", "source", "product")
    if any(getattr(before, name) != getattr(reviewed, name) for name in same):
        watcher.note(
            "another source, model, threshold, engine or rule for products: all images are scored"
            " again"
        )
        (place / _SCORES).unlink(missing_ok=True)
        shutil.rmtree(place / f".{_SCORES}.part", ignore_errors=True)


def _table(place: Path, share: float, files: Files, model: ServedModel, watcher: Watcher) -> Table:
    """The queue by a table of scores, which is read piece by piece: only its paths are held."""
    columns = array("f"), array("b"), array("Q"), array("q")
    products = model.facts.products
    place_of = {name: row for row, name in enumerate(() if products is None else products.names)}
    n_trained = 0
    for row in _rows(place):
        n_trained += files.is_own and row["split"] in _TRAINED
        columns[0].append(float(row["score"] or "nan"))
        columns[1].append(row["anomalous"] == "true")
        columns[2].append(draw_key(row["path"]))
        columns[3].append(place_of.get(row.get("product", ""), -1))
    scores, keys = np.array(columns[0], np.float32), np.array(columns[2], np.uint64)
    n_scored, shown = int(np.isfinite(scores).sum()), None
    if products is not None:
        shown = products.at(np.array(columns[3], np.int64))
        scores = products.aligned(scores, shown)
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
            product=None if shown is None else shown[row],
        )
        for row, why in zip(queue.rows, queue.why, strict=True)
    )
    readable = np.isfinite(scores)
    return Table(flagged, readable, queue, items, n_trained, n_scored - int(readable.sum()))


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
            return model.read(read_file_of(files.content, places[path]), Limits()).pixels
        return None

    return read


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
