"""A served run: the model, and a client of a real server on loopback."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

# So that the tests here share helpers, and the runs of the experiment's tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "runs"))
sys.path.insert(0, str(Path(__file__).parent))

from residua.runs.fit import fit_run
from residua.server import ServedModel, load_model
from runs import options, write_source
from serving import Held, asking, encoded, with_engine
from training_wing import blobs


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    return fit_run(options(write_source(folder / "parts")), folder / "run").path


@pytest.fixture(scope="session")
def model(run) -> ServedModel:
    return load_model(run)


@pytest.fixture(scope="session")
def good() -> bytes:
    return encoded(blobs(1, seed=3)[0])


@pytest.fixture(scope="module")
def client(model) -> Iterator[httpx.Client]:
    with asking(model) as client:
        yield client


@pytest.fixture
def held(model) -> ServedModel:
    """The model behind a `Held` engine."""
    return with_engine(model, Held(model.engine))
