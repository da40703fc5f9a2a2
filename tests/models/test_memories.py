"""Memories: known equations, boundedness, gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hs2s_core.models.memory import ConvLSTM, ConvTTLSTM, DeepRNN, LSTMState, Memory

CHANNELS = 4


def memories() -> dict[str, Memory]:
    torch.manual_seed(0)
    return {
        "authors": ConvLSTM(CHANNELS, CHANNELS),
        "standard": ConvLSTM(CHANNELS, CHANNELS, cell="standard"),
        "deeprnn": DeepRNN(CHANNELS),
        "tensor-train": ConvTTLSTM(CHANNELS, CHANNELS, rank=2),
    }


@pytest.fixture(params=sorted(memories()))
def memory(request: pytest.FixtureRequest) -> Memory:
    return memories()[request.param]


def test_two_thousand_steps_on_noise_stay_in_their_bounds(memory: Memory) -> None:
    """What each cell guarantees whatever its weights; loud ones, so that gates saturate."""
    memory.eval()
    with torch.no_grad():
        for parameter in memory.parameters():
            parameter.mul_(5)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        state = memory.initial_state(torch.zeros(1, CHANNELS, 3, 5))
        for _ in range(2000):
            x = 3 * torch.randn(1, CHANNELS, 3, 5, generator=generator)
            h, after = memory.step(x, state)
            assert all(leaf.isfinite().all() for leaf in _leaves(after))
            _check_bounds(memory, x, h, state, after)
            state = after


def _check_bounds(memory: Memory, x: Tensor, h: Tensor, before: Any, after: Any) -> None:
    if isinstance(memory, DeepRNN):
        # tanh times sigmoid, beside the shortcut; contexts are sigmoids.
        assert ((h - x).abs() <= 1 + 1e-5).all()
        assert all(((c >= 0) & (c <= 1)).all() for c in after)
        return
    change = after.c.abs() - before.c.abs()
    assert (change <= 1 + 1e-4).all()  # a gate times a candidate is all that a step adds
    if isinstance(memory, ConvLSTM) and memory.cell == "authors":
        assert ((h >= 0) & (h <= after.c)).all()
    else:
        assert (h.abs() <= after.c.abs().tanh() + 1e-6).all()


def test_zero_state_has_the_shape_of_later_ones(memory: Memory) -> None:
    x = torch.randn(2, CHANNELS, 3, 5)
    first = memory.initial_state(x)
    h, second = memory.step(x, first)
    assert h.shape == (2, CHANNELS, 3, 5)
    assert [part.shape for part in _leaves(first)] == [part.shape for part in _leaves(second)]


def _leaves(tree: object) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    assert isinstance(tree, tuple)
    return [leaf for child in tree for leaf in _leaves(child)]


def test_authors_cell_by_hand() -> None:
    memory = ConvLSTM(1, 1, kernel_size=1)
    with torch.no_grad():
        memory.conv.weight.zero_()
        assert memory.conv.bias is not None
        memory.conv.bias.copy_(torch.tensor([0.5, -1.0, 2.0, 3.0]))  # i, f, o, g
    i, f, o, g = torch.tensor([0.5, -1.0, 2.0, 3.0]).sigmoid()
    before = torch.full((1, 1, 1, 1), 0.7)
    h, state = memory.step(before, LSTMState(before, before))
    torch.testing.assert_close(state.c.squeeze(), f * 0.7 + i * g)
    torch.testing.assert_close(h.squeeze(), o * (f * 0.7 + i * g))


def test_tensor_train_windows_are_three_dimensional_convolutions() -> None:
    memory = ConvTTLSTM(CHANNELS, CHANNELS, rank=2).eval()
    past = [torch.randn(1, CHANNELS, 4, 6) for _ in range(5)]
    for start, window in enumerate(memory.windows):
        assert isinstance(window, nn.Conv2d)
        deep = nn.Conv3d(CHANNELS, 2, 3, padding=(0, 1, 1))
        # (R, L * C, k, k) -> (R, C, L, k, k): the oldest map of the window comes first.
        deep.weight.data = window.weight.data.view(2, 3, CHANNELS, 3, 3).transpose(1, 2)
        deep.bias = window.bias
        stacked = torch.stack(past[start : start + 3], dim=2)
        flat = torch.cat(past[start : start + 3], dim=1)
        torch.testing.assert_close(window(flat), deep(stacked).squeeze(2))


def test_tensor_train_forgets_what_is_older_than_its_steps() -> None:
    memory = ConvTTLSTM(CHANNELS, CHANNELS).eval()
    x = torch.randn(1, CHANNELS, 3, 5)
    state = memory.initial_state(x)
    for _ in range(7):
        h, state = memory.step(x, state)
    assert len(state.past) == 5
    torch.testing.assert_close(state.past[-1], h)


def test_deeprnn_stops_gradients_into_the_layer_below() -> None:
    x = torch.randn(2, CHANNELS, 3, 5)
    through = {}
    for probability in (0.0, 1.0):
        torch.manual_seed(0)
        memory = DeepRNN(CHANNELS, layers=1, stop_probability=probability).train()
        layer = memory.layers[0]
        seen = x.clone().requires_grad_()
        _, context = layer(seen, torch.zeros_like(x))
        context.sum().backward()
        through[probability] = seen.grad
    assert through[0.0] is not None
    assert through[1.0] is None


@pytest.mark.parametrize("name", ["authors", "standard", "tensor-train"])
def test_a_cell_map_is_not_rounded_to_half_precision(name: str) -> None:
    """Beside 300 a bfloat16 cannot hold what a step adds."""
    memory = memories()[name].to(torch.bfloat16)
    with torch.no_grad():
        for value in memory.parameters():
            value.zero_()  # gates of a half
    x = torch.zeros(1, CHANNELS, 2, 2, dtype=torch.bfloat16)
    state = memory.initial_state(x)
    state = state._replace(c=torch.full_like(state.c, 601.0))
    h, after = memory.step(x, state)
    assert h.dtype == torch.bfloat16
    assert after.c.dtype == torch.float32
    assert after.c.unique().tolist() == [300.75 if name == "authors" else 300.5]
