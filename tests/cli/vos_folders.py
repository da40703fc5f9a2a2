"""Folders of labelled videos in every layout that training reads, small but long enough."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..data.builders import rectangles, write_meta, write_video

TRAINED = {"bear": (8, [1, 2]), "goat": (8, [1])}
"""Video -> frames, ids. Three objects in all."""
HELD = {"owl": (22, [3])}
"""Long, and of a name whose hash holds it out."""
VALIDATED = {"pig": (8, [1])}
"""In the validation split where there is one."""

Videos = Mapping[str, tuple[int, list[int]]]


def make(layout: str, root: Path) -> Path:
    """A folder of ``layout``: ``youtube-vos``, ``davis`` or ``plain``."""
    return {"youtube-vos": _youtube_vos, "davis": _davis, "plain": _plain}[layout](root)


def _youtube_vos(root: Path) -> Path:
    _videos(root / "train", "", {**TRAINED, **HELD})
    _videos(root / "valid", "", VALIDATED, labelled=1)
    for split, videos in (("train", {**TRAINED, **HELD}), ("valid", VALIDATED)):
        listed = {
            name: {number: ("animal", _names(length)) for number in ids}
            for name, (length, ids) in videos.items()
        }
        write_meta(root / split / "meta.json", listed)
    return root


def _davis(root: Path) -> Path:
    _videos(root, "480p", {**TRAINED, **HELD, **VALIDATED})
    for year in ("2016", "2017"):
        (root / "ImageSets" / year).mkdir(parents=True)
        (root / f"ImageSets/{year}/val.txt").write_text("pig\n")
    (root / "ImageSets/2016/train.txt").write_text("bear\n")
    (root / "ImageSets/2017/train.txt").write_text("bear\ngoat\nowl\n")
    return root


def _plain(root: Path) -> Path:
    _videos(root, "", {**TRAINED, **HELD})
    return root


def _names(length: int) -> list[str]:
    return [f"{5 * index:05d}" for index in range(length)]


def _videos(root: Path, below: str, videos: Videos, labelled: int | None = None) -> None:
    for name, (length, ids) in videos.items():
        names = _names(length)
        labels = {frame: rectangles(ids, shift) for shift, frame in enumerate(names[:labelled])}
        write_video(
            root / "JPEGImages" / below / name, root / "Annotations" / below / name, names, labels
        )
