"""A small detector, reconstructor and classifier on the bundled digits, with PCA in place of a
network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from residua import evaluate_detection
from residua.evaluation import Evidence, Gallery, Thumbnails
from residua.findings.figures import Figure, Group, Histogram, Picture
from residua.metrics.ranking import roc_auc
from residua.records import Estimate, Evaluation, Finding, OperatingPoint, Standing

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>&amp;"
PARTS = 900, 1100
NORMAL = 8  # the digit that is hardest to tell from the others


def digits():
    bundle = load_digits()
    return bundle.images.reshape(-1, 64) / 16, bundle.target


def near(value, width=0.01, n=697):
    return Estimate(value=value, low=value - width, high=value + width, n=n)


def standing(metric, value, word, **more):
    return Standing(metric=metric, difference=near(value, 0.005), baseline=word, **more)


def gallery_of(images, rebuilt, index):
    def pictures(array):
        return (array[index].reshape(-1, 8, 8, 1) * 255).astype(np.uint8)

    errors = ((images - rebuilt) ** 2)[index].reshape(-1, 8, 8).astype(np.float32)
    masks = np.zeros((len(index), 8, 8), bool)
    masks[0, 2:5, 2:5] = True
    return Gallery(np.asarray(index, np.int64), pictures(images), pictures(rebuilt), errors, masks)


def figure_of(images, train, test):
    pairs = [
        Group(
            (
                Picture.of(images[i].reshape(8, 8), f"train/{i}"),
                Picture.of(images[i + 1].reshape(8, 8), HOSTILE),
            ),
            "Alike",
        )
        for i in range(10)
    ]
    return Figure.of(
        pairs, histogram=Histogram.of({"train": train, "test": test}, "score"), caption="Ten pairs."
    )


def detector(paths=None):
    images, digit = digits()
    train = images[: PARTS[0]][digit[: PARTS[0]] == NORMAL]
    calibration = images[PARTS[0] : PARTS[1]][digit[PARTS[0] : PARTS[1]] == NORMAL]
    test, labels = images[PARTS[1] :], digit[PARTS[1] :]
    pca = PCA(6, random_state=0).fit(train)

    def rebuild(x):
        return np.clip(pca.inverse_transform(pca.transform(x)), 0, 1)

    def score(x):
        return ((x - rebuild(x)) ** 2).mean(1).astype(np.float32)

    scores, anomalous = score(test), labels != NORMAL
    order = np.argsort(-scores)
    point = OperatingPoint(
        threshold=float(np.quantile(score(calibration), 0.9)), policy="quantile:0.9",
        how="The 90% quantile of the normals.",
        rates={"false_alarm_rate": near(0.1, 0.05, len(calibration))},
    )  # fmt: skip
    labelled = np.ones(len(test), bool)
    labelled[:5] = False
    evidence = Evidence(
        paths=np.array(
            [f"digits/test/{i:04d}" for i in range(len(test))] if paths is None else paths
        ),
        scores=scores,
        labels=labels,
        is_anomalous=anomalous,
        labelled=labelled,
        calibration_scores=score(calibration),
        train_scores=score(train),
        per_image={"mse": scores.astype(np.float64), "mae": np.abs(test - rebuild(test)).mean(1)},
        history={
            "epoch": np.arange(1, 6),
            "train_loss": np.array([5, 3, 2, 1.5, 1.2]),
            "validation_loss": np.array([6, 4, 3, 2, 1.9]),
        },
        gallery=gallery_of(test, rebuild(test), np.concatenate([order[:12], order[-10:]])),
        thumbnails=Thumbnails(
            np.arange(len(test)), (test.reshape(-1, 8, 8, 1) * 255).astype(np.uint8)
        ),
        figures={"worse": figure_of(test, score(train), scores)},
        quarantined=(("digits/broken.png", HOSTILE),),
    )
    record = Evaluation(
        job="detect",
        n_images=len(test),
        split="test",
        metrics={
            "roc_auc": near(roc_auc(anomalous, scores)),
            "recall": near(0.98),
            "aupro": Estimate(value=None),
        },
        operating_point=point,
        baselines={
            "pca": {"roc_auc": near(0.6)},
            "pixel_neighbours": {"roc_auc": near(0.9999, 0.00005)},
            "brightness": {"roc_auc": near(0.02)},
        },
        standings={
            "pca": standing("roc_auc", 0.35, "worse"),
            "pixel_neighbours": standing("roc_auc", -0.03, "better"),
            "brightness": standing("roc_auc", -0.01, "better", is_backwards=True),
        },
        findings=(
            Finding(
                code="fine",
                severity="ok",
                meaning="Train and test errors are alike.",
                what_to_do="",
            ),
            Finding(
                code="few-images", severity="note", meaning="Few images.", what_to_do="Get more."
            ),
            Finding(
                code="worse",
                severity="error",
                measured={"n": 0.5},
                meaning=f"Neighbours win {HOSTILE}",
                what_to_do="Go",
            ),
        ),
        provenance={
            "source": "digits",
            "normal": [str(NORMAL)],
            "recipe": "plain",
            "seed": 0,
            "splits": {"train": 900, "test": 697},
            "seconds": 75.0,
            "fingerprint": "ab" * 32,
        },
    )
    return record, evidence


def reconstructor():
    images, digit = digits()
    test = images[PARTS[1] :]
    pca = PCA(12, random_state=0).fit(images[: PARTS[0]])
    rebuilt = np.clip(pca.inverse_transform(pca.transform(test)), 0, 1)
    mse = ((test - rebuilt) ** 2).mean(1)
    order = np.argsort(-mse)
    evidence = Evidence(
        paths=np.array([f"digits/{i}" for i in range(len(test))]),
        labels=digit[PARTS[1] :],
        per_image={"mse": mse},
        gallery=gallery_of(test, rebuilt, np.concatenate([order[:3], order[-3:]])),
    )
    metrics = {"mse": near(float(mse.mean()), 0.001), "psnr": near(18.2, 0.2), "ssim": near(0.9)}
    baselines = {"mean_image": {"mse": near(0.07, 0.001)}}
    return (
        Evaluation(
            job="reconstruct",
            n_images=len(test),
            split="test",
            metrics=metrics,
            baselines=baselines,
            standings={"mean_image": standing("mse", -0.05, "worse")},
        ),
        evidence,
    )


def classifier():
    labels = np.array(["cat", "cat", "dog", "dog", None, "owl"], dtype=object)
    probabilities = np.array(
        [[0.9, 0.1, 0], [0.2, 0.8, 0], [0.1, 0.9, 0], [0, 1, 0], [1, 0, 0], [0, 0.6, 0.4]]
    )
    evidence = Evidence(
        paths=np.array([f"{i}.png" for i in range(6)]),
        labels=labels,
        probabilities=probabilities,
        classes=np.array(["cat", "dog", "owl"]),
    )
    return (
        Evaluation(
            job="classify", n_images=6, split="test", metrics={"accuracy": near(0.6, 0.2, 5)}
        ),
        evidence,
    )


RNG = np.random.default_rng(3)


def detectors(gain=0.02):
    """The digits' detector, and one whose abnormal scores are higher by `gain`; each with a
    threshold of its own."""
    _, first = detector()
    first = replace(first, train_scores=None, calibration_scores=None, gallery=None, figures={})
    moved = first.scores + gain * first.is_anomalous + RNG.normal(0, 0.002, len(first.scores))
    second = replace(first, scores=moved.astype(np.float32))
    truth = np.ma.MaskedArray(first.is_anomalous, mask=~first.labelled)
    return [
        (evaluate_detection(truth, one.scores, operating_point=0.04), one)
        for one in (first, second)
    ]
