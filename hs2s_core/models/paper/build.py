"""From a config to its encoder (paper Table 3)."""

from __future__ import annotations

from hs2s_core.models.config import PaperConfig
from hs2s_core.models.paper.axial import AxialEncoder
from hs2s_core.models.paper.encoders import Encoder, NarrowSkips, ResNetEncoder, VGGEncoder


def build_encoder(config: PaperConfig, *, with_mask: bool = True) -> Encoder:
    """The encoder that ``config`` names, at its widths (paper Table 3)."""
    encoder = _build_backbone(config, with_mask)
    return NarrowSkips(encoder, config.skip_width) if config.skip_width else encoder


def _build_backbone(config: PaperConfig, with_mask: bool) -> Encoder:
    name, width, out_channels = config.encoder, config.backbone_width, config.width
    if name == "vgg16":
        return VGGEncoder(out_channels, width=width, with_mask=with_mask)
    if name == "axial_s":
        return AxialEncoder(out_channels, width=width // 2, with_mask=with_mask)
    return ResNetEncoder(
        (3, 4, 23, 3) if name == "resnet101" else (3, 4, 6, 3),
        out_channels,
        width=width,
        with_mask=with_mask,
        output_stride=config.output_stride if name.startswith("deeplab") else 32,
        aspp=name == "deeplab_aspp",
    )
