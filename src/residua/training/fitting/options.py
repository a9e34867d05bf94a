"""What is asked of a fit: one declaration for the command, `run.json` and the estimators.

Each job has a class of its own, so that an option of another job has no place to stand in. They lie
below `runs`, because the fit itself reads them and estimators have no run.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from residua.errors import InputError
from residua.images.region import Region
from residua.records import Job
from residua.training.bundle import BundleConfig
from residua.training.fitting.sizes import check_aspect
from residua.training.loop.devices import find_device
from residua.training.loop.processes import check_spread
from residua.training.loop.settings import TrainingSettings, sentence_of
from residua.training.networks.backbones import named_backbone
from residua.training.recipes import RECIPES, make_recipe
from residua.training.recipes.feature import Feature
from residua.training.scoring.prepare import Aspect
from residua.training.strategies import STRATEGIES, make_strategy

AUTO = "auto"
"""As a recipe: chosen by made anomalies. As an augmentation: chosen by what the labels survive."""
NO_BACKBONE = "none"


class SharedOptions(BaseModel):
    """Options of every job: the source and how it is read, the size, the network, the training.

    ``source`` is empty where the images came from Python. ``recipe_options`` are those of the
    recipe, or of a classifier's strategy, that differ from its own defaults.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: Job
    source: str = ""
    recipe_options: dict[str, Any] = Field(default_factory=dict)
    size: int | None = None
    aspect: Aspect | None = None
    bits: int | None = Field(default=None, ge=1, le=32)
    follow_links: bool = False
    root: str | None = None
    groups: str | None = None
    settings: TrainingSettings = TrainingSettings()

    @property
    def chooses_recipe(self) -> bool:
        """Whether the recipe is chosen by the fit itself."""
        return False


class RecipeOptions(SharedOptions):
    """Options of the jobs that learn from images alone.

    ``trim`` is the share of the training images that is dropped as the worst after a first training
    of a quarter of the length, before one from the start: for sets that may hold a few anomalies.
    A recipe that keeps its images judges each third of them by the others instead.
    """

    normal: tuple[str, ...] | None = None
    recipe: str
    trim: float = Field(default=0.0, ge=0, le=0.5)

    @model_validator(mode="before")
    @classmethod
    def _recipe_left_out(cls, given: Any) -> Any:
        """Options of a network speak of the plain autoencoder unless a recipe is named.

        A backbone alone speaks of the memory, and with other options of the feature autoencoder.
        """
        if isinstance(given, dict) and given.get("recipe_options") and "recipe" not in given:
            options = dict(given["recipe_options"])
            if options.get("backbone") != NO_BACKBONE:
                recipe = "feature" if "backbone" in options else "plain"
                return {**given, "recipe": "memory" if set(options) == {"backbone"} else recipe}
            if len(options) > 1:
                del options["backbone"]
                return {**given, "recipe": "plain", "recipe_options": options}
        return given

    @model_validator(mode="after")
    def _auto_has_no_options(self) -> Any:
        if self.chooses_recipe and self.recipe_options not in ({}, {"backbone": NO_BACKBONE}):
            raise ValueError(
                "auto picks the network itself and takes no options of a recipe. Got"
                f" {', '.join(self.recipe_options)}. Name a recipe with --recipe, or leave them out"
            )
        return self

    @model_validator(mode="after")
    def _recipe_can_do_the_job(self) -> Any:
        recipe = RECIPES.get(self.recipe)
        if recipe is not None and self.job not in recipe.jobs:
            raise ValueError(
                f"recipe {self.recipe} is for --job {' or '.join(recipe.jobs)}. Got --job"
                f" {self.job}. Name another recipe, or change the job"
            )
        return self

    @model_validator(mode="after")
    def _trim_needs_scores_of_training_images(self) -> Any:
        if self.trim and self.recipe == Feature.name:
            raise ValueError(
                "trim drops the training images that score worst, and a memory holds just those, so"
                f" that they score lowest. Got --trim {self.trim:g} with --recipe {self.recipe}."
                " Leave it out, or name another recipe"
            )
        return self

    @property
    def chooses_recipe(self) -> bool:
        """Whether the recipe is chosen by the fit itself."""
        return self.recipe == AUTO

    @property
    def takes_backbone(self) -> bool:
        """Whether a recipe that is chosen may look through a pretrained backbone."""
        return self.recipe_options.get("backbone") != NO_BACKBONE


class ReconstructOptions(RecipeOptions):
    """What is asked of a reconstructor."""

    job: Literal["reconstruct"] = "reconstruct"
    recipe: str = "plain"


class DetectOptions(RecipeOptions):
    """What is asked of a one-class detector; `policy` is how its threshold is chosen.

    ``contamination`` is the share of calibration images that may be hidden anomalies. ``tiles`` are
    tiles along the shorter side of an image, or ``auto``; ``region`` is where to look, read from a
    file or a mask. ``product`` says which product an image shows, as `load_images` takes it.
    """

    job: Literal["detect"] = "detect"
    recipe: str = AUTO
    policy: str | None = None
    contamination: float | None = Field(default=None, ge=0, lt=0.5)
    product: str | None = None
    tiles: Literal["auto"] | Annotated[int, Field(ge=1, le=64)] | None = None
    region: Region | None = None

    @model_validator(mode="after")
    def _trim_drops_whole_images(self) -> Any:
        if self.trim and (self.tiles is not None or self.region is not None):
            raise ValueError(
                "trim drops whole images, and with tiles or a region a model learns from parts of"
                f" them. Got --trim {self.trim:g} with --tiles or --region. Leave one of them out"
            )
        if self.trim and self.product is not None:
            raise ValueError(
                "trim drops the worst of all images, and of several products that would be the"
                f" images of the most varied one. Got --trim {self.trim:g} with --product. Leave"
                " one of them out"
            )
        return self

    @field_validator("product")
    @classmethod
    def _product_of_each_image(cls, given: str | None) -> str | None:
        if given is not None and given.startswith("="):
            raise ValueError(
                f"--product must tell the products of the images apart. Got {given}, one for all,"
                " and every image to come would be taken for it. Leave it out, or name a column"
            )
        return given

    @field_validator("tiles", mode="before")
    @classmethod
    def _tiles_of_text(cls, given: Any) -> Any:
        if given is None or given == "auto":
            return given
        if not str(given).isdecimal() or not 1 <= int(given) <= 64:
            raise ValueError(
                f"--tiles must be auto or a whole number from 1 to 64. Got {given}. Correct it"
            )
        return int(given)

    @field_validator("region", mode="before")
    @classmethod
    def _region_of_file(cls, given: Any) -> Any:
        if isinstance(given, str | Path):
            return Region.read(given)
        return Region.of_mask(given) if isinstance(given, np.ndarray) else given


class ClassifyOptions(SharedOptions):
    """What is asked of a classifier.

    ``separator`` stands between labels of which several may hold at once, ``multilabel`` says what
    a 0/1 matrix of labels is where it could be one-hot too.
    """

    job: Literal["classify"] = "classify"
    strategy: str = "joint"
    class_weight: Literal["balanced"] | dict[str, float] | None = None
    separator: str | None = Field(default=None, min_length=1)
    multilabel: bool | None = None
    settings: TrainingSettings = TrainingSettings(augment=(AUTO,))

    @field_validator("class_weight", mode="before")
    @classmethod
    def _by_text(cls, given: Any) -> Any:
        return {str(k): v for k, v in given.items()} if isinstance(given, Mapping) else given

    @field_validator("settings")
    @classmethod
    def _augmentation_left_out(cls, given: TrainingSettings) -> TrainingSettings:
        """Settings that do not name an augmentation leave it to the images."""
        left_out = "augment" not in given.model_fields_set
        return given.model_copy(update={"augment": (AUTO,)}) if left_out else given


FitOptions = ReconstructOptions | DetectOptions | ClassifyOptions
"""Which of the three is told by the field `job`."""

OPTIONS: dict[Job, type[FitOptions]] = {
    "reconstruct": ReconstructOptions,
    "detect": DetectOptions,
    "classify": ClassifyOptions,
}


@cache
def option_names(job: Job) -> frozenset[str]:
    """Every option of a job by name: its own, those of training, and of the recipes it can have."""
    registry: Mapping[str, type[BaseModel]] = STRATEGIES if job == "classify" else RECIPES
    networks = (name for one in registry.values() for name in one.model_fields)
    own = set(OPTIONS[job].model_fields) - {"settings", "recipe_options"}
    return frozenset({*own, *TrainingSettings.model_fields, *networks})


def make_options(job: Job, **given: Any) -> FitOptions:
    """The options of a job from names and values as the command and the estimators have them.

    None means "left out". Each name finds its place: the job's own options, those of training, else
    those of the recipe, which refuses what it does not know. Raises InputError with every option
    that is another job's, or a value out of range.

    >>> make_options("detect", latent=8, epochs=3).recipe
    'plain'
    >>> make_options("detect", separator="|")
    Traceback (most recent call last):
    residua.errors.InputError: fit: --separator is for --job classify. Got --job detect. Leave it out, or change the job.
    """  # noqa: E501  (one line, as it is printed)
    values = {name: _plain(value) for name, value in given.items() if value is not None}
    if "backbone" in values:
        values["backbone"] = named_backbone(values["backbone"])
    if isinstance(values.get("augment"), str):
        values["augment"] = (values["augment"],)
    _refuse_other_jobs(job, values)
    model, training = OPTIONS[job], TrainingSettings.model_fields
    own = {name: value for name, value in values.items() if name in model.model_fields}
    settings = {name: value for name, value in values.items() if name in training}
    network = {name: value for name, value in values.items() if name not in {**own, **settings}}
    if network:
        own["recipe_options"] = {**own.get("recipe_options", {}), **network}
    if settings:
        standard = own.get("settings", model.model_fields["settings"].get_default())
        own["settings"] = TrainingSettings(**{**standard.model_dump(), **settings})
    try:
        return model(**own)
    except ValidationError as error:
        raise InputError("\n".join(map(sentence_of, error.errors()))) from None


def flag(name: str) -> str:
    """The option of the command for a field.

    >>> flag("class_weight"), flag("loss_name")
    ('--class-weight', '--loss')
    """
    return "--" + name.removesuffix("_name").replace("_", "-")


def migrated(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a `run.json` of format 1, which held those of all jobs at once, as they stand now.

    What another job's options did then was nothing, so they are left out.
    """
    settings = dict(options.get("settings", {}))
    old = {**options, "settings": settings, "trim": settings.pop("trim", 0.0)}
    job = old["job"]
    if job == "classify":
        old["strategy"] = old.pop("recipe", "joint")
    return {name: value for name, value in old.items() if name in OPTIONS[job].model_fields}


def options_of(config: BundleConfig) -> FitOptions:
    """What a bundle was asked for; of one written before that was stored, what its model tells."""
    stored = config.training.options
    if stored is None:
        point = config.operating_point
        of_data = {"n_classes", "multilabel", "class_weights"}
        stored = migrated(
            {
                "job": config.job,
                "recipe": config.recipe,
                "recipe_options": {
                    name: value
                    for name, value in config.recipe_options.items()
                    if name not in of_data
                },
                "policy": None if point is None else point.policy,
                "settings": config.training.settings,
            }
        )
    return OPTIONS[config.job](**stored)


def check_options(options: FitOptions) -> None:
    """Refuse what needs no image to be refused: a mistyped recipe, strategy or option, sizes that
    the network cannot have, a device that is not there, and what several processes could not decide
    alike.
    """
    find_device(options.settings.device)
    is_computed = False
    if isinstance(options, ClassifyOptions):
        strategy = make_strategy(options.strategy, **{**options.recipe_options, "n_classes": 2})
        check_aspect(options.aspect, strategy)
    elif not options.chooses_recipe:
        recipe = make_recipe(options.recipe, **options.recipe_options)
        check_aspect(options.aspect, recipe)
        is_computed = recipe.is_closed_form
    wrong = {
        "--trim, which trains twice": bool(getattr(options, "trim", 0)),
        "--job classify, which trains in phases": isinstance(options, ClassifyOptions),
        "the recipe auto, which trains every candidate: name a recipe": options.chooses_recipe,
        "a recipe that is computed, not trained in steps": is_computed,
    }
    check_spread(options.settings, tuple(words for words, is_so in wrong.items() if is_so))


def _refuse_other_jobs(job: Job, values: dict[str, Any]) -> None:
    lines = []
    for name in values:
        jobs = [one for one in OPTIONS if name in option_names(one)]
        if jobs and job not in jobs:
            lines.append(
                f"fit: {flag(name)} is for --job {' or '.join(jobs)}. Got --job {job}. Leave it"
                " out, or change the job."
            )
    if lines:
        raise InputError("\n".join(lines))


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
