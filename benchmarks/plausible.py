"""Count the wrong numbers that pass in silence when true data comes in the disguises in which
people bring it.

    python benchmarks/plausible.py [--draws 6000] [--clean 3000] [--seed 0] [--only NAME,...]

A draw is *right* if the true number comes out, *refused* if one of our errors does, *told* if a
finding of severity error names the disguise, and **silent** if something wrong comes out and
nothing says so. A mask that was not found or looks wrong may be told by a note or a warning too:
then no number comes of it. Clean draws are true data without a disguise: refusing or accusing them
is the price, and it is counted. Two disguises that cancel each other are never worn together:
labels and scores both turned round are the arrays of another true detector.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from disguises_of_arrays import DISGUISES, Disguise, World, draw_world
from disguises_of_folders import FOLDER_DISGUISES, Folder, FolderDisguise, draw_folder
from measure import RESULTS, machine
from residua.errors import ResiduaError
from residua.evaluation.arrays import judge
from residua.evaluation.check import check_sources
from residua.images import ImageSet, load_images

JOBS = ("reconstruct", "detect", "classify")
OUTCOMES = ("right", "refused", "told", "silent", "broken")
TOLERANCE = {"mse": 0.05, "log_loss": 0.01}
FOLDERS = 5  # one draw of so many is a folder
# These findings are about the model or about how few images there are, not about how data was read.
ABOUT_THE_MODEL = {
    "not-better-than-baseline",
    "too-few-images",
    "threshold-optimism",
    "overfitting",
    "shortcut",
    "class-balance",
}

AnyDisguise = Disguise | FolderDisguise
Verdict = tuple[str, str]


@dataclass(frozen=True)
class Draw:
    """One true thing, the disguises it wears, and what came out."""

    kind: str
    seed: int
    disguises: tuple[str, ...]
    outcome: str
    said: str

    def line(self) -> str:
        worn = " + ".join(self.disguises) or "clean"
        return f"{self.outcome:8} {self.kind:12} seed {self.seed:7} {worn:64} {self.said[:170]}"


def try_world(world: World, worn: tuple[Disguise, ...], folder: Path) -> Verdict:
    """What the judge makes of arrays and tables."""
    record, _ = judge(**world.write(folder))
    errors = [
        one
        for one in record.findings
        if one.severity == "error" and one.code not in ABOUT_THE_MODEL
    ]
    wrong = [
        name
        for name, value in world.truth.items()
        if not _is_near(record.metrics.get(name), value, name)
    ]
    words = [word for one in worn for word in one.words]
    named = [one.code for one in errors if _names(words, f"{one.meaning} {one.what_to_do}")]
    if not wrong:
        return (
            ("right", "")
            if not errors or named
            else ("told", f"accused: {[one.code for one in errors]}")
        )
    said = ", ".join(f"{name} {_value(record, name)} for {world.truth[name]:.4g}" for name in wrong)
    return ("told", f"{named}: {said}") if named else ("silent", said)


def try_folder(folder: Folder, worn: tuple[FolderDisguise, ...], place: Path) -> Verdict:
    """What the reader of sources, and `check` where something is wrong, make of a folder."""
    images = load_images(folder.write(place))
    wrong = _wrong_of(images, folder)
    if not wrong:
        return ("right", "") if worn else _accused(images)
    words = [word for one in worn for word in one.words]
    is_of_a_mask = wrong.startswith("mask")
    said = [
        *images.notes,
        *(one.sentence for one in images.assumptions),
        *(" ".join(one) for one in images.quarantined),
    ]
    if is_of_a_mask and _names(words, " ".join(said)):
        return "told", wrong
    severities = ("warning", "error") if is_of_a_mask else ("error",)
    found = [one for one in check_sources([images]).findings if one.severity in severities]
    named = [one.code for one in found if _names(words, f"{one.meaning} {one.what_to_do}")]
    return ("told", f"{named}: {wrong}") if named else ("silent", wrong)


def _accused(images: ImageSet) -> Verdict:
    errors = [
        one.code
        for one in check_sources([images]).findings
        if one.severity == "error" and one.code not in ABOUT_THE_MODEL
    ]
    return ("told", f"accused: {errors}") if errors else ("right", "")


def _wrong_of(images: ImageSet, folder: Folder) -> str:
    """What differs from the truth: images, labels, brightness, masks; empty where all is right."""
    parts = {part.name: part for part in folder.parts}
    stems = [Path(path.replace("\\", "/")).stem for path in images.paths.tolist()]
    if sorted(stems) != sorted(parts):
        return f"{len(stems)} images for {len(parts)}: {sorted(set(stems) - set(parts))[:3]}"
    names = {"ok": "good", "Normal": "good", "ko": "crack", "Anomaly": "crack"}
    labels = (
        []
        if images.labels is None
        else [names.get(str(label), str(label)) for label in images.labels.tolist()]
    )
    has_classes = folder.layout not in ("_GT beside the image", "Train/Label")
    if has_classes and labels != [parts[stem].label for stem in stems]:
        return f"labels {sorted(set(labels))}"
    for row, stem in enumerate(stems):
        own, part = images[row].astype(np.float64), parts[stem]
        own = own / 255 if images.dtype == np.uint8 else own
        if abs(own.mean() - part.picture.mean() / 255) > 0.02:
            return f"{stem}: brightness {own.mean():.3f} for {part.picture.mean() / 255:.3f}"
        mask = images.masks[row]
        if folder.layout == "class folders" or (mask is None and part.mask is None):
            continue
        if mask is None or part.mask is None or mask.shape != part.mask.shape:
            return f"mask of {stem}: {None if mask is None else mask.shape}"
        if (mask & part.mask).sum() < 0.7 * (mask | part.mask).sum():
            return f"mask of {stem}: {mask.mean():.2f} for {part.mask.mean():.2f}"
    return ""


def _names(words: list[str], text: str) -> bool:
    """Whether a text names one of the words; in the path of a file it does not count."""
    spoken = " ".join(word for word in text.lower().split() if "/" not in word)
    return any(word.lower() in spoken for word in words)


def _value(record: Any, name: str) -> str:
    estimate = record.metrics.get(name)
    return "nothing" if estimate is None or estimate.value is None else f"{estimate.value:.4g}"


def _is_near(estimate: Any, value: float, name: str) -> bool:
    if estimate is None or estimate.value is None:
        return True  # no number is no wrong number: `undefined-metric` says why
    return bool(abs(estimate.value - value) <= TOLERANCE.get(name, 1e-6) * abs(value) + 1e-9)


def _draw_arrays(
    turn: int, random: np.random.Generator, clean: bool
) -> tuple[World, tuple[Disguise, ...]]:
    """A world in one disguise or in two of different facets; the first is taken in turn, so that
    all are met alike.
    """
    if clean:
        return draw_world(JOBS[turn % len(JOBS)], random), ()
    first = DISGUISES[turn % len(DISGUISES)]
    while True:
        job = first.jobs[random.integers(0, len(first.jobs))]
        world = first.wear(draw_world(job, random), random)
        if world is not None:
            break
    fitting = [one for one in DISGUISES if job in one.jobs and _go_together(first, one)]
    if fitting and random.random() < 0.6:
        second = fitting[random.integers(0, len(fitting))]
        try:
            again = second.wear(world, random)
        except (ValueError, TypeError, IndexError, KeyError):
            again = None  # the two cannot be worn together
        if again is not None:
            return again, (first, second)
    return world, (first,)


def _go_together(first: Disguise, second: Disguise) -> bool:
    facets = {first.facet, second.facet}
    return (
        len(facets) == 2
        and "both" not in facets
        and {first.name, second.name} != {"1 is normal", "higher is more normal"}
    )


def _draw_folder(
    turn: int, random: np.random.Generator, clean: bool
) -> tuple[Folder, tuple[FolderDisguise, ...]]:
    folder = draw_folder(random)
    if clean:
        return replace_layout(folder, turn), ()
    first = FOLDER_DISGUISES[turn % len(FOLDER_DISGUISES)]
    fitting = [one for one in FOLDER_DISGUISES if one.facet != first.facet]
    worn = (first, fitting[random.integers(0, len(fitting))]) if random.random() < 0.6 else (first,)
    for one in worn:
        folder = one.wear(folder)
    is_masked = folder.mask != "0 and 255" or any(part.written is not None for part in folder.parts)
    if is_masked and folder.layout == "class folders":
        folder = replace_layout(folder, 1)
    return folder, worn


def replace_layout(folder: Folder, turn: int) -> Folder:
    """Class folders, the MVTec layout or a manifest: the three that are documented."""
    return replace(folder, layout=("class folders", "MVTec", "manifest")[turn % 3])


def draw_one(seed: int, place: Path, *, clean: bool) -> Draw:
    """One draw, tried."""
    random = np.random.default_rng(seed)
    worn: tuple[AnyDisguise, ...] = ()
    kind = "folder"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if seed % FOLDERS == 0:
                folder, worn = _draw_folder(seed // FOLDERS, random, clean)
                outcome, said = try_folder(folder, worn, place)
            else:
                world, worn = _draw_arrays(seed - seed // FOLDERS, random, clean)
                kind = world.job
                outcome, said = try_world(world, worn, place)
    except ResiduaError as error:
        outcome, said = "refused", str(error).replace("\n", " ")
    except Exception:  # noqa: BLE001  whatever comes out is what the benchmark is after
        outcome, said = "broken", traceback.format_exc().strip().splitlines()[-1]
    return Draw(kind, seed, tuple(one.name for one in worn), outcome, said)


def draws(n: int, seed: int, *, clean: bool) -> Iterator[Draw]:
    """So many draws, each in a folder of its own."""
    for one in range(seed, seed + n):
        with tempfile.TemporaryDirectory() as place:
            yield draw_one(one, Path(place), clean=clean)


def _counted(
    n: int, seed: int, *, clean: bool
) -> tuple[Counter[str], dict[str, Counter[str]], list[str]]:
    total: Counter[str] = Counter()
    by_name: dict[str, Counter[str]] = {
        one.name: Counter() for one in (*DISGUISES, *FOLDER_DISGUISES)
    }
    bad: list[str] = []
    for made in draws(n, seed, clean=clean):
        total[made.outcome] += 1
        for name in made.disguises:
            by_name[name][made.outcome] += 1
        if made.outcome in (("refused", "told") if clean else ()) or made.outcome in (
            "silent",
            "broken",
        ):
            bad.append(made.line())
            print(made.line(), flush=True)
    return total, by_name, bad


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=6000)
    parser.add_argument("--clean", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / "plausible.json")
    parser.add_argument(
        "--again", action="store_true", help="accepted for run.py: it is always measured again"
    )
    options = parser.parse_args()
    total, by_name, bad = _counted(options.draws, options.seed, clean=False)
    of_clean, _, accused = _counted(options.clean, 10**6 + options.seed, clean=True)
    for name, counts in by_name.items():
        print(f"{name:40}", "  ".join(f"{outcome} {counts[outcome]:4}" for outcome in OUTCOMES))
    print(f"{total.total():,} draws in {len(by_name)} disguises, singly and in pairs:", dict(total))
    print(f"{of_clean.total():,} clean draws:", dict(of_clean))
    rows = {
        name: {outcome: counts[outcome] for outcome in OUTCOMES} for name, counts in by_name.items()
    }
    result = {
        "machine": machine(),
        "seed": options.seed,
        "draws": dict(total),
        "clean": dict(of_clean),
    }
    result |= {"silent_or_broken": bad[:40], "clean_accused": accused[:40], "by_disguise": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    return int(total["silent"] + total["broken"] + of_clean["silent"] + of_clean["broken"] > 0)


if __name__ == "__main__":
    sys.exit(main())
