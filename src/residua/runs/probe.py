"""`residua probe`: what a run's code is worth to a simple classifier."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua._version import __version__
from residua.errors import LabelError, SourceError
from residua.evaluation.probes import evaluate_codes
from residua.images import ImageSet
from residua.records import Evaluation
from residua.runs.baselines import sampled, seed_of
from residua.runs.fit import load_source
from residua.runs.parts import load_other
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder, RunState
from residua.training.bundle import Bundle, check_fits, load_bundle
from residua.training.scoring.engine import encode_images, prepare_images

_LEARNT_FROM = ("train", "validation", "left out")


def probe_run(
    run: str | Path,
    source: str | None = None,
    *,
    bits: int | None = None,
    watcher: Watcher | None = None,
) -> Evaluation:
    """Probe the code of any run, whatever its job, on its own source or on another one with labels.

    Probes are fitted on the labelled training images (a seeded sample of very many) and judged on
    the test images.

    Raises
    ------
    LabelError, SourceError
        If there are no labels, or a part is empty.
    """
    watcher = watcher or Watcher()
    folder = RunFolder(Path(run))
    state, bundle = folder.read_finished(), load_bundle(folder.bundle)
    if source is None:
        train, test = _own_parts(folder, state, watcher)
    else:
        images = load_other(state, bundle.config, source, watcher, bits=bits)
        train, test = images.train, images.test
    for part, images in (("train", train), ("test", test)):
        if len(images) == 0:
            raise SourceError(
                f"probe: the {part} part must hold images. It is empty. Name a SOURCE that has"
                " train and test."
            )
        if images.labels is None:
            raise LabelError(
                "probe: images must have labels. They have none. Name a SOURCE with labels."
            )
        check_fits(bundle.config, images)
    train = sampled(train[np.flatnonzero(train.labelled)], seed_of(bundle))
    (codes, pixels), (test_codes, test_pixels) = (_encoded(bundle, part) for part in (train, test))
    provenance = {
        "source": test.source,
        "judged_on": f"test part of {test.source}",
        "recipe": bundle.config.recipe,
        "job_of_the_run": bundle.config.job,
        "architecture": bundle.config.training.network,
        "seed": seed_of(bundle),
        "version": __version__,
    }
    return evaluate_codes(
        codes,
        train.labels,
        test_codes,
        test.labels,
        images=pixels,
        test_images=test_pixels,
        seed=seed_of(bundle),
        provenance=provenance,
    )


def _own_parts(folder: RunFolder, state: RunState, watcher: Watcher) -> tuple[ImageSet, ImageSet]:
    """Train with the images that a one-class model left out, and test, as `fit` recorded them."""
    images, recorded = load_source(state, watcher), folder.read_images("path", "part")
    part_of = dict(zip(recorded["path"], recorded["part"], strict=True))
    parts = np.array([part_of.get(path, "new") for path in images.paths])
    return (
        images[np.flatnonzero(np.isin(parts, _LEARNT_FROM))],
        images[np.flatnonzero(parts == "test")],
    )


def _encoded(bundle: Bundle, images: ImageSet) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Codes, and the images as the network sees them."""
    codes = encode_images(bundle.graph, images, batch_size=bundle.config.batch_size)
    return (
        codes,
        prepare_images(bundle.graph.prepare, images, keep_float=True).permute(0, 2, 3, 1).numpy(),
    )
