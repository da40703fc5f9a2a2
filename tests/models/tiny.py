"""Presets at widths small enough to run many times."""

from __future__ import annotations

import dataclasses

from hs2s_core.config import PRESETS, ModelConfig


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
