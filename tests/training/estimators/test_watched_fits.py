"""Who watches a fit is told what happens: callbacks, logging, bars, and the real files of real
loggers."""

from __future__ import annotations

import csv
import json
import logging
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import residua
from residua import _progress
from residua.errors import InputError, MissingExtraError
from residua.runs.loggers import LOGGERS, RunLogger
from residua.training.loop.settings import Epoch

SECRET = "hunter2"


@pytest.fixture(scope="module")
def images():
    return residua.load_images("digits", normal="0")


@pytest.fixture
def small(images):
    return images.train[:250], images.calibration[:150]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def csv_rows(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def detector(epochs=4):
    return residua.OneClassDetector(latent=4, epochs=epochs, seed=0)


@pytest.fixture(scope="module")
def record():
    area = residua.Estimate(value=0.9, low=0.8, high=0.95, n=40)
    metrics = {
        "roc_auc": area,
        "recall[fine scratch]": residua.Estimate(value=0.5),
        "aupro": residua.Estimate(value=None),
    }
    finding = residua.Finding(
        code="odd", severity="error", meaning="Something is odd.", what_to_do="Look."
    )
    scores = np.linspace(0, 1, 40)
    return residua.Evaluation(
        job="detect",
        n_images=40,
        split="test",
        metrics=metrics,
        findings=(finding,),
        provenance={"source": f"https://me:{SECRET}@host/a.tar?X-Signature={SECRET}"},
    ).with_evidence(
        residua.Evidence(np.arange(40).astype(str), scores=scores, is_anomalous=scores > 0.7)
    )


def epochs_of(n, training=1):
    return [Epoch(i, n, 1 / i, 2 / i, 0.1, training) for i in range(1, n + 1)]


def test_callbacks_are_told_each_epoch_and_may_stop(small):
    seen, others = [], []
    fitted = detector(epochs=20).fit(
        small[0],
        calibration=small[1],
        callbacks=[seen.append, lambda one: one.epoch == 3, others.append],
    )
    assert [one.epoch for one in seen] == [1, 2, 3]
    assert others == seen
    assert {one.n_epochs for one in seen} == {20}
    assert fitted.history_["validation_loss"].tolist() == [one.validation_loss for one in seen]
    assert fitted.history_["train_loss"].tolist() == [one.train_loss for one in seen]


def test_watching_changes_no_weight_and_is_not_pickled(small):
    plain = detector().fit(small[0], calibration=small[1])
    watched = detector().fit(
        small[0], calibration=small[1], callbacks=[lambda _: None], logger="csv"
    )
    scores = [one.anomaly_scores(small[1]) for one in (plain, watched)]
    np.testing.assert_array_equal(*scores)
    assert pickle.loads(pickle.dumps(watched))._logger is None
    assert "logger" not in watched.get_params()


def test_phases_of_a_fit_are_counted():
    seen = []
    some = residua.load_images("digits").train[::9]
    residua.AutoencoderClassifier("sequential", width=4, epochs=4, seed=0).fit(
        some, callbacks=[seen.append], logger="csv"
    )
    assert {one.training for one in seen} == {1, 2}
    rows = csv_rows(Path("logs/csv/version_0/metrics.csv"))
    steps = [int(row["step"]) for row in rows if row["train_loss"]]
    assert steps == list(range(1, len(seen) + 1))


def test_a_callback_must_be_callable_and_a_logger_known(small):
    with pytest.raises(InputError, match=r"callables that take an Epoch\. Got 'note'"):
        detector().fit(small[0], callbacks=["note"])
    with pytest.raises(InputError, match=r"csv, tensorboard, mlflow, wandb.* Got 'tensorbord'"):
        detector().fit(small[0], logger="tensorbord")
    with pytest.raises(InputError, match=r"or a logger of Lightning\. Got True"):
        detector().fit(small[0], logger=True)
    assert not Path("logs").exists()
    told = []
    detector().fit(small[0], callbacks=told.append)  # one alone
    with pytest.warns(UserWarning, match="callbacks were not called.*has no epochs"):
        made = residua.OneClassDetector("pca").fit(small[0], callbacks=told.append)
    assert any("callbacks were not called" in note for note in made.notes_)
    assert told


def test_a_missing_package_is_said_before_the_work(small, monkeypatch):
    monkeypatch.setattr("lightning.pytorch.loggers.wandb._WANDB_AVAILABLE", False)
    with pytest.raises(MissingExtraError, match=r"pip install 'residua\[wandb\]'"):
        detector().fit(small[0], logger="wandb")


def test_python_s_logging_tells_what_happens_and_nothing_without_being_asked(
    small, caplog, capfd, images
):
    fitted = detector(2).fit(small[0], calibration=small[1])
    assert capfd.readouterr() == ("", "")
    with caplog.at_level(logging.DEBUG, "residua"):
        detector(2).fit(small[0], calibration=small[1])
        record = residua.evaluate_detection(
            images.test.is_anomalous, fitted.anomaly_scores(images.test)
        )
    told = [(one.name, one.levelname, one.getMessage()) for one in caplog.records]
    assert [t for t in told if t[1] == "DEBUG" and "epoch 2 of 2" in t[2]]
    for note in fitted.notes_:
        assert ("residua.fit", "INFO", note) in told or "left out" in note
    levels = {"error": "ERROR", "warning": "WARNING", "note": "INFO", "ok": "DEBUG"}
    for one in record.findings:
        said = f"{one.code}: {one.meaning}"
        assert ("residua.evaluate", levels[one.severity], said) in told
    handlers = logging.getLogger("residua").handlers
    assert any(isinstance(one, logging.NullHandler) for one in handlers)


def test_what_was_read_is_told_by_the_log(tmp_path, caplog):
    np.save(tmp_path / "x.npy", np.zeros((8, 8, 8), np.uint8))
    with caplog.at_level(logging.INFO, "residua"):
        residua.load_images(tmp_path / "x.npy")
    assert "8 images" in caplog.text


def written(logger, record):
    """A logger that was told of a fit of three epochs and of an evaluation."""
    logged = RunLogger(logger, Path("logs"), "parts")
    for epoch in (*epochs_of(2), *epochs_of(1, training=2)):
        logged.on_epoch(epoch)
    logged.evaluated(record)
    return logged


def test_csv_holds_losses_metrics_findings_and_the_report_without_secrets(record):
    written("csv", record)
    folder = Path("logs/csv/version_0")
    rows = csv_rows(folder / "metrics.csv")
    losses = [(row["step"], row["train_loss"]) for row in rows if row["train_loss"]]
    assert losses == [("1", "1.0"), ("2", "0.5"), ("3", "1.0")]
    last = rows[-1]
    assert (last["test/roc_auc"], last["test/roc_auc_low"]) == ("0.9", "0.8")
    assert last["test/recall.fine scratch"] == "0.5"
    assert not any("aupro" in name for name in last)
    assert "**error** `odd`: Something is odd. Look." in (folder / "findings.md").read_text()
    page = (folder / "report.html").read_text()
    assert "Something is odd" in page
    assert SECRET not in page
    assert "https://***@host/a.tar" in page


def test_tensorboard_files_hold_losses_metrics_and_findings(record):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    written("tensorboard", record)
    again = RunLogger("tensorboard", Path("logs"), resume=True)
    again.evaluated(record)
    (folder,) = Path("logs/tensorboard").iterdir()
    read = accumulator.EventAccumulator(str(folder))
    read.Reload()
    assert [(one.step, one.value) for one in read.Scalars("train_loss")] == [
        (1, 1.0),
        (2, 0.5),
        (3, 1.0),
    ]
    for name, value in (("roc_auc", 0.9), ("roc_auc_low", 0.8), ("roc_auc_high", 0.95)):
        found = read.Scalars(f"test/{name}")
        assert [one.step for one in found] == [3, 3]
        assert found[0].value == pytest.approx(value)
    text = read.Tensors("findings/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "Something is odd" in text


def test_a_store_of_mlflow_holds_it_all_and_a_later_evaluation_joins_the_run(record, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    logged = written("mlflow", record)
    RunLogger("mlflow", Path("logs"), resume=True).evaluated(record)
    client = logged.logger.experiment
    experiment = client.get_experiment_by_name("residua")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "parts"
    assert run.data.metrics["test/roc_auc_high"] == 0.95
    assert run.data.metrics["test/recall.fine scratch"] == 0.5
    history = client.get_metric_history(run.info.run_id, "train_loss")
    assert [(one.step, one.value) for one in history] == [(1, 1.0), (2, 0.5), (3, 1.0)]
    files = {one.path for one in client.list_artifacts(run.info.run_id)}
    assert files == {"findings.md", "report.html"}
    assert mlflow.__version__
    everything = "".join(
        path.read_text(errors="replace") for path in Path("logs").rglob("*") if path.is_file()
    )
    assert SECRET not in everything


def test_weights_and_biases_is_told_the_same_by_a_stand_in(record, monkeypatch):
    """The real service is not tried here."""
    told = []

    class Stand(types.SimpleNamespace):
        version, name = "abc", "stand-in"
        experiment = types.SimpleNamespace(log=lambda what: told.append(("html", what)))

        def log_metrics(self, metrics, step):
            told.append(("metrics", step, metrics))

        def log_text(self, key, columns, data):
            told.append(("text", key, data[0][0]))

        def save(self):
            told.append(("save",))

        def finalize(self, status):
            told.append(("end", status))

    Stand.__name__ = LOGGERS["wandb"].lightning
    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(Html=len))
    logged = RunLogger(Stand(), Path("logs"))
    logged.evaluated(record)
    assert [one[0] for one in told] == ["metrics", "text", "html", "save", "end"]
    assert told[0][2]["test/roc_auc_low"] == 0.8
    assert told[2][1]["report"] > 100_000
    assert not Path("logs").exists()
    options = LOGGERS["wandb"].options(Path("logs"), "parts", "abc")
    assert options["id"] == "abc"


def test_a_fit_that_fails_is_told_to_the_logger(small, monkeypatch):
    ended = []
    monkeypatch.setattr(RunLogger, "end", lambda _, *, is_failed=False: ended.append(is_failed))

    def broken(_):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        detector().fit(small[0], callbacks=[broken], logger="csv")
    assert ended == [True]


def test_the_bar_of_a_notebook_is_drawn_below_its_cell(monkeypatch):
    drawn = []
    display = types.ModuleType("IPython.display")
    display.HTML = str
    display.display = lambda html, display_id: types.SimpleNamespace(update=drawn.append)
    shell = types.ModuleType("IPython")
    shell.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    with _progress.bars() as bars:
        bars.note("reading <b>")
        bars.training(1, 4, 1, 0.5, None)
        bars.training(4, 4, 2, 0.25, 0.5)
    assert "reading &lt;b&gt;" in drawn[0]
    assert '<progress value="4" max="4"' in drawn[-2]
    assert "validation 0.50000" in drawn[-2]
    assert "<progress" not in drawn[-1]


def test_a_note_of_the_logger_says_where_to_go_on(record):
    written("csv", record)
    assert json.loads(Path("logs/csv.json").read_text()) == {"version": 0, "step": 3}
