"""Preprocessing inside the graph.

A decoded image of any size becomes the tensor that the network sees.

Resizing is two matrix products with weights made from the sizes, by the triangle filter (bilinear
with antialiasing, as Pillow's BILINEAR): the same formula in every engine, so an exported file
cannot resize differently. The NumPy wing has the same weights in `residua.images.resize`; a test
ties the two.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

Aspect = Literal["stretch", "keep", "area"]

_MOST_WEIGHTS = 1 << 24  # of one axis in one piece: 4,096 x 4,096, with what makes them some 200 MB
_ROWS = 512  # of a piece

# sides of images that keep their proportions are multiples of it, as networks that halve them want
_STRIDE = 16


def resize_weights(n_in: int, n_out: int, scale: Tensor) -> Tensor:
    """Weights (n_out, n_in) whose rows sum to 1.

    `scale` is input pixels an output pixel, about the common centre.

    Output centres that fall outside the input take the edge's value.
    """
    positions = torch.arange(n_in, device=scale.device) + 0.5
    return _under(_centres(n_in, n_out, scale), positions, scale)


def _centres(n_in: int, n_out: int, scale: Tensor) -> Tensor:
    centres = (torch.arange(n_out, device=scale.device) + 0.5 - n_out / 2) * scale + n_in / 2
    return centres.clamp(0.5, n_in - 0.5)


def _under(centres: Tensor, positions: Tensor, scale: Tensor) -> Tensor:
    weights = (1 - (positions[None, :] - centres[:, None]).abs() / scale.clamp(min=1.0)).clamp(
        min=0
    )
    return weights / weights.sum(dim=1, keepdim=True)


def _resized(values: Tensor, target: tuple[int, int], scales: tuple[Tensor, Tensor]) -> Tensor:
    """Values (..., height, width) at `target`, both axes by their own scale."""
    height, width = values.shape[-2:]
    # A graph has no loop over pieces.
    is_traced = any(type(side) is not int for side in (height, width, *target))
    if not is_traced and max(height * target[0], width * target[1]) > _MOST_WEIGHTS:
        return _resized_in_pieces(values, target, scales)
    rows = resize_weights(height, target[0], scales[0])
    return rows @ values @ resize_weights(width, target[1], scales[1]).T


def _resized_in_pieces(
    values: Tensor, target: tuple[int, int], scales: tuple[Tensor, Tensor]
) -> Tensor:
    """The same for sides whose weights would take gigabytes: all but a band of them are zero."""
    height, width = values.shape[-2:]

    def rows(of: Tensor) -> Tensor:
        return _rows_in_pieces(of, target[0], scales[0])

    def columns(of: Tensor) -> Tensor:
        return _rows_in_pieces(of.mT, target[1], scales[1]).mT.contiguous()

    return (
        columns(rows(values)) if target[0] * width <= height * target[1] else rows(columns(values))
    )


def _rows_in_pieces(values: Tensor, n_out: int, scale: Tensor) -> Tensor:
    n_in = values.shape[-2]
    pieces = []
    for centres in _centres(n_in, n_out, scale).split(_ROWS):
        reach = float(scale.clamp(min=1.0))
        first, last = max(0, int(centres[0] - reach) - 1), min(n_in, int(centres[-1] + reach) + 2)
        positions = torch.arange(first, last, device=scale.device) + 0.5
        pieces.append(_under(centres, positions, scale) @ values[..., first:last, :])
    return torch.cat(pieces, dim=-2)


class Prepare(nn.Module):
    """Images of any size to float32 (batch, channels, *size) in [0, 1].

    Images are uint8 or float (batch, height, width, channels).

    ``aspect="stretch"`` fits height and width separately; ``"keep"`` scales both alike and repeats
    the edge on the shorter side. ``"area"`` leaves each image its own proportions and gives it
    about as many pixels as `size` has, its sides multiples of 16.

    Examples
    --------
    >>> Prepare((256, 256), "area").target(240, 600)
    (160, 400)
    """

    unit: Tensor

    def __init__(self, size: tuple[int, int], aspect: Aspect = "stretch") -> None:
        super().__init__()
        self.size, self.aspect = size, aspect
        # A tensor that follows the module from device to device; not part of what is saved.
        self.register_buffer("unit", torch.ones(()), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Scale to [0, 1], move the channels forward, resize."""
        values = images.to(torch.float32)
        if images.dtype == torch.uint8:
            values = values / 255.0
        values = values.permute(0, 3, 1, 2)
        height, width = images.shape[1], images.shape[2]
        target = self.target(height, width)
        # Equal sizes give identity matrices, which change nothing; an exported graph must not rely
        # on one.
        if not torch.compiler.is_exporting() and (height, width) == target:
            return values.contiguous()
        return _resized(values, target, self._scales((height, width), target))

    def target(self, height: Any, width: Any) -> tuple[int, int]:
        """(height, width) that an image of this size is resized to."""
        if self.aspect != "area":
            return self.size
        # Traced sizes are tensors.
        area = height.double() * width if isinstance(height, Tensor) else height * width
        scale = (self.size[0] * self.size[1] / area) ** 0.5
        return _rounded(height * scale), _rounded(width * scale)

    def at_one_size(self) -> Prepare:
        """The same, but stretched where images would keep their own sizes.

        For what needs them all alike.
        """
        return Prepare(self.size, "stretch").to(self.unit.device) if self.aspect == "area" else self

    def restore(self, maps: Tensor, height: int, width: int) -> Tensor:
        """Bring maps (batch, *size) back to the resolution of the images they came from.

        That is (batch, height, width).
        """
        target = self.target(height, width)
        if not torch.compiler.is_exporting() and (height, width) == target:
            return maps
        vertical, horizontal = self._scales((height, width), target)
        return _resized(maps, (height, width), (1 / vertical, 1 / horizontal))

    def _scales(self, size: tuple[int, int], target: tuple[int, int]) -> tuple[Tensor, Tensor]:
        vertical, horizontal = self.unit * size[0] / target[0], self.unit * size[1] / target[1]
        if self.aspect == "keep":
            vertical = horizontal = torch.maximum(vertical, horizontal)
        return vertical, horizontal


def _rounded(side: Any) -> Any:
    """The nearest multiple of the stride, at least one.

    Sides may be symbols of a graph that is exported, or traced tensors.
    """
    if isinstance(side, Tensor):
        return (side / _STRIDE + 0.5).long().clamp(min=1) * _STRIDE
    return torch.sym_max(1, torch.sym_int(side / _STRIDE + 0.5)) * _STRIDE
