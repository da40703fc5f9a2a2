"""Folders of predictions against folders of truth, several processes over videos."""

from __future__ import annotations

import dataclasses
import multiprocessing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import cv2

from hs2s_core.data.folders import annotation_root, find_annotations
from hs2s_core.data.meta import Meta, ObjectInfo, read_meta
from hs2s_core.errors import HS2SError, InvalidDataset
from hs2s_core.evaluation.identities import check_match, renumber, tie_ids
from hs2s_core.evaluation.protocol import Protocol, find_protocol
from hs2s_core.evaluation.scores import check_seen
from hs2s_core.evaluation.table import (
    EvaluationTable,
    FramePair,
    VideoFailure,
    evaluate_sequence,
)
from hs2s_core.media.masks import list_masks, read_id_map, read_mask_file
from hs2s_core.wording import counted, some

Progress = Callable[[int, int, str], None]
"""Called with videos done, videos in all, and the video just done."""

VideoObjects = Mapping[str, Mapping[int, ObjectInfo]]
"""What is known of the objects of each video."""


@dataclass(frozen=True)
class _Job:
    """One video, as sent to a worker process."""

    video: str
    truth: Path
    prediction: Path
    protocol: Protocol
    objects: Mapping[int, ObjectInfo] | None
    match: str


def evaluate_folders(
    predictions: str | Path,
    truth: str | Path,
    protocol: str | Protocol = "davis2017",
    workers: int = 1,
    *,
    meta: str | Path | None = None,
    train_meta: str | Path | None = None,
    videos: Collection[str] | None = None,
    match: str = "ids",
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
        match: how predicted objects are tied to true ones, of ``MATCHES``: by equal ids, or by
            overlap, for tools that number their objects anew; the videos are then read twice.
        progress: called in this process after each video.

    Raises:
        InvalidDataset: a folder is missing or has no videos, or a metadata file is unusable.
        HS2SError: ``workers`` is below 1, ``match`` is unknown, or a worker process was killed.
    """
    protocol = find_protocol(protocol)
    if workers < 1:
        raise HS2SError(f"workers is {workers}; expected 1 or more.")
    check_match(match)
    truth_videos = find_annotations(truth, "truth")
    predicted_root = annotation_root(Path(predictions), "prediction")
    names = _choose(truth_videos, videos, Path(truth))
    objects = _read_objects(Path(truth), names, protocol, meta, train_meta)
    jobs = [
        _Job(
            video=name,
            truth=truth_videos[name],
            prediction=predicted_root / name,
            protocol=protocol,
            objects=None if objects is None else objects.get(name, {}),
            match=match,
        )
        for name in names
    ]
    tables = []
    for done, table in enumerate(_run(jobs, workers), start=1):
        tables.append(table)
        if progress is not None:
            progress(done, len(jobs), jobs[done - 1].video)
    return EvaluationTable.join(tables)


def _choose(found: Mapping[str, Path], wanted: Collection[str] | None, root: Path) -> list[str]:
    """Return the videos to evaluate in their natural order."""
    if wanted is None:
        return list(found)
    if missing := sorted(set(wanted) - set(found)):
        raise InvalidDataset(
            f"{root}: has no annotations of {counted(len(missing), 'wanted video')} "
            f"({some(missing)}); expected some of those it has: {some(found)}."
        )
    if not wanted:
        raise InvalidDataset("the list of videos to evaluate is empty; expected at least one.")
    return [name for name in found if name in set(wanted)]


def _read_objects(
    truth: Path,
    videos: Collection[str],
    protocol: Protocol,
    meta: str | Path | None,
    train_meta: str | Path | None,
) -> VideoObjects | None:
    """What the metadata named, or found near the truth, says of these videos; None without any."""
    found = _find_meta(truth, videos) if meta is None else read_meta(meta)
    if train_meta is None:
        objects = None if found is None else found.select(videos)
    elif found is None:
        raise InvalidDataset(
            f"{truth}: no meta.json beside the truth; seen and unseen objects need their "
            "categories. Name the file that has them."
        )
    else:
        objects = found.select(videos, _seen_categories(train_meta))
        _check_categories(objects, found.path)
    if objects is not None:
        check_seen(objects, videos, protocol)
    return objects


def _find_meta(truth: Path, videos: Collection[str]) -> Meta | None:
    """The ``meta.json`` in the folder of annotations, or up to three folders above it.

    Further away than beside ``Annotations`` it must know one of the videos: it may be another's.
    """
    base = annotation_root(truth)
    for folder in (base, *base.absolute().parents[:3]):
        path = folder / "meta.json"
        if not path.is_file():
            continue
        if folder in (base, base.absolute().parent, truth.absolute()):
            return read_meta(path)
        with suppress(InvalidDataset):
            found = read_meta(path)
            if any(name in found.videos for name in videos):
                return found
    return None


def _seen_categories(path: str | Path) -> frozenset[str]:
    """Categories of the training set's ``meta.json``."""
    categories = read_meta(path).categories()
    if not categories:
        raise InvalidDataset(f"{path}: no object has a category; expected the training meta.json.")
    return categories


def _check_categories(objects: VideoObjects, path: Path | None) -> None:
    """Refuse objects that cannot be told seen from unseen where that was asked for."""
    unknown = [
        f"{video}/{object_id}"
        for video, listed in objects.items()
        for object_id, info in listed.items()
        if info.seen is None
    ]
    if unknown:
        raise InvalidDataset(
            f"{path}: has no category of {some(unknown)}; expected one of every object, to tell "
            "whether it is a seen one. Add them, or leave the training set's file out."
        )


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
    void = {"prediction": 0, "truth": 0}
    try:
        table = evaluate_sequence(job.video, _pairs(job, void), job.protocol, objects=job.objects)
    except (HS2SError, OSError) as error:
        return EvaluationTable(job.protocol, failures=(VideoFailure(job.video, str(error)),))
    notes = (
        f"{job.video}: in {counted(count, 'frame')} all that the {kind} shows is void (255), "
        "which counts as background; objects have ids from 1 to 254."
        for kind, count in void.items()
        if count
    )
    return dataclasses.replace(table, notes=(*table.notes, *notes))


def _pairs(job: _Job, void: dict[str, int]) -> Iterator[FramePair]:
    """Read prediction and truth of one annotated frame after the other; counts void ones."""
    truth = list_masks(job.truth)
    predicted = _find_predictions(job.prediction, [entry.stem for entry in truth])
    tied = None
    if job.match == "overlap" and not job.protocol.merge_objects:
        tied = tie_ids((read_id_map(predicted[entry.stem]), read_id_map(entry)) for entry in truth)
    for frame, entry in enumerate(truth):
        files = {"prediction": predicted[entry.stem], "truth": entry}
        read = {kind: read_mask_file(path) for kind, path in files.items()}
        for kind, file in read.items():
            void[kind] += file.only_void
        ids = read["prediction"].ids
        yield FramePair(
            ids if tied is None else renumber(ids, tied), read["truth"].ids, frame, entry.stem
        )


def _find_predictions(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """The file of each annotated frame; refuses an incomplete video before any frame is read."""
    if not folder.is_dir():
        raise InvalidDataset(f"no prediction folder {folder}; expected one with the video's name.")
    found = {entry.stem: entry for entry in list_masks(folder)}
    missing = [f"{name}.png" for name in names if name not in found]
    if missing:
        raise InvalidDataset(
            f"{folder}: lacks {len(missing)} of {counted(len(names), 'annotated frame')} "
            f"({some(missing, 3)}); expected a prediction for each, named as the truth's frame, "
            "the first one included."
        )
    return found
