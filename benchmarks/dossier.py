"""Faults of protocol, planted into runs: how many `accept`, `dossier` and `verify` find, and how
many runs without a fault they accuse.

Pictures of Fashion-MNIST, a random class normal and two others the kinds of defects. A case has a
limit that every detector reaches, so that only the protocol decides. A fault is found if a command
refuses it, if the criteria are not met, or if `verify` names something. ``--clean N`` runs so many
cases without a fault, ``--seeds N`` plants every fault so many times.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import logging
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from measure import Results
from residua._files import checksum
from residua.errors import ResiduaError
from residua.evaluation.dossier.protocol import text_hash
from residua.evaluation.verification import verify_report
from residua.images import load_images
from residua.metrics.intervals import rate_interval
from residua.runs.dossier import accept_run, beside_run, write_dossier
from residua.runs.evaluate import evaluate_run
from residua.runs.fit import fit_run
from residua.runs.learning.learn import learn_run
from residua.runs.threshold import change_threshold
from residua.training.fitting.options import make_options

DATA = Path(
    os.environ.get("RESIDUA_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)
CRITERIA = """[use]
purpose = "A benchmark."
[criteria]
roc_auc = {at_least = 0.05}
[sample]
normal = 30
each_kind = 8
groups = 20
"""
ROWS = {  # part: normal ones, and defects of each kind
    "train": (60, 0),
    "calibration": (60, 5),
    "test": (40, 12),
}


@dataclass
class Case:
    """A source, a run on it, and what was told to the auditor."""

    folder: Path
    seed: int
    rows: list[dict[str, str]] = field(default_factory=list)
    told: str | None = None
    source_of_test: str | None = None
    text: str = CRITERIA
    dossier: Callable[[Path, Path], None] | None = None

    @property
    def run(self) -> Path:
        return self.folder / "run"

    @property
    def source(self) -> Path:
        return self.folder / "set.csv"

    def names(self, part: str, label: str | None = None) -> list[str]:
        return [
            row["path"]
            for row in self.rows
            if row["split"] == part and (label is None or row["label"] == label)
        ]

    def row(self, name: str) -> dict[str, str]:
        return next(one for one in self.rows if one["path"] == name)

    def write(self) -> None:
        with self.source.open("w", newline="") as file:
            writer = csv.DictWriter(file, ("path", "label", "split", "group"))
            writer.writeheader()
            writer.writerows(self.rows)

    def fit(self) -> None:
        fit_run(
            make_options(
                source=str(self.source),
                job="detect",
                normal=("good",),
                recipe="pca",
                recipe_options={"latent": 8},
                seed=self.seed,
                groups="group",
            ),
            self.run,
        )

    def accept(self) -> None:
        path = self.folder / "criteria.toml"
        path.write_text(self.text)
        made = accept_run(self.run, path, on=self.source_of_test)
        self.told = self.told or made.sha256

    def evaluate(self) -> None:
        evaluate_run(self.run, self.source_of_test)

    def copies(self, name: str, part: str = "test", n: int | None = None, **how: Any) -> str:
        """Pictures of a part under other names, as a source of its own."""
        place = self.folder / name
        for index, path in enumerate(self.names(part)[:n]):
            label = self.row(path)["label"]
            (place / label).mkdir(parents=True, exist_ok=True)
            with Image.open(self.folder / path) as image:
                changed(image, **how).save(place / label / f"c{index}.{how.get('ending', 'png')}")
        return str(place)


def changed(image: Image.Image, **how: Any) -> Image.Image:
    if how.get("jpeg"):
        file = io.BytesIO()
        image.save(file, "JPEG", quality=how["jpeg"])
        return Image.open(file)
    if how.get("factor"):
        return image.resize((int(28 * how["factor"]),) * 2, Image.Resampling.BICUBIC)
    if how.get("gain"):
        return image.point(lambda value: min(255, int(value * how["gain"])))
    return image


def drawn(folder: Path, seed: int) -> Case:
    """A source with its pictures, none of them used twice."""
    rng = np.random.default_rng(seed)
    images, labels = pictures()
    case = Case(folder, seed)
    classes = rng.choice(10, 3, replace=False)
    rows = {name: iter(rng.permutation(np.flatnonzero(labels == name))) for name in classes}
    for part, (n_normal, n_kind) in ROWS.items():
        for name, label, n in zip(
            classes, ("good", "scratch", "dent"), (n_normal, n_kind, n_kind), strict=True
        ):
            for index in range(n):
                path = f"{part}-{label}-{index}.png"
                Image.fromarray(images[next(rows[name])]).save(folder / path)
                group = f"{part}-{label}-{index // 2}"
                case.rows.append({"path": path, "label": label, "split": part, "group": group})
    case.write()
    return case


_KEPT: list[Any] = []


def pictures() -> tuple[np.ndarray, np.ndarray]:
    if not _KEPT:
        own = load_images(str(DATA / "fashion_mnist"))
        rows = np.flatnonzero(own.splits == "test")
        some = own[rows]
        _KEPT.extend([np.stack([one[..., 0] for one in some]), np.asarray(some.labels, int)])
    return _KEPT[0], _KEPT[1]


def rewrite(path: Path, change: Callable[[Any], Any], *, seal: bool = True) -> None:
    """Edit JSON, with the file's own checksum made again."""
    told = json.loads(path.read_text())
    told = change(told) or told
    if seal and "checksum" in told:
        told.pop("checksum")
        told["checksum"] = checksum(told)
    path.write_text(json.dumps(told))


def edited(name: str, change: Callable[[Any], Any], *, seal: bool = True) -> Callable[[Case], None]:
    return lambda case: rewrite(case.run / name, change, seal=seal)


def drop(*names: str) -> Callable[[Case], None]:
    return lambda case: [(case.run / name).unlink(missing_ok=True) for name in names] and None


def put(told: Any, *path: Any, value: Any) -> None:
    for key in path[:-1]:
        told = told[key]
    told[path[-1]] = value(told[path[-1]]) if callable(value) else value


def arrays(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        with np.load(case.run / "evidence.npz") as kept:
            flat = {key: kept[key] for key in kept.files}
        flat[name] = change(flat[name].copy())
        np.savez_compressed(case.run / "evidence.npz", **flat)

    return act


def flip(flags: np.ndarray) -> np.ndarray:
    flags[np.flatnonzero(flags)[:6]] = False
    return flags


def raised(scores: np.ndarray) -> np.ndarray:
    scores[-8:] *= 3
    return scores


def of_html(old: str, new: str) -> Callable[[Path, Path], None]:
    def act(html: Path, data: Path) -> None:
        text = html.read_text()
        assert old in text, old
        html.write_text(text.replace(old, new, 1))

    return act


def of_json(change: Callable[[Any], Any]) -> Callable[[Path, Path], None]:
    return lambda html, data: rewrite(data, change)


def twin(part: str, **how: Any) -> Callable[[Case], None]:
    """A test picture that shows what one of `part` shows."""

    def act(case: Case) -> None:
        with Image.open(case.folder / case.names(part, "good")[0]) as image:
            changed(image, **how).save(case.folder / case.names("test", "good")[0])

    return act


def torn(case: Case) -> None:
    for name, other in zip(case.names("test")[:6], case.names("train")[:6], strict=True):
        case.row(name)["group"] = case.row(other)["group"]


def without(label: str, n: int) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        gone = set(case.names("test", label)[:n])
        case.rows = [one for one in case.rows if one["path"] not in gone]

    return act


def few_groups(case: Case) -> None:
    for name in case.names("test"):
        case.row(name)["group"] = f"test-{len(name) % 5}"


def overwrite(case: Case) -> None:
    """Test pictures exchanged for easier ones."""
    for name in case.names("test", "dent")[:6]:
        noise = np.random.default_rng(case.seed).integers(0, 256, (28, 28)).astype(np.uint8)
        Image.fromarray(noise).save(case.folder / name)


def learnt_from(case: Case, *, when: str) -> None:
    """The run is one that has learnt, and its parent was judged on its test images."""
    corrections = case.copies("corrections", "calibration", 4)
    parent = case.folder / "parent"
    case.run.rename(parent)
    if when == "before":
        evaluate_run(parent)
    learn_run(parent, corrections, case.run)
    if when == "after":
        evaluate_run(parent)
    if when == "gone":
        evaluate_run(parent)
        shutil.rmtree(case.run)
        learn_run(parent, corrections, case.run)
        shutil.rmtree(parent)


def corrected_again(case: Case) -> None:
    """Test images taught the model, and were made test images again."""
    corrections = case.copies("corrections", "test", 6)
    case.run.rename(case.folder / "parent")
    learn_run(case.folder / "parent", corrections, case.run)
    path = case.run / "images.csv"
    path.write_text(path.read_text().replace(",corrected,", ",test,"))


def other_model(case: Case) -> None:
    """The bundle of another fit, put into the run."""
    options = make_options(
        source=str(case.source), job="detect", normal=("good",), recipe="pca", seed=case.seed + 1,
        recipe_options={"latent": 4}, groups="group",
    )  # fmt: skip
    made = fit_run(options, case.folder / "other")
    shutil.rmtree(case.run / "bundle")
    shutil.copytree(made.bundle, case.run / "bundle")


def later_version(told: Any) -> None:
    """A second version of the criteria, slipped in behind the test."""
    last = dict(told["versions"][-1])
    text = last["text"].replace("0.05", "0.01")
    mark = checksum(told["versions"][-1])
    last |= {"version": 2, "text": text, "sha256": text_hash(text), "replaces": mark}
    told["versions"].append(last)


def softer(told: Any) -> None:
    text = told["versions"][-1]["text"].replace("0.05", "0.01")
    told["versions"][-1] |= {"text": text, "sha256": text_hash(text)}


def again(case: Case) -> None:
    case.accept()
    case.evaluate()


def judged_copies(**how: Any) -> Callable[[Case], None]:
    return lambda case: evaluate_run(case.run, case.copies("seen", **how)) and None


def tuned(policy: str, n: int | None = None) -> Callable[[Case], None]:
    return lambda case: change_threshold(case.run, policy, case.copies("seen", n=n)) and None


def steps(*acts: Callable[[Case], Any]) -> Callable[[Case], None]:
    def act(case: Case) -> None:
        for one in acts:
            one(case)

    return act


Fault = tuple[str, Callable[[Case], Any]]
"""When it is planted (into the source, after the fit, the acceptance or the test), and what it
does.
"""
RECORDS = ("evaluation.json", "evidence.npz", "tested.json", "acceptance.json")


def in_dossier(act: Callable[[Path, Path], None]) -> Fault:
    return "tested", lambda case: setattr(case, "dossier", act)


FAULTS: dict[str, Fault] = {
    "criteria after the test": ("tested", steps(drop("acceptance.json"), again)),
    "criteria after the test, evaluation deleted": (
        "tested",
        steps(drop(*RECORDS[:2], "acceptance.json"), again),
    ),
    "criteria after the test, record deleted": (
        "tested",
        steps(drop("tested.json", "acceptance.json"), again),
    ),
    "criteria after the test, every record deleted": ("tested", steps(drop(*RECORDS), again)),
    "criteria accepted twice around the test": ("tested", again),
    "renamed test copies judged first": ("fitted", judged_copies()),
    "some renamed test copies judged first": ("fitted", judged_copies(n=9)),
    "test copies in another format judged first": ("fitted", judged_copies(ending="bmp")),
    "some test copies judged after acceptance, then tuned": (
        "accepted",
        steps(judged_copies(n=30), lambda case: change_threshold(case.run, "quantile:0.7")),
    ),
    "parent judged on the same test": ("fitted", lambda case: learnt_from(case, when="before")),
    "parent judged after learning": ("fitted", lambda case: learnt_from(case, when="after")),
    "judged parent deleted": ("fitted", lambda case: learnt_from(case, when="gone")),
    "criteria edited": ("tested", edited("acceptance.json", softer, seal=False)),
    "criteria edited, hashes made again": ("tested", edited("acceptance.json", softer)),
    "criteria edited before the test, hashes made again": (
        "accepted",
        edited("acceptance.json", softer),
    ),
    "later criteria slipped in": ("tested", edited("acceptance.json", later_version)),
    "criteria deleted": ("tested", drop("acceptance.json")),
    "criteria for other images": (
        "tested",
        edited(
            "acceptance.json", lambda told: put(told, "versions", -1, "fingerprint", value="0" * 64)
        ),
    ),
    "threshold moved after the test": (
        "tested",
        lambda case: change_threshold(case.run, "quantile:0.6"),
    ),
    "threshold moved after the test, judged again": (
        "tested",
        steps(
            lambda case: change_threshold(case.run, "quantile:0.6"), lambda case: case.evaluate()
        ),
    ),
    "threshold tuned on the test": ("fitted", tuned("max-f1")),
    "threshold tuned on a few test images": ("fitted", tuned("max-f1", 55)),
    "threshold tuned after the test": (
        "tested",
        steps(tuned("max-f1"), lambda case: case.evaluate()),
    ),
    "twin in train": ("source", twin("train")),
    "re-encoded twin in train": ("source", twin("train", jpeg=60)),
    "resized twin in train": ("source", twin("train", factor=2)),
    "brightened twin in train": ("source", twin("train", gain=1.15)),
    "twin in calibration": ("source", twin("calibration")),
    "group torn": ("source", torn),
    "kind missing in test": ("source", without("dent", 12)),
    "kind with few in test": ("source", without("dent", 6)),
    "few normals in test": ("source", without("good", 20)),
    "few groups in test": ("source", few_groups),
    "figure edited": (
        "tested",
        edited("evaluation.json", lambda t: put(t, "metrics", "roc_auc", "value", value=0.999)),
    ),
    "interval edited": (
        "tested",
        edited("evaluation.json", lambda t: put(t, "metrics", "recall", "low", value=0.99)),
    ),
    "findings deleted": (
        "tested",
        edited("evaluation.json", lambda told: put(told, "findings", value=[])),
    ),
    "verdict edited": (
        "tested",
        edited(
            "evaluation.json", lambda t: put(t, "verdict", value={"word": "usable", "because": []})
        ),
    ),
    "scores edited": ("tested", arrays("scores", raised)),
    "labels edited": ("tested", arrays("is_anomalous", flip)),
    "evaluation of another model": ("tested", other_model),
    "test images exchanged": ("accepted", overwrite),
    "test images deleted": (
        "accepted",
        lambda case: [(case.folder / one).unlink() for one in case.names("test", "dent")[:4]],
    ),
    "corrections made test again": ("fitted", corrected_again),
    "calibration image made test": (
        "fitted",
        lambda case: (case.run / "images.csv").write_text(
            (case.run / "images.csv").read_text().replace(",calibration,", ",test,", 3)
        ),
    ),
    "record of the test edited": (
        "tested",
        edited("tested.json", lambda told: put(told, "entries", 0, "threshold", value=1.5)),
    ),
    "first test deleted from the record": (
        "tested",
        steps(
            lambda case: change_threshold(case.run, "quantile:0.6"),
            edited("tested.json", lambda told: told["entries"].pop(0) and None),
        ),
    ),
    "dossier: word edited": in_dossier(of_json(lambda told: put(told, "word", value="not met"))),
    "dossier: figure edited": in_dossier(
        of_json(lambda told: put(told, "criteria", 0, "figure", value="1.000 [1.000, 1.000] of 64"))
    ),
    "dossier: check edited": in_dossier(
        of_json(lambda told: put(told, "headings", 3, "checks", 1, "said", value="All was well."))
    ),
    "dossier: heading deleted": in_dossier(of_json(lambda told: told["headings"].pop(3) and None)),
    "dossier: metric edited": in_dossier(
        of_json(
            lambda told: put(
                told, "report", "jobs", "job0", "record", "metrics", "recall", "value", value=0.98
            )
        )
    ),
    "dossier: criteria edited": in_dossier(
        of_json(
            lambda told: put(
                told, "artefacts", "acceptances", 0, "text", value=CRITERIA.replace("0.05", "0.01")
            )
        )
    ),
    "dossier: record of a test deleted": in_dossier(
        of_json(lambda told: put(told, "artefacts", "tested", value=[]))
    ),
    "dossier: printed text edited": in_dossier(of_html("No image judged has", "No image has")),
}


def outcome(case: Case) -> str | None:
    """What names the fault; None where nothing does."""
    html, data, made = write_dossier(case.run, case.folder / "dossier.html")
    if case.dossier is not None:
        case.dossier(html, data)
    if made.word != "met":
        return made.broken[0] if made.broken else f"criteria {made.word}"
    for path in (html, data):
        found = beside_run(verify_report(path), path, None, case.told)
        if found.differing:
            return f"{found.differing[0].name} differs"
    return None


def said(error: Exception) -> str:
    """The start of what an error says, without the temporary folder."""
    return re.sub(rf"{tempfile.gettempdir()}/tmp\w+/", "", str(error))[:160]


def prepared(name: str, seed: int, folder: Path, ready: Path) -> Case:
    """A case up to where a fault is planted, from a copy of what is ready where that does."""
    when = FAULTS[name][0]
    case = drawn(folder, seed)
    if when in ("source", "accepted"):
        if when == "source":
            FAULTS[name][1](case)
            case.write()
        case.fit()
    else:
        shutil.copytree(ready / when, case.run)
        case.told = text_hash(CRITERIA)
    return case


def planted(name: str, seed: int, ready: Path) -> str | None:
    when, act = FAULTS[name]
    with tempfile.TemporaryDirectory() as folder:
        try:
            case = prepared(name, seed, Path(folder), ready)
            if when == "fitted":
                act(case)
            if when != "tested":
                case.accept()
                if when == "accepted":
                    act(case)
                case.evaluate()
            else:
                act(case)
            return outcome(case)
        except ResiduaError as error:
            return said(error)


def make_ready(folder: Path, seed: int) -> None:
    """A run after its fit, and the same after its test."""
    (folder / "source").mkdir()
    case = drawn(folder / "source", seed)
    case.fit()
    shutil.copytree(case.run, folder / "fitted")
    case.accept()
    case.evaluate()
    shutil.copytree(case.run, folder / "tested")


def all_faults(seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as ready:
        make_ready(Path(ready), seed)
        found = {name: planted(name, seed, Path(ready)) for name in FAULTS}
    missed = [name for name, told in found.items() if told is None]
    return {"n": len(found), "n_found": len(found) - len(missed), "missed": missed, "by": found}


def clean_case(folder: Path, seed: int) -> str | None:
    """One of several ways to do it right."""
    case = drawn(folder, seed)
    case.fit()
    way = seed % 5
    if way == 1:  # another threshold before the test
        change_threshold(case.run, "quantile:0.9")
    if way == 2:  # criteria replaced before the test
        case.text = CRITERIA.replace("0.05", "0.04")
        case.accept()
        case.text, case.told = CRITERIA, None
    if way == 3:  # a version that has learnt, whose parent was never judged
        case.run.rename(case.folder / "parent")
        learn_run(case.folder / "parent", case.copies("corrections", "calibration", 4), case.run)
    case.accept()
    case.evaluate()
    if way == 4:  # judged twice, nothing changed between
        case.evaluate()
    return outcome(case)


def clean(seeds: range) -> dict[str, Any]:
    accused: dict[str, str] = {}
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            try:
                told = clean_case(Path(folder), seed)
            except ResiduaError as error:
                told = said(error)
            if told is not None:
                accused[str(seed)] = told
    return {"n": len(seeds), "n_accused": len(accused), "accused": accused}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--clean", type=int, default=100)
    parser.add_argument("--again", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    results = Results("dossier")
    with contextlib.redirect_stderr(io.StringIO()):
        faults = [
            results.measure(f"faults, seed {seed}", lambda seed=seed: all_faults(seed))
            for seed in range(options.seeds)
        ]
        blocks = [
            results.measure(f"clean, {at} to {at + 9}", lambda at=at: clean(range(at, at + 10)))
            for at in range(1000, 1000 + options.clean, 10)
        ]
    for key, rows, of, n in (
        ("found", faults, "n", "n_found"),
        ("accused", blocks, "n", "n_accused"),
    ):
        rate = rate_interval(sum(row[n] for row in rows), sum(row[of] for row in rows))
        results.rows[f"share {key}"] = rate.model_dump(mode="json")
        results._write()
        print(f"share {key}: {rate}", file=sys.stdout)


if __name__ == "__main__":
    main()
