"""What every test may ask for: the test data that lies outside the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

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


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with the real images; a test that needs it is skipped by name where it is
    absent."""
    folder = Path(os.environ["RESIDUA_TEST_DATA"])
    if not folder.is_dir():
        pytest.skip(f"test data: {folder} is not there (set RESIDUA_TEST_DATA)")
    return folder
