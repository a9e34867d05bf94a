"""A run that `fit` or an estimator wrote, and its `run.json`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from residua._files import in_a_line, read_file, read_json, write_json
from residua.engines import Engine
from residua.engines.kinds import REFERENCE
from residua.errors import BundleError
from residua.images import Grouping
from residua.images.reading import Reading
from residua.records import Assumption, OperatingPoint
from residua.runs.bundle_model import graph_engine
from residua.runs.model import JudgedModel
from residua.runs.origin import Origin
from residua.runs.progress import Watcher
from residua.runs.run_folder import Run
from residua.training.bundle import clear_leftovers, load_bundle, save_operating_point
from residua.training.fitting.options import FitOptions, migrated
from residua.training.loop.train import TrainingPlan
from residua.training.recipes import Recipe, make_recipe


class RunState(BaseModel):
    """The options, the plan decided before the first step, and whether the model is finished.

    ``working_folder`` is where `fit` was started, so that a relative source is found from anywhere;
    ``made_here`` tells a run that was begun on this machine from others; ``fingerprint`` is that of
    the source's images, so that a run is not resumed on others; ``choice`` what ``auto`` chose;
    ``reading`` how the source's values became brightness, so that it is not guessed again;
    ``grouping`` by what images were grouped.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["residua-run"] = "residua-run"
    format_version: Literal[2] = 2
    options: FitOptions = Field(discriminator="job")
    working_folder: str = ""
    made_here: str = ""
    fingerprint: str | None = None
    choice: dict[str, Any] | None = None
    plan: dict[str, Any] | None = None
    finished: bool = False
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    reading: Reading | None = None
    grouping: Grouping | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_format_1(cls, given: Any) -> Any:
        """Format 1 held the options of all jobs at once."""
        if isinstance(given, dict) and given.get("format_version") == 1:
            return {**given, "format_version": 2, "options": migrated(given["options"])}
        return given

    def origin(self, test_fingerprint: str | None = None) -> Origin:
        """Where the run's images come from, and how they were read."""
        options = self.options
        return Origin(
            source=options.source,
            seed=options.settings.seed,
            normal=getattr(options, "normal", None),
            reading=self.reading,
            bits=options.bits,
            follow_links=options.follow_links,
            root=options.root,
            groups=self.grouping or options.groups,
            working_folder=self.working_folder,
            made_here=self.made_here,
            separator=getattr(options, "separator", None),
            test_fingerprint=test_fingerprint,
            assumptions=self.assumptions,
        )

    def training_plan(self) -> TrainingPlan | None:
        """The plan as training takes it."""
        return None if self.plan is None else TrainingPlan(**self.plan)

    def chosen_recipe(self) -> Recipe | None:
        """What `auto` chose before the run was stopped."""
        if self.choice is None:
            return None
        return make_recipe(self.choice["recipe"], **self.choice["options"])


class TrainedRun(Run):
    """A run whose model was trained here."""

    def read_state(self) -> RunState:
        """`run.json`, checked."""
        path = self.path / "run.json"
        try:
            return RunState.model_validate_json(read_file(path))
        except FileNotFoundError:
            got = "a folder without run.json. Name one that `residua fit` wrote"
            if (self.path / "wrapped.json").is_file():
                got = (
                    "a wrapped model. The commands that take one are evaluate, threshold, score,"
                    " report, compare, serve and info"
                )
            raise BundleError(
                f"{self.path}: this takes a model that `residua fit` trained. Got {got}."
            ) from None
        except OSError as error:
            raise BundleError(
                f"{path}: must be readable. Got: {in_a_line(error)}. Name a folder that `residua"
                " fit` wrote."
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            raise BundleError(
                f"{path}: must be what `residua fit` wrote. Got:"
                f" {'.'.join(map(str, first['loc']))}: {first['msg']}. Train again."
            ) from None

    def read_finished(self) -> RunState:
        """`run.json` of a run whose model is there; `BundleError` where training has not come to
        its end.
        """
        state = self.read_state()
        if not state.finished:
            raise BundleError(
                f"{self.path}: the run must be finished. Its training was stopped or failed. "
                "Repeat the fit command with --resume, or fit again."
            )
        return state

    def write_state(self, state: RunState) -> None:
        """Write `run.json`, atomically."""
        write_json(self.path / "run.json", state.model_dump(mode="json"))

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.path / "run.json").exists()

    def origin(self) -> Origin:
        """Where the images of the finished run come from."""
        return self.read_finished().origin(self._test_fingerprint())

    def model(self, engine: str = REFERENCE, watcher: Watcher | None = None) -> JudgedModel:
        """The finished model, scored by `engine`."""
        from residua.runs.engines import open_trained

        return open_trained(self, engine, watcher or Watcher())

    def scorer(self) -> Engine:
        """The reference engine in one thread, as a worker has one processor."""
        torch.set_num_threads(1)
        bundle = load_bundle(self.bundle)
        return graph_engine(bundle, bundle.graph)

    def model_files(self) -> list[Path]:
        """The files of the bundle."""
        return [path for path in sorted(self.bundle.iterdir()) if path.is_file()]

    def identity(self) -> str:
        """The checksum in the bundle's JSON: another model or another threshold, another
        checksum.
        """
        path = self.bundle / "bundle.json"
        try:
            return str(read_json(path)["checksum"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{path}: must be whole. Got: {in_a_line(error)}. Train again."
            ) from error

    def store(self, point: OperatingPoint) -> None:
        """Give the bundle another operating point."""
        save_operating_point(load_bundle(self.bundle).with_operating_point(point), self.bundle)

    def summary(self) -> dict[str, Any]:
        """`run.json`, and the facts of the bundle if it is finished."""
        state = self.read_state()
        value: dict[str, Any] = {"run": str(self.path), **state.model_dump(mode="json")}
        if state.finished:
            value["bundle"] = load_bundle(self.bundle).config.model_dump(mode="json")
        return value

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second writer out, and delete what writers left that were killed."""
        with super().locked():
            clear_leftovers(self.bundle)
            yield

    def _test_fingerprint(self) -> str | None:
        try:
            found = read_json(self.bundle / "bundle.json")["config"]["fingerprints"].get("test")
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None  # the bundle itself says what is wrong with it when it is loaded
        return None if found is None else str(found)
