"""Metrics of classes, probabilities and several labels beside scikit-learn's, on random inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from sklearn import metrics as sk

from residua import metrics

CASES = settings(max_examples=40, deadline=None)
SEEDS = st.integers(0, 2**32 - 1)


def case(seed: int):
    """True classes, all of which occur, probabilities with ties, and how many classes there are."""
    rng = np.random.default_rng(seed)
    k, n = int(rng.integers(3, 6)), int(rng.integers(8, 60))
    true = np.concatenate([np.arange(k), rng.integers(0, k, n)])
    p = rng.integers(1, 5, (len(true), k)).astype(float)
    return true, p / p.sum(axis=1, keepdims=True), k


@CASES
@given(SEEDS)
def test_metrics_of_classes_equal_scikit_learns(seed: int) -> None:
    true, p, k = case(seed)
    said, labels = p.argmax(axis=1), list(range(k))
    assert (
        metrics.confusion_matrix(true, p).tolist()
        == sk.confusion_matrix(true, said, labels=labels).tolist()
    )
    assert metrics.accuracy(true, p) == pytest.approx(sk.accuracy_score(true, said))
    assert metrics.balanced_accuracy(true.tolist(), said.tolist()) == pytest.approx(
        sk.balanced_accuracy_score(true, said)
    )
    assert metrics.cohen_kappa(true, said) == pytest.approx(sk.cohen_kappa_score(true, said))
    if len(np.unique(said)) > 1:
        assert metrics.matthews_correlation(true, said) == pytest.approx(
            sk.matthews_corrcoef(true, said)
        )
    for average in (None, "micro", "macro", "weighted"):
        kwargs = {"average": average, "labels": labels, "zero_division": np.nan}
        for ours, theirs in ((metrics.recall, sk.recall_score), (metrics.f1, sk.f1_score)):
            assert ours(true, p, average=average) == pytest.approx(
                theirs(true, said, **kwargs), nan_ok=True
            )
    per_class = sk.precision_score(true, said, average=None, labels=labels, zero_division=np.nan)
    assert metrics.precision(true, p) == pytest.approx(per_class, nan_ok=True)
    assert metrics.precision(true, p, average="macro") == pytest.approx(
        np.mean(per_class), nan_ok=True
    )


@CASES
@given(SEEDS)
def test_metrics_of_probabilities_equal_scikit_learns(seed: int) -> None:
    true, p, k = case(seed)
    assert metrics.log_loss(true, p) == pytest.approx(sk.log_loss(true, p))
    for scheme in ("ovr", "ovo"):
        expected = sk.roc_auc_score(true, p, multi_class=scheme, average="macro")
        assert metrics.multiclass_roc_auc(true, p, scheme=scheme) == pytest.approx(expected)
    one_against_rest = [sk.roc_auc_score(true == label, p[:, label]) for label in range(k)]
    assert metrics.roc_auc_per_class(true, p) == pytest.approx(one_against_rest)
    untied = p + np.arange(k) * 1e-9
    untied /= untied.sum(axis=1, keepdims=True)
    assert metrics.top_k_accuracy(true, untied, 2) == pytest.approx(
        sk.top_k_accuracy_score(true, untied, k=2)
    )
    of_second = p[:, 0]
    assert metrics.brier_score(true > 0, of_second) == pytest.approx(
        sk.brier_score_loss(true > 0, of_second)
    )


@CASES
@given(SEEDS)
def test_metrics_of_several_labels_equal_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    y = np.vstack([np.eye(4, dtype=int), 1 - np.eye(4, dtype=int), rng.integers(0, 2, (20, 4))])
    p = rng.integers(0, 11, y.shape) / 10
    said = p > 0.5
    assert metrics.subset_accuracy(y, p) == pytest.approx(sk.accuracy_score(y, said))
    assert metrics.hamming_loss(y, p) == pytest.approx(sk.hamming_loss(y, said))
    assert metrics.element_wise_accuracy(y, p) == pytest.approx(1 - sk.hamming_loss(y, said))
    for average in (None, "micro", "macro"):
        f1, precision = (
            sk.f1_score(y, said, average=average),
            sk.average_precision_score(y, p, average=average),
        )
        assert metrics.multilabel_f1(y, p, average=average) == pytest.approx(f1)
        assert metrics.multilabel_average_precision(y, p, average=average) == pytest.approx(
            precision
        )
