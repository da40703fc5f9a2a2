"""Optical flow from shared features, and images warped along it (RAFT-HS2S, paper 3.3).

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
    # Half precision could not tell the pixels of a large frame apart.
    dtype = torch.promote_types(like.dtype, torch.float32)
    y, x = torch.meshgrid(
        torch.arange(height, device=like.device, dtype=dtype),
        torch.arange(width, device=like.device, dtype=dtype),
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
