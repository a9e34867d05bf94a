"""Whether the criteria stood before the test, and whether the test images were new to the model."""

from __future__ import annotations

from residua._text import count, few
from residua.evaluation.dossier.artefacts import Check, Heading, Known, check, heading
from residua.evaluation.dossier.protocol import (
    Acceptance,
    are_chained,
    looks_at,
    rows_of,
    text_hash,
    unpacked_digests,
)
from residua.images.hashing import fingerprint
from residua.records import Evaluation

_SEVERE = ("warning", "error")
_OF_INDEPENDENCE = ("leakage", "test-reused", "source-changed")
_LEARNT_FROM = ("train", "validation", "calibration")


def fixed(known: Known) -> Heading:
    """The criteria, and whether they stood before the test."""
    title, last = "Acceptance criteria, fixed before the test", known.accepted
    if last is None:
        said = ("No criteria were accepted: `residua accept RUN CRITERIA.toml`.",)
        return heading("criteria", title, (), said=said)
    versions = known.artefacts.acceptances
    checks = [
        check(
            "criteria as accepted",
            all(text_hash(one.text) == one.sha256 for one in versions) and not known.problem,
            "The text of the criteria has the hash that was stored with it.",
            known.problem or "The text of the criteria was changed after it was accepted.",
        ),
        check(
            "versions in order",
            are_chained(versions),
            "Each version of the criteria names the one that it replaces.",
            "A version of the criteria is missing or was changed.",
        ),
        *_order(known, last),
    ]
    rows = [
        (
            str(one.version),
            one.sha256,
            one.source or "test part",
            f"{one.n_images:,}",
            one.date,
            one.by or "not told",
        )
        for one in versions
    ]
    titles = ("Version", "SHA-256 of the text", "For", "Images", "Date, as told", "By, as told")
    words = [one.words for one in (known.criteria.criteria if known.criteria else ())]
    return heading(
        "criteria",
        title,
        known.files("acceptance.json", "tested.json"),
        said=words,
        checks=checks,
        columns=titles,
        rows=rows,
    )


def _order(known: Known, last: Acceptance) -> list[Check]:
    """Whether the first look at any test image was after the last version of the criteria."""
    own, looks = known.artefacts, known.looks
    if known.evaluation is None:
        unknown = "The test images of the criteria have not been judged yet."
        return [check("criteria before the test", None, "", "", unknown)]
    judged = fingerprint(rows_of(known.judged))
    early = [one for one in looks if one.acceptance != last.mark]
    marks = [one.mark for one in own.tested]
    place = (
        -1 if last.tested is None else marks.index(last.tested) if last.tested in marks else None
    )
    is_after = place is not None and all(own.tested.index(one) > place for one in looks)
    bad = (
        "The run keeps no record of when these images were judged."
        if not looks
        else f"These images were judged {count(len(early), 'time')} before the criteria were"
        " accepted in this form."
        if early
        else "The record of evaluations does not go on from where the criteria were accepted."
    )
    is_named = known.evaluation.provenance.get("accepted") == last.mark
    of_parents = [
        one.name
        for one in own.lineage
        if looks_at([e for e in one.tested if e not in own.tested], known.judged)
    ]
    of_parents += [one.weights[:12] for one in looks if one.weights != own.weights]
    return [
        check(
            "criteria before the test",
            bool(looks) and not early and is_after and is_named,
            "The first evaluation of these images names the hash of these criteria.",
            bad,
        ),
        check(
            "test images of the criteria",
            judged == last.fingerprint,
            f"The {last.n_images:,} images judged are those that the criteria were accepted for.",
            f"The {len(known.judged):,} images judged are not the {last.n_images:,} that the"
            " criteria were accepted for.",
        ),
        check(
            "no earlier test in the lineage",
            not of_parents,
            "No other model of this lineage was judged on these images.",
            f"Other models of this lineage were judged on these images: {few(of_parents)}.",
        ),
    ]


def independence(known: Known) -> Heading:
    """Whether the test images taught the model or chose its threshold."""
    title, own, record = "Independence of the test", known.artefacts, known.evaluation
    if record is None:
        return heading("independence", title, (), said=("Nothing was judged yet.",))
    judged = set(known.judged)
    shared = {name: len(judged & known.part(name)) for name in _LEARNT_FROM}
    said = ", ".join(f"{n:,} of {name}" for name, n in shared.items() if n)
    checks = [
        check(
            "no test image in another part",
            None if not own.parts else not said,
            "No image judged has the pixels of one of train, validation or calibration.",
            f"Images judged have the pixels of images that the model learnt from: {said}.",
            "The run keeps no list of its images.",
        ),
        check(
            "no near-copy in train",
            None if own.leaks is None or not (own.is_searched or own.leaks) else own.leaks == 0,
            "Re-encoded, resized and turned copies of training images were searched: none.",
            f"Images judged that show what a training image shows: {own.leaks}.",
            "Near-copies of training images were not searched for.",
        ),
        *(
            check(
                name,
                not (judged & set(unpacked_digests(packed))),
                f"No image judged {what}.",
                f"{count(len(judged & set(unpacked_digests(packed))), 'image')} judged {what}.",
            )
            for name, packed, what in (
                ("threshold chosen elsewhere", own.chosen_on, "chose the threshold"),
                ("no corrected image", own.corrected, "taught the model as a correction"),
            )
        ),
        _groups(record),
    ]
    for one in record.findings:
        if one.code in _OF_INDEPENDENCE and one.severity in _SEVERE:
            checks.append(Check(name=f"finding {one.code}", holds=False, said=one.meaning))
    files = known.files("images.csv", "evaluation.json", "evidence.npz")
    return heading("independence", title, files, checks=checks)


def _groups(record: Evaluation) -> Check:
    is_asked = "groups" in record.provenance and record.split == "test"
    torn = next((one.meaning for one in record.findings if one.code == "torn-groups"), "")
    return check(
        "no torn group",
        not torn if is_asked or torn else None,
        "No group lies in two parts.",
        torn,
        "Nobody named groups, so nothing tells which images show one part.",
    )
