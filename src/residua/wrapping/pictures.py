"""The pictures of a wrapped model's report: chosen images with what the model made of them, and a small one of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import score_with
from residua.evaluation import Gallery, Thumbnails, choose_thumbnails, thumbnail_size
from residua.images import ImageSet
from residua.images.resize import fit_to
from residua.noticing import as_bytes, nearest_rows, shown_masks

if TYPE_CHECKING:
    from residua.wrapping.model import WrappedModel

_COMPARED_SIDE = 32


def make_gallery(model: WrappedModel, images: ImageSet, index: NDArray[np.int64], known: ImageSet | None) -> Gallery:
    """Input, reconstruction, the model's own error map and mask of the chosen images, and the training image nearest to each."""
    shown, size = images[index], model.contract.size
    found = score_with(model, shown, reconstructions=True, maps=True)
    assert found.reconstructions is not None and found.maps is not None
    nearest = None if known is None else known[nearest_rows(_small(known, size), _small(shown, size))]
    return Gallery(
        index=index,
        images=as_bytes(model.prepare(shown)),
        reconstructions=as_bytes(found.reconstructions),
        error_maps=np.stack([fit_to(one[np.newaxis, :, :, np.newaxis], size)[0, :, :, 0] for one in found.maps]),
        masks=shown_masks(shown, size) if shown.has_masks else None,
        nearest=None if nearest is None else as_bytes(model.prepare(nearest)),
        nearest_paths=None if nearest is None else nearest.paths,
    )


def make_thumbnails(
    size: tuple[int, int], images: ImageSet, scores: NDArray[Any], is_anomalous: NDArray[np.bool_] | None
) -> Thumbnails:
    """Small pictures of the judged images, as the model sees them."""
    index = choose_thumbnails(scores, is_anomalous)
    small = thumbnail_size(len(index), size)
    return Thumbnails(index, as_bytes(_fitted(images[index], small)))


def _small(images: ImageSet, size: tuple[int, int]) -> NDArray[np.float32]:
    share = min(1.0, _COMPARED_SIDE / max(size))
    return _fitted(images, (max(1, round(size[0] * share)), max(1, round(size[1] * share))))


def _fitted(images: ImageSet, size: tuple[int, int]) -> NDArray[np.float32]:
    return np.concatenate([fit_to(image[np.newaxis], size) for batch in images.batches(256) for image in batch])
