"""Synthetic clips: exact masks, motion, determinism."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hs2s_core.data.stills import StillSet, cut_region
from hs2s_core.data.synthesis import SynthesisConfig, Synthesizer
from hs2s_core.errors import InvalidDataset


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stills whose one region is pure red on grey, so that pixels tell their layer."""
    root = tmp_path_factory.mktemp("stills")
    for kind in ("images", "masks"):
        (root / "set" / kind).mkdir(parents=True)
    for number in range(3):
        ids = np.zeros((120, 160), np.uint8)
        ids[30:90, 40:110] = 1
        rgb = np.full((120, 160, 3), 110, np.uint8)
        rgb[ids == 1] = (250, 0, 0)
        Image.fromarray(rgb).save(root / f"set/images/{number}.jpg", quality=100)
        Image.fromarray(ids).save(root / f"set/masks/{number}.png")
    return root


def test_masks_follow_their_layers(folder: Path) -> None:
    synthesizer = Synthesizer(StillSet(folder, ["set"]), SynthesisConfig(own_region=1.0, blur=0.0))
    agreement = []
    for seed in range(12):
        clip = synthesizer.draw(np.random.default_rng(seed), (96, 128), 4)
        assert clip.frames.shape == (4, 96, 128, 3)
        assert clip.frames.dtype == np.uint8
        assert clip.id_maps.shape == (4, 96, 128)
        frames = clip.frames.astype(int)
        red = frames[..., 0] - frames[..., 1]
        if np.ptp(red) < 60:  # a clip drawn in grey
            continue
        agreement.append(((red > red.max() / 2) == (clip.id_maps > 0)).mean())
    assert len(agreement) >= 6
    assert np.mean(agreement) > 0.97


def test_layers_move_and_seeds_repeat(folder: Path) -> None:
    synthesizer = Synthesizer(StillSet(folder, ["set"]))
    one = synthesizer.draw(np.random.default_rng(5), (96, 128), 6)
    two = synthesizer.draw(np.random.default_rng(5), (96, 128), 6)
    assert (one.frames == two.frames).all()
    assert (one.id_maps == two.id_maps).all()
    moved = [
        (clip.id_maps[0] != clip.id_maps[-1]).mean()
        for clip in (
            synthesizer.draw(np.random.default_rng(seed), (96, 128), 6) for seed in range(8)
        )
    ]
    assert np.mean(moved) > 0.03


def test_cut_regions_have_their_box(folder: Path) -> None:
    stills = StillSet(folder, ["set"])
    rgb, regions = stills.draw(np.random.default_rng(0))
    cutout = cut_region(rgb, regions, np.random.default_rng(0))
    assert cutout is not None
    assert cutout.alpha.shape == (60, 70)
    assert (cutout.alpha == 255).all()
    assert cut_region(rgb, np.zeros_like(regions), np.random.default_rng(0)) is None


def test_missing_stills_are_named(folder: Path) -> None:
    with pytest.raises(InvalidDataset, match="no stills in"):
        StillSet(folder, ["nothing"])
