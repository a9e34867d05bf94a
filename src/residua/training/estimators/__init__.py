"""scikit-learn-style faces of the training wing."""

from residua.training.estimators.autoencoder import Autoencoder
from residua.training.estimators.base import ImageEstimator, NotFittedError
from residua.training.estimators.classifier import AutoencoderClassifier
from residua.training.estimators.detector import OneClassDetector
from residua.training.estimators.scorers import scorer

__all__ = [
    "Autoencoder",
    "AutoencoderClassifier",
    "ImageEstimator",
    "NotFittedError",
    "OneClassDetector",
    "scorer",
]
