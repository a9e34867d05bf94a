"""What one server takes on at most: everything that a stranger can send is bounded here.

Requests at work and bytes on the way are counted, and refused beyond their limit.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import Field, ValidationError

from residua.errors import RangeError
from residua.records import Record
from residua.server.answers import too_busy


class Limits(Record):
    """Bounds of one server; what lies beyond is refused with the status code that says so.

    ``megabytes`` and ``pixels`` are of one request's body and of one image (declared in its header,
    checked before a pixel is decoded); ``images`` of one batch. ``seconds`` bounds an upload, and
    then the work on it. ``concurrency`` images are decoded at once, ``queue`` more requests wait.
    ``per_client`` requests of one address are taken at once (None: no such limit). ``connections``
    are open at once. ``upload_megabytes`` and ``waiting_pixels`` bound what lies in memory: bodies
    that arrive, and decoded images that wait for the network.
    """

    megabytes: float = Field(default=20, gt=0, le=4096)
    pixels: int = Field(default=25_000_000, ge=1)
    images: int = Field(default=64, ge=1, le=10_000)
    seconds: float = Field(default=30, gt=0, le=86_400)
    concurrency: int = Field(default_factory=lambda: min(4, os.cpu_count() or 1), ge=1, le=256)
    queue: int = Field(default=128, ge=0)
    per_client: int | None = Field(default=None, ge=1)
    connections: int = Field(default=1024, ge=1)
    upload_megabytes: float = Field(default=512, gt=0)
    waiting_pixels: int = Field(default=100_000_000, ge=1)

    @property
    def body_bytes(self) -> int:
        """The largest body of a request."""
        return int(self.megabytes * 1_000_000)

    @property
    def upload_bytes(self) -> int:
        """What the bodies of all requests may hold together; at least one of the largest."""
        return max(int(self.upload_megabytes * 1_000_000), self.body_bytes)

    @property
    def places(self) -> int:
        """Requests that are worked on or wait."""
        return self.concurrency + self.queue


def checked_limits(**given: float | None) -> Limits:
    """`Limits` from what was given, None the default; raises RangeError with all that is out."""
    try:
        return Limits.model_validate(
            {name: value for name, value in given.items() if value is not None}
        )
    except ValidationError as error:
        lines = [
            f"serve: --{str(one['loc'][0]).replace('_', '-')}: {one['msg']}. Got {one['input']}."
            " Name one in range."
            for one in error.errors()
        ]
        raise RangeError("\n".join(lines)) from None


class Admission:
    """Counts what goes on in the event loop's thread, and refuses at once beyond a limit."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._taken = 0
        self._by_client: Counter[str] = Counter()
        self._held_bytes = 0

    def check_room(self) -> None:
        """Refuse while all places are taken, before a body is read in vain."""
        if self._taken >= self.limits.places:
            raise too_busy(
                503,
                "queue-full",
                f"All {self.limits.places} places of the queue are taken. Try again in a moment.",
            )

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """One of the places, for as long as the block runs."""
        self.check_room()
        most = self.limits.per_client
        if most is not None and self._by_client[client] >= most:
            raise too_busy(
                429,
                "too-many-requests",
                f"At most {most} requests of one address are taken at once. Wait for yours.",
            )
        self._taken += 1
        self._by_client[client] += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]

    @contextmanager
    def upload(self) -> Iterator[Upload]:
        """Room for a body; what it took is given back when the block ends."""
        held = Upload(self)
        try:
            yield held
        finally:
            self._held_bytes -= held.taken

    def hold(self, n_bytes: int) -> None:
        """Count bytes that have arrived; refuse where all uploads together hold too many."""
        if self._held_bytes + n_bytes > self.limits.upload_bytes:
            raise too_busy(
                503, "uploads-full", "Too many uploads are on their way. Try again in a moment."
            )
        self._held_bytes += n_bytes


class Upload:
    """The bytes that one request holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission, self.taken = admission, 0

    def take(self, n_bytes: int) -> None:
        """Count bytes that have arrived for this request."""
        self._admission.hold(n_bytes)
        self.taken += n_bytes


class PixelRoom:
    """Room in memory for decoded images: who finds none waits, unless it is alone."""

    def __init__(self, most: int) -> None:
        self._most, self._used = most, 0
        self._freed = asyncio.Event()

    async def take(self, n_pixels: int) -> None:
        """Wait until there is room, and take it."""
        while self._used and self._used + n_pixels > self._most:
            self._freed.clear()
            await self._freed.wait()
        self._used += n_pixels

    def give(self, n_pixels: int) -> None:
        """Give room back."""
        self._used -= n_pixels
        self._freed.set()
