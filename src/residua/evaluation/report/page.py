"""An evaluation as one HTML file that opens offline: template, style, script, numbers and pictures
in one.
"""

from __future__ import annotations

import base64
import hashlib
import json
import string
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from residua import _files as files
from residua.errors import InputError
from residua.evaluation import per_day
from residua.evaluation.evidence import Evidence
from residua.evaluation.report import classes, interactive, numbers, opening, sections, words
from residua.evaluation.report.by_kind import by_kind
from residua.evaluation.report.comparison import comparison
from residua.evaluation.report.gallery import gallery
from residua.evaluation.report.markup import Html, element, join, render
from residua.evaluation.report.overview import overview
from residua.evaluation.report.payload import report_payload
from residua.evaluation.report.products import by_product
from residua.evaluation.report.shift import shift_sentences
from residua.records import Evaluation

# With d3 and Plot (0.5 MB) and the numbers of 10,000 images (1 to 2 MB) a page stays well under ten
# megabytes.
_PICTURE_BUDGET = 3_000_000
_FIGURE_BUDGET = 1_200_000
_THUMBNAIL_BUDGET = 3_200_000
PAGE_SCRIPTS = ("d3.min.js", "plot.umd.min.js", "strips.js", "report.js")

Job = tuple[Evaluation, Evidence]


def write_html(
    path: str | Path,
    title: str,
    jobs: Evaluation | Sequence[Job | Evaluation],
    *,
    subtitle: str | None = None,
    names: Sequence[str] | None = None,
) -> Path:
    """Write the report of one or several jobs as one self-contained HTML file, atomically.

    Parameters
    ----------
    path
        Where the file goes; its folder must exist.
    title
        The page's heading.
    jobs
        An evaluation, or several, or pairs of one and the arrays behind it; each
        becomes a tab. Two of one job on the same images are compared.
    subtitle
        One line below the title.
    names
        What the jobs are called, one each; by default what they do.

    Returns
    -------
    Path
        `path`. The file makes no request of any kind and a content security policy in it forbids
        them.

    Raises
    ------
    InputError
        If `jobs` is empty, or there is not one name a job.
    OutputError
        If the place cannot be written.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> record = Evaluation(job="detect", n_images=2, split="test")
    >>> arrays = Evidence(paths=np.array(["a.png", "b.png"]), scores=np.array([0.1, 0.9]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_html(f"{folder}/report.html", "Two parts", [(record, arrays)]).name
    'report.html'
    """
    if isinstance(jobs, Evaluation):
        jobs = [jobs]
    if wrong := [one for one in jobs if not isinstance(one, (tuple, Evaluation))]:
        raise InputError(
            "write_html: jobs must be evaluations, or pairs of an evaluation and its arrays. Got"
            f" {type(wrong[0]).__name__}. Pass what evaluate gave."
        )
    if not jobs:
        raise InputError(
            "write_html: there must be something to report. Got no jobs. Pass at least one"
            " (evaluation, evidence)."
        )
    if names is not None and len(names) != len(jobs):
        raise InputError(
            f"write_html: there must be one name per job. Got {len(names)} for {len(jobs)}. Name"
            " each, or none."
        )
    path = Path(path)
    pairs = [with_arrays(one, "write_html") if isinstance(one, Evaluation) else one for one in jobs]
    files.write_text(path, page(title, pairs, subtitle=subtitle, names=names))
    return path


def with_arrays(record: Evaluation, where: str) -> Job:
    """A record with the arrays behind it; raises InputError if there are none."""
    if record.evidence is None:
        raise InputError(
            f"{where}: arrays must lie behind the record. Got one without. {mend_bare(record)}."
        )
    return record, record.evidence


def mend_bare(record: Evaluation) -> str:
    """What to do about a record without arrays."""
    if "element_wise_accuracy" in record.metrics:
        return (
            "A record of several labels keeps none: use its metrics, or evaluate one label at a"
            " time by evaluate_classification(labels[:, k], predictions[:, k])"
        )
    return 'Add the arrays of its run: record.with_evidence(Evidence.load("RUN/evidence.npz"))'


def page(
    title: str,
    jobs: Sequence[Job],
    *,
    subtitle: str | None = None,
    names: Sequence[str] | None = None,
    share: float = 1.0,
) -> str:
    """The whole page as text, with this `share` of the pictures that a file holds."""
    keys = [f"job{number}" for number in range(len(jobs))]
    titles = job_titles(jobs) if names is None else list(names)
    body = join(
        front_html(keys, titles, jobs),
        _tabs(keys, titles),
        (job_html(key, *job, len(jobs), share) for key, job in zip(keys, jobs, strict=True)),
    )
    data = {
        **report_payload(dict(zip(keys, jobs, strict=True)), int(_THUMBNAIL_BUDGET * share)),
        "titles": titles,
    }
    scripts = [asset(name) for name in PAGE_SCRIPTS]
    return string.Template(asset("report.html")).substitute(
        policy=_policy(scripts),
        title=render(title),
        subtitle=element("p", subtitle, class_="subtitle") if subtitle else "",
        style=asset("base.css") + asset("report.css"),
        body=body,
        footer=_footer(jobs),
        data=script_json(data),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
    )


def script_json(value: Any) -> str:
    r"""Strict JSON that cannot end or open a tag where it stands inside ``<script>``.

    >>> print(script_json({"path": "</script><b>"}))
    {"path":"\u003c/script\u003e\u003cb\u003e"}
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _policy(scripts: list[str]) -> str:
    """Nothing from the network, and no script but the very ones that are in the file."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'"
        for one in scripts
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {hashes};"
        " base-uri 'none'; form-action 'none'"
    )


def asset(name: str) -> str:
    """A file of the page as text."""
    return (
        resources.files("residua.evaluation.report")
        .joinpath("assets", name)
        .read_text(encoding="utf-8")
    )


def front_html(keys: Sequence[str], titles: Sequence[str], jobs: Sequence[Job]) -> Html:
    """What stands before several jobs: an overview, and the comparison of two runs."""
    return join(
        overview(keys, titles, [evaluation for evaluation, _ in jobs]),
        comparison(jobs, titles, _FIGURE_BUDGET // 3),
    )


def _tabs(keys: list[str], titles: list[str]) -> Html | None:
    if len(keys) < 2:
        return None
    tabs = (
        element(
            "button",
            title,
            type="button",
            role="tab",
            id=f"{key}-tab",
            aria_controls=key,
            aria_selected="false",
        )
        for key, title in zip(keys, titles, strict=True)
    )
    return element("div", tabs, class_="tabs", role="tablist", aria_label="Jobs")


def job_titles(jobs: Sequence[Job]) -> list[str]:
    """One title a job; two of a kind are told apart by their recipe or number."""
    plain = [words.JOB_TITLES[evaluation.job] for evaluation, _ in jobs]
    titles: list[str] = []
    for number, (evaluation, _) in enumerate(jobs):
        title = plain[number]
        if plain.count(title) > 1:
            title = f"{title}: {evaluation.provenance.get('recipe') or number + 1}"
        titles.append(title if titles.count(title) == 0 else f"{title} ({number + 1})")
    return titles


def job_html(
    key: str, evaluation: Evaluation, evidence: Evidence, n_jobs: int, share: float = 1.0
) -> Html:
    """One job of the page; elements that hold a figure are named by ``data-figure``."""
    top = element(
        "header",
        element("h2", words.JOB_TITLES[evaluation.job], id=f"{key}-title"),
        verdict_box(key, evaluation),
        element(
            "p", opening.opening(evaluation), class_="verdict-line", data_figure=f"{key}/verdict"
        ),
        _per_day(key, evaluation),
        _shift(key, evaluation, evidence),
        _next(key, evaluation),
        _alarms(key, evaluation),
        sections.top_facts(evaluation),
        class_="job-top",
    )
    return element(
        "article",
        top,
        sections.findings(key, evaluation, evidence.figures, int(_FIGURE_BUDGET * share) // n_jobs),
        numbers.metrics(key, evaluation),
        by_kind(key, evaluation, evidence),
        by_product(key, evaluation),
        interactive.scores(key, evaluation, evidence),
        classes.classes(key, evidence),
        classes.class_curves(key, evidence),
        gallery(key, evaluation, evidence, int(_PICTURE_BUDGET * share) // n_jobs),
        numbers.baselines(key, evaluation),
        interactive.history(key, evidence),
        interactive.per_image(key, evidence),
        sections.quarantined(key, evidence.quarantined),
        sections.assumptions(key, evaluation),
        sections.not_applicable(key, evaluation),
        sections.provenance(key, evaluation),
        class_="job tabbed" if n_jobs > 1 else "job",
        id=key,
        role="tabpanel" if n_jobs > 1 else None,
        aria_labelledby=f"{key}-tab" if n_jobs > 1 else f"{key}-title",
        data_job=evaluation.job,
    )


def _per_day(key: str, evaluation: Evaluation) -> Html | None:
    said = per_day.sentence(evaluation.provenance.get(per_day.PER_DAY))
    return element("p", said, data_figure=f"{key}/per_day") if said else None


def verdict_box(key: str, evaluation: Evaluation) -> Html | None:
    """The verdict in one word, with its reasons."""
    found = evaluation.verdict
    if found is None:
        return None
    loud, more = opening.WORDS[found.word]
    return element(
        "div",
        element(
            "p",
            element("strong", loud.capitalize()),
            more,
            class_="word",
            data_figure=f"{key}/verdict/word",
        ),
        element(
            "ul",
            (element("li", one) for one in found.because),
            class_="because",
            data_figure=f"{key}/verdict/because",
        ),
        class_=f"verdict-box {found.word.replace(' ', '-')}",
    )


def _shift(key: str, evaluation: Evaluation, evidence: Evidence) -> Html | None:
    """What can be said of images without labels."""
    said = shift_sentences(evaluation, evidence)
    return element("p", " ".join(said), data_figure=f"{key}/shift") if said else None


def _next(key: str, evaluation: Evaluation) -> Html | None:
    told = opening.next_step(evaluation)
    if told is None:
        return None
    return element(
        "p", element("strong", "Next: "), told[0], class_="next", data_figure=f"{key}/next"
    )


def _alarms(key: str, evaluation: Evaluation) -> Html | None:
    counts = words.counted_severities(evaluation.findings)
    if not counts:
        return None
    badges = [element("span", said, class_=f"badge {name}") for name, said in counts.items()]
    link = element("a", badges, href=f"#{key}-findings", aria_label="To the findings")
    return element("p", link, class_="alarms")


def _footer(jobs: Sequence[Job]) -> Html:
    version = next(
        (str(one.provenance["version"]) for one, _ in jobs if one.provenance.get("version")), ""
    )
    made = f"Made by residua {version}".strip()
    return element(
        "p",
        f"{made}. This file holds all it shows and asks the network for nothing. Charts: Observable"
        " Plot and D3 (ISC licence).",
    )
