"""The pixel threshold: taken from maps of the normal calibration images, kept with the model, and
used where test images have masks."""

from __future__ import annotations

import numpy as np

import residua
from residua.images import ImageSet
from residua.runs.bundle_model import model_of_bundle
from residua.runs.model import Calibration
from residua.thresholds import pixel_threshold_of
from residua.training.estimators import OneClassDetector
from training_wing import blobs


def spotted(n, *, bright):
    """Grey noise of 8 x 8, with a bright corner or without, and the masks of the corners."""
    rng = np.random.default_rng(bright)
    images = rng.integers(90, 110, (n, 8, 8)).astype(np.uint8)
    masks = np.zeros((n, 8, 8), bool)
    masks[:, :2, :3] = bright
    images[masks] = 250
    return images, list(masks)


def test_a_wrapped_model_marks_what_few_normals_reach():
    model = residua.wrap(
        lambda x: x * 0 + x.mean(axis=(1, 2, 3), keepdims=True),
        values="unit",
        size=(8, 8),
        channels=1,
    )
    calibration = ImageSet.from_arrays(spotted(30, bright=False)[0], ["good"] * 30, normal="good")
    model.choose_threshold("quantile:0.9", calibration)
    peaks = [one.max() for one in model.error_maps(calibration)]
    level = Calibration(looks=model.calibration_images_).pixel_threshold
    assert level == pixel_threshold_of(peaks)
    (good, none), (bad, masks) = spotted(12, bright=False), spotted(12, bright=True)
    test = ImageSet.from_arrays(
        np.concatenate((good, bad)),
        ["good"] * 12 + ["bad"] * 12,
        masks=none + masks,
        normal="good",
    )
    metrics = model.evaluate(test).metrics
    assert metrics["defect_detection_rate"].value == 1
    assert metrics["defect_detection_rate"].n == 12
    assert metrics["marked_normal_rate"].value < 0.2


def test_a_trained_model_keeps_the_level_of_its_calibration_maps():
    calibration = blobs(25, (8, 8), seed=1)
    detector = OneClassDetector(latent=2, epochs=1).fit(blobs(40, (8, 8)), calibration)
    level = model_of_bundle(detector.bundle_).calibration.pixel_threshold
    assert level == pixel_threshold_of([one.max() for one in detector.error_maps(calibration)])
