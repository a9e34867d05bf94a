"""The command that fits a run again."""

from __future__ import annotations

import shlex
from typing import Any

from residua.runs.run_folder import RunFolder, RunState
from residua.training.fitting.options import RunOptions
from residua.training.loop.settings import TrainingSettings

_RECIPE_OPTIONS = (
    "latent",
    "weight",
    "distance",
    "width",
    "family",
    "tied",
    "loss_name",
    "error",
    "density",
    "backbone",
)
_SETTINGS = (
    "batch_size",
    "learning_rate",
    "patience",
    "augment",
    "trim",
    "precision",
    "threads",
    "devices",
    "nodes",
)


def fit_command(folder: RunFolder, state: RunState) -> str:
    """`residua fit` with every option that differs from its default; the time budget as the epochs
    that it became.
    """
    options, settings = state.options, state.options.settings
    named = "--strategy" if options.job == "classify" else "--recipe"
    words = ["residua", "fit", options.source, "--job", options.job, named, options.recipe]
    words += _option("normal", options.normal)
    for name in _RECIPE_OPTIONS:
        words += _option(name, options.recipe_options.get(name))
    if options.recipe_options.get("mirrored") is not None:
        words.append("--mirrored" if options.recipe_options["mirrored"] else "--not-mirrored")
    for name in ("size", "aspect", "policy", "class_weight", "separator"):
        words += _option(name, getattr(options, name), RunOptions.model_fields[name].default)
    words += _option("epochs", state.plan["epochs"] if state.plan else settings.epochs)
    for name in _SETTINGS:
        if name == "augment" and options.job == "classify":
            words += _augment(settings.augment)
            continue
        words += _option(name, getattr(settings, name), TrainingSettings.model_fields[name].default)
    return shlex.join([*words, "--seed", str(settings.seed), "--out", str(folder.path)])


def _augment(names: tuple[str, ...]) -> list[str]:
    """A classifier chooses by itself unless told otherwise, and no augmentation at all has to be
    said.
    """
    return [] if names == ("auto",) else ["--augment", ",".join(names) or "none"]


def _option(name: str, value: Any, default: Any = None) -> list[str]:
    if value is None or value is False or value in (default, ()):
        return []
    flag = f"--{name.removesuffix('_name').replace('_', '-')}"
    if value is True:
        return [flag]
    several = isinstance(value, list | tuple)
    return [flag, ",".join(_quoted(str(one)) for one in value) if several else str(value)]


def _quoted(name: str) -> str:
    return f'"{name}"' if "," in name else name
