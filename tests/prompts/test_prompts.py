"""Prompts: what they refuse, what they keep, and how files become prompts."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from hs2s_core.errors import HS2SError, InvalidMask
from hs2s_core.media.encode import VideoWriter
from hs2s_core.media.frames import open_frames
from hs2s_core.media.masks import write_id_map
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.prompts.hints import Hint
from tests.shapes import square

SIZE = (20, 30)
box = partial(square, side=6, size=SIZE)


@given(arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40))).filter(np.any))
def test_a_mask_comes_back_as_it_was_given(mask: npt.NDArray[np.bool_]) -> None:
    assert np.array_equal(Prompt(0, 1, mask).mask, mask)


def test_every_mask_of_an_object_counts_unless_only_the_first_is_asked_for() -> None:
    each = [Prompt(5, 1, box(0, 0)), Prompt(2, 1, box(3, 3)), Prompt(5, 2, box(9, 9))]
    prompts = Prompts(each)
    assert list(prompts) == [2, 5]
    assert list(prompts[5]) == [1, 2]
    assert prompts.object_ids == (1, 2)
    assert prompts.key_frames(1) == (2, 5)
    first = Prompts(each, policy="first")
    assert (first.key_frames(1), first.key_frames(2)) == ((2,), (5,))


def test_a_plain_mapping_is_read_as_prompts() -> None:
    prompts = Prompts.of({3: {7: box(1, 1)}, 1: {}})
    assert list(prompts) == [3]
    assert np.array_equal(prompts[3][7], box(1, 1))
    assert Prompts.of(prompts) is prompts


def test_changes_leave_the_original_alone() -> None:
    prompts = Prompts.of({0: {1: box(0, 0)}})
    more = prompts.put(Prompt(4, 2, box(5, 5))).put(Prompt(0, 1, box(8, 8)))
    assert np.array_equal(more[0][1], box(8, 8))
    assert np.array_equal(prompts[0][1], box(0, 0))
    assert list(more.drop(0, 1)) == [4]
    assert list(more.drop(7, 1)) == [0, 4]


@pytest.mark.parametrize(
    ("frame", "object_id", "mask", "message"),
    [
        (0, 0, box(0, 0), "object id 0"),
        (0, 65536, box(0, 0), "65536"),
        (0, 1.5, box(0, 0), "whole number"),
        (0, True, box(0, 0), "object id True"),
        (True, 1, box(0, 0), "frame True"),
        (-1, 1, box(0, 0), "frame -1"),
        (0, 1, np.zeros(SIZE, bool), "object 1 in frame 0: the mask is empty"),
        (0, 1, np.full(SIZE, 0.3), "soft mask"),
        (0, 1, np.ones((20, 30, 3)), "shape"),
    ],
)
def test_bad_prompts_are_refused_when_they_are_made(
    frame: int, object_id: int, mask: npt.NDArray[np.generic], message: str
) -> None:
    with pytest.raises(HS2SError, match=message):
        Prompt(frame, object_id, mask)


def test_two_prompts_for_one_object_in_one_frame_are_refused() -> None:
    for policy in ("all", "first"):
        with pytest.raises(HS2SError, match="object 3 in frame 1: two prompts"):
            Prompts([Prompt(1, 3, box(0, 0)), Prompt(1, 3, box(5, 5))], policy=policy)
    with pytest.raises(HS2SError, match="policy"):
        Prompts(policy="last")


def test_prompts_must_fit_the_clip() -> None:
    prompts = Prompts.of({4: {1: box(0, 0)}})
    assert prompts.check(SIZE, 5) is prompts
    with pytest.raises(HS2SError, match=r"frames \[4\].* 4 frames"):
        prompts.check(SIZE, 4)
    with pytest.raises(InvalidMask, match="transpose"):
        prompts.check(SIZE[::-1], None)
    with pytest.raises(HS2SError, match="no prompt"):
        Prompts().check(SIZE, 5)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Eight frames called 00000.png and so on."""
    (tmp_path / "clip").mkdir()
    for index in range(8):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / f"clip/{index:05d}.png")
    return tmp_path / "clip"


def test_a_mask_named_after_a_frame_belongs_to_it(clip: Path, tmp_path: Path) -> None:
    frames = open_frames(clip)
    for name in ("00005.png", "mask.png"):
        write_id_map(tmp_path / name, box(2, 2))
    assert list(Prompts.from_files(tmp_path / "00005.png", frames)) == [5]
    assert list(Prompts.from_files(tmp_path / "00005.png", frames, frame=0)) == [0]
    assert list(Prompts.from_files(tmp_path / "mask.png", frames)) == [0]


def test_a_number_names_a_frame_whatever_its_zeros(clip: Path, tmp_path: Path) -> None:
    for name in ("5.png", "99.png"):
        write_id_map(tmp_path / "masks" / name, box(2, 2))
    assert list(Prompts.from_files(tmp_path / "masks/5.png", open_frames(clip))) == [5]
    with pytest.raises(InvalidMask, match=r"99\.png: named after a frame .* such as 00000, "):
        Prompts.from_files(tmp_path / "masks/99.png", open_frames(clip))
    with pytest.raises(InvalidMask, match=r"99\.png: belongs to no frame"):
        Prompts.from_files(tmp_path / "masks", open_frames(clip))
    (clip / "00005.png").rename(clip / "05.png")
    (clip / "00006.png").rename(clip / "005.png")  # which of them is meant?
    with pytest.raises(InvalidMask, match=r"5\.png: named after a frame"):
        Prompts.from_files(tmp_path / "masks/5.png", open_frames(clip))


FIRST = "frame 0, as nothing says otherwise"
NAMES: dict[str, dict[str, int | str]] = {
    "{:05d}": {
        **{"00005_mask": 5, "mask_005": 5, "frame_5": 5, "frame-0005": 5, "f05": 5, "0005 (1)": 5},
        **{"cam2_0005_x1": 5, "clip_05": 5, "00000_mask": 0, "frame_0": 0},
        **{"frame_99": "(99)", "00098_mask": "(00098)"},
        **dict.fromkeys(("mask", "object1", "person_2", "take2", "clip_12", "640x480"), FIRST),
        **dict.fromkeys(("mask 2024-05-01", "movie-2024"), FIRST),
    },
    "frame_{:03d}": {
        "frame_005": 5,
        "clip3_frame_005": 5,
        "frame_5": "(5)",
        "00005_mask": "(00005)",
    },
    "cam2_{:04d}_x1": {"cam2_0005_x1": 5, "cam2_0005_x1_mask": 5, "cam1_0005_x1": "(0005)"},
    "": {
        "00005": 5,
        "frame_005": "(005)",
        "00005_mask": "(00005)",
        "mask_12": FIRST,
        "hand": FIRST,
    },
}
"""Names of frames ("": a video) -> name of a mask -> its frame, or the number that is doubted."""


@pytest.mark.parametrize(
    ("pattern", "name"), [(pattern, name) for pattern, known in NAMES.items() for name in known]
)
def test_a_mask_is_never_taken_for_another_frame_than_it_is_called(
    pattern: str, name: str, tmp_path: Path
) -> None:
    """Whether numbers in a video's frames were counted from 0 or 1, their names do not say."""
    expected = NAMES[pattern][name]
    if pattern:
        for index in range(8):
            picture = Image.fromarray(np.zeros((*SIZE, 3), np.uint8))
            picture.save(tmp_path / f"{pattern.format(index)}.jpg")
        frames = open_frames(tmp_path)
    else:
        with VideoWriter(tmp_path / "clip.mp4", SIZE, 10) as video:
            for _ in range(8):
                video.write(np.zeros((*SIZE, 3), np.uint8))
        frames = open_frames(tmp_path / "clip.mp4")
    mask = tmp_path / "masks" / f"{name}.png"
    write_id_map(mask, box(2, 2))
    if isinstance(expected, int) or expected is FIRST:
        assert list(Prompts.from_files(mask, frames)) == [0 if expected is FIRST else expected]
    else:
        with pytest.raises(InvalidMask, match=rf"tells a number {re.escape(expected)}.*--frame N"):
            Prompts.from_files(mask, frames)
        assert list(Prompts.from_files(mask, frames, frame=3)) == [3]


def test_the_number_of_a_video_is_none_of_its_frames(tmp_path: Path) -> None:
    for name in ("take_02", "00004", "00000"):
        with VideoWriter(tmp_path / f"{name}.mp4", SIZE, 10) as video:
            for _ in range(8):
                video.write(np.zeros((*SIZE, 3), np.uint8))
        write_id_map(tmp_path / f"{name}.png", box(2, 2))
    for name in ("take_02", "00000"):
        frames = open_frames(tmp_path / f"{name}.mp4")
        assert list(Prompts.from_files(tmp_path / f"{name}.png", frames)) == [0]
    with pytest.raises(InvalidMask, match=r"tells a number \(00004\), but not surely"):
        Prompts.from_files(tmp_path / "00004.png", open_frames(tmp_path / "00004.mp4"))
    write_id_map(tmp_path / "take_02_003.png", box(2, 2))
    with pytest.raises(InvalidMask, match=r"tells a number \(003\)"):
        Prompts.from_files(tmp_path / "take_02_003.png", open_frames(tmp_path / "take_02.mp4"))


def test_a_folder_gives_every_mask_in_it(clip: Path, tmp_path: Path) -> None:
    folder, frames = tmp_path / "masks", open_frames(clip)
    for index in (1, 6):
        write_id_map(folder / f"{index:05d}.png", box(index, index) * np.uint8(4))
    assert Prompts.from_files(folder, frames).key_frames(4) == (1, 6)
    assert Prompts.from_files(folder, frames, policy="first").key_frames(4) == (1,)
    with pytest.raises(InvalidMask, match="leave the frame out"):
        Prompts.from_files(folder, frames, frame=3)


def test_masks_say_where_they_come_from() -> None:
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[2:6, 3:8] = 255
    given = [
        Prompt(0, 1, np.ones(SIZE, bool)),
        Prompt.pointed(0, 2, picture, Hint((3, 2, 8, 6))),
        Prompt.pointed(0, 3, picture, Hint(None, ((4, 4),))),
        Prompt.mended(0, 4, picture, np.ones(SIZE, bool), Hint(None, (), ((4, 4),))),
    ]
    origins = {1: "mask", 2: "box", 3: "points", 4: "mended"}
    assert Prompts(given).origins(0) == origins
    assert Prompts(given).origins(1) == {}
    assert Prompts(given).put(given[1]).drop(0, 1).origins(0) == {
        2: "box",
        3: "points",
        4: "mended",
    }
    with pytest.raises(HS2SError, match="object 2 in frame 0: the box"):
        Prompt.pointed(0, 2, picture, Hint((3, 2, 800, 6)))
    with pytest.raises(HS2SError, match="origin is 'brush'"):
        Prompt(0, 1, np.ones(SIZE, bool), origin="brush")
