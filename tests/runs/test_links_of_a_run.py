"""A run that was fitted on links to data elsewhere, as DVC and git-annex make them."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image
from typer.testing import CliRunner

from residua.cli import app


def linked(store: Path, parts: Path) -> Path:
    """A folder of links to photographs of two kinds in a store beside it."""
    for row in range(40):
        name = Path("bent" if row % 5 == 4 else "good") / f"{row}.png"
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (parts / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(row).normal(120, 20, (8, 8)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(store / name)
        (parts / name).symlink_to(store / name)
    return parts


def test_a_run_fitted_with_follow_links_follows_them_when_it_judges_and_scores(tmp_path):
    source, run = str(linked(tmp_path / "store", tmp_path / "parts")), str(tmp_path / "run")
    call = CliRunner().invoke
    refused = call(app, ["info", source])
    assert refused.exit_code != 0
    info = call(app, ["info", source, "--follow-links", "--json", str(tmp_path / "info.json")])
    assert info.exit_code == 0, info.output
    assert json.loads((tmp_path / "info.json").read_text())["n_images"] == 40
    for words in (
        [
            "fit",
            source,
            "--recipe",
            "plain",
            "--epochs",
            "1",
            "--follow-links",
            "--out",
            run,
            "--quiet",
        ],
        ["evaluate", run, "--quiet", "--json", str(tmp_path / "e.json")],
        ["score", run, source, "--out", str(tmp_path / "scores.csv"), "--quiet"],
    ):
        done = call(app, words)
        assert done.exit_code == 0, done.output
    with (tmp_path / "scores.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 40
