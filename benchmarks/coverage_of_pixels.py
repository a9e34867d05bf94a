"""How often the 95% intervals of pixel metrics hold the truth, on simulated maps of images that
were sampled alone or in groups; and what the intervals cost.

An error is that of its image and group, plus noise; a defect, one to three rectangles an image,
adds a contrast that varies by group, image and defect. The truth comes from thousands of images.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from coverage import tally
from measure import Results, rounded
from pixel import data
from residua.metrics.groups import Groups
from residua.metrics.pixel_errors import PixelErrors
from residua.metrics.pixel_spread import (
    PooledPoints,
    aupro_influences,
    average_precision_influences,
    image_points,
    interval_by_images,
    roc_auc_influences,
)
from residua.metrics.pixel_tally import PixelTally
from residua.metrics.reported import estimates_of

SIDE = 20
MARKED = 4.26  # 5% of normal images reach it somewhere


@dataclass(frozen=True)
class Setting:
    """Groups with and without defects, images a group, the share of variance that images of a group
    have in common, the mean contrast of defects, the spread of their areas (of the logarithm), and
    whether the intervals know the groups.
    """

    n_defective: int
    n_normal: int
    per_group: int = 1
    share: float = 0.0
    contrast: float = 2.0
    areas: float = 0.5
    knows: bool = True
    n_sets: int = 1000

    @property
    def name(self) -> str:
        """The row's key."""
        sets = f"{self.n_defective} + {self.n_normal} groups of {self.per_group}"
        return (
            f"{sets}, share {self.share}, contrast {self.contrast}, areas {self.areas}"
            f"{'' if self.knows else ', groups ignored'}"
        )


def drawn(rng: np.random.Generator, setting: Setting) -> tuple[PixelTally, Groups]:
    """One set of images, and the groups they are of."""
    tallied, codes = PixelTally(pixel_threshold=MARKED), []
    for group in range(setting.n_defective + setting.n_normal):
        common = rng.normal(size=2) * np.sqrt(setting.share)
        for _ in range(setting.per_group):
            level, contrast = common + rng.normal(size=2) * np.sqrt(1 - setting.share)
            error = rng.normal(size=(SIDE, SIDE)) + 0.7 * level
            mask = np.zeros(error.shape, bool)
            for _ in range(rng.integers(1, 4) if group < setting.n_defective else 0):
                sides = np.exp(rng.normal(0.9, setting.areas / np.sqrt(2), 2)).round()
                height, width = np.clip(sides, 1, SIDE // 2).astype(int)
                top, left = rng.integers(0, SIDE - height + 1), rng.integers(0, SIDE - width + 1)
                new = np.zeros(mask.shape, bool)
                new[top : top + height, left : left + width] = True
                error[new & ~mask] += setting.contrast + contrast + 0.5 * rng.normal()
                mask |= new
            tallied.add(mask, error.astype(np.float32))
            codes.append(group)
    return tallied, Groups(np.array(codes))


def truth_of(setting: Setting) -> dict[str, float]:
    """Of thousands of images, each of a group of its own: what images share does not matter."""
    times = 4000 // (setting.n_defective + setting.n_normal)
    many = Setting(
        setting.n_defective * times,
        setting.n_normal * times,
        contrast=setting.contrast,
        areas=setting.areas,
    )
    found = estimates_of(PixelErrors(pixels=drawn(np.random.default_rng(99), many)[0]))
    return {name: float(one.value or 0) for name, one in found.items()}


def covered(setting: Setting) -> dict[str, Any]:
    """Coverage of each metric, how often the truth lies below and above, and the caveats."""
    rng, truth = np.random.default_rng(0), truth_of(setting)
    made = []
    for _ in range(setting.n_sets):
        pixels, groups = drawn(rng, setting)
        known = groups if setting.knows else None
        made.append(estimates_of(PixelErrors(groups=known, pixels=pixels)))
    row: dict[str, Any] = {"sets": setting.n_sets}
    for name in truth:
        found = tally(truth[name], [one[name] for one in made])
        row[name] = {
            "truth": round(truth[name], 3),
            **{key: found[key] for key in ("coverage", "below", "above", "no_interval")},
            "caveat": round(float(np.mean([one[name].caveat is not None for one in made])), 3),
        }
    return row


def cost(n_images: int) -> dict[str, float]:
    """Processor seconds for maps of 512 x 512: adding them, the areas, and of both together the
    share that is for intervals; and what is kept of an image for them.
    """
    masks, maps = data(n_images)
    tallied = PixelTally()

    def add() -> None:
        for mask, one in zip(masks, maps, strict=True):
            tallied.add(mask, one)

    def keep() -> None:
        for background, defects, weights in pixels:
            image_points(background, defects, weights, 4)

    def intervals() -> None:
        pooled = PooledPoints(tallied.points)
        for influences in (roc_auc_influences, average_precision_influences, aupro_influences):
            interval_by_images(0.9, influences(pooled), np.arange(n_images) % 2 == 1, None, 0.95)

    adding = seconds(add)
    pixels = [
        (one[~mask], one[mask], np.ones(mask.sum())) for mask, one in zip(masks, maps, strict=True)
    ]
    areas = seconds(lambda: (tallied.roc_auc(), tallied.average_precision(), tallied.aupro()))
    for_intervals = seconds(keep) + seconds(intervals)
    arrays = (part for one in tallied.points for part in one if isinstance(part, np.ndarray))
    return {
        "adding": rounded(adding),
        "areas": rounded(areas),
        "for_intervals": rounded(for_intervals),
        "share": rounded(for_intervals / (adding + areas + seconds(intervals))),
        "bytes_an_image": sum(part.nbytes for part in arrays) // n_images,
    }


def seconds(function: Callable[[], object]) -> float:
    """Processor seconds of one call."""
    started = time.process_time()
    function()
    return time.process_time() - started


SETTINGS = (
    Setting(10, 10),
    Setting(25, 25),
    Setting(100, 100, n_sets=300),
    Setting(5, 15),
    Setting(10, 40),
    Setting(10, 10, contrast=4.0),
    Setting(25, 25, contrast=4.0),
    Setting(25, 25, areas=1.0),
    Setting(25, 25, contrast=4.0, areas=1.0),
    Setting(100, 100, contrast=4.0, areas=1.0, n_sets=300),
    Setting(25, 25, contrast=0.5, n_sets=600),
    Setting(10, 60, contrast=0.8, n_sets=300),
    Setting(10, 10, 4, 0.6, n_sets=600),
    Setting(25, 25, 4, 0.6, n_sets=400),
    Setting(50, 50, 4, 0.9, n_sets=200),
    Setting(25, 25, 4, 0.6, knows=False, n_sets=400),
    Setting(25, 25, 4, 0.9, knows=False, n_sets=400),
)


def main() -> None:
    results = Results("coverage_of_pixels")
    for setting in SETTINGS:
        results.measure(setting.name, lambda setting=setting: covered(setting))
    for n_images in (16, 64):
        results.measure(f"seconds for {n_images} maps of 512 x 512", lambda n=n_images: cost(n))


if __name__ == "__main__":
    main()
