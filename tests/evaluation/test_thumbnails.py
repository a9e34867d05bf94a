import numpy as np
import pytest

from residua.evaluation import choose_thumbnails, thumbnail_size


@pytest.mark.parametrize(
    ("n", "n_anomalous"),
    [(50, 10), (5000, 100), (5000, 2500), (5000, 0), (5000, 4990), (5000, 5000)],
)
def test_the_rarer_kind_is_shown_whole_and_never_more_than_asked_for(n, n_anomalous):
    scores = np.random.default_rng(0).random(n)
    is_anomalous = np.arange(n) < n_anomalous
    chosen = choose_thumbnails(scores, is_anomalous, most=1000)
    assert len(chosen) == min(n, 1000) == len(set(chosen.tolist())) and (np.diff(chosen) > 0).all()
    rarer = min(n_anomalous, n - n_anomalous)
    shown = min((is_anomalous[chosen]).sum(), (~is_anomalous[chosen]).sum())
    assert shown == min(rarer, 500)


def test_both_ends_of_the_scores_are_shown():
    scores = np.arange(100.0)
    assert {0, 99} <= set(choose_thumbnails(scores, most=7).tolist())


@pytest.mark.parametrize("n", [1, 600, 601, 2500, 9999, 100_000])
def test_thumbnails_are_never_enlarged_and_keep_their_shape(n):
    assert thumbnail_size(n, (8, 8)) == (8, 8)
    height, width = thumbnail_size(n, (200, 400))
    assert width == 2 * height and width <= 96
    assert min(thumbnail_size(n, (1, 4000))) == 1
