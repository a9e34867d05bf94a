"""The pictures of a wrapped model's report: chosen images with what the model made of them, and a
small one of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua.evaluation import Gallery, Thumbnails, choose_thumbnails, thumbnail_size
from residua.images import ImageSet
from residua.images.resize import fit_to
from residua.runs.masks import as_bytes, shown_masks
from residua.runs.selection import nearest_rows
from residua.runs.wrapped.errors_in_numpy import error_maps

if TYPE_CHECKING:
    from residua.runs.wrapped.model import WrappedModel

_COMPARED_SIDE = 32


def make_gallery(
    model: WrappedModel,
    images: ImageSet,
    index: NDArray[np.int64],
    known: ImageSet | None,
    targets: ImageSet | None = None,
) -> Gallery:
    """Input, reconstruction, the model's own error map and mask of the chosen images, and the
    training image nearest to each.

    All at the size of what comes out; the map is that of the error against the target, where there
    are targets.
    """
    shown, size, small = images[index], model.contract.output_size, model.contract.size
    prepared = fit_to(model.prepare(shown), size)
    rebuilt = model.reconstruct(shown)
    nearest = (
        None if known is None else known[nearest_rows(_small(known, small), _small(shown, small))]
    )
    return Gallery(
        index=index,
        images=as_bytes(prepared),
        reconstructions=as_bytes(rebuilt),
        error_maps=error_maps(
            model.contract.error,
            prepared if targets is None else fitted(targets[index], size),
            rebuilt,
        ),
        masks=shown_masks(shown, size) if shown.has_masks else None,
        nearest=None if nearest is None else as_bytes(fit_to(model.prepare(nearest), size)),
        nearest_paths=None if nearest is None else nearest.paths,
    )


def make_thumbnails(
    size: tuple[int, int],
    images: ImageSet,
    scores: NDArray[Any],
    is_anomalous: NDArray[np.bool_] | None,
) -> Thumbnails:
    """Small pictures of the judged images, as the model sees them."""
    index = choose_thumbnails(scores, is_anomalous)
    small = thumbnail_size(len(index), size)
    return Thumbnails(index, as_bytes(fitted(images[index], small)))


def _small(images: ImageSet, size: tuple[int, int]) -> NDArray[np.float32]:
    share = min(1.0, _COMPARED_SIDE / max(size))
    return fitted(images, (max(1, round(size[0] * share)), max(1, round(size[1] * share))))


def fitted(images: ImageSet, size: tuple[int, int]) -> NDArray[np.float32]:
    """Images as float32 (n, *size, channels) in [0, 1]."""
    return np.concatenate(
        [fit_to(image[np.newaxis], size) for batch in images.batches(256) for image in batch]
    )
