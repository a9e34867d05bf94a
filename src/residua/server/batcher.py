"""One network for many requests: whatever waits while it runs goes into its next batch together.

The graph pads every batch to one fixed size, so company changes no score, and sixty-four images cost what one does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from residua.engines import Engine


@dataclass(frozen=True)
class Scored:
    """One image's results; `error_map` (h, w) at its own resolution, `reconstruction` (h, w, c) at the network's.

    `probabilities` (n_classes,) of a classifier.
    """

    score: np.float32
    anomalous: bool
    columns: dict[str, np.float32]
    error_map: NDArray[np.float32] | None
    reconstruction: NDArray[np.float32] | None
    probabilities: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class _Job:
    pixels: NDArray[Any]
    wants_pictures: bool
    done: asyncio.Future[Scored]

    @property
    def kind(self) -> tuple[np.dtype[Any], bool]:
        """What shares a batch: arrays of two types would be joined in the wider one, and maps are not made in vain."""
        return self.pixels.dtype, self.wants_pictures


class Batcher:
    """Feeds the engine from the event loop; the engine itself runs in one thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="residua-network")
        self._task = asyncio.create_task(self._run())

    @property
    def is_running(self) -> bool:
        """Whether images that are handed in get scored."""
        return not self._task.done()

    async def score(self, pixels: NDArray[Any], *, pictures: bool) -> Scored:
        """The result of one image; with `pictures` its error map and its reconstruction too."""
        job = _Job(pixels, pictures, asyncio.get_running_loop().create_future())
        self._jobs.append(job)
        self._arrived.set()
        return await job.done

    async def close(self) -> None:
        """Stop; images that still wait are given up."""
        self._task.cancel()
        await asyncio.wait([self._task])
        for job in self._jobs:
            job.done.cancel()
        self._thread.shutdown(wait=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._arrived.wait()
            taken = self._take()
            if not self._jobs:
                self._arrived.clear()
            batches = [[job for job in taken if not job.done.cancelled()]]
            while batches:
                jobs = batches.pop()
                running = loop.run_in_executor(self._thread, _score, self._engine, jobs)
                await asyncio.wait([running])
                if running.exception() is not None and len(jobs) > 1:  # one image's fault is not its neighbours'
                    batches += [[job] for job in jobs]
                else:
                    _deliver(running, jobs)

    def _take(self) -> list[_Job]:
        """The jobs that waited longest, all of one kind."""
        taken: list[_Job] = []
        while self._jobs and len(taken) < self._engine.batch_size:
            if taken and self._jobs[0].kind != taken[0].kind:
                break
            taken.append(self._jobs.popleft())
        return taken


def _score(engine: Engine, jobs: Sequence[_Job]) -> list[Scored]:
    if not jobs:
        return []
    pictures = jobs[0].wants_pictures
    scores = engine.score([job.pixels for job in jobs], maps=pictures, reconstructions=pictures, columns=pictures)
    return [
        Scored(
            scores.score[row],
            bool(scores.anomalous[row]),
            {name: column[row] for name, column in scores.columns.items()},
            None if scores.maps is None else scores.maps[row],
            None if scores.reconstructions is None else scores.reconstructions[row],
            None if scores.probabilities is None else scores.probabilities[row],
        )
        for row in range(len(jobs))
    ]


def _deliver(running: asyncio.Future[list[Scored]], jobs: Sequence[_Job]) -> None:
    error = running.exception()
    for row, job in enumerate(jobs):
        if job.done.done():  # given up meanwhile
            continue
        if error is not None:
            job.done.set_exception(error)
        else:
            job.done.set_result(running.result()[row])
