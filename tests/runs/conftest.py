"""A source and finished runs on it, made once."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # so that the tests here share runs

from residua.runs.fit import fit_run
from residua.runs.trained_run import TrainedRun
from runs import options, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "parts")


@pytest.fixture(scope="module")
def finished(source, tmp_path_factory) -> TrainedRun:
    """A finished detector; tests that change it take `run`."""
    return fit_run(options(source), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture
def run(finished, tmp_path) -> TrainedRun:
    """A copy of the finished detector, on a copy of its source."""
    shutil.copytree(finished.path, tmp_path / "run")
    return TrainedRun(tmp_path / "run")
