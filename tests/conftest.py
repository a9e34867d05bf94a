"""What every test may ask for: the test data that lies outside the project."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

from chromium import CHROMIUM, QUIET

ROOT = Path(__file__).resolve().parents[1]

# Before anything loads torch: one thread a worker (tiny models gain nothing by more) that waits
# asleep, and Keras (a differential target) on torch.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("KERAS_BACKEND", "torch")
# The same examples each time, so that a run can be repeated; HYPOTHESIS_PROFILE=default searches
# on.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))
# Absolute, so that tests which work in a temporary folder still find it.
os.environ["RESIDUA_TEST_DATA"] = str(
    Path(os.environ.get("RESIDUA_TEST_DATA") or ROOT.parent / "shared" / "data").resolve()
)


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="the package playwright is not installed"
    )
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield running
        running.close()


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the real images; a test that needs it is skipped by name where it is
    absent."""
    folder = Path(os.environ["RESIDUA_TEST_DATA"])
    if not folder.is_dir():
        pytest.skip(f"test data: {folder} is not there (set RESIDUA_TEST_DATA)")
    return folder


NEW_FINDING = '''"""A finding that a test adds: one file."""

import numpy as np

from residua.findings.figures import Picture
from residua.findings.kind import JOBS, Figure, Finding, FindingKind


def find_temporary(n_images):
    return Finding(
        code=KIND.code,
        severity="warning",
        measured={"n_images": n_images},
        meaning="A temporary meaning.",
        what_to_do="A temporary remedy.",
    )


KIND = FindingKind(
    "temporary-finding",
    "a temporary title",
    find_temporary,
    lambda facts: (
        find_temporary(facts.n_images),
        Figure.of([[Picture.of(np.zeros((4, 4)), "a temporary picture")]]),
    ),
    jobs=(*JOBS, "check"),
)
'''


@pytest.fixture
def new_finding(tmp_path, monkeypatch):
    """A kind of finding in a file of its own, with one entry in the registry."""
    from residua import findings

    (tmp_path / "temporary_finding.py").write_text(NEW_FINDING, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "temporary_finding", raising=False)
    kind = importlib.import_module("temporary_finding").KIND
    monkeypatch.setattr(findings, "FINDINGS", (*findings.FINDINGS, kind))
    return kind
