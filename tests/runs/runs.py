"""A small source on disk and runs on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from residua.training.fitting.options import FitOptions, make_options
from training_wing import blobs

GOOD, BAD = 60, 12


def write_source(folder: Path) -> Path:
    """Class folders ``good`` (blobs) and ``bad`` (blobs with a bright corner), 12x12, grey."""
    good, bad = blobs(GOOD), blobs(BAD, seed=7)
    bad[:, :5, :5] = 255 - bad[:, :5, :5] // 4
    for label, images in (("good", good), ("bad", bad)):
        (folder / label).mkdir(parents=True)
        for index, image in enumerate(images):
            Image.fromarray(image[..., 0]).save(folder / label / f"{index:03d}.png")
    return folder


def options(
    source: Path | str, job: str = "detect", *, settings: dict | None = None, **more
) -> FitOptions:
    normal = {"normal": ("good",)} if job == "detect" else {}
    return make_options(
        **{
            "source": str(source),
            "job": job,
            "recipe_options": {"latent": 3},
            "settings": {"epochs": 3, "batch_size": 8, **(settings or {})},
            **normal,
            **more,
        }
    )


def add_image(path: Path, seed: int) -> None:
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 12)).astype(np.uint8)).save(
        path
    )
