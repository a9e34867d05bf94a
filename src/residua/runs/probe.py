"""`residua probe`: what a model's latent vector is worth to a simple classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from residua._version import __version__
from residua.errors import InputError, LabelError, SourceError
from residua.evaluation.probes import evaluate_codes
from residua.images import ImageSet
from residua.records import Evaluation
from residua.runs.baselines import sampled
from residua.runs.model import Floats, JudgedModel
from residua.runs.open_run import open_run
from residua.runs.parts import RunImages
from residua.runs.progress import Watcher

_LEARNT_FROM = ("train", "validation", "left out")


def probe_run(
    run: str | Path,
    source: str | None = None,
    *,
    bits: int | None = None,
    watcher: Watcher | None = None,
) -> Evaluation:
    """Probe the latent vector of a run's model, whatever its job, on its own source or on another
    one with labels.

    Probes are fitted on the labelled training images (a seeded sample of very many) and judged on
    the test images.

    Raises InputError if the model gives no latent vector: a wrapped model is a file that answers
    with reconstructions. Raises LabelError or SourceError if there are no labels, or a part is
    empty.
    """
    watcher = watcher or Watcher()
    folder = open_run(run)
    origin, model = folder.origin(), folder.model()
    own = RunImages(folder, origin, model, watcher)
    if source is None:
        images = origin.load(watcher)
        parts = own.parts_of(images)
        train = images[np.flatnonzero(np.isin(parts, _LEARNT_FROM))]
        test = images[np.flatnonzero(parts == "test")]
    else:
        images = own.load_other(source, bits)
        train, test = images.train, images.test
    for part, one in (("train", train), ("test", test)):
        if len(one) == 0:
            raise SourceError(
                f"probe: the {part} part must hold images. It is empty. Name a SOURCE that has"
                " train and test."
            )
        if one.labels is None:
            raise LabelError(
                "probe: images must have labels. They have none. Name a SOURCE with labels."
            )
    train = sampled(train[np.flatnonzero(train.labelled)], model.seed)
    provenance = {
        "source": test.source,
        "judged_on": f"test part of {test.source}",
        "recipe": model.facts.recipe,
        "job_of_the_run": model.facts.job,
        "architecture": model.provenance.get("architecture"),
        "seed": model.seed,
        "version": __version__,
    }
    return evaluate_codes(
        _latents(model, train),
        train.labels,
        _latents(model, test),
        test.labels,
        images=model.prepare(train),
        test_images=model.prepare(test),
        test_groups=test.groups,
        seed=model.seed,
        provenance=provenance,
    )


def _latents(model: JudgedModel, images: ImageSet) -> Floats:
    found = None if model.network is None else model.network.latents(images)
    if found is None:
        raise InputError(
            f"probe: the model must give a latent vector. Got a {model.facts.recipe}, which does"
            " not show one. Compute the vectors yourself and call residua.evaluate_codes."
        )
    return found
