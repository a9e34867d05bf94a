"""`evaluate`, `score`, `threshold` and `report` on a run: one inference path, the right parts, what
changed since."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from residua.errors import (
    BundleError,
    InputError,
    LabelError,
    OutputError,
    PolicyError,
    ShapeError,
    SourceError,
)
from residua.evaluation import Evidence
from residua.evaluation.compression import compression_sentence
from residua.evaluation.report import write_html
from residua.evaluation.verification import verify_report
from residua.images import load_images
from residua.metrics import roc_auc
from residua.records import Evaluation
from residua.runs.check import read_check
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.progress import Watcher
from residua.runs.report import report_run
from residua.runs.score import score_run
from residua.runs.threshold import change_threshold
from residua.training.bundle import load_bundle
from runs import BAD, GOOD, add_image, options, write_source

COLUMNS = [
    *("path", "label", "split", "score", "threshold", "anomalous", "mse", "mae", "ssim"),
    *("unreadable", "p_value"),
]


@pytest.fixture
def own(tmp_path):
    """A source of its own and a run on it, both free to be changed."""
    source = write_source(tmp_path / "parts")
    return fit_run(options(source, settings={"epochs": 1}), tmp_path / "run"), source


def findings(judged):
    return {finding.code: finding for finding in judged.evaluation.findings}


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def judged(finished):
    return evaluate_run(finished.path)


def test_a_run_is_judged_on_its_own_test_part(judged, finished, source):
    recorded = finished.read_images()
    test = set(recorded["path"][recorded["part"] == "test"])
    assert set(judged.evidence.paths) == test
    assert judged.evaluation.n_images == len(test)
    assert judged.evaluation.split == "test"
    assert judged.evaluation.job == "detect"


def test_the_figures_are_those_of_the_scores(judged):
    labels = judged.evidence.is_anomalous
    assert judged.evaluation.metrics["roc_auc"].value == pytest.approx(
        roc_auc(labels, judged.evidence.scores)
    )
    assert judged.evaluation.operating_point.threshold > 0


def test_baselines_stand_beside_the_figures(judged):
    assert {"untrained", "pca", "mean_image", "pixel_neighbours", "brightness", "contrast"} <= set(
        judged.evaluation.baselines
    )
    assert all("roc_auc" in metrics for metrics in judged.evaluation.baselines.values())


def test_nothing_of_the_test_part_was_seen_in_training(judged):
    assert findings(judged)["leakage"].severity == "ok"
    assert "source-changed" not in findings(judged)


def test_judging_twice_gives_the_same(judged, finished):
    again = evaluate_run(finished.path).evaluation
    date = {"date": judged.evaluation.provenance["date"]}
    again = again.model_copy(update={"provenance": {**again.provenance, **date}})
    assert again == judged.evaluation


def test_the_run_keeps_the_evaluation(judged, finished):
    assert (
        Evaluation.model_validate_json(finished.evaluation.read_text("utf-8")) == judged.evaluation
    )


def test_a_reconstructor_is_judged_against_its_baselines(source, tmp_path):
    run = fit_run(options(source, "reconstruct"), tmp_path / "run")
    judged = evaluate_run(run.path)
    assert {"mse", "psnr", "ssim"} <= set(judged.evaluation.metrics)
    assert {"untrained", "pca", "mean_image"} <= set(judged.evaluation.baselines)
    assert judged.evaluation.operating_point is None
    assert judged.evaluation.metrics["mse"].value == pytest.approx(
        judged.evidence.per_image["mse"].mean(), rel=1e-4
    )
    told = judged.evaluation.provenance["compression"]
    height, width, channels = judged.evaluation.provenance["image_size"]
    assert told["values"] == height * width * channels
    assert told["ratio"] == told["values"] / told["code"] > 1
    said = compression_sentence(judged.evaluation)
    assert f"become {told['code']} numbers" in said
    assert f"PCA with {told['code']} numbers" in said and "model minus PCA" in said
    assert any(note.startswith("compression: ") for note in run.read_state().notes)
    page = write_html(tmp_path / "page.html", "Run", [judged])
    assert verify_report(page).differing == ()
    grown = page.read_text("utf-8").replace(f'"ratio":{told["ratio"]}', '"ratio":99.0')
    page.write_text(grown, "utf-8")
    assert "compression" in {one.name for one in verify_report(page).differing}


def test_a_changed_test_image_is_a_finding(own):
    run, source = own
    recorded = run.read_images()
    path = recorded["path"][recorded["part"] == "test"][0]
    add_image(source / path, 1)
    found = findings(evaluate_run(run.path))["source-changed"]
    assert (found.severity, found.measured["n_changed"]) == ("warning", 1)


def test_a_source_that_has_grown_or_lost_training_images_is_noted(own):
    run, source = own
    recorded = run.read_images()
    (source / recorded["path"][recorded["part"] == "train"][0]).unlink()
    add_image(source / "good" / "new.png", 2)
    found = findings(evaluate_run(run.path))["source-changed"]
    assert found.severity == "note"
    assert (found.measured["n_missing_elsewhere"], found.measured["n_new"]) == (1, 1)


def test_the_evidence_of_other_images_is_not_reported(own):
    run, _ = own
    judged = evaluate_run(run.path)
    judged.evidence.pixel_hashes[0] = "00" * 16
    judged.evidence.save(run.evidence)
    with pytest.raises(BundleError, match="Got that of other images"):
        report_run(run.path, run.report)


def test_normal_is_that_of_the_model_and_not_assumed(source):
    images = load_images(str(source))
    assert [one.taken for one in images.assumptions] == ["good"]
    assert images.with_normal("bad").assumptions == ()


def test_lost_and_new_images_are_counted(own):
    run, source = own
    recorded = run.read_images()
    for path in recorded["path"][recorded["part"] == "test"][:2]:
        (source / path).unlink()
    add_image(source / "good" / "new.png", 2)
    measured = findings(evaluate_run(run.path))["source-changed"].measured
    assert (measured["n_missing"], measured["n_new"]) == (2, 1)


def test_a_source_that_is_gone_is_said(own):
    run, source = own
    shutil.rmtree(source)
    with pytest.raises(SourceError):
        evaluate_run(run.path)


def test_a_training_image_among_those_judged_is_leakage(own, tmp_path):
    run, source = own
    recorded = run.read_images()
    for part, name in (("train", "a.png"), ("validation", "b.png")):
        path = next(p for p in recorded["path"][recorded["part"] == part])
        (tmp_path / "new" / "good").mkdir(parents=True, exist_ok=True)
        shutil.copy(source / path, tmp_path / "new" / "good" / name)
    (tmp_path / "new" / "bad").mkdir()
    for index in range(4):
        add_image(tmp_path / "new" / "bad" / f"{index}.png", index)
    judged = evaluate_run(run.path, str(tmp_path / "new"))
    leakage = findings(judged)["leakage"]
    assert leakage.severity == "error"
    assert leakage.measured["n_leaked"] == 2
    assert judged.evaluation.split == "all"
    assert judged.evaluation.n_images == 6
    assert not run.evaluation.exists()  # what a run keeps is its judgement on its own test part


def test_another_source_that_names_its_parts_is_judged_on_its_test_part(finished, tmp_path):
    for part in ("train", "test"):
        for label in ("good", "bad"):
            (tmp_path / "new" / part / label).mkdir(parents=True)
            for index in range(3):
                add_image(tmp_path / "new" / part / label / f"{index}.png", index)
    judged = evaluate_run(finished.path, str(tmp_path / "new"))
    assert judged.evaluation.split == "test"
    assert judged.evaluation.n_images == 6


def test_images_of_another_channel_count_are_refused(finished, tmp_path):
    for label in ("good", "bad"):
        (tmp_path / "colour" / label).mkdir(parents=True)
        for index in range(2):
            pixels = np.random.default_rng(index).integers(0, 256, (12, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "colour" / label / f"{index}.png")
    for use in (
        lambda: evaluate_run(finished.path, str(tmp_path / "colour")),
        lambda: score_run(finished.path, str(tmp_path / "colour"), tmp_path / "s.csv"),
    ):
        with pytest.raises(ShapeError, match=r"grey \(1 channel\).*Got colour"):
            use()
    assert not (tmp_path / "s.csv").exists()


def test_another_source_without_the_normal_label_is_refused(finished, tmp_path):
    (tmp_path / "new" / "other").mkdir(parents=True)
    add_image(tmp_path / "new" / "other" / "a.png", 0)
    with pytest.raises(LabelError, match="good"):
        evaluate_run(finished.path, str(tmp_path / "new"))


def test_a_normal_label_that_fit_found_by_itself_holds_for_other_sources_too(source, tmp_path):
    run = fit_run(options(source, settings={"epochs": 1}, normal=None), tmp_path / "run")
    for part, label in (("train", "0"), ("test", "0"), ("test", "1")):
        (tmp_path / "new" / part / label).mkdir(parents=True)
        for index in range(3):
            add_image(tmp_path / "new" / part / label / f"{index}.png", index)
    for use in (
        lambda: evaluate_run(run.path, str(tmp_path / "new")),
        lambda: change_threshold(run.path, "0.1", str(tmp_path / "new")),
    ):
        with pytest.raises(LabelError, match="good"):
            use()


def test_a_manifest_that_tears_groups_apart_is_a_finding(source, tmp_path):
    rows = ["path,label,split,group"]
    rows += [
        f"good/{row:03d}.png,good,{'test' if row % 4 == 0 else 'train'},{row // 4}"
        for row in range(40)
    ]
    rows += [f"bad/{row:03d}.png,bad,test,bad {row}" for row in range(12)]
    shutil.copytree(source, tmp_path / "parts")
    (tmp_path / "parts" / "list.csv").write_text("\n".join(rows))
    run = fit_run(
        options(tmp_path / "parts" / "list.csv", settings={"epochs": 1}), tmp_path / "run"
    )
    assert findings(evaluate_run(run.path))["torn-groups"].measured["n_test_images"] == 10


def test_one_image_file_is_of_no_part(finished, tmp_path):
    add_image(tmp_path / "a.png", 0)
    score_run(finished.path, str(tmp_path / "a.png"), tmp_path / "scores.csv")
    assert [row["split"] for row in rows_of(tmp_path / "scores.csv")] == [""]
    assert evaluate_run(finished.path, str(tmp_path / "a.png")).evaluation.split == "all"


def test_scores_of_the_own_source_cover_every_image_and_equal_those_of_evaluate(
    finished, judged, source, tmp_path
):
    done = score_run(finished.path, str(source), tmp_path / "scores.csv")
    rows = rows_of(tmp_path / "scores.csv")
    assert list(rows[0]) == COLUMNS
    assert len(rows) == done.n_images == GOOD + BAD
    by_path = {row["path"]: row for row in rows}
    for path, score, mse, ssim in zip(
        judged.evidence.paths,
        judged.evidence.scores,
        judged.evidence.per_image["mse"],
        judged.evidence.per_image["ssim"],
        strict=True,
    ):
        row = by_path[path]
        assert np.float32(row["score"]) == score
        assert np.float32(row["mse"]) == mse
        assert np.float32(row["ssim"]) == ssim
        assert row["split"] == "test"
    recorded = finished.read_images()
    assert {path: row["split"] for path, row in by_path.items()} == dict(
        zip(recorded["path"], recorded["part"], strict=True)
    )
    assert sum(row["anomalous"] == "true" for row in rows) == done.n_anomalous
    assert all(
        (row["anomalous"] == "true") == (float(row["score"]) > float(row["threshold"]))
        for row in rows
    )


def test_parquet_holds_the_same_rows_as_csv(finished, source, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    for name in ("scores.csv", "scores.parquet"):
        score_run(finished.path, str(source), tmp_path / name)
    table, rows = (
        pq.read_table(tmp_path / "scores.parquet").to_pydict(),
        rows_of(tmp_path / "scores.csv"),
    )
    assert list(table) == COLUMNS
    for name in ("score", "mse", "mae", "ssim"):
        assert [np.float32(row[name]) for row in rows] == [
            np.float32(value) for value in table[name]
        ]
    assert [row["path"] for row in rows] == table["path"]
    assert [row["anomalous"] == "true" for row in rows] == table["anomalous"]
    assert {type(value) for value in table["anomalous"]} == {bool}


def test_images_without_labels_or_parts_are_scored_with_empty_cells(finished, tmp_path):
    (tmp_path / "flat").mkdir()
    for index in range(3):
        add_image(tmp_path / "flat" / f"{index}.png", index)
    (tmp_path / "flat" / "broken.png").write_bytes(b"not an image")
    done = score_run(finished.path, str(tmp_path / "flat"), tmp_path / "scores.csv")
    rows = rows_of(tmp_path / "scores.csv")
    assert [(row["label"], row["split"]) for row in rows] == [("", "")] * 4
    assert [bool(row["unreadable"]) for row in rows] == [False, False, False, True]
    assert [bad.path for bad in done.quarantined] == ["broken.png"]


def test_maps_are_written_at_each_images_own_size_each_under_its_own_name(finished, tmp_path):
    sizes = {"a/b.png": (12, 12), "a_b.png": (20, 9), "c.png": (40, 31)}
    (tmp_path / "new" / "a").mkdir(parents=True)
    for name, size in sizes.items():
        Image.fromarray(np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)).save(
            tmp_path / "new" / name
        )
    score_run(finished.path, str(tmp_path / "new"), tmp_path / "s.csv", maps=tmp_path / "maps")
    found = []
    for path in (tmp_path / "maps").iterdir():
        with Image.open(path) as picture:
            found.append(picture.size[::-1])
    assert sorted(found) == sorted(sizes.values())


def test_a_reconstructor_scores_without_threshold(source, tmp_path):
    run = fit_run(options(source, "reconstruct", settings={"epochs": 1}), tmp_path / "run")
    score_run(run.path, str(source), tmp_path / "scores.csv")
    rows = rows_of(tmp_path / "scores.csv")
    assert {(row["threshold"], row["anomalous"]) for row in rows} == {("", "")}
    assert all(row["score"] == row["mse"] for row in rows)


@pytest.mark.parametrize(
    ("name", "error"), [("scores.txt", InputError), ("file/scores.csv", OutputError)]
)
def test_a_place_for_scores_that_cannot_be_is_refused_before_scoring(
    name, error, finished, source, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(
        "residua.runs.tables.job.score_shard", lambda *_, **__: pytest.fail("scored first")
    )
    with pytest.raises(error):
        score_run(finished.path, str(source), tmp_path / name)


def test_another_threshold_changes_decisions_and_nothing_else(run, source, tmp_path):
    score_run(run.path, str(source), tmp_path / "before.csv")
    weights = (run.bundle / "model.safetensors").stat()
    point = change_threshold(run.path, "quantile:0.5")
    assert (run.bundle / "model.safetensors").stat().st_mtime_ns == weights.st_mtime_ns
    assert load_bundle(run.bundle).config.operating_point == point
    score_run(run.path, str(source), tmp_path / "after.csv")
    before, after = rows_of(tmp_path / "before.csv"), rows_of(tmp_path / "after.csv")
    assert [row["score"] for row in before] == [row["score"] for row in after]
    assert {row["threshold"] for row in after} == {str(point.threshold)}
    assert sum(row["anomalous"] == "true" for row in after) > sum(
        row["anomalous"] == "true" for row in before
    )


def test_a_threshold_may_come_from_another_source(run, source):
    point = change_threshold(run.path, "max-f1", str(source))
    assert "max-f1" in point.policy
    with pytest.raises(PolicyError):
        change_threshold(run.path, "recall>=0.999")


def test_a_threshold_from_another_source_takes_all_of_it(run, tmp_path):
    for label, n in (("good", 19), ("bad", 3)):
        (tmp_path / "new" / label).mkdir(parents=True)
        for index in range(n):
            add_image(tmp_path / "new" / label / f"{index}.png", index)
    rates = change_threshold(run.path, "quantile:0.95", str(tmp_path / "new")).rates
    assert (rates["false_alarm_rate"].n, rates["recall"].n) == (19, 3)


def test_a_threshold_is_not_chosen_on_images_that_the_model_was_fitted_on(run, source, tmp_path):
    recorded = run.read_images("path", "part")
    in_train = recorded["path"][recorded["part"] == "train"][:20]
    (tmp_path / "seen" / "good").mkdir(parents=True)
    for index, path in enumerate(in_train):
        shutil.copyfile(source / path, tmp_path / "seen" / "good" / f"{index}.png")
    before = run.model().facts.operating_point
    with pytest.raises(InputError, match=r"new to the model.*20 of 20 images are ones"):
        change_threshold(run.path, "quantile:0.9", str(tmp_path / "seen"))
    assert run.model().facts.operating_point == before
    for index in range(30):
        add_image(tmp_path / "seen" / "good" / f"new {index}.png", index)
    said = []
    watcher = Watcher(on_note=said.append)
    point = change_threshold(run.path, "quantile:0.9", str(tmp_path / "seen"), watcher=watcher)
    assert point.rates["false_alarm_rate"].n == 30
    assert any("left out, so that 30 choose the threshold" in one for one in said)


def test_what_is_assumed_of_images_that_choose_a_threshold_is_told(run, source, tmp_path):
    recorded, said = run.read_images("path", "part"), []
    in_test = recorded["path"][recorded["part"] == "test"][:20]
    (tmp_path / "bare").mkdir()
    for index, path in enumerate(in_test):
        shutil.copyfile(source / path, tmp_path / "bare" / f"{index}.png")
    watcher = Watcher(on_note=said.append)
    change_threshold(run.path, "quantile:0.9", str(tmp_path / "bare"), watcher=watcher)
    assert any("20 of 20 images have no label and are taken for normal" in one for one in said)
    assert any("20 of the 20 images that choose the threshold" in one for one in said)
    assert findings(evaluate_run(run.path))["test-reused"].severity == "error"
    change_threshold(run.path, "quantile:0.8")
    assert "test-reused" not in findings(evaluate_run(run.path))


def test_labels_without_a_normal_one_are_no_calibration(source, tmp_path):
    (tmp_path / "flat").mkdir()
    for index in range(20):
        add_image(tmp_path / "flat" / f"{index}.png", index)
    run = fit_run(options(tmp_path / "flat", settings={"epochs": 1}, normal=None), tmp_path / "run")
    for label in ("a", "b"):
        (tmp_path / "new" / label).mkdir(parents=True)
        add_image(tmp_path / "new" / label / "0.png", 0)
    with pytest.raises(LabelError, match="normal images must be known"):
        change_threshold(run.path, "0.1", str(tmp_path / "new"))


def test_a_report_is_written_from_the_stored_evaluation_or_after_evaluating(
    run, tmp_path, monkeypatch
):
    page = report_run(run.path, tmp_path / "report.html")
    assert page.read_text("utf-8").startswith("<!")
    assert run.evaluation.exists()
    monkeypatch.setattr(
        "residua.runs.evaluate.evaluate_run", lambda *_, **__: pytest.fail("evaluated again")
    )
    report_run(run.path, tmp_path / "again.html")
    run.evaluation.write_text(json.dumps({"job": "detect"}))
    with pytest.raises(BundleError, match="Run evaluate again"):
        report_run(run.path, tmp_path / "third.html")


@pytest.mark.slow
def test_images_of_fashion_mnist_are_told_apart(data_folder, tmp_path):
    images = load_images(data_folder / "fashion_mnist", normal=["0"])
    train = images.train[np.flatnonzero(~images.train.is_anomalous)[:300]]
    arrays = tmp_path / "few.npz"
    test = images.test[:200]
    np.savez(
        arrays,
        x_train=train.array()[..., 0],
        y_train=train.labels.astype(int),
        x_test=test.array()[..., 0],
        y_test=test.labels.astype(int),
    )
    run = fit_run(
        options(arrays, normal=("0",), settings={"epochs": 12, "batch_size": 32}), tmp_path / "run"
    )
    judged = evaluate_run(run.path)
    assert judged.evaluation.n_images == 200
    assert judged.evaluation.metrics["roc_auc"].value > 0.6


def test_a_dozen_magnetic_tiles_of_mixed_sizes_are_judged_with_their_masks(data_folder, tmp_path):
    folder = data_folder / "magnetic_tile"
    manifest = ["path,label,mask,split"]
    for kind, label, n in (("MT_Free", "good", 10), ("MT_Blowhole", "blowhole", 4)):
        for index, photo in enumerate(sorted((folder / kind / "Imgs").glob("*.jpg"))[:n]):
            for file in (photo, photo.with_suffix(".png")):
                shutil.copy(file, tmp_path / file.name)
            split = "test" if label != "good" or index >= 8 else "train"
            mask = photo.with_suffix(".png").name if label != "good" else ""
            manifest.append(f"{photo.name},{label},{mask},{split}")
    (tmp_path / "tiles.csv").write_text("\n".join(manifest))
    run = fit_run(
        options(tmp_path / "tiles.csv", size=32, settings={"epochs": 1, "batch_size": 4}),
        tmp_path / "run",
    )
    judged = evaluate_run(run.path)
    assert judged.evaluation.n_images == 6
    assert judged.evaluation.metrics["pixel_roc_auc"].value is not None
    assert judged.evidence.gallery.masks.any()
    # Specks of the blowholes that 32 px do not show: told by fit of the size it takes, and again.
    told = next(one for one in judged.evaluation.findings if one.code == "small-defects")
    assert max(told.measured["network_size"]) == 32
    assert [one.code for one in judged.evaluation.findings].count("small-defects") == 1
    before = next(one for one in read_check(run) if one.code == "small-defects")
    assert before.measured["network_size"] == told.measured["network_size"]


def test_an_evaluation_never_stands_beside_the_evidence_of_another(run, monkeypatch):
    evaluate_run(run.path)

    def ended(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Evidence, "save", ended)
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(run.path)
    assert not run.evaluation.exists()


@pytest.mark.parametrize("content", ["", "\na,b\n", "path,part\na,test\n"])
def test_a_record_of_images_without_its_columns_is_refused(own, content):
    run, _ = own
    run.images.write_text(content)
    with pytest.raises(BundleError, match="the columns must be"):
        evaluate_run(run.path)


def test_a_run_that_somebody_sent_sends_no_request_until_its_source_is_named(run, tmp_path):
    sent = tmp_path / "sent"
    shutil.copytree(run.path, sent)
    state = json.loads((sent / "run.json").read_text())
    state["options"]["source"], state["made_here"] = "memory://nowhere/parts.tar", "0" * 64
    (sent / "run.json").write_text(json.dumps(state))
    (sent / "evaluation.json").unlink(missing_ok=True)
    with pytest.raises(SourceError, match="must be named by you"):
        evaluate_run(sent)
    with pytest.raises(SourceError) as named:
        evaluate_run(sent, "memory://nowhere/parts.tar")
    assert "must be named by you" not in str(named.value), (
        "named, it is asked for, and is not there"
    )
