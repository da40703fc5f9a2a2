"""Synthetic clips: exact masks, motion, determinism."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hs2s_core.data.layers import Scene
from hs2s_core.data.motion import Motion, place
from hs2s_core.data.photometry import Camera, film
from hs2s_core.data.screens import put_screen
from hs2s_core.data.stills import Cutout, StillSet, cut_region
from hs2s_core.data.synthesis import SynthesisConfig, Synthesizer
from hs2s_core.errors import InvalidDataset

CLEAR = Camera(blur=0.0, grey=0.0, shade=0.0, low_resolution=0.0, compression=0.0)


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
    synthesizer = Synthesizer(
        StillSet(folder, ["set"]), SynthesisConfig(own_region=1.0, camera=CLEAR)
    )
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


def test_a_leaning_layer_keeps_its_middle() -> None:
    pose, tilt = np.array([2.0, 0.3, 5.0, -4.0]), np.array([0.3, -0.2])
    matrix = place(pose, tilt, (40, 60), np.array([100.0, 50.0]))
    middle = matrix @ [30, 20, 1]
    assert middle[:2] / middle[2] == pytest.approx([105.0, 46.0])
    right, left = matrix @ [60, 20, 1], matrix @ [0, 20, 1]
    # The side that leans towards the camera is drawn larger, hence further from the middle.
    far = [np.hypot(*(side[:2] / side[2] - [105.0, 46.0])) for side in (right, left)]
    assert far[0] / far[1] == pytest.approx(1.3 / 0.7)


@pytest.mark.parametrize("jointed", [False, True])
def test_layers_are_filmed_where_their_mask_says(jointed: bool) -> None:
    red = np.zeros((50, 40, 3), np.uint8)
    red[..., 0] = 255
    cutout = Cutout(red, np.full((50, 40), 255, np.uint8))
    scene = Scene.empty(np.random.default_rng(3), Motion(), (90, 120), 6)
    scene.paste(cutout, 7, np.array([60.0, 45.0]), 30.0, pace=1.0, jointed=jointed)
    frames, id_maps = scene.frames, scene.id_maps
    assert set(np.unique(id_maps)) == {0, 7}
    for frame, id_map in zip(frames, id_maps, strict=True):
        assert ((frame[..., 0] > 127) == (id_map == 7)).mean() > 0.98
    areas = (id_maps == 7).sum(axis=(1, 2))
    assert areas[0] == pytest.approx(30.0**2, rel=0.25)
    if jointed:  # a part swings over the other, so less of the layer is seen
        assert areas.min() < 0.9 * areas.max()


def test_a_layer_blurs_along_its_own_motion() -> None:
    red = np.full((40, 40, 3), 255, np.uint8)
    cutout = Cutout(red, np.full((40, 40), 255, np.uint8))
    films = []
    for smear in (False, True):
        fast = Motion(speed=0.2, perspective=0.0, bend=0.0)
        scene = Scene.empty(np.random.default_rng(1), fast, (120, 160), 4)
        scene.paste(cutout, 1, np.array([80.0, 60.0]), 40.0, pace=1.0, smear=smear)
        films.append((scene.frames, scene.id_maps))
    (sharp, sharp_ids), (blurred, blurred_ids) = films
    assert (sharp_ids == blurred_ids).all()
    soft = [((film > 20) & (film < 235)).sum() for film in (sharp, blurred)]
    assert soft[1] > 1.5 * soft[0]


@pytest.mark.parametrize("effect", ["blur", "grey", "shade", "low_resolution", "compression"])
def test_each_effect_of_the_camera_shows(effect: str) -> None:
    scene = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)
    plain = film(np.random.default_rng(2), scene.copy(), CLEAR)
    changed = film(
        np.random.default_rng(2), scene.copy(), dataclasses.replace(CLEAR, **{effect: 1})
    )
    assert changed.shape == scene.shape
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - plain.astype(int)).mean() > 2
    if effect == "grey":
        assert np.ptp(changed.astype(int), axis=3).mean() < 8  # sensor noise has colour


def test_screens_hide_objects_and_are_none() -> None:
    """Where leaves or bars are seen there is no object; elsewhere nothing changes."""
    hidden, seen_through = 0, 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        scene = Scene.empty(rng, Motion(), (72, 96), 5)
        scene.frames[:] = 250
        scene.id_maps[:, 10:62, 20:80] = 7
        put_screen(scene, np.full((200, 170, 3), 30, np.uint8))
        assert set(np.unique(scene.id_maps)) <= {0, 7}
        behind = (scene.id_maps == 0)[:, 10:62, 20:80]
        dark = (scene.frames < 60).all(axis=3)[:, 10:62, 20:80]
        # Edges are soft, so single pixels may be darker than half.
        assert (behind | ~dark).mean() > 0.99, "what is clearly the screen is no object"
        assert (scene.frames[:, 10:62, 20:80][~behind].mean()) > 190, "and the rest is as it was"
        hidden += bool(behind.any())
        seen_through += any(0.02 < part.mean() < 0.9 for part in behind)
    assert hidden > 20
    assert seen_through > 15


def test_clips_are_given_screens_when_asked(folder: Path) -> None:
    stills = StillSet(folder, ["set"])
    plain = SynthesisConfig(screen=0.0)

    def draw(config: SynthesisConfig) -> list[np.ndarray]:
        synthesizer = Synthesizer(stills, config)
        return [synthesizer.draw(np.random.default_rng(s), (72, 96), 4).id_maps for s in range(8)]

    without, screened = draw(plain), draw(dataclasses.replace(plain, screen=1.0))
    for before, after in zip(without, screened, strict=True):
        assert ((after == before) | (after == 0)).all()
    assert sum((a > 0).sum() for a in screened) < sum((a > 0).sum() for a in without)
