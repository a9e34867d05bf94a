"""A set judged piece by piece gives the record that it gives at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from residua.runs import evaluate_classes, evaluate_errors
from residua.runs.baselines import chunk_size
from residua.runs.bundle_model import model_of_bundle
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.training.fitting.options import make_options
from runs import options, write_source


@pytest.fixture(scope="module", params=["reconstruct", "classify"])
def fitted(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    source = write_source(folder / "parts")
    asked = options(source, "reconstruct", settings={"epochs": 1})
    if request.param == "classify":
        asked = make_options(**{
            "source": str(source), "job": "classify", "strategy": "joint", "recipe_options": {"width": 4},
            "settings": {"epochs": 2, "batch_size": 16},
        })  # fmt: skip
    return fit_run(asked, folder / "run")


def test_a_record_does_not_depend_on_how_many_images_are_judged_at_once(fitted, monkeypatch):
    whole = evaluate_run(fitted.path)
    for module in (evaluate_errors, evaluate_classes):
        monkeypatch.setattr(module, "chunk_size", lambda model: 3)
    parts = evaluate_run(fitted.path)
    assert len(parts.evidence.paths) > 6
    assert parts.evaluation.metrics.keys() == whole.evaluation.metrics.keys()
    for name, one in whole.evaluation.metrics.items():
        expected = None if one.value is None else pytest.approx(one.value, rel=1e-5)
        assert parts.evaluation.metrics[name].value == expected, name
    assert parts.evaluation.baselines.keys() == whole.evaluation.baselines.keys()
    assert [one.code for one in parts.evaluation.findings] == [
        one.code for one in whole.evaluation.findings
    ]
    for name, column in whole.evidence.per_image.items():
        assert np.allclose(
            parts.evidence.per_image[name], column, rtol=1e-4, atol=1e-6, equal_nan=True
        ), name


def test_an_array_of_pictures_stays_below_its_bound(fitted):
    from residua.training.bundle import load_bundle

    model = model_of_bundle(load_bundle(fitted.bundle))
    assert chunk_size(model) == 20_000
    large = model.facts.model_copy(update={"size": (256, 256), "channels": 3})
    n = chunk_size(replace(model, facts=large))
    assert 64 <= n <= 256 * 2**20 / (4 * 256 * 256 * 3)
