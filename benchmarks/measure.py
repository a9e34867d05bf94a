"""What every benchmark needs: the machine in words, medians of several runs, peak memory, and
results that can be resumed.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "torchmetrics")


def machine() -> dict[str, Any]:
    """CPU, cores, memory and versions: what a number means nothing without."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [
            line.split(":", 1)[1].strip()
            for line in cpuinfo.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    pages = (
        os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gigabytes": round(pages / 2**30, 1),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def median_seconds(function: Callable[[], Any], *, runs: int = 5) -> float:
    """Median wall-clock seconds of `runs` calls, after one call that warms up when it is short."""
    seconds: list[float] = []
    started = time.perf_counter()
    function()
    first = time.perf_counter() - started
    if first > 20:
        return first
    for _ in range(runs):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def in_subprocess(code: str) -> Any:
    """Run `code` in a fresh interpreter; what it prints last is JSON and comes back."""
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, env=os.environ
    )
    return json.loads(done.stdout.splitlines()[-1])


class Results:
    """Rows of one benchmark in ``benchmarks/results/NAME.json``; a row already there is not
    measured twice unless ``--again``.
    """

    def __init__(self, name: str) -> None:
        self.path = RESULTS / f"{name}.json"
        self.rows: dict[str, Any] = {}
        again = "--again" in sys.argv
        if self.path.exists() and not again:
            self.rows = json.loads(self.path.read_text())["rows"]

    def measure(self, key: str, function: Callable[[], Any]) -> Any:
        """The row `key`: read if it is there, else measured, printed and written at once."""
        if key not in self.rows:
            load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
            row = function()
            self.rows[key] = {**row, "load_before": load}
            self._write()
        print(f"{key}: {json.dumps(self.rows[key])}", flush=True)
        return self.rows[key]

    def _write(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        written = {
            "command": (
                "python " + shlex.join(["benchmarks/" + Path(sys.argv[0]).name, *sys.argv[1:]])
            ),
            "date": datetime.now(UTC).date().isoformat(),
            "machine": machine(),
            "rows": self.rows,
        }
        temporary = self.path.with_suffix(".part")
        temporary.write_text(json.dumps(written, indent=1) + "\n")
        temporary.replace(self.path)


def rounded(value: float, digits: int = 3) -> float:
    """To so many significant digits."""
    return float(f"{value:.{digits}g}")
