"""Small VOS folders in every layout, made of noise and rectangles."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from hs2s_core.media.masks import write_id_map

SIZE = (48, 64)
"""(H, W) unless a test asks for another."""

IdMap = npt.NDArray[np.uint8]


def rectangles(ids: Sequence[int], shift: int = 0, size: tuple[int, int] = SIZE) -> IdMap:
    """An id map with one rectangle per id, moved to the right by ``shift`` pixels."""
    id_map = np.zeros(size, dtype=np.uint8)
    for place, object_id in enumerate(ids):
        top, left = 4 + 9 * place, 3 + 5 * place + shift
        id_map[top : top + 8, left : left + 11] = object_id
        id_map[top, left] = 0  # not convex, so that a box alone would not do
    return id_map


def write_video(
    images: Path,
    annotations: Path | None,
    names: Sequence[str],
    labels: Mapping[str, IdMap],
    size: tuple[int, int] = SIZE,
) -> None:
    """Frames ``names`` of noise and the id maps of those that have ``labels``."""
    images.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(len(names))
    for name in names:
        low = noise.integers(0, 255, (size[0] // 8 + 1, size[1] // 8 + 1, 3), dtype=np.uint8)
        picture = Image.fromarray(low).resize(size[::-1], Image.Resampling.BICUBIC)
        picture.save(images / f"{name}.jpg", quality=95)
    for name, id_map in labels.items():
        assert annotations is not None
        write_id_map(annotations / f"{name}.png", id_map)


def write_meta(path: Path, videos: Mapping[str, Mapping[int, tuple[str, Sequence[str]]]]) -> None:
    """A ``meta.json``: video -> object id -> (category, frames)."""
    content = {
        video: {
            "objects": {
                str(object_id): {"category": category, "frames": list(frames)}
                for object_id, (category, frames) in objects.items()
            }
        }
        for video, objects in videos.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"videos": content}), encoding="utf-8")


def youtube_vos(root: Path) -> Path:
    """``train`` with one video and ``valid`` with two.

    ``valid/aaa`` starts at frame 00005 in steps of 5; object 2 is there from the first frame,
    object 7 (ids are not contiguous) enters at the third, and no other frame is annotated.
    ``valid/bbb`` is annotated throughout, on its second frame without any object.
    """
    train = ["00000", "00005"]
    labels = {name: rectangles([1], shift) for shift, name in enumerate(train)}
    folder = root / "train"
    write_video(folder / "JPEGImages/ttt", folder / "Annotations/ttt", train, labels)
    write_meta(folder / "meta.json", {"ttt": {1: ("person", train)}})

    folder = root / "valid"
    names = [f"{5 * step:05d}" for step in range(1, 7)]
    first = {names[0]: rectangles([2]), names[2]: rectangles([2, 7], 2)}
    write_video(folder / "JPEGImages/aaa", folder / "Annotations/aaa", names, first)
    dense = {
        "00000": rectangles([1]),
        "00005": np.zeros(SIZE, np.uint8),
        "00010": rectangles([1], 9),
    }
    write_video(folder / "JPEGImages/bbb", folder / "Annotations/bbb", list(dense), dense)
    meta = {
        "aaa": {2: ("person", names), 7: ("nilgai", names)},
        "bbb": {1: ("person", list(dense))},
    }
    write_meta(folder / "meta.json", meta)
    return root


def davis(root: Path) -> Path:
    """Two videos at 480p, of which ``ImageSets/2017/val.txt`` lists ``dogs``."""
    for video, ids in (("bear", [1]), ("dogs", [1, 2, 3])):
        names = [f"{index:05d}" for index in range(4)]
        labels = {name: rectangles(ids, shift) for shift, name in enumerate(names)}
        write_video(
            root / "JPEGImages/480p" / video, root / "Annotations/480p" / video, names, labels
        )
    for name, lines in {
        "2017/train.txt": "bear\n",
        "2017/val.txt": "dogs\n",
        "2016/val.txt": "bear\n",
        "480p/val.txt": "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png\n",
    }.items():
        path = root / "ImageSets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(lines, encoding="utf-8")
    return root


def plain(root: Path, size: tuple[int, int] = SIZE, frames: int = 4) -> Path:
    """One video ``clip`` without leading zeros in its frame names, all frames annotated."""
    names = [str(index) for index in range(8, 8 + frames)]
    labels = {name: rectangles([1, 2], shift, size) for shift, name in enumerate(names)}
    write_video(root / "JPEGImages/clip", root / "Annotations/clip", names, labels, size)
    return root
