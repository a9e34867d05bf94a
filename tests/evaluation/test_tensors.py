"""Tensors of torch, as training leaves them, are judged as the arrays that they hold."""

from __future__ import annotations

import numpy as np
import pytest

import residua

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
IMAGES = RNG.random((20, 3, 12, 12)).astype(np.float32)
SCORES = RNG.random(20).astype(np.float32)
LABELS = np.arange(20) % 2

CALLS = {
    "reconstruction": lambda f: residua.evaluate_reconstruction(f(IMAGES), f(IMAGES * 0.5)),
    "detection": lambda f: residua.evaluate_detection(torch.tensor(LABELS), f(SCORES)),
    "classification": lambda f: residua.evaluate_classification(
        torch.tensor(LABELS), f(np.stack([1 - SCORES, SCORES], 1))
    ),
    "ROC AUC": lambda f: residua.metrics.roc_auc(torch.tensor(LABELS), f(SCORES)),
    "error": lambda f: residua.metrics.mse(f(IMAGES), f(IMAGES * 0.5)).tolist(),
    "threshold": lambda f: residua.choose_threshold("max-f1", f(SCORES), torch.tensor(LABELS)),
    "codes": lambda f: residua.evaluate_codes(
        f(IMAGES[:12, 0, 0]), LABELS[:12], f(IMAGES[12:, 0, 0]), LABELS[12:], seed=0
    ),
    "accuracy of Keras": lambda f: residua.metrics.keras.accuracy(LABELS, f(SCORES)).value,
}


def value(result):
    return getattr(result, "metrics", result)


@pytest.mark.parametrize("name", CALLS)
def test_a_tensor_with_a_gradient_is_judged_as_its_array(name):
    made = CALLS[name](lambda array: torch.tensor(array, requires_grad=True) * 1)
    assert value(made) == value(CALLS[name](np.asarray))


@pytest.mark.parametrize("name", ["reconstruction", "detection", "ROC AUC"])
@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_a_tensor_of_16_bits_is_judged_as_the_floats_that_it_holds(name, kind):
    kind = getattr(torch, kind)
    made = CALLS[name](lambda array: torch.tensor(array).to(kind))
    assert value(made) == value(
        CALLS[name](lambda array: torch.tensor(array).to(kind).float().numpy())
    )
