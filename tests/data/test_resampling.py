"""Training frames are as smooth as those of propagation, which are averaged when they shrink."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from hs2s_core.data.clips import WIDEST, ClipSet, _window
from hs2s_core.data.layers import Scene
from hs2s_core.data.motion import Motion
from hs2s_core.data.resampling import shrink
from hs2s_core.data.splits import read_splits
from hs2s_core.data.stills import Cutout, StillSet
from hs2s_core.data.synthesis import SynthesisConfig, Synthesizer


class NoisyVideo:
    """Pixels of noise: what one sample a pixel keeps, and a mean does not."""

    name = "noise"

    def __len__(self) -> int:
        return 3

    def frame(self, index: int) -> np.ndarray:
        """(480, 640, 3)"""
        return np.random.default_rng(index).integers(0, 256, (480, 640, 3), np.uint8)

    def id_map(self, index: int) -> np.ndarray:
        """One object in the middle."""
        ids = np.zeros((480, 640), np.uint8)
        ids[100:380, 150:490] = 1
        return ids


def test_way_back() -> None:
    """A point of the small image lies where it came from."""
    image = np.zeros((90, 120), np.uint8)
    image[30:33, 60:63] = 255
    small, back = shrink(image, 1 / 3)
    assert small.shape == (30, 40)
    y, x = np.argwhere(small == small.max())[0]
    np.testing.assert_allclose(back @ [x, y, 1], [61, 31, 1])
    assert shrink(image, 0.95)[0] is image


@pytest.mark.parametrize("augmentation", ["crop", "paper"])
def test_real_clips_are_not_aliased(augmentation: str) -> None:
    """At a fifth of the size, 25 pixels of noise (deviation 74) average to one of about 15."""
    source = ClipSet([NoisyVideo()], None, augmentation)
    deviations = [
        float(source.draw(np.random.default_rng(seed), (96, 128), 2).frames[0].std())
        for seed in range(8)
    ]
    assert np.median(deviations) < 35


def test_synthetic_clips_are_not_aliased(tmp_path: Path) -> None:
    for kind in ("images", "masks"):
        (tmp_path / "set" / kind).mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "set/images/a.jpg", quality=100)
    Image.fromarray(NoisyVideo().id_map(0)).save(tmp_path / "set/masks/a.png")
    config = SynthesisConfig(layers=(0, 0), own_region=0.0)
    clip = Synthesizer(StillSet(tmp_path, ["set"]), config).draw(
        np.random.default_rng(0), (96, 128), 2
    )
    assert clip.frames[0].std() < 45


def test_layers_are_not_aliased() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (400, 400, 3), np.uint8)
    scene = Scene.empty(rng, Motion(), (96, 128), 1)
    cutout = Cutout(noise, np.full((400, 400), 255, np.uint8))
    scene.paste(cutout, 1, np.array([64.0, 48.0]), 50.0, pace=0.0)
    inside = cv2.erode(scene.id_maps[0], np.ones((5, 5), np.uint8)) == 1
    assert inside.sum() > 500
    assert scene.frames[0][inside].std() < 30


def test_short_videos_turn_round() -> None:
    """A clip longer than its video goes back and forth instead of being refused."""
    for seed in range(5):
        indices = _window(np.random.default_rng(seed), 3, 8)
        assert len(indices) == 8
        assert set(np.abs(np.diff(indices))) == {1}
        assert (indices.min(), indices.max()) == (0, 2)


def test_strides_reach_far_and_stay_inside() -> None:
    """Videos are also walked in great strides, small ones most often, and turn at their ends."""
    strides = []
    for seed in range(400):
        indices = _window(np.random.default_rng(seed), 80, 6)
        assert 0 <= indices.min() <= indices.max() < 80
        strides.append(np.abs(np.diff(indices)).max())
    assert set(strides) == set(range(1, WIDEST + 1))
    assert np.median(strides) <= 6
    short = [np.abs(np.diff(_window(np.random.default_rng(s), 5, 6))).max() for s in range(50)]
    assert set(short) == {1, 2}
    assert not _window(np.random.default_rng(0), 1, 4).any()


def test_notes_in_a_split_file_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "splits.json"
    path.write_text(json.dumps({"note": "by video", "dev": {"a": ["x"]}, "odd": ["y"]}))
    with caplog.at_level(logging.WARNING):
        assert read_splits(path) == {"dev": {"a": ["x"]}}
    assert "'note', 'odd' are no splits" in caplog.text
