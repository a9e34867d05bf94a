"""What was trained in Python is a run too: every command takes it, and it comes back as it was."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone

import residua
from residua.cli import main
from residua.engines import load_engine, score_with
from residua.errors import InputError, OutputError
from residua.images import ImageSet, load_images
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import save_bundle
from residua.training.estimators import Autoencoder, AutoencoderClassifier, OneClassDetector
from residua.training.fitting.options import make_options
from residua.training.recipes import make_recipe
from training_wing import blobs

QUICK = {"epochs": 2, "batch_size": 8, "threads": 1}
MADE = [
    OneClassDetector(latent=2, policy="quantile:0.8", seed=3, trim=0.1, **QUICK),
    OneClassDetector("plain", augment=("flip",), size=16, aspect="keep", **QUICK),
    OneClassDetector(make_recipe("plain", family="dense", density=("mahalanobis",)), latent=3, **QUICK),
    OneClassDetector(seed=1, **QUICK),
    Autoencoder("denoising", latent=2, learning_rate=1e-3, patience=2, seed=4, **QUICK),
    AutoencoderClassifier("sequential", width=4, erase=0.2, class_weight={1: 2.0}, seed=5, **QUICK),
    AutoencoderClassifier(width=4, mirrored=False, augment=(), multilabel=False, label_smoothing=0.1, **QUICK),
]  # fmt: skip


def fitted(made):
    return made.fit(blobs(40), [0, 1] * 20 if isinstance(made, AutoencoderClassifier) else None)


def answers(made):
    images = blobs(6, seed=9)
    if isinstance(made, AutoencoderClassifier):
        return made.predict_proba(images)
    return (
        made.reconstruct(images) if isinstance(made, Autoencoder) else made.anomaly_scores(images)
    )


@pytest.mark.parametrize("made", MADE, ids=repr)
def test_a_loaded_estimator_has_every_parameter_and_its_clone_trains_bit_for_bit_the_same(
    made, tmp_path
):
    first = fitted(clone(made))
    run = first.save(tmp_path / "run")
    bundle = save_bundle(first.bundle_, tmp_path / "bundle")
    for place in (run, run / "bundle", bundle):
        loaded = type(made).load(place)
        assert loaded.get_params() == made.get_params()
        assert np.array_equal(answers(loaded), answers(first))
    assert loaded.save(tmp_path / "again").is_dir()
    again = type(made).load(run)
    assert again.notes_ == first.notes_
    assert np.array_equal(again.history_["train_loss"], first.history_["train_loss"])
    assert np.array_equal(answers(fitted(clone(again))), answers(first))


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A folder with 60 good images and 12 with a bright corner."""
    folder = tmp_path_factory.mktemp("parts")
    good, bad = blobs(60), blobs(12, seed=7)
    bad[:, :5, :5] = 255 - bad[:, :5, :5] // 4
    for label, images in (("good", good), ("bad", bad)):
        (folder / label).mkdir()
        for number, image in enumerate(images):
            Image.fromarray(image[..., 0]).save(folder / label / f"{number:03d}.png")
    return folder


@pytest.fixture(scope="module")
def images(parts):
    return load_images(parts, normal="good")


@pytest.fixture(scope="module")
def detector(images):
    made = OneClassDetector(latent=3, seed=0, **QUICK)
    return made.fit(images.train, calibration=images.calibration)


def test_evaluate_says_what_the_command_says_of_the_same_model(detector, images, parts, tmp_path):
    options = make_options("detect", source=str(parts), normal=("good",), latent=3, **QUICK)
    run = fit_run(options, tmp_path / "run")
    by_command, by_python = evaluate_run(run.path).evaluation, detector.evaluate(images.test)
    assert by_python.metrics == by_command.metrics
    assert by_python.baselines == by_command.baselines
    assert by_python.operating_point == by_command.operating_point
    told = {one.code for one in by_python.findings}
    # The command alone has looked at the images before training.
    assert told == {one.code for one in by_command.findings} - {"duplicates"}


def test_every_command_takes_a_saved_detector(detector, parts, tmp_path, capsys):
    run = detector.save(tmp_path / "run")

    def command(*words):
        try:
            main([str(word) for word in words])
        except SystemExit as leaving:
            return leaving.code, capsys.readouterr()
        return 0, capsys.readouterr()

    code, told = command("info", run)
    assert code == 0 and "images from Python" in told.out
    for words in (("evaluate", run), ("report", run), ("export", run), ("probe", run)):
        code, told = command(*words)
        assert code == 2 and "trained in Python" in told.err and "Name a SOURCE" in told.err, words
    assert command("evaluate", run, parts, "--json", tmp_path / "e.json", "-q")[0] == 0
    record = json.loads((tmp_path / "e.json").read_text())
    assert record["n_images"] == 72 and "leakage" in {one["code"] for one in record["findings"]}
    assert command("score", run, parts, "--out", tmp_path / "scores.csv", "-q")[0] == 0
    assert command("threshold", run, "--policy", "quantile:0.8")[0] == 0
    assert OneClassDetector.load(run).operating_point_.policy == "quantile:0.8"
    assert command("export", run, parts)[0] == 0
    assert command("evaluate", run, parts, "--engine", "onnx", "-q")[0] == 0


def test_an_exported_file_gives_the_scores_of_the_detector(detector, images, tmp_path):
    path = detector.export(tmp_path / "run")
    engine = load_engine(path.parent, "onnx", bundle=tmp_path / "run" / "bundle")
    assert np.allclose(
        score_with(engine, images.test).score, detector.anomaly_scores(images.test), atol=1e-5
    )
    loaded = OneClassDetector.load(tmp_path / "run")
    with pytest.raises(InputError, match="Pass some"):
        loaded.export(tmp_path / "other")
    assert loaded.export(tmp_path / "other", images.calibration).exists()


def test_a_report_is_one_file(detector, images, tmp_path):
    text = detector.report(tmp_path / "report.html", images.test).read_text()
    assert "OneClassDetector" in text and "ROC AUC" in text


def test_arrays_are_judged_by_their_labels(images):
    made = OneClassDetector(latent=2, **QUICK).fit(blobs(40))
    record = made.evaluate(images.array(), images.is_anomalous)
    assert record.metrics["roc_auc"].n == 72
    with pytest.raises(InputError, match="its own labels"):
        made.evaluate(images, images.is_anomalous)


def test_classifiers_and_reconstructors_are_judged_too(images):
    classifier = AutoencoderClassifier(width=4, **QUICK).fit(images)
    assert classifier.evaluate(images.test).metrics["accuracy"].value == classifier.score(
        images.test
    )
    rng = np.random.default_rng(0)
    several = AutoencoderClassifier(width=4, **QUICK).fit(blobs(40), rng.integers(0, 2, (40, 3)))
    truth = rng.integers(0, 2, (20, 3))
    truth[0] = 0
    record = several.evaluate(blobs(20, seed=2), truth)
    assert record.metrics["accuracy"].value == several.score(blobs(20, seed=2), truth)
    autoencoder = Autoencoder(latent=2, **QUICK).fit(images.train)
    errors = autoencoder.reconstruction_errors(images.test)["mse"]
    assert autoencoder.evaluate(images.test).metrics["mse"].value == pytest.approx(
        errors.mean(), rel=1e-4
    )


def test_a_pickle_holds_no_training_images_and_judges_all_the_same(detector, images, tmp_path):
    data = pickle.dumps(detector)
    again = pickle.loads(data)
    assert again._parts is None
    assert again.evaluate(images.test).metrics == detector.evaluate(images.test).metrics
    assert (
        TrainedRun(again.save(tmp_path / "run")).read_images()["part"].tolist().count("train") > 20
    )


def test_a_folder_that_holds_something_else_is_refused(detector, parts, tmp_path):
    with pytest.raises(OutputError, match="other files"):
        detector.save(parts)
    run = fit_run(
        make_options("detect", source=str(parts), normal=("good",), latent=2, **QUICK),
        tmp_path / "r",
    )
    with pytest.raises(OutputError, match="residua fit"):
        detector.save(run.path)
    assert detector.save(detector.save(tmp_path / "twice")).is_dir()


def test_the_image_set_of_arrays_keeps_its_record(tmp_path):
    made = residua.OneClassDetector(latent=2, **QUICK).fit(ImageSet.from_arrays(blobs(40)))
    recorded = TrainedRun(made.save(tmp_path / "run")).read_images()
    assert set(recorded["part"]) == {"train", "validation", "calibration"}
    assert len(recorded["pixels"]) == 40


def test_a_detector_learns_and_is_saved_as_a_run_that_can_learn_again(digits, tmp_path):
    detector = residua.OneClassDetector("plain", epochs=2, seed=0).fit(digits.train)
    before = detector.anomaly_scores(digits.test[:20])
    ones = digits.test[digits.test.labels == 1]
    better = detector.learn(defects=ones[:12])
    assert np.array_equal(detector.anomaly_scores(digits.test[:20]), before)
    assert better.bundle_.config.learnt
    better.save(tmp_path / "run")
    judged = better.evaluate(digits.test), evaluate_run(tmp_path / "run", "digits").evaluation
    n_calibration = len(better.bundle_.calibration_scores)  # they are among all digits
    for one, n in zip(judged, (12, 12 + n_calibration), strict=True):
        assert [f.measured["n_reused"] for f in one.findings if f.code == "test-reused"] == [n]
    again = residua.OneClassDetector.load(tmp_path / "run")
    assert np.array_equal(again.anomaly_scores(digits.test), better.anomaly_scores(digits.test))
    more = again.learn(defects=ones[12:16])
    assert len(more._features.of("defect")) == 16
    assert len(more._learning.earlier) == 12
    with pytest.raises(InputError, match="labelled as defects"):
        detector.learn(defects=ones[:12], sample=ones[12:])
    seen = digits.train[digits.train.labels == 0]  # the detector has them already
    none = detector.learn(defects=ones[:12], sample=seen)
    assert len(none.bundle_.calibration_scores) == n_calibration
    again.fit(digits.train).save(tmp_path / "run")
    assert not (tmp_path / "run" / "learning.json").exists()
    with pytest.raises(InputError, match="must hold images"):
        detector.learn()
