"""Scoring at batch 1 and 256 beside eager PyTorch, a folder of JPEG and PNG files to scores, and start-up.

Images a second of wall time, medians of turns that alternate in one process, so that a busy machine slows all alike. Every
engine does the whole work: decoded bytes to score and decision; eager PyTorch is the network and the mean squared error.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from measure import Results, median_seconds, rounded
from residua.bundle import Bundle, BundleConfig, build_graph
from residua.engines import KINDS, Engine, Scores, load_engine, score_with
from residua.engines.speed import images_a_second
from residua.export import Verification, build_engine
from residua.images import ImageSet, load_images
from residua.models import ImageShape
from residua.recipes import make_recipe
from residua.scoring.engine import GraphEngine
from residua.scoring.lowered import LoweredEngine

SIZE = (32, 32)


class Eager:
    """What people write: bytes to floats, the network, the mean squared error, no threshold."""

    name, batch_size = "eager PyTorch", 256

    def __init__(self, network: torch.nn.Module) -> None:
        self.network = network.eval()

    def score(self, images: Sequence[NDArray[Any]], **_: Any) -> Scores:
        with torch.inference_mode():
            x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
            score = (x - self.network(x)).square().mean((1, 2, 3)).numpy()
        return Scores(score, score > 1, {})


def make_bundle() -> tuple[Bundle, torch.nn.Module]:
    recipe = make_recipe("plain", latent=64)
    torch.manual_seed(0)
    network = recipe.build_network(ImageShape(*SIZE, 3))
    fresh = recipe.build_network(ImageShape(*SIZE, 3))
    fresh.load_state_dict(network.state_dict())
    config = BundleConfig(
        job="detect", recipe="plain", recipe_options=recipe.model_dump(mode="json"), size=SIZE, channels=3, batch_size=64
    )
    return Bundle(config, build_graph(recipe, network, SIZE, "stretch")), fresh


def pictures(n: int, side: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 4, 4, 3)).astype(np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in coarse])


def engines() -> dict[str, Any]:
    bundle, fresh = make_bundle()
    folder = Path(tempfile.mkdtemp()) / "export"
    images = ImageSet.from_arrays(pictures(256, SIZE[0]))
    given = Verification(images[:64], np.zeros(64, np.bool_), images[64:128])
    all_engines: dict[str, Engine] = {
        "eager PyTorch": Eager(fresh),
        "torch": GraphEngine(bundle.graph, 3, 64),
        "torch-bf16": LoweredEngine(bundle.graph, 3, 64),
    }
    for name in ("onnx", "onnx-int8", "openvino", "openvino-bf16", "openvino-int8"):
        build_engine(bundle, KINDS[name], folder, given, weights_sha256="0")
        all_engines[name] = load_engine(folder, name)
    rates = images_a_second(all_engines, images, (1, 256), turns=7)
    eager = rates["eager PyTorch"]
    return {
        "images_a_second": {name: {str(n): rounded(v) for n, v in one.items()} for name, one in rates.items()},
        "over_eager": {name: {str(n): rounded(v / eager[n]) for n, v in one.items()} for name, one in rates.items()},
        "threads": torch.get_num_threads(),
        "peak_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def folder_to_scores(suffix: str) -> dict[str, Any]:
    """256 files of 256x256, decoded, resized and scored with onnx."""
    bundle, _ = make_bundle()
    folder = Path(tempfile.mkdtemp())
    given = ImageSet.from_arrays(pictures(64, SIZE[0]))
    build_engine(bundle, KINDS["onnx"], folder / "export", Verification(given, np.zeros(64, np.bool_), given), weights_sha256="0")
    engine = load_engine(folder / "export", "onnx")
    (folder / "files").mkdir()
    for row, picture in enumerate(pictures(256, 256)):
        Image.fromarray(picture).save(folder / "files" / f"{row:04}{suffix}")

    def read() -> ImageSet:
        return load_images(str(folder / "files"))

    images = read()
    return {
        "files_a_second_read": rounded(256 / median_seconds(read, runs=3)),
        "files_a_second_scored": rounded(256 / median_seconds(lambda: score_with(engine, images), runs=3)),
        "files_a_second_end_to_end": rounded(256 / median_seconds(lambda: score_with(engine, read()), runs=3)),
    }


def start_up(arguments: list[str]) -> dict[str, Any]:
    """Processor seconds of a fresh process, median of five."""
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.append((used, time.perf_counter() - started))
    return {"processor_seconds": rounded(float(np.median([one for one, _ in seconds])))}


def main() -> None:
    results = Results("scoring_speed")
    results.measure("engines on a 32-64-128 autoencoder, 32x32x3", engines)
    for suffix in (".jpg", ".png"):
        results.measure(f"256 files of 256x256 {suffix}", lambda suffix=suffix: folder_to_scores(suffix))
    folder = Path(tempfile.mkdtemp())
    np.savez(folder / "given.npz", scores=np.arange(200.0), labels=np.arange(200) > 150)
    np.save(folder / "scores.npy", np.arange(200.0))
    np.save(folder / "labels.npy", (np.arange(200) > 150).astype(int))
    judge = ["-m", "residua", "judge", "--scores", str(folder / "scores.npy"), "--labels", str(folder / "labels.npy"), "--quiet"]
    results.measure("start-up: residua --help", lambda: start_up(["-m", "residua", "--help"]))
    results.measure("start-up: residua judge of 200 scores", lambda: start_up([word for word in judge if word != "--quiet"]))
    results.measure("start-up: import torch, for comparison", lambda: start_up(["-c", "import torch"]))


if __name__ == "__main__":
    main()
