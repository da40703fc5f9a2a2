"""ImageNet weights for the image encoders, from torchvision or from a file (paper 4.1)."""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchvision.models import get_weight

from hs2s_core.errors import InvalidConfig, InvalidWeights
from hs2s_core.models.encoders import Encoder

PUBLISHED = {
    "resnet50": "ResNet50_Weights.IMAGENET1K_V1",
    "resnet101": "ResNet101_Weights.IMAGENET1K_V1",
    "vgg16": "VGG16_Weights.IMAGENET1K_V1",
    "deeplab": "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
    "deeplab_aspp": "DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1",
}
"""Encoder -> torchvision weights that fit its image layers. Axial-50-S has none."""


def load_backbone(encoders: Iterable[Encoder], name: str, source: bool | str | Path) -> None:
    """Start the image layers of ``encoders`` (each of the kind ``name``) from ImageNet.

    ``source`` is True for torchvision's weights, which are fetched once and cached, or a state
    dict file of the same layout; other layers keep their values. Raises InvalidWeights when
    the weights cannot be fetched, read, or do not fit.
    """
    if name not in PUBLISHED:
        raise InvalidConfig(
            f"no ImageNet weights are published for encoder {name!r}, only for "
            f"{', '.join(PUBLISHED)}; build it with pretrained_backbone=False"
        )
    state = _fetch(name) if source is True else _read(Path(str(source)))
    # DeepLab's file holds its ResNet under this prefix.
    state = {key.removeprefix("backbone."): value for key, value in state.items()}
    for encoder in encoders:
        _fill(encoder, state, name if source is True else str(source))


def _fetch(name: str) -> dict[str, Any]:
    weights = get_weight(PUBLISHED[name])
    try:
        state: dict[str, Any] = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, no such address, hash mismatch
        raise InvalidWeights(
            f"the ImageNet weights {PUBLISHED[name]} could not be fetched ({error}). Either "
            f"download {weights.url} elsewhere and pass the file's path as pretrained_backbone, "
            "or start from random values with pretrained_backbone=False"
        ) from error
    return state


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InvalidWeights(f"no backbone weights file {str(path)!r}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError) as error:
        reason = str(error).split("\n", 1)[0]
        raise InvalidWeights(
            f"{str(path)!r} cannot be read as a state dict of plain tensors: {reason}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise InvalidWeights(f"{str(path)!r} is not a state dict (a mapping of names to tensors)")
    return state


def _fill(encoder: Encoder, state: dict[str, Any], source: str) -> None:
    """Copy the tensors that ``encoder`` shares with ``state``; name all that do not fit."""
    problems = []
    for key, value in encoder.state_dict().items():
        # Old files lack the counters of seen batches, which inference does not need.
        if not key.startswith(encoder.image_layers) or key.endswith("num_batches_tracked"):
            continue
        found = state.get(key)
        if found is None:
            problems.append(f"missing {key} {tuple(value.shape)}")
        elif found.shape != value.shape:
            problems.append(
                f"misshapen {key}: found {tuple(found.shape)}, expected {tuple(value.shape)}"
            )
        else:
            value.copy_(found)
    if problems:
        raise InvalidWeights(
            f"{source}: {len(problems)} tensors do not fit this encoder at its width:\n  "
            + "\n  ".join(problems)
        )
