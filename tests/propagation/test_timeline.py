"""Every case of the timeline: small clips, every set of key frames, direction and range."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.propagation.timeline import DIRECTIONS, Stretch, timeline

LENGTH = 6
DOT = np.ones((1, 1), bool)


def prompts(*keys: int, object_id: int = 1) -> Prompts:
    """One object, given in these frames."""
    return Prompts(Prompt(key, object_id, DOT) for key in keys)


KEYS = list(chain.from_iterable(combinations(range(LENGTH), size) for size in (1, 2, 3, LENGTH)))
RANGES = [(first, last) for first in range(LENGTH) for last in range(first, LENGTH)]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("keys", KEYS)
def test_each_frame_is_covered_from_the_nearest_key_frames_of_the_direction(
    keys: tuple[int, ...], direction: str
) -> None:
    for first, last in RANGES:
        found = timeline(prompts(*keys), LENGTH, direction=direction, first=first, last=last)
        for frame in range(first, last + 1):
            starts = {each.start for each in found if each.covers(frame)}
            before = {max(key for key in keys if key < frame)} if min(keys) < frame else set()
            after = {min(key for key in keys if key > frame)} if max(keys) > frame else set()
            expected = (before if direction != "backward" else set()) | (
                after if direction != "forward" else set()
            )
            assert starts == (set() if frame in keys else expected)


@pytest.mark.parametrize("keys", KEYS)
def test_no_stretch_goes_further_than_the_range_nor_past_a_key_frame(keys: tuple[int, ...]) -> None:
    for first, last in RANGES:
        for each in timeline(prompts(*keys), LENGTH, first=first, last=last):
            assert each.end is not None
            assert first <= each.end <= last
            assert not any(each.covers(key) for key in keys)
            assert each.forward == (each.end > each.start)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("keys", [(0,), (2,), (5,), (0, 5), (1, 3)])
@pytest.mark.parametrize("cuts", [(1,), (3,), (5,), (2, 4), (4, 2), (6, 9)])
def test_no_object_is_followed_across_a_cut(
    keys: tuple[int, ...], cuts: tuple[int, ...], direction: str
) -> None:
    for first, last in RANGES:
        how = {"direction": direction, "first": first, "last": last}
        free = timeline(prompts(*keys), LENGTH, **how)
        found = timeline(prompts(*keys), LENGTH, cuts=cuts, **how)
        for frame in range(first, last + 1):
            expected = {
                (each.start, each.forward)
                for each in free
                if each.covers(frame)
                and not any(min(each.start, frame) < cut <= max(each.start, frame) for cut in cuts)
            }
            assert {(each.start, each.forward) for each in found if each.covers(frame)} == expected
        # And no stretch is there for nothing.
        assert all(any(map(each.covers, range(first, last + 1))) for each in found)


def test_a_cut_ends_a_clip_of_unknown_length() -> None:
    assert timeline(prompts(2), cuts=(1, 8)) == (
        Stretch(1, 2, 1, False, (2,)),
        Stretch(1, 2, 7, True, (2,)),
    )


def test_a_clip_of_unknown_length_ends_open() -> None:
    assert timeline(prompts(2)) == (
        Stretch(1, 2, 0, False, (2,)),
        Stretch(1, 2, None, True, (2,)),
    )
    assert timeline(prompts(0)) == (Stretch(1, 0, None, True, (0,)),)
    assert timeline(prompts(0), 1) == ()


def test_a_stretch_is_compared_with_both_its_ends_then_with_the_nearest() -> None:
    found = timeline(prompts(0, 10, 13, 40), 50, references=3)
    keys = {(each.start, each.forward): each.keys for each in found}
    assert keys[10, True] == (10, 13, 0)
    assert keys[13, True] == (13, 40, 10)
    assert keys[13, False] == (13, 10, 0)
    assert keys[40, True] == (40, 13, 10)
    alone = timeline(prompts(0, 10), 50)
    assert all(each.keys == (each.start,) for each in alone)


def test_objects_are_independent_and_may_be_chosen() -> None:
    two = Prompts([Prompt(0, 1, DOT), Prompt(4, 2, DOT)])
    both = timeline(two, LENGTH)
    assert both == timeline(prompts(0), LENGTH) + timeline(prompts(4, object_id=2), LENGTH)
    assert timeline(two, LENGTH, objects=[2]) == both[1:]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"direction": "up"}, "direction is 'up'"),
        ({"first": 3, "last": 2}, "frames 3 to 2"),
        ({"first": -1}, "frames -1"),
        ({"first": 6}, "frames 0 to 5"),
        ({"last": 6}, "frames to 6"),
        ({"objects": [1, 7]}, r"objects \[7\]"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(HS2SError, match=message):
        timeline(prompts(0), LENGTH, **settings)  # type: ignore[arg-type]
