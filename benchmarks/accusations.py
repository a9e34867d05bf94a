"""How often anything is found on clean data, over all findings together: any error, any warning.

Simulated scores come from parts with several photographs each, and what a part adds is a share of
the variance. Train, calibration and test are drawn alike, and the detector is fit for its job.
Real images (digits, clothes, tiles by tile) are judged as `check` and `evaluate` judge them, by the
distance to the nearest training image, with everything that findings ask of images and a model.
``codes`` counts what was found; ``without_groups`` is the same data judged as if images were
independent.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from measure import Results
from planted_pictures import Pictures, as_set, neighbour_scores, pictures
from residua.baselines import DETECTORS
from residua.evaluation.check import SCALES, check_sources, image_statistics
from residua.evaluation.conclusion import conclude
from residua.evaluation.detection import detection_facts
from residua.images import ImageSet, group_duplicates
from residua.records import Finding
from residua.thresholds.defaults import choose_operating_point

DRAWS = 150
SHARES = (0.0, 0.3, 0.6, 0.9)
PARTS = ((40, 6), (20, 10), (120, 2))  # parts in calibration, as many in test; photographs of each
SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normal": lambda z: z,
    "lognormal": lambda z: np.exp(0.5 * z),
}
_DISTANCE = 4  # deviations between normal and anomalous scores
Rng = np.random.Generator


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--again", action="store_true")
    parser.parse_args()
    results = Results("accusations")
    for name in SHAPES:
        results.measure(f"{name}, 240 parts, 1 a part", partial(simulated, name, (240, 1), 0.0))
        for parts in PARTS if name == "normal" else PARTS[:1]:
            for share in SHARES:
                key = f"{name}, {parts[0]} parts, {parts[1]} a part, share {share:g}"
                results.measure(key, partial(simulated, name, parts, share))
    for source, draws in (("digits", 2), ("fashion-mnist", 2), ("tiles", 12)):
        results.measure(f"{source}, evaluate", partial(real, evaluated, source, draws))
        results.measure(f"{source}, check", partial(real, checked, source, max(1, draws // 4)))


def simulated(shape: str, parts: tuple[int, int], share: float) -> dict[str, Any]:
    """Both ways of judging the same draws."""
    grouped, alone = [], []
    for seed in range(DRAWS):
        rng = np.random.default_rng([seed, 11])
        drawn = _Draw(rng, SHAPES[shape], *parts, share)
        grouped.append(drawn.found(drawn.groups))
        if parts == PARTS[0]:
            alone.append(drawn.found(None))
    return {**told(grouped), **({"without_groups": told(alone)} if alone else {})}


class _Draw:
    """Scores of one clean set: calibration and train of normal parts, test with a third as many
    anomalous ones.
    """

    def __init__(
        self, rng: Rng, shape: Callable[[np.ndarray], np.ndarray], n: int, each: int, share: float
    ) -> None:
        def scores(n_parts: int, distance: float = 0.0) -> np.ndarray:
            of_part = np.sqrt(share) * rng.normal(size=(n_parts, 1))
            own = np.sqrt(1 - share) * rng.normal(size=(n_parts, each))
            return shape((of_part + own + distance).ravel())

        n_bad = max(10, n // 3)
        self.calibration, self.train = scores(n), scores(2 * n)
        self.test = np.concatenate([scores(n), scores(n_bad, _DISTANCE)])
        self.labels = np.arange(len(self.test)) >= n * each
        self.groups = np.arange(len(self.test)) // each
        self.calibration_groups = np.arange(len(self.calibration)) // each

    def found(self, groups: Any) -> tuple[Finding, ...]:
        known = None if groups is None else self.calibration_groups
        normal = np.zeros(len(self.calibration), np.bool_)
        point = choose_operating_point(self.calibration, normal, None, groups=known)
        facts = detection_facts(
            self.labels,
            self.test,
            operating_point=point,
            train_scores=self.train,
            groups=groups,
        )
        facts = replace(
            facts,
            calibration=self.calibration,
            calibration_groups=known,
            known_normal=self.calibration,
        )
        return conclude(facts).evaluation.findings


def real(judge: Callable[..., Iterable[Finding]], source: str, draws: int) -> dict[str, Any]:
    """Every class of enough images in turn as the normal one; of tiles, those without a defect."""
    known, groups = pictures(source), groups_of(source)
    kinds = [known.normal] if source == "tiles" else np.unique(known.kinds).tolist()
    return told(
        [
            tuple(judge(known, groups, kind, np.random.default_rng([seed, 13])))
            for kind in kinds
            for seed in range(draws)
        ]
    )


def evaluated(known: Pictures, groups: np.ndarray, kind: str, rng: Rng) -> Iterable[Finding]:
    """A detector by the nearest training image, and 150 images of other classes."""
    train, calibration, test = split(known, groups, kind, rng)
    others = rng.permutation(np.flatnonzero(known.kinds != kind))
    others = others[~np.isin(groups[others], groups[np.concatenate([train, calibration])])][:150]
    judged = np.concatenate([test, others])
    x = known.images
    of_calibration, scores = neighbour_scores(x[train], x[calibration], x[judged])
    point = choose_operating_point(
        of_calibration, np.zeros(len(calibration), np.bool_), None, groups=groups[calibration]
    )
    images, labels = as_set(x[judged]), np.arange(len(judged)) >= len(test)
    beside = {
        name: DETECTORS[name](
            x[train][..., np.newaxis], x[judged][..., np.newaxis], latent=8, seed=0
        )
        for name in ("brightness", "contrast")
    }
    facts = detection_facts(
        labels, scores, operating_point=point, groups=groups[judged], baselines=beside
    )
    statistics = image_statistics(images)
    facts = replace(
        facts,
        images=images,
        paths=images.paths,
        score_of=lambda some: neighbour_scores(x[train], _floats(some))[0],
        calibration=of_calibration,
        calibration_groups=groups[calibration],
        statistics=statistics,
        features={name: column for name, column in statistics.items() if name not in SCALES},
    )
    return conclude(facts).evaluation.findings


def checked(known: Pictures, groups: np.ndarray, kind: str, rng: Rng) -> Iterable[Finding]:
    """`check` of train, calibration and test, with images of other classes in test."""
    parts = split(known, groups, kind, rng)
    seen = groups[np.concatenate(parts[:2])]
    others = rng.permutation(np.flatnonzero((known.kinds != kind) & ~np.isin(groups, seen)))[:150]
    rows = np.concatenate([*parts, others])
    splits = np.repeat(
        ["train", "calibration", "test"],
        [len(one) for one in (*parts[:2], rows[len(parts[0]) + len(parts[1]) :])],
    )
    images = ImageSet.from_arrays(
        as_set(known.images[rows]).array(),
        known.kinds[rows].astype(object),
        splits=splits.tolist(),
        groups=groups[rows].astype(str).astype(object),
        normal=kind,
    )
    return check_sources([images]).findings


def split(known: Pictures, groups: np.ndarray, kind: str, rng: Rng) -> list[np.ndarray]:
    """Rows of the normal images, whole groups in one part: half, a quarter and a quarter."""
    rows = np.flatnonzero(known.kinds == kind)
    names = rng.permutation(np.unique(groups[rows]))[:400]
    ends = np.rint(np.array([0.5, 0.75]) * len(names)).astype(int)
    return [rows[np.isin(groups[rows], some)] for some in np.split(names, ends)]


@cache
def groups_of(source: str) -> np.ndarray:
    """Of tiles the near-twins, which are exposures of one tile; else each image by itself."""
    known = pictures(source)
    if source != "tiles":
        return np.arange(len(known.images))
    return np.asarray(group_duplicates(as_set(known.images)))


def _floats(images: ImageSet) -> np.ndarray:
    return images.array()[..., 0].astype(np.float32) / 255


def told(draws: list[tuple[Finding, ...]]) -> dict[str, Any]:
    """The shares of draws with any error and with any warning or error, and which those were."""
    serious = [[one for one in found if one.severity in ("error", "warning")] for found in draws]
    counted = Counter(f"{one.code}: {one.severity}" for found in serious for one in found)
    n = len(draws)
    return {
        "draws": n,
        "error": round(
            sum(any(one.severity == "error" for one in found) for found in serious) / n, 4
        ),
        "warning": round(sum(bool(found) for found in serious) / n, 4),
        "codes": {code: round(count / n, 4) for code, count in counted.most_common()},
    }


if __name__ == "__main__":
    main()
