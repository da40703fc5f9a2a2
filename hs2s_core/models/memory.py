"""Recurrent memories: ``step(x, state) -> (h, state)``, state constant in size (paper 4.4)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hs2s_core.models.config import ModelConfig


class LSTMState(NamedTuple):
    """Hidden and cell maps, both (B, C, H, W); the cell map in float32 at least."""

    h: Tensor
    c: Tensor


class Memory(nn.Module, ABC):
    """Base of the memories; ``channels`` is the width of what they return."""

    channels: int
    state_maps: int
    """How many maps :meth:`state_from` takes."""

    def initial_state(self, like: Tensor) -> Any:
        """Zero state for inputs shaped like ``like`` (B, in_channels, H, W)."""
        shape = (like.shape[0], self.channels, *like.shape[2:])
        # Each its own tensor: torch.export would take those that are one now for one ever after.
        return self.state_from([like.new_zeros(shape) for _ in range(self.state_maps)])

    @abstractmethod
    def state_from(self, maps: Sequence[Tensor]) -> Any:
        """State that starts from ``state_maps`` maps (B, channels, H, W) of an initializer."""

    @abstractmethod
    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step on ``x`` (B, in_channels, H, W); returns h (B, channels, H, W) and state."""


class ConvLSTM(Memory):
    """Convolutional LSTM without peepholes; one convolution yields all four gates.

    Gate order i, f, o, g. With ``cell="authors"`` the candidate g is a sigmoid and the
    output ``o * relu(c)``, as in the authors' code; c is then never negative and can rise
    by up to 1 a step. ``cell="standard"`` has tanh in both places.
    """

    state_maps = 2

    def __init__(
        self, in_channels: int, channels: int, kernel_size: int = 3, cell: str = "authors"
    ) -> None:
        super().__init__()
        self.channels = channels
        self.cell = cell
        self.conv = nn.Conv2d(
            in_channels + channels, 4 * channels, kernel_size, padding=kernel_size // 2
        )

    def state_from(self, maps: Sequence[Tensor]) -> LSTMState:
        """Hidden map, then cell map."""
        h, c = maps
        return LSTMState(h, at_least_float32(c))

    def step(self, x: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        gates = self.conv(torch.cat([x, state.h], dim=1))
        state = lstm_update(gates, state.c, self.cell)
        return state.h, state


def lstm_update(gates: Tensor, c: Tensor, cell: str) -> LSTMState:
    """Pointwise half of an LSTM: ``gates`` (B, 4 C, H, W) in the order i, f, o, g.

    The cell map sums over all frames, so it is float32 even where the gates are of half precision,
    whose 8 bits would lose what a frame adds to a large value. The hidden map is as the gates.
    """
    i, f, o, g = gates.chunk(4, dim=1)
    i, f, o = at_least_float32(i.sigmoid()), f.sigmoid(), o.sigmoid()
    if cell == "authors":
        c = f * c + i * g.sigmoid()
        return LSTMState((o * c.relu()).to(gates.dtype), c)
    c = f * c + i * g.tanh()
    return LSTMState((o * c.tanh()).to(gates.dtype), c)


def at_least_float32(x: Tensor) -> Tensor:
    """``x``, widened if it is of half precision."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


class BridgeLayer(nn.Module):
    """One layer of :class:`DeepRNN`: a feed-forward path gated by a recurrent context."""

    def __init__(self, channels: int, stop_probability: float) -> None:
        super().__init__()
        self.stop_probability = stop_probability
        self.representation = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.representation_bn = nn.BatchNorm2d(channels)
        self.context = nn.Conv2d(2 * channels, channels, 3, padding=1, bias=False)
        self.context_bn = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Output and new context of the layer, all (B, channels, H, W)."""
        r = self.representation_bn(self.representation(x)).tanh()
        stop = self.training and float(torch.rand((), device="cpu")) < self.stop_probability
        seen = x.detach() if stop else x
        context = self.context_bn(self.context(torch.cat([seen, context], dim=1))).sigmoid()
        return r * context, context


class DeepRNN(Memory):
    """Deep RNN with context bridges (Pang et al. 2019), and one shortcut over the stack.

    In each layer the context gates the representation; while training its gradient into the
    layer below is stopped with ``stop_probability`` (0.5 in two of their three applications),
    which lets a deep stack learn. Layers do not pool, batch norms sit where the code of its action
    application has them, and the probability is 0.5 (our decisions: the paper says neither).
    """

    def __init__(self, channels: int, layers: int = 5, stop_probability: float = 0.5) -> None:
        super().__init__()
        self.channels = channels
        self.state_maps = layers
        self.layers = nn.ModuleList(
            [BridgeLayer(channels, stop_probability) for _ in range(layers)]
        )

    def state_from(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The context of each layer, from the lowest."""
        return tuple(maps)

    def step(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        o, contexts = x, []
        for layer, context in zip(self.layers, state, strict=True):
            o, context = layer(o, context)
            contexts.append(context)
        return o + x, tuple(contexts)


class TensorTrainState(NamedTuple):
    """What :class:`ConvTTLSTM` remembers."""

    past: tuple[Tensor, ...]
    """The last ``steps`` hidden maps (B, C, H, W), the oldest first."""
    c: Tensor
    """Cell map (B, C, H, W)."""


class ConvTTLSTM(Memory):
    """Convolutional tensor-train LSTM (Su et al. 2020), derived from its equations.

    The gates see x_t and V, a rank-``rank`` summary of the last ``steps`` hidden maps: window
    l = 1..order holds ``steps - order + 1`` consecutive ones, starting at the l-th oldest;
    P_l = conv(window l); V_1 = P_1; V_l = P_l + conv(V_{l-1}). A 3-D convolution as deep as
    its window is a 2-D one over the stacked channels, and is written so. Order 3, steps 5 and
    rank 16 are our decision: the paper asks for windows that overlap, so steps > order, and
    the default of its authors' script, 3 steps, has none.
    """

    state_maps = 2

    def __init__(self, in_channels: int, channels: int, *, rank: int = 16) -> None:
        super().__init__()
        self.channels = channels
        order, self.steps = 3, 5
        self.lag = self.steps - order + 1
        self.windows = nn.ModuleList(
            [nn.Conv2d(self.lag * channels, rank, 3, padding=1) for _ in range(order)]
        )
        self.chain = nn.ModuleList([nn.Conv2d(rank, rank, 3, padding=1) for _ in range(order - 1)])
        self.gates = nn.Conv2d(in_channels + rank, 4 * channels, 3, padding=1)

    def state_from(self, maps: Sequence[Tensor]) -> TensorTrainState:
        """One hidden map, repeated for all past ones (our decision), then the cell map."""
        h, c = maps
        # Copies, for the reason that Memory.initial_state names.
        past = (h, *(h.clone() for _ in range(self.steps - 1)))
        return TensorTrainState(past, at_least_float32(c))

    def step(self, x: Tensor, state: TensorTrainState) -> tuple[Tensor, TensorTrainState]:
        summaries = [
            window(torch.cat(state.past[start : start + self.lag], dim=1))
            for start, window in enumerate(self.windows)
        ]
        v = summaries[0]
        for link, summary in zip(self.chain, summaries[1:], strict=True):
            v = summary + link(v)
        h, c = lstm_update(self.gates(torch.cat([x, v], dim=1)), state.c, "standard")
        return h, TensorTrainState((*state.past[1:], h), c)


def build_memory(config: ModelConfig, in_channels: int | None = None) -> Memory:
    """The bottleneck memory that ``config`` names (Table 4 swaps this one only).

    It reads ``in_channels`` channels, ``config.width`` if not given; a DeepRNN's layers are all of
    one width, so it reads that many in any case.
    """
    channels = in_channels or config.width
    if config.memory == "deeprnn":
        return DeepRNN(config.width)
    if config.memory == "conv_tt_lstm":
        return ConvTTLSTM(channels, config.width)
    return ConvLSTM(channels, config.width, cell=config.cell)
