"""Clips drawn from labelled videos: ours, and by the authors' recipe."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hs2s_core.data.clips import ClipSet, FolderVideo
from hs2s_core.errors import InvalidConfig, InvalidDataset
from hs2s_core.training.config import DataConfig, FolderConfig, Stage
from hs2s_core.training.sources import clip_source, count_objects, folder_videos

SIZE = (72, 96)


def write(root: Path, name: str, ids: list[list[int]]) -> None:
    """A video whose frame t is of grey 20 + 10 t, with a block for each of its ids."""
    for kind in ("JPEGImages", "Annotations"):
        (root / kind / name).mkdir(parents=True)
    for t, present in enumerate(ids):
        id_map = np.zeros(SIZE, np.uint8)
        for object_id in present:
            id_map[20:50, 12 * object_id : 12 * object_id + 10] = object_id
        grey = np.full((*SIZE, 3), 20 + 10 * t, np.uint8)
        Image.fromarray(grey).save(root / f"JPEGImages/{name}/{t:05d}.jpg", quality=100)
        Image.fromarray(id_map).save(root / f"Annotations/{name}/{t:05d}.png")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``many`` with objects 1 to 4, ``one`` with object 1 and later 2, ``none`` without any."""
    write(tmp_path, "many", [[1, 2, 3, 4]] * 9)
    write(tmp_path, "one", [[], [1], [1], [1, 2], [1, 2]])
    write(tmp_path, "none", [[], [], []])
    return tmp_path


def list_objects(root: Path, videos: dict[str, dict[int, list[int]]]) -> None:
    """A meta.json: video -> object -> numbers of its frames."""
    content = {
        name: {
            "objects": {
                str(number): {"category": "x", "frames": [f"{t:05d}" for t in frames]}
                for number, frames in objects.items()
            }
        }
        for name, objects in videos.items()
    }
    (root / "meta.json").write_text(json.dumps({"videos": content}))


def draw(root: Path, number: int, length: int = 3) -> list[tuple[list[int], set[int]]]:
    """Of each clip: its frames, by their grey, and its ids."""
    source = clip_source(DataConfig(folders=(FolderConfig(root),), augmentation="paper"))
    rng = np.random.default_rng(0)
    found = []
    for _ in range(number):
        clip = source.draw(rng, SIZE, length)
        times = [round((np.median(frame) - 20) / 10) for frame in clip.frames]
        found.append((times, {int(i) for i in np.unique(clip.id_maps) if i}))
    return found


def test_the_papers_clips_are_consecutive_frames_of_one_object(folder: Path) -> None:
    """Forwards, at stride 1, in the colours as they are."""
    for times, ids in draw(folder, 60):
        assert times == list(range(times[0], times[0] + 3))
        assert len(ids) <= 1
    starts = {times[0] for times, _ in draw(folder, 200)}
    assert starts == set(range(7))


def test_our_clips_vary_more(folder: Path) -> None:
    source = clip_source(DataConfig(folders=(FolderConfig(folder),)))
    rng = np.random.default_rng(0)
    steps = set()
    for _ in range(80):
        clip = source.draw(rng, SIZE, 3)
        steps.add(float(np.sign(np.median(clip.frames[2]) - np.median(clip.frames[0]))))
    assert steps >= {-1.0, 1.0}


def test_each_object_counts_as_much(folder: Path) -> None:
    """Five objects in two videos: the video of four is drawn four times as often."""
    assert count_objects(FolderConfig(folder)) == (5, 9)
    seen = Counter(tuple(ids) for _, ids in draw(folder, 500) if ids)
    assert set(seen) == {(1,), (2,), (3,), (4,)}  # object 2 of ``one`` is drawn where it is shown
    assert seen[(1,)] / sum(seen.values()) == pytest.approx(2 / 5, abs=0.08)


def test_meta_lists_what_is_drawn(folder: Path) -> None:
    """An object in its own frames alone; lists of one labelled frame are left out."""
    list_objects(folder, {"many": {2: [3, 4, 5, 6], 3: [8]}, "one": {1: [1, 2, 3]}})
    assert count_objects(FolderConfig(folder)) == (2, 4)
    many, one = (
        FolderVideo(video) for video in folder_videos(FolderConfig(folder, names=("many", "one")))
    )
    assert many.listed == {2: (3, 4, 5, 6)}
    assert one.listed == {1: (1, 2, 3)}
    clips = draw(folder, 200)
    assert {(times[0], *ids) for times, ids in clips if ids} == {(3, 2), (4, 2), (1, 1)}
    # Longer clips are of those who have as many frames; if nobody has, they are shorter.
    assert {(len(times), *ids) for times, ids in draw(folder, 50, length=4) if ids} == {(4, 2)}
    assert {len(times) for times, _ in draw(folder, 50, length=9)} == {3, 4}


def test_no_object_to_train_on(folder: Path) -> None:
    empty = FolderConfig(folder, names=("none",))
    assert count_objects(empty) == (0, 0)
    with pytest.raises(InvalidDataset, match="no mask of its 1 video shows an object"):
        clip_source(DataConfig(folders=(empty,), augmentation="paper"))
    videos = [FolderVideo(video) for video in folder_videos(empty)]
    with pytest.raises(InvalidDataset, match="has an object in two labelled frames"):
        ClipSet(videos, [0.0], "paper")  # its share, by objects


def test_clips_longer_than_every_video_are_refused(folder: Path) -> None:
    """With stills beside them too: those videos would never be drawn."""
    data = DataConfig(folders=(FolderConfig(folder),))
    stages = [Stage(steps=1, size=SIZE, frames=frames, clips=1) for frames in (9, 10)]
    clip_source(data, stages=stages[:1])
    with pytest.raises(InvalidConfig, match=r"stage 2: clips of 10 frames, .* more than 9"):
        clip_source(data, stages=stages)


def test_other_videos_need_no_list(folder: Path) -> None:
    """Videos of a FiftyOne view know no meta.json: an object of the first frame is taken."""

    class Made:
        name = "made"

        def __len__(self) -> int:
            return 4

        def frame(self, index: int) -> np.ndarray:
            return np.full((*SIZE, 3), 90, np.uint8)

        def id_map(self, index: int) -> np.ndarray:
            id_map = np.zeros(SIZE, np.uint16)
            id_map[30:50, 30:40], id_map[30:50, 60:80] = 3, 300 if index else 7
            return id_map

    clips = ClipSet([Made()], augmentation="paper")
    rng = np.random.default_rng(1)
    ids = [set(np.unique(clips.draw(rng, SIZE, 2).id_maps)) - {0} for _ in range(20)]
    assert {tuple(found) for found in ids} <= {(3,), (7,), ()}
    assert (3,) in {tuple(found) for found in ids}
