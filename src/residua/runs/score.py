"""`residua score`: a row per image, for every image of a source, however many there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from residua._files import ensure_folder
from residua.engines.kinds import REFERENCE
from residua.findings import find_drift
from residua.images import ImageSet
from residua.images.groups import column_of
from residua.images.listing import Options
from residua.images.reading import reading_of
from residua.images.shards import Shards
from residua.images.sources import list_shards
from residua.records import Finding
from residua.runs.model import JudgedModel
from residua.runs.open_run import open_run
from residua.runs.origin import MEMORY_MEGABYTES, Origin
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder
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
from residua.thresholds import batch_policy


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
    groups: str | None = None,
    product: str | None = None,
    root: str | Path | None = None,
    watcher: Watcher | None = None,
    workers: Workers | None = None,
    raw_cells: bool = False,
    policy: str | None = None,
) -> ScoreSummary:
    """Score every image of `source` and write ``path, label, split, score, threshold, anomalous,
    mse, mae, ssim, unreadable`` and, of a detector, ``p_value``.

    An image that cannot be read has a row too: it stands in its place, ``unreadable`` holds the
    reason, and there is no score. Images that the listing leaves out (a manifest names a file that
    is not there, a whole shard is broken) stand at the end. Columns of a manifest that mean nothing
    to residua (serial number, camera, time) follow as they are. A classifier also writes
    ``predicted`` and a column ``p[CLASS]`` with the probability of each class; its score is how
    unsure it is. A detector that has learnt kinds of defects writes ``kind`` of what is flagged and
    the same columns with the probability of each.

    ``out`` ends in ``.csv`` or ``.parquet``. The source is read piece by piece and its images are
    let go once they are scored, so memory does not grow with their number. With `resume`, scoring
    that was stopped goes on, and a finished file takes in what is new: an image whose bytes were
    scored before keeps its score, all others are scored, and rows of images that are gone are
    dropped. The file is the one that scoring all of them would write. With `maps`, each image's
    error map is written there as a PNG at the image's own resolution, all on one colour scale; for
    those the source is read again, keeping up to `memory_megabytes` of pixels. Another `engine`
    than the reference brings its own threshold. `bits` are those of images whose scale is not that
    of the training images. `groups` say which images belong together, as in `load_images`; left
    out, as in the run: where they are known, they stand in a column ``group``. `product` says which
    product an image shows, as in `load_images`; the columns ``product`` and ``undecided`` then hold
    it, and why nothing is decided about an image. The paths of another
    manifest than the run's are relative to `root`, else to itself. Texts in CSV that a
    spreadsheet would take for a formula begin with an apostrophe, unless `raw_cells`. A `policy`
    for batches, such as ``fdr<=0.05``, decides in place of the run's threshold: about all images of
    `source` together, once they are scored.

    Raises InputError with `resume`, where the run has another model or threshold now, or `source`,
    `engine` or `bits` are others. Raises it with `product` if the run has no products.

    Returns
    -------
    ScoreSummary
        How many images have a score, lie above the threshold, could not be read, and whether their
        scores are unlike those that the threshold was chosen on.
    """
    watcher = watcher or Watcher()
    parts = ChunkFiles(Path(out))
    folder = open_run(run)
    origin = folder.origin().grouped_by(groups).of_products(product)
    model = folder.model(engine, watcher)
    shards, task = make_task(folder, origin, model, source, bits=bits, root=root)
    task = replace(task, raw_cells=raw_cells)
    if policy is not None:
        rule = batch_policy(policy, "score")
        rule.check(model.p_values, "score")
        task = replace(task, threshold=None, policy=rule)
    for made in task.assumptions:
        watcher.note(f"assumed {made.sentence}")
    for name, told in task.own:
        if told != name:
            watcher.note(
                f"the source's column {name!r} is written as {told!r}: residua writes a"
                " column of that name itself"
            )
    other = {
        "engine": None if engine == REFERENCE else model.engine.name,
        "bits": bits,
        "groups": groups,
        "product": product,
        "policy": None if task.policy is None else str(task.policy),
    }
    begun_with = {
        "model": folder.identity(),
        **{name: value for name, value in other.items() if value is not None},
    }
    job = ScoringJob(model.engine, shards, task, parts, watcher.on_read, watcher.note)
    summary = do_job(job, source, begun_with, resume=resume, workers=workers)
    if not origin.is_own(source):
        summary.drift = _drift(model, parts.out, summary.n_images)
        if model.facts.products is not None:
            watcher.note(
                "drift is not tested of a run with products; residua watch tests it for each"
            )
    if maps is not None:
        images = _load(origin, source, memory_megabytes, watcher, bits)
        folder_of_maps = ensure_folder(maps, where="score --maps")
        write_maps(model.engine, images, read_scores(parts.out), folder_of_maps, watcher.on_read)
    return summary


def _drift(model: JudgedModel, out: Path, n_images: int) -> Finding | None:
    if model.threshold is None or model.facts.products is not None:
        return None
    scores = sample_scores(out, n_images)
    return find_drift(
        model.calibration.normals,
        scores,
        threshold=model.threshold,
        calibration_groups=model.calibration.normal_groups,
    )


def make_task(
    folder: RunFolder,
    origin: Origin,
    model: JudgedModel,
    source: str,
    *,
    only_test: bool = False,
    bits: int | None = None,
    root: str | Path | None = None,
) -> tuple[Shards, ScoringTask]:
    """A source in pieces, and what scoring one needs; refuses images of another kind."""
    own, facts = origin.is_own(source), model.facts
    origin = origin.for_model(facts)
    root = origin.root if root is None and own else root
    options = Options(
        root=None if root is None else Path(root),
        reading=reading_of(bits, origin.reading or facts.reading, where="score"),
        of_model=bits is None,
        follow_links=origin.follow_links,
        group_column=column_of(origin.groups),
        product_column=None if facts.products is None else origin.product,
    )
    shards = list_shards(origin.located(named=True) if own else source, options)
    task = ScoringTask(
        facts.channels,
        None if facts.products is not None else model.threshold,
        options,
        _recorded_parts(folder, origin) if own else None,
        only_test=only_test,
        classes=facts.columns,
        says_kinds=facts.kinds is not None,
        multilabel=facts.multilabel,
        reference=model.p_values,
        products=facts.products,
        product_rule=origin.product if facts.products is not None else None,
    )
    if len(shards.pieces):
        task = check_first(task, shards.pieces[0], source, origin.groups)
    return shards, replace(task, assumptions=(*shards.assumptions, *task.assumptions))


def _recorded_parts(folder: RunFolder, origin: Origin) -> PartLookup:
    """Which part each image of the run's own source is in."""
    if folder.images.exists():
        recorded = folder.read_images("path", "part")
        return PartLookup.of(recorded["path"], recorded["part"])
    own = origin.load(named=True)  # wrapped runs of earlier versions recorded no parts
    return PartLookup.of(own.paths, own.splits)


def _load(
    origin: Origin, source: str, memory_megabytes: float, watcher: Watcher, bits: int | None
) -> ImageSet:
    if origin.is_own(source):
        return origin.load(watcher, memory_megabytes, named=True)
    # New images may carry other labels or none: what is normal is the model's business.
    return origin.load_other(source, watcher, memory_megabytes, bits=bits)
