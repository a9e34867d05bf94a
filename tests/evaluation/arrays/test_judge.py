"""`residua judge` on files of any framework: the documents' cases, what is refused, and that torch
is not needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from residua.cli.judge import judge as command
from residua.cli.plan import plan as plan_command
from residua.errors import (
    GateError,
    InputError,
    LabelError,
    PolicyError,
    RangeError,
    ShapeError,
    SourceError,
)
from residua.evaluation.arrays import judge
from residua.metrics import keras

RNG = np.random.default_rng(0)
DIGITS = (load_digits().images[:120] / 16).astype(np.float32)[..., np.newaxis]
NOISY = np.clip(DIGITS + RNG.normal(0, 0.1, DIGITS.shape), 0, 1).astype(np.float32)
LABELS = np.arange(300) >= 220
SCORES = RNG.normal(size=300) + 2 * LABELS
ERRORS = "id,error\n1,.002\n2,.0015\n3,.005\n4,.0008\n5,.007\n"


def written(folder: Path, name: str, content: object) -> str:
    path = folder / name
    if isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    elif isinstance(content, dict):
        np.savez(path, **content)
    else:
        np.save(path, np.asarray(content))
    return str(path)


def found(record, code: str):
    return next((finding for finding in record.findings if finding.code == code), None)


def test_of_five_errors_the_threshold_0004_flags_images_3_and_5(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = written(tmp_path, "errors.csv", ERRORS)
    record, evidence = judge(scores=scores, threshold=0.004)
    flagged = evidence.scores > record.operating_point.threshold
    assert evidence.paths[flagged].tolist() == ["3", "5"]
    assert record.metrics["flagged_rate"].value == pytest.approx(2 / 5)
    command(scores=scores, threshold=0.004)
    rows = [
        line.split()
        for line in capsys.readouterr().out.splitlines()
        if line.split()[-1:] == ["flagged"]
    ]
    assert [row[0] for row in rows if len(row) == 3 and row[0] != "id"] == ["3", "5"]


def test_a_training_error_of_00005_beside_001_is_overfitting_and_strict_says_no(
    tmp_path: Path,
) -> None:
    scores, train = (
        written(tmp_path, "new.csv", "0.01\n"),
        written(tmp_path, "train.csv", "0.0005\n"),
    )
    told = found(judge(scores=scores, train_scores=train)[0], "overfitting")
    assert told.severity == "error"
    assert told.measured["ratio"] == pytest.approx(20)
    assert "Not ready for production" in told.meaning
    with pytest.raises(GateError, match="overfitting"):
        command(scores=scores, train_scores=train, strict=True)


def test_a_higher_threshold_finds_less_and_the_user_sees_it_on_their_own_data() -> None:
    recalls = [
        judge(scores=SCORES, labels=LABELS, threshold=t)[0].metrics["recall"].value
        for t in (0.5, 1.0, 2.5)
    ]
    assert recalls == sorted(recalls, reverse=True)
    rows = found(
        judge(scores=SCORES, labels=LABELS, threshold=1.0)[0], "threshold-trade-off"
    ).measured["thresholds"]
    assert [row["recall"] for row in rows] == sorted((row["recall"] for row in rows), reverse=True)


def test_a_gap_and_an_overlap_are_measured() -> None:
    gap = found(judge(scores=[0.001, 0.002, 0.008, 0.009], labels=[0, 0, 1, 1])[0], "overlap")
    assert (gap.severity, gap.measured["gap"]) == ("ok", pytest.approx(0.006))
    assert found(judge(scores=SCORES, labels=LABELS)[0], "overlap").measured["overlap"] > 0.1


def test_accuracy_of_an_autoencoder_is_refused_with_the_demonstration_on_the_users_images(
    tmp_path: Path,
) -> None:
    images, reconstructions = written(tmp_path, "x.npy", DIGITS), written(tmp_path, "r.npy", NOISY)
    target = tmp_path / "out.json"
    with pytest.raises(GateError, match="meaningless-metric"):
        command(
            images=images,
            reconstructions=reconstructions,
            metric="accuracy",
            json=target,
            strict=True,
        )
    record = json.loads(target.read_text())
    told = record["findings"][0]
    assert (told["code"], told["severity"]) == ("meaningless-metric", "error")
    assert told["measured"]["ceiling"] == pytest.approx(
        ((DIGITS == 0) | (DIGITS == 1)).mean(), abs=1e-6
    )
    assert told["measured"]["black"] == pytest.approx((DIGITS == 0).mean(), abs=1e-6)
    assert {"mse", "mae", "psnr", "ssim"} <= set(record["metrics"])
    assert "accuracy" not in record["metrics"]


@pytest.mark.parametrize("shape", [(120, 64), (120, 8, 8), (120, 8, 8, 1), (120, 1, 8, 8)])
def test_the_accuracy_that_is_refused_is_that_of_keras_for_the_shape_that_was_given(
    shape: tuple[int, ...],
) -> None:
    images, noisy = DIGITS.reshape(shape), NOISY.reshape(shape)
    told = found(
        judge(images=images, reconstructions=noisy, metric="accuracy")[0], "meaningless-metric"
    ).measured
    expected = keras.accuracy(images, noisy)
    assert (told["rule"], told["value"]) == (expected.rule, pytest.approx(expected.value))


def test_pixels_from_0_to_255_against_0_to_1_are_an_error_and_the_sum_stands_beside_the_mean() -> (
    None
):
    told = found(judge(images=DIGITS * 255, reconstructions=NOISY)[0], "scale")
    assert told.severity == "error"
    assert told.measured["sum_as_given"] == pytest.approx(64 * told.measured["mse_as_given"])


def test_training_images_in_the_test_set_are_found() -> None:
    train = RNG.random(200)
    assert (
        found(
            judge(scores=np.concatenate([train[:50], RNG.random(50)]), train_scores=train)[0],
            "shared-scores",
        ).severity
        == "error"
    )


def test_the_confusion_matrix_of_5000_images(tmp_path: Path) -> None:
    matrix = np.array(
        [
            [109, 0, 4, 1, 87],
            [0, 282, 13, 0, 140],
            [0, 6, 474, 6, 757],
            [3, 4, 50, 174, 358],
            [1, 0, 29, 2, 2500],
        ]
    )
    y = np.repeat(np.arange(5), matrix.sum(axis=1))
    p = np.concatenate([np.repeat(np.arange(5), row) for row in matrix])
    both = written(tmp_path, "both.npz", {"y": y, "predictions": p})
    record, evidence = judge(labels=both, predictions=both)
    assert record.metrics["accuracy"].value == pytest.approx(0.7078)
    assert found(record, "most-confused").measured["confusion_matrix"] == matrix.tolist()
    assert evidence.probabilities is None and evidence.said.tolist() == p.tolist()


def test_the_multi_label_case_from_csv(tmp_path: Path) -> None:
    labels, outputs = (
        written(tmp_path, "y.csv", "1,0,0,0,0,1\n"),
        written(tmp_path, "p.csv", ".23,.34,.45,.22,.10,.9\n"),
    )
    record, _ = judge(labels=labels, predictions=outputs)
    assert record.metrics["element_wise_accuracy"].value == pytest.approx(5 / 6)
    assert found(record, "inflated-accuracy").severity == "warning"


@pytest.mark.parametrize("form", ["arrays", "npy", "npz", "csv", "semicolons"])
def test_every_form_of_the_same_scores_gives_the_same_evaluation(tmp_path: Path, form: str) -> None:
    names = np.where(LABELS, "crack", "good")
    if form == "arrays":
        scores, labels = SCORES, names
    elif form == "npy":
        scores, labels = written(tmp_path, "s.npy", SCORES), written(tmp_path, "y.npy", names)
    elif form == "npz":
        scores = labels = written(tmp_path, "both.npz", {"scores": SCORES, "labels": names})
    else:
        mark = ";" if form == "semicolons" else ","
        rows = [
            f"part {i}.png{mark}{score!r}{mark}{name}"
            for i, (score, name) in enumerate(zip(SCORES.tolist(), names, strict=True))
        ]
        path = written(
            tmp_path, "table.csv", "\n".join([mark.join(("path", "score", "label")), *rows]) + "\n"
        )
        scores = labels = path
    record, evidence = judge(scores=scores, labels=labels, threshold=1)
    assert record.metrics["roc_auc"].value == pytest.approx(roc_auc_score(LABELS, SCORES))
    assert evidence.paths[0] == ("part 0.png" if form in ("csv", "semicolons") else "1")


def test_a_named_array_or_column_is_taken(tmp_path: Path) -> None:
    arrays = written(tmp_path, "many.npz", {"a": SCORES, "b": -SCORES})
    table = written(tmp_path, "t.csv", "mse,ssim\n1,9\n2,8\n")
    assert judge(scores=f"{arrays}:b")[1].scores[0] == -SCORES[0]
    assert judge(scores=f"{table}:ssim")[1].scores.tolist() == [9, 8]


def test_a_byte_order_mark_a_header_and_blank_labels_are_read(tmp_path: Path) -> None:
    labels = written(tmp_path, "y.csv", "\ufefflabel\n0\n1\n\n0\n")
    record, evidence = judge(scores=[0.1, 0.9, 0.5, 0.2], labels=labels)
    assert record.metrics["roc_auc"].n == 3
    assert evidence.labelled.tolist() == [True, True, False, True]


def test_a_policy_chooses_on_the_calibration_scores_alone(tmp_path: Path) -> None:
    calibration = RNG.normal(size=400)
    record, evidence = judge(
        scores=SCORES, labels=LABELS, calibration_scores=calibration, policy="false-alarms<=0.01"
    )
    assert record.operating_point.rates["false_alarm_rate"].n == 400
    assert evidence.calibration_scores is not None
    assert found(record, "threshold-optimism") is None


@pytest.mark.parametrize(("shift", "severity"), [(0, "ok"), (3, "error")])
@pytest.mark.parametrize("labels", [LABELS, None])
def test_scores_unlike_the_calibration_scores_are_told(labels, shift: float, severity: str) -> None:
    calibration = np.random.default_rng(1).normal(size=400) - shift
    scores = SCORES if labels is not None else SCORES[~LABELS]
    record, _ = judge(
        scores=scores, labels=labels, calibration_scores=calibration, policy="false-alarms<=0.01"
    )
    assert found(record, "drift").severity == severity


def test_without_calibration_scores_the_optimism_is_told() -> None:
    told = found(judge(scores=SCORES, labels=LABELS, policy="max-f1")[0], "threshold-optimism")
    assert told.severity == "warning"
    assert told.measured["apparent"] >= told.measured["cross_fitted"]


def test_calibration_labels_allow_policies_that_speak_of_anomalies() -> None:
    names = np.where(LABELS, "crack", "good")
    record, _ = judge(
        scores=SCORES,
        labels=names,
        calibration_scores=SCORES,
        calibration_labels=names,
        policy="recall>=0.9",
    )
    assert record.metrics["recall"].value > 0.9
    with pytest.raises(PolicyError, match="speaks of anomalies"):
        judge(scores=SCORES, calibration_scores=SCORES, policy="recall>=0.9")


def test_reconstructions_with_labels_are_judged_as_a_detector_on_their_mse() -> None:
    damaged = NOISY.copy()
    damaged[:40] = np.clip(damaged[:40] + 0.3, 0, 1)
    record, evidence = judge(
        images=DIGITS, reconstructions=damaged, labels=np.arange(120) < 40, threshold=0.03
    )
    mse = ((DIGITS.astype(float) - damaged) ** 2).mean(axis=(1, 2, 3))
    assert record.job == "detect"
    assert record.metrics["roc_auc"].value == pytest.approx(roc_auc_score(np.arange(120) < 40, mse))
    assert {"mse", "ssim", "recall"} <= set(record.metrics)
    assert evidence.gallery is not None
    assert evidence.gallery.index[0] == mse.argmax()


def test_one_metric_is_shown_alone_and_an_unknown_one_is_refused() -> None:
    assert list(judge(images=DIGITS, reconstructions=NOISY, metric="MSE")[0].metrics) == ["mse"]
    assert list(judge(scores=SCORES, labels=LABELS, threshold=1, metric="accuracy")[0].metrics) == [
        "accuracy"
    ]
    with pytest.raises(InputError, match="Did you mean psnr"):
        judge(images=DIGITS, reconstructions=NOISY, metric="psrn")
    with pytest.raises(InputError, match="roc_auc needs probabilities"):
        judge(labels=[0, 1, 1], predictions=[0, 1, 0], metric="roc_auc")
    with pytest.raises(InputError, match="accuracy needs decisions"):
        judge(scores=SCORES, labels=LABELS, metric="accuracy")
    assert (
        found(judge(scores=SCORES, metric="accuracy")[0], "meaningless-metric").severity == "error"
    )


def test_json_is_the_public_object_and_the_report_is_written(tmp_path: Path) -> None:
    names = written(tmp_path, "y.npy", LABELS)
    command(
        scores=written(tmp_path, "s.npy", SCORES),
        labels=names,
        threshold=1.0,
        json=tmp_path / "o.json",
        html=tmp_path / "o.html",
    )
    record = json.loads((tmp_path / "o.json").read_text())
    assert set(record) == {
        "job", "n_images", "split", "metrics", "operating_point", "baselines", "findings",
        "provenance", "schema_version", "standings", "verdict",
    }  # fmt: skip
    assert set(record["metrics"]["roc_auc"]) == {"value", "low", "high", "confidence", "n"}
    assert set(record["operating_point"]) == {"threshold", "policy", "how", "rates"}
    assert set(record["findings"][0]) == {"code", "severity", "measured", "meaning", "what_to_do"}
    assert "<html" in (tmp_path / "o.html").read_text()[:500].lower()


def test_everything_wrong_is_said_at_once_with_row_numbers(tmp_path: Path) -> None:
    scores = written(tmp_path, "s.csv", "error\n0.1\nabc\n\n0.3\nnan\n")
    empty = tmp_path / "empty.csv"
    empty.touch()
    with pytest.raises(InputError) as caught:
        judge(
            scores=scores,
            labels=str(empty),
            train_scores="nowhere.npy",
            policy="recal>=.9",
            threshold=1,
        )
    text = str(caught.value)
    assert len(text.splitlines()) == 5
    assert "'abc' in line 3, and 2 more such cells (lines 3, 4, 6)" in text
    assert "must not be empty" in text
    assert "nothing there" in text
    assert "Did you mean 'recall>=.9'" in text


def test_what_is_wrong_inside_arrays_is_said_beside_what_is_wrong_with_files_and_lengths(
    tmp_path: Path,
) -> None:
    broken = written(tmp_path, "s.npy", np.where(LABELS, np.nan, SCORES))
    with pytest.raises(InputError) as caught:
        judge(
            scores=broken,
            labels=np.where(LABELS, "a", "b")[1:],
            train_scores="nowhere.npy",
            confidence=95,
        )
    text = str(caught.value)
    assert len(text.splitlines()) == 5
    for part in (
        "nothing there",
        "300 in --scores",
        "80 NaN",
        "one of them must be named",
        "confidence",
    ):
        assert part in text
    with pytest.raises(InputError) as caught:
        judge(images=DIGITS, reconstructions=np.full_like(NOISY, np.nan), labels=[0, 1])
    assert "must be finite" in str(caught.value)
    assert "2 in --labels" in str(caught.value)
    with pytest.raises(ShapeError, match="--images must form one array"):
        judge(images=[np.zeros((8, 8)), np.zeros((9, 8))], reconstructions=NOISY)


def test_an_array_of_no_images_is_refused_like_an_empty_file(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="none in --scores, --labels"):
        judge(
            scores=written(tmp_path, "s.npy", np.zeros(0)),
            labels=written(tmp_path, "y.npy", np.zeros(0, int)),
        )


def test_a_label_beside_the_probabilities_of_one_table_is_not_one_of_them(tmp_path: Path) -> None:
    table = written(
        tmp_path, "t.csv", "path,label,p_cat,p_dog\na,cat,.4,.6\nb,dog,.1,.9\nc,cat,.8,.2\n"
    )
    assert judge(labels=table, predictions=table)[0].metrics["accuracy"].value == pytest.approx(
        2 / 3
    )
    only = written(tmp_path, "p.csv", "path,label\na,cat\nb,dog\nc,dog\n")
    assert judge(labels=table, predictions=only)[0].metrics["accuracy"].value == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("error\n", "a header only"),
        ("\n\n", "an empty file"),
        ("1,2\n3\n", "every row must have"),
        ("a,b\n1,2\n3,4\n", "must have one column, or one called scores"),
        ("0.1\nhello\n", "'hello' in line 2"),
    ],
)
def test_a_csv_file_that_cannot_be_read_says_what_is_wrong(
    tmp_path: Path, content: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        judge(scores=written(tmp_path, "s.csv", content))


def test_files_that_are_no_arrays_are_refused_and_pickles_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "torn.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "torn.npz").write_bytes(b"PK nothing")
    (tmp_path / "scores.xlsx").write_bytes(b"x")
    for name in ("objects.npy", "torn.npy", "torn.npz", "scores.xlsx"):
        with pytest.raises(SourceError, match=name):
            judge(scores=str(tmp_path / name))
    with pytest.raises(SourceError, match="a folder"):
        judge(scores=str(tmp_path))
    with pytest.raises(ShapeError, match="Name one"):
        judge(scores=written(tmp_path, "m.npz", {"a": SCORES, "b": SCORES}))


def test_files_that_list_other_images_are_refused(tmp_path: Path) -> None:
    scores = written(tmp_path, "s.csv", "path,score\na.png,1\nb.png,2\n")
    labels = written(tmp_path, "y.csv", "path,label\nb.png,0\nc.png,1\n")
    with pytest.raises(ShapeError, match="same images in the same order"):
        judge(scores=scores, labels=labels)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "arrays to judge"),
        ({"labels": [0, 1]}, "arrays to judge"),
        ({"images": DIGITS}, "--images needs --reconstructions"),
        ({"predictions": [0, 1]}, "--predictions needs --labels"),
        ({"scores": [1], "predictions": [1], "labels": [1]}, "one model"),
        ({"scores": [1, 2], "threshold": 1, "policy": "max-f1"}, "either given or chosen"),
        ({"scores": [1, 2], "threshold": float("nan")}, "finite"),
        ({"scores": [1, 2], "calibration_scores": [1]}, "needs a --policy"),
        ({"scores": [1, 2], "calibration_labels": [1]}, "needs --calibration-scores"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        judge(**given)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"scores": SCORES, "labels": LABELS[:-1]}, ShapeError),
        ({"scores": np.where(LABELS, np.nan, SCORES), "labels": LABELS}, RangeError),
        ({"scores": SCORES * np.inf}, RangeError),
        ({"scores": SCORES, "labels": np.where(LABELS, "a", "b")}, LabelError),
        ({"labels": [0, 1], "predictions": [[0.9, 0.3], [0.5, 0.5]]}, RangeError),
        (
            {
                "scores": SCORES,
                "policy": "recall>=0.9",
                "calibration_scores": [1.0],
                "calibration_labels": [None],
            },
            InputError,
        ),
    ],
)
def test_arrays_that_do_not_hold_are_refused(given: dict, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        judge(**given)


def test_plan_prints_299_and_takes_two_rates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan_command(policy="recall>=0.99", json=tmp_path / "plan.json")
    assert "299" in capsys.readouterr().out
    assert json.loads((tmp_path / "plan.json").read_text())["rows"][0] == {
        "n_faults": 0,
        "n_images": 299,
        "n_groups": None,
        "share": None,
    }
    plan_command(difference="0.90:0.95")
    assert "435 images for each model" in capsys.readouterr().out
    for given in (
        {},
        {"policy": "max-f1"},
        {"difference": "0.9"},
        {"policy": "recall>=0.9", "misses": "x"},
    ):
        with pytest.raises(InputError):
            plan_command(**given)


def test_judging_imports_neither_torch_nor_lightning_nor_what_else_is_slow(tmp_path: Path) -> None:
    scores = written(tmp_path, "errors.csv", ERRORS)
    program = (
        "import sys; sys.modules['torch'] = sys.modules['lightning'] = None\nfrom"
        f" residua.cli.judge import judge\njudge(scores={scores!r}, threshold=0.004,"
        f" html={str(tmp_path / 'o.html')!r})\nslow = {{'scipy.stats', 'scipy.sparse',"
        " 'scipy.ndimage', 'scipy.optimize', 'residua.images'} & set(sys.modules)\nassert not"
        " slow, f'slow to load, and not needed: {slow}'"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
