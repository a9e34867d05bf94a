"""Recipes, one file each.

`RECIPES` is the registry: a new recipe is one file, one line here and one page of documentation.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from residua.errors import InputError
from residua.training.networks.backbones import named_backbone
from residua.training.recipes.base import Recipe
from residua.training.recipes.denoising import Denoising
from residua.training.recipes.feature import Feature
from residua.training.recipes.inspect import Inspect
from residua.training.recipes.joint_one_class import JointOneClass
from residua.training.recipes.memory import Memory
from residua.training.recipes.neighbours import Neighbours
from residua.training.recipes.pca import Pca
from residua.training.recipes.plain import Plain
from residua.training.recipes.restore import Restore
from residua.training.recipes.sparse import Sparse
from residua.training.recipes.variational import Variational

__all__ = ["RECIPES", "Recipe", "make_recipe"]

RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe
    for recipe in (
        Pca,
        Neighbours,
        Memory,
        Plain,
        Denoising,
        Sparse,
        Variational,
        Restore,
        JointOneClass,
        Feature,
        Inspect,
    )
}


Named = TypeVar("Named", bound=Recipe)


def make_recipe(name: str, **options: Any) -> Recipe:
    """The recipe called `name` with `options`; a backbone may be a module (`named_backbone`).

    Every unknown option is named at once, with what was probably meant. Raises InputError if there
    is no such recipe, or an option is unknown or out of range.
    """
    if "backbone" in options:
        options["backbone"] = named_backbone(options["backbone"])
    return build_named("recipe", RECIPES, name, options)


def build_named(
    what: str, registry: Mapping[str, type[Named]], name: str, options: dict[str, Any]
) -> Named:
    """The entry of `registry` called `name` with `options`; errors call it `what`."""
    if name not in registry:
        close = difflib.get_close_matches(name, registry, n=1)
        hint = f"Did you mean {close[0]}?" if close else f"Choose one of {', '.join(registry)}."
        raise InputError(f"{what}: the name must be a known {what}. Got {name!r}. {hint}")
    try:
        return registry[name](**options)
    except ValidationError as error:
        known = ", ".join(registry[name].model_fields)
        lines = [
            f"{what} {name}: {_in_words(problem)}. Got {problem['input']!r}. The options are"
            f" {known}."
            for problem in error.errors()
        ]
        raise InputError("\n".join(lines)) from None


def _in_words(problem: Any) -> str:
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"option {place}: must be one that it takes"
    said = problem["msg"].removeprefix("Value error, ").removesuffix(".")
    return f"option {place}: {said}" if place else said
