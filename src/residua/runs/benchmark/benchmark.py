"""`residua benchmark`: each class in turn as the normal one, recipes and seeds beside baselines,
under an honest protocol.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from residua._version import __version__
from residua.baselines import DETECTORS
from residua.images import ImageSet, load_images
from residua.images.summary import groups_of
from residua.metrics import roc_auc_interval
from residua.metrics.names import RECIPES_OF_BASELINES
from residua.runs.baselines import baseline_arrays
from residua.runs.benchmark.cases import Case, find_cases
from residua.runs.benchmark.folder import BenchmarkFolder, Record
from residua.runs.benchmark.progress import BenchmarkProgress, Fit, FitReport
from residua.runs.benchmark.summary import summarise, untrained_name
from residua.runs.bundle_model import model_of_bundle, untrained_graph
from residua.runs.machine import describe_machine
from residua.runs.parts import has_own_parts
from residua.runs.progress import Watcher
from residua.training.bundle import Bundle, score_set
from residua.training.fitting.fit import fit
from residua.training.fitting.options import DetectOptions
from residua.training.fitting.session import FitSession
from residua.training.fitting.splits import CALIBRATION_SHARE, VALIDATION_SHARE
from residua.training.loop.devices import find_device
from residua.training.loop.settings import TrainingSettings
from residua.training.networks import ImageShape
from residua.training.recipes import RECIPES, make_recipe
from residua.training.scoring.engine import score_images

_FOR_THE_FOLDER = ("scores", "is_anomalous", "groups")


class BenchmarkOptions(BaseModel):
    """What to run. ``normal`` None is every label in train, each in turn; ``seeds`` counts on from
    ``settings.seed``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    normal: tuple[str, ...] | None = None
    recipes: tuple[str, ...] = ("plain",)
    seeds: int = Field(default=1, ge=1)
    size: int | None = None
    groups: str | None = None
    bits: int | None = Field(default=None, ge=1, le=32)
    settings: TrainingSettings = Field(default_factory=TrainingSettings)

    def all_seeds(self) -> range:
        """The seeds of training; parts and baselines take the first."""
        return range(self.settings.seed, self.settings.seed + self.seeds)


def run_benchmark(
    options: BenchmarkOptions,
    *,
    out: str | Path | None = None,
    watcher: Watcher | None = None,
    on_fit: FitReport | None = None,
) -> Record:
    """Fit and score every class, recipe and seed asked for; what `out` holds already is not done
    again.

    Raises LabelError if a label is unknown, or no class has train images, and test images of both
    kinds. Raises InputError if a recipe is unknown, or `out` was begun with other options.

    Returns
    -------
    dict
        What ``--json`` writes: ``source, protocol, machine, command, residua_version, recipes,
        rows, baselines, skipped, seconds, summary``. ``roc_auc`` is an `Estimate` with DeLong's
        interval; an anomalous image counts as positive, higher is better, 0.5 is chance.
    """
    watcher = watcher or Watcher()
    find_device(options.settings.device, "benchmark")
    for recipe in options.recipes:
        make_recipe(recipe)
    images = load_images(
        options.source,
        groups=options.groups,
        seed=options.settings.seed,
        progress=watcher.on_read,
        bits=options.bits,
    )
    cases, skipped = find_cases(images, options.normal, options.settings.seed)
    notes = (*(f"assumed {one.sentence}" for one in images.assumptions), *cases[0].notes)
    for text in (*notes, *skipped):
        watcher.note(text)
    folder = BenchmarkFolder(None if out is None else Path(out))
    folder.begin(_asked(options, images))
    if out is None and len(cases) * len(options.recipes) * options.seeds > 1:
        watcher.note("without --out, what is finished is lost if this is stopped")
    progress = _progress(cases, options, folder, watcher, on_fit)
    done = [_run_case(case, options, folder, progress) for case in cases]
    baselines = [one for beside, _ in done for one in beside]
    rows = [row for _, fits in done for row in fits]
    return {
        "source": options.source,
        "protocol": _protocol(options, images, notes),
        "machine": describe_machine(),
        "command": shlex.join(_command(options, out)),
        "residua_version": __version__,
        "recipes": list(options.recipes),
        "rows": [_public(row) for row in rows],
        "baselines": [_public(one) for one in baselines],
        "skipped": skipped,
        "seconds": round(sum(row["seconds"] for row in rows), 1),
        "summary": summarise(rows, baselines),
    }


def _run_case(
    case: Case, options: BenchmarkOptions, folder: BenchmarkFolder, progress: BenchmarkProgress
) -> tuple[list[Record], list[Record]]:
    """The baselines of a class and its fits; nothing of a class counts without its baselines."""
    rows, untrained = [], []
    beside = folder.baselines(case.label)
    for _, recipe, seed in _fits([case], options):
        row = folder.fit(case.label, recipe, seed) if beside is not None else None
        if row is None:
            watcher = progress.begin((case.label, recipe, seed))
            row, bundle = _fit(case, recipe, seed, options, watcher)
            if seed == options.settings.seed and not RECIPES[bundle.config.recipe].is_closed_form:
                untrained_scores = score_images(
                    untrained_graph(bundle, case.train),
                    case.test,
                    batch_size=bundle.config.batch_size,
                ).score
                row["untrained"] = _area(case, untrained_name(recipe), untrained_scores)
            if beside is None:
                beside = {"class": case.label, "baselines": _baselines(bundle, case)}
                folder.keep(beside)
            folder.keep(row)
            progress.finish((case.label, recipe, seed), row["roc_auc"]["value"])
        if "untrained" in row:
            untrained.append(row.pop("untrained"))
        rows.append(row)
    assert beside is not None
    others = [  # a baseline that is among the recipes stands there once
        one
        for one in beside["baselines"]
        if RECIPES_OF_BASELINES.get(one["name"]) not in options.recipes
    ]
    return [*untrained, *others], rows


def _fits(cases: Sequence[Case], options: BenchmarkOptions) -> Iterator[Fit]:
    for case in cases:
        for recipe in options.recipes:
            for seed in options.all_seeds():
                yield case.label, recipe, seed


def _progress(
    cases: Sequence[Case],
    options: BenchmarkOptions,
    folder: BenchmarkFolder,
    watcher: Watcher,
    on_fit: FitReport | None,
) -> BenchmarkProgress:
    fits = list(_fits(cases, options))
    found = [(fit, folder.fit(*fit)) for fit in fits if folder.baselines(fit[0]) is not None]
    return BenchmarkProgress(
        fits, [(fit, row["seconds"]) for fit, row in found if row is not None], watcher, on_fit
    )


def _fit(
    case: Case, recipe: str, seed: int, options: BenchmarkOptions, watcher: Watcher
) -> tuple[Record, Bundle]:
    began = time.monotonic()
    settings = options.settings.model_copy(update={"seed": seed})
    bundle = fit(
        DetectOptions(recipe=recipe, size=options.size, settings=settings),
        case.train,
        case.calibration,
        FitSession(on_step=watcher.on_step),
    ).bundle
    trained = time.monotonic()
    scores = score_set(bundle, case.test).score
    ended = time.monotonic()
    training, machine = bundle.config.training, describe_machine()
    groups = case.test.group_codes
    row = {
        "class": case.label,
        "recipe": recipe,
        "seed": seed,
        "roc_auc": _roc_auc(case, scores),
        "seconds_fit": round(trained - began, 2),
        "seconds_score": round(ended - trained, 2),
        "seconds": round(ended - began, 2),
        "milliseconds_an_image": round(1000 * (ended - trained) / len(case.test), 3),
        "n_train": training.images,
        "n_validation": training.validation_images,
        "n_calibration": len(case.calibration),
        "n_test": len(case.test),
        "n_test_anomalous": int(case.test.is_anomalous.sum()),
        "n_test_groups": case.test.n_groups,
        "image_size": [*bundle.config.size, bundle.config.channels],
        "network": training.network,
        "parameters": training.parameters,
        "epochs": training.epochs,
        "best_epoch": training.best_epoch,
        "device": training.device,
        "precision": training.precision,
        "threads": training.threads,
        "cpu": machine["cpu"],
        "load": machine["load"],
        "residua_version": __version__,
        "scores": scores.tolist(),
        "is_anomalous": case.test.is_anomalous.tolist(),
        "groups": None if groups is None else groups.tolist(),
    }
    return row, bundle


def _baselines(bundle: Bundle, case: Case) -> list[Record]:
    """Every baseline on the images as networks see them; PCA of as many numbers as plain."""
    model = model_of_bundle(bundle)
    pieces = list(baseline_arrays(model, case.train, case.test))
    shape = ImageShape(*bundle.config.size, bundle.config.channels)
    latent = int(getattr(make_recipe("plain").build_network(shape), "latent", 0))
    found = []
    for name, detect in DETECTORS.items():
        began = time.monotonic()
        scores = np.concatenate(
            [detect(train, test, latent=latent, seed=model.seed) for train, test in pieces]
        )
        found.append(_area(case, name, scores) | {"seconds": round(time.monotonic() - began, 2)})
        if name == "pca":
            found[-1]["latent"] = latent
    return found


def _area(case: Case, name: str, scores: NDArray[np.float32]) -> Record:
    return {
        "class": case.label,
        "name": name,
        "roc_auc": _roc_auc(case, scores),
        "scores": scores.tolist(),
    }


def _roc_auc(case: Case, scores: NDArray[np.float32]) -> Record:
    made = roc_auc_interval(case.test.is_anomalous, scores, groups=case.test.groups)
    return made.model_dump(mode="json")


def _public(record: Record) -> Record:
    return {name: value for name, value in record.items() if name not in _FOR_THE_FOLDER}


def _asked(options: BenchmarkOptions, images: ImageSet) -> Record:
    """What a figure depends on; the extent (classes, recipes, number of seeds) may grow."""
    settings = options.settings
    return {
        "source": options.source,
        "images": images.fingerprint,
        "size": options.size,
        "epochs": settings.epochs,
        "minutes": settings.minutes,
        "threads": settings.threads,
        "seed": settings.seed,
        **({} if options.bits is None else {"bits": options.bits}),
        **({} if options.groups is None else {"groups": options.groups}),
        **({} if settings.device == "auto" else {"device": settings.device}),
    }


def _protocol(options: BenchmarkOptions, images: ImageSet, notes: tuple[str, ...]) -> Record:
    settings = options.settings
    if settings.minutes is not None:
        length = f"{settings.minutes:g} minutes a fit, turned into steps once"
    elif settings.epochs is not None:
        length = f"{settings.epochs} epochs, the same for every class and recipe"
    else:
        length = "the schedule of each recipe, the same for every class"
    return {
        "classes": "each in turn is normal; images of all others are anomalous",
        "train": "the normal images of the train part, less calibration and validation",
        "validation": (
            f"{VALIDATION_SHARE:.0%} of train, for early stopping and for standardising scores"
        ),
        "calibration": (
            "normal images that are never trained on: the source's own part, else"
            f" {CALIBRATION_SHARE:.0%} of train"
        ),
        "test": (
            "all labelled images of the test part, scored once, after training; nothing is chosen"
            " on them"
        ),
        "training": length,
        "baselines": "learn from the same normal images, training and validation slice together",
        "seeds": list(options.all_seeds()),
        "parts": (
            "the source's own"
            if has_own_parts(images)
            else f"drawn for each class by seed {settings.seed}"
        ),
        "groups": groups_of(images),
        "notes": list(notes),
        "size": options.size,
        "threads": settings.threads,
    }


def _command(options: BenchmarkOptions, out: str | Path | None) -> list[str]:
    settings = options.settings
    words = [
        "residua",
        "benchmark",
        options.source,
        "--normal",
        ",".join(options.normal or ("each",)),
        "--recipe",
        ",".join(options.recipes),
        "--seeds",
        str(options.seeds),
        "--seed",
        str(settings.seed),
    ]
    for name, value in (
        ("epochs", settings.epochs),
        ("minutes", settings.minutes),
        ("threads", settings.threads),
        ("device", None if settings.device == "auto" else settings.device),
        ("size", options.size),
        ("groups", options.groups),
        ("bits", options.bits),
        ("out", out),
    ):
        words += [] if value is None else [f"--{name}", str(value)]
    return words
