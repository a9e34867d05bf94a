"""Options of a command in a file: TOML, JSON, or the `run.json` of an earlier run.

What is typed on the command line wins.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from residua.errors import InputError

_RUN_FORMAT = "residua-run"
_LISTS = frozenset({"normal", "density", "augment"})
# Fields of a run that only Python sets, or that have no option of this command.
_NOT_TYPED = frozenset({"multilabel", "weight_decay", "label_smoothing", "erase"})
_MOST_BYTES = 1 << 20


def _read_config(ctx: typer.Context, path: Path | None) -> Path | None:
    """Take the options of the file for those that are not typed."""
    if path is not None and not ctx.resilient_parsing:
        params = [one for one in ctx.command.params if one.name not in ("help", "config")]
        known = [str(one.name) for one in params]
        flags = {one.name for one in params if getattr(one, "is_flag", False)}
        given = options_of_file(path, known)
        for name, value in given.items():
            if isinstance(value, bool) and name not in flags:
                raise InputError(
                    f"{path}: {name.replace('_', '-')} must be a number or a word. Got"
                    f" {str(value).lower()}. Correct it, or leave it out."
                )
        ctx.default_map = {**(ctx.default_map or {}), **given}
    return path


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        is_eager=True,
        callback=_read_config,
        help="Take options from a TOML or JSON file, or the run.json of a run. Typed options win.",
    ),
]


def options_of_file(path: Path, known: list[str]) -> dict[str, Any]:
    """The options in `path` by their Python names, as the command line would take them.

    Raises InputError if the file cannot be read, or holds a key that is no option in `known`.
    """
    given = _flattened(_read(path), path)
    options: dict[str, Any] = {}
    for key, value in given.items():
        name = key.removeprefix("--").replace("-", "_")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean {near[0].replace('_', '-')}?" if near else "Leave it out."
            if isinstance(value, Mapping):
                hint = f"Options stand by themselves: leave the line [{key}] out."
            raise InputError(
                f"{path}: every key must be an option of the command. Got {key!r}. {hint}"
            )
        options[name] = _typed(path, key, name, value)
    return options


def _read(path: Path) -> dict[str, Any]:
    from residua._files import in_a_line, read_file

    try:
        content = read_file(path, _MOST_BYTES)
    except OSError as error:
        raise InputError(
            f"{path}: the file of options must be one that can be read. Got: {in_a_line(error)}."
            " Correct --config."
        ) from None
    try:
        text = content.decode("utf-8-sig")
        is_json = path.suffix.lower() == ".json"
        given = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: a file of options must be TOML (or JSON, with the ending .json) in UTF-8."
            f" Got: {in_a_line(error)}. Write lines such as epochs = 20."
        ) from None
    if not isinstance(given, dict):
        raise InputError(
            f"{path}: a file of options must be one table of names and values. Got a"
            f" {type(given).__name__}. Write lines such as epochs = 20."
        )
    return given


def _flattened(given: dict[str, Any], path: Path) -> dict[str, Any]:
    """The options as they stand, or those of a run, which lie in three tables."""
    if given.get("format") != _RUN_FORMAT:
        return given
    options = given.get("options")
    if given.get("format_version") != 2 or not isinstance(options, dict):
        raise InputError(
            f"{path}: a run.json must be of format 2. Got format {given.get('format_version')}."
            " Write its options into a TOML file."
        )
    options = dict(options)
    network, training = options.pop("recipe_options", {}), options.pop("settings", {})
    everything = {**options, **network, **training}
    found = {
        name.removesuffix("_name"): value
        for name, value in everything.items()
        if name not in _NOT_TYPED and value not in (None, "", [])
    }
    if isinstance(found.get("region"), Mapping):
        raise InputError(
            f"{path}: the region of a run is stored as a mask, which the command cannot type. Got"
            " a run with a region. Write the options into a TOML file, with region = FILE."
        )
    if options.get("job") == "classify" and training.get("augment") == []:
        found["augment"] = ["none"]
    if isinstance(found.get("tied"), bool) and not found["tied"]:
        del found["tied"]
    return found


def _typed(path: Path, key: str, name: str, value: Any) -> Any:
    """A value as it would be typed: a list of names becomes `a,b`."""
    if isinstance(value, list) and name in _LISTS:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow([str(one) for one in value])
        return line.getvalue()
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float | str):
        return str(value)
    what = "a table" if isinstance(value, Mapping) else f"a {type(value).__name__}"
    raise InputError(
        f"{path}: the value of {key} must be one word, number, true or false"
        f"{', or a list of names' * (name in _LISTS)}. Got {what}. Correct it."
    )
