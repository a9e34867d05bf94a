"""What is published agrees with itself: versions, addresses, extras, pins, the container."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import residua
from residua.cli import app

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_one_version_stands_everywhere():
    version = PROJECT["version"]
    assert residua.__version__ == version
    first = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert first
    assert first[1] in (version, "Unreleased")
    assert f"\nversion: {version}\n" in read("CITATION.cff")


def test_the_address_of_the_repository_is_one():
    home = PROJECT["urls"]["Repository"]
    hooks = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    told = [one["replacement"] for one in hooks["substitutions"]] + [*PROJECT["urls"].values()]
    told += re.findall(r"^repository-code: (\S+)", read("CITATION.cff"), re.MULTILINE)
    assert [one for one in told if home not in one] == []


def on_the_index() -> str:
    """README as the wheel has it."""
    text = read("README.md")
    hooks = PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for one in hooks["substitutions"]:
        text = re.sub(one["pattern"], one["replacement"], text)
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def test_links_and_pictures_of_readme_are_whole_addresses_on_the_index():
    text = on_the_index()
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert len(targets) > 30
    assert [one for one in targets if not one.startswith("https://")] == []
    assert re.findall(r"!\[[^\]]*\]\(https://\S+/raw/main/docs/report\.png\)", text)
    for path in re.findall(r"/(?:blob|raw)/main/([^)\s#]+)", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("package", PROJECT["optional-dependencies"]["docs"])
def test_what_builds_the_site_is_pinned(package: str):
    name = re.split(r"[<>=\[]", package)[0]
    assert re.search(rf"^{name}==", read("constraints.txt"), re.MULTILINE | re.IGNORECASE)


def test_the_lowest_versions_are_those_of_the_ranges():
    lowest = dict(re.findall(r"^([\w-]+)==(\S+)", read("constraints-lowest.txt"), re.MULTILINE))
    for package in PROJECT["dependencies"]:
        name, least = re.match(r"([\w-]+)>=([\d.]+)", package).groups()
        assert lowest[name].startswith(least), package


def test_the_container_starts_with_options_that_exist():
    command = re.search(r"^CMD (\[.*\])", read("Dockerfile"), re.MULTILINE)[1]
    words = re.findall(r'"([^"]+)"', command)
    import typer

    serve = typer.main.get_command(app).commands[words[1]]
    given = serve.make_context(words[1], words[2:]).params
    assert {str(value) for value in given.values()} >= {w for w in words[2:] if w[0] != "-"}


def test_the_container_gets_what_it_copies():
    kept = re.findall(r"^!(\S+)", read(".dockerignore"), re.MULTILINE)
    assert [name for name in kept if not (ROOT / name).exists()] == []
    assert {"src", "pyproject.toml", "README.md", "LICENSE", "constraints.txt"} <= set(kept)
