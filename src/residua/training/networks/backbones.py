"""Backbones: networks that others trained, whose feature maps an autoencoder learns to reproduce.

A backbone is named, so that a bundle stays data: ``lite0`` and ``lite2`` whose weights come in a
package, ``timm:NAME`` and ``huggingface:NAME`` where those packages are installed, ``random-conv``
as a stand-in that needs nothing, or a name that `register_backbone` was told. What values a
backbone takes is known here too, and is no option of the recipe.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from residua.errors import InputError, MissingExtraError
from residua.training.networks.lite import LITE, EfficientNetLite, load_lite

BackboneFactory = Callable[[], nn.Module]
Channels = tuple[float, float, float]


class Values(NamedTuple):
    """What is taken off each channel of values in [0, 1], and what they are divided by."""

    mean: Channels
    deviation: Channels


IMAGENET = Values((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLAIN = Values((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

_PACKAGES = {"timm": "timm", "huggingface": "transformers"}
_RANDOM_SEED = 20140604
_MOST_PREFIX_TOKENS = 16


class RandomConv(nn.Module):
    """Three strided convolutions with fixed random weights.

    A stand-in that needs no download, and the floor for real ones.
    """

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(_RANDOM_SEED)
            self.stages = nn.ModuleList(
                nn.Conv2d(n_in, n_out, 3, 2, 1) for n_in, n_out in ((3, 32), (32, 64), (64, 128))
            )
            for stage in self.stages:
                nn.init.orthogonal_(stage.weight, gain=2**0.5)  # type: ignore[arg-type]
                nn.init.normal_(stage.bias, std=0.1)  # type: ignore[arg-type]

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps after each stage, finest first."""
        maps = [images]
        for stage in self.stages:
            maps.append(stage(maps[-1]).relu())
        return maps[1:]


class _Known(NamedTuple):
    """How a registered backbone is built, and the values that it takes."""

    build: BackboneFactory
    values: Values = IMAGENET


_REGISTERED: dict[str, _Known] = {
    "random-conv": _Known(RandomConv),
    **{
        name: _Known(lambda lite=lite: EfficientNetLite(lite), PLAIN)  # type: ignore[misc]
        for name, lite in LITE.items()
    },
}


def register_backbone(
    name: str, factory: BackboneFactory, *, values: Values | None = IMAGENET
) -> None:
    """Make a network of one's own known under `name`.

    Do so before training with it, and before loading a bundle that names it.

    Parameters
    ----------
    name : str
        Without a colon; a name given again takes the new network.
    factory : function without arguments
        Returns an ``nn.Module``: colour images, float (batch, 3, height, width), to feature maps
        (batch, channels, rows, columns), a list of them (finest first), or tokens (batch, n,
        channels). It is copied; what it returned stays as it is.
    values : Values, optional
        Mean and deviation of each channel of the images that it was trained on, in [0, 1]; those of
        ImageNet unless said. None for one that takes values in [0, 1] as they are.

    Raises
    ------
    InputError
        If the name holds a colon or is empty.

    Examples
    --------
    >>> from torch import nn
    >>> from residua.training.recipes.feature import register_backbone
    >>> register_backbone("edges", lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1))
    """
    if not name or ":" in name:
        raise InputError(
            f"register_backbone: the name must be a word without a colon. Got {name!r}. Choose"
            " another name."
        )
    _REGISTERED[name] = _Known(factory, values or PLAIN)


def values_of(name: str, backbone: nn.Module) -> Values:
    """The values that the backbone called `name` takes.

    Those of timm know their own; those of Hugging Face are taken to have ImageNet's.
    """
    if name in _REGISTERED:
        return _REGISTERED[name].values
    published = getattr(backbone, "pretrained_cfg", None) or {}
    mean, deviation = published.get("mean"), published.get("std")
    return Values(tuple(mean), tuple(deviation)) if mean and deviation else IMAGENET


def check_backbone(name: str) -> str:
    """`name`, refused where it is that of a backbone that cannot be built here.

    Raises
    ------
    InputError
        If `name` is neither registered nor ``timm:NAME`` or ``huggingface:NAME``.
    MissingExtraError
        If its package is not installed.
    """
    library, _, model = name.partition(":")
    if library in _PACKAGES and model:
        package = _PACKAGES[library]
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "backbones", f"recipe feature with backbone {name}")
    elif name not in _REGISTERED:
        raise InputError(
            "recipe feature: the backbone must be registered before it is used, or before a bundle"
            f" that names it is loaded. Got {name!r}; there are {', '.join(sorted(_REGISTERED))},"
            " timm:NAME and huggingface:NAME. Call"
            f" residua.training.recipes.feature.register_backbone({name!r}, factory) first."
        )
    return name


def build_backbone(name: str, *, pretrained: bool) -> nn.Module:
    """The network called `name`.

    Without `pretrained`, one of timm or Hugging Face has the architecture alone.

    Weights of Hugging Face models are read from safetensors and no code of theirs is run.
    Registered networks come with the weights that their factory gives them.

    Raises
    ------
    InputError
        If the package does not know the model, cannot reach what it has to fetch, or does not work
        itself.
    """
    check_backbone(name)
    library, _, model = name.partition(":")
    if library in _PACKAGES and model:
        try:
            return _BUILDERS[library](model, pretrained)
        except (OSError, RuntimeError, ValueError, LookupError, ImportError) as error:
            wanted = (
                "its published weights, which are fetched once"
                if pretrained
                else "its architecture"
            )
            raise InputError(
                f"recipe feature: {_PACKAGES[library]} must know {model!r} and find {wanted}. Got:"
                f" {_first_line(error)}. Check the name, the network and that {_PACKAGES[library]}"
                " works with the installed torch."
            ) from error
    network = copy.deepcopy(_REGISTERED[name].build())
    if pretrained and name in LITE:
        load_lite(network, name)
    return network


def _from_timm(model: str, pretrained: bool) -> nn.Module:
    timm: Any = importlib.import_module("timm")
    return timm.create_model(model, pretrained=pretrained, features_only=True)  # type: ignore[no-any-return]


def _from_huggingface(model: str, pretrained: bool) -> nn.Module:
    transformers: Any = importlib.import_module("transformers")
    if pretrained:
        return transformers.AutoModel.from_pretrained(model, use_safetensors=True)  # type: ignore[no-any-return]
    return transformers.AutoModel.from_config(transformers.AutoConfig.from_pretrained(model))  # type: ignore[no-any-return]


_BUILDERS: dict[str, Callable[[str, bool], nn.Module]] = {
    "timm": _from_timm,
    "huggingface": _from_huggingface,
}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def fetch_weights(backbone: nn.Module, name: str) -> None:
    """Give a backbone that was built without them its published weights."""
    if name in LITE:
        load_lite(backbone, name)
    elif name.partition(":")[0] in _PACKAGES:
        backbone.load_state_dict(build_backbone(name, pretrained=True).state_dict())


def feature_maps(output: Any, height: int, width: int) -> list[Tensor]:
    """What a backbone returned for images of this size as maps, float32, finest first.

    Maps are (batch, channels, rows, columns).

    Raises
    ------
    InputError
        If it is no map, no list of maps and no tokens whose grid can be told.
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
            "recipe feature: a backbone must return maps (batch, channels, rows, columns), a list"
            f" of them, or tokens (batch, n, channels). Got {got}. Wrap it in a module that does."
        )
    return [one.float() if one.ndim == 4 else _unfold(one.float(), height, width) for one in maps]


def _unfold(tokens: Tensor, height: int, width: int) -> Tensor:
    """Tokens as a map, as many as square patches cover the image.

    A few in front are left out: class and register tokens.
    """
    n = tokens.shape[1]
    grids = {(height // side, width // side) for side in range(1, min(height, width) + 1)}
    fitting = [
        (rows, columns) for rows, columns in grids if 0 <= n - rows * columns <= _MOST_PREFIX_TOKENS
    ]
    if not fitting:
        raise InputError(
            f"recipe feature: a backbone's tokens must cover the image in square patches. Got {n}"
            f" tokens for {height}x{width} pixels. Set the option side to the size that the"
            " backbone was made for."
        )
    rows, columns = max(fitting, key=lambda grid: grid[0] * grid[1])
    return tokens[:, n - rows * columns :].transpose(1, 2).unflatten(2, (rows, columns))
