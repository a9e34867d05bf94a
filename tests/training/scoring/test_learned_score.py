"""Scores that learn from corrections: what a head is worth is decided on defects that were left
out, what is like a false alarm is lowered, and all else keeps its order."""

from __future__ import annotations

import pytest
import torch

from residua.training.scoring.head_weight import choose_weight, net_found
from residua.training.scoring.learned_score import LearnedScorer, Seen, see
from residua.training.scoring.scorer import ErrorScorer, ScorerOutput, View

N, D = 120, 6


class Nothing(ErrorScorer):
    """An inner scorer that is never asked."""

    def __init__(self):
        super().__init__(torch.nn.Identity(), "squared", logits=False)


def seen(n: int, *, shift: int | None = None, by: float = 6.0, score: float = 0.0, seed: int = 0):
    """Images of noise; those with a `shift` stand out along one feature, and score higher."""
    generator = torch.Generator().manual_seed(1000 + seed)
    marked, overall = torch.randn(2, n, D, generator=generator)
    if shift is not None:
        marked[:, shift] += by
    return Seen(torch.randn(n, generator=generator) + score, marked, overall)


def area(scorer, normals, defects) -> float:
    below = scorer.score_of(normals)[:, None] < scorer.score_of(defects)[None]
    return float(below.double().mean())


def taught(n_defects: int = 0, n_good: int = 0, **more) -> tuple[LearnedScorer, object]:
    scorer = LearnedScorer(Nothing())
    learning = scorer.learn(
        seen(N),
        torch.arange(N) < N // 2,
        defects=seen(n_defects, shift=0, seed=1) if n_defects else None,
        good=seen(n_good, shift=1, by=12, score=5, seed=2) if n_good else None,
        **more,
    )
    return scorer, learning


def test_without_corrections_the_order_of_scores_stays():
    scorer, _ = taught()
    images = seen(50, seed=5)
    assert torch.equal(scorer.score_of(images).argsort(), images.score.argsort())


def test_ten_defects_raise_their_kind_and_leave_other_kinds_as_they_were():
    plain, (scorer, learning) = taught()[0], taught(10)
    normals, known, other = (
        seen(300, seed=6),
        seen(100, shift=0, seed=7),
        seen(100, shift=3, seed=8),
    )
    assert learning.head.weight > 0
    assert learning.head.low <= learning.head.gain <= learning.head.high
    assert area(scorer, normals, known) > area(plain, normals, known) + 0.2
    assert area(scorer, normals, other) > area(plain, normals, other) - 0.01


@pytest.mark.parametrize("n_defects", [1, 2])
def test_one_group_of_defects_is_not_enough_for_a_head(n_defects):
    scorer, learning = taught(n_defects, groups=torch.zeros(n_defects, dtype=torch.int64))
    assert (learning.head.weight, learning.head.gain, learning.head.n_groups) == (0.0, None, 1)
    assert float(scorer.weight) == 0


def test_defects_that_look_like_normal_images_get_no_weight():
    scorer = LearnedScorer(Nothing())
    head = scorer.learn(seen(N), torch.arange(N) < N // 2, defects=seen(10, seed=11)).head
    assert head.weight == 0


def test_no_normal_image_is_raised_and_without_a_head_no_defect_is():
    scorer, learning = taught(10, head="narrow")
    raised = scorer.score_of(seen(N)) - scorer._base(seen(N))
    assert raised[: N // 2].abs().max() < 1e-5
    assert (learning.defects > learning.unraised).any()
    assert (learning.unraised <= learning.defects).all()
    without, learning = taught(10, head=None)
    assert (float(without.weight), learning.head.weight) == (0.0, 0.0)
    assert torch.equal(learning.defects, learning.unraised)


def test_what_other_kinds_lose_is_weighed_against_what_a_head_finds():
    before, after, none = torch.arange(15) < 3, torch.arange(15) < 11, torch.zeros(15).bool()
    alone = torch.arange(15)
    assert net_found(before, after, none, alone) == pytest.approx((8 - 3) / 15)
    assert net_found(before, torch.arange(15) < 5, none, alone) < 0
    of_parts = torch.arange(15).clamp(min=10)
    assert net_found(before, after, before, of_parts) == pytest.approx(8 / 55)


def test_views_of_one_defect_count_once():
    normals = torch.linspace(-2, 2, 80), torch.zeros(80)
    defects = torch.zeros(8), torch.tensor([3.0] * 7 + [0.0])
    alone = choose_weight(normals, defects, torch.arange(8))
    as_two = choose_weight(normals, defects, torch.tensor([0] * 7 + [1]))
    assert alone.weight > 0
    assert as_two.weight == 0


def test_false_alarms_are_lowered_with_their_likes_and_defects_keep_what_they_have():
    plain, scorer = taught()[0], taught(n_good=20)[0]
    likes, defects = (
        seen(100, shift=1, by=12, score=5, seed=12),
        seen(100, shift=4, score=5, seed=13),
    )
    threshold = plain.score_of(seen(400, seed=14)).quantile(0.95)
    again = scorer.score_of(seen(400, seed=14)).quantile(0.95)
    assert (plain.score_of(likes) > threshold).double().mean() > 0.9
    assert (scorer.score_of(likes) > again).double().mean() < 0.3
    before = (plain.score_of(defects) > threshold).double().mean()
    assert (scorer.score_of(defects) > again).double().mean() > before - 0.05


def test_what_is_nearer_to_a_labelled_defect_than_to_a_corrected_image_is_not_lowered():
    good, bad = seen(20, shift=1, score=5, seed=2), seen(6, shift=1, by=12, score=5, seed=3)
    alone, both = LearnedScorer(Nothing()), LearnedScorer(Nothing())
    alone.learn(seen(N), torch.arange(N) < N // 2, good=good)
    both.learn(seen(N), torch.arange(N) < N // 2, good=good, defects=bad)
    again = Seen(bad.score, *(part + 0.01 for part in bad[1:]))
    assert (alone.score_of(again) < alone._base(again) - 0.1).any()
    assert (both.score_of(again) >= both._base(again) - 1e-6).all()


def test_nothing_is_lowered_below_what_is_usual():
    scorer = taught(n_good=20)[0]
    likes = seen(100, shift=1, by=12, score=5, seed=12)
    base = scorer._base(likes)
    assert torch.all(scorer.score_of(likes) >= torch.minimum(base, scorer.level) - 1e-6)


def test_features_come_from_the_places_that_stand_out():
    features = torch.zeros(1, 2, 10, 10)
    features[0, 0, 3, 4] = 7.0
    error_map = torch.zeros(1, 20, 20)
    error_map[0, 6:8, 8:10] = 1.0
    output = ScorerOutput(torch.zeros(1), error_map, torch.zeros(1, 1, 20, 20))
    found = see(View(output, features))
    assert found.marked[0, 0] > 4  # the mark, which is one of a hundred places
    assert found.marked[0, 1] == 0
    assert found.overall[0].tolist() == pytest.approx([0.07, 0.0])
    flat = see(View(output._replace(error_map=torch.zeros(1, 20, 20)), features))
    assert flat.marked.isfinite().all()
    code = see(View(output, torch.ones(1, 5, 1, 1)))
    assert (code.marked.shape, code.overall.shape) == ((1, 5), (1, 64))
    assert see(View(output, None)).marked.shape == (1, 64)


def test_corrected_images_count_as_if_each_had_taught_nothing():
    fresh, off = seen(400, shift=1, by=12, score=5, seed=30), []
    for seed in range(5):
        good = seen(20, shift=1, by=12, score=5, seed=200 + seed)
        scorer = LearnedScorer(Nothing())
        left_out = scorer.learn(seen(N), torch.arange(N) < N // 2, good=good).good
        others = scorer.score_of(fresh).mean()
        off.append([left_out.mean() - others, scorer.score_of(good).mean() - others])
    left_off, own_off = torch.tensor(off).mean(0).abs().tolist()
    assert left_off < 0.2 < 0.4 < own_off
    views = torch.arange(20) // 2
    paired = scorer.learn(seen(N), torch.arange(N) < N // 2, good=good, good_groups=views).good
    assert paired.mean() >= left_out.mean() - 0.1


def test_false_alarms_that_share_nothing_teach_their_repeats_alone():
    normals, is_held_out = seen(N), torch.arange(N) < N // 2
    made = seen(20, shift=2, by=4, score=3, seed=40)
    scattered = Seen(torch.full((20,), 5.0), *(part[20:40] for part in seen(60, seed=41)[1:]))
    scorer = LearnedScorer(Nothing())
    learning = scorer.learn(normals, is_held_out, good=scattered, made=made)
    assert int(learning.is_alone.sum()) == 20
    others = seen(200, shift=3, by=4, score=4, seed=42)
    assert (scorer.score_of(others) >= scorer._base(others) - 1e-5).float().mean() > 0.98
    assert (scorer.score_of(scattered) < scorer._base(scattered) - 1).all()
    alike, fresh = (seen(20, shift=1, by=12, score=5, seed=s) for s in (43, 44))
    wide = scorer.learn(normals, is_held_out, good=alike, made=made)
    assert int(wide.is_alone.sum()) == 0
    assert (scorer.score_of(fresh) < scorer._base(fresh) - 1).float().mean() > 0.8
    wide_lows = scorer.alike[:, 0]
    narrow = scorer.learn(normals, is_held_out, good=alike, made=made, reach="narrow")
    assert int(narrow.is_alone.sum()) == 20
    assert (scorer.alike[:, 0] >= wide_lows).all()
    none = scorer.learn(normals, is_held_out, good=alike, made=made, reach="none")
    assert torch.equal(none.good, scorer._base(alike))
    assert torch.equal(scorer.score_of(fresh), scorer._base(fresh))


def test_a_model_that_learnt_in_an_earlier_version_scores_as_it_did():
    scorer, _ = taught(10, 20)
    state = scorer.state_dict()
    state["alike"] = torch.tensor([0.5, 0.7])
    del state["length"]
    old = LearnedScorer(Nothing())
    for name in ("good", "bad", "direction"):
        setattr(old, name, torch.zeros_like(state[name]))
    for part in ("marked", "overall"):
        setattr(old, part, getattr(scorer, part))
    old.load_state_dict(state)
    assert float(old.length) == 0
    white = old._white(seen(30, seed=9))
    expected = (white @ old.direction - old.head_mean) / old.head_spread
    assert torch.allclose(old._head(white), expected)
    assert old.alike.tolist() == [pytest.approx([0.5, 0.7])]
