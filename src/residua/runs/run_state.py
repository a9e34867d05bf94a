"""`run.json`: everything of a run that was trained here but the model itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from residua.images import Grouping
from residua.images.products import OfModel
from residua.images.reading import Reading
from residua.records import Assumption
from residua.runs.origin import Origin
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
            product=None if (told := getattr(options, "product", None)) is None else OfModel(told),
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
