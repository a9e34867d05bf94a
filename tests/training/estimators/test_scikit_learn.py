"""The estimators in scikit-learn's hands: its own checks, searches, pipelines, named outputs.

scikit-learn's checks pass rows of numbers of any range. Estimators of images tag that they take
none, so that `check_estimator` would ask almost nothing. Here each row becomes an image.
"""

from __future__ import annotations

import numpy as np
import pandas
import pytest
from sklearn.base import clone
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    get_scorer,
    precision_score,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_array

from residua import Autoencoder, AutoencoderClassifier, OneClassDetector, load_images, scorer
from residua.errors import InputError, LabelError, ShapeError
from residua.images import ImageSet


class OfRows:
    """Each row as an image of stripes, 8 high and 4 pixels wide per number."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags

    @staticmethod
    def _images(X, y=None, *, reading=None):
        if not isinstance(X, ImageSet) and getattr(X, "ndim", 0) != 4:
            rows = check_array(X).astype(float)
            grey = (1 / (1 + np.exp(-np.clip(rows, -50, 50)))).astype(np.float32)
            X = np.repeat(np.repeat(grey[:, None, :, None], 8, 1), 4, 2)
        return Autoencoder._images(X, y, reading=reading)

    def _fit(self, train, calibration, watching):
        fitted = super()._fit(train, calibration, watching)
        self.n_features_in_ //= 8 * 4
        return fitted


class AutoencoderOfRows(OfRows, Autoencoder): ...


class ClassifierOfRows(OfRows, AutoencoderClassifier): ...


class DetectorOfRows(OfRows, OneClassDetector):
    def fit(self, X, y=None, *, calibration=None):
        """Without the labels of the checks, which are classes."""
        return super().fit(X, calibration=calibration)


ANY_SIZE = "images of any size are taken and resized: a number of features is never wrong"
WORDS = "the error is ours: it speaks of images and labels, and says how to mend"
FLAGGED = (
    "scores are float32; `contamination` is the share of hidden anomalies in calibration, not the"
    " share of images that is flagged; near-perfect reconstructions are all normal"
)
ONE_EPOCH = "the classifier of this test has learnt for one epoch"
EXPECTED = {
    "check_n_features_in_after_fitting": ANY_SIZE,
    "check_transformer_general": ANY_SIZE,
    "check_fit2d_1sample": WORDS,
}
EXPECTED_OF_DETECTORS = {
    "check_outliers_train": FLAGGED,
    "check_outliers_fit_predict": FLAGGED,
    "check_fit_score_takes_y": "`score` asks what is anomalous, and the labels are three classes",
}
EXPECTED_OF_CLASSIFIERS = {
    "check_classifiers_train": ONE_EPOCH,
    "check_class_weight_classifiers": ONE_EPOCH,
    "check_classifiers_regression_target": WORDS,
    "check_requires_y_none": WORDS,
    "check_supervised_y_2d": "labels of shape (n, 1) mean one thing, so nothing is warned of",
}


def expected(estimator):
    own = {DetectorOfRows: EXPECTED_OF_DETECTORS, ClassifierOfRows: EXPECTED_OF_CLASSIFIERS}
    return EXPECTED | own.get(type(estimator), {})


@parametrize_with_checks(
    [AutoencoderOfRows("pca"), DetectorOfRows("pca")], expected_failed_checks=expected
)
def test_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [ClassifierOfRows("plain", epochs=1, latent=2)], expected_failed_checks=expected
)
def test_the_checks_of_scikit_learn_of_a_classifier(estimator, check):
    check(estimator)


def test_tags_say_what_the_estimators_are():
    for made, kind in (
        (Autoencoder(), None),
        (OneClassDetector(), "outlier_detector"),
        (AutoencoderClassifier(), "classifier"),
    ):
        tags = get_tags(made)
        assert tags.estimator_type == kind
        assert tags.transformer_tags is not None
        assert (tags.input_tags.two_d_array, tags.input_tags.three_d_array) == (False, True)


@pytest.fixture(scope="module")
def labelled():
    """Zeros and some other digits, as arrays."""
    digits = load_images("digits")
    rows = np.concatenate([np.flatnonzero(digits.labels == 0), np.flatnonzero(digits.labels == 4)])
    part = digits[np.random.default_rng(0).permutation(rows)]
    return part.array(), (part.labels != 0).astype(int)


@pytest.mark.parametrize(
    "labels",
    [
        lambda y: y,
        lambda y: 1 - 2 * y,
        lambda y: y.astype(bool),
        lambda y: np.array(["good", "scratch"])[y],
        lambda y: pandas.Series(np.array(["ok", "nok"])[y]),
    ],
    ids=["0 and 1", "+1 and -1", "booleans", "names", "pandas"],
)
def test_a_detector_leaves_anomalies_out_of_fit_counts_them_and_scores_all(labelled, labels):
    images, anomalous = labelled
    y = labels(anomalous)
    plain = OneClassDetector("pca").fit(images[anomalous == 0])
    made = OneClassDetector("pca").fit(images, y)
    assert made.notes_[0].startswith(f"{anomalous.sum()} images with other labels were left out")
    assert np.array_equal(made.anomaly_scores(images), plain.anomaly_scores(images))
    assert made.score(images, y) == roc_auc_score(anomalous, made.anomaly_scores(images))
    assert np.array_equal(OneClassDetector("pca").fit_predict(images, y), plain.predict(images))


def test_what_counts_as_normal_without_a_label_that_says_so_is_told(labelled):
    images, anomalous = labelled
    some = [None, *anomalous.tolist()[1:]]
    made = OneClassDetector("pca").fit(images, some)
    assert "1 is anomalous, 0 normal, 1 without a label too" in made.notes_[0]
    made = OneClassDetector("pca").fit(load_images(images, labels=anomalous))
    assert made.notes_[0].startswith("no label was named as normal")


def test_a_detector_is_evaluated_by_labels_of_scikit_learn(labelled):
    images, anomalous = labelled
    made = OneClassDetector("pca").fit(images, 1 - 2 * anomalous)
    record = made.evaluate(images[:90], 1 - 2 * anomalous[:90])
    assert record.metrics["roc_auc"].value == made.score(images[:90], anomalous[:90])


@pytest.mark.parametrize(
    ("y", "got"),
    [
        (lambda y: y + 1, "Got 1, 2"),
        (
            np.ones_like,
            "1 alone, which is anomalous beside 0, and normal beside -1.*names, as good and",
        ),
        (lambda y: np.array(["left", "right"])[y], "Got left, right"),
    ],
)
def test_labels_that_could_mean_anything_are_refused(labelled, y, got):
    with pytest.raises(LabelError, match=f"labels must say what is anomalous.*{got}"):
        OneClassDetector("pca").fit(labelled[0], y(labelled[1]))


def test_labels_of_an_object_count_as_those_that_are_passed_and_a_run_says_so(labelled, tmp_path):
    images, anomalous = labelled
    made = OneClassDetector("pca").fit(list(zip(images, anomalous.tolist(), strict=True)))
    assert made.notes_[0].startswith(f"{anomalous.sum()} images")
    assert made.score(list(zip(images, anomalous.tolist(), strict=True))) > 0.9
    made.save(tmp_path / "run")
    assert OneClassDetector.load(tmp_path / "run").notes_ == made.notes_
    with pytest.raises(LabelError, match=r"must say what is anomalous\. Got none"):
        made.score(images)


def test_a_search_over_a_detector_chooses_by_images_of_both_kinds(labelled):
    images, anomalous = labelled
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    search = GridSearchCV(OneClassDetector("pca"), {"latent": [1, 8]}, cv=folds)
    search.fit(images, anomalous)
    assert search.best_score_ > 0.9
    assert search.best_estimator_.n_features_in_ == 64
    own = cross_val_score(
        OneClassDetector("pca", latent=8), images, 1 - 2 * anomalous, cv=folds, scoring="roc_auc"
    )
    assert own == pytest.approx(
        [search.cv_results_[f"split{fold}_test_score"][1] for fold in range(2)]
    )


def test_scorers_read_labels_as_fit_does_and_those_of_scikit_learn_are_warned_of(labelled):
    images, anomalous = labelled
    folds = StratifiedKFold(2, shuffle=True, random_state=0)
    detector = OneClassDetector("pca", latent=8)
    wanted = [
        roc_auc_score(anomalous[test], one.anomaly_scores(images[test]))
        for train, test in folds.split(images, anomalous)
        for one in [clone(detector).fit(images[train], anomalous[train])]
    ]
    own = cross_val_score(detector, images, anomalous, cv=folds, scoring=scorer("roc_auc"))
    assert own == pytest.approx(wanted)
    with pytest.warns(UserWarning, match=r"fit got 0, 1, so its scores are upside down.*scorer"):
        upside_down = cross_val_score(detector, images, anomalous, cv=folds, scoring="roc_auc")
    assert upside_down == pytest.approx(1 - own)
    names = np.where(anomalous == 1, "bad", "good")  # by alphabet, the last one is normal
    with pytest.warns(UserWarning, match="fit got bad, good, so its scores may be upside down"):
        assert cross_val_score(
            detector, images, names, cv=folds, scoring="roc_auc"
        ) == pytest.approx(own)
    with pytest.raises(ShapeError, match="one entry per image"):
        scorer("roc_auc")(clone(detector).fit(images), images, anomalous[:-1])
    chain = make_pipeline(FunctionTransformer(), clone(detector)).fit(images, anomalous)
    with pytest.warns(UserWarning, match=r"predict: a scorer of scikit-learn takes \+1"):
        get_scorer("accuracy")(chain, images, anomalous)
    both = {name: scorer(name) for name in ("f1", "roc_auc")}
    search = GridSearchCV(detector, {"latent": [1, 8]}, cv=folds, scoring=both, refit="f1")
    search.fit(images, anomalous)
    found = search.best_estimator_.predict(images) == -1
    assert both["f1"](search.best_estimator_, images, anomalous) == f1_score(anomalous, found)
    for name, function in (
        ("precision", precision_score),
        ("recall", recall_score),
        ("balanced_accuracy", balanced_accuracy_score),
    ):
        assert scorer(name)(chain, images, anomalous) == pytest.approx(
            function(anomalous, chain.predict(images) == -1)
        )
    some = [None, *anomalous.tolist()[1:]]
    assert scorer("average_precision")(chain, images, some) == pytest.approx(
        average_precision_score(anomalous[1:], -chain.score_samples(images)[1:])
    )
    with pytest.raises(InputError, match=r"must be one of roc_auc, .*Got 'auc'"):
        scorer("auc")


@pytest.mark.parametrize("labels", [lambda y: y, lambda y: np.array(["good", "scratch"])[y]])
def test_a_part_of_one_kind_is_read_as_fit_read_the_whole(labelled, labels):
    images, anomalous = labelled
    made = OneClassDetector("pca").fit(images, labels(anomalous))
    bad = anomalous == 1
    assert np.isnan(made.score(images[bad], labels(anomalous[bad])))
    record = made.evaluate(images[bad], labels(anomalous[bad]))
    assert record.metrics["recall"].value > 0.9
    assert record.metrics["roc_auc"].value is None
    assert np.isnan(made.score(images[bad], -np.ones(bad.sum(), int)))
    with pytest.raises(LabelError, match="1 alone, which is anomalous beside 0"):
        OneClassDetector("pca").fit(images[~bad]).score(images[bad], np.ones(bad.sum(), int))


def test_labels_that_contradict_those_of_the_images_are_refused(labelled):
    images, anomalous = labelled
    pairs = list(zip(images, anomalous.tolist(), strict=True))
    same = OneClassDetector("pca").fit(pairs, anomalous)
    assert same.score(pairs, anomalous) > 0.9
    for fault in (
        lambda: OneClassDetector("pca").fit(pairs, 1 - anomalous),
        lambda: OneClassDetector("pca").fit(load_images(pairs), np.roll(anomalous, 1)),
        lambda: AutoencoderClassifier().fit(pairs, 1 - anomalous),
        lambda: same.score(pairs, 1 - anomalous),
        lambda: same.evaluate(pairs, np.roll(anomalous, 1)),
    ):
        with pytest.raises(
            LabelError, match=r"must agree with those .* Got \d+ labels that differ"
        ):
            fault()


def test_codes_come_as_a_named_frame_and_pipelines_hold_an_estimator(labelled):
    images, anomalous = labelled
    chain = make_pipeline(
        FunctionTransformer(lambda X: X[:, ::2, ::2]), OneClassDetector("pca", latent=3)
    )
    chain.fit(images, anomalous)
    chain[-1].set_output(transform="pandas")
    assert chain.decision_function(images).shape == anomalous.shape
    frame = chain[-1].transform(images[:5, ::2, ::2])
    assert frame.columns.tolist() == ["code0", "code1", "code2"]
    assert chain[-1].n_features_in_ == 16


def test_there_is_no_number_of_features_where_sizes_differ(labelled):
    images = list(labelled[0][:20]) + [image[:7] for image in labelled[0][20:40]]
    assert not hasattr(Autoencoder("pca", size=8).fit(images), "n_features_in_")
