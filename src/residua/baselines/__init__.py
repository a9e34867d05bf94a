"""What an autoencoder has to beat, a file each.

`RECONSTRUCTORS`, `DETECTORS` and `CLASSIFIERS` are the registries.

A reconstructor is ``f(train, images, latent, seed) -> reconstructions``, a detector is
``f(train, images, latent, seed) -> scores`` (higher = more anomalous). Both see images float32
(n_images, height, width, channels) in [0, 1], `train` being the ones the model was trained on.
Nothing here sees a label, but a classifier: ``f(train, labels, images, n_classes, seed) ->
classes``.
"""

from __future__ import annotations

from residua.baselines.base import Detector, Reconstructor
from residua.baselines.brightness import brightness_scores
from residua.baselines.classifiers import (
    Classifier,
    linear_classes,
    majority_class,
    neighbour_classes,
)
from residua.baselines.contrast import contrast_scores
from residua.baselines.mean_image import mean_image_reconstructions, mean_image_scores
from residua.baselines.pca import pca_reconstructions, pca_scores
from residua.baselines.pixel_neighbours import pixel_neighbour_scores

__all__ = [
    "CLASSIFIERS",
    "DETECTORS",
    "RECONSTRUCTORS",
    "Classifier",
    "Detector",
    "Reconstructor",
    "brightness_scores",
    "contrast_scores",
    "linear_classes",
    "majority_class",
    "mean_image_reconstructions",
    "mean_image_scores",
    "neighbour_classes",
    "pca_reconstructions",
    "pca_scores",
    "pixel_neighbour_scores",
]

RECONSTRUCTORS: dict[str, Reconstructor] = {
    "mean_image": mean_image_reconstructions,
    "pca": pca_reconstructions,
}

DETECTORS: dict[str, Detector] = {
    "pixel_neighbours": pixel_neighbour_scores,
    "pca": pca_scores,
    "mean_image": mean_image_scores,
    "brightness": brightness_scores,
    "contrast": contrast_scores,
}

CLASSIFIERS: dict[str, Classifier] = {
    "majority_class": majority_class,
    "pixel_neighbours": neighbour_classes,
    "pixel_linear": linear_classes,
}
