"""Batch norms: frozen ones keep their statistics, whatever their kind."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hs2s_core.models import build_model
from hs2s_core.models.presets import PRESETS
from hs2s_core.training.norms import freeze_norms, kept_statistics
from tests.models.tiny import tiny


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_freezing_reaches_every_norm(name: str) -> None:
    """Whatever has running statistics uses them; the rest of the network trains on."""
    model = build_model(tiny(name)).train()
    freeze_norms(model)
    norms = [module for module in model.modules() if hasattr(module, "running_mean")]
    assert not any(norm.training for norm in norms)
    assert model.training
    model.train()
    assert all(norm.training for norm in norms)


def test_frozen_norms_say_the_same_of_any_batch() -> None:
    norms = nn.ModuleList([nn.BatchNorm1d(3), nn.BatchNorm2d(3), nn.BatchNorm3d(3)]).train()
    freeze_norms(norms)
    for dimensions, norm in enumerate(norms, start=1):
        x = 5 + torch.randn(4, 3, *[6] * dimensions)
        torch.testing.assert_close(norm(x)[:1], norm(x[:1]))
        assert norm.num_batches_tracked == 0


@pytest.mark.parametrize("momentum", [0.1, None])
def test_kept_statistics(momentum: float | None) -> None:
    """Same output, same statistics as before, and what was changed for it is changed back."""
    norm = nn.BatchNorm2d(3, momentum=momentum).train()
    x = 5 + torch.randn(4, 3, 6, 6)
    expected = norm(x)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    with kept_statistics(norm):
        assert torch.equal(norm(x), expected)
    for name, value in norm.state_dict().items():
        assert torch.equal(value, before[name]), name
    norm(x)
    assert norm.num_batches_tracked == 2
    assert norm.momentum == momentum
