"""Everything a user can name has a page: commands and options, findings, policies, metrics,
recipes, sources, networks."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
import typer
from pages import PAGES, ROOT

import residua.metrics
from residua import findings
from residua.cli import app
from residua.findings import FINDINGS
from residua.images.sources import SOURCES
from residua.metrics.reported import METRICS
from residua.thresholds.registry import POLICIES
from residua.training.networks import FAMILIES
from residua.training.recipes import RECIPES
from residua.training.strategies import STRATEGIES, Strategy

DOCS = ROOT / "docs"
COMMANDS = typer.main.get_command(app).commands
EVERYTHING = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def section(command: str) -> str:
    """What docs/commands.md says of `command`."""
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    found = re.search(rf"^## residua {command}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"docs/commands.md has no section '## residua {command}'"
    return found[1]


def rows(command: str) -> set[str]:
    """What stands in backticks in the first column of the command's tables."""
    cells = re.findall(r"^\|([^|]+)\|", section(command), re.MULTILINE)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_a_section_with_an_example(command: str):
    assert f"$ residua {command}" in section(command)


def test_the_first_table_names_each_command_once():
    listed = re.findall(
        r"^\| \[(.+?)\]\(#residua-\1\)", (DOCS / "commands.md").read_text("utf-8"), re.MULTILINE
    )
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_option_has_a_line_and_no_line_is_of_an_option_that_is_gone(command: str):
    offered: set[str] = set()
    for parameter in COMMANDS[command].params:
        is_option = parameter.param_type_name == "option"
        offered |= set(
            parameter.opts
            if is_option
            else (parameter.metavar or parameter.name.upper()).strip("[]").split("|")
        )
    offered -= {"-h", "--help"}
    written = rows(command)
    assert offered - written == set(), "options without a line"
    assert written - offered == set(), "lines without an option"


def page_of_finding(code: str, docs: Path) -> str:
    """What the page of a finding says; it must be there and name its code."""
    page = docs / "findings" / f"{code}.md"
    assert page.is_file(), f"{page} must say what {code} means"
    text = page.read_text(encoding="utf-8")
    assert f"`{code}`" in text
    return text


@pytest.mark.parametrize("kind", FINDINGS, ids=lambda kind: kind.code)
def test_every_finding_has_a_page_and_the_index_lists_it_by_its_title(kind):
    assert len(page_of_finding(kind.code, DOCS).split()) > 40
    line = f"- [{kind.code}](findings/{kind.code}.md): {kind.title}\n"
    assert line in (DOCS / "index.md").read_text(encoding="utf-8") + "\n"


def test_a_new_finding_without_a_page_is_told(new_finding, tmp_path):
    codes = {one.code for one in findings.FINDINGS}
    assert new_finding.code in codes
    with pytest.raises(AssertionError, match=r"temporary-finding\.md must say"):
        page_of_finding(new_finding.code, tmp_path)
    (tmp_path / "findings").mkdir()
    page = tmp_path / "findings" / f"{new_finding.code}.md"
    page.write_text("# A page\n\nCode `temporary-finding`\n", encoding="utf-8")
    assert page_of_finding(new_finding.code, tmp_path)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy.keyword)
def test_every_policy_is_explained(policy):
    text = "\n".join(page.read_text(encoding="utf-8") for page in DOCS.rglob("*threshold*.md"))
    text += "\n".join(
        page.read_text(encoding="utf-8") for page in (DOCS / "thresholds").glob("*.md")
    )
    assert policy.usage.rstrip("0123456789.:") in text


@pytest.mark.parametrize(
    "name", [n for n in residua.metrics.__all__ if inspect.isfunction(getattr(residua.metrics, n))]
)
def test_every_metric_is_on_a_page(name: str):
    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "metrics").glob("*.md"))
    assert re.search(rf"\b{name}\b", text)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_reported_metric_names_a_page_that_explains_it(metric):
    text = (DOCS / "metrics" / f"{metric.page}.md").read_text(encoding="utf-8").lower()
    assert metric.name in text or metric.label.lower() in text


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_recipe_has_a_page_that_says_what_it_is_blind_to(name: str):
    text = (DOCS / "recipes" / f"{name}.md").read_text(encoding="utf-8")
    assert "blind to" in text.lower()
    assert f"--recipe {name}" in text


@pytest.mark.parametrize("name", sorted(STRATEGIES))
def test_every_strategy_has_a_page_with_its_options(name: str):
    text = (DOCS / "strategies" / f"{name}.md").read_text(encoding="utf-8")
    assert f'AutoencoderClassifier("{name}"' in text
    shared = set(Strategy.model_fields)
    assert [
        option
        for option in STRATEGIES[name].model_fields
        if option not in shared and f"`{option}`" not in text
    ] == []


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_every_network_family_has_a_page(name: str):
    assert (DOCS / "models" / f"{name}.md").is_file()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__.rsplit(".", 1)[-1])
def test_every_kind_of_source_is_on_the_page_about_images(source):
    words = {
        "manifest": "CSV manifest",
        "parquet": "Parquet",
        "array_files": "`.npy`",
        "idx": "IDX",
        "single_file": "One image file",
        "split_folders": "`train/` and `test/`",
        "folders": "Class folders",
    }
    name = source.__name__.rsplit(".", 1)[-1]
    assert words.get(name, name) in (DOCS / "images.md").read_text(encoding="utf-8")


def names_in_prose() -> set[str]:
    return set(re.findall(r"`(residua(?:\.\w+)+)(?:\([^`]*\))?`", EVERYTHING))


@pytest.mark.parametrize("dotted", sorted(names_in_prose()))
def test_every_name_that_a_page_mentions_exists(dotted: str):
    value: object = residua
    for i, part in enumerate(dotted.split(".")[1:], start=1):
        if not hasattr(value, part):
            value = importlib.import_module(".".join(dotted.split(".")[: i + 1]))
        else:
            value = getattr(value, part)


def test_the_list_of_commands_names_each_once():
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^## residua (\w+)$", text, re.MULTILINE)) == sorted(COMMANDS)


def test_there_is_no_page_of_a_finding_or_recipe_that_is_gone():
    codes = {one.code for one in FINDINGS}
    assert {page.stem for page in (DOCS / "findings").glob("*.md")} - codes - {"index"} == set()
    assert {page.stem for page in (DOCS / "strategies").glob("*.md")} == set(STRATEGIES)
    assert {page.stem for page in (DOCS / "recipes").glob("*.md")} - set(RECIPES) - {
        "index",
        "auto",
    } == set()


def test_every_module_says_what_it_is_for():
    names = [m.name for m in pkgutil.walk_packages(residua.__path__, "residua.")]
    assert [
        name for name in names if not (importlib.import_module(name).__doc__ or "").strip()
    ] == []
