"""`AutoencoderClassifier`: labels of every kind, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from residua import Autoencoder, AutoencoderClassifier
from residua.errors import InputError, LabelError, ShapeError
from residua.images import ImageSet
from residua.training.fitting.augmentation_choice import choose_augmentations, mirror_votes
from residua.training.fitting.targets import index_targets, read_targets
from training_wing import blobs

QUICK = {"width": 4, "epochs": 3, "batch_size": 20, "seed": 0, "precision": "fp32", "augment": ()}


def bright_and_dark(n: int = 80) -> tuple[np.ndarray, np.ndarray]:
    """Blobs, every other one at a third of its brightness: two classes that take a glance."""
    images = blobs(n)
    dark = np.arange(n) % 2 == 0
    images[dark] //= 3
    return images, np.where(dark, "dark", "bright")


@pytest.fixture(scope="module")
def two():
    images, labels = bright_and_dark()
    return AutoencoderClassifier("joint", **{**QUICK, "epochs": 30}).fit(images, labels)


def test_string_labels_come_back_as_they_were(two):
    images, labels = bright_and_dark()
    assert two.classes_.tolist() == ["bright", "dark"]
    assert set(two.predict(images)) <= {"bright", "dark"}
    assert two.score(images, labels) > 0.8


def test_two_classes_have_two_columns_that_sum_to_one(two):
    probabilities = two.predict_proba(blobs(9))
    assert probabilities.shape == (9, 2)
    assert probabilities.sum(1) == pytest.approx(np.ones(9), abs=1e-6)


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 1, 0],
        np.array([0.0, 1.0, 1.0, 0.0]),
        [False, True, True, False],
        [[1, 0], [0, 1], [0, 1], [1, 0]],
        np.array([[0], [1], [1], [0]]),
        np.ma.masked_array([0, 1, 1, 0]),
    ],
)
def test_the_same_labels_in_any_form_are_the_same_targets(labels):
    read = read_targets(labels, 4)
    assert read.values.tolist() == [0, 1, 1, 0]
    assert read.classes == (0, 1)


def test_missing_labels_are_no_class():
    for labels in (["a", None, "b", ""], ["a", float("nan"), "b", None]):
        assert read_targets(labels, 4).values.tolist() == [0, -1, 1, -1]
    assert read_targets(np.ma.masked_array([0, 1, 2], [False, True, False]), 3).values.tolist() == [
        0,
        -1,
        1,
    ]
    assert read_targets([[0, 1], [np.nan, np.nan], [1, 0]], 3).values.tolist() == [1, -1, 0]


def test_one_hot_rows_are_classes_unless_said_otherwise_and_it_is_told():
    rows = [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert not read_targets(rows, 3).multilabel
    assert "one-hot" in read_targets(rows, 3).notes[0]
    assert read_targets(rows, 3, multilabel=True).multilabel


@pytest.mark.parametrize(
    ("labels", "kind", "words"),
    [
        ([0, 1], ShapeError, "one entry per image. Got 2 for 3 images"),
        ([[0, 1], [1, 0]], ShapeError, "one row per image. Got 2 for 3 images"),
        (
            ["a", "a", "a"],
            LabelError,
            "at least two classes. Got 3 images of class 'a' alone.*OneClassDetector",
        ),
        ([None, None, None], LabelError, "some images must have a label"),
        ([0.5, 1, 0], LabelError, "whole numbers or names"),
        ([[0, 2], [1, 0], [0, 1]], LabelError, "must hold 0 and 1"),
        ([[0, np.nan], [1, 0], [0, 1]], LabelError, "in full or not at all"),
    ],
)
def test_labels_that_are_none_are_refused_with_a_sentence(labels, kind, words):
    with pytest.raises(kind, match=words):
        read_targets(labels, 3)


def test_labels_must_be_given():
    with pytest.raises(LabelError, match="labels must be given"):
        AutoencoderClassifier(**QUICK).fit(blobs(12))


def test_one_hot_that_is_not_is_refused():
    with pytest.raises(LabelError, match="exactly one 1"):
        read_targets([[1, 1], [0, 1]], 2, multilabel=False)


def test_a_class_unknown_at_test_time_is_refused_by_name(two):
    with pytest.raises(LabelError, match="Got green, where it knows bright, dark"):
        two.score(blobs(2), ["bright", "green"])
    with pytest.raises(LabelError, match="Got 7"):
        index_targets([1, 7], (0, 1), where="here")


def test_a_class_in_calibration_that_was_not_in_training_is_refused():
    images, labels = bright_and_dark(24)
    with pytest.raises(LabelError, match=r"calibration.*green"):
        AutoencoderClassifier(**QUICK).fit(
            images, labels, calibration=(blobs(2), ["bright", "green"])
        )


def test_a_class_missing_from_calibration_is_told():
    images, labels = bright_and_dark(40)
    held, names = bright_and_dark(240)
    only = names == "dark"
    classifier = AutoencoderClassifier(**QUICK).fit(
        images, labels, calibration=(held[only], names[only])
    )
    assert "no image there is of bright" in " ".join(classifier.notes_)


def test_images_kept_aside_without_a_mistake_do_not_make_the_model_certain(two):
    held, names = bright_and_dark(240)
    images, labels = bright_and_dark()
    sure = AutoencoderClassifier("joint", **{**QUICK, "epochs": 30}).fit(
        images, labels, calibration=(held, names)
    )
    right = sure.predict(held) == names
    largest = sure.predict_proba(held).max(axis=1)
    assert "temperature" in " ".join(sure.notes_)
    assert np.log(1 - largest[right]).mean() > np.log(
        1 / 240**2
    )  # an unbounded temperature leaves less than a millionth
    assert two.score(held, names) > 0.8


def test_probabilities_asked_of_a_model_that_does_not_classify_are_refused(tmp_path):
    model = Autoencoder(latent=2, epochs=1, batch_size=8).fit(blobs(12))
    with pytest.raises(
        InputError, match=r"Autoencoder.predict_proba.*does not classify.*AutoencoderClassifier"
    ):
        model.predict_proba(blobs(2))
    assert not hasattr(model, "predict_proba")
    model.save(tmp_path / "bundle")
    with pytest.raises(InputError, match=r"of the job classify\. Got reconstruct"):
        AutoencoderClassifier.load(tmp_path / "bundle")


def test_several_labels_at_once_are_a_sigmoid_each():
    images = blobs(60)
    labels = np.stack([np.arange(60) % 2 == 0, np.arange(60) % 3 == 0], 1).astype(int)
    images[labels[:, 0] == 1] //= 3
    classifier = AutoencoderClassifier(**QUICK).fit(images, labels)
    probabilities = classifier.predict_proba(images)
    assert probabilities.shape == (60, 2)
    assert not np.allclose(probabilities.sum(1), 1, atol=1e-3)
    assert np.isin(classifier.predict(images), (0, 1)).all()
    assert 0 <= classifier.score(images, labels) <= 1


def test_balanced_weights_turn_rare_classes_up():
    images, labels = bright_and_dark(60)
    rare = np.concatenate(
        [np.flatnonzero(labels == "dark")[:5], np.flatnonzero(labels == "bright")]
    )
    classifier = AutoencoderClassifier(class_weight="balanced", **QUICK).fit(
        images[rare], labels[rare]
    )
    weights = dict(
        zip(
            classifier.classes_,
            classifier.bundle_.config.recipe_options["class_weights"],
            strict=True,
        )
    )
    assert weights["dark"] > 4 * weights["bright"]
    given = AutoencoderClassifier(class_weight={"dark": 9}, **QUICK).fit(images[rare], labels[rare])
    assert given.bundle_.config.recipe_options["class_weights"] == [1.0, 9.0]
    with pytest.raises(LabelError, match=r"class_weight.*green"):
        AutoencoderClassifier(class_weight={"green": 9}, **QUICK).fit(images, labels)


def test_what_training_mirrors_is_averaged_with_its_mirror_image_unless_told_otherwise(tmp_path):
    images, labels = bright_and_dark(40)
    made = AutoencoderClassifier(**{**QUICK, "augment": ("flip",)}).fit(images, labels)
    np.testing.assert_allclose(
        made.predict_proba(images), made.predict_proba(images[:, :, ::-1]), atol=1e-6
    )
    made.save(tmp_path / "bundle")
    assert np.array_equal(
        AutoencoderClassifier.load(tmp_path / "bundle").predict_proba(images),
        made.predict_proba(images),
    )
    alone = AutoencoderClassifier(mirrored=False, **{**QUICK, "augment": ("flip",)}).fit(
        images, labels
    )
    assert not np.allclose(
        alone.predict_proba(images), alone.predict_proba(images[:, :, ::-1]), atol=1e-6
    )
    assert not AutoencoderClassifier(**QUICK).fit(images, labels).bundle_.graph.scorer.mirrored


def test_threads_that_would_wait_on_a_busy_machine_are_told(monkeypatch):
    monkeypatch.setattr("residua.training.fitting.session.is_busy", lambda: True)
    told = [
        AutoencoderClassifier(**{**QUICK, "epochs": 1, "threads": n})
        .fit(*bright_and_dark(20))
        .notes_
        for n in (2, 1)
    ]
    assert [any("--threads 1 may be faster" in note for note in notes) for notes in told] == [
        True,
        False,
    ]


def test_an_option_that_a_strategy_does_not_have_is_refused():
    with pytest.raises(InputError, match="strategy plain: option weight"):
        AutoencoderClassifier("plain", weight=0.5, **QUICK).fit(*bright_and_dark(20))


def chosen(images, classes):
    return choose_augmentations(
        ImageSet.from_arrays(images), read_targets(classes, len(images)), seed=0
    )


def test_mirroring_is_on_where_mirrored_neighbours_help_and_off_where_they_harm():
    rng = np.random.default_rng(0)
    shapes = rng.integers(0, 256, (40, 8, 8)).astype(
        np.uint8
    )  # each class is a shape, half of its images mirrored
    images = np.repeat(shapes, 6, axis=0)
    mirrored = np.arange(len(images)) % 6 == 0
    images[mirrored] = images[mirrored][:, :, ::-1]
    names, words = chosen(images, np.repeat(np.arange(40), 6))
    assert names == ("flip", "crop")
    assert "images and spoil that of 0;" in words
    handed = np.where(mirrored, 1, 0)  # here the class is the side it faces
    votes = mirror_votes(images[..., None].astype(np.float32) / 255, handed)
    assert votes.harmed > votes.helped
    assert chosen(images, handed)[0] == ("crop",)


def test_mirroring_is_on_where_things_face_both_ways_off_for_digits_and_off_where_there_are_too_few_to_tell(
    digits,
):
    rng = np.random.default_rng(0)
    symmetric = (
        np.arange(80) % 4
    )  # how bright an image is: mirrored neighbours alone tell it as well
    noise = rng.integers(0, 40, (80, 8, 8))
    images = (noise + 50 * symmetric[:, None, None]).astype(np.uint8)
    assert chosen(images, symmetric)[0] == ("flip", "crop")
    assert "40 labelled images do not show" in chosen(images[:40], symmetric[:40])[1]
    assert choose_augmentations(digits[:300], read_targets(digits.labels[:300], 300), seed=0)[
        0
    ] == ("crop",)


def test_mirror_votes_count_by_hand():
    left, right = np.zeros((2, 2, 4, 1), np.float32)
    left[:, 0], right[:, 3] = 1, 1
    faint = 0.9
    images = np.stack([left, left * faint, right * faint, right])
    assert mirror_votes(images, np.array([0, 0, 0, 0])) == (0, 0, 0, 0)
    assert mirror_votes(images, np.array([0, 0, 1, 1])) == (0, 4, 4, 0)  # the side is the class


def test_classes_of_numbers_as_text_are_in_the_order_of_numbers_and_a_bundle_keeps_its_own() -> (
    None
):
    texts = [str(number) for number in range(12)]
    assert read_targets(texts[::-1] * 2, 24).classes == tuple(texts)
    earlier = ("0", "1", "10", "11", "2")  # as bundles of earlier versions hold them
    assert index_targets(["2", "10"], earlier, where="score").tolist() == [4, 2]
