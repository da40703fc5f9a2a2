"""Evaluation tables whose numbers are known or random, without a single mask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from hs2s_core.data.meta import ObjectInfo
from hs2s_core.evaluation import EvaluationTable, ObjectKey, Row, Rows, find_protocol
from hs2s_core.evaluation.rows import RECORD, Records, RowsVideo

PROTOCOL = "youtube_vos"


class Track(NamedTuple):
    """Rows of one object."""

    video: str
    object: int
    info: ObjectInfo
    records: Records


def make_track(
    video: str,
    j: Sequence[float],
    f: Sequence[float] | None = None,
    *,
    object_id: int = 1,
    prompt: int = 0,
    every: int = 1,
    category: str | None = None,
    seen: bool | None = None,
    area: int = 1_000_000,
    truth: str = "",
    prediction: str = "",
    counted: str = "",
) -> Track:
    """One object, annotated in every so many frames; F is J by default.

    J and F are as near to what is asked as counts of an object of ``area`` pixels can be. The
    marks are strings of 0 and 1, one for each frame: by default, the truth shows the object from
    its prompt on, the prediction where J is above 0, and the frames after the prompt count.
    """
    values = np.array(j, np.float64)
    place = np.arange(len(values))
    records = np.zeros(len(values), RECORD)
    records["object"], records["frame"] = object_id, every * place
    records["since_prompt"] = place - prompt
    records["counted"] = _marks(counted, place > prompt)
    in_truth = _marks(truth, place >= prompt)
    hit = np.round(values * area).astype(np.int32) * in_truth
    in_prediction = _marks(prediction, hit > 0)
    records["area_truth"] = area * in_truth
    records["area_prediction"] = np.where(in_prediction, np.maximum(hit, 1), 0)
    records["intersection"] = hit * in_prediction
    edges = np.round(np.array(j if f is None else f) * area).astype(np.int32) * in_truth
    for side in ("truth", "prediction"):
        records[f"boundary_{side}"] = area * in_truth
        records[f"matched_{side}"] = edges
    return Track(video, object_id, ObjectInfo(category, seen), records)


def _marks(text: str, default: np.ndarray) -> np.ndarray:
    return np.array([mark == "1" for mark in text]) if text else default


def make_rows(*tracks: Track) -> Rows:
    """The rows of some objects; those of a video follow each other."""
    videos = list(dict.fromkeys(track.video for track in tracks))
    parts = [np.zeros(0, RECORD)]
    for track in sorted(tracks, key=lambda track: videos.index(track.video)):
        parts.append(track.records.copy())
        parts[-1]["video"] = videos.index(track.video)
    objects = [{track.object: track.info for track in tracks if track.video == v} for v in videos]
    return Rows(
        np.concatenate(parts),
        tuple(RowsVideo(video, own, {}) for video, own in zip(videos, objects, strict=True)),
    )


def make_table(tracks: Iterable[Track], protocol: str = PROTOCOL) -> EvaluationTable:
    """A table of the rows of some objects."""
    return EvaluationTable(find_protocol(protocol), make_rows(*tracks))


def random_table(videos: Sequence[str], seed: int = 0, longest: int = 120) -> EvaluationTable:
    """Objects that fade at random: one to three in a video, some entering late."""
    rng = np.random.default_rng(seed)
    tracks = []
    for video in videos:
        frames = int(rng.integers(5, longest + 1))
        for object_id in range(1, int(rng.integers(2, 5))):
            values = np.clip(0.95 - rng.random() * 0.02 * np.arange(frames), 0, 1)
            tracks.append(
                make_track(
                    video,
                    values * rng.uniform(0.8, 1, frames),
                    object_id=object_id,
                    prompt=0 if object_id == 1 else int(rng.integers(0, frames // 2)),
                    category=str(rng.choice(["dog", "person", "zebra"])),
                    seen=bool(rng.random() < 0.7),
                    area=int(rng.integers(50, 20_000)),
                )
            )
    return make_table(tracks)


def by_object(rows: Rows) -> dict[ObjectKey, list[Row]]:
    """The rows of each object."""
    return {key: list(own) for key, own in groupby(rows, key=lambda row: (row.video, row.object))}
