"""The strip of a field's masks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import pytest

from hs2s_core.errors import HS2SError
from hs2s_core.media.overlay import object_colour
from hs2s_fiftyone import show_field

from .helpers import SIZE, detection, square, video_sample, write_noise


def test_masks_are_shown_in_their_frames(
    dataset: fo.Dataset, make_video: Callable[..., str]
) -> None:
    labels = {
        1: fo.Detections(detections=[detection(square(5, 5), label="a", index=3)]),
        5: fo.Detections(detections=[detection(square(40, 60), label="b", index=2)]),
    }
    dataset.add_sample(video_sample(make_video(), labels))
    strip = show_field(dataset.first(), "frames.truth", count=2, height=SIZE[0])
    assert strip.pixels.shape[1] == 2 * SIZE[1] + 3 * 6  # two frames, and the gaps
    left, right = strip.pixels[:, : 6 + SIZE[1]], strip.pixels[:, 12 + SIZE[1] :]
    first, last = object_colour(3), object_colour(2)
    assert (left == first).all(-1).any()
    assert (right == last).all(-1).any()
    assert not (left == last).all(-1).any()
    with pytest.raises(HS2SError, match="expected one of truth"):
        show_field(dataset.first(), "hs2s")
    with pytest.raises(HS2SError, match=r"expected a video sample, such as dataset.first\(\)"):
        show_field(dataset, "truth")  # type: ignore[arg-type]


def test_odd_indexes_and_a_video_cut_short_are_shown(dataset: fo.Dataset, tmp_path: Path) -> None:
    path = write_noise(tmp_path / "long.avi", frames=12)
    whole = Path(path).read_bytes()
    (tmp_path / "short.avi").write_bytes(whole[: len(whole) // 2])
    marks: list[dict[str, Any]] = [{"index": -3}, {"index": 70_000}, {"instance": fo.Instance()}]
    labels = [detection(square(4, 24 * place), **mark) for place, mark in enumerate(marks)]
    frames = {1: fo.Detections(detections=labels)}
    dataset.add_sample(video_sample(str(tmp_path / "short.avi"), frames))
    strip = show_field(dataset.first(), "truth", count=2, height=SIZE[0])
    assert all((strip.pixels == object_colour(each)).all(-1).any() for each in (1, 2, 3))
