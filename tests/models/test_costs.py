"""Parameters and multiply-adds, counted without memory on the meta device."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hs2s_core.models import build_model

# Method spec section 8: preset -> parameters in M, multiply-adds in G of one step at 256 x 448.
COSTS = {
    "hs2s": (395.76, 176.9),
}


@pytest.mark.parametrize("name", sorted(COSTS))
def test_parameters_and_multiply_adds(name: str) -> None:
    parameters, multiply_adds = COSTS[name]
    with torch.device("meta"):
        model = build_model(name).eval()
        frame, mask = torch.empty(1, 3, 256, 448), torch.empty(1, 1, 256, 448)
        owner = torch.empty(1, dtype=torch.int64)
        state = model.begin(model.encode(frame), mask, owner)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.step(model.encode(frame), mask, state, owner)
    counted = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert counted == pytest.approx(parameters, rel=0.01)
    # Two floating-point operations make one multiply-add.
    assert counter.get_total_flops() / 2e9 == pytest.approx(multiply_adds, rel=0.01)


def test_hs2s_has_exactly_the_authors_parameters() -> None:
    with torch.device("meta"):
        model = build_model("hs2s")
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == 395.76
