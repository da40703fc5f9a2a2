"""Batch norms that keep their statistics."""

from __future__ import annotations

from torch import nn


def freeze_norms(model: nn.Module) -> None:
    """Batch norms use their running statistics from here on, until ``train()`` is called."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, nn.SyncBatchNorm)):
            module.eval()
