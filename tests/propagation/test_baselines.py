"""The two baselines on motion that is known."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.box_trackers import track_camshift, track_mil
from hs2s_core.propagation.baselines import copy_first, warp_with_flow
from hs2s_core.training.validation import Method


def shifting_clip(shift: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A textured square that moves right by ``shift`` a frame, and its masks."""
    rng = np.random.default_rng(0)
    patch = np.kron(rng.integers(0, 255, (12, 12, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    frames, masks = [], []
    for t in range(4):
        image = np.full((96, 160, 3), 90, np.uint8)
        mask = np.zeros((96, 160), bool)
        left = 20 + shift * t
        image[24:72, left : left + 48] = patch
        mask[24:72, left : left + 48] = True
        frames.append(image)
        masks.append(mask)
    return frames, masks


def test_copy_stays() -> None:
    frames, masks = shifting_clip(5)
    results = list(copy_first(frames, {0: {3: masks[0]}}))
    assert all((result.mask(3) == masks[0]).all() for result in results)
    assert results[-1].ids == (3,)


def test_flow_follows() -> None:
    frames, masks = shifting_clip(3)
    last = list(warp_with_flow(frames, {0: {3: masks[0]}}))[-1].mask(3)
    overlap = (last & masks[-1]).sum() / (last | masks[-1]).sum()
    still = (masks[0] & masks[-1]).sum() / (masks[0] | masks[-1]).sum()
    assert overlap > 0.9 > still


def test_late_objects_are_given_in_their_frame() -> None:
    frames, masks = shifting_clip(0)
    results = list(copy_first(frames, {1: {2: masks[0]}}))
    assert [result.ids for result in results] == [(), (2,), (2,), (2,)]


@pytest.mark.parametrize("track", [track_mil, track_camshift])
def test_box_trackers_follow(track: Method) -> None:
    frames, masks = shifting_clip(4)
    results = list(track(frames, {0: {3: masks[0]}}))
    last = results[-1].mask(3)
    assert (results[0].mask(3) == masks[0]).all()
    overlap = (last & masks[-1]).sum() / (last | masks[-1]).sum()
    still = (masks[0] & masks[-1]).sum() / (masks[0] | masks[-1]).sum()
    assert overlap > still + 0.05


@pytest.mark.parametrize("track", [track_mil, track_camshift])
def test_box_trackers_stay_inside_the_frame(track: Method) -> None:
    frames, masks = shifting_clip(30)
    results = list(track(frames, {0: {3: masks[0]}, 2: {9: masks[2]}}))
    assert [result.ids for result in results] == [(3,), (3,), (3, 9), (3, 9)]
    assert all(result.id_map.shape == (96, 160) for result in results)
    assert (results[2].mask(9) == masks[2]).all()


def test_mil_refuses_no_small_box() -> None:
    frames, _ = shifting_clip(4)
    dot = np.zeros((96, 160), bool)
    dot[50:52, 60:62] = True
    results = list(track_mil(frames, {0: {1: dot}}))
    assert len(results) == 4
    assert (results[0].mask(1) == dot).all()


def test_mil_draws_the_same_every_time() -> None:
    frames, masks = shifting_clip(4)
    once, again = (list(track_mil(frames, {0: {3: masks[0]}})) for _ in range(2))
    assert all((a.id_map == b.id_map).all() for a, b in zip(once, again, strict=True))
