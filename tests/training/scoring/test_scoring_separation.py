"""How well parts tell made anomalies from normal images is the ROC AUC that the judge would
give."""

from __future__ import annotations

import pytest
import torch

from residua.metrics import roc_auc
from residua.training.scoring.separation import separations


def test_each_column_has_the_judges_roc_auc_ties_included():
    generator = torch.Generator().manual_seed(0)
    normal, made = (
        torch.randint(low, low + 9, (n, 3), generator=generator).float()
        for n, low in ((50, 0), (80, 2))
    )
    labels = [False] * 50 + [True] * 80
    expected = [roc_auc(labels, column.numpy()) for column in torch.cat([normal, made]).T]
    assert separations(normal, made).tolist() == pytest.approx(expected, abs=1e-6)
