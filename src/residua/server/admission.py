"""Who gets in: a bounded number of requests at work, and a bounded number of bytes on the way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from residua.server.answers import too_busy
from residua.server.limits import Limits


class Admission:
    """Counts what is going on in the event loop's thread.

    A request beyond a limit is refused at once, never parked.
    """

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
    """Room in memory for decoded images.

    Who finds none waits, but an image alone is always let in.
    """

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
