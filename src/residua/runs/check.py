"""What `residua check` would say of a run's images, told before training, kept in the run, and
shown in its report.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from residua._files import read_json, write_json
from residua._text import count, of_groups
from residua.evaluation.check import check_sources
from residua.findings import class_balance
from residua.images import ImageSet
from residua.records import Finding, Job
from residua.runs.progress import Watcher
from residua.runs.run_folder import RunFolder

MOST_CHECKED = 20_000
"""Images that `fit` compares with each other: about fifteen seconds."""

_FINDINGS = TypeAdapter(tuple[Finding, ...])
_MOST_TOLD = 3


def check_images(
    run: RunFolder,
    images: ImageSet,
    job: Job,
    watcher: Watcher,
    *,
    options: Sequence[str] = (),
    network_size: tuple[int, int] | None = None,
) -> None:
    """Check the images before training, once: errors and warnings get a line each, all is kept.

    `options` are what `residua check` needs to read the source alike; `network_size` is the
    (height, width) that the network will see.
    """
    of_what = {
        "fingerprint": images.fingerprint,
        "normal": None if images.normal is None else list(images.normal),
    }
    if _kept(run).items() >= of_what.items():
        return
    started = time.perf_counter()
    found = check_sources(
        [images],
        most_compared=MOST_CHECKED,
        network_size=network_size,
        progress=watcher.on_read,
    )
    if job == "reconstruct":  # labels mean nothing to it
        found = replace(
            found,
            findings=tuple(one for one in found.findings if one.code != class_balance.KIND.code),
        )
    write_json(run.check, {**found.to_json(), **of_what})
    if found.hint is not None:
        watcher.note(found.hint)
    serious = [one for one in found.findings if one.severity in ("error", "warning")]
    seconds = time.perf_counter() - started
    checked = (
        f"checked {count(len(images), 'image')}{of_groups(images.n_groups)} in {seconds:.0f} s"
    )
    if not serious:
        watcher.note(f"{checked}: nothing that would spoil a result")
        return
    for one in serious[:_MOST_TOLD]:
        watcher.note(f"{one.severity}: {one.code}: {_first_sentence(one.meaning)}")
    command = shlex.join(["residua", "check", str(images.source), *options])
    more = "" if len(serious) <= _MOST_TOLD else f" and {len(serious) - _MOST_TOLD} more"
    watcher.note(f"{checked}. What to do about it{more}: {command}")


def read_check(run: RunFolder) -> tuple[Finding, ...]:
    """What was found before training, but what is fine; nothing where a run has none, as those of
    older versions.
    """
    try:
        kept = _FINDINGS.validate_python(_kept(run).get("findings", ()))
    except ValidationError:
        return ()
    return tuple(one for one in kept if one.severity != "ok")


def _kept(run: RunFolder) -> dict[str, Any]:
    try:
        found = read_json(run.check)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _first_sentence(text: str) -> str:
    head, stop, _ = text.partition(". ")
    return head if stop else text.removesuffix(".")
