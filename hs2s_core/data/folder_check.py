"""What is wrong with a VOS folder, in words: run before a training or an import of hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hs2s_core.data.folders import list_splits, open_folder
from hs2s_core.data.videos import VosFolder, VosVideo
from hs2s_core.errors import HS2SError
from hs2s_core.media.images import image_size, list_folders
from hs2s_core.media.masks import object_ids, read_id_map
from hs2s_core.wording import counted, pixels, some


@dataclass(frozen=True)
class FolderProblem:
    """One finding; ``str()`` gives the line to show."""

    split: str | None
    video: str | None
    """``None`` where the whole folder is concerned."""
    message: str
    """What was found, what was expected, what to do."""

    def __str__(self) -> str:
        place = "/".join(part for part in (self.split, self.video) if part)
        return f"{place}: {self.message}" if place else self.message


def check_folder(
    root: str | Path, split: str | None = None, *, deep: bool = False
) -> list[FolderProblem]:
    """Look for everything that would make reading ``root`` fail or silently lose labels.

    Without ``split`` every split of a YouTube-VOS root is checked. The quick check lists files and
    reads image headers of first frames and of each video id maps up to one with an object; ``deep``
    reads every header and every id map (about 5 ms a frame). Never raises for what it finds; an
    empty list means nothing was found.
    """
    root = Path(root).expanduser().absolute()
    splits: list[str | None] = [split]
    if split is None and not (root / "JPEGImages").is_dir() and root.is_dir():
        splits = [*list_splits(root)] or [None]
    return [
        FolderProblem(name if len(splits) > 1 else None, video, message)
        for name in splits
        for video, message in _check_split(root, name, deep)
    ]


def _check_split(root: Path, split: str | None, deep: bool) -> Iterator[tuple[str | None, str]]:
    try:
        folder = open_folder(root, split)
    except HS2SError as error:
        yield None, str(error)
        return
    if not folder.names:
        yield None, f"{folder.images}: no video folders; expected one folder of frames per video."
    for name in sorted(folder.meta.videos.keys() - set(folder.names)):
        yield name, "listed in meta.json, but has no frames folder; unpack the missing part."
    if folder.annotations.is_dir():
        labelled = {entry.name for entry in list_folders(folder.annotations)}
        frames = {entry.name for entry in list_folders(folder.images)}
        for name in sorted(labelled - frames):
            yield name, "has annotations, but no frames folder; unpack the missing part."
    for name in folder.names:
        for message in _check_video(folder, name, deep):
            yield name, message


def _check_video(folder: VosFolder, name: str, deep: bool) -> Iterator[str]:
    try:
        video = folder.video(name)
    except HS2SError as error:
        yield str(error).removeprefix(f"video '{name}': ")
        return
    if folder.meta.videos and name not in folder.meta.videos:
        yield "not listed in meta.json, so its objects have no categories."
    if not video.annotations:
        images = folder.annotations / name
        extra = (
            " (only files that are not PNG)" if images.is_dir() and any(images.iterdir()) else ""
        )
        yield f"no annotations in {images}{extra}; nothing to start from or to train on."
    elif not any(map(_may_show, video.annotations.values())):
        yield (
            f"no object in any of {counted(len(video.annotations), 'id map')}; nothing to start "
            "from or to train on."
        )
    yield from _check_objects(video)
    yield from _check_files(video, deep)


def _may_show(path: Path) -> bool:
    """Whether an id map shows an object, as far as it can be read."""
    try:
        return bool(read_id_map(path).any())
    except HS2SError:
        return True


def _check_objects(video: VosVideo) -> Iterator[str]:
    stems = set(video.frame_names)
    for object_id, info in video.objects.items():
        missing = [stem for stem in info.frames or () if stem not in stems]
        if missing:
            yield (
                f"meta.json lists object {object_id} on {counted(len(missing), 'frame')} without "
                f"an image ({some(missing)}); unpack the missing part."
            )


def _check_files(video: VosVideo, deep: bool) -> Iterator[str]:
    """Sizes of frames and id maps, ids against ``meta.json``, files that cannot be read."""
    sizes: dict[tuple[int, int], str] = {}
    ids: set[int] = set()
    annotated = video.annotated if deep else video.annotated[:1]
    for index in range(len(video.frames)) if deep else {0, *annotated}:
        frame = video.frames[index]
        try:
            size = image_size(frame)
            sizes.setdefault(size, frame.name)
            if index in annotated:
                path = video.annotations[frame.stem]
                id_map = read_id_map(path)
                ids.update(object_ids(id_map))
                if id_map.shape != size:
                    yield (
                        f"{path.name}: the id map is {pixels(id_map.shape)}, its frame "
                        f"{pixels(size)}; expected the same size. Take frames and annotations "
                        "of the same resolution."
                    )
        except HS2SError as error:
            yield str(error)
    if len(sizes) > 1:
        found = some(f"{pixels(size)} ({name})" for size, name in sizes.items())
        yield f"frames of different sizes: {found}; expected one size per video."
    yield from _check_ids(video, ids, deep)


def _check_ids(video: VosVideo, ids: set[int], deep: bool) -> Iterator[str]:
    unlisted = sorted(ids - video.objects.keys()) if video.objects else []
    if unlisted:
        yield (
            f"ids {some(map(str, unlisted))} of the id maps are not in meta.json "
            f"(it lists {some(map(str, sorted(video.objects)))}); their category is unknown."
        )
    absent = sorted(video.objects.keys() - ids) if deep and video.annotations else []
    if absent:
        yield f"objects {some(map(str, absent))} of meta.json have no pixel in any id map."
