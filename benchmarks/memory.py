"""The recipe `memory` beside a plain memory with the same backbone, on photographs of real parts.

    python benchmarks/memory.py [CASE ...]

The plain memory is PatchCore (Roth et al., 2022) as one writes it first: features of two levels,
averaged over 3 x 3 places, as many of them as far apart as can be, and the highest distance. Both
see the same images at the same size, that of `fit`. Tiles by their protocols
(`tile_protocols.py`), commutators and micro-lenses by the parts that their manifests state, drawn
surfaces by their folders (`drawn_surfaces.py`); intervals by groups. ``with inspect``:
the recipe `inspect` with the same backbone beside it. Without pretrained weights, beside PCA:
``by filters`` is a memory of plain filters, ``from scratch`` the recipe `inspect`.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

import residua
from drawn_surfaces import SETS, write_set
from measure import Results, rounded
from residua.evaluation.paired import paired_roc_auc
from residua.images import ImageSet
from residua.metrics.groups import Groups
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.scoring.engine import prepare_each
from residua.training.scoring.prepare import Prepare
from tile_protocols import PROTOCOLS, load_tiles

DATA = Path(os.environ.get("RESIDUA_TEST_DATA", "../shared/data"))
TILES = ("grouped 0", "grouped 1", "grouped 2", "published", "final")
PARTS = {
    "commutators": ("commutators/set.csv", "normal"),
    "micro-lenses": ("micro_lenses/set_clean.csv", "good"),
}
INSPECT, SEED = " with inspect", " seed "
FILTERS, SCRATCH = " by filters", " from scratch"
UNTRAINED = ("grouped 0", "final", *PARTS, "drawn gravel", "drawn grass")
CASES = (
    *TILES,
    *PARTS,
    *(f"drawn {name}" for name in SETS),
    *(f"{name}{SEED}{seed}" for name in ("grouped 0", *PARTS) for seed in (1, 2)),
    f"grouped 0{INSPECT}",
    *(f"{name}{how}" for how in (FILTERS, SCRATCH) for name in UNTRAINED),
)
VECTORS, SAMPLED = 4000, 60_000


def main() -> None:
    asked = [name for name in CASES if name in sys.argv[1:]] or CASES
    results = Results("memory")
    for name in asked:
        if name not in results.rows:
            parts, detector = division(name.split(SEED)[0]), detector_of(name)
            peer = "pca" if name.endswith((FILTERS, SCRATCH)) else "plain memory"
            results.measure(name, partial(compared, *parts, detector, peer))


def detector_of(case: str) -> residua.OneClassDetector:
    """What is measured in a case, not fitted."""
    recipe = make_recipe("memory")
    if case.endswith(INSPECT):
        recipe = make_recipe("inspect", backbone="lite0")
    elif case.endswith(FILTERS):
        recipe = make_recipe("memory", backbone="filters")
    elif case.endswith(SCRATCH):
        recipe = make_recipe("inspect")
    return residua.OneClassDetector(recipe, seed=int(case.partition(SEED)[2] or 0), threads=1)


def division(case: str) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Images to train, to calibrate and to test on."""
    name = case
    for how in (INSPECT, FILTERS, SCRATCH):
        name = name.removesuffix(how)
    if name in PROTOCOLS:
        images = tiles()
        protocol = PROTOCOLS[name](images)
        return images[protocol.train], images[protocol.calibration], images[protocol.test]
    if name in PARTS:
        place, normal = PARTS[name]
        images = residua.load_images(DATA / place, normal=normal)
    else:
        images = drawn(name.removeprefix("drawn "))
    if len(images.calibration):
        return images.train, images.calibration, images.test
    return (*held_out(images.train), images.test)


@cache
def tiles() -> ImageSet:
    return load_tiles(DATA / "magnetic_tile")


def drawn(name: str) -> ImageSet:
    place = Path(tempfile.gettempdir()) / f"residua-drawn-{os.getuid()}" / name
    if not place.is_dir():
        place.parent.mkdir(exist_ok=True)
        write_set(name, place)
    return residua.load_images(place, normal="good")


def held_out(train: ImageSet) -> tuple[ImageSet, ImageSet]:
    """A fifth of the training images for the threshold, whole groups."""
    names = np.asarray(train.paths if train.groups is None else train.groups).astype(str)
    chosen = np.random.default_rng(0).permutation(np.unique(names))
    is_held = np.isin(names, chosen[: len(chosen) // 5])
    return train[~is_held], train[is_held]


def compared(
    train: ImageSet,
    calibration: ImageSet,
    test: ImageSet,
    detector: residua.OneClassDetector,
    peer: str,
) -> dict[str, Any]:
    """Both on one division."""
    started = time.process_time()
    detector = detector.fit(train, calibration=calibration)
    fitted = time.process_time()
    scores, maps = detector.anomaly_scores(test), detector.error_maps(test)
    record = residua.evaluate_detection(
        test.is_anomalous,
        scores,
        operating_point=detector.operating_point_,
        masks=[test.masks[row] for row in range(len(test))],
        maps=maps,
        groups=test.groups,
    )
    peer_started = time.process_time()
    peer_scores = PEERS[peer](train, test, detector.bundle_.config.size)
    groups = None if test.groups is None else Groups.read(test.groups, len(test))
    paired = paired_roc_auc(test.is_anomalous, scores, peer_scores, confidence=0.95, groups=groups)
    metrics = {name: told(record.metrics[name]) for name in METRICS if name in record.metrics}
    return {
        "train": len(train),
        "test": len(test),
        "size": detector.bundle_.config.size,
        **metrics,
        peer: told(
            residua.metrics.roc_auc_interval(test.is_anomalous, peer_scores, groups=test.groups)
        ),
        "paired": told(paired.difference),
        "fit_processor_seconds": rounded(fitted - started),
        "peer_processor_seconds": rounded(time.process_time() - peer_started),
    }


METRICS = ("roc_auc", "average_precision", "recall", "false_alarm_rate", "pixel_roc_auc", "aupro")


def told(one: Any) -> list[float | None]:
    """Value and interval."""
    return [None if end is None else round(end, 4) for end in (one.value, one.low, one.high)]


def plain_memory(train: ImageSet, test: ImageSet, size: tuple[int, int]) -> NDArray[np.float32]:
    """Scores of `test`."""
    recipe = make_recipe("memory")
    network = recipe.build_network(ImageShape(*size, train.channels))
    recipe.load_pretrained(network)
    network.eval()

    def features(images: ImageSet) -> Any:
        for start in range(0, len(images), 16):
            prepared = prepare_each(Prepare(size, "stretch"), images[start : start + 16])
            maps = network.targets(
                prepared.float() / 255 if prepared.dtype == torch.uint8 else prepared
            )
            yield F.avg_pool2d(maps, 3, 1, 1, count_include_pad=False).flatten(2).transpose(1, 2)

    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        sample = torch.cat(
            [
                one[torch.randperm(len(one), generator=generator)[: max(1, SAMPLED // len(train))]]
                for batch in features(train)
                for one in batch
            ]
        )
        bank = farthest_first(sample, VECTORS)
        return np.concatenate(
            [torch.cdist(batch, bank).amin(2).amax(1).numpy() for batch in features(test)]
        )


def pca(train: ImageSet, test: ImageSet, size: tuple[int, int]) -> NDArray[np.float32]:
    """Scores of `test` by the recipe `pca`."""
    detector = residua.OneClassDetector(make_recipe("pca"), size=max(size), threads=1)
    return detector.fit(train).anomaly_scores(test)


PEERS = {"plain memory": plain_memory, "pca": pca}


def farthest_first(vectors: Tensor, n: int) -> Tensor:
    """`n` of `vectors`, each the farthest from those before it."""
    chosen, apart = [0], torch.full((len(vectors),), torch.inf)
    while len(chosen) < n:
        apart = torch.minimum(apart, (vectors - vectors[chosen[-1]]).square().sum(1))
        chosen.append(int(apart.argmax()))
    return vectors[chosen]


if __name__ == "__main__":
    main()
