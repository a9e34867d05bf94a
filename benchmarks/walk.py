"""An inspection engineer's walk over four sets: every command in turn, its processor seconds, and
the first screen that it prints.

    python benchmarks/walk.py [--again] [--minutes 2] [SET ...]

Each command is a process of its own with one thread for arithmetic, on one folder of images or one
manifest; `fit` is left to `auto` and to its stated minutes. The server is asked once for the score
of one image. Screens are 100 columns wide.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

from measure import Results, rounded

DATA = Path(os.environ.get("RESIDUA_TEST_DATA", "../shared/data"))
SETS: dict[str, tuple[str, ...]] = {
    "tiles": ("magnetic_tile", "--normal", "MT_Free", "--groups", "twins"),
    "commutators": ("commutators/set.csv", "--normal", "normal"),
    "micro-lenses": ("micro_lenses/set_clean.csv", "--normal", "good"),
    "garments": ("fashion_mnist", "--normal", "0"),
}
PICTURES = {
    "tiles": "magnetic_tile/MT_Crack/Imgs/*.jpg",
    "commutators": "commutators/kos01/*.jpg",
    "micro-lenses": "micro_lenses/test/defect/*.jpg",
}
SCREEN = 24
PORT = 8765


def main() -> None:
    minutes = sys.argv[sys.argv.index("--minutes") + 1] if "--minutes" in sys.argv else "2"
    asked = [name for name in SETS if name in sys.argv[1:]] or list(SETS)
    results = Results("walk")
    with tempfile.TemporaryDirectory() as place:
        for name in asked:
            if name not in results.rows:
                results.measure(name, partial(walk, name, minutes, Path(place) / name))


def walk(name: str, minutes: str, folder: Path) -> dict[str, Any]:
    """Every command on one set."""
    folder.mkdir()
    place, *options = SETS[name]
    source, run = str(DATA / place), str(folder / "run")
    steps: dict[str, tuple[str, ...]] = {
        "info SOURCE": ("info", source, *options),
        "check": ("check", source, *options),
        "fit": ("fit", source, *options, "--minutes", minutes, "--out", run),
        "evaluate": ("evaluate", run),
        "threshold": ("threshold", run, "--policy", "false-alarms<=0.1"),
        "info RUN": ("info", run),
        "report": ("report", run, "--out", str(folder / "report.html")),
        "verify": ("verify", str(folder / "report.html")),
        "score": ("score", run, source, "--out", str(folder / "scores.csv")),
        "export": ("export", run, "--format", "onnx"),
    }
    found: dict[str, Any] = {"source": " ".join(SETS[name]), "minutes": minutes, "commands": {}}
    for step, words in steps.items():
        found["commands"][step] = command(words)
        print(f"{name} {step}: {found['commands'][step]['processor_seconds']} s", flush=True)
    if name in PICTURES:
        picture = next(iter(sorted(DATA.glob(PICTURES[name]))))
        found["commands"]["serve, one image"] = serve(run, picture)
    return found


def command(words: tuple[str, ...]) -> dict[str, Any]:
    """One command: exit code, seconds, and the first lines of what it says."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "residua", *words],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    said = done.stdout or done.stderr
    return {
        "exit": done.returncode,
        "processor_seconds": rounded(used),
        "seconds": rounded(time.perf_counter() - started),
        "screen": [
            re.sub(r"\S*/(?=run\b|report|scores)", "", line.replace(f"{Path.cwd()}/", "")).rstrip()
            for line in said.splitlines()[:SCREEN]
        ],
    }


def serve(run: str, picture: Path) -> dict[str, Any]:
    """Start the server, ask once, stop it."""
    started = time.perf_counter()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    server = subprocess.Popen(
        [sys.executable, "-m", "residua", "serve", run, "--port", str(PORT)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(),
    )
    try:
        answer = asked_once(picture, time.monotonic() + 120)
    finally:
        server.terminate()
        code = server.wait(60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "exit": code,
        "processor_seconds": rounded(
            after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        ),
        "seconds": rounded(time.perf_counter() - started),
        "screen": answer.splitlines()[:SCREEN],
    }


def asked_once(picture: Path, until: float) -> str:
    """The answer to one image, once the server is ready."""
    boundary = "residua"
    named = f'name="image"; filename="{picture.name}"'
    head = f"--{boundary}\r\nContent-Disposition: form-data; {named}\r\n\r\n"
    body = head.encode() + picture.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/v1/score",
        data=body,
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return str(answer.read().decode())
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "100", "OMP_NUM_THREADS": "1", "NO_COLOR": "1"}


if __name__ == "__main__":
    main()
