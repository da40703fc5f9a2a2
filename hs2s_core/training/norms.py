"""Batch norms that keep their statistics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze_norms(model: nn.Module) -> None:
    """Batch norms use their running statistics from here on, until ``train()`` is called."""
    for norm in _batch_norms(model):
        norm.eval()


@contextmanager
def kept_statistics(model: nn.Module) -> Iterator[None]:
    """Batch norms compute as ever in here, but leave their running statistics as they are.

    For the second time that gradient checkpointing runs a part: the first has counted already.
    """
    norms = [norm for norm in _batch_norms(model) if norm.training]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        # Not by leaving the buffers away: autograd expects to save what it saved the first time.
        norm.momentum = 0.0
        if norm.num_batches_tracked is not None:
            norm.num_batches_tracked = norm.num_batches_tracked.clone()
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count


def _batch_norms(model: nn.Module) -> list[_BatchNorm]:
    """Of one, two and three dimensions, and synchronised ones."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]
