"""The command line in this process: what it says, where, and with which exit code."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from residua.cli import main
from training_wing import blobs


@pytest.fixture
def residua(capsys):
    """``residua("fit", ...) -> (exit code, standard output, standard error)``."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            main([str(argument) for argument in arguments])
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Class folders ``good`` and ``bad``, 12x12, grey."""
    folder = tmp_path_factory.mktemp("source") / "parts"
    good, bad = blobs(60), blobs(12, seed=7)
    bad[:, :5, :5] = 255 - bad[:, :5, :5] // 4
    for label, images in (("good", good), ("bad", bad)):
        (folder / label).mkdir(parents=True)
        for index, image in enumerate(images):
            Image.fromarray(image[..., 0]).save(folder / label / f"{index:03d}.png")
    return folder


@pytest.fixture(scope="module")
def colour(tmp_path_factory) -> Path:
    """The same kind of folder in colour."""
    folder = tmp_path_factory.mktemp("colour") / "parts"
    for label in ("good", "bad"):
        (folder / label).mkdir(parents=True)
        for index in range(3):
            pixels = np.random.default_rng(index).integers(0, 256, (12, 12, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def finished(source, tmp_path_factory) -> Path:
    """A finished run; tests that change it take `run`."""
    out = tmp_path_factory.mktemp("runs") / "run"
    main_to_the_end(
        "fit",
        source,
        "--normal",
        "good",
        "--epochs",
        2,
        "--batch-size",
        8,
        "--latent",
        3,
        "--quiet",
        "--out",
        out,
    )
    return out


def main_to_the_end(*arguments: object) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert not ended.value.code


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(finished, tmp_path / "run"))
