"""A source, a finished run on it, corrections and what was learnt from them, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from residua.runs.fit import fit_run
from residua.runs.learning.learn import learn_run
from residua.runs.trained_run import TrainedRun
from runs import add_image, options, write_source


@pytest.fixture(scope="session")
def source(tmp_path_factory) -> Path:
    return write_source(tmp_path_factory.mktemp("source") / "parts")


@pytest.fixture(scope="session")
def finished(source, tmp_path_factory) -> TrainedRun:
    return fit_run(options(source), tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="session")
def parts_of(finished) -> dict[str, str]:
    recorded = finished.read_images("path", "part")
    return dict(zip(recorded["path"].tolist(), recorded["part"].tolist(), strict=True))


@pytest.fixture(scope="session")
def corrections(source, parts_of, tmp_path_factory) -> Path:
    """Four test images, of which two are defects, one calibration image and three new defects."""
    folder = tmp_path_factory.mktemp("corrections")
    (folder / "good").mkdir()
    (folder / "defect" / "corner").mkdir(parents=True)
    for label, part, n in (("good", "test", 2), ("good", "calibration", 1), ("bad", "test", 2)):
        some = [path for path, its in parts_of.items() if its == part and path.startswith(label)]
        place = folder / ("good" if label == "good" else "defect/corner")
        for path in sorted(some)[:n]:
            shutil.copy(source / path, place / Path(path).name)
    for number in range(3):
        add_image(folder / "defect" / f"new{number}.png", number)
    return folder


@pytest.fixture(scope="session")
def learnt(finished, corrections, tmp_path_factory) -> TrainedRun:
    out = tmp_path_factory.mktemp("learnt") / "run2"
    learn_run(finished.path, str(corrections), out)
    return TrainedRun(out)
