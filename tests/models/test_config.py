"""Settings that a network would ignore are refused, by name; those it reads are not."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hs2s_core.config import PRESETS, ModelConfig
from hs2s_core.errors import InvalidConfig
from hs2s_core.models import build_model

# One other value for each setting.
OTHER: dict[str, Any] = {
    "encoder": "resnet101",
    "memory": "deeprnn",
    "fusion": "cosine",
    "references": ("first",),
    "skip_memory": True,
    "border": True,
    "width": 64,
    "backbone_width": 32,
    "output_stride": 8,
    "fusion_width": 256,
    "fusion_inner": 128,
    "decoder_width": 512,
    "skip_kernel": 3,
    "skip_width": 128,
    "skip_memory_s8": True,
    "skips": False,
    "early_reduction": True,
    "align_corners": True,
    "match_stride": 16,
    "key_width": 29,
    "value_width": 32,
    "flow": True,
    "flow_width": 128,
    "cell": "authors",
    "init": "fan_in",
    "input_size": (128, 224),
    "keep_aspect": False,
}
LITE_READS = {"memory", "fusion", "references", "width", "cell"} | {
    "match_stride",
    "key_width",
    "value_width",
    "input_size",
    "keep_aspect",
}


def test_every_setting_is_tried() -> None:
    assert set(OTHER) | {"system"} == {field.name for field in dataclasses.fields(ModelConfig)}


@pytest.mark.parametrize("name", sorted(set(OTHER) - LITE_READS - {"encoder"}))
@pytest.mark.parametrize("preset", ["hs2s-lite", "s2s-lite"])
def test_lite_refuses_what_it_would_ignore(preset: str, name: str) -> None:
    with pytest.raises(InvalidConfig, match=f"^{name} is .* system 'lite' would ignore"):
        dataclasses.replace(PRESETS[preset], **{name: OTHER[name]})


def test_lite_has_trunks_of_its_own() -> None:
    assert build_model(dataclasses.replace(PRESETS["hs2s-lite"], encoder="small"))
    with pytest.raises(InvalidConfig, match="encoder is 'resnet101'; expected one of small"):
        dataclasses.replace(PRESETS["hs2s-lite"], encoder="resnet101")


@pytest.mark.parametrize("name", sorted(LITE_READS))
def test_lite_takes_what_it_reads(name: str) -> None:
    config = dataclasses.replace(PRESETS["hs2s-lite"], **{name: OTHER[name]})
    assert build_model(config).config == config


@pytest.mark.parametrize(
    ("preset", "change", "why"),
    [
        ("s2s-lite", {"fusion": "cosine"}, "compares nothing"),
        ("s2s-lite", {"match_stride": 16}, "compares nothing"),
        ("hs2s", {"match_stride": 16}, "^match_stride is 16.* would ignore"),
        ("hs2s", {"output_stride": 8}, "^output_stride is 8.* 'resnet50' would ignore"),
        ("hs2s-deeplab", {"output_stride": 4}, "^output_stride is 4; expected 8 or 16"),
        ("s2s", {"fusion": "cosine"}, "^fusion is 'cosine'.* 's2s' would ignore"),
        ("s2s-star", {"skip_width": 64}, "^skip_width is 64.* no skip memory"),
        ("hs2s-cosine", {"fusion_inner": 64}, "^fusion_inner is 64.* 'cosine' would ignore"),
        ("hs2s", {"fusion_inner": -1}, "fusion_inner is -1"),
    ],
)
def test_paper_systems_refuse_what_they_would_ignore(
    preset: str, change: dict[str, Any], why: str
) -> None:
    with pytest.raises(InvalidConfig, match=why):
        dataclasses.replace(PRESETS[preset], **change)


def test_narrow_widths_scale_too() -> None:
    config = dataclasses.replace(PRESETS["hs2s"], skip_width=256, fusion_inner=256).scaled(16)
    assert (config.skip_width, config.fusion_inner) == (16, 16)
    assert PRESETS["hs2s"].scaled(16).skip_width == 0
