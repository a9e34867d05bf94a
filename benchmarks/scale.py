"""Beyond memory: peak memory and processor seconds of score, fit, info, check and evaluate as the
set grows under one bound.

Real images (Fashion-MNIST test, 28x28) as Parquet shards of 10,000, repeated under new names by
hard links, so that a million of them take the disk of ten thousand; a folder of single files for
comparison. Each row is a fresh process of the command itself.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from measure import Results

DATA = (
    Path(os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    / "fashion_mnist"
)
WORK = Path(
    os.environ.get("RESIDUA_BENCHMARK_WORK") or Path(tempfile.gettempdir()) / "residua-scale"
)
SHARD = 10_000
BOUND = 16  # megabytes; 100,000 images hold 75, a million 748
TRAINING = (
    "--family",
    "dense",
    "--latent",
    "8",
    "--epochs",
    "1",
    "--job",
    "detect",
    "--normal",
    "0,1,2,3,4,5,6,7,8",
)


def shards(n_images: int) -> Path:
    """A folder of Parquet shards that holds `n_images` images."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = WORK / "first.parquet"
    if not first.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        pixels = np.frombuffer(unpacked("t10k-images*"), np.uint8, offset=16).reshape(-1, 28, 28)
        labels = np.frombuffer(unpacked("t10k-labels*"), np.uint8, offset=8)
        table = pa.table({"image": [png(one) for one in pixels], "label": labels.astype(np.int64)})
        pq.write_table(table, first, row_group_size=500)
    folder = WORK / f"shards-{n_images}"
    folder.mkdir(exist_ok=True)
    for number in range(n_images // SHARD):
        link = folder / f"part-{number:05d}.parquet"
        if not link.exists():
            os.link(first, link)
    return folder


def unpacked(name: str) -> bytes:
    return gzip.decompress(next(DATA.glob(name)).read_bytes())


def png(pixels: Any) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def measured(*arguments: str) -> dict[str, Any]:
    """Peak resident megabytes and processor seconds of one command in a process of its own."""
    code = "import resource, sys; from residua.cli import main; main(sys.argv[1:])"
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments}: ended with {status}")
    return row(used, time.perf_counter() - started)


def row(used: resource.struct_rusage, seconds: float) -> dict[str, Any]:
    return {
        "peak_megabytes": round(used.ru_maxrss / 1024, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "wall_seconds": round(seconds, 1),
    }


def fitted() -> str:
    run = WORK / "run"
    if not (run / "bundle").exists():
        shutil.rmtree(run, ignore_errors=True)
        measured("fit", str(shards(SHARD)), *TRAINING, "--out", str(run), "-q")
    return str(run)


def score(n_images: int) -> dict[str, Any]:
    out = WORK / f"scores-{n_images}.parquet"
    shutil.rmtree(out.with_name(f".{out.name}.part"), ignore_errors=True)
    found = measured(
        "score", fitted(), str(shards(n_images)), "--out", str(out), "--memory", str(BOUND), "-q"
    )
    import pyarrow.parquet as pq

    table = pq.ParquetFile(out)
    first = table.read_row_group(0, columns=["score"])["score"].to_numpy()
    n_rows, n_groups = table.metadata.num_rows, table.num_row_groups
    return {
        **found,
        "n_rows": n_rows,
        "row_groups": n_groups,
        "first_scores_sum": float(first.sum(dtype=np.float64)),
    }


def score_killed(n_images: int) -> dict[str, Any]:
    """Killed when most of it is done, and gone on with: the file must be that of the undisturbed
    run.
    """
    whole, out = WORK / f"scores-{n_images}.parquet", WORK / "killed.parquet"
    if not whole.exists():
        score(n_images)
    parts = out.with_name(f".{out.name}.part")
    shutil.rmtree(parts, ignore_errors=True)
    arguments = ["score", fitted(), str(shards(n_images)), "--out", str(out), "-q"]
    process = subprocess.Popen([sys.executable, "-m", "residua", *arguments])
    wanted = 0.9 * n_images / 4096
    while len(list(parts.glob("*-*.json"))) < wanted:
        if process.poll() is not None:
            raise SystemExit("ended before it could be killed")
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    n_parts = len(list(parts.glob("*-*.json")))
    again = measured(*arguments, "--resume")
    return {
        "parts_before_kill": n_parts,
        "resumed": again,
        "same_bytes": out.read_bytes() == whole.read_bytes(),
    }


def fit(n_images: int, megabytes: float) -> dict[str, Any]:
    run = WORK / f"run-{n_images}-{megabytes:g}"
    shutil.rmtree(run, ignore_errors=True)
    found = measured(
        "fit", str(shards(n_images)), *TRAINING, "--out", str(run), "--memory", str(megabytes), "-q"
    )
    return {
        **found,
        "weights": (run / "bundle" / "bundle.json").read_text().split('"sha256": "')[1][:16],
    }


def evaluate(n_images: int) -> dict[str, Any]:
    """The run that was fitted under the bound, judged on its test part under it."""
    run = WORK / f"run-{n_images}-{BOUND:g}"
    found = measured("evaluate", str(run), "--memory", str(BOUND), "-q")
    record = json.loads((run / "evaluation.json").read_text())
    return {
        **found,
        "n_images": record["n_images"],
        "roc_auc": record["metrics"]["roc_auc"]["value"],
    }


def main() -> None:
    results = Results("scale")
    largest = int(os.environ.get("RESIDUA_BENCHMARK_IMAGES") or 1_000_000)
    for n_images in (10_000, 100_000, largest):
        results.measure(f"score {n_images}", lambda n=n_images: score(n))
    results.measure("score 100000 killed at 90% and resumed", lambda: score_killed(100_000))
    for n_images in (10_000, 100_000, 300_000):
        results.measure(
            f"info {n_images}",
            lambda n=n_images: measured("info", str(shards(n)), "--memory", str(BOUND)),
        )
    for n_images in (10_000, 50_000):
        results.measure(
            f"check {n_images}",
            lambda n=n_images: measured("check", str(shards(n)), "--memory", str(BOUND), "-q"),
        )
    for n_images, megabytes in (
        (10_000, BOUND),
        (100_000, BOUND),
        (100_000, 2048),
        (300_000, BOUND),
    ):
        results.measure(
            f"fit {n_images} under {megabytes} MB", lambda n=n_images, m=megabytes: fit(n, m)
        )
    for n_images in (10_000, 100_000):
        results.measure(f"evaluate {n_images} under {BOUND} MB", lambda n=n_images: evaluate(n))


if __name__ == "__main__":
    main()
