"""Policies as text: what is read, what is refused, and that text and policy are one."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from residua.errors import PolicyError
from residua.thresholds import POLICIES, choose_threshold, parse_policy

TEXTS = [
    "false-alarms<=0.01",
    "quantile:0.99",
    "recall>=0.99",
    "precision>=0.9",
    "max-f1",
    "cost:20:1",
    "fdr<=0.05",
    "0.004",
    "-3",
    "1e-07",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_policy_prints_as_the_text_it_was_read_from(text: str) -> None:
    assert str(parse_policy(text)) == text


@pytest.mark.parametrize("kind", POLICIES)
def test_the_usage_of_every_registered_policy_is_read_by_that_policy(kind) -> None:
    policy = parse_policy(kind.usage)
    assert type(policy) is kind
    assert parse_policy(str(policy)) == policy
    assert parse_policy(policy) is policy


@given(
    st.floats(0.001, 0.999),
    st.sampled_from(["false-alarms<={}", "recall>={}", "precision>={}", "quantile:{}"]),
)
def test_any_share_survives_the_round_trip(share: float, form: str) -> None:
    policy = parse_policy(form.format(share))
    assert parse_policy(str(policy)) == policy


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_any_number_is_a_fixed_threshold_and_survives_the_round_trip(value: float) -> None:
    assert parse_policy(str(parse_policy(value))).value == value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Recall >= 99%", "recall>=0.99"),
        ("FALSE_ALARMS≤1%", "false-alarms<=0.01"),
        ("cost:2.50:1.0", "cost:2.5:1"),
    ],
)
def test_case_spaces_percent_and_signs_do_not_matter(written: str, meant: str) -> None:
    assert parse_policy(written) == parse_policy(meant)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("recal>=0.99", "Did you mean 'recall>=0.99'?"),
        ("falsealarms<0.01", "Did you mean 'false-alarms<=0.01'?"),
        ("maxf1", "Did you mean 'max-f1'?"),
        ("quantil:0.9", "Did you mean 'quantile:0.9'?"),
        ("banana", "Write one of false-alarms<=0.01"),
        ("", "Write one of"),
        ("recall>=1", "between 0 and 1, both excluded"),
        ("false-alarms<=0", "between 0 and 1, both excluded"),
        ("quantile:99", "between 0 and 1, both excluded"),
        ("precision>=abc", "Got 'abc'"),
        ("cost:20", "two numbers"),
        ("cost:-1:1", "greater than 0"),
        ("nan", "finite"),
        ("inf", "finite"),
    ],
)
def test_what_is_no_policy_is_refused_with_a_way_out(text: str, hint: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_policy(text)
    assert hint in str(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in POLICIES if not kind.decides_batches])
def test_every_policy_says_how_in_whole_sentences_and_names_itself(kind) -> None:
    scores = [i / 1000 for i in range(800)]
    labels = [i >= 400 for i in range(800)]
    point = choose_threshold(kind.usage, scores, labels)
    assert point.policy == kind.usage
    assert point.how.endswith(".")
    assert {"false_alarm_rate", "recall", "precision", "f1"} <= set(point.rates)
    assert all(rate.low <= rate.value <= rate.high for rate in point.rates.values())
