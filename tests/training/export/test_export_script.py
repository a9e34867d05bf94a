"""The script in the documentation, which needs onnxruntime, NumPy and Pillow alone, gives the
model's own scores."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from exporting import exported, shaken, verification
from PIL import Image

from residua.engines import KINDS, score_with
from residua.images import load_images
from residua.images.reading import Reading
from residua.training.export import build_engine
from residua.training.scoring.engine import GraphEngine
from training_wing import blobs

PAGE = Path(__file__).resolve().parents[3] / "docs" / "export.md"


@pytest.fixture
def script(tmp_path) -> Path:
    text = re.search(r"write_text\('''(.*?)'''\)", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert text
    (tmp_path / "run_model.py").write_text(text[1], encoding="utf-8")
    return tmp_path / "run_model.py"


def run(script: Path, model: Path, images: list[Path]) -> list[tuple[float, bool]]:
    command = [sys.executable, str(script), str(model), *map(str, images)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [
        (float(line.split("score ")[1].split(",")[0]), "anomalous" in line)
        for line in said.splitlines()
    ]


def assert_agrees(found: list[tuple[float, bool]], bundle, images: list[Path]) -> None:
    engine = GraphEngine(bundle.graph, bundle.config.channels, 4)
    for (score, anomalous), path in zip(found, images, strict=True):
        reference = score_with(engine, load_images(str(path), reading=bundle.config.reading))
        assert np.isclose(score, reference.score[0], rtol=1e-4)
        assert anomalous == reference.anomalous[0]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_documented_script_agrees_on_images_of_any_size(script, channels, tmp_path):
    bundle, folder, _ = exported("plain", channels, "onnx")
    images = []
    for row, size in enumerate([bundle.config.size, (9, 31), (40, 22)]):
        images.append(tmp_path / f"{row}.png")
        Image.fromarray(blobs(1, size, channels, seed=row)[0].squeeze()).save(images[-1])
    assert_agrees(run(script, folder / "model.onnx", images), bundle, images)


def test_the_documented_script_agrees_on_sixteen_bits(script, tmp_path):
    bundle = shaken("plain", 1, bits="more")
    build_engine(
        bundle, KINDS["onnx"], tmp_path / "export", verification(bundle), weights_sha256="0"
    )
    pixels = (blobs(1, (20, 15))[0, ..., 0].astype(np.uint16) * 257) | 77
    Image.fromarray(pixels).save(tmp_path / "deep.png")
    assert_agrees(
        run(script, tmp_path / "export" / "model.onnx", [tmp_path / "deep.png"]),
        bundle,
        [tmp_path / "deep.png"],
    )


def test_the_documented_script_reads_images_as_the_model_does(script, tmp_path):
    made = shaken("plain", 1, bits="more")
    reading = Reading(bits=12, ground="white")
    bundle = replace(made, config=made.config.model_copy(update={"reading": reading}))
    build_engine(
        bundle, KINDS["onnx"], tmp_path / "export", verification(bundle), weights_sha256="0"
    )
    deep = blobs(1, (20, 15))[0, ..., 0].astype(np.uint16) * 16
    Image.fromarray(deep).save(tmp_path / "deep.png")
    ink = np.zeros((20, 15, 2), np.uint8)
    ink[4:9, 3:7, 1] = 255
    Image.fromarray(ink).save(tmp_path / "ink.png")
    images = [tmp_path / "deep.png", tmp_path / "ink.png"]
    assert_agrees(run(script, tmp_path / "export" / "model.onnx", images), bundle, images)
