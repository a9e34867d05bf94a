"""Labels and scores that run the wrong way: read as their column says, or told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from residua.evaluation.arrays import judge

RNG = np.random.default_rng(5)
OUTLIER = RNG.random(300) < 0.4
SCORES = RNG.normal(size=300) + 2 * OUTLIER
TRUE = roc_auc_score(OUTLIER, SCORES)
KNOWN = RNG.normal(size=100)


def severity(record, code: str) -> str | None:
    return next((one.severity for one in record.findings if one.code == code), None)


def table(path: Path, **columns) -> Path:
    rows = zip(*columns.values(), strict=True)
    path.write_text(
        "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [("is_good", 1, 0), ("normal", "True", "False"), ("ok", "yes", "no"), ("is_defect", 0, 1)],
)
def test_labels_under_a_name_that_says_what_is_true_give_the_true_area(
    tmp_path, column, good, bad
) -> None:
    labels = table(tmp_path / "y.csv", **{column: np.where(OUTLIER, bad, good)})
    record, _ = judge(scores=SCORES, labels=labels)
    assert record.metrics["roc_auc"].value == pytest.approx(TRUE)
    assert any(
        one["because"] == f"the column is called {column}"
        for one in record.provenance["assumptions"]
    )
    arrays = tmp_path / "y.npz"
    np.savez(arrays, **{column: ~OUTLIER if good not in (0, "no") else OUTLIER})
    assert judge(scores=SCORES, labels=arrays)[0].metrics["roc_auc"].value == pytest.approx(TRUE)


@pytest.mark.parametrize(
    "column", ["decision_function", "score_samples", "p_normal", "p[good]", "ssim"]
)
def test_scores_called_what_is_higher_on_normal_images_are_told_with_and_without_labels(
    tmp_path, column
) -> None:
    scores = table(tmp_path / "s.csv", **{column: -SCORES})
    assert severity(judge(scores=scores, threshold=0)[0], "reversed-scores") == "error"
    record, _ = judge(scores=scores, labels=OUTLIER)
    assert severity(record, "reversed-scores") == "error"
    assert severity(record, "not-better-than-chance") == "error"
    negated = table(tmp_path / "n.csv", **{column: SCORES})
    assert severity(judge(scores=negated, labels=OUTLIER)[0], "reversed-scores") == "warning"
    plain = table(tmp_path / "p.csv", anomaly_score=SCORES)
    assert severity(judge(scores=plain, labels=OUTLIER)[0], "reversed-scores") is None


@pytest.mark.parametrize("known", ["calibration", "train"])
def test_two_wrongs_that_cancel_are_seen_beside_known_normal_images(known) -> None:
    def judged(labels, sign):
        more = {"train_scores": sign * KNOWN}
        if known == "calibration":
            more = {"calibration_scores": sign * KNOWN, "policy": "quantile:0.95"}
        return judge(scores=sign * SCORES, labels=labels, **more)[0]

    both = judged((~OUTLIER).astype(int), -1)
    assert both.metrics["roc_auc"].value == pytest.approx(TRUE)
    assert severity(both, "reversed-labels") == "error"
    assert severity(judged(OUTLIER.astype(int), 1), "reversed-labels") is None
    assert (
        severity(judged(OUTLIER.astype(int), -1), "reversed-labels") is None
    )  # the scores alone: not-better-than-chance


def test_honest_detectors_are_not_accused_of_reversed_labels() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        labels = rng.random(120) < rng.uniform(0.1, 0.9)
        drift, shift, width = rng.normal(0, 0.5), rng.exponential(1), rng.uniform(0.5, 3)
        scores = drift + np.where(
            labels, shift + width * rng.normal(size=120), rng.normal(size=120)
        )
        record, _ = judge(scores=scores, labels=labels, train_scores=rng.normal(size=80))
        assert severity(record, "reversed-labels") is None
