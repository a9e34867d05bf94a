"""Scoring at batch 1 and 256 beside eager PyTorch and the peers, a memory image by image beside a
plain loop, a folder of JPEG and PNG files to scores, and start-up.

    RESIDUA_PEERS_PYTHON=peers/bin/python python benchmarks/scoring_speed.py [--again]

Images a processor second on one thread, medians of turns that alternate, so that a busy machine
slows all alike; files in images a second of wall time. Every engine does the whole work: decoded
bytes to score and decision; eager PyTorch is the network and the mean squared error. Of the memory,
the best of the turns counts. anomalib and PyOD run in a Python of their own, where the variable
names one.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from measure import Results, in_subprocess, median_seconds, rounded
from residua import OneClassDetector
from residua.engines import KINDS, Engine, Scores, load_engine, score_with
from residua.images import ImageSet, load_images
from residua.training.bundle import Bundle, BundleConfig, build_graph
from residua.training.export import Verification, build_engine
from residua.training.networks import ImageShape
from residua.training.recipes import make_recipe
from residua.training.scoring.engine import GraphEngine
from residua.training.scoring.engine_variants import ReducedPrecisionEngine

SIZE, MEMORY_SIDE = (32, 32), 256
BATCHES, TURNS, SECONDS = (1, 256), 7, 0.25
PEERS = (
    {"anomalib, Ganomaly": "anomalib", "PyOD, AutoEncoder": "pyod"}
    if "RESIDUA_PEERS_PYTHON" in os.environ
    else {}
)


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
        job="detect",
        recipe="plain",
        recipe_options=recipe.model_dump(mode="json"),
        size=SIZE,
        channels=3,
        batch_size=64,
    )
    return Bundle(config, build_graph(recipe, network, SIZE, "stretch")), fresh


def pictures(n: int, side: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 4, 4, 3)).astype(np.uint8)
    return np.stack(
        [
            np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC))
            for one in coarse
        ]
    )


def engines() -> dict[str, Any]:
    bundle, fresh = make_bundle()
    folder = Path(tempfile.mkdtemp()) / "export"
    images = ImageSet.from_arrays(pictures(256, SIZE[0]))
    given = Verification(images[:64], np.zeros(64, np.bool_), images[64:128])
    all_engines: dict[str, Engine] = {
        "eager PyTorch": Eager(fresh),
        "torch": GraphEngine(bundle.graph, 3, 64),
        "torch-bf16": ReducedPrecisionEngine(bundle.graph, 3, 64),
    }
    for name in ("onnx", "onnx-int8", "openvino", "openvino-bf16", "openvino-int8"):
        build_engine(bundle, KINDS[name], folder, given, weights_sha256="0")
        all_engines[name] = load_engine(folder, name)
    batches = {n: [images[row] for row in range(n)] for n in BATCHES}
    found: dict[str, dict[int, list[float]]] = {
        name: {n: [] for n in BATCHES} for name in (*all_engines, *PEERS)
    }
    with ExitStack() as stack:
        peers = {
            name: stack.enter_context(Peer(label, images.array())) for name, label in PEERS.items()
        }
        for _ in range(TURNS):
            for n, batch in batches.items():
                for name, engine in all_engines.items():
                    found[name][n].append(
                        rate(
                            lambda engine=engine, batch=batch: engine.score(batch, columns=False), n
                        )
                    )
                for name, peer in peers.items():
                    found[name][n].append(peer.rate(n))
        megabytes = {name: peer.finish() for name, peer in peers.items()}
    rates = {
        name: {n: float(np.median(one)) for n, one in both.items()} for name, both in found.items()
    }
    eager = rates["eager PyTorch"]
    return {
        "images_a_processor_second": {
            name: {str(n): rounded(v) for n, v in one.items()} for name, one in rates.items()
        },
        "over_eager": {
            name: {str(n): rounded(v / eager[n]) for n, v in one.items()}
            for name, one in rates.items()
        },
        "onnx_over_eager_in_pairs": {
            str(n): rounded(
                float(np.median(np.divide(found["onnx"][n], found["eager PyTorch"][n])))
            )
            for n in BATCHES
        },
        "megabytes_resident_at_the_end": {
            **megabytes,
            **{
                f"serving {name} alone": alone_megabytes(folder, name)
                for name in ("onnx", "openvino")
            },
        },
        "threads": torch.get_num_threads(),
    }


def memory_one_at_a_time() -> dict[str, Any]:
    """The recipe `memory` by its defaults on 300 images of 256 px: the fit, and milliseconds an
    image beside a plain loop with the same backbone and as many vectors, and the backbone alone.
    """
    images = ImageSet.from_arrays(pictures(400, MEMORY_SIDE))
    started = time.process_time()
    detector = OneClassDetector("memory", size=MEMORY_SIDE, seed=0, threads=1)
    bundle = detector.fit(images[:300], calibration=images[300:364]).bundle_
    fitted = time.process_time() - started
    folder = Path(tempfile.mkdtemp()) / "export"
    given = Verification(images[300:364], np.zeros(64, np.bool_), images[364:])
    scorer: Any = bundle.graph.scorer
    network, bank = scorer.network, scorer.nearest.bank

    def plain(image: NDArray[np.uint8]) -> Any:
        values = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
        maps = F.avg_pool2d(network.targets(values), 3, 1, 1, count_include_pad=False)
        return torch.cdist(maps.flatten(2).transpose(1, 2), bank).amin(2).amax(1)

    black = torch.zeros(1, 3, MEMORY_SIDE, MEMORY_SIDE)
    ways: dict[str, Callable[[], Any]] = {
        "backbone alone, torch": lambda: network.targets(black),
        "plain loop, torch": lambda: plain(images[0]),
    }
    engines: dict[str, Engine] = {"torch": GraphEngine(bundle.graph, 3, bundle.config.batch_size)}
    for name in ("onnx", "openvino"):
        build_engine(bundle, KINDS[name], folder, given, weights_sha256="0")
        engines[name] = load_engine(folder, name)
    ways |= {name: partial(one.score, [images[0]]) for name, one in engines.items()}
    best = dict.fromkeys(ways, 0.0)
    with torch.inference_mode():
        for _ in range(TURNS):
            for name, way in ways.items():
                best[name] = max(best[name], rate(way, 1))
    return {
        "milliseconds_an_image": {name: rounded(1000 / one) for name, one in best.items()},
        "fit_processor_seconds": rounded(fitted),
        "threads": torch.get_num_threads(),
    }


def rate(score: Callable[[], Any], n: int) -> float:
    """Images a processor second."""
    score()
    done, started = 0, time.process_time()
    while time.process_time() - started < SECONDS:
        score()
        done += n
    return done / (time.process_time() - started)


class Peer:
    """A peer in a process of its own, which measures when it is asked."""

    def __init__(self, name: str, images: NDArray[np.uint8]) -> None:
        folder = Path(tempfile.mkdtemp())
        np.save(folder / "images.npy", images)
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        script = str(Path(__file__).parent / "scoring_peers.py")
        self._process = subprocess.Popen(
            [os.environ["RESIDUA_PEERS_PYTHON"], script, name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )

    def __enter__(self) -> Peer:
        while (line := self._process.stdout.readline()) and line.strip() != "ready":
            pass
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def rate(self, n: int) -> float:
        self._process.stdin.write(f"{n}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def finish(self) -> int:
        self._process.stdin.close()
        return int(self._process.stdout.readline())


def alone_megabytes(folder: Path, name: str) -> int:
    """Memory of a process that does nothing but score with an exported file."""
    code = (
        "import numpy as np\nfrom pathlib import Path\nfrom residua.engines import"
        f" load_engine\nengine = load_engine({str(folder)!r}, {name!r})\nfor _ in range(20):\n   "
        " engine.score(list(np.zeros((256, 32, 32, 3), np.uint8)), columns=False)\nlines ="
        " Path('/proc/self/status').read_text().splitlines()\nprint(next(round(int(line.split()[1])"
        " / 1024) for line in lines if line.startswith('VmRSS')))"
    )
    return int(in_subprocess(code))


def folder_to_scores(suffix: str) -> dict[str, Any]:
    """256 files of 256x256, decoded, resized and scored with onnx."""
    bundle, _ = make_bundle()
    folder = Path(tempfile.mkdtemp())
    given = ImageSet.from_arrays(pictures(64, SIZE[0]))
    build_engine(
        bundle,
        KINDS["onnx"],
        folder / "export",
        Verification(given, np.zeros(64, np.bool_), given),
        weights_sha256="0",
    )
    engine = load_engine(folder / "export", "onnx")
    (folder / "files").mkdir()
    for row, picture in enumerate(pictures(256, 256)):
        Image.fromarray(picture).save(folder / "files" / f"{row:04}{suffix}")

    def read() -> ImageSet:
        return load_images(str(folder / "files"))

    images = read()
    return {
        "files_a_second_read": rounded(256 / median_seconds(read, runs=3)),
        "files_a_second_scored": rounded(
            256 / median_seconds(lambda: score_with(engine, images), runs=3)
        ),
        "files_a_second_end_to_end": rounded(
            256 / median_seconds(lambda: score_with(engine, read()), runs=3)
        ),
    }


def start_up(arguments: list[str], python: str = sys.executable) -> dict[str, Any]:
    """Processor seconds of a fresh process, median of five."""
    seconds = []
    environment = {
        name: value
        for name, value in os.environ.items()
        if python == sys.executable or name != "PYTHONPATH"
    }
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([python, *arguments], check=True, capture_output=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"processor_seconds": rounded(float(np.median(seconds)))}


def main() -> None:
    results = Results("scoring_speed")
    results.measure("engines on a 32-64-128 autoencoder, 32x32x3", engines)
    results.measure("memory, lite0, 256x256x3, one at a time", memory_one_at_a_time)
    for suffix in (".jpg", ".png"):
        results.measure(
            f"256 files of 256x256 {suffix}", lambda suffix=suffix: folder_to_scores(suffix)
        )
    folder = Path(tempfile.mkdtemp())
    np.savez(folder / "given.npz", scores=np.arange(200.0), labels=np.arange(200) > 150)
    np.save(folder / "scores.npy", np.arange(200.0))
    np.save(folder / "labels.npy", (np.arange(200) > 150).astype(int))
    judge = [
        "-m",
        "residua",
        "judge",
        "--scores",
        str(folder / "scores.npy"),
        "--labels",
        str(folder / "labels.npy"),
        "--quiet",
    ]
    results.measure("start-up: residua --help", lambda: start_up(["-m", "residua", "--help"]))
    results.measure(
        "start-up: residua judge of 200 scores",
        lambda: start_up([word for word in judge if word != "--quiet"]),
    )
    imports = {
        "nothing, for comparison": "",
        "import residua": "import residua",
        "residua, an exported engine": "from residua.engines import load_engine",
        "residua, a detector to fit": "from residua import OneClassDetector",
        "import torch, for comparison": "import torch",
    }
    for name, code in imports.items():
        results.measure(f"start-up: {name}", lambda code=code: start_up(["-c", code]))
    of_peers = {
        "import anomalib": "import anomalib",
        "anomalib, a model to fit": "from anomalib.models import Ganomaly",
        "import pyod": "import pyod",
        "pyod, a model to fit": "from pyod.models.auto_encoder import AutoEncoder",
    }
    for name, code in of_peers.items() if PEERS else ():
        results.measure(
            f"start-up: {name}",
            lambda code=code: start_up(["-c", code], os.environ["RESIDUA_PEERS_PYTHON"]),
        )


if __name__ == "__main__":
    main()
