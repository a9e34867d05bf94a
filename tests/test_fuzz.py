"""Damaged bytes into every reader of foreign bytes, for a few seconds; `benchmarks/fuzz.py` goes on for hours."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from fuzz import Target, check, make_run, search, targets

NAMES = [
    "images.png", "x-images-idx3-ubyte", "x-images-idx3-ubyte.gz", "x.npy", "x.npz", "manifest.csv", "shard.tar", "scores.csv",
    "scores.npy", "run.json", "images.csv", "training.npz", "evaluation.json", "evidence.npz", "bundle.json",
    "bundle.json, its checksum right", "model.safetensors", "request.form", "x.parquet", "report.html",
    "model.onnx.json", "part.json",
]  # fmt: skip
DEAR = {"evaluation.json", "evidence.npz", "model.safetensors", "scores.csv", "scores.npy", "shard.tar", "model.onnx.json"}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def every(place) -> dict[str, Target]:
    return {target.name: target for target in targets(make_run(place))}


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_give_a_result_or_a_sentence(every, place, name):
    search(every[name], place, examples=5 if name == "report.html" else 15 if name in DEAR else 60, seed=0)


def test_every_target_is_searched(every):
    assert set(every) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_samples_are_whole(every, place, name):
    """A search that never gets past the first check would find nothing."""
    (place / "whole").mkdir(exist_ok=True)
    for sample in every[name].samples:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert every[name].read(every[name].write(place / "whole", sample)) is not None


def test_an_error_that_is_not_ours_is_found(place):
    def read(path: Path) -> object:
        return path.read_bytes().decode("ascii")

    check(Target("text", (b"abc",), read), place, b"abc", [("byte", 0, 65)])
    with pytest.raises(UnicodeDecodeError):
        check(Target("text", (b"abc",), read), place, b"abc", [("byte", 0, 200)])
