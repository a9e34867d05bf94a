"""The optimisers of recipes: AdamW, or Muon where the schedule of a recipe says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from residua.training.recipes.base import Schedule

_MOMENTUM = 0.95  # of Muon
_MEAN_DECAY, _SQUARE_DECAY, _TINY = 0.9, 0.999, 1e-8  # of Adam
_ROUNDS = 5  # of Newton-Schulz
_LINEAR, _CUBIC, _QUINTIC = 3.4445, -4.7750, 2.0315  # of its polynomial (Jordan et al., 2024)
_ADAM_STEP = 0.2  # root mean square of what Adam usually takes in a step, in learning rates
_NARROWEST = 8  # inputs and outputs of an inner kernel, at least


def make_optimiser(
    network: nn.Module, schedule: Schedule, *, learning_rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """What `schedule` asks for, over all that `network` learns."""
    learnt = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [{"params": learnt}]
    if not schedule.decay_norms:
        groups = [{"params": [one for one in learnt if one.ndim >= 2]}]
        groups += [{"params": [one for one in learnt if one.ndim < 2], "weight_decay": 0.0}]
    if schedule.optimiser == "muon":
        return Muon(groups, lr=learning_rate, weight_decay=weight_decay)
    return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay, fused=True)


class Muon(torch.optim.Optimizer):
    """Muon for the kernels of inner layers, AdamW for the rest.

    Muon is momentum whose singular values are all made one (Jordan et al., 2024).

    A kernel counts as the matrix of its output channels; inner are those with eight inputs and
    eight outputs or more. Their steps are scaled to the size of Adam's (Liu et al., 2025), so that
    one learning rate serves both. torch's own takes no kernels.
    """

    def __init__(self, params: Any, *, lr: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
        """One step down the gradients."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    towards = self._direction(parameter, parameter.grad)
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(
                        towards, alpha=group["lr"]
                    )
        return loss

    def _direction(self, parameter: Tensor, gradient: Tensor) -> Tensor:
        state = self.state[parameter]
        if not state:
            state["mean"] = torch.zeros_like(parameter)
        if is_inner(parameter):
            mean = state["mean"].lerp_(gradient, 1 - _MOMENTUM)
            ahead = gradient.lerp(mean, _MOMENTUM).flatten(1)
            return (orthogonal(ahead) * _ADAM_STEP * max(ahead.shape) ** 0.5).view_as(parameter)
        if "square" not in state:
            # torch leaves "step" on the processor.
            state["square"], state["step"] = (torch.zeros_like(parameter), torch.zeros(()))
        steps = float(state["step"].add_(1))
        mean = state["mean"].lerp_(gradient, 1 - _MEAN_DECAY)
        square = state["square"].lerp_(gradient.square(), 1 - _SQUARE_DECAY)
        spread = (square / (1 - _SQUARE_DECAY**steps)).sqrt_().add_(_TINY)
        return mean / (1 - _MEAN_DECAY**steps) / spread


def is_inner(parameter: Tensor) -> bool:
    """Whether a parameter is the kernel of an inner convolution."""
    return parameter.ndim == 4 and min(parameter.shape[:2]) >= _NARROWEST


def orthogonal(matrix: Tensor) -> Tensor:
    """The matrix with singular values near one, by five rounds of Newton-Schulz' quintic.

    >>> made = orthogonal(torch.tensor([[3.0, 0.0, 0.0], [0.0, 0.2, 0.0]]))
    >>> bool(((torch.linalg.svdvals(made) > 0.6) & (torch.linalg.svdvals(made) < 1.3)).all())
    True
    """
    is_tall = matrix.shape[0] > matrix.shape[1]
    made = matrix.T if is_tall else matrix
    made = made / made.norm().clamp(min=1e-7)
    for _ in range(_ROUNDS):
        squares = made @ made.T
        made = _LINEAR * made + (_CUBIC * squares + _QUINTIC * squares @ squares) @ made
    return made.T if is_tall else made
