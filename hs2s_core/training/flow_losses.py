"""Unsupervised losses of optical flow (RAFT-HS2S, paper section 3.3, eq. 13).

``flows`` are (K, B, 2, H, W) pixels, x then y, as :class:`RAFTHead` gives them; refinement k of K
weighs ``DECAY ** (K - k)``, k = 1..K. Images are (B, 3, H, W) float in [0, 1]. Every loss is a
scalar and is pooled over the batch of all processes of a run.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hs2s_core.models.paper.flow import warp
from hs2s_core.training.losses import pooled_ratio

DECAY = 0.8
"""Of the weight of refinements, from the last one to the first (RAFT's)."""
EDGE = 150.0
"""How fast an image edge frees the flow to bend (UFlow's edge constant)."""
ROUND = 1e-3
"""Where the smoothness loss turns from square to linear, in pixels (UFlow's)."""


def photometric_loss(flows: Tensor, previous: Tensor, current: Tensor) -> Tensor:
    """Mean |I_{t-1} - warp(I_t, flow)| over pixels inside (paper eq. 13).

    ``previous`` and ``current`` are the images of frames t - 1 and t. The paper prints a sum over
    pixels; the mean is our decision, so that the size of frames does not matter.
    """
    sums, counts = [], []
    for flow in flows:
        warped, inside = warp(current, flow)
        sums.append(((previous - warped).abs() * inside).sum())
        counts.append(3 * inside.sum().to(flow.dtype))
    return _weighted(pooled_ratio(torch.stack(sums), torch.stack(counts)))


def smoothness_loss(flows: Tensor, image: Tensor, edge: float = EDGE) -> Tensor:
    """Second-order smoothness of flow that may bend at edges of the image.

    Jonschkowski et al., "What Matters in Unsupervised Optical Flow" (2020): the absolute second
    differences of the flow along x and y, each weighted by exp(-edge * |image difference over the
    same three pixels|), averaged; no motion that grows evenly over the frame costs anything.
    ``image`` is frame t - 1, whose pixels move. The paper has no such term: it is an option.
    """
    sums, counts = [], []
    for flow in flows:
        for axis in (2, 3):
            size = image.shape[axis]
            step = image.narrow(axis, 2, size - 2) - image.narrow(axis, 0, size - 2)
            free = (-edge * step.abs().mean(dim=1, keepdim=True)).exp()
            bent = flow.diff(n=2, dim=axis)
            costs = free * (bent.square() + ROUND**2).sqrt()
            sums.append(costs.sum())
            counts.append(costs.new_tensor(float(costs.numel())))
    return _weighted(pooled_ratio(torch.stack(sums), torch.stack(counts)).view(-1, 2).mean(dim=1))


def _weighted(values: Tensor) -> Tensor:
    """Sum over the K refinements, (K,), the last one weighing most."""
    last = len(values) - 1
    weights = values.new_tensor([DECAY ** (last - k) for k in range(last + 1)])
    total: Tensor = (values * weights).sum()
    return total
