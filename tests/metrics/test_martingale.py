"""A test for change that may be looked at after every value."""

from __future__ import annotations

import json

import numpy as np
import pytest

from residua.metrics.martingale import BETS, SHARES, ConformalMartingale, bets_on, share_kept


def test_every_bet_is_fair_and_what_is_kept_falls_to_nothing_slowly():
    places = (np.arange(200_000) + 0.5) / 200_000
    assert bets_on(places).mean(axis=1) == pytest.approx(np.ones(len(BETS)), abs=0.01)
    assert SHARES.sum() == pytest.approx(1) and len(SHARES) == len(BETS)
    kept = [share_kept(n) for n in range(1000)]
    assert kept[0] == 1 and (np.diff(kept) < 0).all() and share_kept(1e6) > 0.3


def capital(rng, n, shift=0.0, n_reference=60):
    test = ConformalMartingale.of(rng.normal(size=n_reference))
    for row, value in enumerate(rng.normal(size=n)):
        test.add(value + shift * (row >= n // 2), 1 - rng.random())
    return test


def test_a_line_that_goes_on_as_it_was_seldom_multiplies_the_capital():
    """Ville: 1 in 10 lines at most ever reaches 10; a biased reference would be found out."""
    most = np.array([capital(np.random.default_rng(seed), 300).most for seed in range(100)])
    assert (most >= 10).mean() <= 0.1 + 3 * np.sqrt(0.1 * 0.9 / 100)


@pytest.mark.parametrize(("shift", "says"), [(1.5, "higher"), (-1.5, "lower")])
def test_a_change_is_found_and_says_which_way_and_since_when(shift, says):
    test = capital(np.random.default_rng(0), 800, shift)
    assert test.most > 1000 and test.says == says and 360 <= test.since <= 420
    before, after = test.means
    assert abs(before) < 0.3 and abs(after - shift) < 0.4


def test_ties_and_no_reference_at_all_find_nothing():
    rng = np.random.default_rng(0)
    tied = ConformalMartingale.of(rng.integers(0, 3, 60))
    for value in rng.integers(0, 3, 300):
        tied.add(value, 1 - rng.random())
    assert tied.most < 20
    blind = ConformalMartingale.of([])
    for value in range(300):
        blind.add(value, 1 - rng.random())
    assert blind.most < 20


def test_a_test_goes_on_from_its_state_as_if_it_had_never_stopped():
    rng = np.random.default_rng(3)
    values, drawn = rng.normal(size=200), 1 - rng.random(200)
    whole, half = (ConformalMartingale.of(np.linspace(-2, 2, 40)) for _ in range(2))
    for value, one in zip(values[:100], drawn, strict=False):
        half.add(value, one)
    half = ConformalMartingale.from_state(json.loads(json.dumps(half.state())))
    for value, one in zip(values[100:], drawn[100:], strict=True):
        half.add(value, one)
    for value, one in zip(values, drawn, strict=True):
        whole.add(value, one)
    assert whole.state() == half.state()
