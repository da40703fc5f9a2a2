"""``hs2s propagate``: every way of giving masks, and every refusal before work starts."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from hs2s_core.config import preset
from hs2s_core.media.encode import VideoWriter
from hs2s_core.media.frames import ImageFrames, open_frames
from hs2s_core.media.masks import read_id_map, write_id_map
from hs2s_core.media.overlay import draw_masks
from hs2s_core.models import build_model
from hs2s_core.prompts import Prompts
from hs2s_core.propagation import propagate
from hs2s_core.weights import load_model, save_weights

from .conftest import FRAMES, SIZE, Run


@pytest.fixture(scope="session")
def video(clip: Path) -> Path:
    path = clip / "clip.mp4"
    with VideoWriter(path, SIZE, 10) as writer:
        for frame in open_frames(clip / "frames"):
            writer.write(frame)
    return path


def test_folders(clip: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    status, said, _ = run("propagate", clip / "frames", clip / "masks", out, "--weights", weights)
    assert status == 0
    assert said.startswith(f"2 objects through {FRAMES} frames")
    assert sorted(path.name for path in out.iterdir()) == [f"{10 + i}.png" for i in range(FRAMES)]
    # Every mask that is given is in the result as it is.
    for path in (clip / "masks").iterdir():
        assert np.array_equal(read_id_map(out / path.name), read_id_map(path))


def test_video_and_overlay(video: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    masks, overlay = tmp_path / "masks", tmp_path / "overlay.mp4"
    mask = np.zeros(SIZE, bool)
    mask[8:24, 16:32] = True
    write_id_map(masks / "000002.png", mask)
    out = tmp_path / "out"
    status, said, _ = run(
        *("propagate", video, masks, out, "--weights", weights, "--overlay", overlay)
    )
    assert status == 0
    assert str(overlay) in said
    assert sorted(path.name for path in out.iterdir()) == [f"{i:05d}.png" for i in range(FRAMES)]
    assert np.array_equal(read_id_map(out / "00002.png") > 0, mask)
    shown = open_frames(overlay)
    assert len(shown) == FRAMES
    assert shown.fps == pytest.approx(10)


def test_one_black_and_white_mask(video: Path, weights: Path, run: Run, tmp_path: Path) -> None:
    mask = np.zeros(SIZE, np.uint8)
    mask[8:24, 16:32] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    out = tmp_path / "out"
    status, _, _ = run(
        *("propagate", video, tmp_path / "mask.png", out, "--frame", 3, "--weights", weights)
    )
    assert status == 0
    assert np.array_equal(read_id_map(out / "00003.png") == 1, mask > 0)


@pytest.fixture(params=["bi-hs2s", "hs2s-best"])
def two_way(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Weights, untrained and narrow, of a network that reads frames ahead."""
    torch.manual_seed(0)
    config = replace(preset(f"{request.param}/16"), input_size=SIZE)
    path = tmp_path / "two_way.safetensors"
    save_weights(build_model(config), path, {"name": "two-way, untrained"})
    return path


def test_networks_that_read_ahead(clip: Path, two_way: Path, run: Run, tmp_path: Path) -> None:
    """Late objects and the overlay's frames are in their places, in chunks or all at once."""
    frames, masks = list(open_frames(clip / "frames")), tmp_path / "masks"
    masks.mkdir()
    for name in ("10.png", "12.png"):
        shutil.copy(clip / "masks" / name, masks / name)
    prompts = Prompts.from_files(masks, open_frames(clip / "frames"))
    for chunk in (1, 4, 16):
        out, overlay = tmp_path / f"out{chunk}", tmp_path / f"{chunk}.mp4"
        words = ("--weights", two_way, "--chunk", chunk, "--overlay", overlay)
        status, said, err = run("propagate", clip / "frames", masks, out, *words)
        assert status == 0, err
        assert said.startswith(f"2 objects through {FRAMES} frames")
        shown = list(open_frames(overlay))
        assert len(shown) == FRAMES
        for result in propagate(load_model(two_way, device="cpu"), frames, prompts, chunk=chunk):
            found = read_id_map(out / f"{result.index + 10}.png")
            assert np.array_equal(found, result.id_map)
            drawn = draw_masks(frames[result.index], found).astype(float)
            errors = [np.abs(drawn - picture).mean() for picture in shown]
            assert np.argmin(errors) == result.index


def test_networks_that_read_ahead_learn_online(
    clip: Path, two_way: Path, run: Run, tmp_path: Path
) -> None:
    words = ("--weights", two_way, "--chunk", 4, "--online-steps", 1)
    out = tmp_path / "out"
    status, said, err = run("propagate", clip / "frames", clip / "masks", out, *words)
    assert status == 0, err
    assert "adapting to the masks of frame 0: 1 steps" in err
    assert said.startswith(f"2 objects through {FRAMES} frames")


def test_a_source_that_ends_before_its_masks(
    clip: Path, weights: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a damaged video does, whose header promises more frames than it holds."""
    whole = ImageFrames.at

    def at(self: ImageFrames, index: int) -> np.ndarray:
        if index >= 2:
            raise IndexError
        return whole(self, index)

    monkeypatch.setattr(ImageFrames, "at", at)
    out = tmp_path / "out"
    status, _, err = run("propagate", clip / "frames", clip / "masks", out, "--weights", weights)
    assert status == 2
    assert "the clip ended before it" in err
    assert "a mask is given for frame" in err


def test_nothing_is_overwritten_without_a_word(
    clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    words = ("propagate", clip / "frames", clip / "masks", tmp_path / "out", "--weights", weights)
    assert run(*words)[0] == 0
    status, _, err = run(*words)
    assert status == 2
    assert "holds masks already" in err
    assert run(*words, "--overwrite")[0] == 0
    for given in ("frames", "masks"):
        status, _, err = run(*words[:3], clip / given, "--overwrite")
        assert status == 2
        assert "holds what was given" in err


MISTAKES = {
    "no source": ("{tmp}/no.mp4 {clip}/masks", "no such file"),
    "no mask": ("{clip}/frames {tmp}/no.png", "no such mask file"),
    "a mask of another size": ("{clip}/frames {tmp}/small.png", "10 x 20 pixels"),
    "an empty mask": ("{clip}/frames {tmp}/empty.png", "no object in it"),
    "a folder without masks": ("{clip}/frames {tmp}/nothing", "no PNG files"),
    "a mask of no frame": ("{clip}/frames {tmp}/stray", "belongs to no frame"),
    "a frame too late": ("{clip}/frames {clip}/masks/10.png --frame 6", "frames 0 to 5"),
    "an odd overlay": ("{clip}/frames {clip}/masks --overlay {tmp}/o.gif", "a name in .mp4"),
    "no frame ahead": ("{clip}/frames {clip}/masks --chunk 0", "at least 1 frame"),
    "no weights": ("{clip}/frames {clip}/masks --weights {tmp}/no", "no weights file"),
    "no such device": ("{clip}/frames {clip}/masks --device abacus", "unknown device"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_found_before_work(
    name: str, clip: Path, weights: Path, run: Run, tmp_path: Path
) -> None:
    write_id_map(tmp_path / "small.png", np.ones((10, 20), np.uint8))
    write_id_map(tmp_path / "empty.png", np.zeros(SIZE, np.uint8))
    write_id_map(tmp_path / "stray" / "00000.png", np.ones(SIZE, np.uint8))
    (tmp_path / "nothing").mkdir()
    line, said = MISTAKES[name]
    source, masks, *words = line.format(tmp=tmp_path, clip=clip).split()
    out = tmp_path / "out"
    status, _, err = run("propagate", source, masks, out, "--weights", weights, *words)
    assert status == 2
    assert said in err
    assert not out.exists()
