"""Models in the form of MLflow: saved as data, loaded by residua's own loader, without pickle."""

from __future__ import annotations

import warnings
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from residua.errors import MissingExtraError
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import load_bundle, save_bundle
from residua.training.estimators import Autoencoder, AutoencoderClassifier, OneClassDetector
from residua.training.estimators.base import ImageEstimator

_KINDS: dict[str, type[ImageEstimator]] = {
    "detect": OneClassDetector,
    "classify": AutoencoderClassifier,
    "reconstruct": Autoencoder,
}
_DATA = "bundle"


def save_model(model: Any, path: str | Path) -> Path:
    """Save a fitted estimator, or the model of a RUN, as a model of ``mlflow.pyfunc``.

    ``mlflow.pyfunc.load_model(path).predict(images)`` takes what the estimator takes, and returns a
    column for each thing that the model says of an image: ``score`` and ``anomalous`` of a
    detector, ``label`` and ``probability[CLASS]`` of a classifier, ``mse``, ``mae`` and ``ssim`` of
    a reconstructor.

    Parameters
    ----------
    model : estimator, or path of a RUN
    path : str or Path
        A folder that is not there yet. Log it with ``mlflow.log_artifacts`` or serve it with
        ``mlflow models serve``.

    Raises
    ------
    MissingExtraError
        Without MLflow, which comes with ``pip install 'residua[loggers]'``.
    """
    pyfunc = _pyfunc()
    is_estimator = isinstance(model, ImageEstimator)
    bundle = model.bundle_ if is_estimator else load_bundle(TrainedRun(Path(model)).bundle)
    with TemporaryDirectory() as folder:
        data = Path(folder) / _DATA
        save_bundle(bundle, data)
        pyfunc.save_model(
            path=str(path),
            loader_module=__name__,
            data_path=str(data),
            pip_requirements=[f"residua[train]=={version('residua')}"],
        )
    return Path(path)


def _pyfunc() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow warns of its own annotations
            import mlflow.pyfunc
    except ImportError:
        raise MissingExtraError("mlflow-skinny", "loggers", "residua.mlflow") from None
    return mlflow.pyfunc


def _load_pyfunc(path: str) -> _Predicting:
    """What MLflow calls; nothing in the folder is executed."""
    return _Predicting(_KINDS[load_bundle(Path(path)).config.job].load(path))


class _Predicting:
    """What MLflow asks for predictions: an array, or a list of images, in; a table out."""

    def __init__(self, model: ImageEstimator) -> None:
        self.model = model

    def predict(self, images: Any, params: Any = None) -> Any:
        import pandas as pd

        model, columns = self.model, dict[str, Any]()
        if isinstance(model, OneClassDetector):
            columns["score"] = model.anomaly_scores(images)
            columns["anomalous"] = columns["score"] > model.operating_point_.threshold
        elif isinstance(model, AutoencoderClassifier):
            shares = model.predict_proba(images)
            columns["label"] = model.classes_[np.argmax(shares, axis=1)]
            columns |= {
                f"probability[{name}]": shares[:, i] for i, name in enumerate(model.classes_)
            }
        else:
            columns = dict(model.reconstruction_errors(images))
        return pd.DataFrame(columns)
