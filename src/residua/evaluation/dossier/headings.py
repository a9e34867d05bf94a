"""The headings of a dossier: each with the artefacts that back it and the checks that a machine
made of them, or open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from residua._files import checksum
from residua._text import few
from residua.evaluation.dossier.artefacts import Check, Heading, Known, check, heading
from residua.evaluation.dossier.criteria import figure_words
from residua.evaluation.dossier.order import fixed, independence
from residua.evaluation.dossier.protocol import is_chained, rows_of, unpacked_digests
from residua.evaluation.evidence import Evidence
from residua.evaluation.products import PRODUCTS
from residua.evaluation.report.public import to_json
from residua.images.hashing import fingerprint
from residua.metrics.groups import Groups
from residua.metrics.names import metric_words


def use(known: Known) -> Heading:
    """What the model is for."""
    told = None if known.criteria is None else known.criteria.use
    if told is None:
        said = ("Nobody wrote it down before the test: the criteria hold no table [use].",)
        return heading("use", "Intended use", (), said=said)
    lines = (
        ("Purpose", told.purpose),
        ("Images", told.images),
        ("Not for", told.not_for),
        ("Responsible", told.responsible),
    )
    named = [f"{name}: {text}" for name, text in lines if text]
    return heading("use", "Intended use", known.files("acceptance.json"), said=named)


def data(known: Known) -> Heading:
    """Parts, labels and fingerprints."""
    own, rows, checks = known.artefacts, [], []
    for name, packed in own.parts.items():
        digests = unpacked_digests(packed)
        labels = ", ".join(
            f"{label or 'no label'}: {n:,}" for label, n in own.labels.get(name, {}).items()
        )
        made = fingerprint(rows_of(digests))
        rows.append((name, f"{len(digests):,}", labels, made))
        told = own.fingerprints.get(name)
        if told is not None and name != "train":  # that of train is of two parts
            checks.append(
                check(
                    f"fingerprint of {name}",
                    told == made,
                    f"The {name} images are those that the bundle names.",
                    f"The {name} images are not those that the bundle names.",
                )
            )
    titles = ("Part", "Images", "Labels", "Fingerprint of the pixels")
    artefacts = known.files("images.csv", "bundle/bundle.json") if rows else ()
    said = () if rows else ("The run keeps no list of its images.",)
    return heading(
        "data", "Data and parts", artefacts, said=said, checks=checks, columns=titles, rows=rows
    )


def sample(known: Known) -> Heading:
    """How many images were judged, how many were asked for, and how many it takes."""
    title, record, evidence = "Sample sizes and why", known.evaluation, known.evidence
    if record is None or evidence is None:
        return heading("sample", title, (), said=("Nothing was judged yet.",))
    kinds, normal, n_groups = _kinds(known, evidence)
    anomalous = sum(kinds.values())
    least, asked = known.criteria, []
    if least is not None:
        of_all = (
            ("images", record.n_images, least.sample.images),
            ("normal", normal, least.sample.normal),
            ("anomalous", anomalous, least.sample.anomalous),
            ("groups", n_groups, least.sample.groups),
        )
        asked += [(name, n, wanted) for name, n, wanted in of_all if wanted]
        fewest = {**dict.fromkeys(kinds, least.sample.each_kind), **least.kinds}
        asked += [(kind, kinds.get(kind, 0), n) for kind, n in fewest.items() if n]
    checks = [
        check(
            f"enough: {name}",
            n >= wanted,
            f"{name}: {n:,}, at least {wanted:,} asked for.",
            f"{name}: {n:,}, but at least {wanted:,} were asked for.",
        )
        for name, n, wanted in asked
    ]
    missing = sorted(kind for kind, n in kinds.items() if n == 0)
    if kinds:
        checks.append(
            check(
                "no kind is missing",
                not missing,
                "Every kind or class of the run's source is in the test.",
                f"Kinds or classes of the run's source that are not in the test: {few(missing)}.",
            )
        )
    if PRODUCTS in record.provenance:
        each = record.provenance[PRODUCTS]["each"]
        bare = sorted(
            name for name, one in each.items() if not one["n_normal"] + one["n_anomalous"]
        )
        checks.append(
            check(
                "no product is missing",
                not bare,
                f"All {len(each):,} products of the model are in the test.",
                f"Products of the model of which nothing was judged: {few(bare)}.",
            )
        )
    rows = []
    for rule in known.criteria.criteria if known.criteria else ():
        if (needed := rule.images_needed()) is not None:
            estimate = record.metrics.get(rule.metric)
            had = "none" if estimate is None else f"{estimate.n:,}"
            worth = None if estimate is None else estimate.n_effective
            had += "" if worth is None else f", worth {worth:,.0f}"
            rows.append((rule.words, f"{needed:,}", had))
    counted = ", ".join(f"{kind}: {n:,}" for kind, n in sorted(kinds.items()))
    of_classes = evidence.is_anomalous is None
    said = [f"{record.n_images:,} images: {normal:,} normal, {anomalous:,} anomalous."]
    said = [f"{record.n_images:,} images."] if of_classes else said
    said += [f"By {'class' if of_classes else 'kind'}: {counted}."] if counted else []
    said += [f"{n_groups:,} groups."] if n_groups else []
    titles = ("Criterion", "Images it takes with no error", "Images judged")
    files = known.files("evaluation.json", "evidence.npz")
    return heading(
        "sample", title, files, said=tuple(said), checks=checks, columns=titles, rows=rows
    )


def _kinds(known: Known, evidence: Evidence) -> tuple[dict[str, int], int, int]:
    """Images of each anomalous label (0 for one that only other parts hold), of normal ones, and
    groups. Of a classifier, each class is a kind.
    """
    codes = () if evidence.groups is None else Groups.read(evidence.groups).codes
    n_groups = len(np.unique(codes))
    if evidence.is_anomalous is None and (evidence.labels is None or evidence.labels.ndim > 1):
        return {}, 0, n_groups
    flags = (
        np.array([label is not None for label in np.asarray(evidence.labels).tolist()])
        if evidence.is_anomalous is None
        else np.asarray(evidence.is_anomalous, np.bool_)
    )
    is_known = (
        flags | True if evidence.labelled is None else np.asarray(evidence.labelled, np.bool_)
    )
    normal = int((~flags & is_known).sum())
    if evidence.labels is None:
        return {"anomalous": int((flags & is_known).sum())}, normal, n_groups
    labels = np.asarray(evidence.labels, object)
    named = {str(one) for one in labels[~flags & is_known].tolist()} | set(known.artefacts.normal)
    elsewhere = [
        label
        for counts in known.artefacts.labels.values()
        for label in counts
        if label and label not in named
    ]
    is_own = known.accepted is None or known.accepted.source is None
    kinds = dict.fromkeys(elsewhere if is_own else [], 0)
    kinds |= Counter(str(one) for one in labels[flags & is_known].tolist())
    return kinds, normal, n_groups


def figure_checks(known: Known) -> list[Check]:
    """Whether the stored evaluation is the one that was made, of the model as it is."""
    own, record = known.artefacts, known.evaluation
    if record is None:
        return []
    made = checksum(to_json(record))
    point = record.operating_point
    threshold = None if point is None else point.threshold
    same = [one for one in known.looks if one.evaluation == made and one.threshold == threshold]
    weights = own.files.get("bundle/model.safetensors")
    engine = str(record.provenance.get("engine") or "")
    thresholds = {one.threshold for one in known.looks if one.engine == engine}
    return [
        check(
            "evaluation as it was made",
            bool(same),
            "The stored evaluation has the checksum that was recorded when it was made.",
            "The stored evaluation is not one that was recorded when it was made.",
        ),
        check(
            "weights",
            None if weights is None else weights == own.weights,
            "The file of the weights is the one that the bundle names.",
            "The file of the weights is not the one that the bundle names.",
            "The run holds no file of weights that residua wrote.",
        ),
        check(
            "model and threshold as tested",
            own.fit == "fits",
            "The run has the model and the threshold that were tested.",
            f"The run has {own.fit} now, and not what was tested.",
        ),
        check(
            "one threshold",
            len(thresholds) <= 1,
            "These images were judged at one threshold alone.",
            f"These images were judged at {len(thresholds)} thresholds, one after the other.",
        ),
        check(
            "record of evaluations",
            is_chained(own.tested),
            "Each entry in the record of evaluations names the one before it.",
            "An entry in the record of evaluations is missing or was changed.",
        ),
    ]


def figures(known: Known) -> Heading:
    """Every figure of the test, with its interval."""
    title, record = "Figures of the test", known.evaluation
    if record is None:
        return heading("figures", title, (), said=("Nothing was judged yet.",))
    rows = [
        (metric_words(name).label, figure_words(name, one)) for name, one in record.metrics.items()
    ]
    return heading(
        "figures",
        title,
        known.files("evaluation.json", "evidence.npz", "tested.json"),
        checks=figure_checks(known),
        columns=("Figure", "Value [interval] of images"),
        rows=rows,
    )


def blind_spots(known: Known) -> Heading:
    """What was planted into normal images and not flagged."""
    title, record = "Blind spots", known.evaluation
    found = [
        one
        for one in (record.findings if record else ())
        if one.code in ("blind-spots", "small-defects")
    ]
    if not any(one.code == "blind-spots" for one in found):
        said = ("No changes were planted into images of this evaluation.",)
        return heading("blind-spots", title, (), said=said)
    return heading(
        "blind-spots",
        title,
        known.files("evaluation.json"),
        said=tuple(one.meaning for one in found),
    )


def limits(known: Known) -> Heading:
    """The verdict and the findings that an operator must know."""
    title, record = "Limits of use", known.evaluation
    if record is None:
        return heading("limits", title, (), said=("Nothing was judged yet.",))
    said: list[str] = []
    if record.verdict is not None:
        more = " to be usable" if record.verdict.word == "not shown" else ""
        said = [f"Verdict: {record.verdict.word}{more}.", *record.verdict.because]
    rows = [
        (one.severity, one.code, one.meaning, one.what_to_do)
        for severity in ("error", "warning")
        for one in record.findings
        if one.severity == severity
    ]
    titles = ("Severity", "Finding", "What it means", "What to do")
    return heading(
        "limits", title, known.files("evaluation.json"), said=tuple(said), columns=titles, rows=rows
    )


def monitoring(known: Known) -> Heading:
    """What a watch says of the line."""
    title, told = "How it is monitored", known.artefacts.watch
    if told is None:
        said = ("No watch has written its table into the run: `residua watch RUN FOLDER`.",)
        return heading("monitoring", title, (), said=said)
    drift: Any = told.get("drift") or {}
    alarms = [str(one.get("words", "")) for one in drift.get("alarms", ())]
    said = (
        f"{told.get('n_images', 0):,} images watched, {told.get('n_flagged', 0):,} flagged,"
        f" {told.get('n_unreadable', 0):,} unreadable; last at {told.get('time', '')}.",
        f"Policy: {told.get('policy', '')}",
        *(alarms or (f"No drift was found. {drift.get('promise', '')}",)),
    )
    return heading("monitoring", title, known.files("watch.parquet/.status.json"), said=said)


def versions(known: Known) -> Heading:
    """The model, what it came from, and each time that images were judged."""
    own = known.artefacts
    told = {one.mark: f"version {one.version}, {one.sha256[:12]}" for one in own.acceptances}
    said = [
        f"Model {own.weights}, recipe {own.recipe or 'not told'}, residua {own.version}.",
        "No threshold."
        if own.threshold is None
        else f"Threshold {own.threshold:.6g} ({own.policy}).",
    ]
    said += [
        f"Learnt from {one.name} ({one.weights[:12]}): {one.learnt}."
        + ("" if one.is_there else " That run is not at hand.")
        for one in own.lineage
    ]
    rows = [
        (
            f"judged {one.n_images:,} images, {one.n_new:,} of them for the first time",
            one.judged_on,
            "none" if one.threshold is None else f"{one.threshold:.6g}",
            "none" if one.acceptance is None else told.get(one.acceptance, "not in this run"),
            one.date,
        )
        for one in own.tested
    ]
    titles = ("What happened", "On", "Threshold", "Criteria in force", "Date, as told")
    return heading(
        "versions",
        "Versions and what changed",
        known.files("bundle/bundle.json", "wrapped.json", "learning.json", "tested.json"),
        said=tuple(said),
        columns=titles,
        rows=rows,
    )


BEFORE_FIGURES: tuple[Callable[[Known], Heading], ...] = (
    use,
    data,
    fixed,
    independence,
    sample,
)
AFTER_FIGURES: tuple[Callable[[Known], Heading], ...] = (
    blind_spots,
    limits,
    monitoring,
    versions,
)
