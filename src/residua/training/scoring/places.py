"""Maps in units of what is usual at each place, and scores from their highest places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.training.scoring.scorer import add_buffers
from residua.training.synthesis.smoothing import resized

_Parts = TypeVar("_Parts", bound=Sequence[str])
_CELLS = 10  # a side
_TINY = 1e-6
FEWEST_FOR_MEDIANS = 20
_NORMAL = 1.4826  # a normal distribution's standard deviation in median absolute deviations
_FARTHEST = 1e15  # its square is still finite


class Places(nn.Module):
    """Standardises maps by normal images' mean and spread in 10 x 10 cells of the image."""

    mean: Tensor
    spread: Tensor

    def __init__(self, n_maps: int) -> None:
        super().__init__()
        add_buffers(
            self,
            mean=torch.zeros(1, n_maps, _CELLS, _CELLS),
            spread=torch.ones(1, n_maps, _CELLS, _CELLS),
        )

    def fit(self, maps: Iterable[Tensor]) -> None:
        """Learn from the maps of normal images, in batches that each have their own size.

        A batch is (batch, n_maps, height, width).
        """
        cells, squares = [], []
        for batch in maps:
            cells.append(F.adaptive_avg_pool2d(batch, _CELLS))
            squares.append(F.adaptive_avg_pool2d(batch.square(), _CELLS))
        mean = torch.cat(cells).mean(0, keepdim=True)
        variance = torch.cat(squares).mean(0, keepdim=True) - mean.square()
        # Half the place's own variance, half the whole image's: a place is seen in a few dozen
        # images only.
        shrunk = 0.5 * variance + 0.5 * variance.mean((2, 3), keepdim=True)
        self.mean, self.spread = mean, shrunk.clamp(min=_TINY**2).sqrt()

    def forward(self, maps: Tensor) -> Tensor:
        """Maps (batch, n_maps, height, width) less what is usual there, in units of its spread."""
        height, width = maps.shape[-2:]
        return (maps - resized(self.mean, height, width)) / resized(self.spread, height, width)


def check_parts(parts: _Parts, placed: Sequence[str]) -> _Parts:
    """`parts` of a score, refused where none of them says where, or one is named twice.

    Raises ValueError with what must hold; a recipe's validation puts it into words.
    """
    if not set(parts) & set(placed) or len(set(parts)) < len(parts):
        raise ValueError(
            f"parts must be named once each, at least one of {', '.join(placed)}: the others make"
            " no map"
        )
    return parts


def smooth_places(maps: Tensor) -> Tensor:
    """Maps averaged over 3 x 3 places; at the edge, what the place beside it has.

    An average of fewer places varies more, so that edges would glow.

    >>> smooth_places(torch.arange(9.0).view(1, 1, 3, 3)).unique()
    tensor([4.])
    """
    if min(maps.shape[-2:]) < 3:
        return F.avg_pool2d(maps, 3, stride=1, padding=1, count_include_pad=False)
    return F.pad(F.avg_pool2d(maps, 3, stride=1), (1, 1, 1, 1), mode="replicate")


def highest(maps: Tensor, share: float) -> Tensor:
    """Mean of the highest `share` of each map's places, (batch, height, width) to (batch,).

    >>> highest(torch.tensor([[[1.0, 2.0], [3.0, 8.0]]]), 0.5)
    tensor([5.5000])
    """
    values = maps.flatten(1)
    return values.topk(so_many(share, values.shape[1]), dim=1, sorted=False).values.mean(1)


def centre_and_spread(values: Tensor) -> tuple[Tensor, Tensor]:
    """Median and scaled median absolute deviation of each column, (n, n_columns) to (n_columns,).

    The scale makes the latter a normal distribution's standard deviation. Up to half of the rows
    may be anything. Of fewer than 20 rows mean and standard deviation are given: the deviation of
    a handful is chance.

    >>> values = torch.arange(21.0)[:, None]
    >>> values[-1] = 1e6
    >>> centre_and_spread(values)
    (tensor([10.]), tensor([7.4130]))
    """
    if len(values) < FEWEST_FOR_MEDIANS:
        return values.mean(0), values.std(0, correction=0).clamp(min=_TINY)
    centre = values.quantile(0.5, dim=0)
    deviation = (values - centre).abs().quantile(0.5, dim=0)
    return centre, (_NORMAL * deviation).clamp(min=_TINY)


def tamed(values: Tensor) -> Tensor:
    """The inverse hyperbolic sine: a logarithm for large values, so that no part decides alone.

    >>> tamed(torch.tensor([-0.1, 0.0, 10.0, 1000.0]))
    tensor([-0.0998,  0.0000,  2.9982,  7.6009])
    """
    far = values.abs().clamp(max=_FARTHEST)  # written out: the exporter does not know asinh
    return values.sign() * (far + (far.square() + 1).sqrt()).log()


def so_many(share: float, n_places: Any) -> Any:
    """A share of the places, at least one; a tensor if `n_places` is one."""
    if isinstance(n_places, Tensor):
        return (n_places * share + 0.5).long().clamp(min=1)
    return max(1, int(n_places * share + 0.5))
