"""Changes that are no defect: gain, bend, uneven light, grain and a slight blur."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from residua.training.synthesis.draws import Draws
from residua.training.synthesis.smoothing import resized, smooth

_LIMIT = 4.5


def change_exposure(draws: Draws, images: Tensor) -> Tensor:
    """Standardised images as another light and another sensor would have shown them."""
    n, _, height, width = images.shape
    light = F.interpolate(
        draws.normal(n, 1, 3, 3), size=(height // 4, width // 4), mode="bicubic", align_corners=True
    )
    light = resized(light, height, width)
    images = images * draws.log_uniform(n, 0.75, 1.33) * (1 + 0.15 * light * draws.chance(n, 0.5))
    images = images + 0.25 * light * draws.uniform(n) + draws.uniform(n, -0.3, 0.3)
    images = images + draws.uniform(n, -0.06, 0.06) * images.clamp(-3, 3).square()
    grain = draws.uniform(n, 0, 0.12) * draws.chance(n, 0.4)
    images = images + grain * draws.normal(*images.shape)
    blur = draws.uniform(n) * draws.chance(n, 0.3)
    return torch.lerp(images, smooth(images, 0.8), blur).clamp(-_LIMIT, _LIMIT)
