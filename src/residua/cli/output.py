"""What commands do with an evaluation: tables, JSON, HTML, and the gate."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from residua._text import speaks_unicode
from residua.errors import GateError, OutputError

if TYPE_CHECKING:
    from residua.evaluation import Evidence
    from residua.records import Assumption, Evaluation


def show(
    evaluation: Evaluation,
    evidence: Evidence,
    *,
    json: Path | None,
    html: Path | None,
    title: str,
    quiet: bool = False,
    told_before: Collection[Assumption] = (),
) -> None:
    """Write what was asked for, and print the tables (not where JSON goes to standard output)."""
    from residua.evaluation.report import print_evaluation, to_json, write_html

    # Files first: who reads the first lines alone (`| head`) ends the command while it prints.
    if html is not None:
        write_html(html, title, [(evaluation, evidence)])
    emit_json(to_json(evaluation), json)
    if not quiet and not is_stdout(json):
        print_evaluation(evaluation, evidence, told_before=told_before)


def check_targets(*targets: Path | None) -> None:
    """Refuse output files that cannot be written, before the work begins and not after it."""
    from residua._files import ensure_folder

    for target in targets:
        if target is None or is_stdout(target):
            continue
        ensure_folder(target.parent, where=str(target))
        if target.is_dir():
            raise OutputError(
                f"{target}: the output must be a file. Got a folder. Name a file in it."
            )


def emit_json(value: Any, target: Path | None) -> None:
    """Write JSON to a file, atomically, to standard output where the name is ``-``, or nowhere."""
    from residua._files import write_json

    if is_stdout(target):
        is_ascii = not speaks_unicode(sys.stdout)
        text = json_module.dumps(value, indent=1, ensure_ascii=is_ascii, allow_nan=False)
        sys.stdout.write(text + "\n")
    elif target is not None:
        write_json(target, value)


def is_stdout(target: Path | None) -> bool:
    """Whether `target` is the dash that means standard output."""
    return target is not None and str(target) == "-"


def refuse_if_strict(*evaluations: Evaluation, strict: bool) -> None:
    """Raise `GateError` if `strict` and a finding of severity error stands."""
    refuse_findings(
        [finding for evaluation in evaluations for finding in evaluation.findings], strict=strict
    )


def refuse_findings(findings: Sequence[Any], *, strict: bool) -> None:
    """Raise `GateError` naming the findings of severity error, if `strict`."""
    codes = sorted({finding.code for finding in findings if finding.severity == "error"})
    if strict and codes:
        raise GateError(
            "--strict: the result must have no finding of severity error. Got"
            f" {', '.join(codes)}. Do what they advise, or drop --strict."
        )
