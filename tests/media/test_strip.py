"""The strip of overlays: which frames it shows, at which size, and what a notebook gets."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from hs2s_core import HS2SError, open_frames, overlay_strip
from hs2s_core.media.masks import IdMap
from hs2s_core.media.overlay import object_colour
from hs2s_core.media.source import FrameSource


@dataclass
class Result:
    index: int
    id_map: IdMap


@pytest.fixture
def clip(tmp_path) -> FrameSource:
    for number in range(9):
        Image.new("RGB", (40, 20), (10 * number,) * 3).save(tmp_path / f"{number}.png")
    return open_frames(tmp_path)


def results(count: int) -> list[Result]:
    id_map = np.zeros((20, 40), np.uint8)
    id_map[5:15, 10:30] = 2
    return [Result(index, id_map) for index in range(count)]


def test_first_and_last_are_shown_evenly_spaced(clip: FrameSource) -> None:
    strip = overlay_strip(clip, results(9), count=3, height=20)
    greys = {tuple(pixel) for pixel in strip.pixels.reshape(-1, 3).tolist()}
    assert {(0, 0, 0), (40, 40, 40), (80, 80, 80)} <= greys  # frames 0, 4 and 8
    assert (20, 20, 20) not in greys
    assert object_colour(2) in greys  # the outlines


def test_fewer_results_than_pictures(clip: FrameSource) -> None:
    two = overlay_strip(clip, results(2), count=6, height=40)
    assert two.pixels.shape[1] == 2 * 80 + 3 * 6  # twice as large, and the gaps


def test_notebooks_get_a_small_picture(clip: FrameSource, tmp_path) -> None:
    strip = overlay_strip(clip, results(3))
    shown = np.asarray(Image.open(io.BytesIO(strip._repr_jpeg_())).convert("RGB"))
    assert np.abs(shown.astype(int) - strip.pixels).mean() < 4
    assert str(strip.pixels.shape[1]) in repr(strip)
    strip.save(tmp_path / "strip.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "strip.png")), strip.pixels)


@pytest.mark.parametrize(("found", "count"), [(0, 6), (3, 0)])
def test_nothing_to_draw_is_said(clip: FrameSource, found: int, count: int) -> None:
    with pytest.raises(HS2SError, match=f"{found} results, count={count}"):
        overlay_strip(clip, results(found), count=count)
