"""The network as propagation runs it says what the network as defined says."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hs2s_core.models.inference import for_inference
from hs2s_core.models.presets import PRESETS

from .test_contract import clip, unroll, zeros
from .tiny import trained_like


def norms(model: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_folded_norms_change_nothing(name: str) -> None:
    torch.manual_seed(0)
    model = trained_like(name).double()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fast = for_inference(model)
    frames, masks = clip(2, (128, 128))
    with torch.inference_mode():
        expected, _ = unroll(model, frames.double(), masks.double(), zeros(2))
        found, _ = unroll(fast, frames.double(), masks.double(), zeros(2))
    for one, two in zip(expected, found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-8)
    assert norms(fast) < norms(model) or norms(model) == 0
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


@pytest.mark.parametrize("name", ["hs2s-lite", "s2s-lite"])
def test_lite_networks_run_without_norms(name: str) -> None:
    assert norms(for_inference(trained_like(name))) == 0


def test_norms_of_several_processes_are_folded_too() -> None:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(trained_like("hs2s-lite"))
    fast = for_inference(model)
    assert not any(isinstance(part, nn.SyncBatchNorm) for part in fast.modules())
    frames, masks = clip(2, (128, 128))
    with torch.inference_mode():
        expected, _ = unroll(model, frames, masks, zeros(2))
        found, _ = unroll(fast, frames, masks, zeros(2))
    for one, two in zip(expected, found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)
