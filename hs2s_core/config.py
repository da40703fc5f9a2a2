"""What a model is made of: one frozen dataclass, and one named preset per published row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, replace
from typing import Any

from hs2s_core.errors import InvalidConfig

ENCODERS = (
    "resnet50",
    "resnet101",
    "vgg16",
    "deeplab",
    "deeplab_aspp",
    "axial_s",
    "small",
    "efficientnet_lite0",
)
MEMORIES = ("convlstm", "deeprnn", "conv_tt_lstm")
FUSIONS = ("global_convolution", "cosine", "axial_attention", "matching")
REFERENCES = ("first", "previous")
SYSTEMS = ("hs2s", "s2s", "bidirectional", "lite")
_LITE_READS = (
    *("system", "memory", "fusion", "references", "width", "cell"),
    *("match_stride", "input_size", "keep_aspect", "encoder", "key_width", "value_width"),
)
_LITE_ENCODERS = ("small", "efficientnet_lite0")
_LITE_LACKS = {"skip_memory": False, "border": False}
"""Where the lite networks' one value is not the default."""
_WIDTHS = (
    "width",
    "backbone_width",
    "fusion_width",
    "fusion_inner",
    "decoder_width",
    "skip_width",
    "flow_width",
)
AXIAL_STEP = 16
"""The axial encoder's ``backbone_width`` is a multiple of this: 8 groups of 2 channels."""


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build a network; stored as JSON inside each weights file.

    Sizes are ``(height, width)`` in pixels. ``stride`` of a part is relative to the input.
    """

    system: str = "hs2s"
    """Which assembly: ``hs2s`` (the paper's), ``s2s`` (no references), ``bidirectional``
    (the memory also runs backwards) or ``lite`` (shared image trunk, matching)."""
    encoder: str = "resnet50"
    memory: str = "convlstm"
    fusion: str = "global_convolution"
    references: tuple[str, ...] = REFERENCES
    """Frames the current one is compared with: ``first`` = 0, ``previous`` = t - 1."""
    skip_memory: bool = True
    """A second ConvLSTM on the stride-16 features (paper section 3.1)."""
    border: bool = True
    """Predict the border distance classes next to the mask (paper eq. 11)."""
    width: int = 1024
    """Channels of the bottleneck and of the main memory."""
    backbone_width: int = 64
    """Channels of the encoder's first stage; the others follow (resnet: 4, 8, 16, 32 times)."""
    output_stride: int = 16
    """DeepLab encoders: stride of the bottleneck, 16 or 8 (what is finer is dilated instead)."""
    fusion_width: int = 512
    """Channels after the fusion of the references with a memory."""
    fusion_inner: int = 0
    """Channels between the two convolutions of a global convolution; 0: half of fusion_width."""
    decoder_width: int = 1024
    """Channels of the decoder's first 1 x 1 convolution; each stage halves them."""
    skip_kernel: int = 5
    """Kernel size of the skip memory."""
    skip_width: int = 0
    """Channels that a 1 x 1 convolution gives k4, for skip memory, references and decoder; the
    bottleneck then stands in for k5 in the decoder. 0: k4 and k5 as the backbone has them."""
    skip_memory_s8: bool = False
    """A third ConvLSTM (5 x 5) on the stride-8 features, as S2S++ has it."""
    skips: bool = True
    """The encoder's own maps join the decoder; S2S and S2S++ do without."""
    early_reduction: bool = False
    """The decoder's first 1 x 1 convolution is half as wide (S2S++)."""
    align_corners: bool = False
    """How the decoder upsamples: as S2S++ (True) or HS2S (False)."""
    match_stride: int = 8
    """``lite``: stride of the positions that are matched, 8 or 16."""
    key_width: int = 45
    """``lite``: channels by which positions are compared; 3 more hold where they lie."""
    value_width: int = 48
    """``lite``: channels that are read from a matched position, the mask included."""
    flow: bool = False
    """Predict optical flow while training, from shared features (RAFT-HS2S, paper 3.3)."""
    flow_width: int = 256
    """Channels of the flow head's feature maps; its other parts follow (RAFT's own is 256)."""
    cell: str = "authors"
    """ConvLSTM activations: ``authors`` (sigmoid candidate, ReLU output) or ``standard``."""
    init: str = "fan_out"
    """Spread of the paper networks' random weights: ``fan_out`` (authors' code) or ``fan_in``,
    which keeps the logits of narrow networks small and lets them learn from scratch."""
    input_size: tuple[int, int] = (256, 448)
    """Size at which frames enter the network."""
    keep_aspect: bool = False
    """Keep the frame's aspect ratio at about the area of ``input_size``."""

    def __post_init__(self) -> None:
        """Refuse wrong types, sizes and unknown parts before anything is built."""
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), field.default)
        _expect("encoder", self.encoder, ENCODERS)
        _expect("memory", self.memory, MEMORIES)
        _expect("fusion", self.fusion, FUSIONS)
        for reference in self.references:
            _expect("references", reference, REFERENCES)
        _expect("cell", self.cell, ("authors", "standard"))
        _expect("init", self.init, ("fan_out", "fan_in"))
        _expect("system", self.system, SYSTEMS)
        for name in ("match_stride", "output_stride"):
            if getattr(self, name) not in (8, 16):
                raise InvalidConfig(f"{name} is {getattr(self, name)}; expected 8 or 16")
        if self.system == "lite":
            self._check_lite_parts()
        else:
            self._check_paper_parts()
            self._check_unread()

    def _check_lite_parts(self) -> None:
        """Refuse settings that the lite networks do not read: their parts are their own."""
        for field in dataclasses.fields(self):
            expected = _LITE_LACKS.get(field.name, field.default)
            if field.name not in _LITE_READS and getattr(self, field.name) != expected:
                raise InvalidConfig(
                    f"{field.name} is {getattr(self, field.name)!r}, which system 'lite' would "
                    f"ignore, as its parts are its own; leave it at {expected!r}, or use another "
                    "system"
                )
        _expect("encoder", self.encoder, _LITE_ENCODERS)
        if self.fusion not in ("matching", "cosine"):
            raise InvalidConfig(
                f"system 'lite' compares positions; fusion is {self.fusion!r}, expected 'matching' "
                "(likeness and distance) or 'cosine' (likeness alone)"
            )
        if not self.references and (self.fusion, self.match_stride) != ("matching", 8):
            raise InvalidConfig(
                f"without references system 'lite' compares nothing; leave fusion at 'matching' "
                f"and match_stride at 8 (found {self.fusion!r} and {self.match_stride})"
            )

    def _check_unread(self) -> None:
        """Refuse settings that the paper's networks would ignore as they are put together here."""
        for name, default in (("match_stride", 8), ("key_width", 45), ("value_width", 48)):
            if getattr(self, name) != default:
                raise InvalidConfig(
                    f"{name} is {getattr(self, name)}, which system {self.system!r} would ignore: "
                    f"only 'lite' matches positions; leave it at {default}"
                )
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

    def _check_paper_parts(self) -> None:
        """Refuse the combinations that the paper's design excludes."""
        if self.encoder in _LITE_ENCODERS or self.fusion == "matching":
            raise InvalidConfig(
                f"encoders {' and '.join(map(repr, _LITE_ENCODERS))} and fusion 'matching' belong "
                f"to system 'lite', not to "
                f"{self.system!r}: they share one image trunk, the paper's encoders do not"
            )
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
        if self.system == "s2s":
            if self.references:
                raise InvalidConfig(
                    "system 's2s' compares with no reference (that is what HS2S adds, paper 3.1); "
                    "use references=() or system 'hs2s'"
                )
            if self.flow:
                raise InvalidConfig(
                    "flow needs the reference encoder for its context (paper 3.3), which system "
                    "'s2s' lacks; use system 'hs2s'"
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

    def scaled(self, divisor: int) -> ModelConfig:
        """The same network with every width divided by ``divisor``, for tests and small runs.

        The axial encoder stops at the ``backbone_width`` that its eight groups need, 16.
        """
        if self.system == "lite":
            raise InvalidConfig("the lite network has one width; its parts cannot be scaled")
        widths = {name: getattr(self, name) for name in _WIDTHS}
        if divisor < 1 or any(width % divisor for width in widths.values()):
            raise InvalidConfig(f"cannot divide widths by {divisor}: they are {widths}")
        scaled = {name: width // divisor for name, width in widths.items()}
        if self.encoder == "axial_s":
            scaled["backbone_width"] = max(scaled["backbone_width"], AXIAL_STEP)
        return replace(self, **scaled)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready mapping; the inverse of :meth:`from_dict`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """Build a config from :meth:`to_dict`'s output, refusing unknown keys."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidConfig(
                f"unknown model settings {unknown}; expected some of {sorted(known)}. "
                "The file may come from a newer version: upgrade hs2s-fiftyone."
            )
        fixed: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**fixed)


def _check_type(field: str, value: Any, default: Any) -> None:
    """Sizes are positive integers; all else is of the type of its default."""
    if type(value) is not type(default):
        kind = type(default).__name__
        raise InvalidConfig(f"{field} is {value!r}; expected a value of type {kind}")
    sizes = value if field == "input_size" else (value,) if type(value) is int else ()
    # A setting that is 0 unless given has a meaning for 0.
    least = 0 if default == 0 else 1
    if any(type(size) is not int or size < least for size in sizes):
        raise InvalidConfig(f"{field} is {value!r}; expected whole numbers above 0")
    if field == "input_size" and len(value) != 2:
        raise InvalidConfig(f"input_size is {value!r}; expected (height, width)")


def _expect(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidConfig(f"{field} is {value!r}; expected one of {', '.join(allowed)}")


_HS2S = ModelConfig()
_S2S = ModelConfig(system="s2s", references=(), skip_memory=False, border=False)
_LITE = ModelConfig(
    system="lite",
    encoder="efficientnet_lite0",
    fusion="matching",
    skip_memory=False,
    border=False,
    width=128,
    value_width=64,
    cell="standard",
    input_size=(240, 432),
    keep_aspect=True,
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
    "hs2s-lite": _LITE,
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
    return PRESETS[base].scaled(int(divisor)) if divisor else PRESETS[base]
