"""How often each finding is made where its fault was planted, at several strengths, and where nothing was planted.

Faults are planted into samples of Fashion-MNIST, twenty times each; errors and scores are those of PCA and of nearest
neighbours, so that nothing has to be trained. A finding counts as made at severity warning or error. Copies have a benchmark of
their own (leakage.py).
"""

from __future__ import annotations

import argparse
import io
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from sklearn.decomposition import PCA

from measure import Results, rounded
from residua import diagnostics
from residua.images import ImageSet, load_images
from residua.metrics.intervals import mean_interval
from residua.records import Finding
from residua.survey import image_statistics

DATA = Path(os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
REPEATS = 20
Trial = Callable[[np.random.Generator, float], Finding | None]


@cache
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Images of Fashion-MNIST in [0, 1], (n, 784), and their classes."""
    images = load_images(str(DATA / "fashion_mnist")).test
    return images.array().reshape(len(images), -1).astype(np.float32) / 255, np.asarray(images.labels, np.int64)


def sample(rng: np.random.Generator, n: int, kind: int | None = None) -> np.ndarray:
    x, y = pictures()
    rows = np.arange(len(x)) if kind is None else np.flatnonzero(y == kind)
    return x[rng.choice(rows, n, replace=False)]


def as_set(x: np.ndarray) -> ImageSet:
    return ImageSet.from_arrays(np.rint(255 * x).astype(np.uint8).reshape(-1, 28, 28))


def pca_errors(fitted_on: np.ndarray, k: int, *others: np.ndarray) -> list[np.ndarray]:
    model = PCA(k, svd_solver="full").fit(fitted_on)
    return [np.square(one - model.inverse_transform(model.transform(one))).mean(axis=1) for one in others]


def overfitting(rng: np.random.Generator, strength: float) -> Finding | None:
    """A linear autoencoder of 30 numbers on so many training images; the fewer, the more it knows them by heart."""
    n = int(strength) if strength else 2000
    train, new = sample(rng, n), sample(rng, 500)
    return diagnostics.find_overfitting(*pca_errors(train, min(30, n - 1), train, new))


def underfitting(rng: np.random.Generator, strength: float) -> Finding | None:
    """Reconstructions that are so far on the way from PCA's to the mean image."""
    train, new = sample(rng, 1000), sample(rng, 300)
    model = PCA(30, svd_solver="full").fit(train)
    rebuilt = (1 - strength) * model.inverse_transform(model.transform(new)) + strength * train.mean(axis=0)
    (pca,), mean = pca_errors(train, 30, new), np.square(new - train.mean(axis=0)).mean(axis=1)
    beside = {"pca": mean_interval(pca), "mean_image": mean_interval(mean)}
    return diagnostics.find_underfitting(mean_interval(np.square(new - rebuilt).mean(axis=1)), beside)


def dead_latent(rng: np.random.Generator, strength: float) -> Finding | None:
    """PCA codes of 16 numbers of which a share is held constant."""
    codes = PCA(16).fit_transform(sample(rng, 500))
    codes[:, 16 - round(16 * strength) :] = 0.3
    return diagnostics.find_dead_latent(codes)


def learnt_identity(rng: np.random.Generator, strength: float) -> Finding | None:
    """Reconstructions mixed with the input itself plus noise, of shirts; anomalies are all other classes."""
    train, normal = np.split(sample(rng, 600, kind=0), 2)
    x, y = pictures()
    anomalous = x[rng.choice(np.flatnonzero(y != 0), 300, replace=False)]
    model = PCA(8).fit(train)

    def errors(images: np.ndarray) -> np.ndarray:
        rebuilt = model.inverse_transform(model.transform(images))
        copied = images + 0.03 * rng.normal(size=images.shape)
        return np.square(images - strength * copied - (1 - strength) * rebuilt).mean(axis=1)

    of_normal, of_anomalous = errors(normal), errors(anomalous)
    explained = 1 - float(of_normal.mean() / normal.var())
    return diagnostics.find_learnt_identity(of_normal, of_anomalous, explained=explained)


def tracks_complexity(rng: np.random.Generator, strength: float) -> Finding | None:
    """A score that is so much complexity, the rest nearest-neighbour distance, both as ranks."""
    images = sample(rng, 300)
    busy = np.abs(np.diff(images.reshape(-1, 28, 28), axis=2)).mean(axis=(1, 2))
    (score,) = pca_errors(sample(rng, 500), 30, images)
    ranks = [np.argsort(np.argsort(one)) / len(one) for one in (busy, rng.permutation(score))]
    return diagnostics.find_tracks_complexity(strength * ranks[0] + (1 - strength) * ranks[1], busy)


def drift(rng: np.random.Generator, strength: float) -> Finding | None:
    """New shirts blurred by so many pixels, scored by PCA."""
    train, calibration, new = np.split(sample(rng, 900, kind=6), 3)
    new = gaussian_filter(new.reshape(-1, 28, 28), (0, strength, strength)).reshape(len(new), -1) if strength else new
    noisy = np.clip(new + (0.05 * strength * rng.normal(size=new.shape)), 0, 1)
    scores = pca_errors(train, 30, calibration, noisy)
    return diagnostics.find_drift(scores[0], scores[1], are_normal=True)


def unlike_parts(rng: np.random.Generator, strength: float) -> Finding | None:
    """A test part dimmed by that share."""
    parts = {"train": sample(rng, 400), "calibration": sample(rng, 200), "test": (1 - strength) * sample(rng, 200)}
    plain = ("brightness", "contrast", "sharpness")
    return diagnostics.find_unlike_parts(
        {part: {name: image_statistics(as_set(x))[name] for name in plain} for part, x in parts.items()}
    )


def mixed_scale(rng: np.random.Generator, strength: float) -> Finding | None:
    """That share of the images divided by 255 once more."""
    x = sample(rng, 500)
    x[: round(500 * strength)] /= 255
    return diagnostics.find_mixed_scale(x.max(axis=1), "float32")


def shortcut(rng: np.random.Generator, strength: float) -> Finding | None:
    """Anomalous images of the same class, but stored as JPEG at a quality 100 less that; 0 is not stored as JPEG."""
    x = sample(rng, 300, kind=2)
    labels = np.arange(300) < 100
    pictures_ = list(as_set(x))
    if strength:
        pictures_ = [
            _encoded(picture, round(100 - strength)) if one else picture for picture, one in zip(pictures_, labels, strict=True)
        ]
    statistics = image_statistics(ImageSet.from_arrays(pictures_))
    return diagnostics.find_shortcut({name: column for name, column in statistics.items() if name != "highest"}, labels)


def _encoded(picture: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(picture[..., 0]).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))[..., np.newaxis]


def collapsed(rng: np.random.Generator, strength: float) -> Finding | None:
    """Reconstructions so far on the way from PCA's to the mean image."""
    new = sample(rng, 200)
    model = PCA(30).fit(sample(rng, 500))
    rebuilt = (1 - strength) * model.inverse_transform(model.transform(new)) + strength * new.mean(axis=0)
    shape = (-1, 28, 28, 1)
    return diagnostics.find_collapsed_reconstruction(new.reshape(shape), rebuilt.reshape(shape).astype(np.float32))


TRIALS: dict[str, tuple[Trial, tuple[float, ...]]] = {
    "overfitting": (overfitting, (0, 500, 200, 100, 50)),
    "underfitting": (underfitting, (0, 0.1, 0.3, 0.6, 1.0)),
    "collapsed-reconstruction": (collapsed, (0, 0.5, 0.9, 0.97, 1.0)),
    "dead-latent": (dead_latent, (0, 0.25, 0.5, 0.6, 0.9)),
    "learnt-identity": (learnt_identity, (0, 0.5, 0.9, 1.0)),
    "tracks-complexity": (tracks_complexity, (0, 0.3, 0.5, 0.7, 0.9)),
    "drift": (drift, (0, 0.5, 1, 2)),
    "unlike-parts": (unlike_parts, (0, 0.1, 0.3, 0.5)),
    "mixed-scale": (mixed_scale, (0, 0.002, 0.02, 0.5)),
    "shortcut": (shortcut, (0, 5, 25, 60)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.parse_args()
    results = Results("findings")
    for code, (trial, strengths) in TRIALS.items():
        results.measure(code, lambda trial=trial, strengths=strengths: rate_of(trial, strengths))


def rate_of(trial: Trial, strengths: tuple[float, ...]) -> dict[str, Any]:
    """The share of trials in which the finding is a warning or an error, by strength; 0 is the clean set."""
    row: dict[str, Any] = {"what": (trial.__doc__ or "").strip()}
    for strength in strengths:
        found = [trial(np.random.default_rng([seed, 7]), strength) for seed in range(REPEATS)]
        row[f"{strength:g}"] = rounded(
            float(np.mean([one is not None and one.severity in ("warning", "error") for one in found]))
        )
    return row


if __name__ == "__main__":
    main()
