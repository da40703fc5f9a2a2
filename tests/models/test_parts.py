"""Encoders, fusions, decoder and the flow head: shapes and refusals."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

from hs2s_core.errors import HS2SError, InvalidConfig
from hs2s_core.models import build_model
from hs2s_core.models.config import config_from_dict
from hs2s_core.models.paper.axial import PositionSensitiveAttention
from hs2s_core.models.paper.build import build_encoder
from hs2s_core.models.paper.flow import RAFTHead, warp
from hs2s_core.models.paper.fusion import AxialAttention, CosineSimilarity
from hs2s_core.models.presets import PRESETS, preset

from .test_contract import clip, unroll, zeros
from .tiny import tiny

PAPER_ENCODERS = ("resnet50", "resnet101", "vgg16", "deeplab", "deeplab_aspp", "axial_s")


@pytest.mark.parametrize("name", PAPER_ENCODERS)
def test_features_have_the_strides_and_channels_they_claim(name: str) -> None:
    config = dataclasses.replace(tiny("hs2s-axial"), encoder=name)
    encoder = build_encoder(config).eval()
    frame, mask = torch.randn(1, 3, 64, 96), torch.rand(1, 1, 64, 96)
    with torch.inference_mode():
        features = encoder(encoder.stem(frame), mask)
        other = encoder(encoder.stem(frame), 1 - mask)
    for skip, channels, stride in zip(
        features.skips, encoder.channels, encoder.strides, strict=True
    ):
        assert skip.shape == (1, channels, 64 // stride, 96 // stride)
    assert features.bottleneck.shape == (1, config.width, *features.skips[-1].shape[2:])
    assert not torch.equal(features.bottleneck, other.bottleneck)


def test_encoders_without_mask_leave_the_shared_stem_alone() -> None:
    for name in PAPER_ENCODERS:
        config = dataclasses.replace(tiny("hs2s-axial"), encoder=name)
        encoder = build_encoder(config, with_mask=False).eval()
        with torch.inference_mode():
            stem = encoder.stem(torch.randn(1, 3, 64, 64))
            before = stem.clone()
            encoder(stem)
        assert torch.equal(stem, before)


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("s2s", {"references": ("first",)}, "what HS2S adds"),
        ("s2s", {"flow": True}, "reference encoder"),
        ("hs2s", {"references": ()}, "at least one"),
        ("hs2s", {"references": ("last",)}, "'first' or 'previous'"),
        ("hs2s", {"references": ("first",), "flow": True}, "'previous'"),
        ("hs2s", {"skip_memory_s8": True}, "belong to system 's2s'"),
        ("bi-hs2s", {"skips": False}, "belong to system 's2s'"),
        ("hs2s", {"encoder": "small"}, "encoder is 'small'; expected 'resnet50' or"),
        ("hs2s-lite", {"fusion": "axial_attention"}, "expected 'matching'"),
        ("hs2s-lite", {"match_stride": 4}, "expected 8 or 16"),
        ("hs2s", {"encoder": "resnet18"}, "resnet50"),
        ("hs2s-axial", {"backbone_width": 8}, "16 divides"),
        ("hs2s-attention", {"fusion_width": 12}, "8 divides"),
        ("hs2s", {"init": "zeros"}, "'fan_out' or 'fan_in'"),
        ("hs2s", {"width": 0}, "width is 0; expected a whole number from 1 to 4096"),
        ("hs2s", {"width": "1024"}, "a whole number"),
        ("hs2s", {"border": 1}, "true or false"),
        ("hs2s", {"input_size": (256,)}, "two whole numbers"),
        ("hs2s", {"input_size": (256, -1)}, "two whole numbers from 1 to 8192"),
    ],
)
def test_what_cannot_be_built_is_refused(name: str, change: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidConfig, match=why):
        dataclasses.replace(PRESETS[name], **change)


def test_configs_survive_their_dictionary() -> None:
    for config in PRESETS.values():
        assert config_from_dict(config.to_dict()) == config


def test_presets_scale_by_name() -> None:
    small = preset("hs2s/16")
    assert (small.width, small.backbone_width, small.fusion_width) == (64, 4, 32)
    assert small.decoder_width == 64
    assert preset("hs2s-axial/16").backbone_width == 16
    assert preset("raft-hs2s/16").flow_width == 16
    for name, why in [
        ("hs2s/3", "cannot divide"),
        ("hs2s/0", "cannot divide"),
        ("hs2s-lite/2", "one width"),
        ("hs2s-huge", "no preset"),
        ("hs2s/half", "no preset"),
    ]:
        with pytest.raises(InvalidConfig, match=why):
            preset(name)


def test_fan_in_keeps_narrow_networks_quiet() -> None:
    """At an eighth of the width the authors' spread makes each layer louder than the last."""
    loudness = {}
    for init in ("fan_out", "fan_in"):
        torch.manual_seed(0)
        model = build_model(dataclasses.replace(preset("hs2s/16"), init=init)).eval()
        owner, mask = torch.zeros(1, dtype=torch.int64), torch.rand(1, 1, 64, 96)
        with torch.inference_mode():
            features = model.encode(torch.randn(1, 3, 64, 96))
            output, _ = model.step(features, mask, model.begin(features, mask, owner), owner)
        loudness[init] = output.logits.abs().max().item()
    assert loudness["fan_in"] < 0.2 * loudness["fan_out"]


def test_cosine_reads_the_reference_where_it_is_alike() -> None:
    """With a sharp softmax each position finds its own copy in a shuffled reference."""
    fusion = CosineSimilarity(8, 8, temperature=500.0)
    with torch.no_grad():  # show what was read
        fusion.merge.weight.zero_()
        fusion.merge.weight[:, 8:, 0, 0] = torch.eye(8)
        assert fusion.merge.bias is not None
        fusion.merge.bias.zero_()
    h = torch.randn(1, 8, 3, 4, dtype=torch.float32)
    shuffled = h.flatten(2)[:, :, torch.randperm(12)].view_as(h)
    with torch.inference_mode():
        torch.testing.assert_close(fusion(shuffled, h), h, atol=1e-3, rtol=1e-3)


def test_axial_attention_sees_whole_rows_and_columns() -> None:
    fusion = AxialAttention(4, 16).double()
    h = torch.zeros(1, 4, 5, 7, dtype=torch.float64, requires_grad=True)
    fusion(h, h)[0, :, 1, 2].sum().backward()
    assert h.grad is not None
    assert (h.grad.abs().sum(1) > 0).all()


def test_relative_positions_are_clamped_beyond_their_table() -> None:
    attention = PositionSensitiveAttention(16).eval()
    with torch.inference_mode():
        assert attention(torch.randn(1, 16, 150)).shape == (1, 16, 150)
        positions = attention._relative(150)
    assert torch.equal(positions[:, 149, 0], positions[:, 100, 0])
    assert not torch.equal(positions[:, 30, 0], positions[:, 31, 0])


# Flow


def test_warp_follows_the_flow() -> None:
    image = torch.rand(1, 3, 10, 12)
    flow = torch.zeros(1, 2, 10, 12)
    flow[:, 0], flow[:, 1] = 2, -1
    warped, inside = warp(image, flow)
    torch.testing.assert_close(warped[:, :, 1:, :10], image[:, :, :-1, 2:])
    assert inside[0, 0, 1:, :10].all()
    assert not inside[0, 0, 0].any()
    assert not inside[0, 0, :, 10:].any()


def test_flow_is_trained_at_64_pixels_or_more() -> None:
    model = build_model(tiny("raft-hs2s")).train()
    owner = torch.zeros(1, dtype=torch.int64)
    for size, fits in (((64, 96), True), ((63, 160), False)):
        features = model.encode(torch.randn(1, 3, *size))
        mask = torch.rand(1, 1, *size)
        state = model.begin(features, mask, owner)
        if fits:
            output, _ = model.step(features, mask, state, owner)
            assert output.flow is not None
            assert output.flow.isfinite().all()
        else:
            with pytest.raises(HS2SError, match="at least 64 pixels"):
                model.step(features, mask, state, owner)


def test_levels_that_small_frames_lack_are_zero() -> None:
    """At 128 pixels and more the head is RAFT's; below, the same weights see fewer levels."""
    torch.manual_seed(0)
    head = RAFTHead(8, 32, updates=2).eval()
    seen: list[torch.Tensor] = []
    head.update.motion_encoder.convcorr1.register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    with torch.inference_mode():
        for side in (64, 128):
            maps = torch.randn(3, 1, 8, side // 8, side // 8).unbind()
            head(*maps, size=(side, side))
    small, large = seen[0], seen[2]
    assert small.shape[1] == large.shape[1] == 4 * 81
    assert not small[:, 3 * 81 :].any()
    assert small[:, 2 * 81 : 3 * 81].any()
    assert large[:, 3 * 81 :].any()


def test_flow_has_the_size_of_the_frame() -> None:
    model = build_model(tiny("raft-hs2s")).train()
    owner = torch.zeros(1, dtype=torch.int64)
    features = model.encode(torch.randn(1, 3, 131, 150))
    mask = torch.rand(1, 1, 131, 150)
    output, _ = model.step(features, mask, model.begin(features, mask, owner), owner)
    assert output.flow is not None
    assert output.flow.shape == (12, 1, 2, 131, 150)


# Reading ahead


def test_look_ahead_is_required_and_refuses_overlap() -> None:
    model = build_model(tiny("bi-hs2s")).eval()
    owner = torch.zeros(1, dtype=torch.int64)
    mask = torch.rand(1, 1, 64, 64)
    with torch.inference_mode():
        features = model.encode(torch.randn(1, 3, 64, 64))
        state = model.begin(features, mask, owner)
        with pytest.raises(HS2SError, match="call look_ahead"):
            model.step(features, mask, state, owner)
        with pytest.raises(HS2SError, match="0 were given"):
            model.look_ahead([], state, owner)
        state = model.look_ahead([features, features], state, owner)
        with pytest.raises(HS2SError, match="2 are left"):
            model.look_ahead([features], state, owner)


def test_chunks_carry_the_forward_memory() -> None:
    """The last frame of a chunk sees nothing of the next one; its past is all there."""
    torch.manual_seed(0)
    model = build_model(tiny("bi-hs2s")).eval()
    owner = torch.zeros(1, dtype=torch.int64)
    mask = torch.rand(1, 1, 64, 64)

    def last_logits(*chunks: int) -> torch.Tensor:
        state = model.begin(features[0], mask, owner)
        done = 1
        for chunk in chunks:
            ahead = features[done : done + chunk]
            state = model.look_ahead(ahead, state, owner)
            for seen in ahead:
                output, state = model.step(seen, mask, state, owner)
            done += chunk
        return output.logits

    with torch.inference_mode():
        features = [model.encode(torch.randn(1, 3, 64, 64)) for _ in range(5)]
        whole, halves = last_logits(4), last_logits(2, 2)
        torch.testing.assert_close(whole, halves)  # same past, and no future at the last frame
        features[4] = model.encode(torch.randn(1, 3, 64, 64))
        assert not torch.equal(last_logits(3, 1), whole)


def test_a_shared_encoder_is_two_of_the_same_weights() -> None:
    """The paper's experiment with weights shared by the frame's and the references' encoder."""
    torch.manual_seed(0)
    shared = build_model(dataclasses.replace(tiny("hs2s"), shared_encoder=True)).eval()
    plain = build_model(tiny("hs2s")).eval()
    tensors = dict(shared.state_dict())
    copied = {key.replace("encoder.", "encoder_ref.", 1): value for key, value in tensors.items()}
    plain.load_state_dict(tensors | {key: copied[key] for key in copied.keys() - tensors.keys()})
    assert any(key.startswith("encoder_ref.") for key in plain.state_dict())
    assert not any(key.startswith("encoder_ref.") for key in tensors)
    frames, masks = clip(2)
    with torch.inference_mode():
        one, two = (unroll(model, frames, masks, zeros(2))[0] for model in (shared, plain))
    for a, b in zip(one, two, strict=True):
        torch.testing.assert_close(a, b)
