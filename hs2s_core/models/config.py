"""What a network is made of: two small frozen families, told apart by ``system``.

:class:`PaperConfig` describes the paper's networks, :class:`LiteConfig` the small ones, which share
one image trunk and match positions. :mod:`presets` names the published rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeAlias

from hs2s_core.checked.settings import Checked, from_table, setting
from hs2s_core.errors import InvalidConfig

ENCODERS = ("resnet50", "resnet101", "vgg16", "deeplab", "deeplab_aspp", "axial_s")
LITE_TRUNKS = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2", "small")
MEMORIES = ("convlstm", "deeprnn", "conv_tt_lstm")
FUSIONS = ("global_convolution", "cosine", "axial_attention")
LITE_FUSIONS = ("matching", "cosine")
REFERENCES = ("first", "previous")
SYSTEMS = ("hs2s", "s2s", "bidirectional")
AXIAL_STEP = 16
"""The axial encoder's ``backbone_width`` is a multiple of this: 8 groups of 2 channels."""
INFERENCE_SETTINGS = ("input_size", "keep_aspect", "seen_from")
"""Settings of how a network is used; networks that differ in them alone share their weights."""
_WIDEST = 4096
"""Channels: four times the paper's widest; with more, PyTorch fails for want of memory."""
_WIDTHS = (
    "width",
    "backbone_width",
    "fusion_width",
    "fusion_inner",
    "decoder_width",
    "skip_width",
    "flow_width",
)


@dataclass(frozen=True)
class _Common(Checked):
    """What both families have. Sizes are (height, width) in pixels."""

    memory: str = setting("convlstm", choices=MEMORIES)
    """The memory at the coarsest maps (Table 4)."""
    references: tuple[str, ...] = setting(REFERENCES, choices=REFERENCES)
    """Frames the current one is compared with: ``first`` = 0, ``previous`` = t - 1."""
    width: int = setting(1024, least=1, most=_WIDEST)
    """Channels of the memory, and of the bottleneck of the paper's networks."""
    cell: str = setting("authors", choices=("authors", "standard"))
    """ConvLSTM activations: ``authors`` (sigmoid candidate, ReLU output) or ``standard``."""
    input_size: tuple[int, int] = setting((256, 448), least=1, most=8192)
    """Height and width at which frames enter the network."""
    keep_aspect: bool = False
    """Keep the frame's aspect ratio at about the area of ``input_size``."""

    def __post_init__(self) -> None:
        """Refuse wrong types and values, and a reference that is named twice."""
        super().__post_init__()
        if len(set(self.references)) < len(self.references):
            raise InvalidConfig(f"references is {list(self.references)}; expected each once")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready mapping; the inverse of :func:`config_from_dict`."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class PaperConfig(_Common):
    """A network of the paper; ``stride`` of a part is relative to the input."""

    system: str = setting("hs2s", choices=SYSTEMS)
    """Which assembly: ``hs2s``, ``s2s`` (no references) or ``bidirectional`` (the memory also runs
    backwards)."""
    encoder: str = setting("resnet50", choices=ENCODERS)
    """The image encoder (Table 3)."""
    fusion: str = setting("global_convolution", choices=FUSIONS)
    """How a memory is compared with the references (Table 5)."""
    shared_encoder: bool = False
    """One encoder for frame and references, as in the paper's experiment with shared weights."""
    skip_memory: bool = True
    """A second ConvLSTM on the stride-16 features (paper section 3.1)."""
    border: bool = True
    """Predict the border distance classes next to the mask (paper eq. 11)."""
    backbone_width: int = setting(64, least=1, most=512)
    """Channels of the encoder's first stage; the others follow (resnet: 4, 8, 16, 32 times)."""
    output_stride: int = setting(16, choices=(8, 16))
    """DeepLab encoders: stride of the bottleneck, 16 or 8 (what is finer is dilated instead)."""
    fusion_width: int = setting(512, least=1, most=_WIDEST)
    """Channels after the fusion of the references with a memory."""
    fusion_inner: int = setting(0, least=0, most=_WIDEST)
    """Channels between the two convolutions of a global convolution; 0: half of fusion_width."""
    decoder_width: int = setting(1024, least=1, most=_WIDEST)
    """Channels of the decoder's first 1 x 1 convolution; each stage halves them."""
    skip_kernel: int = setting(5, choices=(1, 3, 5, 7))
    """Kernel size of the skip memory."""
    skip_width: int = setting(0, least=0, most=_WIDEST)
    """Channels that a 1 x 1 convolution gives k4, for skip memory, references and decoder; the
    bottleneck then stands in for k5 in the decoder. 0: k4 and k5 as the backbone has them."""
    skip_memory_s8: bool = False
    """A third ConvLSTM (5 x 5) on the stride-8 features, as S2S++ has it."""
    skips: bool = True
    """The encoder's own maps join the decoder; S2S and S2S++ do without."""
    early_reduction: bool = False
    """The decoder's first 1 x 1 convolution is half as wide (S2S++)."""
    align_corners: bool = False
    """How the decoder upsamples: as S2S++ (true) or HS2S (false)."""
    flow: bool = False
    """Predict optical flow while training, from shared features (RAFT-HS2S, paper 3.3)."""
    flow_width: int = setting(256, least=1, most=_WIDEST)
    """Channels of the flow head's feature maps; its other parts follow (RAFT's own is 256)."""
    init: str = setting("fan_out", choices=("fan_out", "fan_in"))
    """Spread of random weights: ``fan_out`` (authors' code) or ``fan_in``, which keeps the logits
    of narrow networks small and lets them learn from scratch."""

    def __post_init__(self) -> None:
        """Refuse wrong types, sizes, unknown parts and combinations before anything is built."""
        super().__post_init__()
        self._check_widths()
        self._check_references()
        self._check_unread()

    def _check_widths(self) -> None:
        """Refuse widths that attention groups and heads do not divide."""
        if self.encoder == "axial_s" and self.backbone_width % AXIAL_STEP:
            raise InvalidConfig(
                f"encoder 'axial_s' has 8 attention groups of at least 2 channels and needs a "
                f"backbone_width that 16 divides; found {self.backbone_width}"
            )
        if self.fusion == "axial_attention" and self.fusion_width % 8:
            raise InvalidConfig(
                f"fusion 'axial_attention' has 8 heads and needs a fusion_width that 8 divides; "
                f"found {self.fusion_width}"
            )

    def _check_references(self) -> None:
        """Refuse what the paper's design excludes."""
        if self.system == "s2s":
            if self.references:
                raise InvalidConfig(
                    "system 's2s' compares with no reference (that is what HS2S adds, paper 3.1); "
                    "use references=() or system 'hs2s'"
                )
            if self.flow or self.shared_encoder:
                raise InvalidConfig(
                    "flow and shared_encoder are about the reference encoder (paper 3.3, 4.1), "
                    "which system 's2s' lacks; use system 'hs2s'"
                )
        elif not self.references:
            raise InvalidConfig(
                f"system {self.system!r} fuses the memory with references (paper eq. 10) and needs "
                "at least one; without any it is system 's2s'"
            )
        elif self.flow and "previous" not in self.references:
            raise InvalidConfig(
                "flow needs reference 'previous': its context is the reference encoder's view of "
                "frame t - 1 (paper 3.3)"
            )
        elif self.skip_memory_s8 or not self.skips:
            raise InvalidConfig(
                "skip_memory_s8 and skips=False belong to system 's2s': HS2S keeps the encoder's "
                "maps and one skip memory, at stride 16 (paper 3.1)"
            )
        elif self.shared_encoder and self.system == "bidirectional":
            raise InvalidConfig(
                "system 'bidirectional' encodes frames without a mask and references with one, so "
                "shared_encoder cannot be; leave it at False, or use system 'hs2s'"
            )

    def _check_unread(self) -> None:
        """Refuse settings that the networks would ignore as they are put together here."""
        if self.output_stride != 16 and not self.encoder.startswith("deeplab"):
            raise InvalidConfig(
                f"output_stride is {self.output_stride}, which encoder {self.encoder!r} would "
                "ignore: only the DeepLab encoders have one; leave it at 16"
            )
        if self.system == "s2s" and self.fusion != "global_convolution":
            raise InvalidConfig(
                f"fusion is {self.fusion!r}, which system 's2s' would ignore: without references "
                "there is nothing to fuse; leave it at 'global_convolution'"
            )
        if self.skip_width and not self.skip_memory:
            raise InvalidConfig(
                f"skip_width is {self.skip_width}, but there is no skip memory, whose map it "
                "narrows; set skip_memory, or leave it at 0"
            )
        if self.fusion_inner and self.fusion != "global_convolution":
            raise InvalidConfig(
                f"fusion_inner is {self.fusion_inner}, which fusion {self.fusion!r} would ignore: "
                "only a global convolution has one; leave it at 0"
            )

    def scaled(self, divisor: int) -> PaperConfig:
        """The same network with every width divided by ``divisor``, for tests and small runs.

        The axial encoder stops at the ``backbone_width`` that its eight groups need, 16.
        """
        widths = {name: getattr(self, name) for name in _WIDTHS}
        if divisor < 1 or any(width % divisor for width in widths.values()):
            raise InvalidConfig(f"cannot divide widths by {divisor}: they are {widths}")
        scaled = {name: width // divisor for name, width in widths.items()}
        if self.encoder == "axial_s":
            scaled["backbone_width"] = max(scaled["backbone_width"], AXIAL_STEP)
        return replace(self, **scaled)


@dataclass(frozen=True)
class LiteConfig(_Common):
    """HS2S-lite or, without references, S2S-lite."""

    border: ClassVar[bool] = False
    flow: ClassVar[bool] = False

    system: str = setting("lite", choices=("lite",))
    """``lite``."""
    encoder: str = setting("efficientnet_lite0", choices=LITE_TRUNKS)
    """The image trunk: EfficientNet-Lite0, 1 or 2, or a smaller one of ours."""
    fusion: str = setting("matching", choices=LITE_FUSIONS)
    """How positions are compared: ``matching`` (likeness and distance) or ``cosine``."""
    match_stride: int = setting(8, choices=(8, 16))
    """Stride of the positions that are matched, 8 or 16."""
    key_width: int = setting(45, least=1, most=_WIDEST)
    """Channels by which positions are compared; 3 more hold where they lie."""
    value_width: int = setting(48, least=2, most=_WIDEST)
    """Channels that are read from a matched position, the mask included."""
    seen_from: float = setting(0.0, least=0.0, most=1.0)
    """Mean probability of an object's pixels below which it counts as gone; it is followed all the
    same, and counts as back once it is surely seen. 0: whatever is above one half is shown."""

    def __post_init__(self) -> None:
        """Refuse wrong types, sizes, unknown parts and combinations before anything is built."""
        super().__post_init__()
        if not self.references and (self.fusion, self.match_stride) != ("matching", 8):
            raise InvalidConfig(
                f"without references system 'lite' compares nothing; leave fusion at 'matching' "
                f"and match_stride at 8 (found {self.fusion!r} and {self.match_stride})"
            )


ModelConfig: TypeAlias = PaperConfig | LiteConfig
"""Everything needed to build a network; stored as JSON inside each weights file."""


def config_from_dict(values: Mapping[str, Any]) -> ModelConfig:
    """The config that ``to_dict`` gave, or a table of a run; its family is that of ``system``.

    Weights files of before the families were told apart hold the settings of both. Those of the
    other family had one value, with which they are passed over.

    Raises:
        InvalidConfig: unknown settings, or values that do not fit.
    """
    family: type[ModelConfig] = LiteConfig if values.get("system") == "lite" else PaperConfig
    passed_over = _once_stored(family)
    kept = {
        key: value
        for key, value in values.items()
        if key not in passed_over or value != passed_over[key]
    }
    return from_table(family, kept, "the model")


def _once_stored(family: type[Checked]) -> dict[str, Any]:
    """Settings of the other family, with the one value that they had in files of ``family``."""
    other = PaperConfig if family is LiteConfig else LiteConfig
    own = {field.name for field in dataclasses.fields(family)}
    values = {f.name: f.default for f in dataclasses.fields(other) if f.name not in own}
    if family is LiteConfig:
        values |= {"skip_memory": False, "border": False}
    return values
