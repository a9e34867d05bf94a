import pytest

from residua.errors import InputError
from residua.evaluation.dossier import read_criteria
from residua.records import Estimate


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("recall = ", "must be TOML"),
        ("[use]\npurpose = 'x'", r"a table \[criteria\]"),
        ("[criteria]\nrecal = {at_least = 0.9}", "'recal'"),
        ('[criteria]\n"recall[crack" = {at_least = 0.9}', "crack"),
        ("[criteria]\nrecall = 0.9", "must hold at_least"),
        ("[criteria]\nrecall = {at_most = 0.9}", "higher is better"),
        ("[criteria]\nfalse_alarm_rate = {at_least = 0.9}", "lower is better"),
        ("[criteria]\nrecall = {at_least = 90}", "from 0 to 1"),
        ("[criteria]\nrecall = {at_least = true}", "from 0 to 1"),
        ("[criteria]\nrecall = {at_least = 0.9, bound = 'high'}", "'low'"),
        ("[criteria]\nrecall = {at_least = 0.9}\n[sample]\nnormals = 3", "sample.normals"),
        ("[criteria]\nrecall = {at_least = 0.9}\n[kinds]\ncrack = -3", "kinds"),
    ],
)
def test_a_malformed_file_of_criteria_is_refused_with_what_is_wrong(text, said):
    with pytest.raises(InputError, match=said):
        read_criteria(text, "criteria.toml")


@pytest.mark.parametrize(
    ("rule", "ends", "state"),
    [
        ("recall = {at_least = 0.9}", (0.95, 0.9, 0.99), "met"),
        ("recall = {at_least = 0.9}", (0.95, 0.89, 0.99), "not shown"),
        ("recall = {at_least = 0.9}", (0.8, 0.7, 0.89), "not met"),
        ("recall = {at_least = 0.9, bound = 'value'}", (0.9, 0.7, 0.99), "met"),
        ("recall = {at_least = 0.9, bound = 'value'}", (0.89, 0.7, 0.99), "not met"),
        ("false_alarm_rate = {at_most = 0.1}", (0.05, 0.01, 0.1), "met"),
        ("false_alarm_rate = {at_most = 0.1}", (0.05, 0.01, 0.11), "not shown"),
        ("false_alarm_rate = {at_most = 0.1}", (0.2, 0.11, 0.3), "not met"),
        ("recall = {at_least = 0.9}", (0.95, None, None), "not shown"),
        ("recall = {at_least = 0.9}", (None, None, None), "not shown"),
    ],
)
def test_a_criterion_is_met_by_the_end_of_the_interval_on_the_bad_side(rule, ends, state):
    value, low, high = ends
    criterion = read_criteria(f"[criteria]\n{rule}").criteria[0]
    assert criterion.judge(Estimate(value=value, low=low, high=high)) == state


def test_no_number_of_images_shows_a_rate_of_one():
    assert read_criteria("[criteria]\nrecall={at_least=1}").criteria[0].images_needed() is None
