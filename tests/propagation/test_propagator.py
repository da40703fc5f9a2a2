"""The propagator: independence of objects, prompts at any frame, flat memory, clear errors."""

from __future__ import annotations

import dataclasses
import tracemalloc
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from hs2s_core.errors import HS2SError, InvalidMask
from hs2s_core.media.masks import object_ids, read_id_map, write_id_map
from hs2s_core.models import build_model
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.presets import PRESETS
from hs2s_core.propagation import Propagator, prepared, propagate
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.weights import fill_model
from tests.shapes import noise, square

SIZE = (90, 122)
frame = partial(noise, size=SIZE)
box = partial(square, side=30, size=SIZE)


@pytest.fixture(scope="module")
def model() -> VideoSegmenter:
    """HS2S-lite with seeded random weights; large logits make masks that are not empty.

    At a sixth of its pixels, for time: still more than :data:`SIZE` has.
    """
    torch.manual_seed(3)
    model = build_model(dataclasses.replace(PRESETS["hs2s-lite"], input_size=(128, 192))).eval()
    with torch.no_grad():
        model.decoder.logits.weight.mul_(40)  # type: ignore[union-attr, operator]
        model.decoder.logits.bias.zero_()  # type: ignore[union-attr, operator]
    return model


def masks(propagator: Propagator) -> torch.Tensor:
    """The soft masks (B, 1, h, w) that the next step is given."""
    engine = propagator.engine
    assert isinstance(engine, NetworkEngine)
    assert engine._masks is not None
    return engine._masks


def test_the_prompt_frame_shows_the_prompt(model: VideoSegmenter) -> None:
    result = Propagator(model).step(frame(0), {4: box(10, 10), 2: box(50, 70)})
    assert result.ids == (2, 4)
    assert (result.mask(4) == box(10, 10)).all()
    assert (result.mask(2) == box(50, 70)).all()
    assert result.scores == {2: 1.0, 4: 1.0}
    assert result.id_map.dtype == np.uint8


def test_one_batch_equals_one_by_one(model: VideoSegmenter) -> None:
    """An object's probabilities do not depend on its company, nor on when others enter."""
    alone = Propagator(model)
    company = Propagator(model)
    for t in range(5):
        given = {0: {7: box(10, 10)}, 2: {9: box(40, 60)}}.get(t, {})
        company.step(frame(t), given)
        alone.step(frame(t), {i: m for i, m in given.items() if i == 7})
        torch.testing.assert_close(masks(company)[:1], masks(alone), rtol=1e-4, atol=1e-5)


def test_a_late_object_leaves_the_masks_of_others_alone(model: VideoSegmenter) -> None:
    alone = list(propagate(model, map(frame, range(5)), {0: {7: box(10, 10)}}))
    late = {0: {7: box(10, 10)}, 2: {9: box(40, 60)}}
    both = list(propagate(model, map(frame, range(5)), late, direction="forward"))
    assert (both[1].id_map == alone[1].id_map).all()
    assert both[1].ids == (7,)
    assert both[2].ids == (7, 9)
    for t in range(2, 5):
        # Only pixels that the newcomer claims may differ.
        others = ~both[t].mask(9)
        assert (both[t].mask(7)[others] == alone[t].mask(7)[others]).all()


@pytest.mark.parametrize(("first", "second"), [(1, 255), (1, 300), (255, 300)])
def test_objects_compete_for_pixels_at_the_frame_size(
    model: VideoSegmenter, first: int, second: int, tmp_path: Path
) -> None:
    prompts = {0: {first: box(10, 10), second: box(40, 60)}}
    results = list(propagate(model, map(frame, range(3)), prompts))
    for result in results:
        assert result.id_map.shape == SIZE
        assert result.id_map.dtype == np.uint16
        assert set(np.unique(result.id_map)) <= {0, first, second}
        assert all(0.0 <= score <= 1.0 for score in result.scores.values())
    # In a file of 8 bits, 255 would be void.
    write_id_map(tmp_path / "0.png", results[0].id_map)
    assert object_ids(read_id_map(tmp_path / "0.png")) == sorted({first, second})


@pytest.mark.parametrize("object_id", [1, 254, 255])
def test_an_object_alone_survives_a_file(
    model: VideoSegmenter, object_id: int, tmp_path: Path
) -> None:
    results = list(propagate(model, map(frame, range(2)), {0: {object_id: box(10, 10)}}))
    for result in results:
        write_id_map(tmp_path / "0.png", result.id_map)
        assert (read_id_map(tmp_path / "0.png") == result.id_map).all()
        assert set(np.unique(result.id_map)) <= {0, object_id}


def test_soft_merge_lets_the_background_win_less_often(model: VideoSegmenter) -> None:
    """Background must be likelier than 'no object at all', a product of chances."""
    frames = [frame(t) for t in range(3)]
    prompts = {0: {1: box(10, 10), 2: box(40, 60)}}
    hard = list(propagate(model, frames, prompts))[1]
    soft = list(propagate(model, frames, prompts, merge="soft"))[1]
    assert ((soft.id_map > 0) | (hard.id_map == 0)).all()


def test_one_object_merges_alike_in_both_ways(model: VideoSegmenter) -> None:
    frames = [frame(t) for t in range(4)]
    hard = propagate(model, frames, {0: {1: box(10, 10)}})
    soft = propagate(model, frames, {0: {1: box(10, 10)}}, merge="soft")
    for a, b in zip(hard, soft, strict=True):
        assert (a.id_map == b.id_map).mean() > 0.999


def test_forwards_a_second_prompt_restarts_the_object(model: VideoSegmenter) -> None:
    prompts = {0: {1: box(10, 10), 2: box(40, 60)}, 2: {1: box(50, 10)}}
    frames = [frame(t) for t in range(4)]
    corrected = list(propagate(model, frames, prompts, direction="forward"))
    fresh = list(propagate(model, map(frame, range(2, 4)), {0: {1: box(50, 10)}}))
    assert (corrected[2].mask(1) == box(50, 10)).all()
    assert corrected[3].ids == (1, 2)
    other = corrected[3].mask(2)
    assert (corrected[3].mask(1)[~other] == fresh[1].mask(1)[~other]).all()


def test_forwards_frames_before_the_first_prompt_are_empty(model: VideoSegmenter) -> None:
    frames = map(frame, range(3))
    results = list(propagate(model, frames, {2: {1: box(0, 0)}}, direction="forward"))
    assert [result.ids for result in results] == [(), (), (1,)]
    assert not results[0].id_map.any()


def test_reset_forgets(model: VideoSegmenter) -> None:
    propagator = Propagator(model)
    first = [propagator.step(frame(t), {1: box(10, 10)} if t == 0 else None) for t in range(3)]
    propagator.reset()
    again = [propagator.step(frame(t), {1: box(10, 10)} if t == 0 else None) for t in range(3)]
    for a, b in zip(first, again, strict=True):
        assert (a.id_map == b.id_map).all()
        assert a.index == b.index


def test_state_does_not_grow(model: VideoSegmenter) -> None:
    """The tensors that survive a frame are as many after frame 3 as after frame 30."""
    propagator = Propagator(model)

    def held() -> int:
        return sum(tensor.numel() for tensor in propagator.snapshot().tensors.values())

    seen = []
    tracemalloc.start()
    for t in range(31):
        propagator.step(frame(t % 3), {1: box(10, 10)} if t == 0 else None)
        if t in (3, 30):
            seen.append((held(), tracemalloc.get_traced_memory()[0]))
    tracemalloc.stop()
    assert seen[0][0] == seen[1][0]
    assert seen[1][1] < seen[0][1] * 1.05 + 50_000


def test_frames_are_streamed(model: VideoSegmenter) -> None:
    """Nothing is read ahead: frame t is asked for only when its result is wanted."""
    asked: list[int] = []

    def frames() -> Iterator[npt.NDArray[np.uint8]]:
        for t in range(5):
            asked.append(t)
            yield frame(t)

    results = propagate(model, frames(), {0: {1: box(0, 0)}})
    next(results)
    assert asked == [0]


def test_progress_is_told(model: VideoSegmenter) -> None:
    seen: list[tuple[int, int | None]] = []
    frames = [frame(t) for t in range(3)]
    list(propagate(model, frames, {0: {1: box(0, 0)}}, progress=lambda *a: seen.append(a)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((90, 122), bool), "empty"),
        (np.ones((45, 61), bool), "45"),
        (np.ones((90, 122, 1), bool), "shape"),
        (np.full((90, 122), 0.5), "0 and 1|binary|soft"),
    ],
)
def test_bad_prompts_are_refused(
    model: VideoSegmenter, bad: npt.NDArray[np.generic], message: str
) -> None:
    with pytest.raises(InvalidMask, match=message):
        Propagator(model).step(frame(0), {1: bad})


def test_bad_frames_and_ids_are_refused(model: VideoSegmenter) -> None:
    propagator = Propagator(model)
    with pytest.raises(HS2SError, match="uint8"):
        propagator.step(frame(0).astype(np.float32))  # type: ignore[arg-type]
    with pytest.raises(HS2SError, match="object id 0"):
        propagator.step(frame(0), {0: box(0, 0)})
    propagator.step(frame(0), {1: box(0, 0)})
    with pytest.raises(HS2SError, match="start anew"):
        propagator.step(frame(1)[:50])
    with pytest.raises(HS2SError, match="merge"):
        Propagator(model, merge="best")


def test_prompts_outside_the_clip_are_refused_before_work(model: VideoSegmenter) -> None:
    frames = [frame(0), frame(1)]
    with pytest.raises(HS2SError, match="no prompt"):
        propagate(model, frames, {})
    with pytest.raises(HS2SError, match=r"\[5\]"):
        propagate(model, frames, {5: {1: box(0, 0)}})
    late = {0: {1: box(0, 0)}, 5: {2: box(0, 0)}}
    with pytest.raises(HS2SError, match=r"\[5\]"):
        list(propagate(model, iter(frames), late, direction="forward"))


@pytest.mark.parametrize("size", [(64, 64), (65, 131), (480, 100)])
def test_any_frame_size(model: VideoSegmenter, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(2)]
    mask = np.zeros(size, bool)
    mask[10:40, 10:40] = True
    for result in propagate(model, frames, {0: {1: mask}}):
        assert result.id_map.shape == size


@pytest.fixture(scope="module")
def two_way() -> VideoSegmenter:
    """A narrow Bi-HS2S of few layers, which must see frames before it segments them."""
    torch.manual_seed(0)
    config = PRESETS["bi-hs2s"].scaled(16)
    config = dataclasses.replace(config, input_size=(64, 96), encoder="vgg16")
    return build_model(config).eval()


def test_a_network_that_looks_ahead_goes_in_chunks(two_way: VideoSegmenter) -> None:
    """Results come for every frame, with late objects, whatever the chunk; it matters, though."""
    prompts = {0: {1: box(10, 10)}, 3: {2: box(50, 60)}}
    frames = [frame(t) for t in range(7)]
    runs = {
        chunk: list(propagate(two_way, frames, prompts, chunk=chunk, direction="forward"))
        for chunk in (1, 3, 7)
    }
    for results in runs.values():
        assert [result.index for result in results] == list(range(7))
        assert [result.ids for result in results] == [(1,)] * 3 + [(1, 2)] * 4
    propagators = [Propagator(two_way), Propagator(two_way)]
    for propagator, chunk in zip(propagators, (1, 7), strict=True):
        for start in range(0, 7, chunk):
            propagator.look_ahead(frames[start : start + chunk])
            for t in range(start, start + chunk):
                propagator.step(frames[t], prompts.get(t))
    assert not torch.equal(masks(propagators[0]), masks(propagators[1]))


def test_looking_ahead_is_asked_for_and_kept_to(two_way: VideoSegmenter) -> None:
    propagator = Propagator(two_way)
    with pytest.raises(HS2SError, match="look_ahead"):
        propagator.step(frame(0), {1: box(0, 0)})
    propagator.look_ahead([frame(0), frame(1)])
    with pytest.raises(HS2SError, match="2 frames"):
        propagator.look_ahead([frame(2)])
    with pytest.raises(HS2SError, match="2 frames"):
        propagator.snapshot()
    with pytest.raises(HS2SError, match="chunk"):
        propagate(two_way, [frame(0)], {0: {1: box(0, 0)}}, chunk=0)


def out_of_memory_above(
    model: VideoSegmenter, most: int, monkeypatch: pytest.MonkeyPatch
) -> list[int]:
    """Let the model follow at most so many objects at once; the sizes that it was given."""
    sizes: list[int] = []
    begin, step_each = model.begin, model.step_each

    def check(size: int) -> None:
        sizes.append(size)
        if size > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    def begin_some(features: Any, mask: torch.Tensor, owner: torch.Tensor) -> Any:
        check(len(mask))
        return begin(features, mask, owner)

    def step_some(features: Any, masks: list[torch.Tensor], *rest: Any) -> Any:
        check(sum(map(len, masks)))
        return step_each(features, masks, *rest)

    monkeypatch.setattr(model, "begin", begin_some)
    monkeypatch.setattr(model, "step_each", step_some)
    return sizes


def test_exhausted_memory_makes_batches_smaller(
    model: VideoSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {object_id: box(10 * object_id, 20 * object_id) for object_id in (1, 2, 3)}
    frames = [frame(seed) for seed in range(3)]
    whole, parts = Propagator(model), Propagator(model)
    for propagator in (whole, parts):
        propagator.engine._network.model = model  # type: ignore[attr-defined]
        propagator.engine.model = model  # type: ignore[attr-defined]
    prompts: list[dict[int, npt.NDArray[np.bool_]]] = [given, {}, {}]
    expected = [whole.step(*each) for each in zip(frames, prompts, strict=True)]
    sizes = out_of_memory_above(model, 2, monkeypatch)
    for image, masks_given, known in zip(frames, prompts, expected, strict=True):
        result = parts.step(image, masks_given)
        assert (result.id_map == known.id_map).mean() > 0.999
    # Tried once with all; what was learnt from it holds for the frames that follow.
    assert sizes == [3, 2, 1, 2, 1, 2, 1]


def test_exhausted_memory_is_told_in_the_end(
    model: VideoSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    propagator = Propagator(model)
    propagator.engine.model = model  # type: ignore[attr-defined]
    out_of_memory_above(model, 0, monkeypatch)
    message = r"the memory of cpu is exhausted, by one frame.*CUDA out of memory"
    with pytest.raises(HS2SError, match=message):
        propagator.step(frame(0), {1: box(10, 10)})


def test_exhausted_memory_parts_engines_that_step_together(
    model: VideoSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = NetworkEngine(model)
    first._network.model = first.model = model
    engines = [first, first.sibling(), first.sibling()]
    for object_id, engine in enumerate(engines, 1):
        engine.step(frame(0), {object_id: box(10 * object_id, 20 * object_id)})
    sizes = out_of_memory_above(model, 2, monkeypatch)
    found = first.step_together(engines[1:], frame(1))
    assert [prediction.ids for prediction in found] == [(1,), (2,), (3,)]
    assert sizes == [3, 2, 1]


def test_frames_followed_backwards_are_not_encoded_again(
    model: VideoSegmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, calls = type(model).encode, 0

    def counted(self: VideoSegmenter, image: torch.Tensor) -> Any:
        nonlocal calls
        calls += 1
        return encode(self, image)

    monkeypatch.setattr(type(model), "encode", counted)
    frames = [frame(seed) for seed in range(6)]
    prompts = {0: {1: box(10, 10)}, 5: {1: box(40, 40)}}
    monkeypatch.setattr(prepared, "_KEPT_BYTES", 1)  # only the last frame's
    small = dataclasses.replace(model.config, input_size=(64, 96))
    engine = NetworkEngine(fill_model(small, model.state_dict()))
    apart = list(propagate(engine, frames, prompts, soft=True))
    assert calls > len(frames) == 6
    assert len(engine._network._seen) == 1
    monkeypatch.undo()
    monkeypatch.setattr(type(model), "encode", counted)
    calls = 0
    engine = engine.sibling()
    engine._network._seen.clear()
    together = list(propagate(engine, [image.copy() for image in frames], prompts, soft=True))
    assert calls == len(frames)
    for one, two in zip(apart, together, strict=True):
        assert one.soft is not None
        assert two.soft is not None
        assert one.soft.keys() == two.soft.keys()
        assert all(np.array_equal(mask, two.soft[i]) for i, mask in one.soft.items())
    monkeypatch.setattr(prepared, "_KEPT_FRAMES", 2)
    engine._network.features(frames[:1], (64, 96))
    assert len(engine._network._seen) == 2
