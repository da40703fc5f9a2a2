"""Presets at widths small enough to run many times, and as trained ones behave."""

from __future__ import annotations

import dataclasses

from torch import nn

from hs2s_core.models import VideoSegmenter, build_model
from hs2s_core.models.config import ModelConfig
from hs2s_core.models.presets import PRESETS


def tiny(name: str) -> ModelConfig:
    """The preset's structure at about a sixteenth of its widths (lite is small already)."""
    config = PRESETS[name]
    if config.system == "lite":
        return config
    # The axial encoder's eight attention groups need a little more.
    base = 16 if config.encoder == "axial_s" else 4
    return dataclasses.replace(
        config, backbone_width=base, width=config.width // 16, fusion_width=32, decoder_width=64
    )


def tiny_once(name: str) -> ModelConfig:
    """The tiny preset; an encoder that HS2S has, too, gives way to the one of the fewest layers.

    For tests that take long and look at every layer by itself.
    """
    config = tiny(name)
    if name == "hs2s" or config.encoder != PRESETS["hs2s"].encoder:
        return config
    return dataclasses.replace(config, encoder="vgg16")


def trained_like(name: str, config: ModelConfig | None = None) -> VideoSegmenter:
    """A preset, or ``config``, with quiet layers and norms that do something, as after training.

    Fresh, some norms hold their branch at 0, and the authors' start makes logits of hundreds.
    """
    config = tiny(name) if config is None else config
    if config.system != "lite":
        config = dataclasses.replace(config, init="fan_in")
    model = build_model(config).eval()
    for part in model.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            assert part.running_mean is not None
            assert part.running_var is not None
            for values in (part.bias, part.running_mean):
                nn.init.uniform_(values, -0.1, 0.1)
            # Small, or the deep attention of the axial encoder amplifies rounding without end.
            nn.init.uniform_(part.weight, 0.2, 0.5)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
    return model
