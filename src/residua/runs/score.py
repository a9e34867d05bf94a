"""`residua score`: a row an image, for every image of a source, however many there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from residua._files import ensure_folder
from residua.engines.kinds import REFERENCE
from residua.findings import find_drift
from residua.images import ImageSet, load_images
from residua.images.listing import Options
from residua.images.reading import reading_of
from residua.images.shards import Shards
from residua.images.sources import list_shards
from residua.records import Finding
from residua.runs.engines import open_engine
from residua.runs.findings import calibration_normals
from residua.runs.fit import MEMORY_MEGABYTES, load_source
from residua.runs.parts import is_own_source
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder, RunState
from residua.runs.tables import (
    ChunkFiles,
    ScoreSummary,
    ScoringJob,
    ScoringTask,
    Workers,
    do_job,
    read_scores,
    sample_scores,
    write_maps,
)
from residua.runs.tables.chunks import check_first
from residua.runs.tables.part_lookup import PartLookup
from residua.training.bundle import Bundle, load_bundle


def score_run(
    run: str | Path,
    source: str,
    out: str | Path,
    *,
    maps: str | Path | None = None,
    resume: bool = False,
    memory_megabytes: float = MEMORY_MEGABYTES,
    engine: str = REFERENCE,
    bits: int | None = None,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
    raw_cells: bool = False,
) -> ScoreSummary:
    """Score every image of `source` and write ``path, label, split, score, threshold, anomalous,
    mse, mae, ssim``.

    Columns of a manifest that mean nothing to residua (serial number, camera, time) follow as they
    are. A classifier also writes ``predicted`` and a column ``p[CLASS]`` with the probability of
    each class; its score is how unsure it is.

    ``out`` ends in ``.csv`` or ``.parquet``. The source is read piece by piece and its images are
    let go once they are scored, so memory does not grow with their number. With `resume`, scoring
    that was stopped goes on; the file is the same. With `maps`, each image's error map is written
    there as a PNG at the image's own resolution, all on one colour scale; for those the source is
    read again, keeping up to `memory_megabytes` of pixels. Another `engine` than the reference
    brings its own threshold. `bits` are those of images whose scale is not that of the training
    images. Texts in CSV that a spreadsheet would take for a formula begin with an apostrophe,
    unless `raw_cells`.

    Returns
    -------
    ScoreSummary
        How many images have a row, lie above the threshold, could not be read, and whether their
        scores are unlike those that the threshold was chosen on.
    """
    watcher = watcher or Watcher()
    parts = ChunkFiles(Path(out))
    folder = RunFolder(Path(run))
    state = folder.read_finished()
    opened = open_engine(folder, load_bundle(folder.bundle), engine, watcher)
    shards, task = make_task(folder, state, opened.bundle, source, bits=bits)
    task = replace(task, raw_cells=raw_cells)
    for made in task.assumptions:
        watcher.note(f"assumed {made.sentence}")
    for name, told in task.own:
        if told != name:
            watcher.note(
                f"the source's column {name!r} is written as {told!r}: residua has one of that name"
            )
    other = {"engine": None if opened.card is None else opened.engine.name, "bits": bits}
    begun_with = {
        "model": folder.bundle_checksum(),
        **{name: value for name, value in other.items() if value is not None},
    }
    job = ScoringJob(opened.engine, shards, task, parts, watcher.on_read)
    summary = do_job(job, source, begun_with, resume=resume, workers=workers)
    summary.drift = (
        None if is_own_source(state, source) else _drift(opened.bundle, parts.out, summary.n_images)
    )
    if maps is not None:
        images = _load(state, opened.bundle, source, memory_megabytes, watcher, bits)
        write_maps(
            opened.engine,
            images,
            read_scores(parts.out),
            ensure_folder(maps, where="score --maps"),
            watcher.on_read,
        )
    return summary


def _drift(bundle: Bundle, out: Path, n_images: int) -> Finding | None:
    point = bundle.config.operating_point
    if point is None:
        return None
    return find_drift(
        calibration_normals(bundle), sample_scores(out, n_images), threshold=point.threshold
    )


def make_task(
    folder: RunFolder,
    state: RunState,
    bundle: Bundle,
    source: str,
    *,
    only_test: bool = False,
    bits: int | None = None,
) -> tuple[Shards, ScoringTask]:
    """A source in pieces, and what scoring one of them needs; refuses images of another kind than
    the model's.
    """
    own = is_own_source(state, source)
    reading = reading_of(bits, bundle.config.reading, where="score")
    root = Path(state.options.root) if own and state.options.root is not None else None
    options = Options(
        root=root, reading=reading, of_model=bits is None, follow_links=state.options.follow_links
    )
    shards = list_shards(state.located_source(named=True) if own else source, options)
    lookup = None
    if own:
        recorded = folder.read_images("path", "part")
        lookup = PartLookup.of(recorded["path"], recorded["part"])
    point, classes = bundle.config.operating_point, bundle.config.classes
    task = ScoringTask(
        bundle.config.channels,
        None if point is None else point.threshold,
        options,
        lookup,
        only_test=only_test,
        classes=None if classes is None else tuple(map(str, classes)),
        multilabel=bundle.config.multilabel,
    )
    task = check_first(task, shards.pieces[0], source) if len(shards.pieces) else task
    return shards, replace(task, assumptions=(*shards.assumptions, *task.assumptions))


def _load(  # noqa: PLR0917
    state: RunState,
    bundle: Bundle,
    source: str,
    memory_megabytes: float,
    watcher: Watcher,
    bits: int | None,
) -> ImageSet:
    if is_own_source(state, source):
        return load_source(state, watcher, memory_megabytes, named=True)
    # New images may carry other labels or none: what is normal is the model's business, so it is
    # not asked of them.
    asked = state.options
    more: dict[str, Any] = {
        "seed": asked.settings.seed,
        "bits": bits,
        "follow_links": asked.follow_links,
    }
    more |= {"reading": bundle.config.reading}
    return load_images(source, memory_megabytes=memory_megabytes, progress=watcher.on_read, **more)
