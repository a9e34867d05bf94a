"""`fit --config`, the groups of its help, and completion in shells."""

from __future__ import annotations

import pytest
import typer

from residua.cli import app
from residua.cli.config_file import options_of_file
from residua.cli.help_groups import GROUPS
from residua.errors import InputError

FIT = typer.main.get_command(app).commands["fit"]
KNOWN = [one.name for one in FIT.params if one.name not in ("config", "help")]


def parsed(*arguments: str) -> dict:
    """What the command would be called with."""
    return FIT.make_context("fit", list(arguments)).params


def written(tmp_path, text: str, name: str = "fit.toml") -> str:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return str(tmp_path / name)


def test_options_come_from_a_file_and_typed_ones_win(tmp_path):
    path = written(
        tmp_path,
        'source = "parts/"\nout = "runs/a"\nnormal = ["good", "a, b"]\nbatch-size = 16\n'
        "epochs = 20\nquiet = true\nlearning_rate = 0.01\n",
    )
    got = parsed("--config", path, "--epochs", "3")
    assert (got["source"], str(got["out"]), got["epochs"]) == ("parts/", "runs/a", 3)
    assert (got["batch_size"], got["learning_rate"], got["quiet"]) == (16, 0.01, True)
    assert got["normal"] == 'good,"a, b"'
    assert parsed("other/", "--config", path)["source"] == "other/"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epoch = 3", "Got 'epoch'. Did you mean epochs?"),
        ("[training]\nepochs = 3", "Got 'training'"),
        ("epochs = [1, 2]", "the value of epochs must be one word, number"),
        ("latent = true", "latent must be a number or a word. Got true"),
        ("epochs: 3", "must be TOML"),
        ("[fit]\nepochs = 3", "leave the line [fit] out"),
    ],
)
def test_a_file_with_a_mistake_is_refused_by_name(residua, tmp_path, text, told):
    path = written(tmp_path, text)
    code, _, said = residua("fit", "digits", "--out", tmp_path / "run", "--config", path)
    assert code == 2
    assert path in said
    assert told in said


def test_a_file_that_is_not_there_is_told_so_and_not_as_one_of_another_format(tmp_path):
    with pytest.raises(InputError, match=r"must be one that can be read\. Got: No such file"):
        options_of_file(tmp_path / "nowhere.toml", KNOWN)


def test_a_value_out_of_range_is_refused_as_if_it_were_typed(residua, tmp_path):
    path = written(tmp_path, "epochs = 0")
    code, _, said = residua("fit", "digits", "--out", tmp_path / "run", "--config", path)
    assert code == 2
    assert "--epochs" in said


def test_other_json_is_no_run(tmp_path):
    path = written(tmp_path, '{"format": "residua-run", "format_version": 1}', "run.json")
    with pytest.raises(ValueError, match="format 2"):
        options_of_file(tmp_path / "run.json", KNOWN)
    with pytest.raises(ValueError, match="one table"):
        options_of_file(type(tmp_path)(written(tmp_path, "[1]", "list.json")), KNOWN)
    assert path


def test_the_help_of_fit_is_in_groups_and_none_is_lost(residua):
    code, text, _ = residua("fit", "--help")
    assert code == 0
    titles = [*GROUPS["fit"]]
    assert [line[:-1] for line in text.splitlines() if line[:-1] in titles] == titles
    options = {option for one in FIT.params for option in one.opts if option.startswith("--")}
    assert [option for option in options if f"{option} " not in text.replace("\n", " ")] == []
    ungrouped = text.partition("Options:")[2].partition("Images:")[0].count("\n  -")
    assert ungrouped <= 6, "a new option of fit needs a heading in cli/help_groups.py"


def test_shells_complete_commands_and_options(monkeypatch, residua):
    monkeypatch.setenv("_RESIDUA_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "residua fit --bat")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert residua()[1].split() == ["--batch-size"]
