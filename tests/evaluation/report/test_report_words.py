import json
import math

import numpy as np
import pytest
from report_samples import detector, standing

from residua.evaluation import evaluate_classification, evaluate_detection, evaluate_reconstruction
from residua.evaluation.report import to_json, words, write_json
from residua.evaluation.report.markup import Html, element
from residua.evaluation.report.numbers import interval_bar, scale_of
from residua.evaluation.report.opening import opening
from residua.evaluation.report.payload import shared_folder
from residua.evaluation.report.public import plain
from residua.evaluation.report.sections import duration, reproduction
from residua.metrics.names import metric_words
from residua.records import Estimate, Evaluation


def test_the_public_object_has_the_documented_keys_and_is_strict_json(tmp_path):
    record, _ = detector()
    written = json.loads(write_json(record, tmp_path / "x.json").read_text(encoding="utf-8"))
    assert list(written) == [
        "job",
        "n_images",
        "split",
        "metrics",
        "operating_point",
        "baselines",
        "standings",
        "verdict",
        "findings",
        "provenance",
        "schema_version",
    ]
    assert set(written["metrics"]["roc_auc"]) == {"value", "low", "high", "confidence", "n"}
    assert set(written["operating_point"]) == {"threshold", "policy", "how", "rates"}
    assert set(written["findings"][0]) == {"code", "severity", "measured", "meaning", "what_to_do"}
    assert written["metrics"]["aupro"]["value"] is None
    assert written == to_json(record)


def test_the_public_object_reads_back_as_the_same_record():
    record, _ = detector()
    assert Evaluation.model_validate(to_json(record)) == record


def test_numpy_and_infinite_values_become_plain_or_null():
    value = {
        "a": np.float32(0.5),
        "b": np.array([1, 2]),
        "c": math.inf,
        "d": float("nan"),
        5: {"z", "y"},
        "e": np.bool_(True),
    }
    assert plain(value) == {"a": 0.5, "b": [1, 2], "c": None, "d": None, "5": ["y", "z"], "e": True}


@pytest.mark.parametrize(
    ("standings", "said"),
    [
        ({}, "PCA, reaches 0.0200; it was not compared in pairs."),
        ({"pca": "better"}, "The strongest baseline, PCA (0.0200), is better: model minus"),
        ({"pca": "no difference shown"}, "No difference to the strongest baseline, PCA (0.0200)"),
        ({"pca": "worse"}, "It beats the baseline, PCA (0.0200): model minus baseline +0.0100 ["),
        ({"pca": "worse", "mean_image": "worse"}, "It beats all 2 baselines; the strongest is PCA"),
        (
            {"pca": "worse", "mean_image": "no difference shown"},
            "It beats the strongest baseline, PCA (0.0200): model minus baseline +0.0100"
            " [+0.00500, +0.0150]; it is not shown to beat Mean image.",
        ),
    ],
)
def test_the_first_sentence_says_how_the_strongest_baseline_stands(standings, said):
    record = Evaluation(
        job="reconstruct",
        n_images=1,
        split="new",
        metrics={"mse": Estimate(value=0.03)},
        baselines={
            "pca": {"mse": Estimate(value=0.02)},
            "mean_image": {"mse": Estimate(value=0.5)},
        },
        standings={name: standing("mse", 0.01, word) for name, word in standings.items()},
    )
    assert said in words.ranking(record)


@pytest.mark.parametrize(
    ("word", "tone"), [("better", "bad"), ("worse", "good"), ("no difference shown", "")]
)
def test_colours_follow_what_is_shown(word, tone):
    assert words.tone(standing("mse", 0.01, word)) == tone
    assert words.tone(None) == ""


def test_the_first_sentence_names_the_strongest_baseline():
    values = {
        "weak": {"mse": Estimate(value=0.5)},
        "pca": {"mse": Estimate(value=0.02)},
        "none": {"mse": Estimate(value=None)},
    }
    record = Evaluation(
        job="reconstruct",
        n_images=1,
        split="new",
        metrics={"mse": Estimate(value=0.03)},
        baselines=values,
    )
    said = opening(record)
    assert said.startswith(
        "Mean squared error 0.0300 on 1 image (new). The strongest baseline, PCA, reaches 0.0200"
    )


def test_a_headline_without_a_value_gives_way_to_the_next():
    metrics = {"roc_auc": Estimate(value=None), "recall": Estimate(value=0.5)}
    assert (
        words.primary_metric(Evaluation(job="detect", n_images=1, split="test", metrics=metrics))
        == "recall"
    )


def test_an_interval_of_decibels_names_its_unit_once():
    assert (
        words.interval("psnr", Estimate(value=20.0, low=19.0, high=21.0)) == "20.0 dB [19.0, 21.0]"
    )


def test_unknown_metrics_and_top_k_are_spelled_out():
    assert metric_words("top_3_accuracy").label == "Top-3 accuracy"
    assert metric_words("my_own_rate").label == "My own rate"
    of_one_class = metric_words("brier_score[a[0]]")
    assert of_one_class.label == "Brier score of a[0]" and not of_one_class.higher_is_better


def test_every_metric_that_an_evaluation_can_hold_has_words():
    rng = np.random.default_rng(0)
    images = rng.random((40, 48, 48, 1))
    errors, labels = rng.random((40, 48, 48)), np.arange(40) % 2
    masks = [errors[i] > 0.9 if labels[i] else None for i in range(40)]
    records = (
        evaluate_reconstruction(images, images * 0.9),
        evaluate_detection(
            labels, rng.random(40), operating_point=0.5, masks=masks, maps=list(errors)
        ),
        evaluate_classification(np.arange(40) % 6, rng.dirichlet(np.ones(6), 40)),
        evaluate_classification(rng.random((40, 3)) > 0.5, rng.random((40, 3))),
    )
    unknown = {
        name
        for record in records
        for name in record.metrics
        if not metric_words(name.partition("[")[0]).meaning
    }
    assert unknown == set()


def test_metrics_speak_of_classes_where_the_job_is_to_classify():
    detecting, classifying = (
        Evaluation(job=job, n_images=2, split="test") for job in ("detect", "classify")
    )
    assert "anomalous" in words.meaning("recall", detecting)
    assert "class" in words.meaning("recall", classifying) and "anomalous" not in words.meaning(
        "roc_auc", classifying
    )
    assert words.meaning("f1", classifying).endswith("mean over classes")


def test_bars_keep_value_interval_and_rivals_on_the_scale():
    model, rival = Estimate(value=0.95, low=0.93, high=0.97), Estimate(value=0.4)
    assert scale_of("roc_auc", [model]) == (0.9, 1.0)
    ends = scale_of("roc_auc", [model, rival])
    bar = interval_bar("roc_auc", model, {"pca": rival}, ends)
    assert (
        ends == (0.0, 1.0) and 'cx="95.00%"' in bar and 'x1="40.00%"' in bar and "PCA: 0.400" in bar
    )
    assert interval_bar("roc_auc", Estimate(value=None), {}, ends) is None


def test_a_scale_is_never_empty():
    for value in (0.0, -2.0, 1e-12, 5.0):
        low, high = scale_of("log_loss", [Estimate(value=value)])
        assert low < high and low <= value <= high


def test_markup_escapes_text_and_attributes_but_not_markup():
    made = element(
        "a", "<b>", Html("<i>ok</i>"), None, ["x", 3], href='"&', class_="c", hidden=True, id=None
    )
    assert made == '<a href="&quot;&amp;" class="c" hidden>&lt;b&gt;<i>ok</i>x3</a>'


def test_the_shared_folder_ends_at_a_slash():
    assert shared_folder(["a/b/c1", "a/b/c2"]) == "a/b/"
    assert shared_folder(["a/b", "a/bc/d"]) == "a/"
    assert shared_folder(["a/b", "a/b"]) == "a/"
    assert (
        shared_folder(["x", "y"]) == "" and shared_folder(["a/b"]) == "" and shared_folder([]) == ""
    )


def test_durations_read_like_speech():
    assert [duration(seconds) for seconds in (0.42, 59.6, 60, 3599.6, 3700)] == [
        "0.4 s",
        "1 min",
        "1 min",
        "1 h 0 min",
        "1 h 1 min",
    ]


def test_a_run_without_a_recorded_command_gets_one_from_its_provenance():
    record, _ = detector()
    assert (
        reproduction(record)
        == "residua fit digits --job detect --normal 8 --recipe plain --seed 0 --out RUN"
    )
    assert reproduction(Evaluation(job="detect", n_images=1, split="test")) == ""


def test_what_only_looks_like_an_estimate_is_shown_as_it_is():
    assert words.value_words({"value": 0.5, "low": 0.4, "high": 0.6}).startswith("0.500 [")
    assert words.value_words({"value": 0.5, "low": 0.4, "high": 0.6, "confdence": 0.95}).startswith(
        "value: 0.5"
    )
