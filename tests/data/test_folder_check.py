"""The validator finds each kind of damage, and nothing in a healthy folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hs2s_core.data.folder_check import check_folder
from hs2s_core.media.masks import write_id_map
from tests.shapes import save_noise

from .builders import davis, plain, rectangles, write_meta, youtube_vos


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("make", [davis, plain])
def test_a_healthy_folder(tmp_path: Path, make: Callable[[Path], Path], deep: bool) -> None:
    assert check_folder(make(tmp_path), deep=deep) == []


def test_every_split_is_checked_and_named(tmp_path: Path) -> None:
    youtube_vos(tmp_path)
    assert check_folder(tmp_path) == []
    shutil.rmtree(tmp_path / "valid/JPEGImages/bbb")
    shutil.rmtree(tmp_path / "train/Annotations/ttt")
    assert [str(problem).split(";")[0] for problem in check_folder(tmp_path)] == [
        f"train/ttt: no annotations in {tmp_path / 'train/Annotations/ttt'}",
        "valid/bbb: listed in meta.json, but has no frames folder",
        "valid/bbb: has annotations, but no frames folder",
    ]


def cut_frame(root: Path) -> None:
    path = root / "JPEGImages/clip/9.jpg"
    path.write_bytes(path.read_bytes()[:20])


def resize_frame(root: Path) -> None:
    Image.new("RGB", (30, 20)).save(root / "JPEGImages/clip/9.jpg")


def resize_mask(root: Path) -> None:
    write_id_map(root / "Annotations/clip/8.png", np.ones((10, 20), np.uint8))


def colour_mask(root: Path) -> None:
    save_noise(root / "Annotations/clip/8.png", (48, 64))


def drop_frames(root: Path) -> None:
    for file in (root / "JPEGImages/clip").iterdir():
        file.unlink()


def empty_masks(root: Path) -> None:
    for file in (root / "Annotations/clip").iterdir():
        write_id_map(file, np.zeros((48, 64), np.uint8))


def masks_as_jpeg(root: Path) -> None:
    for file in list((root / "Annotations/clip").iterdir()):
        Image.open(file).convert("L").save(file.with_suffix(".jpg"))
        file.unlink()


def no_videos(root: Path) -> None:
    shutil.rmtree(root / "JPEGImages/clip")
    shutil.rmtree(root / "Annotations/clip")


@pytest.mark.parametrize(
    ("damage", "deep", "message"),
    [
        (cut_frame, True, "9.jpg: not readable as an image"),
        (resize_frame, True, "frames of different sizes: 64x48 (8.jpg), 30x20 (9.jpg)"),
        (resize_mask, False, "8.png: the id map is 20x10, its frame 64x48"),
        (colour_mask, False, "colours that are not those of object ids"),
        (empty_masks, False, "clip: no object in any of 4 id maps"),
        (drop_frames, False, "no image files in"),
        (masks_as_jpeg, False, "only files that are not PNG"),
        (no_videos, False, "no video folders"),
    ],
)
def test_damage_is_explained(
    tmp_path: Path, damage: Callable[[Path], None], deep: bool, message: str
) -> None:
    damage(plain(tmp_path))
    problems = check_folder(tmp_path, deep=deep)
    assert any(message in str(problem) for problem in problems), problems


def test_objects_may_appear_later(tmp_path: Path) -> None:
    first, *_ = sorted((plain(tmp_path) / "Annotations/clip").iterdir())
    write_id_map(first, np.zeros((48, 64), np.uint8))
    assert check_folder(tmp_path) == []


def test_a_folder_of_something_else_is_one_problem(tmp_path: Path) -> None:
    assert len(check_folder(tmp_path)) == 1
    assert len(check_folder(tmp_path / "nowhere")) == 1


class TestMeta:
    def test_ids_on_both_sides(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path)
        listed = {1: ("person", ["00000"]), 4: ("dog", ["00000"])}
        write_meta(tmp_path / "train/meta.json", {"ttt": listed})
        write_id_map(tmp_path / "train/Annotations/ttt/00005.png", rectangles([1, 9]))
        messages = "\n".join(map(str, check_folder(tmp_path, "train", deep=True)))
        assert "ids 9 of the id maps are not in meta.json (it lists 1, 4)" in messages
        assert "objects 4 of meta.json have no pixel" in messages

    def test_frames_that_are_not_there(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path)
        (tmp_path / "valid/JPEGImages/aaa/00030.jpg").unlink()
        messages = "\n".join(map(str, check_folder(tmp_path, "valid")))
        assert "object 2 on 1 frame without an image (00030)" in messages

    def test_a_video_it_does_not_know(self, tmp_path: Path) -> None:
        youtube_vos(tmp_path)
        write_meta(tmp_path / "valid/meta.json", {"bbb": {1: ("person", ["00000"])}})
        messages = "\n".join(map(str, check_folder(tmp_path, "valid")))
        assert "aaa: not listed in meta.json" in messages
