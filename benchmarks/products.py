"""Several products in one bundle beside a bundle each, and what thresholds of products promise.

    python benchmarks/products.py garments|pieces|parts|promises DATA [--draws N]

`garments`: the ten classes of Fashion-MNIST are ten products, 200 good images of each to train on.
Defects are made (a patch of noise, a scratch, a piece of the same garment at another place), and in
a second row a defect is a garment of another product, which one bundle for all knows as good.
`pieces`: the same, where a garment's own memory gets one piece of the memory of all garments.
`parts`: tiles, commutators and lenses. `promises`: simulated scores of ten products, nine with 100
normal calibration images and one with fewer, which borrows. What is there already is not made
again.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from residua import OneClassDetector
from residua.images import ImageSet
from residua.metrics import roc_auc
from residua.thresholds.product_choice import choose_products

RESULTS = Path(__file__).parent / "results" / "products.json"
N_TRAIN, N_TEST, N_BAD = 200, 100, 60
POLICY, RATE = "false-alarms<=0.05", 0.05


def fashion(data: Path, part: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images (n, 28, 28) and classes (n,)."""
    folder = data / "fashion_mnist"
    images, classes = (
        np.frombuffer(gzip.decompress((folder / f"{part}-{name}").read_bytes()), np.uint8)
        for name in ("images-idx3-ubyte.gz", "labels-idx1-ubyte.gz")
    )
    return images[16:].reshape(-1, 28, 28), classes[8:]


def damaged(image: NDArray[np.uint8], rng: np.random.Generator, kind: int) -> NDArray[np.uint8]:
    """An image with a patch of noise, a scratch, or a piece of itself at another place."""
    made = image.copy()
    row, column = rng.integers(6, 15, 2)
    if kind == 0:
        made[row : row + 8, column : column + 8] = rng.integers(0, 256, (8, 8))
    elif kind == 1:
        for step in range(14):
            at = row + step // 2, slice(column - 6 + step, column - 4 + step)
            made[at] = 255 - made[at]
    else:
        made[row : row + 9, column : column + 9] = np.rot90(image[9:18, 9:18])
    return made


def compared(
    train: dict[str, ImageSet], test: dict[str, tuple[ImageSet, NDArray[np.bool_]]], **options: Any
) -> dict[str, Any]:
    """ROC AUC of each product from one detector for all, and from one for each."""
    began = time.process_time()
    pictures = [image for images in train.values() for image in images]
    together = OneClassDetector(**options).fit(ImageSet.from_arrays(pictures))
    rows = {}
    for name, (images, is_bad) in test.items():
        alone = OneClassDetector(**options).fit(ImageSet.from_arrays(list(train[name])))
        rows[name] = [
            float(roc_auc(is_bad, detector.anomaly_scores(images)))
            for detector in (together, alone)
        ]
    found = np.array(list(rows.values()))
    lost = found[:, 1] - found[:, 0]
    return {
        "each": rows,
        "mean_one_bundle": float(found[:, 0].mean()),
        "mean_a_bundle_each": float(found[:, 1].mean()),
        "lost": float(lost.mean()),
        "lost_se": float(lost.std(ddof=1) / np.sqrt(len(lost))),
        "seconds": round(time.process_time() - began),
    }


def ten_garments(data: Path) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Training images, and tests whose defects are made or garments of another product."""
    images, classes = fashion(data, "train")
    later, later_classes = fashion(data, "t10k")
    rng = np.random.default_rng(0)
    train, made, swapped = {}, {}, {}
    for place in range(10):
        own = later[later_classes == place]
        good, source = own[:N_TEST], own[N_TEST : N_TEST + N_BAD]
        name, flags = str(place), np.arange(N_TEST + N_BAD) >= N_TEST
        train[name] = ImageSet.from_arrays(images[classes == place][:N_TRAIN])
        bad = [damaged(one, rng, row % 3) for row, one in enumerate(source)]
        made[name] = ImageSet.from_arrays(np.concatenate([good, bad])), flags
        others = later[later_classes != place][rng.permutation(9000)[:N_BAD]]
        swapped[name] = ImageSet.from_arrays(np.concatenate([good, others])), flags
    return train, made, swapped


def garments(data: Path) -> dict[str, Any]:
    """Ten garments; defects are made, or garments of another product."""
    train, made, swapped = ten_garments(data)
    found = {}
    for recipe in ("memory lite0", "memory filters", "neighbours", "pca"):
        name, _, backbone = recipe.partition(" ")
        options = {"recipe": name, "threads": 1} | ({"backbone": backbone} if backbone else {})
        found[f"{recipe}, made defects"] = compared(train, made, **options)
        print(recipe, found[f"{recipe}, made defects"]["lost"], flush=True)
    options = {"recipe": "memory", "backbone": "lite0", "threads": 1}
    found["memory lite0, other garments"] = compared(train, swapped, **options)
    return found


def pieces(data: Path) -> dict[str, Any]:
    """ROC AUC lost where one piece of each garment's own memory is that of all garments."""
    train, made, swapped = ten_garments(data)
    options: dict[str, Any] = {"recipe": "memory", "backbone": "lite0", "threads": 1}
    pictures = [image for images in train.values() for image in images]
    together = OneClassDetector(**options).fit(ImageSet.from_arrays(pictures))
    of_all: Any = together.bundle_.graph.scorer
    lost: dict[str, list[float]] = {}
    for name in train:
        alone = OneClassDetector(**options).fit(ImageSet.from_arrays(list(train[name])))
        own: Any = alone.bundle_.graph.scorer
        kept = {piece: getattr(own, piece) for piece in ("nearest", "places", "gaussian")}
        for test, (images, is_bad) in (("made", made[name]), ("other garments", swapped[name])):
            best = roc_auc(is_bad, alone.anomaly_scores(images))
            for piece, before in kept.items():
                setattr(own, piece, getattr(of_all, piece))
                area = roc_auc(is_bad, alone.anomaly_scores(images))
                setattr(own, piece, before)
                lost.setdefault(f"{test}: {piece}", []).append(float(best - area))
    return {
        name: {"lost": float(np.mean(one)), "lost_se": float(np.std(one, ddof=1) / np.sqrt(10))}
        for name, one in lost.items()
    }


def parts(data: Path) -> dict[str, Any]:
    """Tiles, commutators and lenses through one pretrained backbone."""
    rng = np.random.default_rng(0)
    train, test = {}, {}

    def grey(path: Path, side: int = 512) -> NDArray[np.uint8]:
        image = Image.open(path).convert("L")
        image.thumbnail((side, side))
        return np.asarray(image)

    def add(name: str, good: list[Path], tested: list[Path], bad: list[Path]) -> None:
        train[name] = ImageSet.from_arrays([grey(path) for path in good])
        pictures = [grey(path) for path in (*tested, *bad)]
        test[name] = ImageSet.from_arrays(pictures), np.arange(len(pictures)) >= len(tested)

    free = sorted((data / "magnetic_tile" / "MT_Free" / "Imgs").glob("*.jpg"))
    faulty = [
        path
        for kind in ("Blowhole", "Break", "Crack", "Fray", "Uneven")
        for path in sorted((data / "magnetic_tile" / f"MT_{kind}" / "Imgs").glob("*.jpg"))
    ]
    chosen = [faulty[row] for row in np.sort(rng.permutation(len(faulty))[:100])]
    add("tiles", free[:200], free[-100:], chosen)
    for name, table in (("commutators", "set.csv"), ("micro_lenses", "set_clean.csv")):
        with (data / name / table).open() as file:
            rows = list(csv.DictReader(file))
        normal = {"normal", "good"}
        of = {
            (part, is_good): [
                data / name / row["path"]
                for row in rows
                if row["split"] == part and (row["label"] in normal) == is_good
            ]
            for part in ("train", "test")
            for is_good in (True, False)
        }
        add(name, of["train", True][:200], of["test", True][:100], of["test", False][:100])
    found = {}
    for backbone in ("lite0", "filters"):
        options = {"recipe": "memory", "backbone": backbone, "threads": 1}
        found[f"memory {backbone}"] = compared(train, test, **options)
        print(backbone, found[f"memory {backbone}"]["lost"], flush=True)
    return found


KINDS = {
    "normal": lambda rng, shape, n: rng.normal(size=n),
    "gamma": lambda rng, shape, n: rng.gamma(shape, 1 / np.sqrt(shape), n),
    "lognormal": lambda rng, shape, n: np.exp(rng.normal(size=n) / np.sqrt(shape)),
}


def promises(n_draws: int) -> dict[str, Any]:
    """How often a threshold flags at most what it promises: own and borrowed ones."""
    made: dict[str, Any] = {}
    for kind, draw in KINDS.items():
        for few in (8, 20, 40):
            rng = np.random.default_rng([few, len(kind)])
            own, borrowed, rates, early = [], [], [], []
            for _ in range(n_draws):
                places = [
                    (
                        rng.uniform(0.2, 3),
                        np.exp(rng.normal(0, 0.5)) * 0.3,
                        np.exp(rng.uniform(0, 3)),
                    )
                    for _ in range(10)
                ]
                sizes = [100] * 9 + [few]
                scores = [
                    place + spread * draw(rng, shape, n)
                    for (place, spread, shape), n in zip(places, sizes, strict=True)
                ]
                names = np.repeat(np.array([f"p{row}" for row in range(10)], object), sizes)
                everything = np.concatenate(scores)
                products = choose_products(
                    everything, np.zeros(len(names), np.bool_), names, POLICY, rule="product"
                )
                for row, (place, spread, shape) in enumerate(places):
                    fresh = place + spread * draw(rng, shape, 20_000)
                    level = products.threshold_of(f"p{row}")
                    assert level is not None
                    rate = float((fresh > level).mean())
                    (borrowed if row == 9 else own).append(rate <= RATE)
                    if row == 9:
                        rates.append(rate)
                        early.append((fresh > scores[9].max()).mean() <= RATE)
            made[f"{kind}, {few} images"] = {
                "draws": n_draws,
                "own_kept": float(np.mean(own)),
                "borrowed_kept": float(np.mean(borrowed)),
                "borrowed_false_alarms": float(np.mean(rates)),
                "highest_of_its_own_images_kept": float(np.mean(early)),
            }
            print(kind, few, made[f"{kind}, {few} images"], flush=True)
    return made


def main() -> None:
    """Run one part, unless its result is there, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("garments", "pieces", "parts", "promises"))
    parser.add_argument("data", nargs="?", default="../shared/data")
    parser.add_argument("--draws", type=int, default=400)
    asked = parser.parse_args()
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    if asked.part in known:
        print(f"{asked.part} is there already")
        return
    found = {
        "garments": lambda: garments(Path(asked.data)),
        "pieces": lambda: pieces(Path(asked.data)),
        "parts": lambda: parts(Path(asked.data)),
        "promises": lambda: promises(asked.draws),
    }[asked.part]()
    RESULTS.write_text(json.dumps({**known, asked.part: found}, indent=1) + "\n", "utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
