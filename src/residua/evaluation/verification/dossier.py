"""`residua verify` of a dossier: made again from the artefacts that it carries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from residua._files import in_a_line, read_json
from residua._version import __version__
from residua.errors import SourceError
from residua.evaluation.dossier import Dossier, assemble
from residua.evaluation.dossier.page import dossier_html
from residua.evaluation.verification.numbers import Agreement, VerifiedNumber, figures
from residua.evaluation.verification.page import MOST_MEGABYTES, Page, read_page, read_text
from residua.evaluation.verification.payload import carried_jobs, carried_titles
from residua.evaluation.verification.printed import Verification, drawn, foreign, printed, shorter
from residua.evaluation.verification.recomputation import recompute

_JOB = "Dossier"


def read_dossier(path: str | Path) -> tuple[Dossier, Page | None] | None:
    """The dossier in a file, with its page where it is HTML; None where the file is another HTML.

    Raises SourceError if the file cannot be read, or its data is damaged.
    """
    page = None
    if Path(path).suffix.lower() == ".json":
        try:
            data = read_json(path, MOST_MEGABYTES * 1_000_000)
        except (OSError, ValueError) as error:
            raise SourceError(
                f"{path}: must be a readable JSON file. Got: {in_a_line(error)}. Name a dossier of"
                " residua."
            ) from None
    else:
        page = read_page(path)
        data = page.data
        if data.get("format") != "residua-dossier":
            return None
    try:
        return Dossier.model_validate(data), page
    except ValidationError as error:
        raise SourceError(
            f"{path}: the data must be a dossier that residua wrote. Got: {in_a_line(error)}."
            " Write the dossier again."
        ) from None


def verify_dossier(said: Dossier, page: Page | None, where: str) -> Verification:
    """Make a dossier again from what it carries; see `verify_report`."""
    found: list[VerifiedNumber] = []
    record = evidence = None
    if said.report is not None:
        jobs = carried_jobs(said.report, where)
        titles = carried_titles(said.report, list(jobs), where)
        key, job = next(iter(jobs.items()))
        evidence, record = job.evidence(titles[key]), job.record
        found += figures(titles[key], job, evidence, recompute(record, evidence))
    try:
        made = assemble(
            said.artefacts,
            record,
            evidence,
            made_by=said.made_by,
            date=said.date,
            report=said.report,
        )
    except ValueError as error:
        raise SourceError(
            f"{where}: the artefacts in the dossier must be whole. Got: {in_a_line(error)}. Write"
            " the dossier again."
        ) from None
    found += _beside(said, made)
    if page is not None:
        html = str(dossier_html(made))
        found += printed(page, drawn(html), {}, is_older=said.made_by != __version__)
        found += foreign(page, list(read_text(html).sections))
        n = len(page.scripts)
        verdict: Agreement = "differs" if n else "same"
        found.append(VerifiedNumber("page", "scripts", f"{n} scripts", "none", verdict))
    return Verification(tuple(found), said.made_by, __version__, made.broken)


def _beside(said: Dossier, made: Dossier) -> Iterator[VerifiedNumber]:
    """The dossier's own words beside those that follow from its artefacts."""
    yield _one("acceptance criteria", said.word, made.word)
    yield _one("reasons", list(said.because), list(made.because))
    for index, result in enumerate(made.criteria):
        told = said.criteria[index] if index < len(said.criteria) else None
        yield _one(result.criterion, _plain(told), _plain(result))
    if len(said.criteria) > len(made.criteria):
        yield _one("criteria", len(said.criteria), len(made.criteria))
    by_key = {one.key: one for one in said.headings}
    for heading in made.headings:
        told_of = by_key.pop(heading.key, None)
        yield _one(heading.title, _plain(told_of), _plain(heading), brief=heading.state)
    for key in by_key:
        yield _one(key, "present", "nothing of residua's")


def _plain(record: Any) -> Any:
    return "absent" if record is None else record.model_dump(mode="json")


def _one(name: str, said: Any, made: Any, *, brief: str = "") -> VerifiedNumber:
    if said == made:
        text = brief or shorter(_text(said))
        return VerifiedNumber(_JOB, name, text, text, "same")
    if isinstance(said, dict) and isinstance(made, dict):
        field = next(key for key in made if said.get(key) != made[key])
        name, said, made = f"{name}: {field}", said.get(field), made[field]
    if isinstance(said, list) and isinstance(made, list):
        pairs = [pair for pair in zip(said, made, strict=False) if pair[0] != pair[1]]
        said, made = pairs[0] if pairs else (f"{len(said)} lines", f"{len(made)} lines")
    return VerifiedNumber(_JOB, name, shorter(_text(said)), shorter(_text(made)), "differs")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
