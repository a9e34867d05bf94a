from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def data_folder() -> Path:
    place = Path(
        os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).parents[2].parent / "shared" / "data"
    )
    if not place.is_dir():
        pytest.skip(f"test data: {place} is not there (set RESIDUA_TEST_DATA)")
    return place


@pytest.fixture
def write() -> Write:
    """Write a small image of its own content, making folders on the way."""

    def write_image(
        path: Path,
        value: int | None = None,
        *,
        size: tuple[int, int] = (10, 12),
        mode: str = "L",
        **kwargs: object,
    ) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        seed = zlib.crc32(path.name.encode()) if value is None else value
        shape = size if mode in {"L", "1"} else (*size, len(mode))
        pixels = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
        image = (
            Image.fromarray(pixels)
            if mode in {"L", "RGB", "RGBA"}
            else Image.fromarray(pixels).convert(mode)
        )
        image.save(path, **kwargs)
        return path

    return write_image
