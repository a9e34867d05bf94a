"""`residua kinds`: flagged images in groups of what they look like, to be named and learnt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from residua._files import atomic_write, ensure_folder
from residua._text import count
from residua.errors import InputError, OutputError
from residua.evaluation.report.markup import Html, element, join
from residua.evaluation.report.pictures import data_uri, error_ceiling, heat_map
from residua.images import ImageSet
from residua.runs.learning.corrections import GROUP
from residua.runs.learning.features import StoredFeatures
from residua.runs.learning.model import check_learns
from residua.runs.learning.tile_scores import highest_tile, scores_of
from residua.runs.open_run import check_trained
from residua.runs.progress import Watcher
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import Bundle, load_bundle, score_set
from residua.training.scoring.density import Gaussian
from residua.training.scoring.learned_score import Seen
from residua.training.scoring.places import tamed

_MOST_GROUPS, _MOST_IMAGES, _SHOWN = 12, 2000, 24
_FLOOR = 1e-2
_NEARLY = 0.85
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:75rem;color:#1c1c1c}"
    "figure{display:inline-block;margin:0 1rem 1rem 0;vertical-align:top;width:11rem}"
    "img{width:5.3rem;margin-right:.2rem;image-rendering:auto}"
    "figcaption{font-size:.8rem;overflow-wrap:anywhere}"
)


@dataclass(frozen=True)
class FlaggedGroups:
    """Flagged images in groups: the paths of each group, the largest first."""

    n_images: int
    paths: tuple[tuple[str, ...], ...]
    folder: Path
    page: Path

    def about(self) -> str:
        """How many images are in how many groups."""
        n_flagged = sum(map(len, self.paths))
        return (
            f"{n_flagged:,} of {count(self.n_images, 'image')} are flagged, in"
            f" {count(len(self.paths), 'group')}"
        )


def group_flagged(
    run: str | Path, source: str, out: str | Path | None = None, watcher: Watcher | None = None
) -> FlaggedGroups:
    """Group the images of `source` that the detector flags by what they look like, and write
    ``OUT/defect/group-01/...`` with copies of them and ``OUT/kinds.html`` with pictures.

    Who has named the folders lets the detector learn from them: ``residua learn RUN OUT``.

    Raises
    ------
    InputError
        If fewer than two images are flagged, the run is of another job, or an image has more than
        8 bits.
    """
    watcher, folder = watcher or Watcher(), TrainedRun(Path(run))
    check_trained(folder.path, "kinds")
    place = Path(out) if out is not None else folder.path / "kinds"
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise OutputError(
            f"{place}: the output folder must be new or empty. Got a place in use, and the names"
            " that somebody gave may be in it. Name another folder with --out."
        )
    folder.read_finished()
    bundle, origin = load_bundle(folder.bundle), folder.origin()
    point = check_learns(bundle.config)
    stored = StoredFeatures.load(folder)
    if stored is None:
        raise InputError(
            f"{folder.path}: the run must store the features of its normal images. It does not."
            " Fit again."
        )
    own = origin.is_own(source)
    images = origin.load(watcher, named=True) if own else origin.load_other(source, watcher)
    features = StoredFeatures.of_images(bundle, images, "defect")
    scores = scores_of(bundle.graph.scorer, features.seen, bundle.config)
    rows = np.flatnonzero(scores.numpy() > point.threshold)
    if len(rows) < 2:
        raise InputError(
            f"{source}: two images at least must be flagged to be grouped. Got {len(rows)} of"
            f" {len(images):,}. Name a source with defects."
        )
    if len(rows) > _MOST_IMAGES:
        watcher.note(f"the {_MOST_IMAGES:,} highest scores of {len(rows):,} flagged are grouped")
        rows = np.sort(rows[np.argsort(-scores.numpy()[rows])[:_MOST_IMAGES]])
    if images.dtype != np.uint8:
        raise InputError(
            f"{source}: images must have 8 bits to be copied into groups. They have more. Name the"
            " kinds in a manifest with the columns path, label and kind."
        )
    flagged = features.rows(rows).seen
    which = highest_tile(bundle.graph.scorer, flagged, bundle.config)
    normals, _ = stored.of("train", "held out", "calibration").seen.apart()
    codes = group_alike(flagged.rows(torch.from_numpy(which)), normals)
    groups = [rows[codes == code] for code in range(codes.max() + 1)]
    groups.sort(key=len, reverse=True)
    _copy(images, groups, place)
    page = place / "kinds.html"
    with atomic_write(page, "w", encoding="utf-8") as file:
        file.write(_page(bundle, images, groups))
    paths = tuple(tuple(str(path) for path in images.paths[some]) for some in groups)
    return FlaggedGroups(len(images), paths, place, page)


def group_alike(flagged: Seen, normals: Seen) -> NDArray[np.int64]:
    """Groups of images by the features at their places that stand out, as numbers, (n_flagged,).

    Features are whitened by those of normal images; groups are joined by Ward's rule, and there
    are as few as have nearly the best silhouette.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from sklearn.metrics import silhouette_score

    whitening = Gaussian(normals.marked.shape[1], floor=_FLOOR)
    whitening.fit(normals.marked)
    with torch.inference_mode():
        unit = F.normalize(tamed(whitening.whiten(flagged.marked)), dim=1).double().numpy()
    if len(unit) < 3:
        return np.zeros(len(unit), np.int64)
    tree = linkage(unit, "ward")
    tried: list[tuple[float, NDArray[np.int64]]] = []
    for n_groups in range(2, min(_MOST_GROUPS, len(unit) - 1) + 1):
        found = fcluster(tree, n_groups, "maxclust").astype(np.int64) - 1
        if len(np.unique(found)) < 2:
            continue
        tried.append((float(silhouette_score(unit, found)), found))
    least = _NEARLY * max((score for score, _ in tried), default=0.0)
    return next((found for score, found in tried if score >= least), np.zeros(len(unit), np.int64))


def _copy(images: ImageSet, groups: Sequence[NDArray[np.int64]], place: Path) -> None:
    """Each group in a folder of its own, the pixels as they are."""
    for number, rows in enumerate(groups, start=1):
        folder = ensure_folder(place / "defect" / f"{GROUP}{number:02}", where="kinds --out")
        for row in rows.tolist():
            pixels = images[row]
            name = Path(str(images.paths[row]).replace("/", "__")).stem
            picture = Image.fromarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
            picture.save(folder / f"{name}__{row}.png")


def _page(bundle: Bundle, images: ImageSet, groups: Sequence[NDArray[np.int64]]) -> str:
    parts: list[Html] = []
    for number, rows in enumerate(groups, start=1):
        some = rows[:_SHOWN]
        maps = score_set(bundle, images[some], maps=True).maps
        assert maps is not None
        ceiling = max(error_ceiling(one) for one in maps)
        figures = [
            element(
                "figure",
                element("img", src=data_uri(images[row], 128), alt="image"),
                element("img", src=data_uri(heat_map(one, ceiling), 128), alt="error map"),
                element("figcaption", str(images.paths[row])),
            )
            for row, one in zip(some.tolist(), maps, strict=True)
        ]
        shown = "" if len(some) == len(rows) else f", {len(some)} of them shown"
        parts.append(element("h2", f"{GROUP}{number:02}: {count(len(rows), 'image')}{shown}"))
        parts.append(element("div", figures))
    body = join(
        element("h1", "Flagged images by what they look like"),
        element(
            "p",
            "Give each folder below defect the name of a kind, and put groups of one kind into one."
            " Delete images that do not belong."
            " Move images of good parts to a folder good beside defect. Then learn from this"
            " folder.",
        ),
        parts,
    )
    head = join(
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width"),
        element("title", "Kinds"),
        element("style", Html(_STYLE)),
    )
    return (
        f"<!doctype html>{element('html', element('head', head), element('body', body), lang='en')}"
    )
