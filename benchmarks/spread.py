"""Two processes that share each batch against one that trains alone: how far weights, losses and
scores lie apart.

    python benchmarks/spread.py [--again]

Digits 0 as normal, the convolutional network with batch norm, ten epochs, the same global batch of
16, float32, one thread a process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from measure import Results, rounded

COMMAND = (
    "fit digits --normal 0 --recipe plain --latent 4 --epochs 10 --batch-size 16 --precision fp32"
    " --threads 1 -q"
)


def apart(n_processes: int, folder: Path) -> dict[str, Any]:
    """The largest differences between a run by one process and one by several."""
    runs = [folder / "one", folder / "several"]
    for n, run in zip((1, n_processes), runs, strict=True):
        asked = [*COMMAND.split(), "--devices", str(n), "--out", str(run)]
        subprocess.run([sys.executable, "-m", "residua", *asked], check=True)
    one, several = (load_file(run / "bundle" / "model.safetensors") for run in runs)
    weights = [
        name
        for name, array in one.items()
        if array.dtype == np.float32 and not name.startswith("calibration")
    ]
    scores = [run["calibration.scores"] for run in (one, several)]
    losses = [np.load(run / "training.npz")["history/train_loss"] for run in runs]
    return {
        "largest_difference_of_a_weight": rounded(
            max(float(np.abs(one[name] - several[name]).max()) for name in weights)
        ),
        "largest_weight": rounded(max(float(np.abs(one[name]).max()) for name in weights)),
        "largest_relative_difference_of_a_score": rounded(
            float(np.abs(scores[1] / scores[0] - 1).max())
        ),
        "largest_relative_difference_of_a_loss": rounded(
            float(np.abs(losses[1] / losses[0] - 1).max())
        ),
    }


def main() -> None:
    os.environ |= {"GLOO_SOCKET_IFNAME": "lo", "CUDA_VISIBLE_DEVICES": ""}
    results = Results("spread")
    for n_processes in (2, 4):
        with tempfile.TemporaryDirectory() as folder:
            results.measure(
                f"{n_processes} processes against one",
                lambda n=n_processes, at=folder: apart(n, Path(at)),
            )


if __name__ == "__main__":
    main()
