"""Video object segmentation folders as published: YouTube-VOS, DAVIS, and plain ones.

Layouts that ``open_folder`` recognises (``<id map>`` is one palettised PNG per annotated frame):

* ``youtube-vos``: ``{JPEGImages,Annotations}/<video>/`` beside a ``meta.json``, or a root that
  holds such folders as ``train``, ``valid``, ``test`` and their ``*_all_frames`` twins;
* ``davis``: ``{JPEGImages,Annotations}/480p/<video>/`` with ``ImageSets/<year>/<split>.txt``;
* ``plain``: ``JPEGImages/<video>/`` and, where there are labels, ``Annotations/<video>/``.

Videos are listed at once and read one at a time, so that one broken video does not stop the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hs2s_core.data.meta import Meta, read_meta_beside
from hs2s_core.data.splits import read_names, safe_name
from hs2s_core.data.videos import VosFolder
from hs2s_core.errors import InvalidDataset
from hs2s_core.media.images import list_folders, list_images
from hs2s_core.media.masks import list_masks
from hs2s_core.wording import some

_ALL_FRAMES = "_all_frames"
_MASKS = "DIR/<video>/<frame>.png, DIR/Annotations/<video>/<frame>.png or DAVIS's Annotations/480p"
_SPLITS = (
    *("train", "valid", "test"),
    *("train_all_frames", "valid_all_frames", "test_all_frames"),
)
_RESOLUTIONS = ("480p", "1080p", "Full-Resolution")
# Frames per second at which the frames of a layout were sampled.
_FPS = {"youtube-vos": 6.0, "davis": 24.0, "plain": 24.0}
_FPS_ALL_FRAMES = 30.0


def check_root(
    root: Path, kind: str = "folder", advice: str = "give the root of a VOS dataset."
) -> None:
    """Raise InvalidDataset where there is no folder, as a zip is none."""
    if not root.is_dir():
        found = "a file, to unpack if it is a zip" if root.is_file() else f"no such {kind}"
        raise InvalidDataset(f"{root}: {found}; {advice}")


def open_folder(root: str | Path, split: str | None = None) -> VosFolder:
    """Recognise the layout of ``root`` and list its videos; contents are not looked at.

    ``split`` is ``train``, ``valid``, ... for YouTube-VOS; for DAVIS a list of ``ImageSets`` such
    as ``val`` (2017 before 2016) or ``2016/val``, ``None`` meaning every video there is. Raises
    ``InvalidDataset`` saying what was found, what was expected and what to do.
    """
    root = Path(root).expanduser().absolute()
    check_root(root)
    splits = list_splits(root)
    images = root / "JPEGImages"
    if not images.is_dir():
        split = splits[0] if split is None and len(splits) == 1 else split
        if split is not None:
            split_root = root / safe_name(split, "split")
            if (split_root / "JPEGImages").is_dir():
                return _open_youtube_vos(split_root, split)
        raise InvalidDataset(_layout_problem(root, split, splits))
    if (frames := _davis_folder(images)) is not None:
        images, labels = frames, root / "Annotations" / frames.name
        names = _video_folders(images) if split is None else _davis_names(root, split, splits)
        return VosFolder(root, "davis", images, labels, names, _FPS["davis"], split)
    if split not in (None, root.name):
        raise InvalidDataset(
            f"{root}: has no split '{split}', it is a single set of videos; leave the split out."
        )
    if (root / "meta.json").is_file() or root.name in _split_folders(root.parent):
        return _open_youtube_vos(root, root.name)
    labels = root / "Annotations"
    return VosFolder(root, "plain", images, labels, _video_folders(images), _FPS["plain"])


def list_splits(root: str | Path) -> list[str]:
    """Splits that ``open_folder`` accepts for ``root``; empty where there is only one set."""
    root = Path(root).expanduser().absolute()
    if (root / "JPEGImages").is_dir():
        lists = (root / "ImageSets").glob("*/*.txt")
        return sorted(f"{file.parent.name}/{file.stem}" for file in lists)
    return list(_split_folders(root))


def training_split(root: str | Path) -> str | None:
    """The split of ``root`` that is meant for training; ``None`` where there is only one set.

    That is ``train`` of YouTube-VOS and ``2017/train`` of DAVIS (another year's if there is no
    2017). Raises ``InvalidDataset`` if there are splits and none of them is one to train on:
    nobody should train on validation videos unawares.
    """
    root = Path(root).expanduser().absolute()
    images = root / "JPEGImages"
    splits = list_splits(root)
    if not splits or (images.is_dir() and _davis_folder(images) is None):
        return None
    found = [name for name in splits if name.split("/")[-1] == "train"]
    if not found:
        raise InvalidDataset(
            f"{root}: has no training split; found {some(splits)}. "
            "Name the one to train on (--split)."
        )
    return _latest(found)


def find_annotations(root: str | Path, kind: str = "annotation") -> dict[str, Path]:
    """Folders of id maps by video name, in natural order.

    ``root`` holds them itself, or in ``Annotations``, or there in a resolution of DAVIS such as
    ``480p``; ``kind`` names them in errors. Raises InvalidDataset if there is no video.
    """
    base = annotation_root(Path(root).expanduser(), kind)
    folders = {entry.name: entry for entry in list_folders(base) if list_masks(entry)}
    if not folders:
        splits = [name for name in _SPLITS if (Path(root) / name / "Annotations").is_dir()]
        raise InvalidDataset(
            f"{root}: holds the splits {some(splits)}; give one of these folders."
            if splits
            else f"{root}: no {kind} videos found; expected {_MASKS}."
        )
    return folders


def annotation_root(root: Path, kind: str = "annotation") -> Path:
    """The folder whose folders are videos, see :func:`find_annotations`."""
    check_root(root, f"{kind} folder", f"expected {_MASKS}.")
    base = root / "Annotations" if (root / "Annotations").is_dir() else root
    return _davis_folder(base) or base


def _open_youtube_vos(root: Path, split: str) -> VosFolder:
    """One split; a ``*_all_frames`` twin borrows the labels of its 6 fps split if it has none."""
    base = root.with_name(root.name.removesuffix(_ALL_FRAMES))
    meta = next((found for found in map(read_meta_beside, (root, base)) if found.videos), Meta())
    known = split in _SPLITS
    train = meta if split.startswith("train") else read_meta_beside(root.with_name("train"))
    return VosFolder(
        root=root,
        layout="youtube-vos",
        split=split if known else None,
        images=root / "JPEGImages",
        annotations=(root if (root / "Annotations").is_dir() else base) / "Annotations",
        names=_video_folders(root / "JPEGImages"),
        fps=_FPS_ALL_FRAMES if root.name.endswith(_ALL_FRAMES) else _FPS["youtube-vos"],
        seen_categories=train.categories() if known and train.videos else None,
        meta=meta,
    )


def _davis_names(root: Path, split: str, splits: Sequence[str]) -> tuple[str, ...]:
    """Videos of an ``ImageSets`` list."""
    matches = [name for name in splits if split in (name, name.split("/", 1)[1])]
    if not matches:
        raise InvalidDataset(
            f"{root}: no list '{split}' in ImageSets; found {some(splits)}. "
            "Choose one of these, or leave the split out for every video."
        )
    return read_names(root / "ImageSets" / f"{_latest(matches)}.txt")


def _latest(names: Sequence[str]) -> str:
    """Of lists of one name the latest year's: 2017 before 2016, both before 480p."""
    years = [name for name in names if name.startswith("20")]
    return max(years or names)


def _split_folders(root: Path) -> tuple[str, ...]:
    return tuple(name for name in _SPLITS if (root / name / "JPEGImages").is_dir())


def _davis_folder(base: Path) -> Path | None:
    """The folder of a resolution, with folders alone, in one of DAVIS; the smallest first."""
    inner = (base / name for name in _RESOLUTIONS)
    found = (f for f in inner if f.is_dir() and _video_folders(f) and not list_images(f))
    return next(found, None)


def _video_folders(images: Path) -> tuple[str, ...]:
    return tuple(entry.name for entry in list_folders(images))


def _layout_problem(root: Path, split: str | None, splits: Sequence[str]) -> str:
    """What a root without ``JPEGImages`` might be, and what to give instead."""
    if splits and split is not None:
        return f"{root}: no split '{split}'; found {some(splits)}. Choose one of these."
    if splits:
        return f"{root}: holds the splits {some(splits)}; say which one to open (split=...)."
    if root.name == "JPEGImages" or root.parent.name == "JPEGImages":
        return f"{root}: is the frames folder of a dataset; give the folder that holds JPEGImages."
    folders = [entry for entry in sorted(root.iterdir()) if entry.is_dir()]
    inner = [entry.name for entry in folders if (entry / "JPEGImages").is_dir()]
    if inner:
        return f"{root}: the dataset lies one folder deeper; give {root / inner[0]}."
    return (
        f"{root}: no JPEGImages folder (found {some(entry.name for entry in folders)}); expected "
        "YouTube-VOS (train, valid or test with JPEGImages, Annotations, meta.json), DAVIS "
        "(JPEGImages/480p, Annotations/480p, ImageSets) or JPEGImages/<video> with "
        "Annotations/<video>."
    )
