"""What a grey ramp shows before anything is judged: models whose scores would be wrong in
silence."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import residua
from residua.errors import InputError, ShapeError

SIZE = (6, 5)
# a full batch, which could be handed on without a copy
WHITE = np.full((64, *SIZE, 3), 255, np.uint8)


def wrapped(model, **more):
    return residua.wrap(model, values="unit", size=SIZE, channels=3, **more)


def centred(x):
    return 0.9 * (x - x.mean(axis=0, keepdims=True)) + 0.5


def test_batch_normalisation_in_training_is_refused_unless_images_go_one_by_one():
    with pytest.raises(
        InputError, match=r"whatever else is in its batch. Got values 0\.\d+ of the range apart"
    ):
        wrapped(centred)
    assert wrapped(centred, batch_size=1).anomaly_scores(WHITE[:1]) == pytest.approx([0.25])


def test_a_tensor_that_keeps_its_gradient_is_read():
    model = wrapped(lambda x: 0.9 * torch.tensor(x, requires_grad=True))
    assert model.anomaly_scores(WHITE[:1]) == pytest.approx([0.01], rel=1e-3)


def test_a_model_that_changes_its_input_in_place_scores_as_one_that_does_not():
    assert wrapped(lambda x: np.multiply(x, 0.9, out=x)).anomaly_scores(WHITE) == pytest.approx(
        0.01, rel=1e-3
    )


def test_a_list_of_lists_is_refused_in_few_words():
    with pytest.raises(ShapeError) as refused:
        wrapped(lambda x: x.tolist())
    assert len(str(refused.value)) < 300
