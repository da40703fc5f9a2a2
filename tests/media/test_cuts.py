"""Cuts are found where they are, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hs2s_core.media.cuts import find_cuts
from hs2s_core.media.images import RGBImage

HUES = [0, 30, 60, 90, 120, 150]


def shot(hue: int, length: int) -> list[RGBImage]:
    """A square that moves fast, to and fro, before noise."""
    rng, frames = np.random.default_rng(hue), []
    for place in range(length):
        hsv = rng.integers(0, 60, (48, 64, 3), dtype=np.uint8) + np.uint8(120)
        hsv[..., 0] = hue
        left = abs(6 * place % 80 - 40)
        hsv[8:40, left : left + 20] = (hue + 15, 250, 250)
        frames.append(np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)))
    return frames


@given(
    st.lists(st.tuples(st.sampled_from(HUES), st.integers(4, 9)), min_size=1, max_size=5).filter(
        lambda shots: all(a[0] != b[0] for a, b in pairwise(shots))
    )
)
def test_every_shot_begins_where_it_does(shots: list[tuple[int, int]]) -> None:
    frames = [frame for hue, length in shots for frame in shot(hue, length)]
    starts = np.cumsum([length for _, length in shots])[:-1]
    assert list(find_cuts(frames)) == starts.tolist()


@pytest.mark.parametrize("length", range(4))
def test_clips_of_a_few_frames(length: int) -> None:
    assert list(find_cuts(shot(0, length))) == []


def test_a_fade_and_a_flicker_are_no_cuts() -> None:
    (one,), (other,) = shot(0, 1), shot(90, 1)
    fade = [np.asarray(cv2.addWeighted(one, 1 - x, other, x, 0)) for x in np.linspace(0, 1, 24)]
    assert list(find_cuts(fade)) == []
    assert list(find_cuts([one, other] * 10)) == []


def test_frames_are_read_one_by_one() -> None:
    """Each cut is told a few frames after it, not at the end."""
    read = 0

    def frames() -> Iterator[RGBImage]:
        nonlocal read
        for frame in shot(0, 10) + shot(90, 100):
            read += 1
            yield frame

    assert next(find_cuts(frames())) == 10
    assert read < 20
