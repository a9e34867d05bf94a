"""Images with what a model made of them, a row an image: reconstructions, and maps of errors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.errors import InputError
from residua.evaluation.evidence import Evidence, Gallery
from residua.evaluation.plots.plot import Plot, pyplot
from residua.evaluation.report import words
from residua.evaluation.report.kinds import ranking_values, truth
from residua.evaluation.report.pictures import error_ceiling
from residua.records import Evaluation

_SIDE = 1.9  # inches of a picture


def reconstructions(record: Evaluation, ax: Any, *, n: int = 4) -> Any:
    """Image, reconstruction and error of the `n` images with the highest error that are kept."""
    return _rows(record, ax, n, ("image", "reconstruction", "error"))


def maps(record: Evaluation, ax: Any, *, n: int = 4) -> Any:
    """Image and map of the `n` highest scores, anomalous first, with edges of their masks."""
    return _rows(record, ax, n, ("image", "error"))


def _rows(record: Evaluation, ax: Any, n: int, columns: tuple[str, ...]) -> Any:
    evidence = record.evidence
    gallery: Gallery = evidence.gallery
    if gallery.error_maps is None:
        columns = tuple(name for name in columns if name != "error")
    chosen = _highest(evidence, anomalous_first=columns == ("image", "error"))[:n]
    grid = _grid(ax, len(chosen), len(columns))
    ceiling = 1.0 if gallery.error_maps is None else error_ceiling(gallery.error_maps)
    for line, place in zip(grid, chosen, strict=True):
        for own, name in zip(line, columns, strict=True):
            _draw(own, gallery, place, name, ceiling)
            own.set(xticks=[], yticks=[])
        line[0].set_ylabel(_caption(evidence, int(gallery.index[place])), fontsize="x-small")
    for own, name in zip(grid[0], columns, strict=True):
        own.set_title(name.capitalize(), fontsize="small")
    return grid


def _grid(ax: Any, n_rows: int, n_columns: int) -> NDArray[Any]:
    if ax is None:
        size = (_SIDE * n_columns + 0.4, _SIDE * n_rows + 0.3)
        _, made = pyplot().subplots(
            n_rows, n_columns, figsize=size, squeeze=False, layout="constrained"
        )
        return np.asarray(made)
    given = np.asarray(ax, object)
    if given.size != n_rows * n_columns:
        raise InputError(
            f"plot: ax must be {n_rows} x {n_columns} axes for these pictures. Got {given.size}."
            " Leave ax out, or make as many with plt.subplots."
        )
    return given.reshape(n_rows, n_columns)


def _highest(evidence: Evidence, *, anomalous_first: bool) -> NDArray[np.int64]:
    """Places in the gallery, the highest score or error first."""
    index = evidence.gallery.index if evidence.gallery is not None else np.zeros(0, np.int64)
    values, known = ranking_values(evidence)[1], truth(evidence)
    order = np.arange(len(index)) if values is None else np.argsort(-values[index], kind="stable")
    if known is None or not anomalous_first:
        return order
    return order[np.argsort(known[index][order] != 1, kind="stable")]


def _draw(ax: Any, gallery: Gallery, place: int, name: str, ceiling: float) -> None:
    if name == "error":
        assert gallery.error_maps is not None
        ax.imshow(gallery.error_maps[place], cmap="inferno", vmin=0, vmax=ceiling)
    else:
        pixels = gallery.images if name == "image" else gallery.reconstructions
        assert pixels is not None
        one = pixels[place]
        ax.imshow(one if one.shape[-1] == 3 else one[..., 0], cmap="gray", vmin=0, vmax=255)
    mask = None if gallery.masks is None else gallery.masks[place]
    if mask is not None and mask.any() and name != "reconstruction":
        ax.contour(mask, levels=[0.5], colors="#40e0ff", linewidths=1)


def _caption(evidence: Evidence, row: int) -> str:
    name = str(evidence.paths[row]).rsplit("/", 1)[-1]
    label = None if evidence.labels is None else evidence.labels[row]
    values = ranking_values(evidence)[1]
    parts = [name if len(name) <= 18 else f"…{name[-17:]}"]
    parts += [] if label is None else [str(label)[:18]]
    parts += [] if values is None else [words.significant(float(values[row]))]
    return "\n".join(parts)


def _has_pictures(record: Evaluation, column: str) -> bool:
    evidence = record.evidence
    gallery = None if evidence is None else evidence.gallery
    return gallery is not None and getattr(gallery, column) is not None and len(gallery.index) > 0


RECONSTRUCTIONS = Plot(
    "reconstructions",
    reconstructions,
    lambda record: _has_pictures(record, "reconstructions"),
    "images with their reconstructions",
    first_for=("reconstruct",),
)
MAPS = Plot(
    "maps",
    maps,
    lambda record: _has_pictures(record, "error_maps"),
    "images with error maps, which `evaluate` of an estimator or of a run keeps",
)
