"""`residua verify`: a report, judged by what it carries."""

from __future__ import annotations

import hashlib
from pathlib import Path

from residua._version import __version__
from residua.evaluation import Evidence
from residua.evaluation.report.gallery import facts_line
from residua.evaluation.report.page import PAGE_SCRIPTS, asset, front_html, job_html
from residua.evaluation.verification.dossier import read_dossier, verify_dossier
from residua.evaluation.verification.numbers import VerifiedNumber, figures
from residua.evaluation.verification.page import Page, read_page, read_text
from residua.evaluation.verification.payload import carried_jobs, carried_titles
from residua.evaluation.verification.printed import Verification, drawn, foreign, printed
from residua.evaluation.verification.recomputation import recompute
from residua.records import SCHEMA_VERSION

_NOT_CARRIED = ("gallery", "quarantined", "strip", "history")  # sections of other arrays


def verify_report(path: str | Path) -> Verification:
    """Make every figure of a report or a dossier again from the scores and labels in it. Nothing in
    the file is executed.

    First the record inside the page is compared with what its arrays give, then the text of each
    figure on the page with what residua writes for that record. Raises SourceError if the file is
    no report of residua, too large, or its data is damaged.

    >>> import tempfile, numpy as np
    >>> from residua import evaluate_detection, write_html
    >>> labels, scores = np.array([False, False, True]), np.array([0.1, 0.4, 0.3])
    >>> evidence = Evidence(paths=np.array(["a", "b", "c"]), scores=scores, is_anomalous=labels)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_html(
    ...         f"{folder}/report.html", "Three", [(evaluate_detection(labels, scores), evidence)]
    ...     )
    ...     found = verify_report(page)
    >>> len(found.figures) > 5, found.differing
    (True, ())
    """
    given = read_dossier(path)
    if given is not None:
        return verify_dossier(*given, str(path))
    page = read_page(path)
    jobs = carried_jobs(page.data, str(path))
    titles = carried_titles(page.data, list(jobs), str(path))
    found: list[VerifiedNumber] = []
    texts: dict[str, str] = {}
    sections: list[str] = []
    pairs = []
    for key, job in jobs.items():
        evidence = job.evidence(titles[key])
        pairs.append((job.record, evidence))
        found += figures(titles[key], job, evidence, recompute(job.record, evidence))
        html = str(job_html(key, job.record, evidence, len(jobs)))
        texts |= _expected_texts(key, html, evidence, page)
        sections += [*read_text(html).sections, *_of_other_arrays(page, key)]
    front = str(front_html(list(jobs), list(titles.values()), pairs))
    texts |= drawn(front)
    sections += read_text(front).sections
    is_older = any(job.record.schema_version < SCHEMA_VERSION for job in jobs.values())
    found += printed(page, texts, titles, is_older=is_older)
    found += foreign(page, sections)
    made_by = next(
        (
            str(one.record.provenance["version"])
            for one in jobs.values()
            if one.record.provenance.get("version")
        ),
        "",
    )
    found.append(_scripts(page))
    return Verification(tuple(found), made_by, __version__)


def _expected_texts(key: str, html: str, evidence: Evidence, page: Page) -> dict[str, str]:
    """What residua writes at each figure of this job, pictures' captions included."""
    texts = drawn(html)
    for name in page.figures:
        start, _, index = name.rpartition("/")
        if start == f"{key}/gallery" and index.isdigit() and int(index) < len(evidence.paths):
            texts[name] = facts_line(evidence, int(index))
    return texts


def _of_other_arrays(page: Page, key: str) -> list[str]:
    """The sections of the page whose arrays are not made evidence again."""
    starts = tuple(f"{key}-{name}" for name in _NOT_CARRIED)
    return [name for name in page.sections if name.startswith(starts)]


def _scripts(page: Page) -> VerifiedNumber:
    known = {hashlib.sha256(asset(name).encode()).hexdigest() for name in PAGE_SCRIPTS}
    foreign = sum(one not in known for one in page.scripts)
    said = f"{len(page.scripts)} scripts"
    if foreign == 0 and len(page.scripts) == len(known):
        return VerifiedNumber("page", "scripts", said, f"those of residua {__version__}", "same")
    return VerifiedNumber(
        "page", "scripts", said, f"{foreign} are not of residua {__version__}", "differs"
    )
