"""Plots: what is drawn is what the record says, and what cannot be drawn is said."""

from __future__ import annotations

import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest

import residua
from residua.errors import InputError
from residua.evaluation import Evidence, Gallery
from residua.evaluation.comparison import Contestant, compare_models
from residua.evaluation.plots import PLOTS

mpl.use("Agg")
import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def small_figures():
    with plt.rc_context({"figure.dpi": 30}):
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def records():
    images = residua.load_images("digits")[:300]
    x = images.array() / 255.0
    anomalous = images.labels != 1
    scores = x.reshape(300, -1).std(axis=1)
    plain = {"brightness": x.reshape(300, -1).mean(axis=1)}
    detection = residua.evaluate_detection(anomalous, scores, operating_point=0.33, baselines=plain)
    gallery = Gallery(
        np.array([5, 1, 9]),
        images.array()[[5, 1, 9]],
        error_maps=np.abs(x[[5, 1, 9], ..., 0] - 0.5).astype(np.float32),
        masks=x[[5, 1, 9], ..., 0] > 0.6,
    )
    seen = Evidence(
        images.paths,
        scores=scores,
        is_anomalous=anomalous,
        labels=images.labels,
        gallery=gallery,
        pixel_hashes=images.pixel_hashes,
        baselines=plain,
        history={
            "epoch": np.arange(1, 4),
            "train_loss": np.array([3.0, 2.0, 1.0]),
            "validation_loss": np.array([3.0, 1.5, 2.0]),
        },
    )
    near = np.abs(images.labels[:, None] - np.arange(10)) + 0.5
    return {
        "bare": detection,
        "detection": detection.with_evidence(seen),
        "classification": residua.evaluate_classification(
            images.labels, (1 / near) / (1 / near).sum(axis=1, keepdims=True)
        ),
        "reconstruction": residua.evaluate_reconstruction(x[:40], np.clip(x[:40] + 0.1, 0, 1)),
        "comparison": compare_models([Contestant(n, detection, seen) for n in ("one", "two")]),
    }


KINDS = {
    "bare": ("scores", "roc", "precision-recall", "confusion", "metrics", "baselines"),
    "detection": ("scores", "maps", "history"),
    "classification": ("confusion", "roc", "reliability", "metrics"),
    "reconstruction": ("reconstructions", "maps", "scores"),
    "comparison": ("differences",),
}


def test_every_kind_of_plot_is_drawn_here():
    drawn = {name for names in KINDS.values() for name in names}
    assert drawn == {one.name for one in PLOTS}
    assert len({one.name for one in PLOTS}) == len(PLOTS)


@pytest.mark.parametrize("name", KINDS)
def test_plots_are_drawn_to_the_last_stroke(records, name):
    for kind in KINDS[name]:
        few = {"n": 1} if kind in ("reconstructions", "maps") else {}
        ax = records[name].plot(kind, **few)
        first = np.atleast_1d(np.asarray(ax, object)).flat[0]
        first.figure.canvas.draw()
        assert np.ptp(np.asarray(first.figure.canvas.buffer_rgba())) > 0, kind
        plt.close(first.figure)


def test_the_default_says_what_the_job_is_about(records):
    assert records["bare"].plot().get_xlabel() == "Score"
    assert records["classification"].plot().get_xlabel() == "What the model says"
    assert records["reconstruction"].plot().shape == (4, 3)
    assert records["comparison"].plot().get_xlabel() == "Difference in ROC AUC"


def test_the_curve_goes_through_the_threshold_and_tells_the_interval(records):
    record = records["detection"]
    ax = record.plot("roc")
    (x, y) = next(
        line.get_xydata()[0] for line in ax.lines if line.get_label().startswith("threshold")
    )
    assert x == pytest.approx(float(record.metrics["false_alarm_rate"]))
    assert y == pytest.approx(float(record.metrics["recall"]))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert f"this model: {record.metrics['roc_auc']:.3f}" in labels
    beside = record.baselines["brightness"]["roc_auc"]
    assert f"Mean brightness: {float(beside):.3f}" in labels


def test_histogram_and_matrix_hold_every_image(records):
    record = records["bare"]
    ax = record.plot("scores")
    sums = [patch.get_data().values.sum() for patch in ax.patches]
    assert sums == pytest.approx([1.0, 1.0])
    counts = [int(text.get_text().replace("·", "0")) for text in record.plot("confusion").texts]
    assert sum(counts) == record.n_images


def test_maps_show_anomalous_images_first_with_the_edge_of_their_mask(records):
    grid = records["detection"].plot("maps", n=2)
    assert grid.shape == (2, 2)
    assert all(ax.collections for ax in grid.ravel())


def test_plots_go_on_axes_that_are_given(records):
    _, ax = plt.subplots()
    assert records["bare"].plot("roc", ax=ax) is ax
    _, grid = plt.subplots(2, 3)
    assert records["reconstruction"].plot(n=2, ax=grid).shape == (2, 3)
    with pytest.raises(InputError, match=r"must be 2 x 3 axes .* Got 1"):
        records["reconstruction"].plot(n=2, ax=ax)


def test_what_cannot_be_drawn_is_said_with_what_can(records):
    with pytest.raises(InputError, match=r"must be one of scores, roc, .* Got 'pie'"):
        records["bare"].plot("pie")
    with pytest.raises(InputError, match=r"must have images with error maps.*: scores, roc"):
        records["bare"].plot("maps")
    read = residua.Evaluation.model_validate_json(records["bare"].model_dump_json())
    with pytest.raises(InputError, match=r"can be drawn as: metrics, baselines\. Add the arrays"):
        read.plot("roc")
    assert read.plot().get_xlabel() == "Share, with its 95% interval"
    with pytest.raises(InputError, match="metric must be one of this record: roc_auc"):
        records["bare"].plot("baselines", metric="auc")
    with pytest.raises(InputError, match="metric must be one of this comparison: roc_auc"):
        records["comparison"].plot(metric="auc")


def test_a_record_of_several_labels_is_drawn_by_its_metrics_or_a_label_at_a_time():
    labels = np.array([[0, 1], [1, 0], [1, 1], [0, 0]] * 5)
    record = residua.evaluate_classification(labels, labels * 0.8 + 0.1)
    assert record.plot().get_xlabel().startswith("Share")
    for refused in (lambda: record.plot("roc"), lambda: record.to_frame("images"), record.show):
        with pytest.raises(InputError, match=r"several labels keeps none.*at a time"):
            refused()
    assert residua.evaluate_classification(labels[:, 0], labels[:, 0] * 0.8 + 0.1).plot("roc")


def test_import_and_judging_load_neither_matplotlib_nor_pandas_nor_torch():
    script = (
        "import sys, residua\n"
        "record = residua.evaluate_detection([0, 0, 1], [0.1, 0.2, 0.9])\n"
        "record.evidence, f'{record.metrics[\"roc_auc\"]:.2f}'\n"
        "heavy = {'matplotlib', 'pandas', 'torch', 'residua.evaluation.report'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {sorted(heavy)}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert done.returncode == 0, done.stderr
