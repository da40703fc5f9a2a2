"""From the data section of a run to what clips are drawn from."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hs2s_core.data.clips import ClipSet, FolderVideo, LabelledVideo
from hs2s_core.data.folders import open_folder
from hs2s_core.data.splits import Names, read_splits
from hs2s_core.data.stills import StillSet
from hs2s_core.data.synthesis import Synthesizer
from hs2s_core.data.videos import VosFolder, VosVideo
from hs2s_core.errors import InvalidConfig, InvalidDataset
from hs2s_core.training.batches import ClipSource, Mixture
from hs2s_core.training.config import DataConfig, FolderConfig, Stage, ValidationConfig
from hs2s_core.wording import counted, some

LONGER_THAN = 20
"""Annotated frames a held-out video must exceed (heading of the paper's Table 2a)."""


def clip_source(
    config: DataConfig, videos: Iterable[LabelledVideo] = (), stages: Sequence[Stage] = ()
) -> ClipSource:
    """Synthetic clips from stills, clips from labelled videos, or a mixture of both.

    ``videos`` are further labelled videos, for example of a FiftyOne view; they share the draws
    equally with those of each folder. Within a folder each video has the same share or, with
    augmentation ``paper``, each object.

    Raises:
        InvalidConfig: nothing to draw from, or only videos shorter than the clips of ``stages``.
        InvalidDataset: data that cannot be read, or that show no object.
    """
    splits = named_splits(config)
    sources: list[ClipSource] = []
    shares: list[float] = []
    labelled, weights = _labelled(config, splits.get("train_video"), list(videos))
    real = config.real if labelled else 0.0
    if config.stills and real < 1:
        if config.root is None:
            raise InvalidConfig(
                "[data] has stills but no root; set root to the folder they are in, on the command "
                "line with --root"
            )
        stills = StillSet(config.root, config.stills, splits.get("train_stills"), config.cache)
        sources.append(Synthesizer(stills))
        shares.append(1 - real)
    if labelled and real > 0:
        _check_lengths(labelled, stages)
        sources.append(ClipSet(labelled, weights, config.augmentation))
        shares.append(real)
    if not sources:
        raise InvalidConfig(
            "no training data: set [data] stills, or folders with real > 0 and with videos that "
            "[validation] does not score"
        )
    return sources[0] if len(sources) == 1 else Mixture(sources, shares)


def named_splits(data: DataConfig) -> dict[str, Names]:
    """The splits of the file that a run names; none where it names no file."""
    return read_splits(data.splits) if data.splits else {}


def _check_lengths(videos: list[LabelledVideo], stages: Sequence[Stage]) -> None:
    """Refuse clips longer than every video, which could only be drawn from stills."""
    longest = max(map(len, videos))
    for number, stage in enumerate(stages, start=1):
        if stage.frames > longest:
            raise InvalidConfig(
                f"stage {number}: clips of {counted(stage.frames, 'frame')}, but no video has "
                f"more than {longest} labelled ones; take shorter clips or longer videos, or set "
                "real to 0"
            )


def set_apart(
    data: DataConfig, validation: ValidationConfig | None
) -> tuple[DataConfig, ValidationConfig | None]:
    """What to train on and what to score on, without any video in both."""
    if validation is None:
        return data, None
    scored = list(validation.folders)
    splits = named_splits(data)
    if validation.hold_out:
        for folder in data.folders:
            videos = folder_videos(folder, splits.get("train_video"))
            held = hold_out(videos, number=validation.hold_out)
            scored.append(take(folder, held))
    taken: dict[Path, set[str]] = {}
    for folder in scored:
        names = {video.name for video in folder_videos(folder, splits.get("dev_video"))}
        taken.setdefault(folder.path.resolve(), set()).update(names)
    kept = []
    for folder in data.folders:
        names = taken.get(folder.path.resolve(), set())
        own = [video.name for video in folder_videos(folder, splits.get("train_video"))]
        left = tuple(name for name in own if name not in names)
        if len(left) == len(own):
            kept.append(folder)
        elif left:
            kept.append(take(folder, left))
    data = dataclasses.replace(data, folders=tuple(kept))
    return data, dataclasses.replace(validation, folders=tuple(scored), hold_out=0)


def folder_videos(
    config: FolderConfig, names: Mapping[str, Sequence[str]] | None = None
) -> list[VosVideo]:
    """Videos of a folder; ``names`` (set -> names) limits those of a folder it knows."""
    folder = open_folder(config.path, config.split)
    wanted = video_names(config, folder, names)
    missing = sorted(set(wanted) - set(folder.names))
    if missing:
        raise InvalidDataset(
            f"{config.path} has no videos {some(missing)}; found {some(folder.names)}"
        )
    return [folder.video(name) for name in wanted]


def video_names(
    config: FolderConfig, folder: VosFolder, names: Mapping[str, Sequence[str]] | None = None
) -> Sequence[str]:
    """The videos of ``folder`` that count: those that are named, else listed, else all."""
    return config.names or (names or {}).get(config.path.name, folder.names)


def hold_out(
    videos: Iterable[VosVideo],
    share: float = 0.1,
    longer_than: int = LONGER_THAN,
    number: int | None = None,
) -> list[str]:
    """Names of about ``share`` of the videos with more than ``longer_than`` annotated frames.

    With ``number`` these are so many of all with two annotated frames, however long. A video is
    chosen by a hash of its name, so the same videos are held out of every download, in every order
    and by every version of this package.
    """
    if number is not None:
        names = [video.name for video in videos if len(video.annotated) >= 2]
        return sorted(names, key=_fraction)[:number]
    return [
        video.name
        for video in videos
        if len(video.annotated) > longer_than and _fraction(video.name) < share
    ]


def _fraction(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "big") / 2**64


def hold_out_of(
    folder: FolderConfig, number: int | None = None
) -> tuple[FolderConfig, FolderConfig]:
    """A folder's videos to train on, and those a fixed hash of their names holds out of it.

    These are ``number`` of them or, if not given, a tenth of the long ones.

    Raises:
        InvalidDataset: nothing is held out, or nothing is left.
    """
    videos = folder_videos(folder)
    held = hold_out(videos, number=number)
    kept = sorted({video.name for video in videos} - set(held))
    if not held or not kept:
        raise InvalidDataset(
            f"{folder.path}: held out: {len(held)} of {counted(len(videos), 'video')}; a tenth of "
            f"those with more than {LONGER_THAN} annotated frames would be, by a hash of their "
            "names. Say which to score on, or how many: to hs2s train with --validation VIDEO "
            "... or --validation NUMBER, elsewhere in the [validation] of a run's file (--config)"
        )
    return take(folder, kept), take(folder, held)


def take(folder: FolderConfig, names: Iterable[str]) -> FolderConfig:
    """Some videos of a folder."""
    return dataclasses.replace(folder, names=tuple(names))


def count_objects(folder: FolderConfig) -> tuple[int, int]:
    """(Video, object) pairs of a folder, the unit of an epoch (docs/method.md).

    Besides, the most labelled frames that one of them has.
    """
    videos = [FolderVideo(video) for video in folder_videos(folder)]
    counts = [video.count_objects() for video in videos]
    longest = [video.longest for video, count in zip(videos, counts, strict=True) if count]
    return sum(counts), max(longest, default=0)


def _labelled(
    config: DataConfig, names: Mapping[str, Sequence[str]] | None, more: list[LabelledVideo]
) -> tuple[list[LabelledVideo], list[float]]:
    """Labelled videos of all folders, and the share of the draws of each."""
    videos: list[LabelledVideo] = []
    weights: list[float] = []
    if config.folders and not more and not any(folder.share for folder in config.folders):
        raise InvalidConfig("[data]: the share of every folder is 0; expected one above 0")
    for folder in config.folders:
        found = [FolderVideo(video) for video in folder_videos(folder, names)]
        if found and not any(video.shows_objects for video in found):
            raise InvalidDataset(
                f"{folder.path}: no mask of its {counted(len(found), 'video')} shows an object; "
                "expected id maps with ids above 0"
            )
        by_object = config.augmentation == "paper"
        parts = [video.count_objects() if by_object else 1 for video in found]
        videos += found
        weights += [folder.share * part / max(1, sum(parts)) for part in parts]
    return videos + more, weights + [1.0 / len(more) for _ in more]
