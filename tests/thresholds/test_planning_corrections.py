"""How many corrections show that learning helped: the plan against the comparison itself."""

from __future__ import annotations

import numpy as np
import pytest

from residua.errors import RangeError
from residua.evaluation.paired import paired_shares
from residua.thresholds import plan_corrections


def test_so_many_images_show_the_improvement_as_often_as_planned():
    told = plan_corrections(0.60, 0.80, power=0.8)
    middle, rng = told.rows[1], np.random.default_rng(1)
    shown = []
    for _ in range(150):
        which = rng.random(middle.n_test)
        before = which >= 0.2 + middle.worse  # the others were missed
        after = (which >= middle.worse + 0.2) | (which < 0.2 + middle.worse)
        after &= ~(which > 1 - middle.worse)  # and some are missed now
        shown.append(paired_shares(after, before, confidence=0.95).is_shown(0.05))
    assert 0.68 < np.mean(shown) < 0.92
    assert [row.n_test for row in told.rows] == sorted(row.n_test for row in told.rows)
    assert all(row.n_images == row.n_test + 10 for row in told.rows)


def test_false_alarms_that_teach_have_to_be_found_first():
    told = plan_corrections(0.05, 0.02, taught=10)
    assert (told.kind, told.n_seen) == ("normal", 200)
    assert "found among 200 good images" in told.meaning
    assert told.rows[0].n_images == told.rows[0].n_test + 200


@pytest.mark.parametrize("rates", [(0.5, 0.5), (0, 0.5), (0.5, 1.0)])
def test_rates_that_mean_nothing_are_refused(rates):
    with pytest.raises(RangeError):
        plan_corrections(*rates)
