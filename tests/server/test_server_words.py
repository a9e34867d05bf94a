"""The sentence of a decision: the score, the threshold, and whose scores it is compared with."""

from __future__ import annotations

import pytest

from residua.server.model import Rank, _words


@pytest.mark.parametrize(
    ("n_below", "said"), [(0, "none scores"), (1, "1 scores"), (7, "7 score"), (64, "all score")]
)
def test_the_rank_says_of_which_images(n_below, said):
    words = _words(0.9, 1.123, False, Rank(n_below=n_below, n_normals=64))
    assert words == (
        "Normal: the score 0.9 is not above the threshold 1.123. Of the 64 normal images that the"
        f" threshold was chosen on, {said} lower."
    )


def test_without_calibration_scores_the_threshold_is_all_there_is():
    assert _words(2.0, 1.123, True, None) == (
        "Anomalous: the score 2 lies above the threshold 1.123."
    )
