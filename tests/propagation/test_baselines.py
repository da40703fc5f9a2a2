"""The two baselines on motion that is known."""

from __future__ import annotations

import numpy as np

from hs2s_core.propagation.baselines import copy_first, warp_with_flow


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
