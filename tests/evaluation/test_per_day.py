"""What a threshold costs in parts a day: in words, in the record, refused where there is none."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from residua.cli import main
from residua.errors import InputError, RangeError
from residua.evaluation import evaluate_classification, evaluate_detection
from residua.evaluation.per_day import Day, sentence, with_day
from residua.evaluation.verification import verify_report
from residua.thresholds import choose_threshold


def ended(arguments):
    """The exit code of the command."""
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return end.value.code or 0


LABELS = np.arange(200) >= 120
SCORES = np.random.default_rng(0).normal(size=200) + 2 * LABELS
RECORD = evaluate_detection(LABELS, SCORES, operating_point=1.5)


def test_counts_are_the_rates_and_their_intervals_times_the_parts():
    told = with_day(RECORD, Day(10_000, 0.02)).provenance["per_day"]
    alarms, recall = (RECORD.metrics[name] for name in ("false_alarm_rate", "recall"))
    assert told["thrown_away"]["value"] == pytest.approx(9800 * alarms.value)
    assert told["thrown_away"]["high"] == pytest.approx(9800 * alarms.high)
    assert told["missed"]["value"] == pytest.approx(200 * (1 - recall.value))
    assert told["missed"]["low"] == pytest.approx(200 * (1 - recall.high))


def test_defects_a_day_are_never_guessed():
    told = with_day(RECORD, Day(10_000)).provenance["per_day"]
    assert told["prevalence"] is None
    assert "missed" not in told
    assert 0 < told["missed_of_ten"]["value"] < 10
    assert re.fullmatch(
        r"Of 10,000 good parts a day, it throws away about \d+ \[\d+, [\d,]+\]\. Of 10 defective"
        r" parts, it misses about [\d.]+ \[[\d.]+, [\d.]+\]\.",
        sentence(told),
    )


def test_a_shift_without_labels_says_how_many_it_flags():
    unlabelled = evaluate_detection(None, SCORES, operating_point=1.5)
    said = sentence(with_day(unlabelled, Day(1000)).provenance["per_day"])
    assert said.startswith("Of 1,000 parts a day, it flags about ")


def test_the_words_with_a_share_and_with_normal_images_alone():
    of_both = sentence(with_day(RECORD, Day(10_000, 0.02)).provenance["per_day"])
    assert "Of 10,000 parts a day, 2% of them defective, it throws away about" in of_both
    assert " of 9,800 good ones [" in of_both
    assert " of 200 defective ones [" in of_both
    normal = evaluate_detection(LABELS[:120], SCORES[:120], operating_point=9.0)
    assert sentence(with_day(normal, Day(100)).provenance["per_day"]) == (
        "Of 100 good parts a day, it throws away about 0 [0, 3.2]."
    )


def test_it_is_refused_without_a_threshold_without_a_detector_and_without_parts():
    with pytest.raises(InputError, match="need a threshold"):
        with_day(evaluate_detection(LABELS, SCORES), Day(100), "judge")
    with pytest.raises(InputError, match="need a detector"):
        with_day(evaluate_classification([0, 1, 1], [0, 1, 0]), Day(100))
    with pytest.raises(RangeError, match="at least one part a day"):
        Day(0)
    with pytest.raises(RangeError, match="share of defective parts"):
        Day(10, 1.5)


@pytest.fixture
def files(tmp_path):
    places = tmp_path / "s.csv", tmp_path / "y.csv"
    np.savetxt(places[0], SCORES)
    np.savetxt(places[1], LABELS, fmt="%d")
    return [f"--scores={places[0]}", f"--labels={places[1]}"]


def test_judge_says_it_after_the_decision_and_verify_finds_a_changed_count(files, tmp_path, capsys):
    report = tmp_path / "r.html"
    asked = ["judge", *files, "--threshold=1.5", "--per-day=10000", f"--html={report}"]
    assert ended(asked) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert re.search(r"normal ones\..* Of 10,000 good parts a day, .* ROC AUC", said)
    assert not verify_report(report).differing
    text = report.read_text(encoding="utf-8")
    assert 'data-figure="job0/per_day"' in text
    changed = re.sub(r'("thrown_away":\{"value":)[\d.]+', r"\g<1>1.0", text)
    report.write_text(changed, encoding="utf-8")
    found = verify_report(report)
    assert "parts a day" in {one.name for one in found.differing}


def test_files_are_written_before_the_tables_are_printed(files, tmp_path, monkeypatch):
    """`judge ... --json FILE | head` ends the command while it prints."""

    def closed(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr("residua.evaluation.report.print_evaluation", closed)
    places = tmp_path / "r.html", tmp_path / "r.json"
    ended(["judge", *files, f"--html={places[0]}", f"--json={places[1]}"])
    assert all(place.is_file() for place in places)


def test_plan_tells_a_promise_in_parts(capsys):
    assert ended(["plan", "--policy", "false-alarms<=0.05", "--per-day", "10000"]) == 0
    assert "of 10,000 good parts a day, at most 500 are thrown away" in capsys.readouterr().out
    assert ended(["plan", "--policy", "quantile:0.99", "--per-day", "500", "--json", "-"]) == 0
    assert "On average, at most 5 of 500" in json.loads(capsys.readouterr().out)["per_day"]
    assert ended(["plan", "--difference", "0.9:0.95", "--per-day", "10"]) == 2


def test_a_share_of_defects_needs_parts(capsys):
    assert ended(["evaluate", "nowhere", "--prevalence", "0.01"]) == 2
    assert "--prevalence must come with --per-day" in capsys.readouterr().err


def test_a_chosen_threshold_is_told_in_parts():
    rates = choose_threshold("false-alarms<=0.05", SCORES[:100]).rates
    assert "it throws away about" in sentence(Day(10_000).counts(rates))


def test_an_error_on_the_command_line_names_the_command_and_no_function(files, capsys):
    assert ended(["judge", files[0], "--policy", "recall>=0.9"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("residua: judge: recall>=0.9 speaks of anomalies")
    assert "choose_threshold" not in said
