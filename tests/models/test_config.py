"""Values of another type or range, and settings that a network would ignore, are refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hs2s_core.errors import InvalidConfig
from hs2s_core.models import build_model
from hs2s_core.models.config import _WIDTHS, LiteConfig, PaperConfig, config_from_dict
from hs2s_core.models.presets import PRESETS

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
    "shared_encoder": True,
    "input_size": (128, 224),
    "keep_aspect": False,
    "seen_from": 0.6,
}
NOT_LITE = {field.name for field in dataclasses.fields(PaperConfig)} - {
    field.name for field in dataclasses.fields(LiteConfig)
}
LITE_READS = set(OTHER) - NOT_LITE - {"encoder"}


def test_every_setting_is_tried() -> None:
    fields = (*dataclasses.fields(PaperConfig), *dataclasses.fields(LiteConfig))
    assert set(OTHER) | {"system"} == {field.name for field in fields}


@pytest.mark.parametrize("name", sorted(NOT_LITE))
@pytest.mark.parametrize("preset", ["hs2s-lite", "s2s-lite"])
def test_lite_refuses_what_it_would_ignore(preset: str, name: str) -> None:
    with pytest.raises(InvalidConfig, match=rf"unknown settings \['{name}'\]"):
        config_from_dict({**PRESETS[preset].to_dict(), name: OTHER[name]})


@pytest.mark.parametrize("name", ["match_stride", "key_width", "value_width"])
def test_paper_networks_refuse_what_only_lite_reads(name: str) -> None:
    with pytest.raises(InvalidConfig, match=rf"unknown settings \['{name}'\]"):
        config_from_dict({**PRESETS["hs2s"].to_dict(), name: OTHER[name]})


def test_files_of_one_family_of_all_settings_still_load() -> None:
    """Weights files once held the settings of both families, those not theirs at one value."""
    once = {
        "skip_memory": False,
        "border": False,
        "backbone_width": 64,
        "output_stride": 16,
        "fusion_width": 512,
        "fusion_inner": 0,
        "decoder_width": 1024,
        "skip_kernel": 5,
        "skip_width": 0,
        "skip_memory_s8": False,
        "skips": True,
        "early_reduction": False,
        "align_corners": False,
        "flow": False,
        "flow_width": 256,
        "init": "fan_out",
    }
    assert set(once) == NOT_LITE - {"shared_encoder"}
    lite = PRESETS["hs2s-lite"]
    assert config_from_dict({**once, **lite.to_dict()}) == lite
    paper = PRESETS["hs2s-deeprnn"]
    once = {"match_stride": 8, "key_width": 45, "value_width": 48}
    assert config_from_dict({**once, **paper.to_dict()}) == paper


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"width": "8"}, "width is '8'; expected a whole number from 1 to 4096"),
        ({"width": 0}, "width is 0; expected a whole number from 1"),
        ({"width": 2.5}, "width is 2.5; expected a whole number from 1"),
        ({"width": 10**9}, "width is 1000000000; expected a whole number from 1"),
        (
            {"input_size": [10**9, 64]},
            "input_size is .*; expected two whole numbers from 1",
        ),
        ({"width": True}, "width is True; expected a whole number"),
        ({"input_size": [64]}, "input_size is \\[64\\]; expected two whole numbers"),
        ({"memory": "lstm"}, "memory is 'lstm'; expected 'convlstm' or 'deeprnn'"),
        ({"references": ["next"]}, "references is .*; expected a list of 'first' or 'previous'"),
        ({"keep_aspect": 1}, "keep_aspect is 1; expected true or false"),
    ],
)
@pytest.mark.parametrize("name", ["hs2s", "hs2s-lite"])
def test_values_are_checked(name: str, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidConfig, match=said):
        config_from_dict({**PRESETS[name].to_dict(), **change})


def test_lite_has_trunks_of_its_own() -> None:
    assert build_model(dataclasses.replace(PRESETS["hs2s-lite"], encoder="small"))
    with pytest.raises(
        InvalidConfig,
        match=r"encoder is 'resnet101'; expected 'efficientnet_lite0' or .* or 'small'",
    ):
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
        ("hs2s", {"output_stride": 8}, "^output_stride is 8.* 'resnet50' would ignore"),
        ("hs2s-deeplab", {"output_stride": 12}, "^output_stride is 12; expected 8 or 16"),
        ("s2s", {"fusion": "cosine"}, "^fusion is 'cosine'.* 's2s' would ignore"),
        ("s2s-star", {"skip_width": 64}, "^skip_width is 64.* no skip memory"),
        ("hs2s-cosine", {"fusion_inner": 64}, "^fusion_inner is 64.* 'cosine' would ignore"),
        ("hs2s", {"fusion_inner": -1}, "fusion_inner is -1"),
        ("hs2s", {"skip_kernel": 4}, "skip_kernel is 4; expected 1 or 3 or 5 or 7"),
        *(("hs2s", {name: 5000}, f"{name} is 5000; .* from") for name in _WIDTHS),
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
