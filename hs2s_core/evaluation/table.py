"""The evaluation table: frames of one video in, rows out; tables of many videos joined."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hs2s_core.checked.calls import checked_call
from hs2s_core.data.meta import ObjectInfo
from hs2s_core.errors import HS2SError, InvalidDataset, InvalidMask
from hs2s_core.evaluation import export
from hs2s_core.evaluation.identities import IdOverlaps
from hs2s_core.evaluation.metrics import NOTHING, FrameCounts, count_objects
from hs2s_core.evaluation.protocol import Protocol, find_protocol
from hs2s_core.evaluation.rows import COUNTS, RECORD, Records, Rows, RowsVideo
from hs2s_core.evaluation.scores import Summary, summarise
from hs2s_core.media.masks import IdMap
from hs2s_core.wording import counted, some


class FramePair(NamedTuple):
    """Prediction and truth of one annotated frame: id maps ``(H, W)`` of one size."""

    prediction: IdMap
    truth: IdMap
    frame: int
    """0-based frame of the video."""
    name: str = ""
    """Stem of the frame's file, where there is one."""


class VideoFailure(NamedTuple):
    """A video that could not be evaluated, and why."""

    video: str
    reason: str


@dataclass(frozen=True)
class EvaluationTable:
    """Rows of any number of videos, and what went wrong on the way to them."""

    protocol: Protocol
    rows: Rows = field(default_factory=Rows)
    failures: tuple[VideoFailure, ...] = ()
    notes: tuple[str, ...] = ()
    """What the reader of the numbers should know, such as predicted ids the truth never has."""

    @classmethod
    def join(cls, tables: Sequence[EvaluationTable]) -> EvaluationTable:
        """Put tables of one protocol one after the other; at least one."""
        protocols = {table.protocol for table in tables}
        if len(protocols) != 1:
            names = ", ".join(sorted(protocol.name for protocol in protocols)) or "none"
            raise HS2SError(f"tables to join follow different protocols ({names}); expected one.")
        return cls(
            protocol=tables[0].protocol,
            rows=Rows.join([table.rows for table in tables]),
            failures=tuple(failure for table in tables for failure in table.failures),
            notes=tuple(note for table in tables for note in table.notes),
        )

    def summary(self) -> Summary:
        """Scores per object, per video, for seen and unseen objects, and overall."""
        return summarise(self.rows, self.protocol)

    def _repr_html_(self) -> str:
        return self.summary()._repr_html_()

    def write(self, path: str | Path) -> None:
        """Write ``.csv``, ``.parquet`` or ``.json``, by the suffix."""
        suffix = export.check_output(path)
        if suffix == ".json":  # with what is known besides the rows
            failures = [failure._asdict() for failure in self.failures]
            about = {"failures": failures, "notes": list(self.notes)}
            export.write_json(path, self.rows, self.summary(), about)
        else:
            write = export.write_csv if suffix == ".csv" else export.write_parquet
            write(path, self.rows, self.protocol)


@checked_call
def evaluate_sequence(
    video: str,
    frames: Iterable[FramePair],
    protocol: str | Protocol = "davis2017",
    *,
    objects: Mapping[int, ObjectInfo] | None = None,
    prompts: Mapping[int, int] | None = None,
) -> EvaluationTable:
    """Evaluate one video, one frame at a time; only counts are kept of past frames.

    Every object that the truth shows in some frame gets one row per frame, also for frames before
    it enters and after it leaves.

    Args:
        video: name of the video.
        frames: annotated frames in time order, first to last.
        protocol: a protocol or its name.
        objects: category, seen flag and listed frames by object id. Where given, objects it lacks
            have no listed frames.
        prompts: ``frame`` in which each object's mask was given; by default the first frame in
            which the truth shows the object.

    Raises:
        InvalidMask: prediction and truth of a frame differ in size.
        InvalidDataset: there are no frames, they are out of order, or a prompt frame is not
            annotated.
    """
    protocol = find_protocol(protocol)
    positions: list[tuple[int, str]] = []
    counts: list[dict[int, FrameCounts]] = []
    truth_ids: set[int] = set()
    predicted_ids: set[int] = set()
    overlaps = IdOverlaps()
    for pair in frames:
        found = _count_frame(video, pair, protocol)
        positions.append((pair.frame, pair.name))
        counts.append(found)
        shown = [key for key, count in found.items() if count.area_truth]
        truth_ids.update(shown)
        if not protocol.merge_objects:
            overlaps.measure(pair.truth, pair.prediction, shown)
        predicted_ids.update(key for key, count in found.items() if count.area_prediction)
    _check_order(video, [frame for frame, _ in positions])
    parts, known = [np.zeros(0, RECORD)], {}
    for object_id in sorted(truth_ids):
        track = [frame_counts.get(object_id, NOTHING) for frame_counts in counts]
        info = ObjectInfo() if objects is None else objects.get(object_id, _UNLISTED)
        prompt = _prompt_position(video, object_id, track, positions, prompts or {})
        parts.append(_object_records(object_id, info, track, positions, prompt, protocol))
        known[object_id] = ObjectInfo(info.category, info.seen)
    names = {frame: name for frame, name in positions if name}
    rows = Rows(np.concatenate(parts), (RowsVideo(video, known, names),))
    notes = _id_notes(video, truth_ids, predicted_ids, overlaps.remark())
    return EvaluationTable(protocol, rows, notes=notes)


_UNLISTED = ObjectInfo(frames=())


def _count_frame(video: str, pair: FramePair, protocol: Protocol) -> dict[int, FrameCounts]:
    prediction, truth = pair.prediction, pair.truth
    if protocol.merge_objects:
        prediction, truth = (prediction != 0).view(np.uint8), (truth != 0).view(np.uint8)
    try:
        return count_objects(prediction, truth)
    except InvalidMask as error:
        raise InvalidMask(f"{video}, frame {pair.name or pair.frame}: {error}") from error


def _check_order(video: str, frames: Sequence[int]) -> None:
    if not frames:
        raise InvalidDataset(f"{video}: has no annotated frame; expected at least one.")
    for before, after in pairwise(frames):
        if after <= before:
            raise InvalidDataset(
                f"{video}: frame {after} follows frame {before}; expected rising frame numbers."
            )


def _prompt_position(
    video: str,
    object_id: int,
    track: Sequence[FrameCounts],
    positions: Sequence[tuple[int, str]],
    prompts: Mapping[int, int],
) -> int:
    """Return where the object's prompt lies among the annotated frames."""
    if object_id not in prompts:
        return next(position for position, count in enumerate(track) if count.area_truth)
    frames = [frame for frame, _ in positions]
    if prompts[object_id] not in frames:
        raise InvalidDataset(
            f"{video}: object {object_id} is prompted in frame {prompts[object_id]}, which is not "
            "among the annotated frames; expected a prompt in an annotated frame."
        )
    return frames.index(prompts[object_id])


def _object_records(
    object_id: int,
    info: ObjectInfo,
    track: Sequence[FrameCounts],
    positions: Sequence[tuple[int, str]],
    prompt: int,
    protocol: Protocol,
) -> Records:
    known = None if info.frames is None else set(info.frames)
    records = np.zeros(len(track), RECORD)
    records["object"] = object_id
    records["frame"] = [frame for frame, _ in positions]
    records["since_prompt"] = np.arange(len(track)) - prompt
    for name, values in zip(COUNTS, zip(*track, strict=True), strict=True):
        records[name] = values
    records["counted"] = protocol.counted(
        prompt=prompt,
        in_truth=[count.area_truth > 0 for count in track],
        in_prediction=[count.area_prediction > 0 for count in track],
        listed=[known is None or name in known for _, name in positions],
    )
    return records


def _id_notes(
    video: str, truth: set[int], predicted: set[int], remark: str | None
) -> tuple[str, ...]:
    if not truth:
        return (f"{video}: the truth shows no object in any frame; nothing to score.",)
    if remark is not None:
        return (f"{video}: {remark}",)
    notes = []
    if extra := sorted(predicted - truth):
        shown = some(map(str, extra), 8)
        notes.append(f"{video}: predicted ids that the truth never has are not scored: {shown}.")
    if missing := sorted(truth - predicted):
        what = f"{len(missing)} of {counted(len(truth), 'object')} ({some(map(str, missing), 8)})"
        single = predicted == {1} and len(truth) > 1
        hint = (
            "; a mask of all objects as one is scored by the protocol davis2016" if single else ""
        )
        notes.append(f"{video}: the prediction never shows {what}{hint}.")
    return tuple(notes)
