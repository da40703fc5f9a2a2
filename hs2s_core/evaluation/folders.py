"""Folders of predictions against folders of truth, several processes over videos."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2

from hs2s_core.errors import HS2SError, InvalidDataset
from hs2s_core.evaluation.meta import (
    VideoObjects,
    check_seen,
    read_meta,
    read_seen_categories,
)
from hs2s_core.evaluation.protocol import Protocol, find_protocol
from hs2s_core.evaluation.table import (
    EvaluationTable,
    FramePair,
    ObjectInfo,
    VideoFailure,
    evaluate_sequence,
)
from hs2s_core.media.images import natural_key
from hs2s_core.media.masks import read_id_map

Progress = Callable[[int, int, str], None]
"""Called with videos done, videos in all, and the video just done."""

_LAYOUTS = (
    "DIR/<video>/<frame>.png, DIR/Annotations/<video>/<frame>.png or DAVIS's Annotations/480p"
)


@dataclass(frozen=True)
class _Job:
    """One video, as sent to a worker process."""

    video: str
    truth: Path
    prediction: Path
    protocol: Protocol
    objects: Mapping[int, ObjectInfo] | None


def evaluate_folders(
    predictions: str | Path,
    truth: str | Path,
    protocol: str | Protocol = "davis2017",
    workers: int = 1,
    *,
    meta: str | Path | None = None,
    train_meta: str | Path | None = None,
    videos: Collection[str] | None = None,
    progress: Progress | None = None,
) -> EvaluationTable:
    """Evaluate every video of the truth; one that fails is reported and the others finish.

    Args:
        predictions: folder with an id map per frame, ``DIR/<video>/<frame>.png`` or
            ``DIR/Annotations/<video>/<frame>.png``; frames that the truth lacks are ignored.
        truth: folder of annotations in the same layouts, also DAVIS's ``Annotations/480p``.
        protocol: a protocol or its name.
        workers: processes; more than one needs the usual ``if __name__ == "__main__"`` guard in
            scripts.
        meta: ``meta.json`` with categories and listed frames; by default the one that lies beside
            the truth, if there is one.
        train_meta: ``meta.json`` of the training set, whose categories are the seen ones.
        videos: names to evaluate; by default all that the truth has.
        progress: called in this process after each video.

    Raises:
        InvalidDataset: a folder is missing or has no videos, or a metadata file is unusable.
        HS2SError: ``workers`` is below 1, or a worker process was killed.
    """
    protocol = find_protocol(protocol)
    if workers < 1:
        raise HS2SError(f"workers is {workers}; expected 1 or more.")
    truth_videos = _find_videos(Path(truth), "truth")
    predicted_root = _video_root(Path(predictions), "prediction")
    names = _choose(truth_videos, videos, Path(truth))
    objects = _read_objects(Path(truth), meta, train_meta)
    if objects is not None:
        check_seen(objects, names, protocol)
    jobs = [
        _Job(
            video=name,
            truth=truth_videos[name],
            prediction=predicted_root / name,
            protocol=protocol,
            objects=None if objects is None else objects.get(name, {}),
        )
        for name in names
    ]
    tables = []
    for done, table in enumerate(_run(jobs, workers), start=1):
        tables.append(table)
        if progress is not None:
            progress(done, len(jobs), jobs[done - 1].video)
    return EvaluationTable.join(tables)


def find_videos(root: str | Path) -> dict[str, Path]:
    """Return the folders of PNG files under ``root`` by video name, in natural order.

    Raises:
        InvalidDataset: no such folder, or no video in any accepted layout.
    """
    return _find_videos(Path(root), "annotation")


def _find_videos(root: Path, kind: str) -> dict[str, Path]:
    base = _video_root(root, kind)
    folders = [
        entry
        for entry in base.iterdir()
        if entry.is_dir() and not entry.name.startswith(".") and any(_frames(entry))
    ]
    if not folders:
        raise InvalidDataset(f"{root}: no {kind} videos found; expected {_LAYOUTS}.")
    return {entry.name: entry for entry in sorted(folders, key=lambda entry: _order(entry.name))}


def _video_root(root: Path, kind: str) -> Path:
    """Step down to the folder whose folders are videos."""
    if not root.is_dir():
        raise InvalidDataset(f"{root}: no such {kind} folder; expected {_LAYOUTS}.")
    for step in ("Annotations", "480p"):
        if (root / step).is_dir() and not any(_frames(root / step)):
            root = root / step
    return root


def _frames(folder: Path) -> Iterator[Path]:
    """Yield the PNG files of a folder in no particular order."""
    return (
        entry
        for entry in folder.iterdir()
        if entry.suffix.lower() == ".png" and not entry.name.startswith(".")
    )


def _order(name: str) -> tuple[object, ...]:
    return natural_key(name)


def _choose(found: Mapping[str, Path], wanted: Collection[str] | None, root: Path) -> list[str]:
    """Return the videos to evaluate in their natural order."""
    if wanted is None:
        return list(found)
    if missing := sorted(set(wanted) - set(found)):
        raise InvalidDataset(
            f"{root}: has no annotations of {len(missing)} wanted videos "
            f"({', '.join(missing[:5])}); it has {len(found)} others, such as {next(iter(found))}."
        )
    if not wanted:
        raise InvalidDataset("the list of videos to evaluate is empty; expected at least one.")
    return [name for name in found if name in set(wanted)]


def _read_objects(
    truth: Path, meta: str | Path | None, train_meta: str | Path | None
) -> VideoObjects | None:
    """Read the metadata named, or what lies beside the truth, or nothing."""
    if meta is None:
        beside = truth.parent if truth.name == "Annotations" else truth
        meta = beside / "meta.json" if (beside / "meta.json").is_file() else None
    seen = None if train_meta is None else read_seen_categories(train_meta)
    if meta is None:
        if seen is not None:
            raise InvalidDataset(
                f"{truth}: no meta.json beside the truth; seen and unseen objects need their "
                "categories. Name the file that has them."
            )
        return None
    return read_meta(meta, seen)


def _run(jobs: Sequence[_Job], workers: int) -> Iterator[EvaluationTable]:
    """Yield one table per job, in order."""
    if workers == 1 or len(jobs) == 1:
        yield from map(_evaluate_video, jobs)
        return
    # Forking a process that runs threads (PyTorch's, FiftyOne's) can lock up; spawning cannot.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(workers, len(jobs)), mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)
    ) as pool:
        try:
            yield from pool.map(_evaluate_video, jobs)
        except BrokenProcessPool as error:
            raise HS2SError(
                "a worker process ended before its time, most likely for want of memory; "
                "evaluate with fewer workers."
            ) from error
        finally:
            # Whoever stops listening (an error, Ctrl-C) does not want the videos still queued.
            pool.shutdown(cancel_futures=True)


def _evaluate_video(job: _Job) -> EvaluationTable:
    """Evaluate one video; trouble with its files becomes a failure of that video alone."""
    try:
        return evaluate_sequence(job.video, _pairs(job), job.protocol, objects=job.objects)
    except (HS2SError, OSError) as error:
        return EvaluationTable(job.protocol, (), (VideoFailure(job.video, str(error)),))


def _pairs(job: _Job) -> Iterator[FramePair]:
    """Read prediction and truth of one annotated frame after the other."""
    truth = sorted(_frames(job.truth), key=lambda entry: _order(entry.stem))
    _check_predictions(job.prediction, [entry.name for entry in truth])
    for frame, entry in enumerate(truth):
        yield FramePair(
            prediction=read_id_map(job.prediction / entry.name),
            truth=read_id_map(entry),
            frame=frame,
            name=entry.stem,
        )


def _check_predictions(folder: Path, names: Sequence[str]) -> None:
    """Refuse a video whose predictions are incomplete before any frame is read."""
    if not folder.is_dir():
        raise InvalidDataset(f"no prediction folder {folder}; expected one with the video's name.")
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        shown = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise InvalidDataset(
            f"{folder}: lacks {len(missing)} of {len(names)} annotated frames ({shown}); expected "
            "a prediction for each, named as the truth's frame, the first one included."
        )
