"""Training on several devices or machines, by Lightning's own strategy.

Batches and statistics are those of one.

Each global batch is that of one device, cut between the processes; gradients are averaged by their
share of it, and batch norm takes its statistics over all of it. What remains are sums in another
order.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from residua.errors import InputError
from residua.training.loop.settings import TrainingSettings


def is_spread(settings: TrainingSettings) -> bool:
    """Whether more than one process trains."""
    return settings.devices * settings.nodes > 1


def is_follower() -> bool:
    """Whether this process was started beside the first one: it trains and writes nothing."""
    ranks = (
        ("RANK", "SLURM_PROCID", "LOCAL_RANK")
        if "SLURM_NTASKS" in os.environ
        else ("RANK", "LOCAL_RANK")
    )
    rank = next((os.environ[name] for name in ranks if name in os.environ), "0")
    return int(os.environ.get("NODE_RANK", "0")) > 0 or int(rank) > 0


def check_spread(settings: TrainingSettings, unfit: Sequence[str] = ()) -> None:
    """Refuse what several processes could not decide alike; `unfit` names what else they cannot."""
    if not is_spread(settings):
        return
    wrong = list(unfit)
    if ":" in settings.device:
        wrong.insert(0, f"--device {settings.device}, which is one: pass --device cuda")
    if settings.minutes is not None and (settings.nodes > 1 or _started_together()):
        wrong.insert(
            0,
            "--minutes where torchrun or SLURM starts them at once, which each would measure"
            " differently: pass --epochs",
        )
    if wrong:
        raise InputError(
            "\n".join(f"fit: --devices and --nodes do not go with {one}." for one in wrong)
        )


def _started_together() -> bool:
    """Whether all processes were started at once; Lightning starts the others later."""
    return "TORCHELASTIC_RUN_ID" in os.environ or int(os.environ.get("SLURM_NTASKS", "1")) > 1


def share_of(rows: Tensor, rank: int, world: int) -> Tensor:
    """The rows of a global batch that a process takes; of too small a batch each takes all.

    >>> [share_of(torch.arange(5), rank, 2).tolist() for rank in (0, 1)]
    [[0, 2, 4], [1, 3]]
    """
    return rows[rank::world] if len(rows) >= world else rows


def share_of_loss(loss: Tensor, n_own: int) -> Tensor:
    """The loss of this process's images, weighted by their share of the global batch.

    The mean over all processes is then that of the global batch.
    """
    if not _several():
        return loss
    total = torch.tensor(float(n_own), device=loss.device)
    distributed.all_reduce(total)
    return loss * (n_own * distributed.get_world_size() / total)


@contextmanager
def shared_statistics(network: nn.Module, *, spread: bool) -> Iterator[None]:
    """Batch norm over all processes' images while the block runs, on processors too."""
    kinds: dict[type[nn.Module], type[nn.Module]] = {
        nn.BatchNorm1d: _SharedNorm1d,
        nn.BatchNorm2d: _SharedNorm2d,
    }
    changed = [
        (module, type(module)) for module in network.modules() if spread and type(module) in kinds
    ]
    for module, kind in changed:
        module.__class__ = kinds[kind]
    try:
        yield
    finally:
        for module, kind in changed:
            module.__class__ = kind


class _Shared:
    """Batch norm whose mean and variance are those of the global batch, gradients included."""

    training: bool
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float
    weight: Tensor
    bias: Tensor
    eps: float

    def forward(self, values: Tensor) -> Tensor:
        """Normalise; in evaluation as ever."""
        if not self.training or not _several():
            return super().forward(values)  # type: ignore[misc,no-any-return]
        axes = [0, *range(2, values.ndim)]
        form = [1, -1, *[1] * (values.ndim - 2)]
        own = values.float()
        count = torch.full((1,), own.numel() / own.shape[1], device=own.device)
        sums = _summed(torch.cat([own.sum(axes), count]))
        mean, n = sums[:-1] / sums[-1], sums[-1].detach()
        # Two passes: squares minus the mean's square lose digits where a channel's mean is far from
        # 0.
        variance = _summed((own - mean.view(form)).square().sum(axes)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.detach(), self.momentum)
            self.running_var.lerp_(variance.detach() * n / (n - 1), self.momentum)
        scale = (variance + self.eps).rsqrt() * self.weight
        return ((own - mean.view(form)) * scale.view(form) + self.bias.view(form)).to(values.dtype)


class _SharedNorm1d(_Shared, nn.BatchNorm1d):  # type: ignore[misc]
    """In one dimension."""


class _SharedNorm2d(_Shared, nn.BatchNorm2d):  # type: ignore[misc]
    """In two dimensions."""


def _summed(values: Tensor) -> Tensor:
    from torch.distributed.nn.functional import all_reduce  # the one that gradients pass through

    return all_reduce(values)  # type: ignore[no-any-return]


def _several() -> bool:
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )
