"""What a model is made of: one frozen dataclass, and one named preset per published row."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
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
)
MEMORIES = ("convlstm", "deeprnn", "conv_tt_lstm")
FUSIONS = ("global_convolution", "cosine", "axial_attention", "matching")
REFERENCES = ("first", "previous")


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build a network; stored as JSON inside each weights file.

    Sizes are ``(height, width)`` in pixels. ``stride`` of a part is relative to the input.
    """

    system: str = "hs2s"
    """Which assembly: ``hs2s`` (the paper's) or ``lite`` (shared image trunk, matching)."""
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
    fusion_width: int = 512
    """Channels after the fusion of the references with a memory."""
    decoder_width: int = 1024
    """Channels of the decoder's first 1 x 1 convolution; each stage halves them."""
    skip_kernel: int = 5
    """Kernel size of the skip memory."""
    cell: str = "authors"
    """ConvLSTM activations: ``authors`` (sigmoid candidate, ReLU output) or ``standard``."""
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
        _expect("system", self.system, ("hs2s", "lite"))

    def scaled(self, divisor: int) -> ModelConfig:
        """The same network with every width divided by ``divisor``, for tests and small runs."""
        names = ("width", "backbone_width", "fusion_width", "decoder_width")
        widths = {name: getattr(self, name) // divisor for name in names}
        if self.backbone_width % divisor or min(widths.values()) < 1 or divisor < 1:
            raise InvalidConfig(f"cannot divide widths by {divisor}: {widths} would be left")
        return dataclasses.replace(self, **widths)

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
    if any(type(size) is not int or size < 1 for size in sizes):
        raise InvalidConfig(f"{field} is {value!r}; expected whole numbers above 0")
    if field == "input_size" and len(value) != 2:
        raise InvalidConfig(f"input_size is {value!r}; expected (height, width)")


def _expect(field: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidConfig(f"{field} is {value!r}; expected one of {', '.join(allowed)}")


PRESETS: dict[str, ModelConfig] = {
    # Tables 1, 3 (ResNet-50), 4 (ConvLSTM) and 5 (global convolution) share this row.
    "hs2s": ModelConfig(),
    # The plugin's default: small enough to ship and to run on a CPU.
    "hs2s-lite": ModelConfig(
        system="lite",
        encoder="small",
        fusion="matching",
        skip_memory=False,
        border=False,
        width=128,
        cell="standard",
        input_size=(240, 432),
        keep_aspect=True,
    ),
}


def preset(name: str) -> ModelConfig:
    """The config called ``name``; an unknown name is answered with the known ones."""
    if name not in PRESETS:
        raise InvalidConfig(f"no preset {name!r}; expected one of {', '.join(PRESETS)}")
    return PRESETS[name]
