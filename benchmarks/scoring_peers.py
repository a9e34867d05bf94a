"""What scoring_speed.py runs in the Python of its peers: anomalib's Ganomaly and PyOD's AutoEncoder
by their own inference paths.

    python scoring_peers.py anomalib|pyod FOLDER

Fits on the images in FOLDER/images.npy, then answers each batch size on standard input with images
a processor second, and ends with the memory it holds then. Neither residua nor anything of its
benchmarks is imported here.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["TRUST_REMOTE_CODE"] = "1"  # anomalib loads its own export by pickle
warnings.filterwarnings("ignore")

import numpy as np  # noqa: E402  what the variable says must be known before

SECONDS = 0.4


def anomalib(images: np.ndarray, folder: Path) -> Callable[[np.ndarray], Any]:
    """Ganomaly, an encoder and decoder without a pretrained backbone, exported and run by
    anomalib's inferencer.
    """
    import torch
    from anomalib.data import Folder
    from anomalib.deploy import ExportType, TorchInferencer
    from anomalib.engine import Engine
    from anomalib.models import Ganomaly
    from PIL import Image

    for part, rows in (("good", range(40)), ("bad", range(40, 48))):
        (folder / "data" / part).mkdir(parents=True, exist_ok=True)
        for row in rows:
            Image.fromarray(images[row]).save(folder / "data" / part / f"{row}.png")
    size = images.shape[1:3]
    model = Ganomaly(
        pre_processor=Ganomaly.configure_pre_processor(image_size=size), visualizer=False
    )
    data = Folder(
        name="x",
        root=str(folder / "data"),
        normal_dir="good",
        abnormal_dir="bad",
        train_batch_size=16,
        eval_batch_size=16,
        num_workers=0,
    )
    engine = Engine(
        max_epochs=1,
        device="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        default_root_dir=str(folder),
    )
    engine.fit(model, datamodule=data)
    path = engine.export(model, ExportType.TORCH, export_root=str(folder))
    inferencer = TorchInferencer(path=path, device="cpu")

    def score(batch: np.ndarray) -> Any:
        with torch.inference_mode():
            if len(batch) == 1:
                return inferencer.predict(batch[0]).pred_score
            return inferencer.predict(
                torch.from_numpy(batch).permute(0, 3, 1, 2).float() / 255
            ).pred_score

    return score


def pyod(images: np.ndarray, folder: Path) -> Callable[[np.ndarray], Any]:
    """PyOD's dense autoencoder as it comes, on flattened images."""
    from pyod.models.auto_encoder import AutoEncoder

    model = AutoEncoder(epoch_num=1, verbose=0)
    model.fit(images.reshape(len(images), -1).astype(np.float32) / 255)
    return lambda batch: model.decision_function(
        batch.reshape(len(batch), -1).astype(np.float32) / 255
    )


def main() -> None:
    name, folder = sys.argv[1], Path(sys.argv[2])
    images = np.load(folder / "images.npy")
    score = {"anomalib": anomalib, "pyod": pyod}[name](images, folder / name)
    print("ready", flush=True)
    for line in sys.stdin:
        batch = images[: int(line)]
        score(batch)
        done, started = 0, time.process_time()
        while time.process_time() - started < SECONDS:
            score(batch)
            done += len(batch)
        print(done / (time.process_time() - started), flush=True)
    lines = Path("/proc/self/status").read_text().splitlines()
    print(
        next(round(int(line.split()[1]) / 1024) for line in lines if line.startswith("VmRSS")),
        flush=True,
    )


if __name__ == "__main__":
    main()
