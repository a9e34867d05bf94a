"""What a newcomer looks for is two clicks from README, and claims beside peers have their tests."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pages import ROOT, anchors, links

# What somebody looks for, and words that the page which answers it has.
WANTED = {
    "a Keras autoencoder": r"A Keras autoencoder\n[\s\S]*?residua\.wrap\(autoencoder",
    "a threshold": r"^\| `false-alarms<=0\.01` \|",
    "accuracy": r"How do I get the classification accuracy of an autoencoder\?",
    "a backbone": r"--backbone lite0",
    "a GPU": r"^## On a GPU",
    "the report": r"^# The report",
    "few labels": r"^\| 10, many unlabelled images \|",
    "deployment": r"residua export runs/parts --format onnx",
    "an own data set object": r"torch\.utils\.data|Dataset\b[\s\S]*?load_images",
}


def clicked(clicks: int) -> set[Path]:
    """The pages that so many clicks on links reach from README."""
    reached = {ROOT / "README.md"}
    for _ in range(clicks):
        for page in [one for one in reached if one.suffix == ".md"]:
            for target in links(page):
                there = (page.parent / target.partition("#")[0]).resolve()
                if there.suffix in (".md", ".ipynb") and there.is_file():
                    reached.add(there)
    return reached


@pytest.mark.parametrize("wanted", WANTED)
def test_what_a_newcomer_looks_for_is_two_clicks_from_readme(wanted: str):
    texts = [page.read_text(encoding="utf-8") for page in clicked(2)]
    assert any(re.search(WANTED[wanted], text, re.MULTILINE) for text in texts)


def test_the_page_on_each_of_these_is_named_in_the_table_of_readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Documentation")[2]
    for word in ("Keras", "threshold", "accuracy", "backbone", "GPU", "report", "few labels"):
        assert word in text
    for word in ("deployment", "data set object"):
        assert word in text


def test_every_claim_beside_peers_names_a_test_that_exists():
    text = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8")
    table, _, tests = text.partition("## The tests")
    rows = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    column = [cell.strip() for cell in rows[0]].index("residua")
    claimed = {row[0].strip() for row in rows[1:] if row[column].strip() == "yes"}
    named = dict(re.findall(r"^\| ([^|]+?) \| \[`(\w+)`\]\([^)]+\) \|$", tests, re.MULTILINE))
    assert claimed == set(named)
    for name, path in re.findall(r"\[`(test_\w+)`\]\(\.\./([^)]+)\)", tests):
        assert f"def {name}(" in (ROOT / path).read_text(encoding="utf-8"), (path, name)


def notebooks() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs_and_their_links_lead_somewhere(path: Path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []
    prose = "".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve()
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target
    for cell in code:
        compile("".join(cell["source"]), str(path), "exec")
