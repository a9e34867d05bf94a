"""How often 95% intervals of a classifier hold the truth: rare classes, classifiers that are nearly
always right, confident losses, calibration, images sampled in groups.

Every metric is judged by the interval that a record gives. In the rows of classes stand beside it
scikit-learn's metric with a plain bootstrap of images (its percentiles), and torchmetrics'
``BootStrapper``. A number is the share of simulated sets whose interval holds the truth; sets
without an interval are not counted, and where there are some their share is ``no_interval``.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from measure import Results
from residua.metrics.confusion import metrics_from_confusion
from residua.metrics.confusion_bounds import kappa, mean_recall
from residua.metrics.groups import Groups
from residua.metrics.reported import estimates_of
from residua.metrics.reported.estimators import (
    brier_score_of_classes,
    calibration_error_of_classes,
    log_loss_of_classes,
)
from residua.metrics.samples import ClassProbabilities, PredictedClasses
from residua.records import Estimate

N_SETS, N_OF_SLOW, N_OF_PEERS, N_RESAMPLES = 1000, 300, 50, 100


class Classifier(NamedTuple):
    """Images of each class in the test set, and the share of each that is recognised.

    Mistakes fall on the other classes by how frequent these are.
    """

    title: str
    sizes: tuple[int, ...]
    recalls: tuple[float, ...]

    def shares(self) -> np.ndarray:
        sizes, recalls = np.array(self.sizes, float), np.array(self.recalls)
        off = np.tile(sizes, (len(sizes), 1))
        np.fill_diagonal(off, 0)
        return off / off.sum(1, keepdims=True) * (1 - recalls)[:, None] + np.diag(recalls)

    def truths(self) -> dict[str, float]:
        return values_of(self.shares() * np.array(self.sizes)[:, None] * 1.0)

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Places of true and of predicted classes."""
        drawn = [rng.multinomial(n, row) for n, row in zip(self.sizes, self.shares(), strict=True)]
        places = np.arange(len(self.sizes))
        return np.repeat(places, self.sizes), np.concatenate(
            [np.repeat(places, row) for row in drawn]
        )


CLASSIFIERS = (
    Classifier("5 rare of 205", (200, 5), (0.95, 0.8)),
    Classifier("5 rare of 205, nearly always right", (200, 5), (0.99, 0.95)),
    Classifier("five skewed classes, n=60", (30, 15, 8, 4, 3), (0.85,) * 5),
    Classifier("five skewed classes, n=60, .95 right", (30, 15, 8, 4, 3), (0.95,) * 5),
    Classifier("ten classes, n=100, .99 right", (10,) * 10, (0.99,) * 10),
    Classifier("ten classes, n=100, .999 right", (10,) * 10, (0.999,) * 10),
    Classifier("three classes, n=30, .7 right", (10,) * 3, (0.7,) * 3),
    Classifier("ten classes, n=1000, .95 right", (100,) * 10, tuple(np.linspace(0.9, 1, 10))),
)


def values_of(matrix: np.ndarray) -> dict[str, float]:
    read = metrics_from_confusion(matrix)
    return {
        "accuracy": read.accuracy,
        "balanced_accuracy": read.balanced_accuracy,
        "f1": read.average("f1", "macro"),
        "f1_weighted": read.average("f1", "weighted"),
        "precision": read.average("precision", "macro"),
        "recall": read.average("recall", "macro"),
        "matthews_correlation": read.matthews_correlation,
        "cohen_kappa": read.cohen_kappa,
        "precision[rare]": float(read.precision[-1]),
        "recall[rare]": float(read.recall[-1]),
        "f1[rare]": float(read.f1[-1]),
    }


def tally(truths: dict[str, float], sets: Iterable[dict[str, Estimate]]) -> dict[str, Any]:
    """The share of sets whose interval holds the truth, by metric."""
    held: Counter[str] = Counter()
    bounded: Counter[str] = Counter()
    n_sets = 0
    for found in sets:
        n_sets += 1
        for name, truth in truths.items():
            low, high = found[name].low, found[name].high
            if low is not None and high is not None:
                bounded[name] += 1
                held[name] += low - 1e-12 <= truth <= high + 1e-12
    row: dict[str, Any] = {"sets": n_sets}
    row |= {name: round(held[name] / max(bounded[name], 1), 3) for name in truths}
    missing = {name: round(1 - bounded[name] / n_sets, 3) for name in truths}
    without = {name: share for name, share in missing.items() if share > 0}
    return row | ({"no_interval": without} if without else {})


def of_record(classifier: Classifier) -> dict[str, Any]:
    rng, k = np.random.default_rng(7), len(classifier.sizes)

    def judged() -> dict[str, Estimate]:
        true, said = classifier.draw(rng)
        sample = PredictedClasses(true=true, predicted=said, n_classes=k)
        rare = sample.of_one(k - 1)
        return estimates_of(sample) | {
            f"{name}[rare]": getattr(rare, name) for name in ("precision", "recall", "f1")
        }

    return tally(classifier.truths(), (judged() for _ in range(N_SETS)))


def of_scikit_learn(classifier: Classifier) -> dict[str, Any]:
    from sklearn import metrics

    functions: dict[str, Callable[..., float]] = {
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "f1": lambda true, said: metrics.f1_score(true, said, average="macro"),
    }
    rng, truths = np.random.default_rng(8), classifier.truths()

    def judged() -> dict[str, Estimate]:
        true, said = classifier.draw(rng)
        rows = rng.integers(len(true), size=(N_RESAMPLES, len(true)))
        found = {}
        for name, function in functions.items():
            drawn = [function(true[some], said[some]) for some in rows]
            low, high = np.quantile(drawn, (0.025, 0.975))
            found[name] = Estimate(value=float(low), low=float(low), high=float(high))
        return found

    sets = (judged() for _ in range(N_OF_PEERS))
    return tally({name: truths[name] for name in functions}, sets)


def of_torchmetrics(classifier: Classifier) -> dict[str, Any]:
    import torch
    from torchmetrics import BootStrapper
    from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

    torch.manual_seed(0)
    rng, truths, k = np.random.default_rng(8), classifier.truths(), len(classifier.sizes)
    metrics = {"balanced_accuracy": MulticlassAccuracy(k), "f1": MulticlassF1Score(k)}

    def judged() -> dict[str, Estimate]:
        true, said = (torch.from_numpy(one) for one in classifier.draw(rng))
        found = {}
        for name, metric in metrics.items():
            sampled = BootStrapper(
                metric,
                num_bootstraps=N_RESAMPLES,
                quantile=torch.tensor([0.025, 0.975]),
                sampling_strategy="multinomial",
            )
            sampled.update(said, true)
            low, high = sampled.compute()["quantile"].tolist()
            found[name] = Estimate(value=low, low=low, high=high)
        return found

    sets = (judged() for _ in range(N_OF_PEERS))
    return tally({name: truths[name] for name in metrics}, sets)


class Stated(NamedTuple):
    """Probabilities and how true they are.

    Scores are normal with this `spread`; the truth is drawn from them times `heat`, so that below 1
    the model is too sure.
    """

    n_classes: int
    spread: float
    heat: float

    def shares(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities that the model states, and the true ones."""
        scores = self.spread * rng.normal(size=(n, self.n_classes))
        said, true = (
            np.exp(one - one.max(1, keepdims=True)) for one in (scores, scores * self.heat)
        )
        return said / said.sum(1, keepdims=True), true / true.sum(1, keepdims=True)

    def draw(self, rng: np.random.Generator, n: int) -> ClassProbabilities:
        said, true = self.shares(rng, n)
        places = (true.cumsum(1) < rng.random((n, 1))).sum(1).clip(0, self.n_classes - 1)
        return ClassProbabilities(true=places, probabilities=said)

    def truths(self) -> dict[str, float]:
        said, true = self.shares(np.random.default_rng(9), 300_000)
        rows, best = np.arange(len(said)), said.argmax(1)
        sure = said[rows, best]
        places = np.clip(np.ceil(sure * 15).astype(int) - 1, 0, 14)
        gaps = np.bincount(places, sure - true[rows, best])
        half = 2 if self.n_classes == 2 else 1
        brier = (said**2).sum(1) - 2 * (said * true).sum(1) + 1
        return {
            "log_loss": float(-(true * np.log(np.maximum(said, 1e-300))).sum(1).mean()),
            "brier_score": float(brier.mean() / half),
            "expected_calibration_error": float(np.abs(gaps).sum() / len(said)),
        }


PROBABILITIES = {
    "log_loss": log_loss_of_classes,
    "brier_score": brier_score_of_classes,
    "expected_calibration_error": calibration_error_of_classes,
}


def of_probabilities(stated: Stated, n: int) -> dict[str, Any]:
    """Log loss, Brier score and calibration error; what a plain bootstrap of the last one holds."""
    truths, rng, values = stated.truths(), np.random.default_rng(7), []

    def judged() -> dict[str, Estimate]:
        sample = stated.draw(rng, n)
        found = {name: estimate(sample) for name, estimate in PROBABILITIES.items()}
        values.append(found["expected_calibration_error"].value)
        return found

    truth = truths["expected_calibration_error"]
    row = tally(truths, (judged() for _ in range(N_OF_SLOW)))
    row |= {"true_error": round(truth, 4), "mean_error": round(float(np.mean(values)), 4)}
    if n > 1000:
        return row
    return row | {"plain bootstrap of the error": plain_bootstrap(stated, n, truth)}


def plain_bootstrap(stated: Stated, n: int, truth: float) -> float:
    """How often percentiles of the usual calibration error of resampled images hold the truth."""
    from residua.metrics.probability import expected_calibration_error

    rng, held = np.random.default_rng(8), 0
    for _ in range(N_OF_PEERS):
        sample = stated.draw(rng, n)
        rows = rng.integers(n, size=(N_RESAMPLES, n))
        drawn = [
            expected_calibration_error(sample.true[some], sample.probabilities[some])
            for some in rows
        ]
        low, high = np.quantile(drawn, (0.025, 0.975))
        held += low <= truth <= high
    return round(held / N_OF_PEERS, 3)


class Confident(NamedTuple):
    """A model of two classes that is sure of every image, and wrong in some."""

    wrong: float

    def draw(self, rng: np.random.Generator, n: int) -> ClassProbabilities:
        said, sure = rng.integers(2, size=n), 1 - rng.uniform(0.0001, 0.01, n)
        is_said = np.arange(2) == said[:, np.newaxis]
        p = np.where(is_said, sure[:, np.newaxis], 1 - sure[:, np.newaxis])
        true = np.where(rng.random(n) < self.wrong, 1 - said, said)
        return ClassProbabilities(true=true, probabilities=p)


def of_losses(model: Confident, n: int) -> dict[str, Any]:
    """Losses near 0."""
    rng, draws = np.random.default_rng(7), 200_000
    functions = {name: PROBABILITIES[name] for name in ("log_loss", "brier_score")}
    large = model.draw(np.random.default_rng(9), draws)
    truths = {name: float(estimate(large).value or 0.0) for name, estimate in functions.items()}

    def judged() -> dict[str, Estimate]:
        sample = model.draw(rng, n)
        return {name: estimate(sample) for name, estimate in functions.items()}

    return tally(truths, (judged() for _ in range(N_SETS)))


class Parts(NamedTuple):
    """Images of parts: a part is of one class, or of any; its images share so much of what makes
    them wrong, and which class they are taken for.
    """

    weights: tuple[float, ...]
    n_parts: int
    size: int
    share: float
    right: float
    is_pure: bool = True

    @property
    def title(self) -> str:
        kind = "one class each" if self.is_pure else "classes mixed"
        return (
            f"{self.n_parts} parts of {self.size}, {kind}, {len(self.weights)} classes,"
            f" {self.right} right, share {self.share}"
        )

    def draw(self, rng: np.random.Generator) -> PredictedClasses:
        k, parts = len(self.weights), np.repeat(np.arange(self.n_parts), self.size)
        n = len(parts)
        true = (
            rng.choice(k, self.n_parts, p=self.weights)[parts]
            if self.is_pure
            else rng.choice(k, n, p=self.weights)
        )
        shared, own = rng.normal(size=self.n_parts)[parts], rng.normal(size=n)
        hard = np.sqrt(self.share) * shared + np.sqrt(1 - self.share) * own
        alike = rng.random(self.n_parts)[parts] < self.share
        off = np.where(alike, rng.integers(1, k, self.n_parts)[parts], rng.integers(1, k, n))
        said = np.where(hard > stats.norm.ppf(self.right), (true + off) % k, true)
        return PredictedClasses(true=true, predicted=said, n_classes=k, groups=Groups.read(parts))


def of_parts(parts: Parts) -> dict[str, Any]:
    """By groups, and in the last numbers as if images were independent."""
    weights, k = np.array(parts.weights), len(parts.weights)
    shares = (1 - parts.right) / (k - 1) * (1 - np.eye(k)) + parts.right * np.eye(k)
    names = ("accuracy", "balanced_accuracy", "f1", "cohen_kappa")
    values = values_of(shares * weights[:, None])
    truths = {name: values[name] for name in names}

    def sets(grouped: bool, n_sets: int) -> Iterable[dict[str, Estimate]]:
        rng = np.random.default_rng(7)
        for _ in range(n_sets):
            sample = parts.draw(rng)
            alone = PredictedClasses(true=sample.true, predicted=sample.predicted, n_classes=k)
            found = sample if grouped else alone
            yield {
                "accuracy": found.share(found.true == found.predicted),
                "balanced_accuracy": found.average(lambda one: one.balanced_accuracy, mean_recall),
                "f1": found.of_positive("f1"),
                "cohen_kappa": found.average(lambda one: one.cohen_kappa, kappa),
            }

    ignored = tally(truths, sets(False, N_OF_PEERS))
    return tally(truths, sets(True, N_OF_SLOW)) | {"groups ignored": ignored}


def main() -> None:
    warnings.filterwarnings("ignore")
    results = Results("coverage_of_classes")
    for one in CLASSIFIERS:
        results.measure(f"{one.title}: record", lambda one=one: of_record(one))
    for wrong in (0.03, 0.005):
        for n in (20, 100, 1000):
            key = f"losses of a model that is sure, and wrong in {wrong}, n={n}"
            results.measure(key, lambda w=wrong, n=n: of_losses(Confident(w), n))
    for k in (2, 10):
        for spread, heat in ((2.5, 1.0), (1.0, 1.0), (2.5, 0.5), (2.5, 0.8)):
            for n in (100, 1000, *((10_000,) if heat == 0.5 else ())):
                key = f"probabilities of {k} classes, spread {spread}, heat {heat}, n={n}"
                stated = Stated(k, spread, heat)
                results.measure(key, lambda s=stated, n=n: of_probabilities(s, n))
    skewed, even = (0.6, 0.3, 0.1), (0.2,) * 5
    for parts in (
        *(Parts(skewed, 30, 6, share, 0.85) for share in (0.0, 0.3, 0.6, 0.9)),
        *(Parts(skewed, 30, 6, share, 0.85, False) for share in (0.3, 0.9)),
        *(Parts(even, 40, 5, share, 0.95) for share in (0.3, 0.9)),
        Parts(skewed, 100, 6, 0.6, 0.9),
        Parts((1 / 3,) * 3, 12, 10, 0.6, 0.8),
    ):
        results.measure(parts.title, lambda parts=parts: of_parts(parts))
    for one in CLASSIFIERS[:5:2]:
        results.measure(
            f"{one.title}: scikit-learn with a bootstrap of images",
            lambda one=one: of_scikit_learn(one),
        )
        results.measure(
            f"{one.title}: torchmetrics' BootStrapper", lambda one=one: of_torchmetrics(one)
        )


if __name__ == "__main__":
    main()
