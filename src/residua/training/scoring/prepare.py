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

_MOST_AT_ONCE = 1 << 20  # pixels that are multiplied by all weights: most of them are zero
_MOST_WEIGHTS = 1 << 24  # of one axis in one piece: 4,096 x 4,096, with what makes them some 200 MB
_REACH, _FEWEST_ROWS, _MOST_ROWS = 128, 8, 512  # of a piece: in the image, in what is made of it
_ABOUT_EQUAL = 2

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
    if _are_in_pieces((height, width), target):
        return _resized_in_pieces(values, target, scales)
    rows = resize_weights(height, target[0], scales[0])
    return rows @ values @ resize_weights(width, target[1], scales[1]).T


def _are_in_pieces(size: tuple[Any, Any], target: tuple[Any, Any]) -> bool:
    """Whether zero weights are left out: of large images, and never in a graph."""
    if any(type(side) is not int for side in (*size, *target)):
        return False
    n_weights = max(size[0] * target[0], size[1] * target[1])
    n_pixels = max(size[0] * size[1], target[0] * target[1])
    return n_weights > _MOST_WEIGHTS or n_pixels > _MOST_AT_ONCE


def _unit(images: Tensor) -> Tensor:
    values = images.to(torch.float32)
    return values / 255.0 if images.dtype == torch.uint8 else values


def _resized_in_pieces(
    values: Tensor, target: tuple[int, int], scales: tuple[Tensor, Tensor]
) -> Tensor:
    """The same, without the weights that are zero: all but a band of them."""
    height, width = values.shape[-2:]

    def rows(of: Tensor) -> Tensor:
        return _rows_in_pieces(of, target[0], scales[0])

    def columns(of: Tensor) -> Tensor:
        return _rows_in_pieces(of.mT, target[1], scales[1]).mT.contiguous()

    # The axis that leaves less goes first; of equals that which leaves less to be turned about.
    even = _ABOUT_EQUAL if target[0] < height else 1 / _ABOUT_EQUAL
    rows_first = target[0] * width <= even * height * target[1]
    return columns(rows(values)) if rows_first else rows(columns(values))


def _rows_in_pieces(values: Tensor, n_out: int, scale: Tensor) -> Tensor:
    n_in = values.shape[-2]
    pieces = []
    n_rows = max(_FEWEST_ROWS, min(_MOST_ROWS, round(_REACH / float(scale))))
    for centres in _centres(n_in, n_out, scale).split(n_rows):
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
        height, width = images.shape[1], images.shape[2]
        target = self.target(height, width)
        # Equal sizes give identity matrices, which change nothing; an exported graph must not rely
        # on one.
        if not torch.compiler.is_exporting() and (height, width) == target:
            return _unit(images).permute(0, 3, 1, 2).contiguous()
        scales = self._scales((height, width), target)
        if not _are_in_pieces((height, width), target):
            return _resized(_unit(images).permute(0, 3, 1, 2), target, scales)
        # Grey that is repeated, as `own_channels` has it, is resized once.
        n_own = 1 if images.stride(-1) == 0 else images.shape[-1]
        planes = [
            _resized_in_pieces(_unit(images[..., channel].contiguous()), target, scales)
            for channel in range(n_own)
        ]
        return torch.stack(planes, 1).expand(-1, images.shape[-1], -1, -1).contiguous()

    def target(self, height: Any, width: Any) -> tuple[int, int]:
        """(height, width) that an image of this size is resized to."""
        if self.aspect != "area":
            return self.size
        # Traced sizes are tensors.
        area = height.double() * width if isinstance(height, Tensor) else height * width
        scale = (self.size[0] * self.size[1] / area) ** 0.5
        return _rounded(height * scale), _rounded(width * scale)

    def at_one_size(self) -> Prepare:
        """The same, but stretched to one size, for what needs all images alike."""
        return Prepare(self.size, "stretch").to(self.unit.device) if self.aspect == "area" else self

    def restore(self, maps: Tensor, height: int, width: int) -> Tensor:
        """Bring maps (batch, *size) back to their images' resolution, (batch, height, width)."""
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
    """The nearest multiple of the stride, at least one; sides may be symbols or tensors."""
    if isinstance(side, Tensor):
        return (side / _STRIDE + 0.5).long().clamp(min=1) * _STRIDE
    return torch.sym_max(1, torch.sym_int(side / _STRIDE + 0.5)) * _STRIDE
