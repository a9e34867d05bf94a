"""What one server takes on at most: everything that a stranger can send is bounded here."""

from __future__ import annotations

import os

from pydantic import Field, ValidationError

from residua.errors import RangeError
from residua.records import Record


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
    """`Limits` from what was given; None leaves the default.

    Raises
    ------
    RangeError
        With every limit that is out of range.
    """
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
