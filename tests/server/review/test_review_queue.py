"""What is asked first, and rates that only the random share tells."""

from __future__ import annotations

import numpy as np
import pytest

from residua.server.review.queue import DRAWN, FLAGGED, NEAR, UNLIKE, Queue, draw_key, order_images
from residua.server.review.rates import defect_rate

SCORES = np.linspace(0, 1, 40, dtype=np.float32)
KEYS = np.array([draw_key(f"{row}.png") for row in range(40)], np.uint64)


def drawn_of(queue: Queue, labels: dict[int, str], flagged: bool) -> list[str | None]:
    """The labels of the random share on one side, once the images of `labels` are answered."""
    return [
        labels.get(one.row)
        for one in queue.draws
        if one.is_flagged == flagged and one.after <= len(labels)
    ]


def test_flagged_images_come_first_from_both_ends_and_then_what_is_near_the_threshold():
    queue = order_images(SCORES, SCORES > 0.75, KEYS, share=0)
    assert queue.rows[:6] == [39, 30, 38, 31, 37, 32]
    assert queue.why[:4] == [FLAGGED, NEAR, FLAGGED, NEAR]
    assert queue.rows[10:13] == [29, 28, 27]
    assert sorted(queue.rows) == list(range(40))


def test_images_unlike_the_others_are_mixed_in():
    queue = order_images(SCORES, SCORES > 0.75, KEYS, share=0, unlike=[35, 3])
    assert queue.rows[:3] == [39, 30, 35]
    assert queue.why[2] == UNLIKE
    assert queue.rows[10:12] == [29, 3]


def test_a_share_is_drawn_in_turn_from_both_sides_and_no_image_is_asked_twice():
    queue = order_images(SCORES, SCORES > 0.75, KEYS, share=0.25)
    assert len(set(queue.rows)) == len(queue.rows) == 40
    assert [one.is_flagged for one in queue.draws[:4]] == [True, False, True, False]
    assert DRAWN in queue.why
    by_key = [row for row in np.argsort(KEYS).tolist() if SCORES[row] <= 0.75]
    assert [one.row for one in queue.draws if not one.is_flagged][:5] == by_key[:5]


def test_what_has_no_score_is_not_asked_and_the_queue_has_an_end():
    scores = SCORES.copy()
    scores[[3, 39]] = np.nan
    assert {3, 39} & set(order_images(scores, scores > 0.75, KEYS, share=0.5).rows) == set()
    assert len(order_images(SCORES, SCORES > 0.75, KEYS, share=0.5, most=7).rows) == 7


@pytest.mark.parametrize("share", [0.2, 1])
def test_new_images_join_the_draw_as_if_they_had_been_there(share):
    before = order_images(SCORES[:30], SCORES[:30] > 0.5, KEYS[:30], share=share)
    after = order_images(SCORES, SCORES > 0.5, KEYS, share=share)
    drawn = [one.row for one in after.draws if one.row < 30 and not one.is_flagged]
    earlier = [one.row for one in before.draws if not one.is_flagged]
    assert drawn[: len(earlier)] == earlier != []


def test_the_rates_hold_as_often_as_they_say_though_picks_are_full_of_defects():
    rng, held, naive = np.random.default_rng(0), [], []
    for _ in range(300):
        scores = rng.normal(size=400).astype(np.float32)
        is_defect = rng.random(400) < 1 / (1 + np.exp(-3 * (scores - 1.2)))
        flagged = scores > 1
        queue = order_images(scores, flagged, rng.integers(0, 2**63, 400, np.uint64), share=0.3)
        n_done = int(rng.integers(60, 200))
        labels = {row: "defect" if is_defect[row] else "good" for row in queue.rows[:n_done]}
        for side in (True, False):
            n, truth = int((flagged == side).sum()), is_defect[flagged == side].mean()
            rate = defect_rate(drawn_of(queue, labels, side), flagged=side, n_images=n)
            held.append(rate.share.low <= truth <= rate.share.high)
            if not side:
                asked = [row for row in queue.rows[:n_done] if not flagged[row]]
                naive.append((is_defect[asked].mean() - truth, rate.share.value - truth))
    assert np.mean(held) >= 0.95
    picked, drawn = np.mean(naive, axis=0)
    assert abs(drawn) < 0.005 < 0.05 < picked


def test_an_open_image_widens_the_interval_and_a_census_has_none():
    opened, closed = (
        defect_rate([*["good"] * 7, one], flagged=True, n_images=10) for one in (None, "good")
    )
    assert opened.n_open == 1
    assert opened.share.high > closed.share.high
    assert opened.share.value == 0
    all_of_them = defect_rate([*["good"] * 9, None], flagged=True, n_images=10)
    assert (all_of_them.share.low, all_of_them.share.high) == (0.0, 0.1)
    assert "all are answered" in all_of_them.words
    assert defect_rate([], flagged=False, n_images=0).share.value is None


def test_once_all_flagged_images_are_asked_the_draw_is_of_the_others():
    queue = order_images(SCORES, SCORES > 0.9, KEYS, share=0.5)
    last = max(queue.rows.index(row) for row in np.flatnonzero(SCORES > 0.9))
    assert {one.is_flagged for one in queue.draws if one.after > last + 2} == {False}
