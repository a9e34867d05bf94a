"""From a request's body to scores.

Admission, decoding in a few threads, the network in one, and a deadline on all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, TypeVarTuple

from starlette.requests import ClientDisconnect, Request

from residua.errors import InputError
from residua.server.answers import RefusedError, too_busy
from residua.server.batcher import Batcher, ImageResult
from residua.server.limits import Admission, Limits, PixelRoom
from residua.server.model import ServedModel, Sight
from residua.server.uploads import Part, check_media_type, parts_of, read_body

_SMALL_BYTES = 1 << 16

T = TypeVar("T")
Given = TypeVarTuple("Given")


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What a request is told of one of its images, or why it has no result."""

    name: str | None
    result: T | None = None
    refusal: RefusedError | None = None


_LEAST_SECONDS = 60.0  # of an image in the network: the first one may wait for a compiler


class Service:
    """One model at work. Lives in one event loop, from `start` to `stop`."""

    def __init__(self, model: ServedModel, limits: Limits) -> None:
        self.model, self.limits = model, limits
        self.admission = Admission(limits)
        self._workers = ThreadPoolExecutor(limits.concurrency, thread_name_prefix="residua-worker")
        self._decoding = asyncio.Semaphore(limits.concurrency)
        self._room = PixelRoom(limits.waiting_pixels)
        self._batcher: Batcher | None = None
        self._warming: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, and score one image before anybody else's."""
        self._batcher = Batcher(self.model.engine, max(_LEAST_SECONDS, 4 * self.limits.seconds))
        self._warming = asyncio.create_task(self._warm_up())

    async def stop(self) -> None:
        """End the threads; the server has answered what it had taken by then."""
        if self._warming is not None:
            self._warming.cancel()
        if self._batcher is not None:
            await self._batcher.close()
        self._workers.shutdown(wait=True, cancel_futures=True)

    @property
    def state(self) -> str:
        """``warming-up``, ``ready``, or ``stopped`` where nothing will be scored any more."""
        if self._batcher is None or self._warming is None or not self._batcher.is_running:
            return "stopped"
        if not self._warming.done():
            return "warming-up"
        return (
            "stopped"
            if self._warming.cancelled() or self._warming.exception() is not None
            else "ready"
        )

    async def judge(
        self,
        request: Request,
        finish: Callable[[Sight, ImageResult], T],
        *,
        pictures: bool,
        only_form: bool = False,
        most: int | None = None,
    ) -> list[Outcome[T]]:
        """From the request's headers to what `finish` makes of each scored image.

        At most `most` images are taken.
        """
        if self.state != "ready":
            raise too_busy(503, "not-ready", "The server is not ready. Try again in a moment.")
        check_media_type(request, only_form=only_form)
        self.admission.check_room()
        with self.admission.upload() as upload:
            body = await read_body(request, self.limits, upload)
            with self.admission.place(request.client.host if request.client else ""):
                work = self._judge_all(
                    body,
                    request.headers.get("content-type", ""),
                    finish,
                    pictures=pictures,
                    most=most,
                )
                return await self._within_time(request, work)

    async def look(
        self,
        request: Request,
        read: Callable[[], bytes],
        finish: Callable[[Sight, ImageResult], T],
    ) -> Outcome[T]:
        """What `finish` makes of an image that lies here: `read` gives its file."""
        if self.state != "ready":
            raise too_busy(503, "not-ready", "The server is not ready. Try again in a moment.")

        async def work() -> Outcome[T]:
            part = Part(None, await self.in_thread(read))
            return await self._judge_one(part, finish, pictures=True)

        with self.admission.place(request.client.host if request.client else ""):
            return await self._within_time(request, work())

    async def _judge_all(
        self,
        body: bytes,
        content_type: str,
        finish: Callable[[Sight, ImageResult], T],
        *,
        pictures: bool,
        most: int | None,
    ) -> list[Outcome[T]]:
        # A small form is read faster here than a thread is woken; each change of threads also waits
        # for the loop's next round.
        if len(body) <= _SMALL_BYTES:
            parts = parts_of(body, content_type, self.limits)
        else:
            parts = await self.in_thread(parts_of, body, content_type, self.limits)
        if most is not None and len(parts) > most:
            raise RefusedError(
                422,
                "several-images",
                f"One image is scored here. Got {len(parts)}. Send them to /v1/score-batch.",
            )
        return await asyncio.gather(
            *(self._judge_one(part, finish, pictures=pictures) for part in parts)
        )

    async def _judge_one(
        self, part: Part, finish: Callable[[Sight, ImageResult], T], *, pictures: bool
    ) -> Outcome[T]:
        assert self._batcher is not None
        try:
            async with self._decoding:
                sight = await self.in_thread(self.model.read, part.data, self.limits)
                await self._room.take(sight.n_pixels)
        except RefusedError as refusal:
            return Outcome(part.name, refusal=refusal)
        try:
            scored = await self._batcher.score(sight.pixels, pictures=pictures)
            return Outcome(
                part.name,
                await self.in_thread(finish, sight, scored) if pictures else finish(sight, scored),
            )
        except InputError as error:  # the engine takes no such image
            return Outcome(part.name, refusal=RefusedError(422, "not-taken", str(error)))
        finally:
            self._room.give(sight.n_pixels)

    async def in_thread(self, function: Callable[[*Given], T], *given: *Given) -> T:
        """The result of `function` in one of the worker threads."""
        return await asyncio.get_running_loop().run_in_executor(self._workers, function, *given)

    async def _within_time(self, request: Request, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`, given up when its time is over or the client has gone."""
        async with _watching(request) as gone:
            task = asyncio.create_task(work)
            try:
                await asyncio.wait(
                    [task, gone], timeout=self.limits.seconds, return_when=asyncio.FIRST_COMPLETED
                )
                has_gone = gone.done()
            finally:
                if not task.done():
                    task.cancel()
                    await asyncio.wait([task])
        if not task.cancelled():
            return task.result()
        if has_gone:
            raise ClientDisconnect
        raise too_busy(
            503,
            "out-of-time",
            f"The work took longer than {self.limits.seconds:g} seconds. Try again, or send less"
            " at once.",
        )

    async def _warm_up(self) -> None:
        assert self._batcher is not None
        await self._batcher.score(self.model.warm_up_image(), pictures=True)


@asynccontextmanager
async def _watching(request: Request) -> AsyncIterator[asyncio.Task[None]]:
    """A task that ends when the client goes away."""

    async def disconnect() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    task = asyncio.create_task(disconnect())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])
