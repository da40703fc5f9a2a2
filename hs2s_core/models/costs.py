"""What a network costs: parameters and multiply-adds, counted without memory or time."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from hs2s_core.models import build_model
from hs2s_core.models.config import ModelConfig
from hs2s_core.models.layers import let_norms_through


class Costs(NamedTuple):
    """Of one network."""

    parameters: int
    multiply_adds: int
    """Of one step: a frame of one object, the reference encoder included."""


def count_costs(
    config: ModelConfig | str, size: tuple[int, int] = (256, 448), *, training: bool = False
) -> Costs:
    """Costs of the network that ``config`` (or the preset of that name) describes.

    Convolutions, matrix products and attention are counted, on PyTorch's meta device; ``size``
    is (H, W) of the input. ``training`` counts the forward pass with what only training runs,
    such as the flow head.
    """
    with torch.device("meta"), torch.no_grad():
        model = build_model(config).train(training)
        let_norms_through(model)
        frame, mask = torch.empty(1, 3, *size), torch.empty(1, 1, *size)
        owner = torch.zeros(1, dtype=torch.int64)
        state = model.begin(model.encode(frame), mask, owner)
        with FlopCounterMode(display=False) as counter:
            features = model.encode(frame)
            state = model.look_ahead([features], state, owner)
            model.step(features, mask, state, owner)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    # Two floating-point operations make one multiply-add.
    return Costs(parameters, counter.get_total_flops() // 2)
