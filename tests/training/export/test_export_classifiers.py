"""Classifiers are exported with their probabilities, with a decoder and without."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

from residua import AutoencoderClassifier
from residua.engines import KINDS, load_engine, score_with
from residua.errors import GateError
from residua.images import ImageSet
from residua.training.bundle import load_bundle
from residua.training.export import Verification, build_engine
from residua.training.export.verify import ScorePair, measure_deviation, refuse_if_different
from residua.training.scoring.engine import GraphEngine
from training_wing import blobs


@pytest.fixture(scope="module", params=["joint", "plain"])
def classifier(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    images, labels = blobs(24, (13, 15)), np.arange(24) % 3
    augment = (
        ("flip",) if request.param == "joint" else ()
    )  # averages over mirror images, inside the exported file
    model = AutoencoderClassifier(
        request.param, width=4, epochs=1, batch_size=12, seed=0, precision="fp32", augment=augment
    )
    model.fit(images, labels).save(folder)
    return request.param, load_bundle(folder / "bundle"), folder


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_probabilities_classes_and_scores_are_the_models_own(classifier, engine):
    name, bundle, folder = classifier
    images = ImageSet.from_arrays(blobs(6, (13, 15), seed=3))
    verification = Verification(images, np.zeros(6, np.bool_), images)
    card = build_engine(bundle, KINDS[engine], folder / "export", verification, weights_sha256="0")
    assert card.classes == (0, 1, 2)
    assert card.deviation.different_decisions == 0
    mixed = ImageSet.from_arrays(
        [blobs(1, size, seed=4)[0] for size in ((13, 15), (9, 31), (40, 20))]
    )
    reference = score_with(GraphEngine(bundle.graph, 1, 4), mixed, maps=True, reconstructions=True)
    found = score_with(
        load_engine(folder / "export", engine), mixed, maps=True, reconstructions=True
    )
    assert np.allclose(found.probabilities, reference.probabilities, atol=1e-5)
    assert np.allclose(found.score, reference.score, atol=1e-5)
    assert np.allclose(found.reconstructions, reference.reconstructions, atol=1e-4, equal_nan=True)
    assert np.allclose(found.columns["mse"], reference.columns["mse"], atol=1e-4, equal_nan=True)
    assert [one.shape for one in found.maps] == [(13, 15), (9, 31), (40, 20)]
    assert np.isnan(found.maps[0]).all() == (name == "plain")
    if engine == "onnx":
        outputs = {
            one.name for one in onnx.load(str(folder / "export" / "model.onnx")).graph.output
        }
        assert ("error_map" in outputs) == (name == "joint")


def test_a_class_that_changes_is_a_decision_that_differs():
    same = np.array([0.1, 0.2], np.float32)
    apart = replace(
        ScorePair(same, same, 0.0, 0.0, 1.0), probability_difference=1e-6, changed_classes=1
    )
    with pytest.raises(GateError, match="1 of 2 decisions differ"):
        refuse_if_different("onnx", apart, measure_deviation(apart, float("inf"), float("inf")))
