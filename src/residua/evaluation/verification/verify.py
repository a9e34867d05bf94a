"""`residua verify`: a report, judged by what it carries."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from residua._version import __version__
from residua.evaluation import Evidence
from residua.evaluation.report.gallery import facts_line
from residua.evaluation.report.page import PAGE_SCRIPTS, front_html, job_html, script_text
from residua.evaluation.verification.numbers import VerifiedNumber, figures
from residua.evaluation.verification.page import Page, read_page, read_text
from residua.evaluation.verification.payload import carried_jobs, carried_titles
from residua.evaluation.verification.recomputation import recompute
from residua.records import SCHEMA_VERSION

_MOST_TEXTS = 60  # figures of a page that differ, listed one by one
_NOT_CARRIED = ("gallery", "quarantined", "strip", "history")  # sections of other arrays
_ABSENT = "absent"
_NUMBER = re.compile(r"\d[\d,.]*")


@dataclass(frozen=True)
class Verification:
    """Every figure that was looked at, and the versions of residua that made and that verified the
    report.
    """

    figures: tuple[VerifiedNumber, ...]
    made_by: str
    verified_with: str

    @property
    def differing(self) -> tuple[VerifiedNumber, ...]:
        """Figures that the report's own data does not give."""
        return tuple(one for one in self.figures if one.verdict == "differs")

    @property
    def not_carried(self) -> tuple[VerifiedNumber, ...]:
        """Figures that it takes more than the report to make again."""
        return tuple(one for one in self.figures if one.verdict == "not carried")


def verify_report(path: str | Path) -> Verification:
    """Make every figure of a report again from the scores and labels in it. Nothing in the file is
    executed.

    First the record inside the page is compared with what its arrays give, then the text of each
    figure on the page with what residua writes for that record.

    Raises
    ------
    SourceError
        If the file is no report of residua, too large, or its data is damaged.

    Examples
    --------
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
    texts |= _drawn(front)
    sections += read_text(front).sections
    is_older = any(job.record.schema_version < SCHEMA_VERSION for job in jobs.values())
    found += _texts(page, texts, titles, is_older=is_older)
    found += _foreign(page, sections)
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
    texts = _drawn(html)
    for name in page.figures:
        start, _, index = name.rpartition("/")
        if start == f"{key}/gallery" and index.isdigit() and int(index) < len(evidence.paths):
            texts[name] = facts_line(evidence, int(index))
    return texts


def _drawn(html: str) -> dict[str, str]:
    return {name: values[0] for name, values in read_text(html).figures.items()}


def _texts(
    page: Page, expected: dict[str, str], titles: dict[str, str], *, is_older: bool
) -> Iterator[VerifiedNumber]:
    """The figures as they are printed: one line for those that agree, one each for those that do
    not.

    A page of an earlier version says some things in other words. Its sentences are held to their
    numbers: each has to occur in what today's sentence says.
    """
    n_same, unlike = 0, []
    for name in [*expected, *(name for name in page.figures if name not in expected)]:
        said, made = page.figures.get(name, [_ABSENT]), expected.get(name, "nothing of residua's")
        if said == [made]:
            n_same += 1
            continue
        if is_older and name in expected and _numbers(" ".join(said)) <= _numbers(made):
            n_same += 1
            continue
        key, _, rest = name.partition("/")
        unlike.append(
            VerifiedNumber(
                titles.get(key, key),
                f"printed {rest}",
                _shorter(" | ".join(said)),
                _shorter(made),
                "differs",
            )
        )
    yield VerifiedNumber(
        "page",
        "figures as printed",
        f"{len(expected):,}",
        f"{n_same:,} the same",
        "differs" if unlike else "same",
    )
    yield from unlike[:_MOST_TEXTS]


def _numbers(text: str) -> Counter[str]:
    return Counter(_NUMBER.findall("" if text == _ABSENT else text))


def _of_other_arrays(page: Page, key: str) -> list[str]:
    """The sections of the page whose arrays are not made evidence again."""
    starts = tuple(f"{key}-{name}" for name in _NOT_CARRIED)
    return [name for name in page.sections if name.startswith(starts)]


def _foreign(page: Page, sections: list[str]) -> Iterator[VerifiedNumber]:
    """Each section of the page that residua does not write for these data."""
    for name in page.sections:
        if name not in sections:
            made = "nothing of residua's"
            yield VerifiedNumber("page", f"section {name}", "present", made, "differs")


def _scripts(page: Page) -> VerifiedNumber:
    known = {hashlib.sha256(script_text(name).encode()).hexdigest() for name in PAGE_SCRIPTS}
    foreign = sum(one not in known for one in page.scripts)
    said = f"{len(page.scripts)} scripts"
    if foreign == 0 and len(page.scripts) == len(known):
        return VerifiedNumber("page", "scripts", said, f"those of residua {__version__}", "same")
    return VerifiedNumber(
        "page", "scripts", said, f"{foreign} are not of residua {__version__}", "differs"
    )


def _shorter(text: str) -> str:
    return text if len(text) <= 100 else f"{text[:97]}..."
