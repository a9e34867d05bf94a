"""How well copies are found, on whom it casts doubt wrongly, how long it takes, and what perceptual
hashes do on the same images.

``--only WORD`` runs the rows whose name holds the word: planted, parts, tiles, whole, growth.
``--largest N`` is the last size of growth. The peer needs the package imagededup; without it its
row is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from measure import Results, in_subprocess, rounded
from residua.baselines import DETECTORS
from residua.evaluation import evaluate_detection
from residua.images import (
    DuplicatePair,
    Duplicates,
    ImageSet,
    load_images,
    resize,
    search_duplicates,
)
from residua.images.duplicates import leaks_of

DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
Picture = np.ndarray


def encoded(picture: Picture, quality: int) -> Picture:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def scaled(picture: Picture, factor: float) -> Picture:
    size = [max(4, round(side * factor)) for side in picture.shape[::-1]]
    return np.asarray(Image.fromarray(picture).resize((size[0], size[1]), Image.Resampling.BICUBIC))


def cropped(picture: Picture, rng: np.random.Generator, most: float) -> Picture:
    """Up to `most` of the side off each of the four sides, in whole pixels, at least one pixel in
    all.
    """
    height, width = picture.shape
    left, right = (int(np.rint(rng.uniform(0, most) * width)) for _ in range(2))
    top, bottom = (int(np.rint(rng.uniform(0, most) * height)) for _ in range(2))
    left += left + right + top + bottom == 0
    return np.ascontiguousarray(picture[top : height - bottom, left : width - right])


def lit(picture: Picture, gain: float, offset: float) -> Picture:
    return np.clip(picture.astype(np.float32) * gain + offset, 0, 255).astype(np.uint8)


CHANGES: dict[str, tuple[str, Callable[[Picture, np.random.Generator], Picture]]] = {
    "exact": ("exact", lambda x, rng: x.copy()),
    "JPEG quality 75": ("re-encoded", lambda x, rng: encoded(x, 75)),
    "JPEG quality 40": ("re-encoded", lambda x, rng: encoded(x, 40)),
    "resized to 70%": ("resized", lambda x, rng: scaled(x, 0.7)),
    "resized to 50%": ("resized", lambda x, rng: scaled(x, 0.5)),
    "resized to 200%": ("resized", lambda x, rng: scaled(x, 2)),
    "cropped by up to 3% a side": ("cropped", lambda x, rng: cropped(x, rng, 0.03)),
    "cropped by up to 5% a side": ("cropped", lambda x, rng: cropped(x, rng, 0.05)),
    "cropped by up to 8% a side": ("cropped", lambda x, rng: cropped(x, rng, 0.08)),
    "brightened by 30%, clipped": ("brightened", lambda x, rng: lit(x, 1.3, 0)),
    "dimmed to 60%": ("brightened", lambda x, rng: lit(x, 0.6, 0)),
    "30 of 255 added": ("brightened", lambda x, rng: lit(x, 1, 30)),
    "flipped left to right": ("flipped", lambda x, rng: np.ascontiguousarray(x[:, ::-1])),
    "flipped upside down": ("flipped", lambda x, rng: np.ascontiguousarray(x[::-1])),
    "rotated by 90 degrees": ("rotated", lambda x, rng: np.ascontiguousarray(np.rot90(x))),
    "rotated by 270 degrees": ("rotated", lambda x, rng: np.ascontiguousarray(np.rot90(x, 3))),
}


@cache
def fashion() -> ImageSet:
    return load_images(str(DATA / "fashion_mnist"))


@cache
def tiles() -> tuple[ImageSet, list[str]]:
    files = tile_files()
    images = [np.asarray(Image.open(file).convert("L")) for file in files]
    return ImageSet.from_arrays(images, paths=[file.stem for file in files]), [
        file.stem for file in files
    ]


@cache
def tile_copies() -> Duplicates:
    return search_duplicates(tiles()[0])


def originals(name: str, seed: int) -> list[Picture]:
    rng = np.random.default_rng(seed)
    if name.startswith("fashion-mnist"):
        whole, n = fashion(), 60_000 if name.endswith("many") else 10_000
        return [
            whole[int(row)][..., 0] for row in np.sort(rng.choice(len(whole), n, replace=False))
        ]
    if name == "digits":
        return [image[..., 0] for image in load_images("digits")]
    groups = tile_copies().groups
    return [
        tiles()[0][int(row)][..., 0] for row in np.flatnonzero(groups == np.arange(len(groups)))
    ]


def planted(name: str, n_each: int, only_changes: list[str], repeats: int) -> dict[str, Any]:
    """Few copies at a time among the originals, several times: what is found, how it is named, and
    who is accused besides.
    """
    pictures = originals(name, 0)
    n, rng = len(pictures), np.random.default_rng(1)
    told: dict[str, list[str | None]] = {change: [] for change in only_changes}
    seconds, accused = [], []
    for _ in range(repeats):
        chosen = rng.permutation(n)[: n_each * len(only_changes)].reshape(len(only_changes), -1)
        copies = [
            CHANGES[change][1](pictures[row], rng)
            for change, rows in zip(only_changes, chosen, strict=True)
            for row in rows
        ]
        started = time.process_time()
        found = search_duplicates(ImageSet.from_arrays([*pictures, *copies]))
        seconds.append(time.process_time() - started)
        kinds = {(one.first, one.second): one.kind for one in found.pairs}
        accused.append(
            len({row for one in found.pairs if one.second < n for row in (one.first, one.second)})
        )
        for place, (change, rows) in enumerate(zip(only_changes, chosen, strict=True)):
            told[change] += [
                kinds.get((int(row), n + place * n_each + at)) for at, row in enumerate(rows)
            ]
    result: dict[str, Any] = {
        "images": n,
        "copies_each": n_each * repeats,
        "cpu_seconds_each_time": rounded(float(np.median(seconds))),
    }
    result["accused_per_1000_originals"] = rounded(1000 * float(np.mean(accused)) / n)
    for change, kinds_told in told.items():
        known = [kind for kind in kinds_told if kind is not None]
        right = [CHANGES[change][0] in kind.split(" + ") for kind in known]
        recall = len(known) / len(kinds_told)
        result[change] = {
            "recall": rounded(recall),
            "kind_right": rounded(float(np.mean(right))) if known else None,
        }
    return result


SHAPES = ("ellipse", "angle", "ring", "bump")
OF_PARTS = (
    "JPEG quality 75",
    "JPEG quality 40",
    "resized to 70%",
    "resized to 50%",
    "cropped by up to 8% a side",
    "dimmed to 60%",
)


def part(shape: str, side: int, angle: float, shift: np.ndarray) -> Picture:
    """A smooth part at an angle, drawn four times finer, in grey levels."""
    down, across = np.mgrid[: 4 * side, : 4 * side] / (4 * side) - 0.5
    x, y = across - shift[0], down - shift[1]
    x, y = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    if shape == "bump":
        drawn = 120 * np.exp(-(x**2 / 0.05 + y**2 / 0.015))
    else:
        outside = {
            "ellipse": lambda: (np.hypot(x / 0.36, y / 0.2) - 1) / 4,
            "angle": lambda: np.minimum(
                np.maximum(abs(x + 0.15) - 0.08, abs(y) - 0.3),
                np.maximum(abs(x) - 0.25, abs(y - 0.22) - 0.08),
            ),
            "ring": lambda: np.maximum(
                abs(np.hypot(x, y) - 0.27) - 0.07, 0.12 - np.hypot(x - 0.27, y)
            ),
        }[shape]()
        drawn = 120 * (1 + 0.4 * x) / (1 + np.exp(np.clip(outside / 0.012, -50, 50)))
    return 60 + drawn.reshape(side, 4, side, 4).mean(axis=(1, 3))


def parts_at_any_angle(
    side: int, noise: float, draws: int, n: int = 150, n_each: int = 2
) -> dict[str, Any]:
    """Parts of one shape at any angle, each with noise of its own: who is accused, and which copies
    are found among them.
    """
    accused, found_of = [], {kind: [] for kind in OF_PARTS}
    for draw in range(draws):
        rng = np.random.default_rng(draw)
        shape = SHAPES[draw % len(SHAPES)]
        drawn = [
            part(shape, side, rng.uniform(0, 2 * np.pi), rng.uniform(-0.02, 0.02, 2))
            for _ in range(n)
        ]
        pictures = [
            np.clip(one + rng.normal(0, noise, one.shape), 0, 255).round().astype(np.uint8)
            for one in drawn
        ]
        alone = search_duplicates(ImageSet.from_arrays(pictures))
        accused.append(sum(len(rows) for rows in alone.members()))
        rows = rng.permutation(n)[: n_each * len(OF_PARTS)].tolist()
        copies = [
            CHANGES[OF_PARTS[place // n_each]][1](pictures[row], rng)
            for place, row in enumerate(rows)
        ]
        pairs = {
            one[:2] for one in search_duplicates(ImageSet.from_arrays([*pictures, *copies])).pairs
        }
        for place, row in enumerate(rows):
            found_of[OF_PARTS[place // n_each]].append((row, n + place) in pairs)
    result: dict[str, Any] = {"images": n, "draws": draws, "copies_each": n_each * draws}
    result["accused_per_1000"] = rounded(1000 * sum(accused) / (n * draws))
    result["draws_with_an_accused_one"] = int(np.count_nonzero(accused))
    return {**result, **{kind: rounded(float(np.mean(hit))) for kind, hit in found_of.items()}}


def hashed(n_each: int, only_changes: list[str]) -> dict[str, Any]:
    """The perceptual and difference hash of imagededup with its own search, near at 10 of 64 bits
    as by its default, and ours.
    """
    from imagededup.methods import DHash, PHash

    pictures = originals("fashion-mnist", 0)[:5000]
    rng, n = np.random.default_rng(1), len(pictures)
    chosen = rng.permutation(n)[: n_each * len(only_changes)].reshape(len(only_changes), -1)
    copies = [
        CHANGES[change][1](pictures[row], rng)
        for change, rows in zip(only_changes, chosen, strict=True)
        for row in rows
    ]
    images = [*pictures, *copies]
    result: dict[str, Any] = {"images": len(images), "copies_each": n_each}
    for name, method in (
        ("imagededup PHash", PHash(verbose=False)),
        ("imagededup DHash", DHash(verbose=False)),
    ):
        started = time.process_time()
        codes = {
            str(row): method.encode_image(image_array=image) for row, image in enumerate(images)
        }
        near = method.find_duplicates(
            encoding_map=codes, max_distance_threshold=10, num_dist_workers=0
        )
        pairs = {(int(row), int(other)) for row, others in near.items() for other in others}
        result[name] = _told(pairs, time.process_time() - started, n, chosen, only_changes)
    started = time.process_time()
    found = search_duplicates(ImageSet.from_arrays(images))
    pairs = {
        pair for one in found.pairs for pair in ((one.first, one.second), (one.second, one.first))
    }
    result["residua"] = _told(pairs, time.process_time() - started, n, chosen, only_changes)
    return result


def _told(
    pairs: set[tuple[int, int]], seconds: float, n: int, chosen: np.ndarray, changes: list[str]
) -> dict[str, Any]:
    """Which originals are paired with another original, and the share of copies paired with their
    own.
    """
    accused = {first for first, second in pairs if first < n and second < n}
    row: dict[str, Any] = {
        "cpu_seconds": rounded(seconds),
        "accused_per_1000_originals": rounded(1000 * len(accused) / n),
    }
    for place, (change, rows) in enumerate(zip(changes, chosen.tolist(), strict=True)):
        hit = [(row_, n + place * len(rows) + at) in pairs for at, row_ in enumerate(rows)]
        row[change] = rounded(float(np.mean(hit)))
    return row


def tile_groups() -> dict[str, Any]:
    """Groups against the names: photographs of a tile are numbered close together, each exposure
    once.
    """
    names = [re.search(r"exp(\d)_num_(\d+)", name) for name in tiles()[1]]
    exposure, number = (np.array([int(name[part]) for name in names if name]) for part in (1, 2))
    members = tile_copies().members()
    rank = np.argsort(np.argsort(number))
    spans = [int(np.ptp(rank[rows]) + 1 - len(rows)) for rows in members]
    return {
        "images": len(names),
        "groups_of_two_or_more": len(members),
        "images_in_them": int(sum(len(rows) for rows in members)),
        "sizes": {
            str(size): n for size, n in sorted(Counter(len(rows) for rows in members).items())
        },
        "every_exposure_once": rounded(
            float(np.mean([len(set(exposure[rows])) == len(rows) for rows in members]))
        ),
        "median_of_numbers_between_that_are_others": float(np.median(spans)),
    }


def published_protocol() -> dict[str, Any]:
    """A random fifth of the good tiles and all defective ones are test: ROC AUC as published, and
    without twins of train.
    """
    images, names = tiles()
    is_good = np.array([path.parts[-3] == "MT_Free" for path in tile_files()])
    pixels = np.stack([resize(image, (48, 48)) for image in images]).astype(np.float32) / 255
    pixels = pixels / np.maximum(
        pixels.mean(axis=(1, 2, 3), keepdims=True), 0.05
    )  # exposure taken out, or it alone decides
    rows: dict[str, list[float]] = {}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        good = rng.permutation(np.flatnonzero(is_good))
        train, test = (
            good[len(good) // 5 :],
            np.concatenate([good[: len(good) // 5], np.flatnonzero(~is_good)]),
        )
        order = np.concatenate([train, test])
        copies = _reordered(tile_copies(), order)
        leaks, _ = leaks_of(
            copies, np.arange(len(order)) < len(train), np.asarray(names, object)[order]
        )
        for name in ("pixel_neighbours", "pca"):
            scores = DETECTORS[name](pixels[train], pixels[test], latent=16, seed=seed)
            record = evaluate_detection((~is_good[test]).astype(int), scores, leaks=leaks)
            told = next(one for one in record.findings if one.code == "leakage")
            rows.setdefault(f"{name}, as published", []).append(
                record.metrics["roc_auc"].value or np.nan
            )
            without = told.measured["metrics_without"]["roc_auc"]["value"]
            rows.setdefault(f"{name}, without twins", []).append(
                np.nan if without is None else without
            )
        rows.setdefault("good test images", []).append(float(is_good[test].sum()))
        rows.setdefault("good test images that are no twin", []).append(
            float((is_good[test] & ~leaks.leaked).sum())
        )
    return {name: rounded(float(np.nanmean(values))) for name, values in rows.items()}


def tile_files() -> list[Path]:
    return sorted((DATA / "magnetic_tile").glob("MT_*/Imgs/*.jpg"))


def _reordered(copies: Duplicates, order: np.ndarray) -> Duplicates:
    """The same copies by their rows in `order`, which holds every row once."""
    place = np.argsort(order)
    pairs = tuple(
        DuplicatePair(*sorted((int(place[one.first]), int(place[one.second]))), one.kind, one.ratio)
        for one in copies.pairs
    )
    label = copies.groups[order]
    first = {group: row for row, group in reversed(list(enumerate(label.tolist())))}
    return Duplicates(
        pairs, np.array([first[group] for group in label.tolist()], np.int64), copies.details_needed
    )


def whole() -> dict[str, Any]:
    """All 70,000 images: processor seconds, and how many of each kind were named."""
    images = fashion()
    images.pixel_digests  # noqa: B018  hashing belongs to reading
    started = time.process_time()
    found = search_duplicates(images)
    seconds = time.process_time() - started
    is_test = images.splits == "test"
    across = [one for one in found.pairs if is_test[one.first] != is_test[one.second]]
    leaked = {row for one in across for row in (one.first, one.second) if is_test[row]}
    return {
        "images": len(images),
        "cpu_seconds": rounded(seconds),
        "pairs": len(found.pairs),
        "images_in_groups": int(sum(len(rows) for rows in found.members())),
        "pairs_across_test_and_the_rest": len(across),
        "test_images_in_them": len(leaked),
        "kinds": dict(Counter(one.kind for one in found.pairs).most_common(8)),
    }


GROWTH = """
import json, resource, time
import numpy as np
from residua.images import ImageSet, search_duplicates
n = {n}
rng = np.random.default_rng(0)
# a hundred kinds, each image a mixture of two and its own forms
coarse = rng.normal(size=(100, 12, 12)).astype(np.float32)
images = np.empty((n, 24, 24), np.uint8)
for start in range(0, n, 10000):
    m = min(10000, n - start)
    share = rng.random((m, 1, 1), np.float32)
    form = share * coarse[rng.integers(0, 100, m)] + (1 - share) * coarse[rng.integers(0, 100, m)]
    form = form + 0.7 * rng.normal(size=(m, 12, 12)).astype(np.float32)
    form = form.repeat(2, axis=1).repeat(2, axis=2)
    images[start : start + m] = np.clip(128 + 30 * form + 4 * rng.normal(size=(m, 24, 24)), 0, 255)
copied = rng.choice(n // 2, n // 100, replace=False)
images[n - len(copied):] = images[copied][:, ::-1]
made = ImageSet.from_arrays(images)
made.pixel_digests
before = time.process_time()
found = search_duplicates(made)
seconds = time.process_time() - before
hit = {{(a, b) for a, b, *_ in found.pairs}}
wanted = [(int(a), n - len(copied) + i) for i, a in enumerate(copied)]
print(json.dumps({{"images": n, "cpu_seconds": seconds, "milliseconds_an_image": 1000 * seconds / n,
    "peak_megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "flipped_found": sum(one in hit for one in wanted) / len(wanted),
    "pairs_beyond": len(hit) - sum(one in hit for one in wanted)}}))
"""


def growth(n: int) -> dict[str, Any]:
    return {name: rounded(value) for name, value in in_subprocess(GROWTH.format(n=n)).items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--largest", type=int, default=1_000_000)
    options = parser.parse_args()
    results = Results("leakage")
    every = list(CHANGES)
    jobs: list[tuple[str, Callable[[], dict[str, Any]]]] = [
        ("planted: Fashion-MNIST", lambda: planted("fashion-mnist", 75, every, 2)),
        ("planted: Fashion-MNIST, 60,000", lambda: planted("fashion-mnist, many", 150, every, 1)),
        # A pixel is an eighth of a digit's side: no crop of them is slight, and half of 8 pixels
        # shows no digit.
        (
            "planted: digits",
            lambda: planted(
                "digits", 10, [one for one in every if "crop" not in one and "50%" not in one], 5
            ),
        ),
        ("planted: tiles, one image of each", lambda: planted("tiles", 5, every, 4)),
        *(
            (
                f"parts at any angle: {side} px, noise {noise}",
                lambda side=side, noise=noise: parts_at_any_angle(side, noise, 4),
            )
            for side in (32, 48, 96)
            for noise in (1, 3, 8)
        ),
        ("planted: imagededup, Fashion-MNIST", lambda: hashed(100, every)),
        ("tiles: groups against file names", tile_groups),
        ("tiles: published protocol, with and without twins", published_protocol),
        ("whole: Fashion-MNIST, 70,000", whole),
    ]
    sizes = [n for n in (10_000, 30_000, 100_000, 300_000, 1_000_000) if n <= options.largest]
    jobs += [(f"growth: {n:,} synthetic", lambda n=n: growth(n)) for n in sizes]
    for name, job in jobs:
        if options.only not in name:
            continue
        if "imagededup" in name and importlib.util.find_spec("imagededup") is None:
            print("imagededup is not installed: its row is left out", file=sys.stderr)
            continue
        results.measure(name, job)
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
