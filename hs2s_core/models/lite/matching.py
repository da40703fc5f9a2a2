"""Attention of the current frame's positions over those of the frames it is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ROWS = 180
"""Positions of a frame whose scores are held at once."""


class References(NamedTuple):
    """R frames that later ones are compared with, per object, position by position.

    P is the number of positions of a frame: those of its map at the stride of the matching.
    """

    key: Tensor
    """(B, R * P, K + 3): unit vectors, and where in its frame each position lies."""
    value: Tensor
    """(B, R * P, V); the last channel is the mask, averaged over the position's pixels."""
    known: Tensor | None = None
    """(B, R * P) bool, False where an object has fewer frames than others; None: all are known."""

    @classmethod
    def of(cls, key: Tensor, value: Tensor) -> References:
        """One frame from its ``key`` (B, K, h, w) and ``value`` (B, V, h, w)."""
        key, value = key.float(), value.float()
        y, x = _positions(key.shape[2], key.shape[3], key)
        place = torch.stack([y, x, -(y.square() + x.square())]).expand(key.shape[0], -1, -1, -1)
        return cls(_tokens(torch.cat([key, place], dim=1)), _tokens(value))

    def and_then(self, other: References) -> References:
        """The frames of both."""
        known = None
        if self.known is not None or other.known is not None:
            known = torch.cat([self._all_known(), other._all_known()], dim=1)
        return References(
            torch.cat([self.key, other.key], dim=1),
            torch.cat([self.value, other.value], dim=1),
            known,
        )

    def put(self, slot: int, other: References) -> References:
        """These frames with the only one of ``other`` at ``slot`` (from 0), or after the last."""
        size = other.key.shape[1]
        start, stop = slot * size, (slot + 1) * size
        if start >= self.key.shape[1]:
            return self.and_then(other)

        def put(old: Tensor, new: Tensor) -> Tensor:
            return torch.cat([old[:, :start], new, old[:, stop:]], dim=1)

        known = None if self.known is None else put(self.known, other._all_known())
        return References(put(self.key, other.key), put(self.value, other.value), known)

    @classmethod
    def join(cls, parts: Sequence[References]) -> References:
        """One batch out of several; who has fewer frames gets unknown ones."""
        most = max(part.key.shape[1] for part in parts)
        alike = all(part.key.shape[1] == most and part.known is None for part in parts)

        def padded(x: Tensor) -> Tensor:
            return F.pad(x, (0, 0, 0, most - x.shape[1]))

        known = [F.pad(part._all_known(), (0, most - part.key.shape[1])) for part in parts]
        return cls(
            torch.cat([padded(part.key) for part in parts]),
            torch.cat([padded(part.value) for part in parts]),
            None if alike else torch.cat(known),
        )

    def _all_known(self) -> Tensor:
        if self.known is not None:
            return self.known
        return torch.ones(self.key.shape[:2], dtype=torch.bool, device=self.key.device)


class PositionMatching(nn.Module):
    """Attention of the current frame's positions over those of references.

    Similarity is ``temperature * cos(q, k) - closeness * d^2`` with d the distance between the
    positions as a fraction of the geometric mean of the frame's sides; both factors are
    learned. Expanding d^2 turns the prior into three more channels of the dot product, so
    the fused attention kernels apply.
    """

    def __init__(self, temperature: float, closeness: float | None) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.tensor(math.log(temperature)))
        # Without it, likeness alone counts: the paper's cosine fusion (section 4.5).
        self.log_closeness = (
            None if closeness is None else nn.Parameter(torch.tensor(math.log(closeness)))
        )

    def forward(self, query: Tensor, references: References) -> Tensor:
        """Read their values at each position of ``query`` (B, K, h, w): (B, V, h, w).

        Always in float32: in bfloat16 the expanded distance loses what sets neighbours apart.
        """
        # Autocast knows no meta device, on which networks are only counted.
        with nullcontext() if query.is_meta else torch.autocast(query.device.type, enabled=False):
            return self._read(query.float(), references).to(query.dtype)

    def _read(self, query: Tensor, references: References) -> Tensor:
        height, width = query.shape[2:]
        temperature = self.log_temperature.clamp(max=4.6).exp()
        closeness = 0.0 if self.log_closeness is None else self.log_closeness.exp()
        y, x = _positions(height, width, query)
        near = closeness * torch.stack([2 * y, 2 * x, torch.ones_like(y)])
        batch = query.shape[0]
        q = torch.cat([temperature * query, near.expand(batch, -1, -1, -1)], dim=1)
        attend = _attend_in_rows if torch.is_inference_mode_enabled() else _attend
        read = attend(_tokens(q), *references)
        return read.transpose(1, 2).reshape(batch, -1, height, width)


def _attend(query: Tensor, key: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
    """Softmax attention of ``query`` (B, Q, K) over :class:`References`: (B, Q, V)."""
    mask = None if known is None else known[:, None, None]
    parts = (query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1))
    return F.scaled_dot_product_attention(*parts, attn_mask=mask, scale=1.0).squeeze(1)


def _attend_in_rows(query: Tensor, key: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
    """:func:`_attend`, sooner on a CPU, where no fused kernel takes values wider than keys.

    Some rows at a time, so that their scores stay in the cache.
    """
    if query.device.type != "cpu":
        return _attend(query, key, value, known)
    across, read = key.transpose(1, 2), query.new_empty(*query.shape[:2], value.shape[2])
    for rows, target in zip(torch.split(query, _ROWS, 1), torch.split(read, _ROWS, 1), strict=True):
        scores = rows @ across
        if known is not None:
            scores.masked_fill_(~known[:, None], -torch.inf)
        target.copy_(scores.softmax(-1) @ value)
    return read


def _tokens(x: Tensor) -> Tensor:
    """(B, C, h, w) as (B, h * w, C)."""
    # The fused kernels want channels to be contiguous.
    return x.flatten(2).transpose(1, 2).contiguous()


def _positions(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of each cell (h, w), in units of the geometric mean of the sides."""
    unit = math.sqrt(height * width)
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / unit
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / unit
    return y[:, None].expand(height, width), x[None, :].expand(height, width)
