"""Optical flow from shared features, and its unsupervised loss (RAFT-HS2S, paper 3.3, eq. 13).

Teed and Deng, "RAFT" (2020), from torchvision's blocks; the loop is written here because
torchvision's own calls its own encoders.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.optical_flow import raft

from hs2s_core.errors import HS2SError
from hs2s_core.models.layers import resize, size_of

MIN_SIZE = 64
"""Pixels per side that flow is trained at; fewer leave the correlation pyramid hardly a level."""
LEVELS, RADIUS = 4, 4
"""Of the correlation pyramid. A frame has all levels from 128 pixels a side."""
EDGE = 150.0
"""How fast an image edge frees the flow to bend (UFlow's edge constant)."""
ROUND = 1e-3
"""Where the smoothness loss turns from square to linear, in pixels (UFlow's)."""


class RAFTHead(nn.Module):
    """Flow from frame t - 1 to t, from stride-8 maps that segmentation uses too."""

    def __init__(self, in_channels: int, width: int = 256, *, updates: int = 12) -> None:
        super().__init__()
        hidden = width // 2
        self.hidden = hidden
        self.updates = updates
        self.project = nn.Conv2d(in_channels, width, 1)
        self.context = nn.Conv2d(in_channels, 2 * hidden, 1)
        motion = raft.MotionEncoder(
            in_channels_corr=LEVELS * (2 * RADIUS + 1) ** 2,
            corr_layers=(width, 3 * width // 4),
            flow_layers=(width // 2, width // 4),
            out_channels=hidden,
        )
        recurrent = raft.RecurrentBlock(
            input_size=2 * hidden,
            hidden_size=hidden,
            kernel_size=((1, 5), (5, 1)),
            padding=((0, 2), (2, 0)),
        )
        self.update = raft.UpdateBlock(
            motion_encoder=motion,
            recurrent_block=recurrent,
            flow_head=raft.FlowHead(in_channels=hidden, hidden_size=width),
        )
        self.upsampling = raft.MaskPredictor(in_channels=hidden, hidden_size=width)

    def forward(
        self, previous: Tensor, current: Tensor, context: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Refinements (updates, B, 2, *size) in pixels, (x, y), the best one last.

        ``previous`` and ``current`` (B, in_channels, H/8, W/8) are the encoder's maps of frames
        t - 1 and t, ``context`` the reference encoder's of frame t - 1.
        """
        if min(size) < MIN_SIZE:
            raise HS2SError(
                f"flow is trained on frames of at least {MIN_SIZE} pixels a side; found {size}. "
                "Train at a larger size, or without flow"
            )
        correlation = _correlate(self.project(previous), self.project(current))
        hidden, context = self.context(context).split(self.hidden, dim=1)
        hidden, context = hidden.tanh(), context.relu()
        start = _grid(previous)
        position, flows = start, []
        for _ in range(self.updates):
            position = position.detach()  # as RAFT: no gradient through earlier positions
            found = _look_up(correlation, position)
            hidden, change = self.update(hidden, context, found, position - start)
            position = position + change
            upsampled = raft.upsample_flow(position - start, self.upsampling(hidden))
            flows.append(_fit(upsampled, size))
        return torch.stack(flows)


def _correlate(previous: Tensor, current: Tensor) -> raft.CorrBlock:
    """Correlations of all pairs of positions of two maps, at as many levels as the maps hold.

    Built anew each time: the block keeps its pyramid, which would outlive the step.
    """
    # Each level halves the maps, and the last one needs two cells a side.
    levels = min(LEVELS, min(size_of(previous)).bit_length() - 1)
    block = raft.CorrBlock(num_levels=levels, radius=RADIUS)
    block.build_pyramid(previous, current)
    return block


def _look_up(correlation: raft.CorrBlock, position: Tensor) -> Tensor:
    """Correlations around ``position`` (B, 2, h, w); levels that small frames lack are zero."""
    found: Tensor = correlation.index_pyramid(centroids_coords=position)
    missing = LEVELS * (2 * RADIUS + 1) ** 2 - found.shape[1]
    return F.pad(found, (0, 0, 0, 0, 0, missing)) if missing else found


def _grid(like: Tensor) -> Tensor:
    """Pixel coordinates (B, 2, h, w), x then y, for maps like ``like`` (B, C, h, w)."""
    batch, _, height, width = like.shape
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=torch.float32),
        torch.arange(width, device=like.device, dtype=torch.float32),
        indexing="ij",
    )
    return torch.stack([x, y]).expand(batch, -1, -1, -1)


def _fit(flow: Tensor, size: tuple[int, int]) -> Tensor:
    """Flow at ``size``, for frames whose sides 8 does not divide."""
    height, width = flow.shape[2:]
    if (height, width) == size:
        return flow
    scale = flow.new_tensor([size[1] / width, size[0] / height]).view(1, 2, 1, 1)
    return resize(flow, size) * scale


def warp(image: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """``image`` (B, C, H, W) looked up where ``flow`` (B, 2, H, W) points, and where it is inside.

    Returns the warped image and (B, 1, H, W) bool: the position lies within the image.
    """
    height, width = image.shape[2:]
    x, y = (_grid(image) + flow).unbind(dim=1)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    where = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
    warped = F.grid_sample(image, where.to(image.dtype), align_corners=True)
    return warped, inside.unsqueeze(1)


def photometric_loss(
    flows: Tensor, previous: Tensor, current: Tensor, decay: float = 0.8
) -> Tensor:
    """Mean |I_{t-1} - warp(I_t, flow)| over pixels inside (paper eq. 13), a scalar.

    ``flows`` (K, B, 2, H, W) as :class:`RAFTHead` gives them, images (B, 3, H, W) in [0, 1].
    Refinement k of K weighs ``decay ** (K - k)``, k = 1..K. The paper prints a sum over pixels;
    the mean is our decision, so that the size of frames does not matter.
    """
    loss = flows.new_zeros(())
    for k, flow in enumerate(flows, start=1):
        warped, inside = warp(current, flow)
        difference = (previous - warped).abs() * inside
        pixels = (3 * inside.sum()).clamp(min=1)
        loss = loss + decay ** (len(flows) - k) * difference.sum() / pixels
    return loss


def smoothness_loss(flows: Tensor, image: Tensor, decay: float = 0.8, edge: float = EDGE) -> Tensor:
    """Second-order smoothness of flow that may bend at edges of the image, a scalar.

    Jonschkowski et al., "What Matters in Unsupervised Optical Flow" (2020): the absolute second
    differences of the flow along x and y, each weighted by exp(-edge * |image difference over the
    same three pixels|), averaged; no motion that grows evenly over the frame costs anything.
    ``flows`` (K, B, 2, H, W) in pixels, ``image`` (B, 3, H, W) in [0, 1] is frame t - 1, whose
    pixels move; refinements weigh as in :func:`photometric_loss`. The paper has no such term: it is
    an option.
    """
    loss = flows.new_zeros(())
    for k, flow in enumerate(flows, start=1):
        parts = []
        for axis in (2, 3):
            size = image.shape[axis]
            step = image.narrow(axis, 2, size - 2) - image.narrow(axis, 0, size - 2)
            free = (-edge * step.abs().mean(dim=1, keepdim=True)).exp()
            bent = flow.diff(n=2, dim=axis)
            parts.append((free * (bent.square() + ROUND**2).sqrt()).mean())
        loss = loss + decay ** (len(flows) - k) * torch.stack(parts).mean()
    return loss
