"""Which kind a defect is of, by few labelled ones, or of none of these."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.engines.interface import LEAST_KNOWN
from residua.training.scoring.head_weight import folds_of
from residua.training.scoring.places import tamed
from residua.training.scoring.scorer import add_buffers

_UNKNOWN = 0.8  # share of the images of kinds left out that come out as none, at least
_PENALTY = 0.01  # C of the logistic regression
_CALM = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


class KindLearning(NamedTuple):
    """How well kinds are told of defects that were left out.

    Of ``n`` defects, each left out in turn, ``right`` get their kind and ``none`` come out as none
    of these. Of ``n_unknown`` images of kinds that were left out as a whole, or of false alarms,
    ``unknown_none`` do.
    """

    n: int
    right: int
    none: int
    n_unknown: int
    unknown_none: int


class KindHead(nn.Module):
    """Probabilities of kinds and of none of these, by whitened features.

    Multinomial logistic regression between kinds. Whether an image is of any of them is a logistic
    function of its likeness (cosine) to the nearest mean of a kind: it is fitted to defects that
    were left out, against kinds that were left out as a whole, both counting the same.
    """

    weights: Tensor
    bias: Tensor
    means: Tensor
    known: Tensor

    def __init__(self, n_kinds: int = 1, n_features: int = 1) -> None:
        super().__init__()
        add_buffers(
            self,
            weights=torch.zeros(n_kinds, n_features),
            bias=torch.zeros(n_kinds),
            means=torch.zeros(n_kinds, n_features),
            known=torch.zeros(2),
        )

    def forward(self, white: Tensor) -> Tensor:
        """Whitened features (n, n_features) to probabilities of kinds and of none."""
        values = tamed(white)
        of_kinds = (values @ self.weights.T + self.bias).softmax(dim=1)
        is_known = (self.known[0] + self.known[1] * _likeness(values, self.means)).sigmoid()
        return torch.cat([of_kinds * is_known[:, None], 1 - is_known[:, None]], dim=1)

    def fit(
        self,
        white: Tensor,
        kinds: Tensor,
        groups: Tensor,
        others: Tensor,
        more: tuple[Tensor, Tensor, Tensor] | None = None,
    ) -> KindLearning:
        """Learn kinds from defects, of which each kind has two groups at least.

        - `white`: float tensor, (n, n_features). Whitened features of the defects.
        - `kinds`, `groups`: int64 tensors, (n,). Kinds from 0, and which defects are left out
          together.
        - `others`: float tensor, (n_others, n_features). Of images that are of no kind, which count
          where there is one kind only.
        - `more`: Features, kinds and groups that tell the kinds apart too, and are not asked.
        """
        from sklearn.linear_model import LogisticRegression

        values, n_kinds = tamed(white), int(kinds.max()) + 1
        shown = (values, kinds, groups)
        if more is not None:
            first, second, third = more
            shown = (
                torch.cat([values, tamed(first)]),
                torch.cat([kinds, second]),
                torch.cat([groups, third]),
            )
        logits, near = torch.zeros(len(values), n_kinds), torch.zeros(len(values))
        for fold in folds_of(groups):
            out = torch.isin(groups, fold)
            known = ~torch.isin(shown[2], fold)
            weights, bias = _regressed(shown[0][known], shown[1][known], n_kinds)
            logits[out] = values[out] @ weights.T + bias
            near[out] = _likeness(values[out], _means(values[~out], kinds[~out], n_kinds))
        # Normal images lie far from all defects, so beside kinds left out they would say little.
        far = [_likeness(tamed(others), _means(values, kinds, n_kinds))] if n_kinds == 1 else []
        for kind in range(n_kinds if n_kinds > 1 else 0):
            is_it = kinds == kind
            left = torch.unique(kinds[~is_it], return_inverse=True)[1]
            far.append(_likeness(values[is_it], _means(values[~is_it], left, n_kinds - 1)))
        unknown = torch.cat(far)
        chosen = min(_CALM, key=lambda calm: float(F.cross_entropy(logits * calm, kinds)))
        self.weights, self.bias = (part * chosen for part in _regressed(*shown[:2], n_kinds))
        self.means = _means(values, kinds, n_kinds)
        both = torch.cat([near, unknown])[:, None].double().numpy()
        centre, spread = both.mean(), max(float(both.std()), 1e-6)
        is_known = np.arange(len(both)) < len(near)
        model = LogisticRegression(class_weight="balanced").fit((both - centre) / spread, is_known)
        slope = max(float(model.coef_[0, 0]), 0.0) / spread  # the more alike, the more known
        self.known = torch.tensor([float(model.intercept_[0] - slope * centre), slope])
        # Defects left out are compared with fewer of their kind, and unknown ones with fewer kinds.
        excess = (self.known[0] + self.known[1] * unknown).quantile(_UNKNOWN)
        self.known[0] -= excess.clamp(min=0)

        def share_of(likeness: Tensor) -> Tensor:
            return (self.known[0] + self.known[1] * likeness).sigmoid()

        is_none = share_of(near) < LEAST_KNOWN
        return KindLearning(
            len(values),
            int((~is_none & (logits.argmax(1) == kinds)).sum()),
            int(is_none.sum()),
            len(unknown),
            int((share_of(unknown) < LEAST_KNOWN).sum()),
        )


def _regressed(values: Tensor, kinds: Tensor, n_kinds: int) -> tuple[Tensor, Tensor]:
    """Weights (n_kinds, n_features) and bias (n_kinds,)."""
    from sklearn.linear_model import LogisticRegression

    there = kinds.unique()
    weights, bias = torch.zeros(n_kinds, values.shape[1]), torch.full((n_kinds,), -20.0)
    bias[there] = 0.0
    if len(there) > 1:
        model = LogisticRegression(C=_PENALTY, max_iter=1000)
        model.fit(values.double().numpy(), kinds.numpy())
        coefficients, intercept = torch.tensor(model.coef_), torch.tensor(model.intercept_)
        if len(there) == 2:
            coefficients = torch.cat([-coefficients, coefficients]) / 2
            intercept = torch.cat([-intercept, intercept]) / 2
        weights[there], bias[there] = coefficients.float(), intercept.float()
    return weights, bias


def _means(values: Tensor, kinds: Tensor, n_kinds: int) -> Tensor:
    """The direction of each kind, (n_kinds, n_features)."""
    unit = F.normalize(values, dim=1)
    return F.normalize(torch.zeros(n_kinds, values.shape[1]).index_add(0, kinds, unit), dim=1)


def _likeness(values: Tensor, means: Tensor) -> Tensor:
    return (F.normalize(values, dim=1) @ means.T).amax(1)
