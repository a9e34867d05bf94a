"""What a backbone sees as maps: the size it takes, its patches, its tokens on their grid."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from residua.errors import InputError

_MOST_PREFIX_TOKENS = 16


class _FixedPositions:
    """Positions of a transformer at one size, which a trace takes as they are.

    Traced, their interpolation would stay open to any size, and exporters refuse it.
    """

    fixed_size: tuple[int, int]
    fixed_patch: tuple[int, int]
    position_embeddings: Tensor

    def interpolate_pos_encoding(self, *_: Any) -> Tensor:
        n = 1
        for side, patch in zip(self.fixed_size, self.fixed_patch, strict=True):
            n *= side // patch
        blank = self.position_embeddings.new_empty(1, 1 + n, self.position_embeddings.shape[-1])
        tracer: Any = torch._C
        tracing = tracer._get_tracing_state()
        tracer._set_tracing_state(None)
        try:
            return super().interpolate_pos_encoding(blank, *self.fixed_size)  # type: ignore[misc,no-any-return]
        finally:
            tracer._set_tracing_state(tracing)


def take_size(backbone: nn.Module, height: int, width: int) -> tuple[int, int]:
    """The size nearest to this that `backbone` takes: sides that its patches divide.

    One that is made for a single size is made for this one: its positions are interpolated.
    """
    only = getattr(backbone, "only_size", None)
    if only is not None:
        return only  # type: ignore[no-any-return]
    patch = _patch(backbone) or (1, 1)
    rows, columns = (
        max(1, round(side / of)) * of for side, of in zip((height, width), patch, strict=True)
    )
    resize = getattr(getattr(backbone, "model", None), "set_input_size", None)
    if resize is not None:
        resize(img_size=(rows, columns))
    embeddings: Any = getattr(backbone, "embeddings", None)
    if hasattr(embeddings, "interpolate_pos_encoding"):
        if not isinstance(embeddings, _FixedPositions):
            own = type(embeddings)
            embeddings.__class__ = type(own.__name__, (_FixedPositions, own), {})
        embeddings.fixed_size, embeddings.fixed_patch = (rows, columns), patch
    backbone.taken_size = (rows, columns)  # type: ignore[assignment]
    return rows, columns


def _patch(backbone: Any) -> tuple[int, int] | None:
    """Height and width of the patches of a transformer; None of everything else."""
    embedding = getattr(getattr(backbone, "model", None), "patch_embed", None)
    patch = getattr(embedding or getattr(backbone, "config", None), "patch_size", None)
    return (patch, patch) if isinstance(patch, int) else tuple(patch) if patch else None


def maps_of(backbone: nn.Module, images: Tensor) -> list[Tensor]:
    """What `backbone` sees of images (batch, 3, height, width) as maps; see `feature_maps`."""
    named = inspect.signature(backbone.forward).parameters if hasattr(backbone, "config") else ()
    options = {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in named else {}
    output = backbone(images, **options)
    layout = getattr(backbone, "output_fmt", None)
    if getattr(layout, "value", layout) == "NHWC":
        output = [one.permute(0, 3, 1, 2) for one in output]
    height, width = map(int, images.shape[-2:])
    return feature_maps(output, height, width, _patch(backbone))


def feature_maps(
    output: Any, height: int, width: int, patch: tuple[int, int] | None = None
) -> list[Tensor]:
    """What a backbone returned for images of this size as maps, float32, finest first.

    Maps are (batch, channels, rows, columns). Of tokens, those in front that cover no `patch` of
    the image are left out: class and register tokens. Without `patch`, patches are square, and as
    many as the tokens allow.

    Raises InputError if it is no map, no list of maps and no tokens whose grid can be told.
    """
    hidden = getattr(output, "last_hidden_state", output)
    maps = list(hidden) if isinstance(hidden, list | tuple) else [hidden]
    if not maps or not all(isinstance(one, Tensor) and one.ndim in (3, 4) for one in maps):
        got = (
            ", ".join(
                f"{tuple(one.shape)}" if isinstance(one, Tensor) else type(one).__name__
                for one in maps
            )
            or "nothing"
        )
        raise InputError(
            "backbone: it must return maps (batch, channels, rows, columns), a list"
            f" of them, or tokens (batch, n, channels). Got {got}. Wrap it in a module that does."
        )
    return [
        one.float() if one.ndim == 4 else _unfold(one.float(), height, width, patch) for one in maps
    ]


def _unfold(
    tokens: Tensor, height: int, width: int, patch: tuple[int, int] | None = None
) -> Tensor:
    """Tokens as a map, without the few in front of those that cover the image."""
    n = int(tokens.shape[1])
    patches = [patch] if patch else [(side, side) for side in range(1, min(height, width) + 1)]
    grids = {(height // down, width // across) for down, across in patches}
    fitting = [
        (rows, columns) for rows, columns in grids if 0 <= n - rows * columns <= _MOST_PREFIX_TOKENS
    ]
    if not fitting:
        raise InputError(
            "backbone: its tokens must cover the image in square patches. Got"
            f" {n} tokens for {height}x{width} pixels. Set the option side to the size that it was"
            " made for."
        )
    rows, columns = max(fitting, key=lambda grid: grid[0] * grid[1])
    covering = tokens[:, n - rows * columns :].reshape(-1, rows, columns, tokens.shape[2])
    return covering.permute(0, 3, 1, 2)
