"""Faults of models, their scores and their thresholds, planted at a strength; 0 plants nothing."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter
from sklearn.neighbors import KNeighborsClassifier

from planted_pictures import Pictures, neighbour_scores, pca_errors, ranks, rebuild
from residua.baselines import DETECTORS
from residua.evaluation.check import neighbour_votes
from residua.evaluation.standings import standing_of_areas
from residua.findings import (
    find_blind_spots,
    find_broken_promise,
    find_collapsed_reconstruction,
    find_dead_latent,
    find_drift,
    find_hidden_anomalies,
    find_inflated_accuracy,
    find_label_noise,
    find_label_noise_in_scores,
    find_learnt_identity,
    find_majority_class,
    find_most_confused,
    find_not_better_than_baseline,
    find_not_better_than_chance,
    find_overfitting,
    find_overlap,
    find_shared_scores,
    find_tracks_complexity,
    find_underfitting,
    find_useless_threshold,
)
from residua.findings.blind_spots import GROSS
from residua.metrics.intervals import mean_interval, rate_interval, roc_auc_interval
from residua.records import Estimate, Finding
from residua.thresholds import choose_threshold

Rng = np.random.Generator


def overfitting(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """A linear autoencoder on that many images less than there are; the fewer, the more it knows
    them by heart.
    """
    x = source.sample(rng, 1500)
    new, train = x[:400], x[400:]
    train = train[: max(10, round(len(train) * (1 - strength)))]
    k = min(source.n_latent // 2, len(train) - 1)
    return find_overfitting(*pca_errors(train, k, train, new))


def underfitting(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Reconstructions that far on the way from PCA's to the mean image."""
    x = source.sample(rng, 1300)
    new, train = x[:300], x[300:]
    rebuilt = (1 - strength) * rebuild(train, source.n_latent, new) + strength * train.mean(axis=0)
    (pca,), mean = (
        pca_errors(train, source.n_latent, new),
        np.square(new - train.mean(axis=0)).mean(axis=(1, 2)),
    )
    beside = {"pca": mean_interval(pca), "mean_image": mean_interval(mean)}
    return find_underfitting(mean_interval(np.square(new - rebuilt).mean(axis=(1, 2))), beside)


def collapsed(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Reconstructions that far on the way from PCA's to the mean image."""
    x = source.sample(rng, 800)
    new = x[:200]
    rebuilt = (1 - strength) * rebuild(x[200:], source.n_latent, new) + strength * new.mean(axis=0)
    return find_collapsed_reconstruction(
        new[..., np.newaxis], rebuilt[..., np.newaxis].astype(np.float32)
    )


def dead_latent(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """PCA codes of 12 numbers of which that share is held constant."""
    from sklearn.decomposition import PCA

    x = source.sample(rng, 500)
    codes = PCA(12, svd_solver="randomized", random_state=0).fit_transform(x.reshape(len(x), -1))
    codes[:, 12 - round(12 * strength) :] = 0.3
    return find_dead_latent(codes)


def learnt_identity(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Reconstructions mixed to that share with the input itself and a little noise; anomalies are
    the other classes.
    """
    train, normal = source.normals(rng, 0.5, 0.5)
    anomalous = source.sample(rng, 300, other_than=source.normal)

    def errors(images: np.ndarray) -> np.ndarray:
        copied = images + 0.02 * rng.normal(size=images.shape)
        return np.square(
            images - strength * copied - (1 - strength) * rebuild(train, 8, images)
        ).mean(axis=(1, 2))

    of_normal, of_anomalous = errors(normal), errors(anomalous)
    explained = 1 - float(of_normal.mean() / np.square(normal - normal.mean()).mean())
    return find_learnt_identity(of_normal, of_anomalous, explained=explained)


def tracks_complexity(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """A score that is that share complexity and else nearest-neighbour distance of other images,
    both as ranks.
    """
    x = source.sample(rng, 800)
    images, train = x[:300], x[300:]
    busy = np.abs(np.diff(images, axis=2)).mean(axis=(1, 2))
    (score,) = neighbour_scores(train, images)
    return find_tracks_complexity(
        strength * ranks(busy) + (1 - strength) * ranks(rng.permutation(score)), busy
    )


def drift_by_blur(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """New normal images blurred by that many pixels, scored by PCA."""
    return _drift(source, rng, blur=strength, noise=0.0)


def drift_by_noise(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """New normal images with noise of that standard deviation, scored by PCA."""
    return _drift(source, rng, blur=0.0, noise=strength)


def drift_by_both(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """New normal images blurred by that many pixels, and a twentieth as much noise: the errors rise
    and fall at once.
    """
    return _drift(source, rng, blur=strength, noise=0.05 * strength)


def _drift(source: Pictures, rng: Rng, *, blur: float, noise: float) -> Finding | None:
    train, calibration, new = source.normals(rng, 0.4, 0.3, 0.3)
    new = gaussian_filter(new, (0, blur, blur)) if blur else new
    new = np.clip(new + noise * rng.normal(size=new.shape), 0, 1) if noise else new
    of_calibration, of_new = pca_errors(train, min(source.n_latent, 12), calibration, new)
    return find_drift(of_calibration, of_new, are_normal=True)


def broken_promise(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """A bound on false alarms, tested on normal images with noise of that standard deviation."""
    train, calibration, new = source.normals(rng, 0.3, 0.4, 0.3)
    new = np.clip(new + strength * rng.normal(size=new.shape), 0, 1)
    of_calibration, of_new = pca_errors(train, 8, calibration, new)
    point = choose_threshold("false-alarms<=0.1", of_calibration)
    flagged = int((of_new > point.threshold).sum())
    return find_broken_promise(point, {"false_alarm_rate": rate_interval(flagged, len(of_new))})


def blind_spots(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """The threshold raised by that many times its size; what is planted into normal images is
    snow, which nobody overlooks.
    """
    train, calibration, new = source.normals(rng, 0.5, 0.3, 0.2)
    noisy = np.stack([GROSS["snow"](one.astype(np.float32), rng, one) for one in new])
    of_calibration, of_new, of_noisy = pca_errors(train, 12, calibration, new, noisy)
    threshold = float(np.quantile(of_calibration, 0.95)) * (1 + strength)
    return find_blind_spots({"snow": of_noisy[:40]}, threshold, of_new[:40])


def not_better_than_baseline(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Nearest neighbours beside the mean image, their ranks mixed to that share with chance."""
    scores, is_anomalous, train, x = _scored(source, rng, strength)
    mean = DETECTORS["mean_image"](train[..., np.newaxis], x[..., np.newaxis], latent=8, seed=0)
    model, beside = (roc_auc_interval(is_anomalous, one) for one in (scores, mean))
    paired = standing_of_areas(is_anomalous, scores, mean, beside)
    pairs = {} if paired is None else {"mean_image": paired}
    return find_not_better_than_baseline("roc_auc", model, {"mean_image": beside}, standings=pairs)


def not_better_than_chance(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Nearest neighbours, their ranks mixed to that share with chance; beyond 1 turned round."""
    scores, is_anomalous, _, _ = _scored(source, rng, min(strength, 1))
    return find_not_better_than_chance(
        roc_auc_interval(is_anomalous, -scores if strength > 1 else scores)
    )


def overlap(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Anomalies that noise gives away, that share of which are in truth normal images; the
    threshold is at 5% false alarms.
    """
    of_normal, of_others, recall, _ = _at_five_percent(source, rng, strength)
    return find_overlap(of_normal, of_others, recall=recall)


def useless_threshold(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Anomalies that noise gives away, that share of which are in truth normal images; the
    threshold is at 5% false alarms.
    """
    _, _, recall, alarms = _at_five_percent(source, rng, strength)
    return find_useless_threshold(recall, alarms)


def _at_five_percent(
    source: Pictures, rng: Rng, strength: float
) -> tuple[np.ndarray, np.ndarray, Estimate, Estimate]:
    """Scores of normal images and of noisy ones, that share of which stay as they were, with recall
    and false alarms at the threshold.
    """
    train, normal, others = source.normals(rng, 0.4, 0.3, 0.3)
    n_wrong = round(strength * len(others))
    others[n_wrong:] = np.clip(
        others[n_wrong:] + 0.8 * rng.normal(size=others[n_wrong:].shape), 0, 1
    )
    of_normal, of_others = neighbour_scores(train, normal, others)
    threshold = float(np.quantile(of_normal, 0.95))
    recall, alarms = (
        rate_interval(int((of > threshold).sum()), len(of)) for of in (of_others, of_normal)
    )
    return of_normal, of_others, recall, alarms


def _scored(
    source: Pictures, rng: Rng, chance: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    train, normal = source.normals(rng, 0.6, 0.4)
    other = source.sample(rng, 200, other_than=source.normal)
    x = np.concatenate([normal, other])
    (scores,) = neighbour_scores(train, x)
    mixed = (1 - chance) * ranks(scores) + chance * ranks(rng.random(len(x)))
    return mixed, np.arange(len(x)) >= len(normal), train, x


def shared_scores(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of the new images are training images."""
    x = source.sample(rng, 600)
    train, new = x[:300], x[300:]
    n = round(strength * len(new))
    new[:n] = train[:n]
    return find_shared_scores(*pca_errors(train, 10, train, new))


def hidden_anomalies(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of the normal calibration images have snow, scored by PCA."""
    train, calibration = source.normals(rng, 0.5, 0.5)
    n = round(strength * len(calibration))
    calibration = _snowed(calibration, n, rng)
    return find_hidden_anomalies(pca_errors(train, 12, calibration)[0])


def label_noise_by_scores(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of the labels of normal images and of images with snow swapped, scored by PCA."""
    train, calibration, normal = source.normals(rng, 0.4, 0.2, 0.4)
    twice = np.concatenate([normal[: len(normal) // 2], normal])
    images = _snowed(twice, len(normal) // 2, rng)
    is_anomalous = np.arange(len(images)) < len(normal) // 2
    of_images, of_calibration = pca_errors(train, 12, images, calibration)
    labels = is_anomalous ^ (rng.random(len(images)) < strength)
    return find_label_noise_in_scores(of_images, labels, of_calibration)


def label_noise_by_neighbours(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of 600 labels replaced by another class, judged by neighbours."""
    rows = rng.choice(len(source.images), 600, replace=False)
    classes, true = np.unique(source.kinds[rows], return_inverse=True)
    wrong = rng.random(len(rows)) < strength
    labels = np.where(wrong, (true + rng.integers(1, len(classes), len(rows))) % len(classes), true)
    images = list(source.images[rows][..., np.newaxis])
    return find_label_noise(labels, neighbour_votes(images, labels, len(classes)), classes.tolist())


def _snowed(images: np.ndarray, n: int, rng: Rng) -> np.ndarray:
    """The first `n` of the images with snow."""
    changed = images.astype(np.float32)
    for row in range(n):
        changed[row] = GROSS["snow"](changed[row], rng, changed[row])
    return changed


def majority_class(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Nearest neighbours on a set of which 70% are one class; that share of the answers replaced by
    that class.
    """
    x, y = _classes(source, rng, common=0.7)
    half = len(x) // 2
    told = KNeighborsClassifier(1).fit(x[:half], y[:half]).predict(x[half:])
    told[rng.random(len(told)) < strength] = source.normal
    n, share = len(told), float((y[half:] == source.normal).mean())
    return find_majority_class(
        rate_interval(int((told == y[half:]).sum()), n), share, source.normal
    )


def most_confused(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """That share of one class named as a second one; made means that just this pair is told."""
    x, y = _classes(source, rng, common=0.5)
    half = len(x) // 2
    told = KNeighborsClassifier(1).fit(x[:half], y[:half]).predict(x[half:])
    classes = sorted(set(y.tolist()))
    other = next(one for one in classes[::-1] if one != source.normal)
    told[(y[half:] == source.normal) & (rng.random(half) < strength)] = other
    matrix = np.array(
        [[int(((y[half:] == a) & (told == b)).sum()) for b in classes] for a in classes]
    )
    found = find_most_confused(matrix, classes)
    right = found is not None and (found.measured["true"], found.measured["predicted"]) == (
        source.normal,
        other,
    )
    return found.model_copy(update={"severity": "warning"}) if found is not None and right else None


def _classes(source: Pictures, rng: Rng, *, common: float) -> tuple[np.ndarray, np.ndarray]:
    """Flat images, that share of them normal, in random order, an even number."""
    n = min(300, int((source.kinds == source.normal).sum()))
    rows = np.flatnonzero(source.kinds == source.normal)[:n]
    rest = rng.choice(
        np.flatnonzero(source.kinds != source.normal),
        round(n * (1 - common) / common),
        replace=False,
    )
    rows = rng.permutation(np.concatenate([rows, rest]))[: 2 * ((len(rows) + len(rest)) // 2)]
    return source.images[rows].reshape(len(rows), -1), source.kinds[rows].astype(object)


def inflated_accuracy(source: Pictures, rng: Rng, strength: float) -> Finding | None:
    """Classes as so many labels of which one is set, that share of them missed; 0: one label that
    half have, all right.
    """
    _, y = _classes(source, rng, common=0.5)
    labels = (
        (y == source.normal)[:, np.newaxis]
        if strength == 0
        else y[:, np.newaxis] == np.array(sorted(set(y.tolist())))
    )
    told = labels & (rng.random((len(y), 1)) >= strength)
    return find_inflated_accuracy(labels.astype(int), told.astype(int))
