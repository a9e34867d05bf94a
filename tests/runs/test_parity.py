"""A model trained here, the same network exported and wrapped, and its scores as arrays: one
judgement.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import residua
from residua.records import not_applicable_of
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.judgement import Judgement
from residua.training.bundle import load_bundle
from runs import options, write_source


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> tuple[Judgement, Judgement]:
    """The same network as our own run, and as somebody else's ONNX file; the same source."""
    folder = tmp_path_factory.mktemp("parity")
    source = write_source(folder / "parts")
    ours = fit_run(options(source, recipe="plain", settings={"epochs": 2}), folder / "ours")
    network = load_bundle(ours.bundle).graph.scorer.network.eval()
    config = load_bundle(ours.bundle).config
    shape = (1, config.channels, *config.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.zeros(shape),),
            str(folder / "net.onnx"),
            dynamo=False,
            input_names=["x"],
            output_names=["y"],
            dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )
    wrapped = residua.wrap(folder / "net.onnx", values="unit", latent=network.latent)
    wrapped.save(folder / "theirs", source=str(source), normal="good")
    return evaluate_run(ours.path), evaluate_run(folder / "theirs")


def test_the_metrics_are_the_same(judged):
    ours, theirs = (one.evaluation for one in judged)
    assert ours.n_images == theirs.n_images
    assert ours.metrics.keys() == theirs.metrics.keys()
    for name, estimate in ours.metrics.items():
        expected = None if estimate.value is None else pytest.approx(estimate.value, rel=1e-5)
        assert theirs.metrics[name].value == expected, name
    assert theirs.operating_point.policy == ours.operating_point.policy
    assert theirs.operating_point.threshold == pytest.approx(
        ours.operating_point.threshold, rel=1e-5
    )


def test_the_baselines_are_the_same_but_for_the_untrained_network(judged):
    ours, theirs = (one.evaluation.baselines for one in judged)
    assert ours.keys() - theirs.keys() == {"untrained"}
    for name, metrics in theirs.items():
        for metric, estimate in metrics.items():
            assert estimate.value == pytest.approx(ours[name][metric].value, rel=1e-5)


def test_the_findings_are_the_same_but_for_those_that_do_not_apply(judged):
    ours, theirs = (one.evaluation for one in judged)
    left_out = {one.what for one in not_applicable_of(theirs.provenance)}
    assert "dead-latent" in left_out
    assert not_applicable_of(ours.provenance) == ()
    expected = {one.code: one.severity for one in ours.findings if one.code not in left_out}
    # Values beyond black and white are seen where the file gives them; our graph clips them.
    found = {one.code: one.severity for one in theirs.findings if one.code != "clipped-values"}
    assert found == expected


def test_arrays_give_the_metrics_of_the_run(judged):
    evaluation, evidence = judged[0]
    labels = np.where(evidence.is_anomalous, "crack", "good")
    arrays = residua.evaluate_detection(
        labels, evidence.scores, normal="good", operating_point=evaluation.operating_point, seed=0
    )
    for name, estimate in arrays.metrics.items():
        assert estimate == evaluation.metrics[name], name
