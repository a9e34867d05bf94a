"""What a watch is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from residua._check import check_within
from residua.engines.kinds import REFERENCE

BLOCK = 1_000


@dataclass(frozen=True)
class WatchOptions:
    """How a line is watched.

    ``out`` is the folder of the table; None: ``watch.parquet`` in the run. ``policy`` decides about
    blocks of ``block`` images; None: the run's threshold decides about each image. ``on_flag`` is a
    command and ``post`` an address that is told of flagged images. Blocks older than ``keep_days``
    are deleted. With ``once``, the watch ends when no image is left. Each period of ``every``, such
    as ``8h``, gets a report.
    """

    out: Path | None = None
    policy: str | None = None
    block: int = BLOCK
    on_flag: str | None = None
    post: str | None = None
    keep_days: float | None = None
    once: bool = False
    settle: float = 1.0
    patience: float = 30.0
    engine: str = REFERENCE
    bits: int | None = None
    product: str | None = None
    every: str | None = None

    def check(self) -> None:
        """Refuse what cannot be, before anything is opened."""
        for name, value, interval in (
            ("block", self.block, "[1, inf)"),
            ("settle", self.settle, "[0, inf)"),
            ("patience", self.patience, "[0, inf)"),
            ("keep-days", 0 if self.keep_days is None else self.keep_days, "[0, inf)"),
        ):
            check_within("watch", f"--{name}", value, interval, "Name a larger number")
