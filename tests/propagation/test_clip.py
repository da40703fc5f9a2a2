"""Whole clips: both directions, blending, ranges, what is read how often, flat memory."""

from __future__ import annotations

import dataclasses
import threading
import tracemalloc
import weakref
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch

from hs2s_core.errors import HS2SError, InvalidMask, InvalidMedia
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask
from hs2s_core.models import build_model
from hs2s_core.models.presets import PRESETS
from hs2s_core.prompts import Prompts
from hs2s_core.propagation import (
    FrameResult,
    blending,
    frame_window,
    passes,
    propagate,
    stretch_runner,
)
from hs2s_core.propagation.engine import Engine, Prediction, SoftMask

from ..threads import threads
from .carrier import SIZE, Carrier, Clip, box

LEFT, RIGHT = box(2, 1), box(2, 10)


def run(prompts: dict[int, dict[int, np.ndarray]], length: int = 11, **settings: object) -> list:
    """Results of the carrier on a made-up clip."""
    engine: Engine = Carrier()
    return list(propagate(engine, Clip(length), prompts, **settings))  # type: ignore[arg-type]


def shown(results: list[FrameResult], object_id: int = 1) -> list[int]:
    """The frames that show an object."""
    return [result.index for result in results if result.mask(object_id).any()]


@pytest.mark.parametrize(
    ("direction", "frames"),
    [("both", range(11)), ("forward", range(4, 11)), ("backward", range(5))],
)
def test_a_mask_is_followed_in_the_directions_asked_for(direction: str, frames: range) -> None:
    results = run({4: {1: LEFT}}, direction=direction)
    assert [result.index for result in results] == list(range(11))
    assert shown(results) == list(frames)
    for result in results:
        assert result.ids == ((1,) if result.index in frames else ())
        assert result.given == (frozenset([1]) if result.index == 4 else frozenset())
        assert result.distance == ({1: abs(result.index - 4)} if result.index in frames else {})


def test_between_two_key_frames_the_nearer_one_weighs_more() -> None:
    results = run({0: {1: LEFT}, 10: {1: RIGHT}})
    for result in results[1:5]:
        assert np.array_equal(result.mask(1), LEFT)
    for result in results[6:10]:
        assert np.array_equal(result.mask(1), RIGHT)
    assert [result.disagreement for result in results] == [{}, *[{1: 1.0}] * 9, {}]
    assert [result.distance[1] for result in results] == [0, 1, 2, 3, 4, 5, 4, 3, 2, 1, 0]


def test_the_surer_side_weighs_more() -> None:
    """Frames far from 0 make the carrier unsure; in the middle the side with fewer of them wins."""
    results = run({100: {1: LEFT}, 200: {1: RIGHT}}, length=201)
    assert np.array_equal(results[150].mask(1), LEFT)


def test_two_sides_that_agree_change_nothing() -> None:
    results = run({0: {1: LEFT}, 10: {1: LEFT}})
    for result in results:
        assert np.array_equal(result.mask(1), LEFT)
    assert all(result.disagreement == {1: 0.0} for result in results[1:10])


def test_objects_compete_after_blending() -> None:
    """Where one object is given, another's prediction gives way, and only there."""
    results = run({0: {1: LEFT, 2: RIGHT}, 10: {2: LEFT}})
    assert np.array_equal(results[10].mask(2), LEFT)
    assert not results[10].mask(1).any()
    assert results[10].scores[1] == 0.0
    assert np.array_equal(results[1].mask(1), LEFT)
    assert np.array_equal(results[1].mask(2), RIGHT)


def test_a_range_gives_its_frames_as_a_full_run_does() -> None:
    prompts = {0: {1: LEFT}, 8: {1: RIGHT, 2: LEFT}}
    full = run(prompts)
    for first, last in ((0, 4), (3, 6), (9, None), (8, 8)):
        part = run(prompts, first=first, last=last)
        assert [result.index for result in part] == list(range(first, (last or 10) + 1))
        for result in part:
            assert np.array_equal(result.id_map, full[result.index].id_map)
            assert result.scores == full[result.index].scores
    only = run(prompts, objects=[2])
    assert shown(only, 2) == list(range(11))
    assert shown(only, 1) == []


def test_soft_masks_come_on_request() -> None:
    results = run({0: {1: LEFT}}, soft=True)
    assert results[0].soft == {}
    assert np.array_equal(results[5].soft[1] >= 128, LEFT)
    assert run({0: {1: LEFT}})[5].soft is None


def test_each_frame_is_read_once_per_direction() -> None:
    clip = Clip(200)
    prompts = {10: {1: LEFT, 2: RIGHT}, 100: {1: RIGHT}, 150: {1: LEFT, 2: RIGHT}}
    list(propagate(Carrier(), clip, prompts))
    assert max(Counter(clip.read).values()) <= 3
    assert len(clip.read) <= 200 + 150 + 150 // 32 + 4
    forward = Clip(200)
    list(propagate(Carrier(), forward, prompts, direction="forward"))
    assert forward.read == list(range(200))


def test_a_key_frame_is_read_once_for_all_stretches_that_are_compared_with_it() -> None:
    clip = Clip(20)
    with frame_window.KeyFrames(clip) as pictures:
        for number in (0, 7, 0, 19, 7, 20, 20):
            found = pictures.at(number)
            assert found is None if number == 20 else found is not None and found[0, 0, 0] == number
        assert clip.read == [0, 7, 19]
        for number in range(9):  # only so many are kept
            pictures.at(number)
        pictures.at(19)
        assert clip.read.count(19) == 2


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_frames_are_read_while_the_network_works(direction: str) -> None:
    """Which waits here until the frames after its own, as the pass goes, are there."""
    arrived: dict[int, threading.Event] = defaultdict(threading.Event)
    length = 100

    class Noted(Clip):
        def at(self, index: int) -> RGBImage:
            frame = super().at(index)
            arrived[index].set()
            return frame

    class Waiting(Carrier):
        waited = 0

        def sibling(self) -> Carrier:
            return self

        def step(self, frame: RGBImage, prompts: Mapping[int, BoolMask]) -> Prediction:
            number = int(frame[0, 0, 0])
            after = number + 1 if direction == "forward" else number - 32
            if 1 < number < 98 and after > 1:
                assert arrived[after].wait(400)
                Waiting.waited += 1
            return super().step(frame, prompts)

    start = 0 if direction == "forward" else length - 1
    active = threading.active_count()
    steps = propagate(Waiting(), Noted(length), {start: {1: LEFT}}, direction=direction)
    assert len(list(steps)) == length
    assert Waiting.waited > 50
    assert threading.active_count() == active


def test_a_frame_that_cannot_be_read_fails_in_its_turn() -> None:
    class Broken(Clip):
        def at(self, index: int) -> RGBImage:
            if index == 6:
                raise InvalidMedia("frame 6 is torn")
            return super().at(index)

    active = threading.active_count()
    steps = propagate(Carrier(), Broken(11), {0: {1: LEFT}})
    assert [next(steps).index for _ in range(6)] == list(range(6))
    with pytest.raises(InvalidMedia, match="torn"):
        next(steps)
    assert threading.active_count() == active
    steps = propagate(Carrier(), Clip(100), {0: {1: LEFT}})
    assert [next(steps).index for _ in range(5)] == list(range(5))
    assert threading.active_count() == active + 1
    steps.close()  # type: ignore[attr-defined]
    assert threading.active_count() == active


def test_each_object_is_stepped_once_per_frame_and_direction() -> None:
    log: list[str] = []
    list(propagate(Carrier(log), Clip(10), {2: {1: LEFT}, 7: {1: LEFT}, 0: {2: RIGHT}}))
    once, twice = {0, 1, 8, 9}, {3, 4, 5, 6}
    assert Counter(log) == {
        **{f"1@{frame}": 1 for frame in once},
        **{f"1@{frame}": 2 for frame in twice},
        **{f"2@{frame}": 1 for frame in range(1, 10)},
    }


def test_what_can_be_read_only_once_goes_forwards_only() -> None:
    frames = list(Clip(5))
    assert shown(list(propagate(Carrier(), iter(frames), {0: {1: LEFT}}))) == [0, 1, 2, 3, 4]
    with pytest.raises(HS2SError, match="only once"):
        propagate(Carrier(), iter(frames), {3: {1: LEFT}})
    backward = list(propagate(Carrier(), frames, {3: {1: LEFT}}, direction="backward"))
    assert shown(backward) == [0, 1, 2, 3]


def test_a_mask_of_another_size_is_refused_where_only_the_frames_tell() -> None:
    with pytest.raises(InvalidMask, match="transpose"):
        list(propagate(Carrier(), list(Clip(3)), {1: {1: LEFT.T}}))


def test_progress_counts_the_frames_of_both_directions() -> None:
    seen: list[tuple[int, int | None]] = []
    run({0: {1: LEFT}, 5: {1: LEFT}}, progress=lambda *told: seen.append(told))
    done = [done for done, _ in seen]
    assert done == sorted(done)
    assert set(done) >= {1, *range(3, 17)}  # the way forwards waits in frame 1 for the other
    assert {total for _, total in seen} == {11 + 5}


class AtOnce(Carrier):
    """Steps between key frames wait for one another, two by two."""

    meet = threading.Barrier(2)
    alone: ClassVar[list[int]] = []

    def step(self, frame: RGBImage, prompts: Mapping[int, BoolMask]) -> Prediction:
        if prompts or not 0 < frame[0, 0, 0] < 21:
            self.alone.append(frame[0, 0, 0])
        else:
            assert torch.get_num_threads() == 1
            self.meet.wait(400)
        return super().step(frame, prompts)


@pytest.mark.usefixtures("two_threads")
def test_both_ways_are_gone_at_once_where_that_is_quicker() -> None:
    """The results are the same, and what is left at the end has all threads for itself."""
    prompts = {0: {1: LEFT}, 21: {1: RIGHT}}
    told: list[tuple[int, int | None]] = []
    watch = {"soft": True, "progress": lambda *each: told.append(each)}
    found = list(propagate(AtOnce(at_once=True), Clip(22), prompts, **watch))  # type: ignore[arg-type]
    assert sorted(AtOnce.alone) == [0, 21, 21]
    for one, other in zip(found, run(prompts, 22, soft=True), strict=True):
        np.testing.assert_equal(vars(one), vars(other))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (22 + 21, 22 + 21)
    assert {total for _, total in told} == {22 + 21}
    assert torch.get_num_threads() == 2


class Hands:
    """What hands are given is done when somebody waits: one turn of each, in one round."""

    def __init__(self) -> None:
        self.rounds: list[int] = []
        """Turns of each round."""
        self.threads: list[int] = []
        """Those of each turn."""

    @contextmanager
    def sharing(self, hands: int) -> Iterator[Callable[..., Future[object]]]:
        self.hands = hands
        yield self.give

    def give(self, call: Callable[[], object], threads: int) -> Future[object]:
        turn: Future[object] = Future()
        turn.call = call  # type: ignore[attr-defined]
        self.threads.append(threads)
        return turn

    def wait(self, turns: Collection[Future[object]], return_when: object) -> None:
        self.rounds += [len(turns)] if turns else []
        for turn in turns:
            turn.set_result(turn.call())  # type: ignore[attr-defined]


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    """In place of threads."""
    hands = Hands()
    monkeypatch.setattr(passes, "sharing_threads", hands.sharing)
    monkeypatch.setattr(passes, "wait", hands.wait)
    return hands


@pytest.mark.parametrize(
    ("count", "keys"),
    [(2, (0, 50)), (2, (0, 10)), (2, (0, 30, 60, 90)), (4, (0, 50)), (4, (0, 25, 50, 75))],
)
def test_no_way_is_left_to_be_gone_alone(hands: Hands, count: int, keys: tuple[int, ...]) -> None:
    """Unless it is longer than its share of all from the start."""
    prompts = {key: {1: LEFT} for key in keys}
    with threads(count):
        found = list(propagate(Carrier(at_once=True), Clip(100), prompts, soft=True))
    for one, other in zip(found, run(prompts, 100, soft=True), strict=True):
        np.testing.assert_equal(vars(one), vars(other))
    lengths = [after - before for before, after in pairwise([*keys, 100])]
    total, longest = 2 * sum(lengths) - lengths[-1], max(lengths)
    used = min(count, 2 * len(keys) - 1)
    assert hands.hands == used
    assert len(hands.rounds) <= max(total / used, longest) / passes._TURN + 4
    assert set(hands.threads) <= {count // n for n in range(1, used + 1)}


@pytest.mark.usefixtures("two_threads")
def test_frames_are_complete_as_soon_as_they_can_be(hands: Hands) -> None:
    """One way is needed first; half of the last one is gone meanwhile."""
    prompts = {0: {1: LEFT}, 50: {1: LEFT}}
    steps = propagate(Carrier(at_once=True), Clip(100), prompts)
    next(steps), next(steps)
    assert sum(hands.rounds) * passes._TURN < 115
    assert len(list(steps)) == 98


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("frame", [12, 28])
def test_an_error_on_any_of_several_ways_ends_all(frame: int) -> None:
    class Torn(Carrier):
        def step(self, image: RGBImage, prompts: Mapping[int, BoolMask]) -> Prediction:
            if image[0, 0, 0] == frame and not prompts:
                raise InvalidMedia("torn")
            return super().step(image, prompts)

    active = threading.active_count()
    with pytest.raises(InvalidMedia, match="torn"):
        list(propagate(Torn(at_once=True), Clip(30), {0: {1: LEFT}, 25: {1: LEFT}}))
    assert threading.active_count() == active
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_a_run_that_is_left_ends_all_ways() -> None:
    active = threading.active_count()
    steps = propagate(Carrier(at_once=True), Clip(30), {0: {1: LEFT}, 25: {1: LEFT}})
    assert [next(steps).index for _ in range(5)] == list(range(5))
    assert threading.active_count() > active
    steps.close()  # type: ignore[attr-defined]
    assert threading.active_count() == active
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_a_clip_that_ends_early_ends_all_ways() -> None:
    class Claims(Clip):
        def __len__(self) -> int:
            return 60

    clip = Claims(40)
    found = list(propagate(Carrier(at_once=True), clip, {0: {1: LEFT}, 25: {1: LEFT}}))
    assert [result.index for result in found] == list(range(40))


def peak(length: int, direction: str) -> int:
    """Bytes that a run over a clip of ``length`` holds at most."""
    prompts = {0: {1: LEFT}, length - 1: {1: RIGHT}}
    tracemalloc.start()
    for _ in propagate(Carrier(), Unread(length), prompts, direction=direction):
        pass
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


class Unread(Clip):
    """Keeps no note of what is read."""

    def at(self, index: int) -> np.ndarray:
        frame = super().at(index)
        self.read.clear()
        return frame


@pytest.mark.parametrize(
    ("direction", "length"), [("both", 10_000), ("forward", 2_000), ("backward", 2_000)]
)
def test_memory_does_not_grow_with_the_clip(direction: str, length: int) -> None:
    """But for the place of each soft mask on disk, 8 bytes a frame: an id map would take 192.

    Both directions are each of them, so that one alone need not go as far.
    """
    peak(100, direction)  # what is loaded once
    short, long = peak(100, direction), peak(length, direction)
    assert long - short < length * 16 + 50_000


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("at_once", [False, True])
def test_masks_of_neither_way_wait_in_memory(
    at_once: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[SoftMask]] = []
    most = 0

    def soften(logits: torch.Tensor) -> SoftMask:
        nonlocal most
        mask = blending.soften(logits)
        alive[:] = [each for each in alive if each() is not None]
        alive.append(weakref.ref(mask))
        most = max(most, len(alive))
        return mask

    monkeypatch.setattr(stretch_runner, "soften", soften)
    results = propagate(Carrier(at_once=at_once), Clip(300), {0: {1: LEFT}, 299: {1: LEFT}})
    assert sum(1 for _ in results) == 300
    assert 0 < most < 10 + 2 * passes._TURN * at_once


def test_a_network_that_looks_ahead_goes_both_ways() -> None:
    """Where blocks of frames lie does not depend on the range that is asked for."""
    torch.manual_seed(0)
    config = PRESETS["bi-hs2s"].scaled(16)
    # With the encoder of the fewest layers, for time.
    config = dataclasses.replace(config, input_size=(64, 64), encoder="vgg16")
    model = build_model(config).eval()
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8) for _ in range(11)]
    mask = np.zeros((64, 64), bool)
    mask[10:40, 10:40] = True
    prompts = Prompts.of({2: {1: mask}, 8: {1: mask.T}})
    full = list(propagate(model, frames, prompts, chunk=4, soft=True))
    assert [result.index for result in full] == list(range(11))
    part = list(propagate(model, frames, prompts, chunk=4, soft=True, first=5, last=6))
    for result in part:
        assert result.soft is not None
        expected = full[result.index].soft
        assert expected is not None
        assert np.array_equal(result.soft[1], expected[1])


def test_settings_are_checked_before_work() -> None:
    for settings, message in (
        ({"merge": "best"}, "merge"),
        ({"direction": "sideways"}, "direction"),
        ({"chunk": 0}, "chunk"),
        ({"first": 5, "last": 4}, "frames 5 to 4"),
    ):
        with pytest.raises(HS2SError, match=message):
            propagate(Carrier(), Clip(11), {0: {1: LEFT}}, **settings)  # type: ignore[arg-type]
    assert LEFT.shape == SIZE
