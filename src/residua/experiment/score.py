"""`residua score`: a row an image, for every image of a source."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.bundle import Bundle, load_bundle
from residua.errors import InputError, MissingExtraError
from residua.estimators.fitting import score_set
from residua.experiment.fit import Watcher, load_source
from residua.experiment.parts import has_own_parts, is_own_source
from residua.experiment.run_folder import RunFolder, RunState
from residua.files import atomic_write, ensure_folder
from residua.images import ImageSet, load_images
from residua.report.pictures import heat_map
from residua.scoring.engine import Scores

_CHUNK = 512
_SAMPLED_FOR_SCALE = 64
_SCALE_QUANTILE = 0.999


def score_run(
    run: str | Path, source: str, out: str | Path, *, maps: str | Path | None = None, watcher: Watcher | None = None
) -> tuple[int, ImageSet]:
    """Score every image of `source` and write ``path, label, split, score, threshold, anomalous, mse, mae, ssim``.

    A classifier also writes ``predicted`` and a column ``p[CLASS]`` with the probability of each class; its score is how unsure
    it is.

    ``out`` ends in ``.csv`` or ``.parquet``. With `maps`, each image's error map is written there as a PNG at the image's
    own resolution, all on one colour scale.

    Returns
    -------
    n_anomalous, images
        How many images lie above the threshold, and the images (their ``quarantined`` files have no row).
    """
    watcher = watcher or Watcher()
    out = Path(out)
    write = _writer(out)
    ensure_folder(out.parent, where="score")
    folder = RunFolder(Path(run))
    state, bundle = folder.read_finished(), load_bundle(folder.bundle)
    images, splits = _load(folder, state, source, watcher)
    scores = score_set(bundle, images, progress=watcher.on_read)
    threshold = bundle.config.operating_point.threshold if bundle.config.operating_point else None
    write(out, {**_columns(images, splits, scores, threshold), **_classes(bundle, scores)})
    if maps is not None:
        _write_maps(bundle, images, scores, ensure_folder(maps, where="score --maps"), watcher)
    return int(scores.anomalous.sum()), images


def _load(folder: RunFolder, state: RunState, source: str, watcher: Watcher) -> tuple[ImageSet, list[str | None]]:
    """The images, and each one's part: recorded in the run's own source, else the source's own, None if it has none."""
    if is_own_source(state, source):
        images, recorded = load_source(state, watcher), folder.read_images()
        part_of = dict(zip(recorded["path"], recorded["part"], strict=True))
        return images, [part_of.get(path) for path in images.paths]
    # New images may carry other labels or none: what is normal is the model's business, so it is not asked of them.
    images = load_images(source, seed=state.options.settings.seed, progress=watcher.on_read)
    return images, images.splits.tolist() if has_own_parts(images) else [None] * len(images)


def _columns(images: ImageSet, splits: list[str | None], scores: Scores, threshold: float | None) -> dict[str, Any]:
    n = len(images)
    return {
        "path": images.paths.tolist(),
        "label": images.labels.tolist() if images.labels is not None else [None] * n,
        "split": splits,
        "score": scores.score,
        "threshold": [threshold] * n,
        "anomalous": scores.anomalous.tolist() if threshold is not None else [None] * n,
        **scores.columns,
    }


def _classes(bundle: Bundle, scores: Scores) -> dict[str, Any]:
    """What a classifier says of each image; nothing of other models. Several labels at once are joined by a bar."""
    probabilities = scores.probabilities
    if probabilities is None:
        return {}
    names = [str(name) for name in bundle.config.classes or ()]
    if bundle.config.multilabel:
        predicted = [
            "|".join(name for name, holds in zip(names, row, strict=True) if holds) for row in (probabilities > 0.5).tolist()
        ]
    else:
        predicted = [names[column] for column in probabilities.argmax(axis=1).tolist()]
    return {"predicted": predicted, **{f"p[{name}]": probabilities[:, column] for column, name in enumerate(names)}}


def _writer(out: Path) -> Callable[[Path, dict[str, Any]], None]:
    if out.suffix == ".csv":
        return _write_csv
    if out.suffix == ".parquet":
        try:
            import pyarrow  # noqa: F401  asked before the work begins
        except ModuleNotFoundError:
            raise MissingExtraError("pyarrow", "tables", "score --out *.parquet") from None
        return _write_parquet
    raise InputError(f"score: --out must end in .csv or .parquet. Got {out.name!r}. Name such a file.")


def _write_csv(out: Path, columns: dict[str, Any]) -> None:
    with atomic_write(out, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for row in zip(*(_texts(column) for column in columns.values()), strict=True):
            writer.writerow(row)


def _texts(column: Any) -> list[str]:
    """Numbers in the shortest form that reads back as the same float32; booleans as true and false; None as nothing."""
    return ["" if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in column]


def _write_parquet(out: Path, columns: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = columns["label"]
    if len({type(label) for label in labels if label is not None}) > 1:
        labels = [None if label is None else str(label) for label in labels]
    with atomic_write(out) as file:
        pq.write_table(pa.table({**columns, "label": labels}), file)


def _write_maps(bundle: Bundle, images: ImageSet, scores: Scores, folder: Path, watcher: Watcher) -> None:
    from PIL import Image

    ceiling = _common_scale(bundle, images, scores)
    names = _file_names(images.paths.tolist())
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        found = score_set(bundle, chunk, maps=True).maps or []
        for name, error_map in zip(names[start : start + _CHUNK], found, strict=True):
            target = folder / f"{name}.png"
            with atomic_write(target) as file:
                Image.fromarray(heat_map(error_map, ceiling)).save(file, format="PNG")
        if watcher.on_read is not None:
            watcher.on_read(min(start + _CHUNK, len(images)), len(images))


def _common_scale(bundle: Bundle, images: ImageSet, scores: Scores) -> float:
    """The error that gets the brightest colour: high, but not the one wildest pixel's."""
    most = images[np.sort(np.argsort(-scores.score, kind="stable")[:_SAMPLED_FOR_SCALE])]
    maps: list[NDArray[np.float32]] = score_set(bundle, most, maps=True).maps or []
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
