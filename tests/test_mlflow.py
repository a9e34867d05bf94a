"""Models in MLflow's form: the same predictions, from data that executes nothing."""

from __future__ import annotations

import numpy as np
import pytest

import residua
from residua.errors import MissingExtraError
from residua.mlflow import save_model

pytest.importorskip("mlflow")
ROWS = slice(None, None, 6)


@pytest.fixture(scope="module")
def images():
    return residua.load_images("digits")[ROWS]


@pytest.fixture(scope="module")
def detector(images):
    zeros = images[np.flatnonzero(images.labels == 0)]
    return residua.OneClassDetector("pca", seed=0).fit(zeros)


def predictions(path, images):
    from mlflow.pyfunc import load_model

    return load_model(str(path)).predict(images)


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
def test_a_detector_says_in_mlflow_what_it_says_here(detector, images, tmp_path):
    detector.save(tmp_path / "run")
    for number, model in enumerate((detector, tmp_path / "run")):
        path = save_model(model, tmp_path / str(number))
        said = predictions(path, images.array())
        np.testing.assert_array_equal(said.score, detector.anomaly_scores(images))
        np.testing.assert_array_equal(said.anomalous, detector.predict(images) == -1)
    names = {one.suffix for one in (path / "bundle").rglob("*") if one.is_file()}
    assert names <= {".json", ".safetensors"}
    assert not any("pkl" in one.name or "pickle" in one.name for one in path.rglob("*"))
    assert "digits" not in "".join(one.read_text() for one in path.rglob("*.json"))


@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
def test_classifiers_and_reconstructors_too(images, tmp_path):
    classifier = residua.AutoencoderClassifier("plain", width=4, epochs=2, seed=0).fit(images)
    said = predictions(save_model(classifier, tmp_path / "classifier"), images.array())
    np.testing.assert_array_equal(said.label, classifier.predict(images))
    shares = classifier.predict_proba(images)
    np.testing.assert_array_equal(said["probability[3]"], shares[:, 3])
    rebuilt = residua.Autoencoder("pca").fit(images)
    said = predictions(save_model(rebuilt, tmp_path / "autoencoder"), list(images.array()))
    np.testing.assert_array_equal(said.mse, rebuilt.reconstruction_errors(images)["mse"])


def test_without_mlflow_the_line_that_mends_it_is_said(detector, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    monkeypatch.setitem(__import__("sys").modules, "mlflow.pyfunc", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'residua\[loggers\]'"):
        save_model(detector, tmp_path / "model")
    assert not (tmp_path / "model").exists()
