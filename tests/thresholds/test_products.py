"""A threshold for each product: its own, borrowed, or none; and one scale for all."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import PolicyError
from residua.thresholds import choose_threshold
from residua.thresholds.false_discoveries import FalseDiscoveries
from residua.thresholds.product_choice import choose_again, choose_products
from residua.thresholds.products import ProductPValues, common_point, in_words

RNG = np.random.default_rng(0)
SIZES = {"a": 80, "b": 80, "c": 80, "d": 80, "e": 80, "few": 12, "none": 3}
NAMES = np.repeat(np.array(list(SIZES), object), list(SIZES.values()))
SCORES = np.concatenate(
    [RNG.normal(place + 1, 0.1 * (place + 1), n) for place, n in enumerate(SIZES.values())]
).astype(np.float32)
NORMAL = np.zeros(len(SCORES), np.bool_)
POLICY = "false-alarms<=0.05"
MADE = choose_products(SCORES, NORMAL, NAMES, POLICY, rule="product")
EACH = {one.name: one for one in MADE.each}


def test_a_product_has_the_threshold_that_its_own_scores_alone_give():
    for name in "abcde":
        alone = choose_threshold(POLICY, SCORES[name == NAMES])
        assert EACH[name].operating_point.threshold == alone.threshold
        assert not EACH[name].borrows


def test_a_product_with_few_images_borrows_and_says_so():
    few = EACH["few"]
    assert few.borrows
    assert "Borrowed: 12 normal calibration images of few" in few.operating_point.how
    assert few.operating_point.promise == "none"
    spread = 0.6  # of its scores, around 6
    assert 6 + 1.6 * spread < few.operating_point.threshold < 6 + 5 * spread


@pytest.mark.parametrize("policy", [None, POLICY])
def test_a_product_with_next_to_nothing_has_no_threshold_and_says_why(policy):
    made = choose_products(SCORES, NORMAL, NAMES, policy, rule="product")
    assert made.threshold_of("none") is None
    assert made.why_not("none").startswith("none: ")
    assert made.why_not("other") == (
        "the model does not know the product 'other'; it knows a, b, c, d, e, few, none"
    )
    assert made.why_not(None) == "the image has no product"


def test_too_few_lenders_lend_nothing():
    kept = np.isin(NAMES, ["a", "b", "few"])
    made = choose_products(SCORES[kept], NORMAL[kept], NAMES[kept], POLICY, rule="product")
    assert made.threshold_of("few") is None
    assert "can't show false-alarms<=0.05" in made.why_not("few")


def test_a_policy_about_defects_is_not_borrowed():
    flags = NORMAL.copy()
    for name in "abcde":
        flags[np.flatnonzero(name == NAMES)[:20]] = True
    made = choose_products(SCORES, flags, NAMES, "recall>=0.8", rule="product")
    assert made.threshold_of("a") is not None
    assert made.threshold_of("few") is None


def test_without_a_policy_a_product_borrows_what_the_others_promise():
    made = choose_products(SCORES, NORMAL, NAMES, None, rule="product")
    few = next(one for one in made.each if one.name == "few")
    assert few.borrows
    assert few.operating_point.policy == "false-alarms<=0.05"


def test_on_one_scale_no_decision_changes():
    names = np.concatenate([NAMES, NAMES[:1]])
    edge = np.float32(MADE.threshold_of("a"))
    scores = np.concatenate([SCORES, [edge]]).astype(np.float32)
    aligned, level = MADE.aligned(scores, names), np.float32(MADE.level)
    for name in "abcde":
        rows = names == name
        own = scores[rows] > np.float32(MADE.threshold_of(name))
        assert ((aligned[rows] > level) == own).all()
    assert np.isnan(aligned[names == "none"]).all()
    assert MADE.flags(scores[-1:], ["a"]) == [False]
    assert MADE.flags([np.nextafter(edge, np.float32(9))], ["a"]) == [True]
    assert MADE.flags(scores[:1], [None]) == [None]


def test_the_common_scale_has_medians_and_thresholds_at_one_place():
    medians = [float(np.median(MADE.aligned(SCORES, NAMES)[name == NAMES])) for name in "abcde"]
    assert np.ptp(medians) < 1e-3 * MADE.level
    assert common_point(MADE, SCORES, NORMAL, NAMES).threshold == MADE.level


def test_words_count_the_products_that_have_a_threshold():
    rng = np.random.default_rng(0)
    names = np.repeat(np.array(["lens", "tile", "tube"], object), [80, 80, 3])
    made = choose_products(
        rng.normal(1, 0.1, 163), np.zeros(163, bool), names, "false-alarms<=0.05", rule="x"
    )
    assert in_words(made).startswith("2 of 3 products have a threshold, from ")
    assert "tube: no threshold" in in_words(made)
    two = made.model_copy(update={"each": made.each[:2]})
    assert in_words(two).startswith("Each of 2 products has a threshold of its own, from ")
    one = made.model_copy(update={"each": made.each[:1]})
    assert in_words(one).startswith("One product has a threshold.")
    assert "one scale" not in in_words(one)


def test_no_threshold_at_all_is_refused():
    kept = NAMES == "none"
    made = choose_products(SCORES[kept], NORMAL[kept], NAMES[kept], POLICY, rule="product")
    with pytest.raises(PolicyError, match="some product must get a threshold"):
        common_point(made, SCORES[kept], NORMAL[kept], NAMES[kept])


def test_other_products_stay_as_they_are():
    kept = NAMES == "a"
    again = choose_again(MADE, SCORES[kept] + 1, NORMAL[kept], NAMES[kept])
    for name in ("b", "c", "few"):
        assert again.threshold_of(name) == MADE.threshold_of(name)
    assert again.threshold_of("a") == pytest.approx(MADE.threshold_of("a") + 1)


def test_p_values_count_within_the_product():
    reference = ProductPValues.of(SCORES, NAMES, None, "new-groups")
    own = SCORES[NAMES == "few"]
    p = reference([own.max() + 1, own.max() + 1, own.max() + 1], ["few", "a", "other"])
    assert p[:2].tolist() == [1 / 13, 1 / 81]
    assert np.isnan(p[2])
    assert reference.threshold_of(1 / 13, "few") == own.max()
    assert reference.threshold_of(0.5) is None


def test_a_batch_is_decided_by_p_values_whatever_the_product():
    reference = ProductPValues.of(SCORES, NAMES, None, "new-groups")
    p = reference(np.array([9.0] * 5 + [1.0] * 5), ["a"] * 10)
    decision = FalseDiscoveries(0.1).decide(reference, p)
    assert (decision.n_flagged, decision.threshold) == (5, None)
    assert decision.p_value == 1 / 81
