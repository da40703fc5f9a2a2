"""Frames as network input: ImageNet normalisation, and the size a model works at."""

from __future__ import annotations

import math

import torch
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def normalise(frames: Tensor) -> Tensor:
    """uint8 RGB (..., 3, H, W) in 0..255 to float32, ImageNet mean and deviation."""
    mean, std = _statistics(frames)
    return (frames.float() / 255.0 - mean) / std


def network_size(
    frame: tuple[int, int], target: tuple[int, int], stride: int, keep_aspect: bool
) -> tuple[int, int]:
    """Size (H, W) at which a ``frame`` (H, W) enters a network, multiples of ``stride``.

    Without ``keep_aspect`` it is ``target`` (the paper stretches every frame); with it, the
    frame's own aspect ratio at about the area of ``target``.
    """
    if not keep_aspect:
        return target
    scale = math.sqrt(target[0] * target[1] / (frame[0] * frame[1]))
    return tuple(  # type: ignore[return-value]
        max(4 * stride, round(side * scale / stride) * stride) for side in frame
    )


def denormalise(frames: Tensor) -> Tensor:
    """The inverse of :func:`normalise`, up to the scale: RGB (..., 3, H, W) float in [0, 1]."""
    return rescale(frames, 1.0, 0.0)


def rescale(frames: Tensor, scale: float, shift: float) -> Tensor:
    """:func:`denormalise`, times ``scale``, plus ``shift``, in one pass and the type of frames."""
    mean, std = _statistics(frames)
    factor, term = (each.to(frames.dtype) for each in (scale * std, scale * mean + shift))
    return torch.addcmul(term, frames, factor)


def _statistics(like: Tensor) -> tuple[Tensor, Tensor]:
    """ImageNet's mean and deviation, each (3, 1, 1)."""
    both = torch.tensor((IMAGENET_MEAN, IMAGENET_STD), device=like.device).view(2, 3, 1, 1)
    return both[0], both[1]
