"""scikit-learn-style faces of the training wing."""

from residua.estimators.autoencoder import Autoencoder
from residua.estimators.base import ImageEstimator, NotFittedError
from residua.estimators.classifier import AutoencoderClassifier
from residua.estimators.detector import OneClassDetector

__all__ = ["Autoencoder", "AutoencoderClassifier", "ImageEstimator", "NotFittedError", "OneClassDetector"]
