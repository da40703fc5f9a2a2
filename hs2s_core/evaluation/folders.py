"""Folders of predictions against folders of truth, several processes over videos."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hs2s_core.checked.calls import checked_call
from hs2s_core.data.folders import annotation_root, find_annotations
from hs2s_core.data.meta import Meta, ObjectInfo, read_meta
from hs2s_core.errors import InvalidDataset, check_choice
from hs2s_core.evaluation.identities import MATCHES, renumber, tie_ids
from hs2s_core.evaluation.protocol import Protocol, find_protocol
from hs2s_core.evaluation.scores import check_seen
from hs2s_core.evaluation.table import EvaluationTable, FramePair, VideoFailure, evaluate_sequence
from hs2s_core.jobs import Done, Item, Tick, Watch, Work, drive, find_engine, run_job
from hs2s_core.media.images import find_entry, find_name, list_folders
from hs2s_core.media.masks import list_masks, read_id_map, read_mask_file
from hs2s_core.wording import counted, some

VideoObjects = Mapping[str, Mapping[int, ObjectInfo]]
"""What is known of the objects of each video."""


@dataclass
class _Scored(Done):
    """What came of one video."""

    table: EvaluationTable | None = None


@dataclass(frozen=True)
class _Job:
    """The videos, as each process can open them."""

    truth: Mapping[str, Path]
    prediction: Path
    protocol: Protocol
    objects: VideoObjects | None
    match: str

    def open(self) -> Callable[[Item], Work[_Scored]]:
        """Nothing to load."""
        return self._video

    def _video(self, item: Item) -> Work[_Scored]:
        yield Tick(0.0, "reading masks")
        void = {"prediction": 0, "truth": 0}
        objects = None if self.objects is None else self.objects.get(item.name, {})
        pairs = self._pairs(item.name, void)
        table = evaluate_sequence(item.name, pairs, self.protocol, objects=objects)
        notes = (
            f"{item.name}: in {counted(count, 'frame')} all that the {kind} shows is void (255), "
            "which counts as background; objects have ids from 1 to 254."
            for kind, count in void.items()
            if count
        )
        return _Scored(table=dataclasses.replace(table, notes=(*table.notes, *notes)))

    def _pairs(self, video: str, void: dict[str, int]) -> Iterator[FramePair]:
        """Read prediction and truth of one annotated frame after the other; counts void ones."""
        truth = list_masks(self.truth[video])
        folder = find_entry(self.prediction, video)
        predicted = _find_predictions(folder, [entry.stem for entry in truth])
        tied = None
        if self.match == "overlap" and not self.protocol.merge_objects:
            pairs = ((read_id_map(predicted[each.stem]), read_id_map(each)) for each in truth)
            tied = tie_ids(pairs)
        for frame, entry in enumerate(truth):
            files = {"prediction": predicted[entry.stem], "truth": entry}
            read = {kind: read_mask_file(path) for kind, path in files.items()}
            for kind, file in read.items():
                void[kind] += file.only_void
            ids = read["prediction"].ids
            if tied is not None:
                ids = renumber(ids, tied)
            yield FramePair(ids, read["truth"].ids, frame, entry.stem)


@checked_call
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
    progress: Watch | None = None,
) -> EvaluationTable:
    """Evaluate every video of the truth; one that fails is reported and the others finish.

    Args:
        predictions: folder with an id map per frame, ``DIR/<video>/<frame>.png`` or
            ``DIR/Annotations/<video>/<frame>.png``; frames that the truth lacks are ignored.
        truth: folder of annotations in the same layouts, also DAVIS's ``Annotations/480p``.
        protocol: a protocol or its name.
        workers: how many videos at once, each in a process of its own.
        meta: ``meta.json`` with categories and listed frames; by default the one that lies beside
            the truth, if there is one.
        train_meta: ``meta.json`` of the training set, whose categories are the seen ones.
        videos: names to evaluate; by default all that the truth has.
        match: how predicted objects are tied to true ones, of ``MATCHES``: by equal ids, or by
            overlap, for tools that number their objects anew; the videos are then read twice.
        progress: called with :class:`hs2s_core.jobs.Progress` as the work goes on.

    Raises:
        InvalidDataset: a folder is missing or has no videos, or a metadata file is unusable.
        HS2SError: ``workers`` is below 1, or ``match`` is unknown.
    """
    protocol = find_protocol(protocol)
    engine = find_engine(None, workers)
    check_choice("match", match, MATCHES)
    truth_videos = find_annotations(truth, "truth")
    predicted_root = annotation_root(Path(predictions), "prediction")
    names = _choose(truth_videos, videos, Path(truth))
    objects = _read_objects(Path(truth), names, protocol, meta, train_meta)
    job = _Job(truth_videos, predicted_root, protocol, objects, match)
    items = [Item(name, name) for name in names]
    report = drive(run_job(job, items, engine=engine), progress)
    failed = sorted(report.failed, key=lambda problem: names.index(problem.name))
    failures = EvaluationTable(
        protocol, failures=tuple(VideoFailure(each.name, each.reason) for each in failed)
    )
    tables = [scored.table for scored in report.results.values() if scored.table is not None]
    return EvaluationTable.join([*tables, failures])


def _choose(found: Mapping[str, Path], wanted: Collection[str] | None, root: Path) -> list[str]:
    """Return the videos to evaluate in their natural order."""
    if wanted is None:
        return list(found)
    known = {name: find_name(name, found) for name in wanted}
    if missing := sorted(name for name, own in known.items() if own is None):
        raise InvalidDataset(
            f"{root}: has no annotations of {counted(len(missing), 'wanted video')} "
            f"({some(missing)}); expected some of those it has: {some(found)}."
        )
    if not wanted:
        raise InvalidDataset("the list of videos to evaluate is empty; expected at least one.")
    return [name for name in found if name in set(known.values())]


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
        seen = read_meta(train_meta).categories()
        if not seen:
            raise InvalidDataset(
                f"{train_meta}: no object has a category; expected the training meta.json."
            )
        objects = found.select(videos, seen)
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
            if any(find_name(name, found.videos) for name in videos):
                return found
    return None


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


def _find_predictions(folder: Path, names: Sequence[str]) -> dict[str, Path]:
    """The file of each annotated frame; refuses an incomplete video before any frame is read."""
    if not folder.is_dir():
        others = some((entry.name for entry in list_folders(folder.parent)), 3)
        raise InvalidDataset(
            f"no prediction folder {folder}; expected one with the video's name, "
            f"but found {others}."
        )
    found = {find_name(entry.stem, names) or entry.stem: entry for entry in list_masks(folder)}
    missing = [f"{name}.png" for name in names if name not in found]
    if missing:
        raise InvalidDataset(
            f"{folder}: lacks {len(missing)} of {counted(len(names), 'annotated frame')} "
            f"({some(missing, 3)}), and has {some((f'{name}.png' for name in found), 3)}; expected "
            "a prediction for each, named as the truth's frame, the first one included."
        )
    return found
