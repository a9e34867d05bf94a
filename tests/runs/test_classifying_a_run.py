"""`fit --job classify`, `evaluate` and `score` on a source with labels, some of them missing."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.errors import InputError, LabelError
from residua.evaluation import Evidence
from residua.evaluation.compression import compression_sentence
from residua.evaluation.verification import verify_report
from residua.images import load_images
from residua.records import assumptions_of
from residua.runs.command import fit_command
from residua.runs.dossier import write_dossier
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.progress import Watcher
from residua.runs.report import report_run
from residua.runs.score import score_run
from residua.runs.trained_run import TrainedRun
from residua.training.bundle import load_bundle, score_set
from residua.training.fitting.options import FitOptions, make_options
from training_wing import blobs

N = 90


def write_manifest(
    folder: Path, *, unlabelled: int = 0, names: tuple[str, ...] = ("dark", "bright", "corner")
) -> Path:
    """Blobs: a third dark, a third bright, a third with a bright corner; the first `unlabelled`
    without a label."""
    folder.mkdir(parents=True)
    images = blobs(N)
    with (folder / "all.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label"))
        for index, blob in enumerate(images):
            kind = index % 3
            image = blob // 3 if kind == 0 else blob
            if kind == 2:
                image[:4, :4] = 255
            Image.fromarray(image[..., 0]).save(folder / f"{index:03d}.png")
            writer.writerow((f"{index:03d}.png", "" if index < unlabelled else names[kind]))
    return folder / "all.csv"


def options(source: Path, strategy: str = "joint", **more) -> FitOptions:
    settings = {"epochs": 15, "batch_size": 16, "augment": (), **more.pop("settings", {})}
    return make_options(
        **{
            "source": str(source),
            "job": "classify",
            "strategy": strategy,
            "recipe_options": {"width": 4},
            "settings": settings,
            **more,
        }
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_manifest(tmp_path_factory.mktemp("source") / "blobs", unlabelled=20)


@pytest.fixture(scope="module")
def run(source, tmp_path_factory) -> TrainedRun:
    return fit_run(options(source), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def judged(run):
    return evaluate_run(run.path)


def test_a_run_names_its_classes_and_keeps_few_labels_for_learning(run):
    config = load_bundle(run.bundle).config
    assert config.classes == ("bright", "corner", "dark")
    parts = run.read_images()["part"]
    # a tenth of 60 labelled images is too few for a temperature
    assert (parts == "calibration").sum() == 0
    assert any("went back to train" in note for note in run.read_state().notes)


def test_a_dossier_counts_the_images_of_each_class(run, judged, tmp_path):
    _, _, made = write_dossier(run.path, tmp_path / "dossier.html")
    (told,) = (one for one in made.headings if one.key == "sample")
    labels = [one for one in judged.evidence.labels if one is not None]
    counted = ", ".join(f"{name}: {labels.count(name)}" for name in ("bright", "corner", "dark"))
    assert told.said == (f"{judged.evaluation.n_images} images.", f"By class: {counted}.")
    assert "no kind is missing" in {check.name for check in told.checks}


def test_the_record_holds_the_classes_the_reconstruction_and_the_baselines(judged):
    record = judged.evaluation
    assert record.job == "classify"
    assert record.metrics["accuracy"].value > 0.4
    assert {"log_loss", "roc_auc", "recall[dark]", "mse", "psnr"} <= set(record.metrics)
    assert {"majority_class", "pixel_neighbours", "pixel_linear"} <= set(record.baselines)
    assert "mse" in record.baselines["pca"]
    assert "PCA with" in compression_sentence(record)
    shares = [values["accuracy"] for values in record.baselines.values() if "accuracy" in values]
    assert all(0 <= share.low <= share.value <= share.high <= 1 for share in shares)
    assert "unlabelled-images" in {finding.code for finding in record.findings}


def test_the_evidence_holds_probabilities_hashes_and_the_surest_mistakes(run, judged):
    evidence = Evidence.load(run.evidence)
    assert evidence.probabilities.shape == (len(evidence.paths), 3)
    assert len(set(evidence.pixel_hashes.tolist())) == len(evidence.paths)
    n_wrong = round(
        (1 - judged.evaluation.metrics["accuracy"].value) * judged.evaluation.metrics["accuracy"].n
    )
    shown = judged.evidence.figures["most-confused"].groups if n_wrong else ()
    assert sum(len(group.pictures) for group in shown) == min(n_wrong, 48)


def test_evaluate_and_score_give_the_same_probabilities(run, source, judged, tmp_path):
    assert not score_run(run.path, str(source), tmp_path / "scores.csv").has_threshold
    with (tmp_path / "scores.csv").open() as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    for path, probabilities in zip(
        judged.evidence.paths, judged.evidence.probabilities, strict=True
    ):
        assert np.float32(rows[path]["p[dark]"]) == probabilities[2]
        assert rows[path]["predicted"] == ["bright", "corner", "dark"][int(probabilities.argmax())]


def test_a_report_is_written(run, judged, tmp_path):
    text = report_run(run.path, tmp_path / "report.html").read_text()
    assert "What it confuses" in text


def test_the_command_that_fits_it_again_is_complete(run):
    words = fit_command(run, run.read_state())
    assert "--job classify --strategy joint" in words
    assert "--augment none" in words
    assert "--width 4" in words
    state = run.read_state()
    for mirrored, flag in ((True, "--mirrored"), (False, "--not-mirrored")):
        asked = state.options.model_copy(update={"recipe_options": {"mirrored": mirrored}})
        assert f" {flag} " in fit_command(run, state.model_copy(update={"options": asked}))


def test_plain_leaves_unlabelled_images_out_and_has_no_reconstruction(source, tmp_path):
    run = fit_run(options(source, "plain", settings={"epochs": 2}), tmp_path / "run")
    record = evaluate_run(run.path).evaluation
    assert "mse" not in record.metrics
    assert record.provenance["compression"]["reason"] == "it rebuilds no image"
    assert (run.read_images()["part"] == "left out").sum() > 10
    assert "source-changed" not in {finding.code for finding in record.findings}


def test_a_class_that_is_unknown_at_test_time_is_refused_by_name(run, tmp_path):
    other = write_manifest(tmp_path / "other", names=("dark", "bright", "square"))
    with pytest.raises(LabelError, match="Got square, where it knows bright, corner, dark"):
        evaluate_run(run.path, str(other))


def test_a_source_of_one_class_and_one_without_labels_are_refused(tmp_path):
    one = write_manifest(tmp_path / "one", names=("dark", "dark", "dark"))
    with pytest.raises(LabelError, match="at least two classes"):
        fit_run(options(one), tmp_path / "run")
    np.save(tmp_path / "none.npy", blobs(20))
    with pytest.raises(LabelError, match="must have labels"):
        fit_run(options(tmp_path / "none.npy"), tmp_path / "other")


def test_a_mistyped_strategy_or_option_is_refused_before_the_source_is_read(tmp_path):
    with pytest.raises(InputError, match="Did you mean fine-tune"):
        fit_run(options(tmp_path / "nowhere", "finetune"), tmp_path / "run")


@pytest.mark.parametrize("strategy", ["joint", "sequential"])
def test_a_run_that_was_stopped_ends_where_the_uninterrupted_one_ends(source, tmp_path, strategy):
    """Stopped in the last phase, after a checkpoint."""
    asked = options(source, strategy, settings={"epochs": 5})
    whole = fit_run(asked, tmp_path / "whole", checkpoint_seconds=0)
    seen = 0

    class Stop(KeyboardInterrupt):
        pass

    def stop(*_):
        nonlocal seen
        seen += 1
        if seen == 18:
            raise Stop

    with pytest.raises(KeyboardInterrupt):
        fit_run(asked, tmp_path / "stopped", watcher=Watcher(on_step=stop), checkpoint_seconds=0)
    again = fit_run(asked, tmp_path / "stopped", resume=True, checkpoint_seconds=0)
    images = whole.origin().load().test
    one, other = (
        score_set(load_bundle(run.bundle), images).probabilities for run in (whole, again)
    )
    assert np.array_equal(one, other)
    assert not list((tmp_path / "stopped").glob("*.ckpt"))


def test_labels_with_a_separator_are_several_at_once(tmp_path):
    source = write_manifest(tmp_path / "several", names=("dark", "bright|round", "bright|corner"))
    run = fit_run(options(source, separator="|", settings={"epochs": 2}), tmp_path / "run")
    judged = evaluate_run(run.path)
    assert load_bundle(run.bundle).config.classes == ("bright", "corner", "dark", "round")
    assert "element_wise_accuracy" in judged.evaluation.metrics
    assert "inflated-accuracy" in {finding.code for finding in judged.evaluation.findings}
    score_run(run.path, str(source), tmp_path / "scores.csv")


def test_a_calibration_part_that_the_source_names_is_kept(tmp_path):
    images = blobs(40)
    labels = ["a", "b"] * 20
    np.savez(
        tmp_path / "set.npz",
        x_train=images[:30],
        y_train=[0, 1] * 15,
        x_test=images[30:],
        y_test=[0, 1] * 5,
    )
    drawn = load_images(str(tmp_path / "set.npz"))
    run = fit_run(options(tmp_path / "set.npz", settings={"epochs": 1}), tmp_path / "drawn")
    assert (run.read_images()["part"] == "calibration").sum() == 0
    assert len(drawn.calibration) == 6
    parts = ["train"] * 20 + ["calibration"] * 10 + ["test"] * 10
    rows = ["path,label,split"]
    for number, (image, label, part) in enumerate(zip(images, labels, parts, strict=True)):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{label},{part}")
    (tmp_path / "all.csv").write_text("\n".join(rows))
    asked = options(tmp_path / "all.csv", settings={"epochs": 1})
    run = fit_run(asked, tmp_path / "named")
    assert (run.read_images()["part"] == "calibration").sum() == 10


def test_of_two_classes_the_rarer_one_is_positive_or_the_one_that_is_named(tmp_path):
    names = ("dark", "bright", "bright")
    run = fit_run(
        options(write_manifest(tmp_path / "two", names=names), settings={"epochs": 1}),
        tmp_path / "run",
    )
    for named, expected in ((None, "dark"), ("Bright", "bright")):
        record = evaluate_run(run.path, positive=named).evaluation
        assert record.provenance["positive_class"] == expected
        assert record.metrics["f1"] == record.metrics[f"f1[{expected}]"]
        assert ("positive class" in {one.about for one in assumptions_of(record.provenance)}) == (
            named is None
        )
    assert verify_report(report_run(run.path, tmp_path / "report.html")).differing == ()
    with pytest.raises(LabelError, match="'cow' where they are bright, dark"):
        evaluate_run(run.path, positive="cow")


def test_a_positive_class_of_three_classes_is_refused(run):
    with pytest.raises(LabelError, match="Got 3 classes"):
        evaluate_run(run.path, positive="dark")
