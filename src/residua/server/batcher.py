"""One network for many requests: whatever waits while it runs goes into its next batch together.

The graph pads every batch to one fixed size, so company changes no score, and sixty-four images
cost what one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from residua.engines import Engine
from residua.engines.interface import Endable

_T = TypeVar("_T")
_GRACE_SECONDS = 2.0  # for an engine that was asked to end


@dataclass(frozen=True)
class ImageResult:
    """One image's results.

    `error_map` (h, w) at its own resolution, `reconstruction` (h, w, c) at the network's.

    `probabilities` (n_columns,) of classes or of kinds of defects.
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
    done: asyncio.Future[ImageResult]

    @property
    def kind(self) -> tuple[np.dtype[Any], bool]:
        """What shares a batch: arrays of one type, with maps or without."""
        return self.pixels.dtype, self.wants_pictures


class _OneThread:
    """A thread that runs one function after the other.

    The process does not wait for it at its end.

    A pool's threads are joined at exit: a network that never comes back would keep the process
    alive.
    """

    def __init__(self, name: str) -> None:
        self._asked: queue.SimpleQueue[
            tuple[Callable[[], Any], asyncio.Future[Any], asyncio.AbstractEventLoop] | None
        ] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(self, function: Callable[[], _T]) -> asyncio.Future[_T]:
        """The result of `function`, when it is there."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()
        self._asked.put((function, done, loop))
        return done

    def stop(self) -> None:
        """Take no more after what runs now."""
        self._asked.put(None)

    def _work(self) -> None:
        while (one := self._asked.get()) is not None:
            function, done, loop = one
            try:
                settle = partial(_settle, done, result=function())
            except Exception as error:  # noqa: BLE001  whatever the network throws is told where it was asked for
                settle = partial(_settle, done, error=error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(settle)


def _settle(
    done: asyncio.Future[Any], *, result: Any = None, error: BaseException | None = None
) -> None:
    if done.done():  # given up meanwhile
        return
    if error is None:
        done.set_result(result)
    else:
        done.set_exception(error)


class Batcher:
    """Feeds the engine from the event loop; the engine itself runs in one thread of its own.

    An image has `seconds` in the network. After that the engine is asked to end; one that does not
    is given up, and the server is no longer ready.
    """

    def __init__(self, engine: Engine, seconds: float = 86_400) -> None:
        self._engine, self._seconds = engine, seconds
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._thread = _OneThread("residua-network")
        self._task = asyncio.create_task(self._run())

    @property
    def is_running(self) -> bool:
        """Whether images that are handed in get scored."""
        return not self._task.done()

    async def score(self, pixels: NDArray[Any], *, pictures: bool) -> ImageResult:
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
        self._thread.stop()
        _end(self._engine)

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            taken = self._take()
            if not self._jobs:
                self._arrived.clear()
            batches = [[job for job in taken if not job.done.cancelled()]]
            while batches:
                jobs = batches.pop()
                running = self._thread.run(partial(_score, self._engine, jobs))
                if not await self._came_back(running, len(jobs)):
                    _give_up(jobs)
                    return
                if (
                    running.exception() is not None and len(jobs) > 1
                ):  # one image's fault is not its neighbours'
                    batches += [[job] for job in jobs]
                else:
                    _deliver(running, jobs)

    async def _came_back(self, running: asyncio.Future[list[ImageResult]], n_images: int) -> bool:
        """Whether the network ended: by itself in its time, or when it was asked to."""
        await asyncio.wait([running], timeout=self._seconds * max(1, n_images))
        if not running.done():
            _end(self._engine)
            await asyncio.wait([running], timeout=_GRACE_SECONDS)
        return running.done()

    def _take(self) -> list[_Job]:
        """The jobs that waited longest, all of one kind."""
        taken: list[_Job] = []
        while self._jobs and len(taken) < self._engine.batch_size:
            if taken and self._jobs[0].kind != taken[0].kind:
                break
            taken.append(self._jobs.popleft())
        return taken


def _score(engine: Engine, jobs: Sequence[_Job]) -> list[ImageResult]:
    if not jobs:
        return []
    pictures = jobs[0].wants_pictures
    scores = engine.score(
        [job.pixels for job in jobs], maps=pictures, reconstructions=pictures, columns=pictures
    )
    return [
        ImageResult(
            scores.score[row],
            bool(scores.anomalous[row]),
            {name: column[row] for name, column in scores.columns.items()},
            None if scores.maps is None else scores.maps[row],
            None if scores.reconstructions is None else scores.reconstructions[row],
            None if scores.probabilities is None else scores.probabilities[row],
        )
        for row in range(len(jobs))
    ]


def _end(engine: Engine) -> None:
    """Ask an engine that can be ended to end what it runs."""
    if isinstance(engine, Endable):
        engine.end()


def _give_up(jobs: Sequence[_Job]) -> None:
    for job in jobs:
        _settle(job.done, error=TimeoutError("the network did not come back"))


def _deliver(running: asyncio.Future[list[ImageResult]], jobs: Sequence[_Job]) -> None:
    error = running.exception()
    for row, job in enumerate(jobs):
        _settle(job.done, result=None if error is not None else running.result()[row], error=error)
