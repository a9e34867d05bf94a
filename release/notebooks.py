"""Run every notebook in an empty folder, and keep it with its outputs in build/notebooks.

python release/notebooks.py [NAME ...]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
SOURCE, TARGET = ROOT / "notebooks", ROOT / "build" / "notebooks"
MOST_SECONDS = 60  # of one notebook
MOST_OUTPUT = 500_000  # bytes of one executed notebook


def run(path: Path) -> float:
    """Run one notebook; returns its seconds."""
    book = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            book,
            timeout=4 * MOST_SECONDS,
            resources={"metadata": {"path": folder}},
            extra_arguments=["--log-level=ERROR"],
        )
        try:
            client.execute()
        except CellExecutionError as error:
            raise SystemExit(f"{path.name}: a cell failed.\n{error}") from None
    TARGET.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, TARGET / path.name)
    if (TARGET / path.name).stat().st_size > MOST_OUTPUT:
        raise SystemExit(f"{path.name}: its outputs must stay below {MOST_OUTPUT:,} bytes.")
    return time.perf_counter() - start


def main(names: list[str]) -> None:
    """Run the named notebooks, or all."""
    # Numbers that a page shows should be those of any machine: one thread, no colours.
    os.environ |= {"OMP_NUM_THREADS": "1", "NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100"}
    os.environ.setdefault("KERAS_BACKEND", "torch")
    for path in sorted(SOURCE.glob("*.ipynb")):
        if not names or path.stem in names:
            seconds = run(path)
            slow = "" if seconds <= MOST_SECONDS else f" (more than {MOST_SECONDS} s)"
            print(f"{path.name}: {seconds:.0f} s{slow}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
