"""Recurrent memories: ``step(x, state) -> (h, state)``, state constant in size."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class LSTMState(NamedTuple):
    """Hidden and cell maps, both (B, C, H, W)."""

    h: Tensor
    c: Tensor


class ConvLSTM(nn.Module):
    """Convolutional LSTM without peepholes; one convolution yields all four gates.

    Gate order i, f, o, g. With ``cell="authors"`` the candidate g is a sigmoid and the
    output ``o * relu(c)``, as in the authors' code; c is then never negative and can rise
    by up to 1 a step. ``cell="standard"`` has tanh in both places.
    """

    def __init__(
        self, in_channels: int, channels: int, kernel_size: int = 3, cell: str = "authors"
    ) -> None:
        super().__init__()
        self.channels = channels
        self.cell = cell
        self.conv = nn.Conv2d(
            in_channels + channels, 4 * channels, kernel_size, padding=kernel_size // 2
        )

    def initial_state(self, like: Tensor) -> LSTMState:
        """Zero state for inputs shaped like ``like`` (B, in_channels, H, W)."""
        zeros = like.new_zeros(like.shape[0], self.channels, *like.shape[2:])
        return LSTMState(zeros, zeros)

    def step(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """One step on ``x`` (B, in_channels, H, W); returns h (B, channels, H, W) and state."""
        gates = self.conv(torch.cat([x, state.h], dim=1))
        i, f, o, g = gates.chunk(4, dim=1)
        i, f, o = i.sigmoid(), f.sigmoid(), o.sigmoid()
        if self.cell == "authors":
            c = f * state.c + i * g.sigmoid()
            h = o * c.relu()
        else:
            c = f * state.c + i * g.tanh()
            h = o * c.tanh()
        return h, LSTMState(h, c)
