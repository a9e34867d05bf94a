"""`residua score`: a row an image, for every image of a source, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle, load_bundle
from residua.diagnostics import find_drift
from residua.engines import Engine, score_with
from residua.engines.kinds import REFERENCE
from residua.errors import SourceError
from residua.experiment.engines import Opened, open_engine
from residua.experiment.fit import MEMORY_MEGABYTES, Watcher, load_source
from residua.experiment.noticed import calibration_normals
from residua.experiment.parts import is_own_source
from residua.experiment.pieces import Task, check_first, score_piece
from residua.experiment.recorded import PartLookup
from residua.experiment.run_folder import RunFolder, RunState
from residua.experiment.score_parts import ScoreParts, ScoreSummary, describe_pieces, encode, note_of
from residua.files import atomic_write, ensure_folder
from residua.images import ImageSet, load_images
from residua.images.listing import Options
from residua.images.shards import Shards
from residua.images.sources import list_shards
from residua.records import Finding
from residua.report.pictures import heat_map

_MOST_FOR_DRIFT = 5_000_000
_CHUNK = 512
_SAMPLED_FOR_SCALE = 64
_SCALE_QUANTILE = 0.999

Workers = Callable[["ScoreJob"], None]
"""Scores all pieces of a job that are not done, by whatever means."""


@dataclass(frozen=True)
class ScoreJob:
    """All that scoring a source takes; what is done of it lies in `parts`."""

    bundle: Bundle
    engine: Engine
    shards: Shards
    task: Task
    parts: ScoreParts
    watcher: Watcher

    def open_pieces(self) -> Iterator[tuple[int, int, int]]:
        """Number, images done and parts done of each piece that is not finished."""
        for number in range(len(self.shards.pieces)):
            seen, n_parts, done = self.parts.state_of(number)
            if not done:
                yield number, seen, n_parts

    def tell(self, n_done: int, n_pieces_done: int) -> None:
        """Progress; the number of images is an estimate where shards have not been opened yet."""
        if self.watcher.on_read is not None:
            n_pieces = len(self.shards.pieces)
            total = self.shards.n_images or round(n_done * n_pieces / max(1, n_pieces_done))
            self.watcher.on_read(n_done, max(total, n_done + (n_pieces_done < n_pieces)))


def score_run(
    run: str | Path,
    source: str,
    out: str | Path,
    *,
    maps: str | Path | None = None,
    resume: bool = False,
    memory_megabytes: float = MEMORY_MEGABYTES,
    engine: str = REFERENCE,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
) -> ScoreSummary:
    """Score every image of `source` and write ``path, label, split, score, threshold, anomalous, mse, mae, ssim``.

    A classifier also writes ``predicted`` and a column ``p[CLASS]`` with the probability of each class; its score is how unsure
    it is.

    ``out`` ends in ``.csv`` or ``.parquet``. The source is read piece by piece and its images are let go once they are scored,
    so memory does not grow with their number. With `resume`, scoring that was stopped goes on; the file is the same. With
    `maps`, each image's error map is written there as a PNG at the image's own resolution, all on one colour scale; for
    those the source is read again, keeping up to `memory_megabytes` of pixels. Another `engine` than the reference brings its
    own threshold.

    Returns
    -------
    ScoreSummary
        How many images have a row, lie above the threshold, could not be read, and whether their scores are unlike those that the
        threshold was chosen on.
    """
    watcher = watcher or Watcher()
    parts = ScoreParts(Path(out))
    folder = RunFolder(Path(run))
    state = folder.read_finished()
    opened = open_engine(folder, load_bundle(folder.bundle), engine, watcher)
    with parts.locked():
        job = _begin(folder, state, opened, source, parts, watcher, resume=resume)
        (workers or _score_here)(job)
        n_pieces = len(job.shards.pieces)
        summary = parts.summary(n_pieces)
        summary.add_listed(job.shards.quarantined)
        if not summary.n_images:
            parts.discard()
            raise SourceError(_nothing_readable(source, summary))
        parts.finish(n_pieces, job.task)
    summary.drift = None if is_own_source(state, source) else _drift(opened.bundle, parts.out, summary.n_images)
    if maps is not None:
        images = _load(state, source, memory_megabytes, watcher)
        _write_maps(opened.engine, images, _read_scores(parts.out), ensure_folder(maps, where="score --maps"), watcher)
    return summary


def _drift(bundle: Bundle, out: Path, n_images: int) -> Finding | None:
    point = bundle.config.operating_point
    if point is None or n_images > _MOST_FOR_DRIFT:
        return None
    return find_drift(calibration_normals(bundle), _read_scores(out), threshold=point.threshold)


def _begin(  # noqa: PLR0917  a private step of one function, given what that function has
    folder: RunFolder, state: RunState, opened: Opened, source: str, parts: ScoreParts, watcher: Watcher, *, resume: bool
) -> ScoreJob:
    shards, task = make_task(folder, state, opened.bundle, source)
    by = {} if opened.card is None else {"engine": opened.engine.name}
    parts.begin({"source": source, "model": folder.bundle_checksum(), **by, **describe_pieces(shards)}, resume=resume)
    return ScoreJob(opened.bundle, opened.engine, shards, task, parts, watcher)


def make_task(folder: RunFolder, state: RunState, bundle: Bundle, source: str, *, only_test: bool = False) -> tuple[Shards, Task]:
    """A source in pieces, and what scoring one of them needs; refuses images of another kind than the model's."""
    own = is_own_source(state, source)
    options = Options()
    shards = list_shards(state.located_source() if own else source, options)
    lookup = None
    if own:
        recorded = folder.read_images("path", "part")
        lookup = PartLookup.of(recorded["path"], recorded["part"])
    point, classes = bundle.config.operating_point, bundle.config.classes
    task = Task(
        bundle.config.channels,
        None if point is None else point.threshold,
        options,
        lookup,
        only_test=only_test,
        classes=None if classes is None else tuple(map(str, classes)),
        multilabel=bundle.config.multilabel,
    )
    if len(shards.pieces):
        check_first(task, shards.pieces[0])
    return shards, task


def _score_here(job: ScoreJob) -> None:
    n_done = 0
    for number, seen, n_parts in job.open_pieces():
        n_done += seen
        for further, part in enumerate(score_piece(job.engine, job.task, job.shards.pieces[number], start=seen)):
            job.parts.write(number, n_parts + further, encode(part, job.parts.out.suffix), note_of(part))
            n_done += part.n_seen
            job.tell(n_done, number + part.is_last)


def _nothing_readable(source: str, summary: ScoreSummary) -> str:
    first = summary.quarantined[0] if summary.quarantined else None
    got = "none" if first is None else f"{summary.n_quarantined:,} that cannot be read ({first.path}: {first.reason})"
    return f"{source}: a source must hold at least one image that decodes. Got {got}. Name a folder or file with images."


def _load(state: RunState, source: str, memory_megabytes: float, watcher: Watcher) -> ImageSet:
    if is_own_source(state, source):
        return load_source(state, watcher, memory_megabytes)
    # New images may carry other labels or none: what is normal is the model's business, so it is not asked of them.
    seed = state.options.settings.seed
    return load_images(source, seed=seed, memory_megabytes=memory_megabytes, progress=watcher.on_read)


def _read_scores(out: Path) -> NDArray[np.float32]:
    """The column of scores of a file just written, in the order of the images."""
    if out.suffix == ".parquet":
        import pyarrow.parquet as pq

        return np.asarray(pq.read_table(out, columns=["score"])["score"], np.float32)
    import csv

    with open(out, encoding="utf-8", newline="") as file:
        return np.array([row["score"] for row in csv.DictReader(file)], np.float32)


def _write_maps(engine: Engine, images: ImageSet, scores: NDArray[np.float32], folder: Path, watcher: Watcher) -> None:
    from PIL import Image

    ceiling = _common_scale(engine, images, scores)
    names = _file_names(images.paths.tolist())
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        found = score_with(engine, chunk, maps=True).maps or []
        for name, error_map in zip(names[start : start + _CHUNK], found, strict=True):
            target = folder / f"{name}.png"
            with atomic_write(target) as file:
                Image.fromarray(heat_map(error_map, ceiling)).save(file, format="PNG")
        if watcher.on_read is not None:
            watcher.on_read(min(start + _CHUNK, len(images)), len(images))


def _common_scale(engine: Engine, images: ImageSet, scores: NDArray[np.float32]) -> float:
    """The error that gets the brightest colour: high, but not the one wildest pixel's."""
    most = images[np.sort(np.argsort(-scores, kind="stable")[:_SAMPLED_FOR_SCALE])]
    maps: list[NDArray[np.float32]] = score_with(engine, most, maps=True).maps or []
    return float(np.quantile(np.concatenate([one.ravel() for one in maps]), _SCALE_QUANTILE)) if maps else 1.0


def _file_names(paths: list[str]) -> list[str]:
    """Paths inside the source as safe file names, each its own: what would coincide gets its row's number."""
    names = [
        "".join(character if character.isascii() and (character.isalnum() or character in "._-") else "_" for character in path)[
            -180:
        ]
        for path in paths
    ]
    seen: set[str] = set()
    for row, name in enumerate(names):
        if name in seen:
            names[row] = f"{name}-{row}"
        seen.add(names[row])
    return names
