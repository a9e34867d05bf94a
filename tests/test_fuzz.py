"""Damaged bytes into every reader of foreign bytes, for a few seconds; `benchmarks/fuzz.py` goes on
for hours."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import time
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import fuzz
from fuzz import Target, check, make_run, search, targets
from residua.errors import ResiduaError

NAMES = [
    "images.png", "x-images-idx3-ubyte", "x-images-idx3-ubyte.gz", "x.npy", "x.npz", "manifest.csv",
    "shard.tar", "scores.csv",
    "scores.npy", "run.json", "images.csv", "training.npz", "features.npz", "learning.json",
    "evaluation.json", "evidence.npz",
    "bundle.json",
    "bundle.json, its checksum right", "model.safetensors", "request.form", "x.parquet",
    "report.html",
    "model.onnx.json", "part.json",
]  # fmt: skip
DEAR = {
    "evaluation.json",
    "evidence.npz",
    "model.safetensors",
    "scores.csv",
    "scores.npy",
    "shard.tar",
    "model.onnx.json",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def every(place) -> dict[str, Target]:
    return {target.name: target for target in targets(make_run(place))}


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_give_a_result_or_a_sentence(every, place, name):
    search(
        every[name],
        place,
        examples=5 if name == "report.html" else 15 if name in DEAR else 60,
        seed=0,
    )


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


SPECIAL = (
    *("pipe", "zero", "sparse", "deep", "long line"),
    pytest.param("far away", marks=pytest.mark.slow),
)


def lay(kind: str, path: Path) -> None:
    """Something under a name that is no file of that kind, and that a reader without bounds would
    hang or burst on."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "zero":
        path.symlink_to("/dev/zero")
    elif kind == "sparse":
        with open(path, "wb") as file:
            file.truncate(1 << 40)
    elif kind == "deep":
        path.write_bytes(b"[" * 5_000_000)
    elif kind == "long line":
        path.write_bytes(b"x" * 5_000_000)
    else:
        path.symlink_to(path.with_name("nothing is here"))


IN_A_RUN = {
    "run.json": fuzz.read_state,
    "images.csv": fuzz.read_parts,
    "training.npz": fuzz.read_training,
    "features.npz": fuzz.read_features,
    "learning.json": fuzz.read_learning,
    "evaluation.json": fuzz.read_report,
    "evidence.npz": fuzz.read_report,
    "bundle/bundle.json": fuzz.read_bundle,
    "bundle/model.safetensors": fuzz.read_bundle,
    "export/model.onnx.json": fuzz.read_export,
    "export/model.onnx": fuzz.read_export,
}
BY_ITSELF = {
    "report.html": fuzz.verify,
    "scores.csv": fuzz.judge_scores,
    "scores.npy": fuzz.judge_scores,
    **dict.fromkeys(
        ("set.csv", "set.tar", "set.npz", "set.npy", "set.parquet", "x-images-idx3-ubyte", "a.png"),
        fuzz.load,
    ),
}


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices by name are of POSIX")
@pytest.mark.parametrize("kind", SPECIAL)
def test_special_files_under_every_name_give_a_sentence_in_a_moment_and_in_bounded_memory(
    place, every, tmp_path, kind
):
    run = tmp_path / "run"
    shutil.copytree(place / "run", run)
    for name, read in (IN_A_RUN | BY_ITSELF).items():
        whole = run / name if name in IN_A_RUN else tmp_path / name
        kept = whole.read_bytes() if name in IN_A_RUN else None
        lay(kind, whole)
        peak, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read(run if name in IN_A_RUN else whole)
            except ResiduaError as error:
                assert len(str(error)) < 2_000, f"{name}: echoes what it read"
        assert time.process_time() - started < 20, name
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) >> 10
        assert grown < 700, f"{name}: {grown} MB"
        whole.unlink()
        if kept is not None:
            whole.write_bytes(kept)
