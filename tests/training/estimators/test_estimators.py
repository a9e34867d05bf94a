"""The estimators keep scikit-learn's conventions and say what is wrong before they train."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from sklearn.base import clone, is_outlier_detector
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

import residua
from residua import Autoencoder, OneClassDetector
from residua.errors import InputError, LabelError, PolicyError, ResiduaError, ShapeError
from residua.images import ImageSet
from residua.training.fitting.splits import hold_out
from residua.training.recipes import make_recipe
from training_wing import blobs

ESTIMATORS = [Autoencoder, OneClassDetector]
every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


@pytest.fixture(scope="module")
def detector():
    return OneClassDetector(latent=3, epochs=4, batch_size=16).fit(blobs(120, (8, 8)))


@pytest.fixture(scope="module")
def autoencoder():
    return Autoencoder(latent=3, epochs=4, batch_size=16).fit(blobs(60, (8, 8)))


@pytest.fixture(scope="module")
def images():
    return blobs(20, (8, 8), seed=1)


@every_estimator
def test_parameters_are_the_signature_and_survive_clone_and_set_params(estimator):
    names = set(inspect.signature(estimator).parameters)
    made = estimator(latent=7, epochs=2, augment=("flip",))
    assert set(made.get_params()) == names
    assert clone(made).get_params() == made.get_params()
    assert made.set_params(seed=9).get_params()["seed"] == 9
    assert clone(estimator(make_recipe("plain", family="dense"))).get_params()[
        "recipe"
    ] == make_recipe("plain", family="dense")


@every_estimator
def test_nothing_is_checked_or_learnt_before_fit(estimator):
    made = estimator("no such recipe", epochs=-5)
    assert not [name for name in vars(made) if name.endswith("_")]
    assert "epochs=-5" in repr(made)


@every_estimator
@pytest.mark.parametrize("method", ["transform", "reconstruct"])
def test_asking_before_fit_raises_the_error_of_both_trees(estimator, method, images):
    with pytest.raises(NotFittedError, match="Call fit") as caught:
        getattr(estimator(), method)(images)
    assert isinstance(caught.value, ResiduaError)
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator())


@pytest.mark.parametrize(
    "method",
    ["anomaly_scores", "predict", "error_maps", "score_samples", "decision_function", "save"],
)
def test_a_detector_before_fit_says_so_whatever_is_asked(method, images, tmp_path):
    with pytest.raises(NotFittedError, match="Call fit"):
        getattr(OneClassDetector(), method)(tmp_path / "bundle" if method == "save" else images)


def test_fit_returns_the_estimator_and_learns_attributes(detector, autoencoder):
    check_is_fitted(detector)
    check_is_fitted(autoencoder)
    assert list(detector.history_) == ["epoch", "train_loss", "validation_loss", "seconds"]
    assert any("held out of train for calibration" in note for note in detector.notes_)
    assert is_outlier_detector(detector)
    assert detector.offset_ == -detector.operating_point_.threshold


def test_fitting_again_forgets_the_first_fit(images):
    made = OneClassDetector(latent=2, epochs=1)
    first = made.fit(blobs(24, (8, 8))).anomaly_scores(images)
    other = made.fit(255 - blobs(24, (8, 8))).anomaly_scores(images)
    again = made.fit(blobs(24, (8, 8))).anomaly_scores(images)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_signs_are_those_of_scikit_learn(detector, images):
    scores = detector.anomaly_scores(images)
    assert np.array_equal(detector.score_samples(images), -scores)
    decision = detector.decision_function(images)
    assert np.array_equal(decision, np.float32(detector.operating_point_.threshold) - scores)
    assert np.array_equal(detector.predict(images), np.where(decision < 0, -1, 1))
    noise = np.random.default_rng(0).integers(0, 256, images.shape).astype(np.uint8)
    assert (detector.predict(noise) == -1).all()
    assert (detector.predict(blobs(120, (8, 8))) == 1).mean() > 0.8


def test_results_have_the_types_and_shapes_promised(detector, autoencoder, images):
    assert detector.anomaly_scores(images).dtype == np.float32
    assert detector.predict(images).dtype == np.int64
    assert autoencoder.transform(images).shape == (20, 3)
    assert autoencoder.reconstruct(images).shape == (20, 8, 8, 1)
    assert autoencoder.reconstruct(images).dtype == np.float32


def test_inverse_transform_of_codes_is_the_reconstruction(autoencoder, images):
    rebuilt = autoencoder.inverse_transform(autoencoder.transform(images))
    assert np.allclose(rebuilt, autoencoder.reconstruct(images), atol=1e-5)
    with pytest.raises(ShapeError, match=r"\(n_images, 3\)"):
        autoencoder.inverse_transform(np.zeros((2, 4)))


def test_errors_and_score_are_those_of_the_judging_wing(autoencoder, images):
    as_float = images.astype(np.float32) / 255
    rebuilt = autoencoder.reconstruct(images)
    errors = autoencoder.reconstruction_errors(images)
    for name in ("mse", "mae", "ssim"):
        assert np.allclose(
            errors[name], getattr(residua.metrics, name)(as_float, rebuilt), atol=1e-5
        )
    assert autoencoder.score(images) == pytest.approx(-errors["mse"].mean())


def test_fit_transform_and_fit_predict_are_fit_and_then_the_other():
    images = blobs(24, (8, 8))
    codes = Autoencoder(latent=2, epochs=1).fit_transform(images)
    assert np.array_equal(codes, Autoencoder(latent=2, epochs=1).fit(images).transform(images))
    found = OneClassDetector(latent=2, epochs=1).fit_predict(images)
    assert np.array_equal(found, OneClassDetector(latent=2, epochs=1).fit(images).predict(images))


def test_calibration_may_stand_second_or_by_name_as_array_or_image_set(images):
    train, calibration = blobs(40, (8, 8)), blobs(30, (8, 8), seed=4)
    sets = ImageSet.from_arrays(train), ImageSet.from_arrays(calibration)
    made = OneClassDetector(latent=2, epochs=1)
    points = [
        made.fit(train, calibration).operating_point_,
        made.fit(train, calibration=calibration).operating_point_,
        made.fit(*sets).operating_point_,
        made.fit(train, np.zeros(40), calibration=calibration).operating_point_,
    ]
    assert all(point == points[0] for point in points)
    assert points[0].rates["false_alarm_rate"].n == 30
    assert not any("held out" in note and "calibration" in note for note in made.notes_)
    assert np.array_equal(made.bundle_.calibration_scores, made.anomaly_scores(calibration))


def test_images_with_and_without_a_channel_axis_and_as_floats_give_the_same_scores(
    detector, images
):
    scores = detector.anomaly_scores(images)
    assert np.array_equal(detector.anomaly_scores(images[..., 0]), scores)
    assert np.array_equal(
        detector.anomaly_scores(images.astype(np.float32) / np.float32(255)), scores
    )


def test_of_an_image_set_with_named_normals_the_others_are_left_out_and_counted(digits):
    several = residua.load_images("digits").with_normal(["0"]).train
    made = OneClassDetector(latent=2, epochs=1).fit(several)
    n_others = int(several.is_anomalous.sum())
    assert made.notes_[0].startswith(f"{n_others} images")
    assert made.bundle_.config.normal == ("0",)
    training = made.bundle_.config.training
    assert (
        training.images + training.validation_images + len(made.bundle_.calibration_scores)
        == len(several) - n_others
    )


@pytest.mark.parametrize("labels", [[0] * 11 + [-1], [3] * 12, ["left"] * 12])
def test_labels_that_do_not_say_what_is_anomalous_are_refused(labels):
    with pytest.raises(LabelError, match=r"labels must say what is anomalous\. Got"):
        OneClassDetector(epochs=1).fit(blobs(12, (8, 8)), labels)


@every_estimator
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": 1, "minutes": 1}, "exclude each other"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": -1}, "learning_rate"),
        ({"seed": -1}, "seed"),
        ({"precision": "fp7"}, "precision"),
        ({"latent": 0}, "latent"),
        ({"size": 4}, "between 8 and 4096"),
        ({"augment": ("spin",)}, "flip, shift, crop, brightness"),
        ({"recipe": "plian"}, "Did you mean plain"),
    ],
    ids=str,
)
def test_bad_options_are_refused_by_fit_with_a_sentence(estimator, options, sentence):
    with pytest.raises(InputError, match=sentence):
        estimator(**options).fit(blobs(12, (8, 8)))


@every_estimator
@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((0, 8, 8), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((12, 8), np.uint8),
        np.full((12, 8, 8), 7.0),
        np.full((12, 8, 8), np.nan),
    ],
    ids=["none", "three", "flat", "out of range", "nan"],
)
def test_bad_images_are_refused_by_fit_with_a_sentence(estimator, bad):
    with pytest.raises(InputError, match="Got"):
        estimator(epochs=1).fit(bad)


def test_images_under_8_pixels_need_a_larger_size():
    with pytest.raises(InputError, match="--size"):
        Autoencoder(epochs=1).fit(np.zeros((12, 6, 6), np.uint8))
    assert Autoencoder(epochs=1, size=8, latent=1).fit(blobs(12, (6, 6))).transform(
        blobs(2, (6, 6))
    ).shape == (2, 1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("method", ["transform", "reconstruct"])
def test_images_of_another_channel_count_are_refused(estimator, method, detector, autoencoder):
    fitted = detector if estimator is OneClassDetector else autoencoder
    with pytest.raises(ShapeError, match=r"grey \(1 channel\).*Got colour \(3 channels\)"):
        getattr(fitted, method)(blobs(2, (8, 8), 3))


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("nonsense", "Write one of"),
        ("recall>=0.9", "needs some that are labelled"),
        ("false-alarms<=0.001", "2995"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused_before_training(policy, sentence, monkeypatch):
    monkeypatch.setattr(
        "residua.training.fitting.session.train_network",
        lambda *_, **__: pytest.fail("trained first"),
    )
    with pytest.raises(PolicyError, match=sentence):
        OneClassDetector(policy=policy, epochs=1).fit(blobs(40, (8, 8)))


def test_an_empty_or_different_calibration_set_is_refused_before_training(monkeypatch):
    monkeypatch.setattr(
        "residua.training.fitting.session.train_network",
        lambda *_, **__: pytest.fail("trained first"),
    )
    with pytest.raises(InputError, match="calibration must hold images"):
        OneClassDetector(epochs=1).fit(blobs(40, (8, 8)), calibration=blobs(40, (8, 8))[:0])
    with pytest.raises(ShapeError, match="same number of channels"):
        OneClassDetector(epochs=1).fit(blobs(40, (8, 8)), calibration=blobs(20, (8, 8), 3))


def test_another_threshold_comes_from_the_same_calibration_scores(images):
    made = OneClassDetector(latent=2, epochs=1).fit(blobs(60, (8, 8)), blobs(100, (8, 8), seed=4))
    scores = made.anomaly_scores(images)
    assert made.operating_point_.policy == "false-alarms<=0.05"
    point = made.choose_threshold("quantile:0.5")
    assert made.operating_point_ == point
    assert np.array_equal(made.anomaly_scores(images), scores)
    assert np.array_equal(made.predict(images) == -1, scores > np.float32(point.threshold))
    assert made.choose_threshold("0.125").threshold == 0.125
    with pytest.raises(PolicyError):
        made.choose_threshold("recall>=0.9")


def test_holding_out_is_seeded_disjoint_complete_and_keeps_groups_together():
    groups = [f"g{index // 3}" for index in range(30)]
    images = ImageSet.from_arrays(blobs(30, (8, 8)), groups=groups)
    kept, held = hold_out(images, 0.2, seed=0)
    assert sorted([*kept.paths, *held.paths]) == sorted(images.paths)
    assert not set(kept.groups) & set(held.groups)
    assert len(held) >= 6
    assert hold_out(images, 0.2, seed=0)[1].paths.tolist() == held.paths.tolist()
    assert any(
        hold_out(images, 0.2, seed=seed)[1].paths.tolist() != held.paths.tolist()
        for seed in range(1, 5)
    )


@pytest.mark.parametrize("seed", range(6))
def test_one_group_that_is_half_of_the_set_stays_in_training(seed):
    groups = ["chain"] * 30 + [f"g{index // 2}" for index in range(30)]
    held = hold_out(ImageSet.from_arrays(blobs(60, (8, 8)), groups=groups), 0.1, seed=seed)[1]
    assert "chain" not in held.groups
    assert len(held) == 6


def test_where_every_group_is_large_the_smallest_is_held_out():
    groups = ["a"] * 12 + ["b"] * 8 + ["c"] * 10
    held = hold_out(ImageSet.from_arrays(blobs(30, (8, 8)), groups=groups), 0.1, seed=0)[1]
    assert set(held.groups) == {"b"}


def test_holding_out_never_takes_everything():
    two = ImageSet.from_arrays(blobs(2, (8, 8)))
    assert [len(part) for part in hold_out(two, 0.9, seed=0)] == [1, 1]


@every_estimator
def test_a_saved_estimator_of_another_job_is_refused(estimator, detector, autoencoder, tmp_path):
    other = autoencoder if estimator is OneClassDetector else detector
    other.save(tmp_path / "bundle")
    with pytest.raises(InputError, match="Use the estimator of that job"):
        estimator.load(tmp_path / "bundle")


def test_resizing_is_told_and_stored(images):
    made = Autoencoder(latent=2, epochs=1, size=16, aspect="keep").fit(blobs(12, (20, 30)))
    assert made.bundle_.config.size == (11, 16)
    assert any("resized to 11x16, proportions kept" in note for note in made.notes_)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (9, 13), (17, 31), (64, 40)], ids=str)
def test_any_size_and_colour_is_fitted(size, channels):
    images = blobs(12, size, channels)
    made = OneClassDetector(latent=1, epochs=1).fit(images)
    assert np.isfinite(made.anomaly_scores(images)).all()
    assert made.reconstruct(images).shape == (12, *size, channels)
    assert [error_map.shape for error_map in made.error_maps(images)] == [size] * 12


def test_sixteen_bit_images_are_not_rounded_to_eight():
    fine = (blobs(16, (8, 8)).astype(np.uint16) * 200 + 13) % 65521
    made = Autoencoder(latent=2, epochs=1).fit(fine)
    assert made.bundle_.config.bits == "more"
    shifted = made.reconstruction_errors(fine + np.uint16(20))["mse"]
    assert not np.array_equal(shifted, made.reconstruction_errors(fine)["mse"])
