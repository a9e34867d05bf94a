"""A model keeps the scale it was trained on: every way to score an image gives the score of the
same values in [0, 1]."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua import OneClassDetector
from residua.errors import SourceError
from residua.images import ImageSet, load_images
from residua.images.reading import Reading
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.score import score_run
from residua.runs.threshold import change_threshold
from residua.runs.trained_run import TrainedRun
from residua.server import Limits, load_model
from residua.training.bundle import BundleConfig, load_bundle, score_set
from runs import options
from training_wing import blobs


def deep(n: int, seed: int = 0) -> np.ndarray:
    """Blobs of a camera of 12 bits, uint16 up to 4095."""
    return (blobs(n, seed=seed)[..., 0].astype(np.uint32) * 4095 // 255).astype(np.uint16)


def folder_of(folder: Path, images: np.ndarray, label: str = "good") -> Path:
    (folder / label).mkdir(parents=True)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / label / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def camera(tmp_path_factory) -> TrainedRun:
    place = tmp_path_factory.mktemp("camera")
    folder_of(place / "parts", deep(60))
    folder_of(place / "parts", 4095 - deep(12, 7), "bad")
    return fit_run(options(place / "parts", policy="quantile:0.9"), place / "run")


def scores_in(path: Path) -> np.ndarray:
    with path.open() as file:
        return np.array([float(row["score"]) for row in csv.DictReader(file)], np.float32)


def test_the_bits_are_recognised_told_and_stored(camera):
    assert load_bundle(camera.bundle).config.reading == Reading(bits=12)
    assert camera.read_state().reading == Reading(bits=12)
    evaluation = evaluate_run(camera.path).evaluation
    told = [one for one in evaluation.provenance["assumptions"] if one["about"] == "bits"]
    assert [one["taken"] for one in told] == ["12"]


def test_every_way_to_score_uses_the_bits_of_the_model(camera, tmp_path):
    images = deep(8, seed=3) // 5  # ends below 1024: by themselves they would be taken for 10 bits
    assert images.max() < 1024
    bundle = load_bundle(camera.bundle)
    truth = score_set(
        bundle, ImageSet.from_arrays((images / np.float32(4095)).astype(np.float32))
    ).score
    source = folder_of(tmp_path / "new", images)
    score_run(camera.path, str(source), tmp_path / "scores.csv")
    assert np.array_equal(scores_in(tmp_path / "scores.csv"), truth)
    np.save(tmp_path / "new.npy", images)
    score_run(camera.path, str(tmp_path / "new.npy"), tmp_path / "array.csv")
    assert np.array_equal(scores_in(tmp_path / "array.csv"), truth)
    judged = evaluate_run(camera.path, str(source))
    assert np.array_equal(judged.evidence.scores, truth)
    point = change_threshold(camera.path, "quantile:0.5", str(source))
    assert truth.min() < point.threshold < truth.max()
    estimator = OneClassDetector.load(camera.bundle)
    assert np.array_equal(estimator.anomaly_scores(images), truth)
    assert estimator.anomaly_scores(images[:1])[0] == pytest.approx(truth[0], rel=1e-6)
    model, data = load_model(camera.path), io.BytesIO()
    Image.fromarray(images[0]).save(data, "PNG")
    assert np.array_equal(
        model.read(data.getvalue(), Limits()).pixels[..., 0], images[0] / np.float32(4095)
    )


def test_images_of_eight_bits_are_on_the_same_scale_and_others_are_refused_or_told(
    camera, tmp_path
):
    bytes_alone = folder_of(tmp_path / "bytes", blobs(8, seed=3)[..., 0])
    score_run(camera.path, str(bytes_alone), tmp_path / "bytes.csv")
    truth = score_set(load_bundle(camera.bundle), load_images(bytes_alone)).score
    assert np.array_equal(scores_in(tmp_path / "bytes.csv"), truth)
    whole = folder_of(tmp_path / "whole", deep(8, seed=3) * 16)
    for judge in (evaluate_run, lambda run, source: score_run(run, source, tmp_path / "whole.csv")):
        with pytest.raises(
            SourceError, match="where 12 bits hold 0 to 4,095; state the right number with --bits"
        ):
            judge(camera.path, str(whole))
    score_run(camera.path, str(whole), tmp_path / "told.csv", bits=16)
    expected = ImageSet.from_arrays((deep(8, seed=3) * 16 / np.float32(65535)).astype(np.float32))
    assert np.array_equal(
        scores_in(tmp_path / "told.csv"), score_set(load_bundle(camera.bundle), expected).score
    )
    far = folder_of(
        tmp_path / "far", np.minimum(2 * blobs(8, seed=3)[..., 0].astype(np.uint16), 255)
    )  # 8 bits in 16: sixteen times darker
    for judge in (evaluate_run, lambda run, source: score_run(run, source, tmp_path / "far.csv")):
        with pytest.raises(SourceError, match="on the scale of the model's, 12 bits"):
            judge(camera.path, str(far))


def test_a_model_of_bytes_takes_twelve_bits_that_are_told_and_guesses_none(finished, tmp_path):
    images = deep(8, seed=3)
    source = folder_of(tmp_path / "new", images)
    with pytest.raises(SourceError, match="--bits 12"):  # a guess would depend on the other images
        score_run(finished.path, str(source), tmp_path / "scores.csv")
    score_run(finished.path, str(source), tmp_path / "scores.csv", bits=12)
    expected = ImageSet.from_arrays((images / np.float32(4095)).astype(np.float32))
    assert np.array_equal(
        scores_in(tmp_path / "scores.csv"), score_set(load_bundle(finished.bundle), expected).score
    )


def test_bundles_and_runs_of_before_are_read(finished):
    old = json.loads((finished.bundle / "bundle.json").read_text())["config"]
    del old["reading"]
    assert BundleConfig(**old).reading == Reading()
    state = json.loads((finished.path / "run.json").read_text())
    del state["reading"]
    del state["options"]["bits"]
    assert type(finished.read_state()).model_validate(state).reading is None
