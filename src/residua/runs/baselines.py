"""Inputs and errors of the baselines that stand beside a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.baselines import DETECTORS, RECONSTRUCTORS
from residua.engines import score_with
from residua.findings import unknown_code_size
from residua.images import ImageSet
from residua.images.resize import fit_to
from residua.metrics import mse, psnr, ssim
from residua.runs.model import Floats, JudgedModel
from residua.thresholds.products import standardised

Columns = dict[str, NDArray[Any]]

MOST_BASELINE_IMAGES = 20_000
_SIDE = 128  # pixels: a larger side changed no ranking that was looked at, and fills memory
_MOST_VALUES = 2**27  # of images as floats: half a gigabyte
_CHUNK_BYTES = 256 << 20
_FEWEST_AT_ONCE = 64
_MOST_KNOWN = 2000  # training images that put a baseline's scores of products on one scale
_SEVERAL = (2, 8, 32, 128)  # dimensions of PCA, where the size of the latent vector is not known
_METRICS = {"mse": mse, "psnr": psnr, "ssim": ssim}


def sampled(images: ImageSet, seed: int, *, most: int = MOST_BASELINE_IMAGES) -> ImageSet:
    """At most `most` of the images, drawn by the seed, in their order."""
    if len(images) <= most:
        return images
    rows = np.random.default_rng(seed).choice(len(images), most, replace=False)
    return images[np.sort(rows)]


def baseline_arrays(
    model: JudgedModel, fitted_on: ImageSet, images: ImageSet
) -> Iterator[tuple[Floats, Floats]]:
    """For detecting baselines: training images, a seeded sample of very many, beside one chunk of
    `images` after the other.

    Both are at most 128 pixels a side, and half a gigabyte at a time.
    """
    share = min(1.0, _SIDE / max(model.facts.size))
    height, width = (max(1, round(length * share)) for length in model.facts.size)
    values = height * width * model.facts.channels
    most = min(MOST_BASELINE_IMAGES, max(1, _MOST_VALUES // values))
    train = model.prepare(sampled(fitted_on, model.seed, most=most), (height, width))
    for start in range(0, max(1, len(images)), most):
        yield train, model.prepare(images[start : start + most], (height, width))


def detecting_baselines(model: JudgedModel, fitted_on: ImageSet, images: ImageSet) -> Columns:
    """Every detecting baseline's scores of `images`, but for the model's twin; the untrained
    network's first, where there is a network that was trained.
    """
    scores: Columns = {}
    fresh = None if model.network is None else model.network.untrained(fitted_on)
    if fresh is not None:
        scores["untrained"] = score_with(fresh, images).score
    parts: dict[str, list[NDArray[Any]]] = {}
    for train, seen in baseline_arrays(model, fitted_on, images):
        # As many dimensions as there are images rebuild everything, and detect nothing.
        known = None if model.latent is None or _rebuilds_all(model.latent, train) else model.latent
        for name, detect in DETECTORS.items():
            if name == model.twin:
                continue
            for title, latent in _titles(name, known, train).items():
                one = detect(train, seen, latent=latent, seed=model.seed)
                parts.setdefault(title, []).append(one)
    return scores | {title: np.concatenate(own) for title, own in parts.items()}


def baselines_of_products(
    model: JudgedModel, fitted_on: ImageSet, held_out: ImageSet | None, images: ImageSet
) -> Columns:
    """As `detecting_baselines`, on one scale for all products, as the model's own scores are: by
    median and spread of normal images of each product, held-out ones where they are at hand.
    """
    known = sampled(fitted_on, model.seed, most=_MOST_KNOWN) if held_out is None else held_out
    known = known[np.flatnonzero(~known.presumed_anomalous)]
    made = detecting_baselines(model, fitted_on, images)
    reference = detecting_baselines(model, fitted_on, known)
    own, of = known.products, images.products
    assert own is not None and of is not None
    return {name: standardised(scores, of, reference[name], own) for name, scores in made.items()}


def reconstructing_baselines(
    model: JudgedModel, fitted_on: ImageSet | None
) -> Callable[[Floats, Floats], Columns]:
    """What gives each baseline's errors of a chunk of prepared images against what is expected,
    under names like ``pca/mse``; none without `fitted_on`.

    They learn from the same training images again for each chunk, which gives the same baselines.
    """
    if fitted_on is None:
        return lambda prepared, expected: {}
    values = math.prod(model.facts.size) * model.facts.channels
    most = min(MOST_BASELINE_IMAGES, max(1, _MOST_VALUES // values))
    train = model.prepare(sampled(fitted_on, model.seed, most=most))

    def errors(prepared: Floats, expected: Floats) -> Columns:
        columns: Columns = {}
        for name, rebuild in RECONSTRUCTORS.items():
            if name == model.twin:
                continue
            for title, latent in _titles(name, model.latent, train).items():
                made = rebuild(train, prepared, latent=latent, seed=model.seed)
                columns |= errors_beside(title, expected, made)
        return columns

    return errors


def errors_beside(name: str, expected: Floats, rebuilt: NDArray[Any]) -> Columns:
    """The errors of what the baseline `name` made of images, at the size of what is expected."""
    made = fit_to(np.clip(rebuilt, 0, 1).astype(np.float32), expected.shape[1:3])
    return {f"{name}/{metric}": measure(expected, made) for metric, measure in _METRICS.items()}


def chunk_size(model: JudgedModel) -> int:
    """How many images make an array of at most 256 MB: 64 to 20,000."""
    pixels = math.prod(model.facts.size) * model.facts.channels
    return max(_FEWEST_AT_ONCE, min(MOST_BASELINE_IMAGES, _CHUNK_BYTES // (4 * pixels)))


def in_chunks(
    images: ImageSet, size: int, columns_of: Callable[[ImageSet, slice], Columns]
) -> tuple[Columns, Columns]:
    """The columns that `columns_of` gives of each chunk, joined; ``pca/mse`` for a baseline."""
    parts = [
        columns_of(images[start : start + size], slice(start, start + size))
        for start in range(0, len(images) or 1, size)
    ]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    own = {name: column for name, column in joined.items() if "/" not in name}
    return own, {name: column for name, column in joined.items() if "/" in name}


def _rebuilds_all(latent: int, train: Floats) -> bool:
    return latent >= min(len(train), train[0].size)


def _titles(name: str, latent: int | None, train: Floats) -> dict[str, int]:
    """The names under which a baseline stands beside the model, with its number of dimensions:
    several of PCA where the size of the latent vector is not known.
    """
    if name != "pca" or latent is not None:
        return {name: latent or 1}
    sizes = [size for size in _SEVERAL if not _rebuilds_all(size, train)] or [1]
    return {f"{unknown_code_size.PREFIX}{size}": size for size in sizes}
