"""Soft masks in eight bits, and how two of one object, followed from both sides, become one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hs2s_core.propagation.engine import SoftMask

INSIDE = 128
"""Soft masks of this value and more say that the pixel is the object's."""


class Side(NamedTuple):
    """What following an object from one key frame says of a frame."""

    mask: SoftMask
    distance: int
    """Frames to that key frame."""


def soften(logits: Tensor) -> SoftMask:
    """Logits (h, w) as a soft mask."""
    whole = (logits.float().sigmoid() * 256).clamp_(0, 255)
    return np.asarray(whole.to(torch.uint8).cpu().numpy())


def blend(sides: Sequence[Side]) -> npt.NDArray[np.float32]:
    """Probabilities (h, w) of an object from one side, or from both sides of a gap.

    The nearer and surer side weighs more: by (1 / distance) times confidence, squared.
    """
    if len(sides) == 1:
        return _probabilities(sides[0].mask)
    weights = [(confidence(mask) / distance) ** 2 for mask, distance in sides]
    total = sum(weights)
    parts = [
        np.float32(weight / total) * _probabilities(side.mask)
        for weight, side in zip(weights, sides, strict=True)
    ]
    return np.asarray(sum(parts[1:], parts[0]))


def confidence(mask: SoftMask) -> float:
    """The mean probability of the pixels inside, in [0.5, 1]; 0.5 where there is none."""
    inside = mask[mask >= INSIDE]
    return (float(inside.mean(dtype=np.float64)) + 0.5) / 256 if inside.size else 0.5


def disagreement(one: SoftMask, other: SoftMask) -> float:
    """1 - IoU of two soft masks' insides, 0 where both are empty."""
    a, b = one >= INSIDE, other >= INSIDE
    union = np.count_nonzero(a | b)
    return 1 - np.count_nonzero(a & b) / union if union else 0.0


def to_logits(probabilities: Sequence[npt.NDArray[np.float32]]) -> Tensor:
    """(B, h, w) float on the CPU, of B objects."""
    stacked = torch.from_numpy(np.stack(probabilities))
    return torch.logit(stacked)


def to_soft(probabilities: npt.NDArray[np.float32]) -> SoftMask:
    """Probabilities (h, w) as a soft mask."""
    soft: SoftMask = np.minimum(probabilities * 256, 255).astype(np.uint8)
    return soft


def _probabilities(mask: SoftMask) -> npt.NDArray[np.float32]:
    return np.asarray((mask.astype(np.float32) + 0.5) / 256, np.float32)
