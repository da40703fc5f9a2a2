"""The lite networks' own parts: trunk, references, and what is remembered."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hs2s_core.models import VideoSegmenter, build_model
from hs2s_core.models.base import State, join_states, select_objects
from hs2s_core.models.lite.efficientnet import EfficientNetLite, SameConv
from hs2s_core.models.lite.matching import PositionMatching, References

from ..threads import threads

OWNER = torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(8, 8), (9, 8), (8, 11), (13, 9)])
def test_strided_convolutions_pad_as_tensorflow_does(kernel: int, size: tuple[int, int]) -> None:
    """Half of the missing cells before, the rest after, so that ``ceil(size / 2)`` kernels fit."""
    torch.manual_seed(0)
    conv = SameConv(4, 4, kernel, 2, groups=4)
    x = torch.randn(2, 4, *size)
    pads = []
    for side in (size[1], size[0]):
        missing = max((-(-side // 2) - 1) * 2 + kernel - side, 0)
        pads += [missing // 2, missing - missing // 2]
    expected = F.conv2d(F.pad(x, pads), conv.weight, stride=2, groups=4)
    torch.testing.assert_close(conv(x), expected)


@pytest.mark.parametrize(
    ("size", "channels", "inner"),
    [
        (0, (16, 24, 40, 112), (32, 96, 144, 144, 240, 240, *[480] * 3, *[672] * 2)),
        (1, (16, 24, 40, 112), (32, 96, *[144] * 3, *[240] * 3, *[480] * 4, *[672] * 3)),
        (2, (16, 24, 48, 120), (32, 96, *[144] * 3, *[288] * 3, *[528] * 4, *[720] * 3)),
    ],
)
def test_trunks_have_the_widths_and_depths_of_the_published_ones(
    size: int, channels: tuple[int, ...], inner: tuple[int, ...]
) -> None:
    """The depthwise convolutions of the published weights files, up to stride 16."""
    trunk = EfficientNetLite(size)
    assert trunk.channels == channels
    state = trunk.state_dict()
    found = [len(state[key]) for key in state if key.endswith("_depthwise_conv.weight")]
    assert tuple(found) == inner
    maps = trunk(torch.zeros(1, 3, 33, 48))
    assert tuple(each.shape[1] for each in maps) == channels
    assert [each.shape[2:] for each in maps] == [(17, 24), (9, 12), (5, 6), (3, 3)]


@pytest.mark.parametrize("stride", [1, 2])
def test_depthwise_gradients_are_summed_in_float32_under_autocast(stride: int) -> None:
    """Where oneDNN is slow in bfloat16, so that they lose no more than their inputs' digits."""
    torch.manual_seed(0)
    conv = SameConv(8, 8, 5, stride, groups=8)
    x = torch.randn(3, 8, 12, 20).bfloat16()
    shape = (3, 8, 12 // stride, 20 // stride)
    back = torch.randn(shape).bfloat16()
    conv(x.float()).backward(back.float())
    expected, conv.weight.grad = conv.weight.grad, None
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
    assert y.dtype is torch.bfloat16
    y.backward(back)
    torch.testing.assert_close(conv.weight.grad, expected, atol=1e-4, rtol=1e-5)


@pytest.fixture(scope="module")
def model() -> VideoSegmenter:
    torch.manual_seed(0)
    return build_model("hs2s-lite").eval()


def _clip(frames: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(frames, 1, 3, 64, 96, generator=generator)
    masks = (torch.rand(frames, 1, 1, 64, 96, generator=generator) > 0.5).float()
    return images, masks


@torch.no_grad()
def _begin(model: VideoSegmenter, remembered: int) -> tuple[State, Tensor]:
    """State after frame 0 and so many remembered frames, and the mask of frame 0."""
    images, masks = _clip(4)
    state = model.begin(model.encode(images[0]), masks[0], OWNER)
    for t in range(1, 1 + remembered):
        state = model.remember(model.encode(images[t]), masks[t], state, OWNER)
    return state, masks[0]


@torch.no_grad()
def _match(model: VideoSegmenter, state: State, mask: Tensor) -> Tensor:
    """Masks as the matching transports them; a decoder of random weights hardly looks at them."""
    images, _ = _clip(4)
    owner = torch.zeros(len(mask), dtype=torch.int64)
    match = model.step(model.encode(images[3]), mask, state, owner)[0].match
    assert match is not None
    return match


def test_a_remembered_frame_is_compared_with(model: VideoSegmenter) -> None:
    state, mask = _begin(model, 0)
    more, _ = _begin(model, 1)
    assert (_match(model, state, mask) - _match(model, more, mask)).abs().max() > 1e-4
    images, masks = _clip(4)
    with torch.no_grad():
        first = model.remember(model.encode(images[0]), masks[0], more, OWNER, slot=1)
    # The same frame twice weighs as much as once.
    torch.testing.assert_close(
        _match(model, first, mask), _match(model, state, mask), atol=1e-5, rtol=1e-4
    )


def test_objects_with_few_and_many_references_share_a_batch(model: VideoSegmenter) -> None:
    """Each predicts what it predicts alone, whatever the other remembers."""
    few, mask = _begin(model, 0)
    many, _ = _begin(model, 2)
    both = _match(model, join_states([few, many]), torch.cat([mask, mask]))
    alone = torch.cat([_match(model, few, mask), _match(model, many, mask)])
    torch.testing.assert_close(both, alone, atol=1e-5, rtol=1e-4)
    picked = select_objects(join_states([few, many]), torch.tensor([1]))
    torch.testing.assert_close(_match(model, picked, mask), alone[1:], atol=1e-5, rtol=1e-4)


def test_a_baseline_without_references_remembers_nothing() -> None:
    model = build_model("s2s-lite").eval()
    state, _ = _begin(model, 0)
    more, _ = _begin(model, 1)
    torch.testing.assert_close(state, more)


def test_unknown_references_are_not_read() -> None:
    torch.manual_seed(0)
    matching = PositionMatching(12.0, 0.5)
    key, value = torch.randn(1, 5, 4, 6), torch.rand(1, 3, 4, 6)
    one = References.of(key, value)
    padded = References.join([one, one.and_then(References.of(key.flip(3), value * 9))])
    query = torch.randn(2, 5, 4, 6)
    torch.testing.assert_close(matching(query, [padded])[0][:1], matching(query[:1], [one])[0])


@pytest.mark.parametrize("temperature", [0.1, 12.0, 99.0])
@pytest.mark.parametrize("closeness", [None, 0.5, 30.0])
def test_shared_weights_say_what_each_objects_own_say(
    temperature: float, closeness: float | None
) -> None:
    """In inference mode a frame's weights are made once, in parts; the last one is shorter."""
    torch.manual_seed(0)
    matching = PositionMatching(temperature, closeness)
    keys = F.normalize(torch.randn(4, 5, 15, 27), dim=1)
    first, second, third = (References.of(key[None], torch.rand(1, 3, 15, 27)) for key in keys[:3])
    again = References(first.key, torch.rand_like(first.value))
    batch = References.join([first, second.and_then(again).and_then(third), again.and_then(third)])
    references = [batch, third.and_then(first), first]
    with torch.no_grad():
        expected = matching(keys[3:], references)
    with torch.inference_mode():
        found = matching(keys[3:], references)
        torch.testing.assert_close(found, expected)
        (alone,) = matching(keys[3:], references[1:2])
        # Whatever else is read, and in whatever order its frames come up.
        assert torch.equal(alone, found[1])


def test_a_position_unlike_all_others_reads_their_mean() -> None:
    """Every weight underflows where the highest score is not taken off: it read NaN."""
    matching = PositionMatching(99.0, None)
    key = F.normalize(torch.ones(1, 5, 6, 9), dim=1)
    references = References.of(-key, torch.rand(1, 3, 6, 9))
    with torch.inference_mode():
        (found,) = matching(key, [references])
    expected = references.value.mean(1)[:, :, None, None].expand(1, 3, 6, 9)
    torch.testing.assert_close(found, expected)


def test_weights_of_a_frame_are_computed_once_for_all_objects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    torch.manual_seed(0)
    key = F.normalize(torch.randn(2, 5, 6, 9), dim=1)
    objects = [References.of(key[:1], torch.rand(1, 3, 6, 9)) for _ in range(5)]
    multiplied, mm = [], torch.mm
    monkeypatch.setattr(torch, "mm", lambda *a, **k: multiplied.append(1) or mm(*a, **k))
    with torch.inference_mode():
        PositionMatching(12.0, 0.5)(key[1:], [References.join(objects[:3]), *objects[3:]])
    assert len(multiplied) == 1


@pytest.mark.parametrize("size", [(36, 64), (31, 45)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_reads_the_same_on_any_number_of_threads(
    size: tuple[int, int], dtype: torch.dtype
) -> None:
    """To the last bit, so that a correction equals a full run made on a busier machine."""
    torch.manual_seed(0)
    keys = F.normalize(torch.randn(3, 64, *size), dim=1)
    values = torch.rand(2, 1, 64, *size).to(dtype)
    first, second = (References.of(keys[i, None], values[i]) for i in range(2))
    matching, found = PositionMatching(12.0, 0.5), []
    for count in (1, 2):
        with threads(count), torch.inference_mode():
            found += matching(keys[2:], [first.and_then(second)])
    assert all(torch.equal(each, found[0]) for each in found)


@pytest.mark.parametrize("closeness", [20.0, 200.0, 1000.0])
@pytest.mark.parametrize("alike", [True, False])
def test_weights_of_half_precision_tell_neighbours_apart(closeness: float, alike: bool) -> None:
    """While inferring on a CPU; and it reads alone what it reads together, to the last bit."""
    torch.manual_seed(0)
    matching = PositionMatching(27.0, closeness)
    keys = torch.ones(3, 48, 24, 40) if alike else torch.randn(3, 48, 24, 40)
    first, second, third = (
        References.of(F.normalize(key[None], dim=1), torch.rand(1, 8, 24, 40).bfloat16())
        for key in keys[[0, 1, 0]]
    )
    query = F.normalize(keys[:1] + 0.5 * keys[2:], dim=1)
    references = [first.and_then(second), third]
    with torch.no_grad():
        expected = matching(query, references)
    with torch.inference_mode():
        found = matching(query, references)
        (alone,) = matching(query, references[1:])
    assert torch.equal(alone, found[1])
    for one, other in zip(found, expected, strict=True):
        assert one.dtype is torch.bfloat16
        torch.testing.assert_close(one.float(), other.float(), rtol=0, atol=0.02)


def test_positions_are_compared_in_float32_under_autocast() -> None:
    """Where all look alike, only distance counts, and bfloat16 cannot tell neighbours apart."""
    alike = F.normalize(torch.ones(1, 4, 24, 40), dim=1)
    value = torch.rand(1, 2, 24, 40, generator=torch.Generator().manual_seed(0))
    matching = PositionMatching(12.0, 200.0)
    (expected,) = matching(alike, [References.of(alike, value)])
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = matching(alike.bfloat16(), [References.of(alike.bfloat16(), value)])
    torch.testing.assert_close(found.float(), expected, atol=1e-2, rtol=0)
