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
from hs2s_core.models.layers import resize

MIN_SIZE = 128
"""Pixels per side below which the correlation pyramid runs out of levels."""


class RAFTHead(nn.Module):
    """Flow from frame t - 1 to t, from stride-8 maps that segmentation uses too."""

    def __init__(
        self, in_channels: int, *, features: int = 256, hidden: int = 128, updates: int = 12
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.updates = updates
        self.project = nn.Conv2d(in_channels, features, 1)
        self.context = nn.Conv2d(in_channels, 2 * hidden, 1)
        motion = raft.MotionEncoder(
            in_channels_corr=raft.CorrBlock(num_levels=4, radius=4).out_channels,
            corr_layers=(256, 192),
            flow_layers=(128, 64),
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
            flow_head=raft.FlowHead(in_channels=hidden, hidden_size=256),
        )
        self.upsampling = raft.MaskPredictor(in_channels=hidden, hidden_size=256)

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
        # Built anew each time: it keeps its pyramid, which would outlive the step.
        correlation = raft.CorrBlock(num_levels=4, radius=4)
        correlation.build_pyramid(self.project(previous), self.project(current))
        hidden, context = self.context(context).split(self.hidden, dim=1)
        hidden, context = hidden.tanh(), context.relu()
        start = _grid(previous)
        position, flows = start, []
        for _ in range(self.updates):
            position = position.detach()  # as RAFT: no gradient through earlier positions
            found = correlation.index_pyramid(centroids_coords=position)
            hidden, change = self.update(hidden, context, found, position - start)
            position = position + change
            upsampled = raft.upsample_flow(position - start, self.upsampling(hidden))
            flows.append(_fit(upsampled, size))
        return torch.stack(flows)


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
