"""The server under load on loopback, beside a naive FastAPI handler: requests a second, latencies,
wrong answers, memory.

    python benchmarks/serving.py [--again] [--minutes 10]

Every answer is compared bit for bit: that of `torch` with what `score_run` wrote for the same
image, that of an exported engine with what it gives for that image alone. The naive handler is what
one writes first: it decodes the upload and calls the graph on that one image, without limits, in
FastAPI's pool of threads. Server and clients share the machine, and the machine is shared with
others: read the ratios, and the server's processor seconds a request.
"""

from __future__ import annotations

import asyncio
import csv
import os
import random
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

from measure import Results, rounded

CLIENTS = (1, 16, 256)
ENGINES = ("torch", "onnx", "openvino")
BEST = "onnx"
SECONDS, TURNS = 4.0, 3
BOUNDARY = b"----residua"
NAIVE = """
import io, sys, threading
import numpy as np, torch, uvicorn
from fastapi import FastAPI, UploadFile
from PIL import Image
from residua.training.bundle import load_bundle
bundle = load_bundle(sys.argv[1] + "/bundle")
app = FastAPI()
@app.get("/readyz")
def ready(): return {"status": "ready"}
@app.post("/v1/score")
def score(image: UploadFile):
    pixels = np.asarray(Image.open(image.file).convert("L"))[None, ..., None]
    with torch.inference_mode():
        scored = bundle.graph(torch.from_numpy(pixels.copy()))
    return {"score": float(scored.score[0]), "anomalous": bool(scored.anomalous[0])}
uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
"""


def make_run(folder: Path) -> tuple[Path, list[bytes], dict[str, list[float]]]:
    """A small detector of digits, 256 of its images as PNG files, and each engine's scores of
    them.
    """
    from residua.engines import KINDS, load_engine
    from residua.engines.interface import OneByOne
    from residua.images import load_images
    from residua.runs.engines import export_run
    from residua.runs.fit import fit_run
    from residua.runs.score import score_run
    from residua.training.fitting.options import make_options

    options = make_options(
        **{
            "source": "digits",
            "job": "detect",
            "normal": ("0",),
            "size": 28,
            "recipe_options": {"latent": 8},
            "settings": {"epochs": 3, "batch_size": 32},
        }
    )
    run = fit_run(options, folder / "run").path
    (folder / "images").mkdir()
    for index, pixels in enumerate(load_images("digits").test[:256]):
        Image.fromarray(pixels[..., 0]).resize((28, 28)).save(
            folder / "images" / f"{index:03d}.png"
        )
    score_run(run, str(folder / "images"), folder / "scores.csv")
    with open(folder / "scores.csv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    scores = {"torch": [float(row["score"]) for row in rows]}
    images = load_images(str(folder / "images"))
    assert images.paths.tolist() == [row["path"] for row in rows]
    for name in ENGINES[1:]:
        export_run(run, KINDS[name])
        alone = OneByOne(load_engine(run / "export", name))
        scores[name] = alone.score(
            [images[row] for row in range(len(images))], columns=False
        ).score.tolist()
    return run, [(folder / "images" / row["path"]).read_bytes() for row in rows], scores


@contextmanager
def serving(arguments: list[str], port: int):
    """A server in a process of its own, ready."""
    process = subprocess.Popen(
        [sys.executable, *arguments], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    try:
        asyncio.run(_until_ready(port))
        yield process
    finally:
        process.terminate()
        process.wait(60)


async def _until_ready(port: int) -> None:
    for _ in range(6000):
        with suppress(OSError):
            status, _ = await ask_once(
                port, b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            if status == 200:
                return
        await asyncio.sleep(0.1)
    raise SystemExit("the server did not become ready")


def request(image: bytes, path: str = "/v1/score") -> bytes:
    """A form with one image, as every HTTP library sends it."""
    part = (
        b'\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type:'
        b" image/png\r\n\r\n"
    )
    body = b"--" + BOUNDARY + part + image + b"\r\n--" + BOUNDARY + b"--\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data;"
        f" boundary={BOUNDARY.decode()}\r\n"
    )
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    lines = head.lower().split(b"\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0
    )
    return status, await reader.readexactly(length)


async def ask_once(port: int, sent: bytes) -> tuple[int, bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        await writer.drain()
        return await read_answer(reader)
    finally:
        writer.close()


class Tally:
    """What good clients saw."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.wrong = self.refused = self.broken = 0

    def row(self, seconds: float) -> dict:
        """Rates and latencies, in milliseconds."""
        found = np.array(self.latencies or [float("nan")]) * 1000
        return {
            "requests_per_second": rounded(len(self.latencies) / seconds),
            "median_ms": rounded(float(np.median(found))),
            "p99_ms": rounded(float(np.quantile(found, 0.99))),
            "answered": len(self.latencies),
            "refused_503": self.refused,
            "connection_errors": self.broken,
            "wrong_answers": self.wrong,
        }


async def good_client(
    port: int, images, scores, tally: Tally, until: float, seed: int, *, exact: bool
) -> None:
    """One request after the other on one connection; every score is checked."""
    import json

    draw = random.Random(seed)
    while time.perf_counter() < until:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                while time.perf_counter() < until:
                    index = draw.randrange(len(images))
                    started = time.perf_counter()
                    writer.write(request(images[index]))
                    status, body = await read_answer(reader)
                    if status == 503:
                        tally.refused += 1
                        await asyncio.sleep(1)  # as Retry-After asks
                        continue
                    tally.latencies.append(time.perf_counter() - started)
                    given = json.loads(body)["score"] if status == 200 else float("nan")
                    same = np.float32(given) == np.float32(scores[index])
                    tally.wrong += not (
                        same
                        if exact
                        else abs(given - scores[index]) <= 1e-3 * abs(scores[index]) + 1e-6
                    )
            finally:
                writer.close()
        except (OSError, asyncio.IncompleteReadError):
            tally.broken += 1
            await asyncio.sleep(0.05)


async def load(port: int, images, scores, n: int, seconds: float, *, exact: bool) -> dict:
    tally = Tally()
    started = time.perf_counter()
    await asyncio.gather(
        *(
            good_client(port, images, scores, tally, started + seconds, seed, exact=exact)
            for seed in range(n)
        )
    )
    return tally.row(time.perf_counter() - started)


@cache
def bomb(width: int = 10_000, height: int = 10_000) -> bytes:
    """A PNG of 100 megapixels in 100 kilobytes, or of a line of millions in a few thousand."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@cache
def too_large() -> bytes:
    return request(bytes(25_000_000))


LINES = ((1_000_000, 1), (1, 1_000_000), (24_000_000, 1), (65_535, 300), (60_000, 1))


def seen_lines(seen: dict) -> int:
    return sum(n for kind, n in seen.items() if kind.startswith("line"))


async def bad_client(port: int, images, kind: str, until: float, seen: dict) -> None:
    """One of those that every open door meets."""
    large = request(images[0] + bytes(1_000_000))
    sent = {
        "garbage": lambda: os.urandom(3000) + b"\r\n\r\n",
        "bomb": lambda: request(bomb()),
        "line": lambda: request(bomb(*LINES[seen_lines(seen) % len(LINES)])),
        "hostile name": (
            lambda: request(images[0]).replace(
                b'filename="a.png"', b'filename="\x1b]0;x\x07../../=1+1.png"', 1
            )
        ),
        "other site": (
            lambda: request(images[0]).replace(b"\r\n", b"\r\nOrigin: http://evil.example\r\n", 1)
        ),
        "wrong type": lambda: request(b"%PDF-1.7 not an image"),
        "too large": too_large,
    }
    while time.perf_counter() < until:
        with suppress(
            OSError,
            asyncio.IncompleteReadError,
            ValueError,
            TimeoutError,
            asyncio.LimitOverrunError,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                if kind == "slow":
                    for byte in large[:100]:
                        writer.write(bytes([byte]))
                        await asyncio.sleep(0.2)
                        if time.perf_counter() > until:
                            break
                elif kind == "aborted":
                    writer.write(large[: len(large) // 2])
                    await asyncio.sleep(0.05)
                else:
                    writer.write(sent[kind]())
                    status, _ = await asyncio.wait_for(read_answer(reader), 30)
                    seen[f"{kind}: {status}"] = seen.get(f"{kind}: {status}", 0) + 1
            finally:
                writer.close()
        await asyncio.sleep(0.05)


BAD = (
    ("slow",) * 16
    + ("aborted",) * 2
    + ("garbage",) * 2
    + ("bomb",) * 2
    + ("wrong type",) * 2
    + ("too large",)
)
BAD += ("line",) * 3 + ("hostile name", "other site")


async def siege(port: int, images, scores, n_good: int, seconds: float, process) -> dict:
    """Good clients among bad ones; memory is taken every two seconds."""
    tally, seen, memory = Tally(), {}, []
    started = time.perf_counter()
    until = started + seconds

    async def watch() -> None:
        while time.perf_counter() < until:
            memory.append(resident_megabytes(process.pid))
            await asyncio.sleep(min(2, seconds / 20))

    await asyncio.gather(
        watch(),
        *(
            good_client(port, images, scores, tally, until, seed, exact=True)
            for seed in range(n_good)
        ),
        *(bad_client(port, images, kind, until, seen) for kind in BAD),
    )
    return {
        **tally.row(time.perf_counter() - started),
        "seconds": round(time.perf_counter() - started, 1),
        "bad_clients": {kind: BAD.count(kind) for kind in dict.fromkeys(BAD)},
        "what_bad_clients_were_told": dict(sorted(seen.items())),
        "megabytes_median_by_quarter": [
            rounded(float(np.median(part)), 4) for part in np.array_split(memory, 4)
        ],
        "megabytes_peak": rounded(max(memory), 4),
    }


def together(rows: list[dict]) -> dict:
    """Several turns of one contender as one row."""
    counted = {"answered", "refused_503", "connection_errors", "wrong_answers"}
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {
        name: sum(found) if name in counted else rounded(statistics.median(found))
        for name, found in columns.items()
    }


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_megabytes(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1000
    return float("nan")


def free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def main() -> None:
    results = Results("serving")
    minutes = float(sys.argv[sys.argv.index("--minutes") + 1]) if "--minutes" in sys.argv else 10.0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run, images, scores = make_run(folder)
        (folder / "naive.py").write_text(NAIVE)
        ports = {name: free_port() for name in (*ENGINES, "naive")}

        def ours(engine: str, *more: str) -> list[str]:
            start = [
                "-m",
                "residua",
                "serve",
                str(run),
                "--port",
                str(ports[engine]),
                "--engine",
                engine,
                "--quiet",
            ]
            return [*start, *(more or ("--queue", "512"))]

        def measured(process, to: str, n: int) -> dict:
            before = processor_seconds(process.pid)
            wanted = scores.get(to, scores["torch"])
            row = asyncio.run(load(ports[to], images, wanted, n, SECONDS, exact=to != "naive"))
            spent = processor_seconds(process.pid) - before
            more = {
                "processor_ms_a_request": 1000 * spent / max(1, row["answered"]),
                "megabytes": resident_megabytes(process.pid),
            }
            return {**row, **more}

        def in_turns(processes: dict, n: int) -> dict:
            """All contenders in turn, several times; of rates the median, of mistakes and refusals
            the sum.
            """
            turns: dict[str, list[dict]] = {one: [] for one in processes}
            for _ in range(TURNS):
                for one, process in processes.items():
                    turns[one].append(measured(process, one, n))
            return {one: together(rows) for one, rows in turns.items()}

        with ExitStack() as stack:  # all up, measured in turn
            commands = {
                **{one: ours(one) for one in ENGINES},
                "naive": [str(folder / "naive.py"), str(run), str(ports["naive"])],
            }
            processes = {
                one: stack.enter_context(serving(command, ports[one]))
                for one, command in commands.items()
            }
            for n in CLIENTS:
                results.measure(f"{n} clients", partial(in_turns, processes, n))
        with serving(ours(BEST, "--queue", "8", "--concurrency", "2"), ports[BEST]) as process:
            results.measure(
                f"serve --engine {BEST}, 256 clients, a queue of 8",
                partial(measured, process, BEST, 256),
            )
        with serving(ours(BEST), ports[BEST]) as process:
            key = f"serve --engine {BEST}, 16 good clients among bad ones, {minutes:g} minutes"
            results.measure(
                key,
                lambda: asyncio.run(
                    siege(ports[BEST], images, scores[BEST], 16, 60 * minutes, process)
                ),
            )


if __name__ == "__main__":
    main()
