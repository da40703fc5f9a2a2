"""The network as propagation runs it says what the network as defined says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hs2s_core.errors import HS2SError
from hs2s_core.models import VideoSegmenter, packed
from hs2s_core.models.inference import choose_pace, for_inference
from hs2s_core.models.lite.efficientnet import SameConv
from hs2s_core.models.packed import PackedConv, TiledConv, can_pack, pack
from hs2s_core.models.presets import PRESETS

from .test_contract import clip, unroll, zeros
from .tiny import tiny_once, trained_like

NONE: tuple[str, ...] = ()
BFLOAT16 = ("avx512_bf16",)
TILES = ("avx512_bf16", "amx_tile")


def norms(model: nn.Module) -> int:
    return sum(isinstance(part, nn.BatchNorm2d) for part in model.modules())


def say(model: VideoSegmenter, dtype: torch.dtype) -> tuple[Tensor, ...]:
    frames, masks = clip(2)
    with torch.inference_mode():
        logits, _ = unroll(model, frames[:3].to(dtype), masks.to(dtype), zeros(2))
    return tuple(logits)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_folded_norms_change_nothing(name: str) -> None:
    torch.manual_seed(0)
    model = trained_like(name, tiny_once(name)).double()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fast = for_inference(model)
    for one, two in zip(say(model, torch.float64), say(fast, torch.float64), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-6, atol=1e-8)
    assert norms(fast) < norms(model) or norms(model) == 0
    after = model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_packed_weights_and_half_precision_say_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_LEAST", 0)  # tiny ones, too
    torch.manual_seed(0)
    model = trained_like(name, tiny_once(name))
    expected = say(model, torch.float32)
    exact, half = for_inference(model), for_inference(model, torch.bfloat16)
    if model.config.system != "lite":
        assert not any(isinstance(part, nn.Conv2d) for part in exact.modules())
        # Only processors with AVX-512 have oneDNN's layers of half precision.
        left = any(isinstance(part, nn.Conv2d) for part in half.modules())
        assert left is not packed.can_infer(torch.bfloat16)
    for one, two in zip(expected, say(exact, torch.float32), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-4)
    for one, two in zip(expected, say(half, torch.bfloat16), strict=True):
        # Eight binary digits, through some fifty layers.
        assert (one - two.float()).abs().mean() < 0.1 * one.abs().mean()


def test_a_memory_sums_in_float32_where_the_rest_is_of_half_precision() -> None:
    model = for_inference(trained_like("hs2s"), torch.bfloat16)
    frames, masks = clip(2, (128, 128))
    frames, masks = frames.bfloat16(), masks.bfloat16()
    state = model.begin(model.encode(frames[0]), masks, zeros(2))
    output, state = model.step(model.encode(frames[1]), masks, state, zeros(2))
    assert output.logits.dtype is torch.bfloat16
    for memory in (state.objects.memory, state.objects.skip_memory):
        assert (memory.h.dtype, memory.c.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("size", [(16, 28), (7, 9), (1, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_tiles_say_what_the_convolution_says(size: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(256, 256, 5, padding=2, bias=bias).requires_grad_(False)
    x = torch.randn(2, 256, *size)
    tiled = pack(conv, torch.float32)
    assert isinstance(tiled, TiledConv)
    # Sums of 6,400 products in another order: 2.4e-5 seen on one processor; faults make 0.1.
    torch.testing.assert_close(tiled(x), conv(x), rtol=0, atol=1e-4)


def test_packed_weights_serve_other_sizes_and_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 12, 3, stride=2, padding=2, dilation=2, groups=4).requires_grad_(False)
    assert not can_pack(conv, torch.float32)  # not worth it
    monkeypatch.setattr(packed, "_LEAST", 0)
    assert can_pack(conv, torch.float32)
    layer = pack(conv, torch.float32)
    assert isinstance(layer, PackedConv)
    for shape in ((1, 8, 20, 30), (3, 8, 20, 30), (2, 8, 33, 9)):
        x = torch.randn(shape)
        torch.testing.assert_close(layer(x), conv(x), rtol=0, atol=1e-5)
    assert not can_pack(nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_small_networks_compute_activations_with_convolutions(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = for_inference(trained_like("hs2s-lite"), dtype)
    computes = packed.can_infer(dtype)  # else they stay where they are
    assert any(isinstance(part, nn.ReLU6) for part in model.modules()) != computes
    left = [name for name, part in model.named_modules() if isinstance(part, nn.ReLU)]
    # After the sum of a joined convolution.
    assert (left == ["encoder.2", "encoder_ref.2"]) == computes
    monkeypatch.setattr("hs2s_core.models.inference.can_infer", lambda _: False)
    elsewhere = for_inference(trained_like("hs2s-lite"), dtype)
    assert any(isinstance(part, nn.ReLU6) for part in elsewhere.modules())
    for_graphs = for_inference(trained_like("hs2s-lite"), dtype, packed=False)
    assert any(isinstance(part, nn.ReLU6) for part in for_graphs.modules())


@pytest.mark.parametrize("activation", [None, nn.ReLU(), nn.ReLU6()])
@pytest.mark.parametrize("size", [(20, 30), (33, 9)])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_says_the_same_with_its_activation(
    activation: nn.Module | None, size: tuple[int, int], stride: int
) -> None:
    torch.manual_seed(0)
    conv = SameConv(8, 8, 5, stride, groups=4).requires_grad_(False)
    x = 10 * torch.randn(2, 8, *size)
    expected = conv(x)
    if activation is not None:
        expected = activation(expected)
        assert expected.max() == 6 if isinstance(activation, nn.ReLU6) else expected.max() > 6
    # A build of PyTorch without oneDNN has nothing to fuse with, and then nothing asks for it.
    fused = packed.can_infer(torch.float32) and conv.fuse(activation)
    assert fused == packed.can_infer(torch.float32)
    found = conv(x) if fused or activation is None else activation(conv(x))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert not conv.fuse(nn.Tanh())


@pytest.mark.parametrize(
    ("speed", "preset", "device", "instructions", "dtype", "why"),
    [
        ("auto", "hs2s", "cpu", BFLOAT16, torch.bfloat16, "this CPU has instructions"),
        ("auto", "hs2s-lite", "cpu", BFLOAT16, torch.float32, "little without AMX"),
        ("auto", "hs2s-lite", "cpu", TILES, torch.bfloat16, "this CPU has instructions"),
        ("fast", "hs2s-lite", "cpu", BFLOAT16, torch.bfloat16, "this CPU has instructions"),
        ("fast", "hs2s", "cpu", NONE, torch.float32, "no instructions"),
        ("exact", "hs2s", "cpu", TILES, torch.float32, "exact"),
        ("auto", "hs2s-lite", "cuda", NONE, torch.float16, "GPU"),
        ("auto", "hs2s", "mps", TILES, torch.float32, "not tried on mps"),
    ],
)
def test_speed_is_chosen_by_network_and_instructions(
    monkeypatch: pytest.MonkeyPatch,
    speed: str,
    preset: str,
    device: str,
    instructions: tuple[str, ...],
    dtype: torch.dtype,
    why: str,
) -> None:
    monkeypatch.setattr("hs2s_core.devices._has", lambda name: name in instructions)
    pace = choose_pace(speed, PRESETS[preset], torch.device(device))
    assert pace.dtype is dtype
    assert why in pace.why


def test_a_speed_that_is_none_is_refused() -> None:
    with pytest.raises(HS2SError, match="'slow'; expected one of auto, exact, fast"):
        choose_pace("slow", PRESETS["hs2s"], torch.device("cpu"))


@pytest.mark.parametrize("name", ["hs2s-lite", "s2s-lite"])
def test_lite_networks_run_without_norms(name: str) -> None:
    assert norms(for_inference(trained_like(name))) == 0


def test_norms_of_several_processes_are_folded_too() -> None:
    model = nn.SyncBatchNorm.convert_sync_batchnorm(trained_like("hs2s-lite"))
    fast = for_inference(model)
    assert not any(isinstance(part, nn.SyncBatchNorm) for part in fast.modules())
    for one, two in zip(say(model, torch.float32), say(fast, torch.float32), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)
