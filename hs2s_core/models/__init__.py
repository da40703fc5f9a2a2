"""The networks, and :func:`build_model`, which assembles one from its config."""

from __future__ import annotations

from pathlib import Path

from hs2s_core.checked.calls import checked_call
from hs2s_core.models.base import State, StepOutput, VideoSegmenter
from hs2s_core.models.config import LiteConfig, ModelConfig, PaperConfig
from hs2s_core.models.presets import preset

__all__ = [
    "LiteConfig",
    "ModelConfig",
    "PaperConfig",
    "State",
    "StepOutput",
    "VideoSegmenter",
    "build_model",
]


@checked_call
def build_model(
    config: ModelConfig | str, *, pretrained_backbone: bool | str | Path = False
) -> VideoSegmenter:
    """Build the network that ``config`` (or the preset of that name) describes.

    ``pretrained_backbone`` starts the image encoders from ImageNet: ``True`` takes the published
    weights (torchvision's, fetched once, then cached; for the lite trunk those of a package), a
    path a state-dict file of the same layout, ``False`` random values. Raises InvalidConfig for a
    combination that the design excludes and InvalidWeights for a backbone that cannot be had.
    """
    if isinstance(config, str):
        config = preset(config)
    model: VideoSegmenter
    if isinstance(config, LiteConfig):
        from hs2s_core.models.lite.baseline import S2SLite
        from hs2s_core.models.lite.network import HS2SLite

        model = HS2SLite(config) if config.references else S2SLite(config)
    elif config.system == "s2s":
        from hs2s_core.models.paper.s2s import S2S

        model = S2S(config)
    elif config.system == "bidirectional":
        from hs2s_core.models.paper.bidirectional import BiHS2S

        model = BiHS2S(config)
    else:
        from hs2s_core.models.paper.hs2s import HS2S

        model = HS2S(config)
    if pretrained_backbone:
        from hs2s_core.models.pretrained import load_backbone

        load_backbone(model, config, pretrained_backbone)
    return model
