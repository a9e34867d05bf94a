"""The registry of findings: whoever judges asks it, a new finding is one file and one entry, and what
cannot be asked has its reason."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from rich.console import Console

from residua import evaluate_classification, evaluate_detection, evaluate_reconstruction
from residua.evaluation.arrays import judge
from residua.evaluation.check import check_sources
from residua.evaluation.conclusion import conclude
from residua.evaluation.detection import detection_facts
from residua.evaluation.report import print_evaluation, write_html
from residua.findings import FINDINGS, JudgedFacts, find_all, not_applicable
from residua.images import ImageSet

FACTS = {spec.name for spec in fields(JudgedFacts)}
RNG = np.random.default_rng(0)
LABELS = np.arange(120) < 40
SCORES = RNG.normal(size=120) + LABELS


def codes(findings) -> list[str]:
    return [one.code for one in findings]


def test_a_new_finding_is_seen_by_everyone_who_judges(new_finding, tmp_path) -> None:
    record, evidence = judge(labels=LABELS.astype(int), scores=SCORES, threshold=1.0)
    assert new_finding.code in codes(record.findings)
    assert new_finding.code in evidence.figures
    assert new_finding.code in codes(evaluate_detection(LABELS, SCORES).findings)
    pictures = RNG.random((12, 16, 16))
    assert new_finding.code in codes(evaluate_reconstruction(pictures, pictures**2).findings)
    assert new_finding.code in codes(evaluate_classification([0, 1, 1], [0, 1, 0]).findings)
    checked = check_sources([ImageSet.from_arrays((pictures * 255).astype(np.uint8))])
    assert new_finding.code in codes(checked.findings)
    assert new_finding.code in checked.figures

    write_html(tmp_path / "report.html", "A temporary report", [(record, evidence)])
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "A temporary meaning." in html
    assert "A temporary remedy." in html
    assert "a temporary picture" in html
    console = Console(record=True, width=100)
    print_evaluation(record, evidence, console=console)
    assert "A temporary meaning." in console.export_text()


@pytest.mark.parametrize("kind", FINDINGS, ids=lambda kind: kind.code)
def test_what_a_finding_needs_are_facts_and_a_silencer_stands_before_it(kind) -> None:
    assert set(kind.needs) <= FACTS
    assert kind.jobs
    if kind.unless:
        order = codes(FINDINGS)
        assert order.index(kind.unless) < order.index(kind.code)


@pytest.mark.parametrize("job", ["detect", "reconstruct", "classify", "check"])
def test_where_nothing_is_known_little_is_asked_and_the_rest_has_a_reason(job: str) -> None:
    facts = JudgedFacts(job=job)
    findings, figures = find_all(facts)
    assert findings == ()
    assert figures == {}
    asked = {kind.code for kind in FINDINGS if kind.ask is not None and job in kind.jobs}
    reasons = {one.what: one.reason for one in not_applicable(facts)}
    assert asked - set(reasons) <= {"hard-scores"}
    assert all(reason.startswith("Needs ") and reason.endswith(".") for reason in reasons.values())


def test_a_reason_names_everything_that_is_missing_once() -> None:
    reasons = {one.what: one.reason for one in not_applicable(JudgedFacts(job="detect"))}
    assert reasons["broken-promise"] == "Needs a threshold and metrics."
    facts = detection_facts(LABELS, SCORES, operating_point=1.0)
    reasons = {one.what: one.reason for one in conclude(facts).not_applicable}
    assert "overlap" not in reasons
    assert reasons["dead-latent"] == "Needs a network with a latent code."
    assert reasons["leakage"] == "Needs the images that the model was fitted on."


def test_a_check_that_fails_is_told_last_and_the_others_are_made() -> None:
    def latent_of():
        raise ZeroDivisionError("a fault")

    facts = replace(detection_facts(LABELS, SCORES), latent_of=latent_of)
    findings, _ = find_all(facts)
    assert codes(findings)[-1] == "not-checked"
    assert findings[-1].measured["check"] == "dead numbers of the code"
    assert codes(findings)[:-1] == codes(evaluate_detection(LABELS, SCORES).findings)


def test_one_kind_alone_can_be_asked() -> None:
    overlap = [kind for kind in FINDINGS if kind.code == "overlap"]
    assert codes(find_all(detection_facts(LABELS, SCORES), overlap)[0]) == ["overlap"]


def test_an_accuracy_gets_no_advice_where_classes_look_permuted() -> None:
    labels = np.repeat([0, 1], 60)
    found = codes(evaluate_classification(labels, 1 - labels).findings)
    assert "permuted-classes" in found
    assert "majority-class" not in found
    assert "majority-class" in codes(evaluate_classification(labels, labels).findings)


def test_findings_stand_in_the_order_of_the_registry_in_every_job() -> None:
    order = codes(FINDINGS)
    pictures = RNG.random((40, 16, 16))
    for record in (
        evaluate_detection(LABELS, SCORES, operating_point=1.0, train_scores=SCORES[:50] - 1),
        evaluate_reconstruction(pictures, pictures**2, train_errors=0.0001),
        evaluate_classification(LABELS.astype(int), (SCORES > 0.5).astype(int)),
    ):
        places = [order.index(code) for code in codes(record.findings)]
        assert places == sorted(places)


def test_facts_are_never_changed() -> None:
    facts = detection_facts(LABELS, SCORES)
    with pytest.raises(AttributeError):
        facts.scores = SCORES
    assert facts.lacks(("scores",)) == ()
