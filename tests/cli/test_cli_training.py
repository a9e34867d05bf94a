"""`fit`, `evaluate`, `score`, `report`, `info`, `threshold`, `recipes`: what they do, and their
exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from residua.cli import main
from residua.errors import GateError
from training_wing import blobs

FIT = ("--epochs", 1, "--batch-size", 8, "--latent", 3)
PUBLIC_KEYS = {
    "job",
    "n_images",
    "split",
    "metrics",
    "operating_point",
    "baselines",
    "findings",
    "provenance",
    "schema_version",
    "standings",
    "verdict",
}
ESTIMATE_KEYS = {"value", "low", "high", "confidence", "n"}


def said(result, code):
    """The message on standard error of a command that ended with `code` and printed nothing
    else."""
    assert result[0] == code, result
    assert "Traceback" not in result[2]
    return result[2]


def mistake(result):
    """The sentence of a user's mistake."""
    return said(result, 2)


def test_learn_says_what_was_learnt_and_what_comes_next(residua, run, source, tmp_path):
    corrections = tmp_path / "corrections"
    for label, folder in (("good", "good"), ("bad", "defect")):
        (corrections / folder).mkdir(parents=True)
        for number in (1, 2, 3):
            image = source / label / f"{number:03d}.png"
            (corrections / folder / image.name).write_bytes(image.read_bytes())
    code, out, _ = residua("learn", run, corrections, "--out", tmp_path / "run2")
    assert code == 0
    assert out.startswith("6 corrections: 3 good, 3 defective.")
    assert "on a new scale" in out
    assert f"residua compare {run} {tmp_path / 'run2'}" in out
    assert "must be given" in mistake(residua("learn", run))
    assert "takes a RUN alone" in mistake(residua("learn", run, corrections, "--undo"))
    assert residua("learn", tmp_path / "run2", "--undo")[0] == 0
    assert "a step of learning to undo" in mistake(residua("learn", run, "--undo"))


# --- what works
# ----


def test_fit_says_what_it_picked_and_what_comes_next(residua, source, tmp_path):
    code, out, err = residua("fit", source, "--normal", "good", *FIT, "--out", tmp_path / "run")
    assert code == 0
    assert "threshold" in out
    assert f"residua evaluate {tmp_path / 'run'}" in out.replace("\n", "")
    assert "network: convolutional" in err
    assert (tmp_path / "run" / "bundle" / "bundle.json").exists()


def test_fit_takes_every_option(residua, source, tmp_path):
    code, _, err = residua(
        "fit", source, "--job", "reconstruct", "--family", "dense", "--tied", "--loss",
        "binary-cross-entropy", "--error", "ssim",
        "--size", 16, "--aspect", "keep", "--learning-rate", 0.001, "--patience", 2, "--augment",
        "flip,shift",
        "--precision", "fp32", "--seed", 3, *FIT, "--quiet", "--out", tmp_path / "run",
    )  # fmt: skip
    assert (code, err) == (0, "")
    config = json.loads((tmp_path / "run" / "bundle" / "bundle.json").read_text())["config"]
    assert config["size"] == [16, 16]
    assert config["recipe_options"]["tied"] is True
    assert config["training"]["settings"]["augment"] == ["flip", "shift"]


def test_a_backbone_is_trained_on_by_the_recipe_that_needs_one(residua, source, tmp_path):
    run = tmp_path / "run"
    code, _, err = residua(
        "fit", source, "--normal", "good", "--backbone", "random-conv", *FIT, "--out", run
    )
    assert code == 0
    assert "of a frozen backbone" in " ".join(err.split())
    config = json.loads((run / "bundle" / "bundle.json").read_text())["config"]
    assert (config["recipe"], config["recipe_options"]["backbone"]) == ("feature", "random-conv")
    for recipe in ("plain", "restore"):
        refused = residua(
            "fit",
            source,
            "--normal",
            "good",
            "--recipe",
            recipe,
            "--backbone",
            "random-conv",
            "--out",
            tmp_path / "x",
        )
        assert "option backbone" in mistake(refused)


def test_evaluate_writes_the_public_object_to_standard_output_and_nothing_else(residua, finished):
    code, out, _ = residua("evaluate", finished, "--json", "-")
    assert code == 0
    value = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert set(value) == PUBLIC_KEYS
    assert value["job"] == "detect"
    assert value["split"] == "test"
    assert set(value["operating_point"]) == {"threshold", "policy", "how", "rates"}
    for estimates in (
        value["metrics"],
        value["operating_point"]["rates"],
        *value["baselines"].values(),
    ):
        assert all(set(estimate) == ESTIMATE_KEYS for estimate in estimates.values())
    assert all(
        set(one) == {"code", "severity", "measured", "meaning", "what_to_do"}
        for one in value["findings"]
    )
    assert {"roc_auc", "average_precision", "precision", "recall", "f1"} <= set(value["metrics"])


def test_evaluate_writes_json_and_html_files_and_tables(residua, finished, tmp_path):
    code, out, _ = residua(
        "evaluate", finished, "--json", tmp_path / "result.json", "--html", tmp_path / "report.html"
    )
    assert code == 0
    assert set(json.loads((tmp_path / "result.json").read_text())) == PUBLIC_KEYS
    assert (tmp_path / "report.html").read_text("utf-8").startswith("<!")
    assert "ROC" in out or "roc" in out


def test_evaluate_another_source(residua, finished, source):
    code, out, _ = residua("evaluate", finished, source, "--json", "-", "--quiet")
    assert code == 0
    value = json.loads(out)
    assert value["split"] == "all"
    assert value["n_images"] == 72
    assert "leakage" in {one["code"] for one in value["findings"] if one["severity"] == "error"}


def test_strict_is_a_gate(residua, finished, source):
    message = said(residua("evaluate", finished, source, "--strict", "--quiet"), 3)
    assert "leakage" in message


def test_a_threshold_that_catches_nothing_is_an_error_that_stands_first(residua, run):
    assert residua("threshold", run, "--policy", "1000000")[0] == 0
    code, out, err = residua("evaluate", run, "--strict")
    first = " ".join(out.split())[:400]
    assert code == 3 and "useless-threshold" in err + out
    assert "NOT SHOWN to be usable" in first  # eight anomalies cannot show that it is useless
    assert "misses 8 of 8 anomalous images and flags 0 of " in first


def test_strict_passes_where_no_error_stands(residua, finished):
    code, out, err = residua("evaluate", finished, "--strict", "--json", "-", "--quiet")
    errors = [one for one in json.loads(out)["findings"] if one["severity"] == "error"]
    assert code == (3 if errors else 0), err


def test_score_writes_a_row_an_image_and_maps(residua, finished, source, tmp_path):
    code, out, _ = residua(
        "score", finished, source, "--out", tmp_path / "scores.csv", "--maps", tmp_path / "maps"
    )
    assert code == 0
    with open(tmp_path / "scores.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "path",
        "label",
        "split",
        "score",
        "threshold",
        "anomalous",
        "mse",
        "mae",
        "ssim",
        "unreadable",
        "p_value",
    ]
    assert len(rows) == 72
    assert "72 images scored" in out
    assert len(list((tmp_path / "maps").iterdir())) == 72


def test_report_writes_a_page_and_prints_where(residua, run):
    code, out, _ = residua("report", run)
    assert code == 0
    assert out.strip() == str(run / "report.html")
    assert (run / "report.html").exists()


def test_info_describes_a_run_and_a_source(residua, finished, source):
    code, out, _ = residua("info", finished)
    assert code == 0
    assert "threshold" in out
    assert json.loads(residua("info", finished, "--json", "-")[1])["finished"] is True
    summary = json.loads(residua("info", source, "--json", "-")[1])
    assert summary["n_images"] == 72


@pytest.mark.parametrize("option", [("--groups", "folder"), ("--bits", "12"), ("--follow-links",)])
def test_what_describes_images_is_refused_of_a_run(residua, finished, option):
    code, _, told = residua("info", finished, *option)
    assert code == 2 and option[0] in told


def test_threshold_changes_the_operating_point(residua, run):
    day = ("--per-day", 1000, "--prevalence", 0.1)
    code, out, _ = residua("threshold", run, "--policy", "quantile:0.5", *day, "--json", "-")
    assert code == 0
    point = json.loads(out)
    assert point["policy"] == "quantile:0.5"
    thrown = 900 * point["rates"]["false_alarm_rate"]["value"]
    assert point["per_day"]["thrown_away"]["value"] == pytest.approx(thrown)
    assert (
        json.loads(residua("info", run, "--json", "-")[1])["bundle"]["operating_point"]["policy"]
        == "quantile:0.5"
    )


def test_info_and_threshold_tell_the_latest_evaluation(residua, run):
    def told() -> str:
        return " ".join(residua("info", run)[1].split())

    assert residua("evaluate", run, "--quiet")[0] == 0
    assert "It fits the model and the threshold." in told()
    stored = (run / "evaluation.json").read_bytes()
    out = residua("threshold", run, "--policy", "quantile:0.5")[1]
    assert "from the stored scores: At its threshold, the model misses" in out
    assert "It fits the model and the threshold." in told()
    fit = json.loads(residua("info", run, "--json", "-")[1])["evaluation"]
    assert (fit["fit"], fit["part"], fit["engine"]) == ("fits", "test", "torch")
    (run / "evaluation.json").write_bytes(stored)
    assert "not the one above: reports judge it again from its scores" in told()
    code, _, err = residua("report", run)
    assert code == 0 and "is judged again from its scores" in " ".join(err.split())


def test_recipes_are_listed(residua, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    from residua.training.recipes import RECIPES

    code, out, _ = residua("recipes")
    assert code == 0
    assert all(name in out for name in RECIPES)


def test_a_finished_run_resumed_says_so_and_is_left_alone(residua, run, source):
    before = (run / "bundle" / "model.safetensors").stat().st_mtime_ns
    code, _, err = residua(
        "fit",
        source,
        "--normal",
        "good",
        "--epochs",
        2,
        "--batch-size",
        8,
        "--latent",
        3,
        "--resume",
        "--out",
        run,
    )
    assert code == 0
    assert "nothing to resume" in err
    assert (run / "bundle" / "model.safetensors").stat().st_mtime_ns == before


# --- the user's mistakes
# ----


def test_an_empty_folder(residua, tmp_path):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in mistake(
        residua("fit", tmp_path / "empty", "--out", tmp_path / "run")
    )


def test_a_source_that_is_not_there(residua, tmp_path):
    assert "nowhere" in mistake(residua("fit", tmp_path / "nowhere", "--out", tmp_path / "run"))


def test_no_normal_images(residua, tmp_path, source):
    import shutil

    shutil.copytree(source / "bad", tmp_path / "parts" / "train" / "bad")
    shutil.copytree(source / "good", tmp_path / "parts" / "test" / "good")
    assert "normal" in mistake(
        residua("fit", tmp_path / "parts", "--normal", "good", "--out", tmp_path / "run")
    )


def test_a_label_that_is_not_there(residua, source, tmp_path):
    message = mistake(residua("fit", source, "--normal", "god", "--out", tmp_path / "run"))
    assert "god" in message
    assert "good" in message


def test_normal_not_named_where_there_are_several_labels(residua, tmp_path):
    assert "--normal" in mistake(residua("fit", "digits", "--out", tmp_path / "run"))


@pytest.mark.parametrize("command", ["evaluate", "score", "threshold"])
def test_images_of_another_channel_count(residua, command, run, colour, tmp_path):
    more = {
        "evaluate": (),
        "score": ("--out", tmp_path / "s.csv"),
        "threshold": ("--policy", "max-f1"),
    }[command]
    message = mistake(residua(command, run, colour, *more))
    assert "grey (1 channel)" in message
    assert "colour (3 channels)" in message


COMMANDS = [
    ("evaluate",),
    ("report",),
    ("info",),
    ("score", "digits", "--out", "s.csv"),
    ("threshold", "--policy", "max-f1"),
]


def with_run(command, run):
    return (command[0], run, *command[1:])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_truncated_bundle(residua, command, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (run / "evaluation.json").unlink(
        missing_ok=True
    )  # a report of a stored evaluation needs no model
    weights = run / "bundle" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-500])
    assert "truncated" in mistake(residua(*with_run(command, run)))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_bundle_whose_json_was_edited(residua, command, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (run / "evaluation.json").unlink(missing_ok=True)
    path = run / "bundle" / "bundle.json"
    path.write_text(path.read_text().replace('"latent": 3', '"latent": 4'))
    assert "edited or damaged" in mistake(residua(*with_run(command, run)))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 500_000, "PK\x03\x04", '{"checksum": 1}'],
    ids=["empty", "half", "deep", "zip", "other"],
)
def test_a_bundle_whose_json_is_something_else(residua, run, text):
    (run / "bundle" / "bundle.json").write_text(text)
    assert "bundle.json" in mistake(residua("evaluate", run))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_folder_that_is_no_run(residua, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nothing").mkdir()
    assert "nothing" in mistake(residua(*with_run(command, tmp_path / "nothing")))


def test_a_label_with_a_comma_is_named_in_double_quotes(residua, source, tmp_path):
    import shutil

    shutil.copytree(source / "good", tmp_path / "parts" / "fine, new")
    shutil.copytree(source / "bad", tmp_path / "parts" / "bad")
    assert '"fine, new"' in mistake(
        residua("fit", tmp_path / "parts", "--normal", "fine, new", "--out", tmp_path / "run")
    )
    assert residua("info", tmp_path / "parts", "--normal", '"fine, new"')[0] == 0


def test_tied_weights_of_convolutions_are_refused(residua, source, tmp_path):
    assert "need the family dense" in mistake(
        residua("fit", source, "--normal", "good", "--tied", "--out", tmp_path / "run")
    )


def test_a_run_that_is_not_finished(residua, run):
    import shutil

    shutil.rmtree(run / "bundle")
    state = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**state, "finished": False}))
    assert "must be finished" in mistake(residua("evaluate", run))


@pytest.mark.parametrize("inside", ["", "deeper", "deeper/still"])
def test_a_file_where_the_run_should_be(residua, inside, source, tmp_path):
    (tmp_path / "file").write_text("in the way")
    assert "a file is in the way" in mistake(
        residua("fit", source, "--normal", "good", "--out", tmp_path / "file" / inside)
    )


@pytest.mark.parametrize("option", ["--json", "--html"])
def test_a_file_where_the_results_folder_should_be(residua, option, finished, tmp_path):
    (tmp_path / "file").write_text("in the way")
    told = mistake(residua("evaluate", finished, option, tmp_path / "file" / "result", "--quiet"))
    assert "file" in told and (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize(
    "command",
    [
        ("score", "--out", "{}/s.csv"),
        ("score", "--out", "s.csv", "--maps", "{}"),
        ("report", "--out", "{}/r.html"),
    ],
    ids=str,
)
def test_a_file_where_an_output_folder_should_be(
    residua, command, finished, source, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    places = [str(part).format(tmp_path / "file") for part in command[1:]]
    arguments = (source, *places) if command[0] == "score" else places
    told = mistake(residua(command[0], finished, *arguments))
    assert "file" in told and (tmp_path / "file").read_text() == "in the way"


def test_an_unknown_recipe_with_what_was_meant(residua, source, tmp_path):
    assert "Did you mean plain?" in mistake(
        residua("fit", source, "--normal", "good", "--recipe", "plian", "--out", tmp_path / "run")
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--epochs", 2, "--minutes", 1), "exclude each other"),
        (("--epochs", 0), "--epochs"),
        (("--latent", 0), "--latent"),
        (("--size", 5), "between 8 and 4096"),
        (("--seed", 2**40), "seed"),
        (("--batch-size", 10**6), "batch_size"),
        (("--minutes", 10**9), "minutes"),
        (("--learning-rate", "nan"), "learning"),
        (("--augment", "spin,flip"), "'spin'"),
        (("--policy", "whenever"), "Write one of"),
        (("--policy", "false-alarms<=0.001"), "2995"),
        (("--job", "dream"), "--job"),
        (("--loss", "hinge"), "--loss"),
        (("--colour", "red"), "--colour"),
    ],
    ids=str,
)
def test_options_that_do_not_hold(residua, options, sentence, source, tmp_path):
    assert sentence in mistake(
        residua("fit", source, "--normal", "good", "--out", tmp_path / "run", *options)
    )


def test_resuming_with_other_options(residua, run, source):
    assert "epochs" in mistake(
        residua("fit", source, "--normal", "good", "--epochs", 9, "--resume", "--out", run)
    )


def test_fitting_into_a_run_without_resume(residua, run, source):
    assert "--resume" in mistake(residua("fit", source, "--normal", "good", "--out", run))


def test_scores_of_an_unknown_format(residua, finished, source, tmp_path):
    assert ".csv or .parquet" in mistake(
        residua("score", finished, source, "--out", tmp_path / "scores.xlsx")
    )


@pytest.mark.parametrize(
    "arguments",
    [(), ("fit",), ("fit", "digits"), ("evaluate",), ("score", "run", "digits"), ("nonsense",)],
    ids=str,
)
def test_commands_without_what_they_need_end_with_2(residua, arguments):
    assert residua(*arguments)[0] == 2


# --- our faults and the rest
# ----


def test_training_that_diverges_ends_with_1_and_a_sentence(residua, source, tmp_path):
    message = said(
        residua(
            "fit",
            source,
            "--normal",
            "good",
            *FIT,
            "--learning-rate",
            1e35,
            "--quiet",
            "--out",
            tmp_path / "run",
        ),
        1,
    )
    assert "Lower the learning rate" in message


def test_an_unexpected_error_ends_with_1_in_one_line_and_debug_shows_it(
    residua, finished, monkeypatch
):
    def fail(*_, **__):
        raise ZeroDivisionError("by nothing")

    monkeypatch.setattr("residua.runs.evaluate.evaluate_run", fail)
    message = said(residua("evaluate", finished, "--quiet"), 1)
    assert message.count("\n") == 1
    assert "--debug" in message
    with pytest.raises(ZeroDivisionError):
        main(["--debug", "evaluate", str(finished), "--quiet"])


def test_ctrl_c_ends_with_130(residua, source, tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("residua.training.recipes.plain.Plain.loss", interrupt)
    code, _, err = residua(
        "fit", source, "--normal", "good", *FIT, "--quiet", "--out", tmp_path / "run"
    )
    assert code == 130
    assert "--resume" in err
    assert "Traceback" not in err


def test_debug_shows_a_gate_as_an_exception(finished, source):
    with pytest.raises(GateError):
        main(["--debug", "evaluate", str(finished), str(source), "--strict", "--quiet"])


def run_python(code):
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "130"},
        check=False,
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["fit", "--help"], ["evaluate", "--help"], ["score", "--help"], ["--version"]],
    ids=str,
)
def test_help_comes_without_torch_or_scikit_learn(arguments):
    code = (
        f"import sys\nfrom residua.cli import main\ntry: main({arguments!r})\nexcept SystemExit as"
        " ended: assert not ended.code\nheavy = {'torch', 'lightning', 'sklearn', 'scipy',"
        " 'safetensors', 'pyarrow'} & set(sys.modules)\nassert not heavy, heavy"
    )
    ended = run_python(code)
    assert ended.returncode == 0, ended.stderr
    assert "residua" in ended.stdout


def test_importing_residua_does_not_import_torch():
    ended = run_python(
        "import sys, residua\nassert not {'torch', 'lightning', 'sklearn'} & set(sys.modules)"
    )
    assert ended.returncode == 0, ended.stderr


def test_python_m_residua_is_the_command_and_its_exit_code_the_processs(tmp_path):
    command = [sys.executable, "-m", "residua", "info", str(tmp_path / "nowhere")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.lstrip().startswith("residua: ")


def test_a_manifest_is_relative_to_the_root_that_is_told_and_a_run_keeps_it(residua, tmp_path):
    images, lists = tmp_path / "images", tmp_path / "lists"
    images.mkdir()
    lists.mkdir()
    rows = ["path,label"]
    for row, image in enumerate(blobs(24)):
        Image.fromarray(image[..., 0]).save(images / f"{row}.png")
        rows.append(f"{row}.png,good")
    (lists / "set.csv").write_text("\n".join(rows))
    assert "24 images" in residua("info", lists / "set.csv", "--root", images)[1]
    code, _, told = residua("info", lists / "set.csv", "--root", tmp_path / "gone")
    assert (code, "root must be a folder" in told) == (2, True)
    code, _, told = residua("info", images, "--root", images)
    assert (code, "is for a manifest" in told) == (2, True)
    fitted = residua(
        "fit",
        lists / "set.csv",
        "--root",
        images,
        "--job",
        "reconstruct",
        "--epochs",
        1,
        "--latent",
        2,
        "--out",
        tmp_path / "run",
    )
    assert fitted[0] == 0, fitted[2]
    assert residua("evaluate", tmp_path / "run")[0] == 0
    assert (
        residua("score", tmp_path / "run", lists / "set.csv", "--out", tmp_path / "s.csv")[0] == 0
    )
    assert len((tmp_path / "s.csv").read_text().splitlines()) == 25


def test_the_state_of_a_run_is_such_a_file(residua, finished, tmp_path):
    stored = json.loads((finished / "run.json").read_text())["options"]
    again = tmp_path / "again"
    code, _, told = residua(
        "fit", "--config", finished / "run.json", "--out", again, "--epochs", "1", "--quiet"
    )
    assert code == 0, told
    made = json.loads((again / "run.json").read_text())["options"]
    assert made.pop("settings") == {**stored.pop("settings"), "epochs": 1}
    assert made == stored


@pytest.mark.parametrize("encoding", ["cp1252"])
def test_a_run_is_told_on_a_console_without_unicode(finished, monkeypatch, encoding):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict")
    monkeypatch.setattr("sys.stdout", stream)
    with pytest.raises(SystemExit, match="0"):
        main(["evaluate", str(finished)])
    said = stream.buffer.getvalue().decode(encoding)
    assert "ROC AUC" in said


def test_a_logger_is_told_of_the_fit_and_of_the_evaluation(residua, source, tmp_path):
    run = tmp_path / "run"
    options = ("--epochs", 2, "--batch-size", 8, "--latent", 3, "--logger", "csv")
    code, _, told = residua("fit", source, "--normal", "good", *options, "--out", run)
    assert code == 0, told
    code, _, told = residua("evaluate", run, "--logger", "csv", "--quiet")
    assert code == 0, told
    fit, evaluation = (run / "logs" / "csv" / f"version_{number}" for number in (0, 1))
    assert "train_loss" in (fit / "metrics.csv").read_text()
    assert str(source) not in (fit / "hparams.yaml").read_text()
    assert "test/roc_auc_low" in (evaluation / "metrics.csv").read_text()
    assert (evaluation / "report.html").exists()


def test_an_unknown_logger_is_refused_before_the_work(residua, source, tmp_path):
    code, _, err = residua("fit", source, "--logger", "excel", "--out", tmp_path / "run")
    assert code == 2
    assert "must be one of csv, tensorboard, mlflow, wandb" in err
    assert not (tmp_path / "run").exists()
