"""Predicted frames that an object is compared with: few, sure ones, each object's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hs2s_core.data.folders import open_folder
from hs2s_core.media.frames import open_frames
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import BoolMask
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.propagation import network, propagate
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.resources import asset
from hs2s_core.weights import fill_model, load_model


@pytest.fixture(scope="module")
def model() -> VideoSegmenter:
    """The bundled network, at a quarter of its pixels."""
    bundled = load_model(device="cpu")
    return fill_model(replace(bundled.config, input_size=(144, 256)), bundled.state_dict()).eval()


@pytest.fixture(scope="module")
def clip() -> tuple[list[RGBImage], dict[int, BoolMask]]:
    """The demo's frames, and two of its people in the first."""
    folder = open_folder(asset("demo"), None)
    video = folder.video(folder.names[0])
    masks = video.first_masks()[0]
    return list(open_frames(video.frames)), {i: masks[i] for i in sorted(masks)[:2]}


def compared(engine: NetworkEngine, place: int) -> int:
    """Frames that an object is compared with."""
    assert engine._state is not None
    first = engine._state.objects.first
    positions = engine._state.previous.key.shape[2:].numel()
    rows = first.known[place].sum().item() if first.known is not None else first.key.shape[1]
    return int(rows) // positions


def test_a_few_sure_frames_are_compared_with(
    model: VideoSegmenter, clip: tuple[list[RGBImage], dict[int, BoolMask]]
) -> None:
    frames, masks = clip
    engine = NetworkEngine(model)
    counts = []
    for number in range(4 * network.BANK_EVERY):
        engine.step(frames[0], {1: masks[min(masks)]} if number == 0 else {})
        counts.append(compared(engine, 0))
    assert counts[: network.BANK_EVERY] == [1] * network.BANK_EVERY
    assert counts[network.BANK_EVERY] == 2
    assert max(counts) == counts[-1] == 1 + network.BANK_FRAMES


def test_unsure_masks_are_not(
    model: VideoSegmenter,
    clip: tuple[list[RGBImage], dict[int, BoolMask]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "BANK_CONFIDENCE", 1.0)
    frames, masks = clip
    engine = NetworkEngine(model)
    for number in range(network.BANK_EVERY + 1):
        engine.step(frames[number], {1: masks[min(masks)]} if number == 0 else {})
    assert compared(engine, 0) == 1


def test_each_object_has_its_own(
    model: VideoSegmenter, clip: tuple[list[RGBImage], dict[int, BoolMask]]
) -> None:
    """One that enters later, in the same batch, is followed as alone, and leaves the other be."""
    frames, masks = clip
    frames = frames[: (1 + network.BANK_FRAMES) * network.BANK_EVERY + 3]  # the oldest made room
    (one, first), (two, second) = masks.items()
    both, alone, late = NetworkEngine(model), NetworkEngine(model), NetworkEngine(model)
    for number, frame in enumerate(frames):
        given = {one: first} if number == 0 else {two: second} if number == 2 else {}
        found = both.step(frame, given)
        apart = [alone.step(frame, {one: first} if number == 0 else {}).logits]
        if number >= 2:
            apart.append(late.step(frame, {two: second} if number == 2 else {}).logits)
        expected = [logits for logits in apart if logits is not None]
        if expected:
            assert found.logits is not None
            torch.testing.assert_close(found.logits, torch.cat(expected), atol=1e-3, rtol=1e-3)
    assert compared(both, 0) == compared(alone, 0) > 1


def test_objects_that_share_work_are_followed_as_alone(
    model: VideoSegmenter, clip: tuple[list[RGBImage], dict[int, BoolMask]]
) -> None:
    """To the last bit: or a correction would change the others by rounding."""
    frames, masks = clip
    (one, first), (two, second) = masks.items()
    prompts = {0: {one: first}, 2: {two: second}}
    frames = frames[: network.BANK_EVERY + 3]
    both = list(propagate(model, frames, prompts, direction="forward", soft=True))
    for wanted in (one, two):
        alone = propagate(model, frames, prompts, direction="forward", soft=True, objects=[wanted])
        for found, expected in zip(both, alone, strict=True):
            assert found.soft is not None
            assert expected.soft is not None
            assert expected.soft.keys() <= {wanted}
            for object_id, mask in expected.soft.items():
                assert np.array_equal(found.soft[object_id], mask)
