import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from residua import choose_threshold, evaluate_detection
from residua.cli import main
from residua.errors import SourceError
from residua.evaluation import Evidence
from residua.evaluation.arrays import judge
from residua.evaluation.reconstruction import evaluate_errors
from residua.evaluation.report import write_html
from residua.evaluation.standings import by_baseline
from residua.evaluation.verification import verify_report
from residua.evaluation.verification.numbers import alike
from residua.evaluation.verification.page import MOST_MEGABYTES
from residua.findings import find_duplicates

RNG = np.random.default_rng(7)


def detection(policy="false-alarms<=0.05"):
    normal, abnormal, calibration, train = (
        RNG.normal(at, 0.2, n) for at, n in ((1, 120), (1.5, 40), (1, 150), (0.9, 200))
    )
    scores = np.concatenate([normal, abnormal]).astype(np.float32)
    anomalous, labelled = np.arange(160) >= 120, np.arange(160) != 3
    point = choose_threshold(policy, calibration)
    baselines = {"pca": RNG.random(160).astype(np.float32), "brightness": RNG.random(160)}
    truth = np.ma.MaskedArray(anomalous, mask=~labelled)
    record = evaluate_detection(
        truth,
        scores,
        operating_point=point,
        train_scores=train,
        baselines=baselines,
        seed=5,
        provenance={"version": "0.1.0"},
    )
    paths = np.array([f"parts/{i:03d}.png" for i in range(160)])
    evidence = Evidence(
        paths, scores, is_anomalous=anomalous, labelled=labelled, calibration_scores=calibration,
        train_scores=train,
        baselines=baselines, seed=5,
    )  # fmt: skip
    return record, evidence


def in_groups():
    """Four views of each of 40 parts, the first images of a kind."""
    record, evidence = detection()
    groups, calibration_groups = np.arange(160) // 4, np.arange(150) // 2
    point = choose_threshold(
        "false-alarms<=0.1", evidence.calibration_scores, groups=calibration_groups
    )
    truth = np.ma.MaskedArray(evidence.is_anomalous, mask=~evidence.labelled)
    record = evaluate_detection(
        truth,
        evidence.scores,
        operating_point=point,
        train_scores=evidence.train_scores,
        baselines=evidence.baselines,
        groups=groups,
        seed=5,
    )
    return record, replace(evidence, groups=groups, calibration_groups=calibration_groups)


def errors_in_groups():
    columns = {"mse": RNG.random(60) / 100, "mae": RNG.random(60) / 10}
    groups = np.array([f"roll {row // 4}" for row in range(60)])
    baselines = {"pca/mse": RNG.random(60) / 100}
    record = evaluate_errors(columns, groups=groups, baselines=by_baseline(baselines), seed=2)
    paths = np.arange(60).astype(str)
    return record, Evidence(paths, groups=groups, per_image=columns, baselines=baselines, seed=2)


def reconstruction():
    x = RNG.random((60, 12, 12, 1)).astype(np.float32)
    return judge(
        images=x,
        reconstructions=np.clip(x + RNG.normal(0, 0.1, x.shape), 0, 1).astype(np.float32),
        train_scores=[0.001] * 30,
    )


def classification():
    labels = RNG.choice(["cat", "dog", "owl"], 90)
    p = RNG.random((90, 3)) + 2 * (labels[:, None] == np.array(["cat", "dog", "owl"]))
    return judge(labels=labels, predictions=p / p.sum(axis=1, keepdims=True))


def hard_classes():
    return judge(labels=np.array([0, 1, 1, 2] * 20), predictions=np.array([0, 1, 2, 2] * 20))


def judged_scores():
    labels = np.repeat([0, 1], [80, 40])
    return judge(scores=RNG.normal(labels, 0.5), labels=labels, policy="max-f1", seed=3)


def images_with_labels():
    x = RNG.random((40, 8, 8, 1)).astype(np.float32)
    return judge(
        images=x,
        reconstructions=np.clip(x + 0.05, 0, 1),
        labels=np.repeat([0, 1], 20),
        threshold=0.002,
    )


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    jobs = [detection(), reconstruction(), classification()]
    return write_html(tmp_path_factory.mktemp("report") / "report.html", "Three jobs", jobs)


def tampered(report, tmp_path, change):
    path = tmp_path / "tampered.html"
    text = report.read_text("utf-8")
    changed = change(text)
    assert changed != text
    path.write_text(changed, "utf-8")
    return verify_report(path)


def with_data(change):
    """Change the JSON inside the page and leave all else."""

    def changed(text):
        pattern = r'(<script type="application/json" id="residua-data">)(.*?)(</script>)'
        start, body, end = re.search(pattern, text, re.S).groups()
        data = json.loads(body)
        change(data["jobs"]["job0"])
        return text.replace(start + body + end, start + json.dumps(data) + end)

    return changed


def names(found):
    return {one.name for one in found.differing}


@pytest.mark.parametrize(
    "made",
    [
        detection,
        reconstruction,
        classification,
        hard_classes,
        judged_scores,
        images_with_labels,
        in_groups,
        errors_in_groups,
        lambda: detection("0.9"),
    ],
)
def test_what_residua_wrote_follows_from_what_it_carries(made, tmp_path):
    found = verify_report(write_html(tmp_path / "x.html", "One", [made()]))
    assert found.differing == () and sum(one.verdict == "same" for one in found.figures) > 8


def test_several_jobs_are_verified_under_their_names(report):
    found = verify_report(report)
    assert found.differing == () and found.made_by == "0.1.0"
    assert {one.job for one in found.figures} == {
        "Anomaly detection",
        "Reconstruction",
        "Classification",
        "page",
    }
    assert not [one for one in found.not_carried if one.job == "Anomaly detection"]


def test_a_number_changed_on_the_page_is_found(report, tmp_path):
    old = re.search(
        r'data-figure="job0/metrics/roc_auc">([\d.]+)<', report.read_text("utf-8")
    ).group(1)
    found = tampered(
        report, tmp_path, lambda text: text.replace(f'roc_auc">{old}<', 'roc_auc">0.999<')
    )
    assert names(found) == {"figures as printed", "printed metrics/roc_auc"}
    assert (
        next(one.in_report for one in found.differing if one.name == "printed metrics/roc_auc")
        == "0.999"
    )


def test_a_metric_changed_in_the_record_is_found(report, tmp_path):
    def better(job):
        job["record"]["metrics"]["roc_auc"]["value"] += 1e-6

    found = tampered(report, tmp_path, with_data(better))
    assert "ROC AUC" in names(found)


def test_groups_made_finer_are_found(tmp_path):
    page = write_html(tmp_path / "report.html", "Parts", [in_groups()])

    def each_its_own(job):
        numbers = np.arange(160, dtype="<f8")
        job["sources"]["groups"]["data"] = base64.b64encode(numbers.tobytes()).decode()

    found = tampered(page, tmp_path, with_data(each_its_own))
    assert "ROC AUC" in names(found)


def test_intervals_of_an_earlier_version_are_no_lie_and_its_values_are_verified(report, tmp_path):
    def as_before(job):
        del job["record"]["schema_version"]
        for estimate in job["record"]["metrics"].values():
            estimate.pop("caveat", None)
        job["record"]["metrics"]["recall"]["low"] -= 0.01

    found = tampered(report, tmp_path, with_data(as_before))
    recall = next(one for one in found.figures if one.name == "Recall")
    assert recall.verdict == "not carried"
    assert "methods of today" in recall.recomputed
    assert "ROC AUC" not in names(found)

    def and_changed(job):
        as_before(job)
        job["record"]["metrics"]["recall"]["value"] -= 0.01

    assert "Recall" in names(tampered(report, tmp_path, with_data(and_changed)))


def test_findings_of_an_earlier_version_are_no_lie(report, tmp_path):
    def other_words(job):
        for finding in job["record"]["findings"][1:]:
            finding["severity"] = "error"
        del job["record"]["findings"][0]

    codes = names(tampered(report, tmp_path, with_data(other_words)))
    now = {name for name in codes if name.startswith("finding ")}
    assert now

    def of_before(job):
        other_words(job)
        del job["record"]["schema_version"]

    found = tampered(report, tmp_path, with_data(of_before))
    assert not now & names(found)
    spoken = {one.name for one in found.not_carried if "methods of today" in one.recomputed}
    assert now <= spoken


def test_sentences_of_an_earlier_version_are_held_to_their_numbers(report, tmp_path):
    def of_before(job):
        del job["record"]["schema_version"]

    def without_the_decision(page):
        return re.sub(r"At its threshold, the model misses .*? normal ones[^.]*\. ", "", page)

    def and_flattered(page):
        return without_the_decision(page).replace("ROC AUC 0.", "ROC AUC 0.9", 1)

    def said(change):
        return tampered(report, tmp_path, lambda page: change(with_data(of_before)(page)))

    assert not {name for name in names(said(without_the_decision)) if "verdict" in name}
    assert any("verdict" in name for name in names(said(and_flattered)))


def test_a_score_changed_by_a_little_is_found(report, tmp_path):
    def moved(job):
        scores = np.frombuffer(base64.b64decode(job["scores"]["data"]), "<f4").copy()
        scores[130] = scores.max() + 1
        job["scores"]["data"] = base64.b64encode(scores.tobytes()).decode()

    assert {"ROC AUC", "histogram"} <= names(tampered(report, tmp_path, with_data(moved)))


def test_a_threshold_that_its_policy_would_not_choose_is_found(report, tmp_path):
    def moved(job):
        job["record"]["operating_point"]["threshold"] += 0.01
        job["threshold"] += 0.01

    found = tampered(report, tmp_path, with_data(moved))
    assert "threshold by false-alarms<=0.05" in names(
        found
    ) and "threshold on the slider" not in names(found)


def test_a_finding_that_was_taken_out_is_found(report, tmp_path):
    def silent(job):
        job["record"]["findings"] = [
            one for one in job["record"]["findings"] if one["code"] != "not-better-than-baseline"
        ]

    found = tampered(report, tmp_path, with_data(silent))
    assert any(
        one.name == "finding not-better-than-baseline" and one.in_report == "absent"
        for one in found.differing
    )


def test_a_finding_made_milder_is_found(report, tmp_path):
    def milder(job):
        job["record"]["findings"][-1]["meaning"] = "All is well."

    assert any(
        "meaning" in one.in_report
        for one in tampered(report, tmp_path, with_data(milder)).differing
    )


def test_a_figure_taken_off_the_page_or_put_onto_it_is_found(report, tmp_path):
    found = tampered(report, tmp_path, lambda text: text.replace(' data-figure="job0/verdict"', ""))
    assert "printed verdict" in names(found)
    found = tampered(
        report,
        tmp_path,
        lambda text: text.replace("<main", '<p data-figure="job0/extra">1.000</p><main', 1),
    )
    assert "printed extra" in names(found)


def with_a_roc_auc(job):
    job["record"]["metrics"]["roc_auc"] = {"value": 0.771, "n": 80}


def with_sure_answers(job):
    """Classes as probabilities of 0 and 1, and the metrics that would follow from them."""
    answers = np.eye(3, dtype="<f4")[np.array([0, 1, 2, 2] * 20)]
    packed = {"dtype": "<f4", "width": 3, "data": base64.b64encode(answers.tobytes()).decode()}
    job["sources"] |= {"probabilities": packed, "predicted": None}
    job["record"]["metrics"] |= {
        name: {"value": 0.771, "n": 80} for name in ("roc_auc", "log_loss")
    }


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (with_data(with_a_roc_auc), "ROC AUC"),
        (with_data(with_sure_answers), "finding hard-scores"),
        (
            lambda text: text.replace("There are no curves", "ROC AUC 0.771. There are no curves"),
            "printed curves",
        ),
        (
            lambda text: text.replace("What it confuses", "What it confuses: ROC AUC 0.771"),
            "printed classes",
        ),
        (
            lambda text: text.replace(
                "</article>", "<section>ROC AUC 0.771</section></article>", 1
            ),
            "section without a name",
        ),
    ],
)
def test_a_ranking_of_decisions_that_somebody_adds_is_found(tmp_path, change, said):
    report = write_html(tmp_path / "hard.html", "Decisions", [hard_classes()])
    assert verify_report(report).differing == ()
    assert said in names(tampered(report, tmp_path, change))


def test_predicted_classes_that_are_no_places_are_refused(tmp_path):
    report = write_html(tmp_path / "hard.html", "Decisions", [hard_classes()])

    def beyond(job):
        job["sources"]["classes"] = ["0", "1"]

    with pytest.raises(SourceError, match="places among 2 classes"):
        tampered(report, tmp_path, with_data(beyond))


def test_another_script_is_found(report, tmp_path):
    found = tampered(
        report, tmp_path, lambda text: text.replace("</body>", "<script>alert(1)</script></body>")
    )
    assert names(found) == {"scripts"}


def test_other_baseline_scores_are_found(report, tmp_path):
    def swapped(job):
        job["sources"]["baselines"]["pca"] = job["sources"]["baselines"]["brightness"]

    assert "PCA: ROC AUC" in names(tampered(report, tmp_path, with_data(swapped)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda job: job["scores"].update(data="!!"), "base64"),
        (lambda job: job["scores"].update(data="AAA="), "whole rows"),
        (lambda job: job["scores"].update(data="AAAAAA=="), "one entry per image"),
        (lambda job: job["table"].update(labels=[99] * 160), "a label must be one of"),
        (lambda job: job["table"].update(labels=[-1] * 160), "a label must be one of"),
        (lambda job: job["scores"].update(dtype="<i8"), "what residua writes"),
        (lambda job: job["record"].pop("job"), "what residua writes"),
        (lambda job: job.pop("sources"), "what residua writes"),
        (lambda job: job["record"]["metrics"].update(x={"value": "high"}), "what residua writes"),
    ],
)
def test_damaged_data_is_refused_with_a_reason(report, tmp_path, change, said):
    with pytest.raises(SourceError, match=said):
        tampered(report, tmp_path, with_data(change))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "0 blocks"),
        ("<html><body>Hello</body></html>", "0 blocks"),
        ('<script id="residua-data">{"format": NaN}</script>', "strict JSON"),
        ('<script id="residua-data">[1]</script>', "JSON object"),
        ('<script id="residua-data">{"format": "other"}</script>', "must be residua-report"),
        (
            (
                '<script id="residua-data">{"format": "residua-report", "format_version": 1,'
                ' "jobs": {}}</script>'
            ),
            "hold a job",
        ),
        (f'<script id="residua-data">{"[" * 100_000}</script>', "strict JSON"),
        ('<script id="residua-data">{}</script><script id="residua-data">{}</script>', "2 blocks"),
        ("<p>" * 20_000, "0 blocks"),
        ("<script>" * 100 + "<![CDATA[ <!-- ", "0 blocks"),
    ],
)
def test_foreign_html_is_refused_with_a_reason(tmp_path, text, said):
    (tmp_path / "x.html").write_text(text)
    with pytest.raises(SourceError, match=said):
        verify_report(tmp_path / "x.html")


def test_a_file_that_is_absent_too_large_or_not_text_is_refused(tmp_path):
    with pytest.raises(SourceError, match="readable"):
        verify_report(tmp_path / "absent.html")
    (tmp_path / "bytes.html").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="readable"):
        verify_report(tmp_path / "bytes.html")
    with open(tmp_path / "large.html", "wb") as file:
        file.truncate(MOST_MEGABYTES * 1_000_000 + 1)
    with pytest.raises(SourceError, match="more than 64,000,000 bytes"):
        verify_report(tmp_path / "large.html")


def test_rounding_is_no_difference_and_a_digit_is():
    assert alike(0.1 + 0.2, 0.3) and alike([1, {"a": 2.0}], (1.0, {"a": 2}))
    assert (
        not alike(0.912, 0.9120001)
        and not alike([1], [1, 2])
        and not alike(True, 1)
        and not alike(None, 0.0)
    )
    assert not alike({"a": 1}, {"b": 1}) and not alike("1", 1)


def run(*arguments):
    with pytest.raises(SystemExit) as left:
        main([str(one) for one in arguments])
    return left.value.code


def test_the_command_prints_the_table_and_ends_with_zero_or_three(report, tmp_path, capsys):
    assert run("verify", report) in (0, None)
    out = capsys.readouterr().out
    assert (
        out.split()[0] == "Number"
        and "ROC AUC" in out
        and "figures follow from the scores and labels" in out
        and "differs" not in out
    )
    text = report.read_text("utf-8")
    (tmp_path / "bad.html").write_text(
        re.sub(r'(job0/metrics/recall">)[\d.]+', r"\g<1>1.000", text), "utf-8"
    )
    assert run("verify", tmp_path / "bad.html", "--json", tmp_path / "found.json", "--quiet") == 3
    captured = capsys.readouterr()
    assert captured.out == "" and "2 do not" in captured.err
    told = json.loads((tmp_path / "found.json").read_text())
    assert told["counts"]["differs"] == 2 and {
        "job",
        "name",
        "in_report",
        "recomputed",
        "verdict",
    } == set(told["figures"][0])
    assert run("verify", tmp_path / "absent.html") == 2


def test_two_findings_of_one_code_are_told_apart(tmp_path):
    record, evidence = detection()
    paths = np.array([f"{row}.png" for row in range(50)], object)
    copies = tuple(
        find_duplicates([np.array([0, row])], paths, part=part)
        for row, part in ((1, "calibration"), (2, "train"))
    )
    record = record.model_copy(update={"findings": (*record.findings, *copies)})
    page = write_html(tmp_path / "x.html", "One", [(record, evidence)])
    assert not verify_report(page).differing
    text = page.read_text("utf-8")
    page.write_text(text.replace("1 of the 50 images of train", "0 of the 50 images of train", 1))
    assert verify_report(page).differing


def changed_standing(text, **changes):
    """The report's text with another standing of PCA in the record that it carries."""
    start = text.index('{"format":') if '{"format":' in text else text.index('{"jobs"')
    data, end = json.JSONDecoder().raw_decode(text[start:])
    record = next(iter(data["jobs"].values()))["record"]
    name = next(iter(record["standings"]))
    if not changes:
        del record["standings"][name]
    else:
        record["standings"][name] |= changes
    return text[:start] + json.dumps(data) + text[start + end :]


@pytest.mark.parametrize(
    "changes",
    [
        {"baseline": "better"},
        {"is_backwards": True},
        {"difference": {"value": 0.4, "low": 0.3, "high": 0.5, "confidence": 0.95, "n": 150}},
        {},
    ],
)
def test_a_standing_that_its_scores_do_not_give_is_noticed(report, tmp_path, changes):
    found = tampered(report, tmp_path, lambda text: changed_standing(text, **changes))
    assert any(one.name.endswith("beside the model") for one in found.differing)
    assert not verify_report(report).differing


def test_a_standing_without_the_baseline_s_scores_is_not_carried(tmp_path):
    record, evidence = detection()
    page = write_html(tmp_path / "r.html", "One", [(record, replace(evidence, baselines={}))])
    names = [one.name for one in verify_report(page).not_carried]
    assert any(name.endswith("beside the model") for name in names)


def test_findings_that_rest_on_calibration_scores_are_made_again_with_them(tmp_path):
    """Anomalies that nothing tells from normal images are a finding only without calibration."""
    rng = np.random.default_rng(3)
    labels, calibration = np.repeat([0, 1], [84, 61]), rng.normal(3, 0.2, 84)
    made = judge(
        scores=rng.normal(0, 1, 145),
        labels=labels,
        calibration_scores=calibration,
        policy="quantile:0.9",
    )
    assert made[0].job == "detect"
    found = verify_report(write_html(tmp_path / "r.html", "One", [made]))
    assert not found.differing
    assert "finding drift" in {one.name for one in found.figures if one.verdict == "same"}


def test_so_does_a_report_with_too_few_calibration_scores_for_drift(tmp_path):
    scores = np.r_[np.linspace(-1, 1, 40), np.full(10, -0.9), np.full(20, 9.0)]
    made = judge(
        scores=scores,
        labels=np.repeat([0, 1], [40, 30]),
        calibration_scores=np.linspace(-6, -5, 12),
        policy="quantile:0.9",
    )
    codes = {one.code for one in made[0].findings}
    assert not codes & {"drift", "label-noise"}
    assert not verify_report(write_html(tmp_path / "r.html", "One", [made])).differing
