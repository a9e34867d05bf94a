"""Serving a model on a free port of this machine, and engines that behave badly on purpose."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import numpy as np
from PIL import Image

from residua.server import Limits, ServedModel, Server


def encoded(pixels: np.ndarray, file_format: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels).save(
        buffer, file_format
    )
    return buffer.getvalue()


def until_ready(client: httpx.Client) -> None:
    for _ in range(500):
        if client.get("/readyz").status_code == 200:
            return
        time.sleep(0.02)
    raise AssertionError("the server did not become ready")


@contextmanager
def asking(
    model: ServedModel, limits: Limits | None = None, *, wait: bool = True, **more: object
) -> Iterator[httpx.Client]:
    """A client of a server on a free port of this machine, ready unless it is not waited for."""
    server = Server(model, port=0, limits=limits, **more)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with httpx.Client(base_url=server.address, timeout=30, trust_env=False) as client:
            if wait:
                until_ready(client)
            yield client
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive(), "the server did not stop"


class Held:
    """An engine that scores only when it is let go, so that requests pile up behind it."""

    def __init__(self, engine) -> None:
        self._engine, self.batch_size, self.channels, self.name = engine, 1, 1, "held"
        self.open = threading.Event()
        self.open.set()

    def score(self, images, **wanted):
        assert self.open.wait(20)
        return self._engine.score(images, **wanted)


def with_engine(model: ServedModel, engine) -> ServedModel:
    changed = ServedModel.__new__(ServedModel)
    changed.__dict__.update(model.__dict__, engine=engine)
    return changed
