"""Backbones: networks that others trained, whose feature maps an autoencoder learns to reproduce.

A backbone is named, so that a bundle stays data: ``lite0`` and ``lite2`` whose weights come in a
package, ``timm:NAME`` and ``huggingface:NAME`` where those packages are installed, ``filters``
for which nothing was learnt, ``random-conv`` as a stand-in, or a name that `register_backbone` was
told. ``@FILE`` behind the name of timm, ``@FOLDER`` behind that of Hugging Face says where weights
lie on this machine. What values a backbone takes is known here too, and is no option of the recipe.
"""

from __future__ import annotations

import copy
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from residua.errors import InputError, MissingExtraError
from residua.training.networks.filters import PlainFilters
from residua.training.networks.lite import LITE, EfficientNetLite, load_lite
from residua.training.networks.local_weights import folder_sha256, load_local
from residua.training.networks.maps import take_size
from residua.training.networks.onnx_graph import read_onnx, stored_network

BackboneFactory = Callable[[], nn.Module]
Channels = tuple[float, float, float]


class Values(NamedTuple):
    """What is taken off each channel of values in [0, 1], and what they are divided by."""

    mean: Channels
    deviation: Channels


IMAGENET = Values((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PLAIN = Values((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

_PACKAGES = {"timm": "timm", "huggingface": "transformers"}
_ONNX = ".onnx"
_RANDOM_SEED = 20140604


class RandomConv(nn.Module):
    """Three strided convolutions of fixed random weights: a floor that needs no download."""

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
    "filters": _Known(PlainFilters, PLAIN),
    "random-conv": _Known(RandomConv),
    **{
        name: _Known(lambda lite=lite: EfficientNetLite(lite), PLAIN)  # type: ignore[misc]
        for name, lite in LITE.items()
    },
}


def register_backbone(
    name: str, factory: BackboneFactory | nn.Module, *, values: Values | None = IMAGENET
) -> None:
    """Make a network of one's own known under `name`.

    Do so before training with it, and before loading a bundle that names it.

    Parameters
    ----------
    name : str
        Without a colon; a name given again takes the new network.
    factory : nn.Module, or a function without arguments that returns one
        From colour images, float (batch, 3, height, width), to feature maps
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
    >>> register_backbone("edges", nn.Conv2d(3, 8, 3, stride=2, padding=1))
    """
    if not name or ":" in name:
        raise InputError(
            f"register_backbone: the name must be a word without a colon. Got {name!r}. Choose"
            " another name."
        )
    build = (lambda: factory) if isinstance(factory, nn.Module) else factory
    _REGISTERED[name] = _Known(build, values or PLAIN)


def named_backbone(backbone: Any) -> Any:
    """The name of a backbone; a module or an ONNX file is registered by it, with ImageNet's values.

    The name is that of its class and the first digits of the SHA-256 of its layers and weights: the
    same module has the same name in another process, and another module never has it. A file's is
    its own with those of its SHA-256.

    >>> named_backbone("lite0")
    'lite0'
    >>> named_backbone(nn.Identity())
    'Identity-d46a436b'
    """
    is_file = isinstance(backbone, str) and backbone.endswith(_ONNX)
    if is_file and backbone not in _REGISTERED and _parts(backbone)[0] not in _PACKAGES:
        return _named_file(Path(backbone))
    if not isinstance(backbone, nn.Module):
        return backbone
    digest = hashlib.sha256(repr(backbone).encode())
    for key, value in backbone.state_dict().items():
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().flatten().contiguous().view(torch.uint8).numpy())
    name = f"{type(backbone).__name__}-{digest.hexdigest()[:8]}"
    register_backbone(name, backbone)
    return name


def _named_file(path: Path) -> str:
    network = read_onnx(path)
    name = f"{path.stem}-{str(network.weights_sha256)[:8]}{_ONNX}"
    register_backbone(name, network)
    return name


def register_stored(name: Any, tensors: Mapping[str, Tensor]) -> None:
    """Make an ONNX backbone known by the graph that a bundle holds among its tensors."""
    programs = [one for key, one in tensors.items() if key.endswith("backbone.program")]
    if programs and isinstance(name, str) and name.endswith(_ONNX):
        program = bytes(programs[0].tolist())
        register_backbone(name, lambda: stored_network(program))


def values_of(name: str, backbone: nn.Module) -> Values:
    """The values that the backbone called `name` takes.

    Those of timm know their own, those of Hugging Face what their image processor states, if there
    is one; all others take ImageNet's.
    """
    if name in _REGISTERED:
        return _REGISTERED[name].values
    published = getattr(backbone, "pretrained_cfg", None) or {}
    mean, deviation = published.get("mean"), published.get("std")
    return Values(tuple(mean), tuple(deviation)) if mean and deviation else IMAGENET


def check_backbone(name: str) -> str:
    """`name`, refused where it is that of a backbone that cannot be built here.

    Raises InputError if `name` is neither registered nor ``timm:NAME`` or ``huggingface:NAME``.
    Raises MissingExtraError if its package is not installed.
    """
    library, model, _ = _parts(name)
    if library in _PACKAGES and model:
        package = _PACKAGES[library]
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "backbones", f"backbone {name}")
    elif name not in _REGISTERED:
        raise InputError(
            "backbone: it must be registered before it is used, or before a bundle"
            f" that names it is loaded. Got {name!r}; there are {', '.join(sorted(_REGISTERED))},"
            " timm:NAME[@FILE], huggingface:NAME[@FOLDER] and files that end in .onnx. Is it one of"
            f" timm? Write timm:{name.rpartition(':')[2] or 'NAME'}. Is it yours? Call"
            f" residua.training.recipes.feature.register_backbone({name!r}, factory) first."
        )
    return name


def build_backbone(name: str, *, pretrained: bool) -> nn.Module:
    """The network called `name`.

    Without `pretrained`, one of timm or Hugging Face has the architecture alone.

    Weights of Hugging Face models are read from safetensors and no code of theirs is run.
    Registered networks come with the weights that their factory gives them. Raises InputError if
    the package does not know the model, cannot reach what it has to fetch, or does not work itself.
    """
    check_backbone(name)
    library, model, place = _parts(name)
    if library in _PACKAGES and model:
        package = _PACKAGES[library]
        try:
            return _BUILDERS[library](name, pretrained)
        except InputError:
            raise
        except (OSError, RuntimeError, ValueError, LookupError, ImportError) as error:
            source = f"in {place}" if place else ", which are fetched once"
            wanted = f"its weights {source}" if pretrained else "its architecture"
            raise InputError(
                f"backbone {name}: {package} must know {model!r} and find {wanted}. Got:"
                f" {_first_line(error)}. Check the name, the network and that {package} works with"
                " the installed torch."
            ) from error
    network = copy.deepcopy(_REGISTERED[name].build())
    if pretrained and name in LITE:
        load_lite(network, name)
    return network


def _parts(name: str) -> tuple[str, str, str]:
    """Library, model and local place of ``LIBRARY:MODEL@PLACE``."""
    library, _, rest = name.partition(":")
    model, _, place = rest.partition("@")
    return library, model, place


def _from_timm(name: str, pretrained: bool) -> nn.Module:
    timm: Any = importlib.import_module("timm")
    _, model, place = _parts(name)
    network: nn.Module = timm.create_model(
        model, pretrained=pretrained and not place, features_only=True
    )
    if pretrained and place:
        network.weights_sha256 = load_local(network, Path(place), name)  # type: ignore[assignment]
    return network


def _from_huggingface(name: str, pretrained: bool) -> nn.Module:
    """An ``AutoModel``, with the values that its image processor states as timm keeps them."""
    transformers: Any = importlib.import_module("transformers")
    _, model, place = _parts(name)
    source = place if place and (pretrained or Path(place).is_dir()) else model
    if pretrained:
        network, found = transformers.AutoModel.from_pretrained(
            source, use_safetensors=True, output_loading_info=True
        )
        fresh = [key for key in found["missing_keys"] if not key.startswith("pooler.")]
        if fresh:
            raise ValueError(f"{len(fresh)} weights are missing, {min(fresh)} among them")
        if place:
            network.weights_sha256 = folder_sha256(Path(place))
    else:
        config = transformers.AutoConfig.from_pretrained(source)
        network = transformers.AutoModel.from_config(config)
    network.pretrained_cfg = _processor_values(transformers, source)
    return network  # type: ignore[no-any-return]


def _processor_values(transformers: Any, source: str) -> dict[str, Any]:
    """Mean and deviation of values in [0, 1]; nothing where the model states none."""
    try:
        stated, _ = transformers.ImageProcessingMixin.get_image_processor_dict(source)
    except (OSError, ValueError):
        return {}
    scale = 255 * stated.get("rescale_factor", 1 / 255) if stated.get("do_rescale", True) else 255
    pairs = {"mean": stated.get("image_mean"), "std": stated.get("image_std")}
    if not stated.get("do_normalize", True):
        pairs = {"mean": PLAIN.mean, "std": PLAIN.deviation}
    return {key: [one / scale for one in values] for key, values in pairs.items() if values}


_BUILDERS: dict[str, Callable[[str, bool], nn.Module]] = {
    "timm": _from_timm,
    "huggingface": _from_huggingface,
}


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def fetch_weights(backbone: nn.Module, name: str) -> None:
    """Give a backbone that was built without them its weights; ``weights_sha256`` is their file's.

    They are read at the size that they were published for, and brought to that of `backbone`.
    """
    if name in LITE:
        load_lite(backbone, name)
        backbone.weights_sha256 = LITE[name].sha256  # type: ignore[assignment]
    elif _parts(name)[0] in _PACKAGES:
        fetched: Any = build_backbone(name, pretrained=True)
        if hasattr(backbone, "taken_size"):
            take_size(fetched, *backbone.taken_size)  # type: ignore[misc]
        backbone.load_state_dict(fetched.state_dict())
        backbone.weights_sha256 = getattr(fetched, "weights_sha256", None)  # type: ignore[assignment]
