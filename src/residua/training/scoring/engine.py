"""Running the graph over many images, in batches of one fixed, padded size.

So no score depends on its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from residua.engines import Scores
from residua.engines.interface import check_channels, join_scores, score_with
from residua.images import ImageSet
from residua.images.channels import own_channels
from residua.images.listing import Progress
from residua.training.scoring.graph import InferenceGraph
from residua.training.scoring.image_list import ImageList, Images
from residua.training.scoring.learned_score import Seen, see, under_masks
from residua.training.scoring.prepare import Prepare
from residua.training.synthesis import Draws, make_anomalies

__all__ = [
    "GraphEngine",
    "Progress",
    "Scores",
    "encode_images",
    "logits_of",
    "prepare_images",
    "score_images",
    "see_images",
]

_READ, _READ_VALUES = 256, 2**24  # images, and their values, that are decoded and prepared at once


def prepare_images(
    prepare: Prepare,
    images: ImageSet,
    *,
    progress: Progress | None = None,
    keep_float: bool = False,
) -> Tensor:
    """All images as the network sees them, (n_images, channels, *size).

    uint8 where the source is, else float32.

    Rounding to uint8 is for training, which keeps small sets in memory; scoring never rounds.
    ``keep_float`` is exact. Where images keep their own proportions, this stretches them to one
    size; see `prepare_each`.
    """
    prepare = prepare.at_one_size()
    is_rounded = images.dtype == np.uint8 and not keep_float
    prepared = torch.zeros(
        len(images),
        images.channels,
        *prepare.size,
        dtype=torch.uint8 if is_rounded else torch.float32,
    )
    start = 0
    for chunk in prepared_chunks(prepare, images, progress=progress, keep_float=keep_float):
        prepared[start : start + len(chunk)] = chunk
        start += len(chunk)
    return prepared


def prepared_chunks(
    prepare: Prepare,
    images: ImageSet,
    *,
    progress: Progress | None = None,
    keep_float: bool = False,
) -> Iterator[Tensor]:
    """What `prepare_images` gives, a few hundred images at a time, of large ones a few."""
    device = prepare.unit.device
    done = 0
    for batch in images.chunks(_READ, _READ_VALUES):
        for stack in _same_sizes(batch):
            with torch.inference_mode():
                # Resizing leaves the range by a last digit, which whoever measures would refuse.
                prepared = prepare(_as_tensor(stack, device)).cpu().clamp_(0, 1)
                if images.dtype == np.uint8 and not keep_float:
                    prepared = (prepared * 255).round().to(torch.uint8)
            yield prepared
        done += len(batch)
        if progress is not None:
            progress(done, len(images))


def prepare_each(prepare: Prepare, images: ImageSet, *, keep_float: bool = False) -> Images:
    """What training gets: `prepare_images`, or a list where proportions are kept."""
    if prepare.aspect != "area":
        return prepare_images(prepare, images, keep_float=keep_float)
    return ImageList(
        [image.clone() for image in prepared_one_by_one(prepare, images, keep_float=keep_float)]
    )


def prepared_one_by_one(
    prepare: Prepare, images: ImageSet, *, keep_float: bool = False
) -> Iterator[Tensor]:
    """The list of `prepare_each`, (channels, height, width), where proportions are kept."""
    is_rounded = images.dtype == np.uint8 and not keep_float
    for batch in images.chunks(_READ, _READ_VALUES):
        for image in batch:
            with torch.inference_mode():
                prepared = prepare(_as_tensor(image[np.newaxis], prepare.unit.device))[0].cpu()
                prepared = (prepared * 255).round().to(torch.uint8) if is_rounded else prepared
            yield prepared


def score_images(
    graph: InferenceGraph, images: ImageSet, *, batch_size: int, **wanted: Any
) -> Scores:
    """Run the graph over `images`; `wanted` is what `residua.engines.score_with` takes."""
    return score_with(GraphEngine(graph, images.channels, batch_size), images, **wanted)


class GraphEngine:
    """The graph as an `Engine`: the reference that all others are verified against.

    The network always sees exactly ``batch_size`` images: the last batch is filled with black ones,
    whose results are dropped. Each image is prepared by itself where sizes differ; where it keeps
    its own proportions, it is scored by itself.
    """

    name = "torch"

    def __init__(self, graph: InferenceGraph, channels: int, batch_size: int) -> None:
        self._graph, self.channels = graph, channels
        self.batch_size = _possible(graph, batch_size)

    def score(
        self,
        images: Sequence[NDArray[Any]],
        *,
        maps: bool = False,
        reconstructions: bool = False,
        columns: bool = True,
    ) -> Scores:
        """Scores of decoded images in padded batches; `columns` cost nothing here."""
        check_channels((image.shape[-1] for image in images), self.channels)
        was_training = self._graph.training
        self._graph.eval()
        with torch.inference_mode():
            parts = [
                self._batch(images[start : start + self.batch_size], maps, reconstructions)
                for start in range(0, max(1, len(images)), self.batch_size)
            ]
        self._graph.train(was_training)
        return join_scores(parts)

    def _batch(self, images: Sequence[NDArray[Any]], maps: bool, reconstructions: bool) -> Scores:
        n, prepare = len(images), self._graph.prepare
        black = np.zeros((*prepare.size, self.channels), np.uint8)
        scored = self._graph.score_prepared(
            _prepared_batch(prepare, images if n else [black], self.batch_size)
        )

        def kept(values: Tensor) -> NDArray[Any]:
            return values[:n].cpu().numpy()

        rebuilt = None
        if reconstructions:
            one_size = prepare.at_one_size()
            restored = one_size(scored.reconstruction[:n].permute(0, 2, 3, 1))
            rebuilt = kept(restored.permute(0, 2, 3, 1))
        return Scores(
            score=kept(scored.score),
            anomalous=kept(scored.anomalous),
            columns={name: kept(getattr(scored, name)) for name in ("mse", "mae", "ssim")},
            maps=_restore_maps(prepare, scored.error_map, images) if maps else None,
            reconstructions=rebuilt,
            probabilities=None if scored.probabilities is None else kept(scored.probabilities),
        )


def encode_images(
    graph: InferenceGraph, images: ImageSet, *, batch_size: int
) -> NDArray[np.float32]:
    """Codes of `images`, float32 (n_images, latent), in batches of one fixed, padded size."""
    parts = list(_in_batches(graph, images, graph.scorer.encode, batch_size=batch_size))
    return (
        np.concatenate(parts)
        if parts
        else np.zeros((0, getattr(graph.scorer.network, "latent", 0)), np.float32)
    )


def logits_of(graph: InferenceGraph, images: ImageSet, *, batch_size: int) -> NDArray[np.float32]:
    """A classifier's logits, float32 (n_images, n_logits), of one image or more."""
    scorer: Any = graph.scorer
    return np.concatenate(list(_in_batches(graph, images, scorer.logits, batch_size=batch_size)))


def see_images(
    graph: InferenceGraph,
    images: ImageSet,
    *,
    batch_size: int,
    made: str | None = None,
    by_masks: bool = False,
) -> Seen:
    """What `images`, or anomalies `made` on them, are learnt by, in the same batches.

    `by_masks`: by what lies under their masks, which all must have, not by what stands out, where
    the scorer sees places.
    """
    sizes: list[int] = []
    masks = iter(images.masks if by_masks else ())
    draws = Draws(torch.Generator().manual_seed(0), graph.prepare.unit.device)

    def seen(prepared: Tensor) -> Tensor:
        if made is not None:
            prepared = make_anomalies(draws, prepared)[made]
        prepared = prepared.contiguous(memory_format=torch.channels_last)
        view = graph.scorer.view(prepared)
        parts = see(view)
        if by_masks and view.features is not None and view.features[0, 0].numel() > 1:
            some = [torch.from_numpy(mask) for mask in islice(masks, len(prepared))]
            parts = parts._replace(marked=under_masks(view.features, some))
        sizes[:] = [parts.marked.shape[1], parts.overall.shape[1]]
        return torch.cat([parts.score[:, None], parts.marked, parts.overall], 1)

    rows = list(_in_batches(graph, images, seen, batch_size=batch_size))
    if not rows:
        return Seen(torch.zeros(0), torch.zeros(0, 0), torch.zeros(0, 0))
    score, marked, overall = torch.from_numpy(np.concatenate(rows)).split([1, *sizes], dim=1)
    return Seen(score[:, 0].clone(), marked.clone(), overall.clone())


def _in_batches(
    graph: InferenceGraph,
    images: ImageSet,
    function: Callable[[Tensor], Tensor],
    *,
    batch_size: int,
) -> Iterator[NDArray[np.float32]]:
    """`function` of prepared images, one batch after the other, without the padding."""
    batch_size = _possible(graph, batch_size)
    was_training = graph.training
    graph.eval()
    with torch.inference_mode():
        for batch in images.batches(batch_size):
            yield (
                function(_prepared_batch(graph.prepare, batch, batch_size))[: len(batch)]
                .cpu()
                .numpy()
            )
    graph.train(was_training)


def _possible(graph: InferenceGraph, batch_size: int) -> int:
    """Images of several sizes do not stack."""
    return 1 if graph.prepare.aspect == "area" else batch_size


def _prepared_batch(prepare: Prepare, batch: Sequence[NDArray[Any]], batch_size: int) -> Tensor:
    device = prepare.unit.device
    kinds = {(image.shape[:2], image.dtype) for image in batch}
    if prepare.aspect != "area" and len(kinds) == 1 and batch[0].shape[:2] == prepare.size:
        # Nothing to resize: element by element, however stacked.
        prepared = prepare(torch.tensor(np.stack(batch), device=device))
    else:
        # One at a time, always: a product over a stack may round differently from one over a single
        # image.
        prepared = torch.cat([prepare(_as_tensor(image[np.newaxis], device)) for image in batch])
    missing = batch_size - len(batch)
    if missing:
        prepared = torch.cat([prepared, prepared.new_zeros(missing, *prepared.shape[1:])])
    return prepared


def _as_tensor(images: NDArray[Any], device: torch.device) -> Tensor:
    """A copy of images (n, h, w, c); grey that is repeated stays a view of one channel."""
    own = torch.tensor(own_channels(images), device=device)
    return own.expand(-1, -1, -1, images.shape[-1])


def _same_sizes(batch: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Runs of neighbouring images of one size, stacked, in order."""
    run: list[NDArray[Any]] = []
    for image in batch:
        if run and run[0].shape != image.shape:
            yield _stacked(run)
            run = []
        run.append(image)
    if run:
        yield _stacked(run)


def _stacked(images: list[NDArray[Any]]) -> NDArray[Any]:
    return images[0][np.newaxis] if len(images) == 1 else np.stack(images)


def _restore_maps(
    prepare: Prepare, maps: Tensor, batch: Sequence[NDArray[Any]]
) -> list[NDArray[np.float32]]:
    return [
        prepare.restore(maps[index : index + 1], image.shape[0], image.shape[1])[0].cpu().numpy()
        for index, image in enumerate(batch)
    ]
