"""The documentation cannot rot: its examples run, its links lead somewhere, its commands parse."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import typer
from pages import PAGES, ROOT, Block, anchors, blocks, links, name_of

from residua.cli import app, main

SLOW = {"wrap.md", "magnetic_tiles.md"}
RUNNABLE = [
    pytest.param(page, marks=pytest.mark.slow) if page.name in SLOW else page
    for page in PAGES
    if blocks(page, "python")
]
SHOWN = [page for page in PAGES if blocks(page, "console")]
# Pages whose commands are not only parsed but run, between the python blocks they stand among.
COMMANDS_RUN = {"quickstart.md"}


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
def test_python_blocks_run_from_top_to_bottom(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """In one namespace, in an empty folder; what needs data that is absent is left out and
    named."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {"__name__": "page"}
    absent = set()
    for block in blocks(page, "python", "console"):
        if block.language == "console":
            if page.name in COMMANDS_RUN:
                run_commands(block)
            continue
        if block.needs and not (Path(os.environ["RESIDUA_TEST_DATA"]) / block.needs).is_dir():
            absent.add(block.needs)
            continue
        padded = "\n" * (block.line - 1) + block.text
        exec(
            compile(padded, str(page), "exec"), namespace
        )  # running our own pages is what this test is for
    if absent:
        pytest.skip(
            f"test data: {', '.join(sorted(absent))} is not there (set RESIDUA_TEST_DATA); all"
            " other blocks ran"
        )


def test_blocks_name_a_language_that_says_whether_they_run():
    known = {"python", "console", "text", "json", "csv", "", "bash", "toml", "map"}
    assert [
        f"{name_of(page)}:{b.line} {b.language}"
        for page in PAGES
        for b in blocks(page)
        if b.language not in known
    ] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path):
    broken = []
    for target in links(page):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (
            anchor and there.suffix == ".md" and anchor not in anchors(there)
        ):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached_from_the_index():
    index = ROOT / "docs" / "index.md"
    reached, left = {index}, [index]
    while left:
        page = left.pop()
        for target in links(page):
            there = (page.parent / target.partition("#")[0]).resolve()
            if there.suffix == ".md" and there.is_file() and there not in reached:
                reached.add(there)
                left.append(there)
    assert [
        name_of(page)
        for page in PAGES
        if page not in reached and page.is_relative_to(ROOT / "docs")
    ] == []


def commands_shown(text: str) -> list[list[str]]:
    """The `residua` calls of a console block, as argument lists; pipes and redirections are the
    shell's."""
    joined = text.replace("\\\n", " ")
    calls = []
    for line in joined.splitlines():
        if line.startswith("$ residua"):
            words = shlex.split(line[2:], comments=True)
            cut = next(
                (i for i, word in enumerate(words) if word in {"|", ">", "&&", "2>", ";"}),
                len(words),
            )
            calls.append(words[1:cut])
    return calls


def run_commands(block: Block) -> None:
    for arguments in commands_shown(block.text):
        try:
            main(arguments)
        except SystemExit as end:
            assert not end.code, f"residua {shlex.join(arguments)} ended with {end.code}"


@pytest.mark.parametrize("page", SHOWN, ids=name_of)
def test_commands_that_are_shown_can_be_parsed(page: Path):
    group = typer.main.get_command(app)
    for block in blocks(page, "console"):
        for name, *arguments in filter(None, commands_shown(block.text)):
            if name.startswith("-"):
                continue
            assert name in group.commands, (
                f"{name_of(page)}:{block.line}: there is no command {name}"
            )
            if not {"-h", "--help"} & set(arguments):
                group.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("page", SHOWN, ids=name_of)
def test_make_targets_that_are_shown_exist(page: Path):
    targets = set(
        re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    shown = {
        word
        for b in blocks(page, "console")
        for word in re.findall(r"^\$ make ([a-z]+)", b.text, re.MULTILINE)
    }
    assert shown - targets == set()


def tree_of_readme() -> dict[str, str]:
    """Paths of README's file tree, each with its comment."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## The file tree\n.*?```text\n(.*?)```", text, re.DOTALL)
    assert block, "README.md has no file tree"
    found, folders = {}, []
    for line in block[1].splitlines():
        path, _, comment = line.partition("#")
        depth = (len(path) - len(path.lstrip())) // 2
        folders[depth:] = [path.strip()]
        found["".join(folders)] = comment.strip()
    return found


def test_the_file_tree_shows_what_is_there_with_a_comment_each():
    tree = tree_of_readme()
    assert [path for path in tree if not (ROOT / path).exists()] == []
    assert [path for path, comment in tree.items() if not comment and path != "src/"] == []


def test_the_file_tree_holds_every_room():
    package = ROOT / "src" / "residua"
    rooms = {
        f"src/residua/{path.name}{'/' if path.is_dir() else ''}"
        for path in package.iterdir()
        if path.name != "__pycache__"
    }
    assert rooms - set(tree_of_readme()) == set()


def test_the_file_tree_holds_every_file_of_the_root_that_git_keeps():
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    kept = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\n")
    top = {path.split("/")[0] + ("/" if "/" in path else "") for path in kept if path}
    shown = {path.split("/")[0] + ("/" if "/" in path else "") for path in tree_of_readme()}
    assert top - shown - {".gitignore"} == set()
