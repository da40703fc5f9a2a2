"""One name per published row, and one per network of ours."""

from __future__ import annotations

from dataclasses import replace

from hs2s_core.errors import InvalidConfig
from hs2s_core.models.config import LiteConfig, ModelConfig, PaperConfig

_HS2S = PaperConfig()
_S2S = PaperConfig(system="s2s", references=(), skip_memory=False, border=False)
_LITE = LiteConfig(
    width=128,
    value_width=64,
    cell="standard",
    input_size=(288, 512),
    keep_aspect=True,
    encoder="efficientnet_lite1",
)

PRESETS: dict[str, ModelConfig] = {
    # Table 1. HS2S is also the ResNet-50, ConvLSTM and global-convolution row of tables 3 to 5.
    "hs2s": _HS2S,
    "s2s-star": _S2S,
    "s2s": replace(_S2S, encoder="vgg16", width=512, skips=False),
    "s2s++": replace(
        _S2S,
        encoder="vgg16",
        width=512,
        skips=False,
        skip_memory=True,
        skip_kernel=3,
        skip_memory_s8=True,
        border=True,
        early_reduction=True,
        align_corners=True,
    ),
    "bi-hs2s": replace(_HS2S, system="bidirectional"),
    "raft-hs2s": replace(_HS2S, flow=True),
    # Table 2b.
    "hs2s-first": replace(_HS2S, references=("first",)),
    "hs2s-previous": replace(_HS2S, references=("previous",)),
    # Table 3.
    "hs2s-vgg16": replace(_HS2S, encoder="vgg16"),
    "hs2s-resnet101": replace(_HS2S, encoder="resnet101"),
    "hs2s-deeplab": replace(_HS2S, encoder="deeplab"),
    "hs2s-deeplab-aspp": replace(_HS2S, encoder="deeplab_aspp"),
    "hs2s-axial": replace(_HS2S, encoder="axial_s"),
    # Table 4.
    "hs2s-deeprnn": replace(_HS2S, memory="deeprnn"),
    "hs2s-tensor-train": replace(_HS2S, memory="conv_tt_lstm"),
    # Table 5.
    "hs2s-cosine": replace(_HS2S, fusion="cosine"),
    "hs2s-attention": replace(_HS2S, fusion="axial_attention"),
    # Beyond the paper: what its conclusion points at and nobody measured.
    "hs2s-best": replace(
        _HS2S,
        system="bidirectional",
        encoder="resnet101",
        memory="conv_tt_lstm",
        fusion="axial_attention",
    ),
    # The plugin's default: small enough to ship and to run on a CPU.
    "hs2s-lite": replace(_LITE, seen_from=0.7),
    # What HS2S-lite is compared with: the paper's own comparison at that size.
    "s2s-lite": replace(_LITE, references=()),
}


def preset(name: str) -> ModelConfig:
    """The config called ``name``; ``"NAME/4"`` is NAME with every width divided by 4.

    An unknown name is answered with the known ones.
    """
    base, _, divisor = name.partition("/")
    if base not in PRESETS or (divisor and not divisor.isdecimal()):
        raise InvalidConfig(
            f"no preset {name!r}; expected one of {', '.join(PRESETS)}, "
            "or NAME/4 for one with all widths divided by 4"
        )
    config = PRESETS[base]
    if not divisor:
        return config
    if isinstance(config, LiteConfig):
        raise InvalidConfig(
            f"no preset {name!r}: the lite networks have one width; their parts cannot be scaled"
        )
    return config.scaled(int(divisor))
