"""One contract for every preset, at a width small enough to run many times."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from hs2s_core.models import State, VideoSegmenter, build_model
from hs2s_core.models.base import join_states, map_tree, select_objects
from hs2s_core.models.paper.flow import RAFTHead
from hs2s_core.models.presets import PRESETS
from hs2s_core.weights import load_model, save_weights

from .tiny import tiny, trained_like

FRAMES, SIZE = 4, (64, 96)
NAMES = sorted(PRESETS)


@pytest.fixture(scope="module", params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def model(name: str) -> VideoSegmenter:
    """No test changes it."""
    torch.manual_seed(0)
    return build_model(tiny(name)).eval()


@pytest.fixture(scope="module")
def exact(model: VideoSegmenter) -> VideoSegmenter:
    """In double precision, where rounding cannot hide or fake a difference."""
    return deepcopy(model).double()


def clip(objects: int, size: tuple[int, int] = SIZE, clips: int = 1) -> tuple[Tensor, Tensor]:
    """Frames (T, clips, 3, H, W) and first masks (objects, 1, H, W)."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(FRAMES, clips, 3, *size, generator=generator)
    masks = torch.zeros(objects, 1, *size)
    for i, mask in enumerate(masks):
        mask[:, 8 + 9 * i : 30 + 9 * i, 10 + 15 * i : 40 + 15 * i] = 1
    return frames, masks


def double(tensors: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    frames, masks = tensors
    return frames.double(), masks.double()


def unroll(
    model: VideoSegmenter, frames: Tensor, mask: Tensor, owner: Tensor
) -> tuple[list[Tensor], State]:
    """Logits of frames 1.. with the soft mask fed back, and the last state."""
    features = [model.encode(frame) for frame in frames]
    state = model.begin(features[0], mask, owner)
    state = model.look_ahead(features[1:], state, owner)
    logits = []
    for seen in features[1:]:
        output, state = model.step(seen, mask, state, owner)
        mask = output.logits.sigmoid()
        logits.append(output.logits)
    return logits, state


def zeros(objects: int) -> Tensor:
    return torch.zeros(objects, dtype=torch.int64)


def test_outputs_have_the_input_size(model: VideoSegmenter) -> None:
    frames, masks = clip(2)
    with torch.inference_mode():
        features = model.encode(frames[1])
        state = model.begin(model.encode(frames[0]), masks, zeros(2))
        state = model.look_ahead([features], state, zeros(2))
        output, _ = model.step(features, masks, state, zeros(2))
    assert output.logits.shape == (2, 1, *SIZE)
    if model.config.border:
        assert output.border is not None
        assert output.border.shape == (2, 42, *SIZE)
    else:
        assert output.border is None


# The batch norm behind these convolutions subtracts any bias again: no gradient but rounding.
BIASES_BEFORE_NORMS = ("added_conv.bias", "reduce.bias")


def test_gradients_reach_every_parameter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RAFTHead.__init__.__kwdefaults__, "updates", 2)  # for time
    torch.manual_seed(0)
    model = trained_like(name).train()
    frames, masks = clip(2)
    features = [model.encode(frame) for frame in frames[:3]]
    # The tensor-train memory's first window holds zeros until its fourth step.
    features += features[1:3] if model.config.memory == "conv_tt_lstm" else []
    state = model.begin(features[0], masks, zeros(2))
    state = model.look_ahead(features[1:], state, zeros(2))
    loss = torch.zeros(())
    for seen in features[1:]:
        output, state = model.step(seen, masks, state, zeros(2))
        masks = output.logits.sigmoid()
        loss = loss + output.logits.square().mean()
        if output.border is not None:
            loss = loss + output.border.logsumexp(1).mean()
        if output.flow is not None:
            loss = loss + output.flow.square().mean()
    assert (output.flow is not None) == model.config.flow
    loss.backward()
    gradients = {key: parameter.grad for key, parameter in model.named_parameters()}
    assert [key for key, grad in gradients.items() if grad is None] == []
    known = {key: grad for key, grad in gradients.items() if grad is not None}
    assert [key for key, grad in known.items() if not grad.isfinite().all()] == []
    unmoved = [key for key, grad in known.items() if not grad.any()]
    assert [key for key in unmoved if not key.endswith(BIASES_BEFORE_NORMS)] == []


@pytest.mark.parametrize("name", ["hs2s", "hs2s-resnet101", "hs2s-axial"], indirect=True)
def test_deep_encoders_start_calmly(name: str) -> None:
    """Random residual blocks in a row make gradients of 1e2 to 1e6 that drown all others."""
    torch.manual_seed(0)
    model = build_model(tiny(name)).train()
    frames, masks = clip(2)
    state = model.begin(model.encode(frames[0]), masks, zeros(2))
    output, _ = model.step(model.encode(frames[1]), masks, state, zeros(2))
    binary_cross_entropy_with_logits(output.logits, masks).backward()
    gradients = [value.grad for value in model.parameters() if value.grad is not None]
    assert float(torch.stack([grad.norm() for grad in gradients]).norm()) < 20


@pytest.fixture(scope="module")
def first_alone(exact: VideoSegmenter) -> list[Tensor]:
    """Logits of the first of two objects, without the other."""
    frames, masks = double(clip(2))
    with torch.inference_mode():
        return unroll(exact, frames, masks[:1], zeros(1))[0]


def test_objects_in_a_batch_equal_objects_one_by_one(
    exact: VideoSegmenter, first_alone: list[Tensor]
) -> None:
    frames, masks = double(clip(2))
    with torch.inference_mode():
        together, _ = unroll(exact, frames, masks, zeros(2))
        second_alone, _ = unroll(exact, frames, masks[1:], zeros(1))
    for i, alone in enumerate((first_alone, second_alone)):
        for a, b in zip(together, alone, strict=True):
            torch.testing.assert_close(a[i : i + 1], b, rtol=1e-7, atol=1e-7)


def test_clips_in_a_batch_equal_clips_one_by_one(exact: VideoSegmenter) -> None:
    frames, masks = double(clip(3, clips=2))
    frames = frames[:3]
    owner = torch.tensor([0, 1, 1])
    with torch.inference_mode():
        together, _ = unroll(exact, frames, masks, owner)
        alone, _ = unroll(exact, frames[:, 1:], masks[1:], zeros(2))
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:], b, rtol=1e-7, atol=1e-7)


def test_an_object_may_enter_and_leave(exact: VideoSegmenter, first_alone: list[Tensor]) -> None:
    frames, masks = double(clip(2))
    with torch.inference_mode():
        seen = [exact.encode(frame) for frame in frames]
        state = exact.begin(seen[0], masks[:1], zeros(1))
        state = exact.look_ahead(seen[1:], state, zeros(1))
        output, state = exact.step(seen[1], masks[:1], state, zeros(1))
        entering = exact.begin(seen[1], masks[1:], zeros(1))
        entering = exact.look_ahead(seen[2:], entering, zeros(1))
        state = join_states([state, entering])
        both = torch.cat([output.logits.sigmoid(), masks[1:]])
        output, state = exact.step(seen[2], both, state, zeros(2))
        torch.testing.assert_close(output.logits[:1], first_alone[1], rtol=1e-7, atol=1e-7)
        state = select_objects(state, torch.tensor([0]))
        fed_back = output.logits[:1].sigmoid()
        output, _ = exact.step(seen[3], fed_back, state, zeros(1))
        torch.testing.assert_close(output.logits, first_alone[2], rtol=1e-7, atol=1e-7)


def test_step_leaves_the_state_it_is_given(model: VideoSegmenter) -> None:
    frames, masks = clip(1)
    with torch.inference_mode():
        seen = [model.encode(frame) for frame in frames]
        state = model.begin(seen[0], masks, zeros(1))
        state = model.look_ahead(seen[1:], state, zeros(1))
        _, state = model.step(seen[1], masks, state, zeros(1))
        kept = map_tree(lambda x: x.clone(), state)
        first, later = model.step(seen[2], masks, state, zeros(1))
        again, _ = model.step(seen[2], masks, state, zeros(1))
    map_tree(lambda a, b: torch.testing.assert_close(a, b, rtol=0, atol=0), kept, state)
    torch.testing.assert_close(first.logits, again.logits, rtol=0, atol=0)
    if model.online:
        map_tree(_same_shape, state, later)


def _same_shape(a: Tensor, b: Tensor) -> Tensor:
    assert a.shape == b.shape
    assert a.dtype == b.dtype
    return a


@pytest.mark.parametrize("size", [(64, 64), (65, 97), (110, 78)])
def test_any_size_from_64_pixels(model: VideoSegmenter, size: tuple[int, int]) -> None:
    frames, masks = clip(1, size)
    with torch.inference_mode():
        logits, _ = unroll(model, frames[:3], masks, zeros(1))
    assert logits[-1].shape == (1, 1, *size)
    assert logits[-1].isfinite().all()


def test_save_and_load_return_the_same_network(
    model: VideoSegmenter, exact: VideoSegmenter, tmp_path: Path
) -> None:
    frames, masks = double(clip(1))
    path = tmp_path / "model.safetensors"
    save_weights(model, path, {"name": "test"})
    loaded = load_model(path, device="cpu")
    assert loaded.config == model.config
    stored = model.state_dict()
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, stored[name])
    with torch.inference_mode():
        before, _ = unroll(exact, frames[:2], masks, zeros(1))
        after, _ = unroll(loaded.double(), frames[:2], masks, zeros(1))
    torch.testing.assert_close(before, after, rtol=1e-9, atol=1e-9)


def test_bfloat16_stays_close(name: str) -> None:
    torch.manual_seed(0)
    model = trained_like(name)
    frames, masks = clip(1)
    with torch.inference_mode():
        exact, _ = unroll(model, frames[:3], masks, zeros(1))
        with torch.autocast("cpu", torch.bfloat16):
            rough, _ = unroll(model, frames[:3], masks, zeros(1))
    for one, two in zip(exact, rough, strict=True):
        # Untrained logits can be so small that no probability would differ: brought to size 1.
        spread = one.square().mean().sqrt()
        change = ((one / spread).sigmoid() - (two.float() / spread).sigmoid()).abs()
        assert change.mean() < 0.01
        assert change.max() < 0.05
