"""Attention of the current frame's positions over those of the frames it is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_ROWS = 288
"""Positions of a frame whose weights are computed at once: they stay in the cache."""
_HALVES = 8 * 2**20
"""Weights of half precision that are held at once, as one large product takes half the time of many
small ones."""
_PARTS = 4
"""Batches in which rows are multiplied with values: the sums of one product depend on the number of
threads, as MKL shares them out among these where there are few columns."""
_LIKELY = 0.9
"""Likeness of positions that belong together. Scores of half precision are counted from there, as
those near 0 have the most digits."""
_PLACES = 4
"""Channels of queries and keys that tell where they lie, and of a row's offset: the last."""


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
        key = key.float()
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

    def forward(self, query: Tensor, references: Sequence[References]) -> list[Tensor]:
        """Read the values of each of ``references``, (B, V, h, w), of its own B and type.

        ``query`` (1, K, h, w) holds the current frame's positions, or (B, K, h, w) those of each
        object. In float32, as in bfloat16 the expanded distance loses what sets neighbours apart;
        only while inferring on a CPU, values of bfloat16 are read with weights of bfloat16, and
        the distance in two numbers of that type.
        """
        # Autocast knows no meta device, on which networks are only counted.
        with nullcontext() if query.is_meta else torch.autocast(query.device.type, enabled=False):
            return self._read(query.float(), references)

    def _read(self, query: Tensor, references: Sequence[References]) -> list[Tensor]:
        height, width = query.shape[2:]
        temperature = self.log_temperature.clamp(max=4.6).exp()
        closeness = 0.0 if self.log_closeness is None else self.log_closeness.exp()
        y, x = _positions(height, width, query)
        near = closeness * torch.stack([2 * y, 2 * x, torch.ones_like(y)])
        batch = query.shape[0]
        q = _tokens(torch.cat([temperature * query, near.expand(batch, -1, -1, -1)], dim=1))

        def attend(each: References) -> Tensor:
            return _attend(q.expand(len(each.key), -1, -1), *each)

        # No fused kernel of a CPU takes values wider than keys, nor the keys of several objects
        # as one.
        if torch.is_inference_mode_enabled() and query.device.type == "cpu" and batch == 1:
            # What scores lack of T cos - c d^2, and a part of T that keeps exponents of either
            # sign in the range of float32.
            likely = _LIKELY if references[0].value.dtype is torch.bfloat16 else 1 / 3
            offset = closeness * (y.square() + x.square()) + likely * temperature
            reads = _attend_together(q[0], offset.reshape(-1, 1), references)
            # A position may be so unlike all others that every weight is too small even so.
            pairs = zip(reads, references, strict=True)
            reads = [read if read.isfinite().all() else attend(each) for read, each in pairs]
        else:
            reads = [attend(each) for each in references]
        return [read.transpose(1, 2).reshape(len(read), -1, height, width) for read in reads]


def _attend(query: Tensor, key: Tensor, value: Tensor, known: Tensor | None) -> Tensor:
    """Softmax attention of ``query`` (B, Q, K) over :class:`References`: (B, Q, V)."""
    mask = None if known is None else known[:, None, None]
    parts = (query.unsqueeze(1), key.unsqueeze(1), value.float().unsqueeze(1))
    read = F.scaled_dot_product_attention(*parts, attn_mask=mask, scale=1.0).squeeze(1)
    return read.to(value.dtype)


def _attend_together(
    query: Tensor, offset: Tensor, references: Sequence[References]
) -> list[Tensor]:
    """:func:`_attend` of one frame's ``query`` (Q, K) for all objects of all ``references``.

    ``offset`` (Q, 1) is taken off the scores of a row, which changes no weight. Weights of a pair
    of frames are computed once for all objects that are compared with the other frame, and
    multiplied with the values of each apart: it reads what it reads alone, to the last bit.
    """
    width, dtype = references[0].value.shape[-1], references[0].value.dtype
    # In that type, a value of ones adds the weights up sooner than a sum.
    summing = dtype is torch.bfloat16
    if summing:
        references = [x._replace(value=F.pad(x.value, (0, 1), value=1.0)) for x in references]
    keys, objects = _sort_by_frame(references, len(query))
    count = len(query)
    query = F.pad(torch.cat([query, -offset], dim=1), (0, 0, 0, -count % _PARTS))
    reads = [parts[0][1].new_empty(len(query), width) for parts in objects]
    across = [F.pad(key, (0, 1), value=1.0) for key in keys]
    longest = max(len(key) for key in keys)
    rows, power = _ROWS, torch.exp_
    if dtype is torch.bfloat16:
        # The sooner of the two in this type.
        query, power = query / math.log(2), torch.exp2_
        query, across = _halves(query), [_halves(key, of_query=False) for key in across]
        rows = max(rows, _HALVES // longest // _PARTS * _PARTS)
    elif dtype is not torch.float32:
        query, across = query.to(dtype), [key.to(dtype) for key in across]
    scores = query.new_empty(min(rows, len(query)), longest)
    for start in range(0, len(query), rows):
        block = query[start : start + rows]
        products: list[dict[int, Tensor]] = [{} for _ in objects]
        sums = []
        for frame, key in enumerate(across):
            weights = power(torch.mm(block, key.T, out=scores[: len(block), : len(key)]))
            if not summing:
                sums.append(weights.sum(1, keepdim=True).float())
            for parts, product in zip(objects, products, strict=True):
                for place, (wanted, value) in enumerate(parts):
                    if wanted == frame:
                        product[place] = _weighted(weights, value).float()
        for parts, product, read in zip(objects, products, reads, strict=True):
            # In the object's own order, whatever that of the frames.
            whole = _added([product[place] for place in range(len(parts))])
            total = whole[:, width:] if summing else _added([sums[frame] for frame, _ in parts])
            read[start : start + rows] = whole[:, :width] / total
    found = iter(reads)
    return [torch.stack([next(found)[:count] for _ in each.key]) for each in references]


def _added(parts: Sequence[Tensor]) -> Tensor:
    return sum(parts[1:], parts[0])


def _weighted(weights: Tensor, value: Tensor) -> Tensor:
    """``weights`` (R, P) times ``value`` (P, V), to the last bit as on any number of threads."""
    parts = weights.view(_PARTS, len(weights) // _PARTS, -1)
    return torch.bmm(parts, value.expand(_PARTS, -1, -1)).flatten(0, 1)


def _halves(rows: Tensor, *, of_query: bool = True) -> Tensor:
    """Queries or keys in bfloat16; what tells of their places in two numbers, for twice the digits.

    Of the three products of those that count, each comes from one pair of channels.
    """
    likeness, places = rows[:, :-_PLACES].bfloat16(), rows[:, -_PLACES:]
    high = places.bfloat16()
    low = (places - high).bfloat16()
    return torch.cat([likeness, high, *((high, low) if of_query else (low, high))], dim=1)


def _sort_by_frame(
    references: Sequence[References], size: int
) -> tuple[list[Tensor], list[list[tuple[int, Tensor]]]]:
    """The keys of each frame there is, and for each object the frames and its values there.

    ``size`` is the number of positions of a frame. Objects have the keys of one frame each for
    themselves; frames are told by what the keys are.
    """
    keys: list[Tensor] = []
    objects = []
    for each in references:
        for place in range(len(each.key)):
            parts = []
            frames = (torch.split(each.key[place], size), torch.split(each.value[place], size))
            for number, (key, value) in enumerate(zip(*frames, strict=True)):
                if each.known is not None and not each.known[place, number * size]:
                    continue
                frame = next((i for i, known in enumerate(keys) if torch.equal(known, key)), None)
                if frame is None:
                    frame = len(keys)
                    keys.append(key)
                parts.append((frame, value))
            objects.append(parts)
    return keys, objects


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
