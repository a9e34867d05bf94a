"""The command that fits a run again."""

from __future__ import annotations

import shlex
from typing import Any

from residua.runs.run_state import RunState
from residua.runs.trained_run import TrainedRun
from residua.training.fitting.options import OPTIONS, flag

_SAID_FIRST = ("source", "job", "recipe", "strategy")
_ESTIMATORS = {
    "reconstruct": "Autoencoder",
    "detect": "OneClassDetector",
    "classify": "AutoencoderClassifier",
}
_PYTHON_ALONE = ("multilabel", "weight_decay", "label_smoothing", "erase")


def fit_command(folder: TrainedRun, state: RunState) -> str:
    """`residua fit` with the options that are no default; a time budget in its epochs."""
    options = state.options
    if not options.source:  # the images came from Python
        estimator = f"residua.{_ESTIMATORS[options.job]}.load({str(folder.path)!r})"
        return f"sklearn.base.clone({estimator}).fit(images)"
    name = options.strategy if options.job == "classify" else options.recipe
    named = "--strategy" if options.job == "classify" else "--recipe"
    words = ["residua", "fit", options.source, "--job", options.job, named, name]
    standard = OPTIONS[options.job]()
    changed = _changed(options, standard) | _changed(options.settings, standard.settings)
    changed |= options.recipe_options
    if state.plan:
        changed |= {"epochs": state.plan["epochs"], "minutes": None}
    for field, value in changed.items():
        words += _option(field, value)
    return shlex.join([*words, "--seed", str(options.settings.seed), "--out", str(folder.path)])


def _changed(options: Any, standard: Any) -> dict[str, Any]:
    """The fields that differ from their defaults, but for those that have a place of their own."""
    return {
        name: getattr(options, name)
        for name in type(options).model_fields
        if name not in {*_SAID_FIRST, "settings", "recipe_options", "seed"}
        and getattr(options, name) != getattr(standard, name)
    }


def _option(name: str, value: Any) -> list[str]:
    """An option as it is typed; what is off by default is on where it is named, and the reverse."""
    if name in _PYTHON_ALONE or value is None:
        return []
    if isinstance(value, bool):
        return [flag(name) if value else flag(f"not_{name}")]
    if isinstance(value, list | tuple):
        return [flag(name), ",".join(_quoted(str(one)) for one in value) or "none"]
    return [flag(name), str(value)]


def _quoted(name: str) -> str:
    return f'"{name}"' if "," in name else name
