"""Evaluation tables whose numbers are known or random, without a single mask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

import fiftyone as fo
import numpy as np

from hs2s_core.evaluation import EvaluationTable, FrameCounts, Row, find_protocol
from hs2s_fiftyone.evaluation.backend import VOSEvaluationConfig, VOSEvaluationResults
from hs2s_fiftyone.evaluation.columns import Columns, protocol_to_dict, to_records

PROTOCOL = "youtube_vos"


def make_track(
    video: str,
    j: Sequence[float],
    *,
    object_id: int = 1,
    prompt: int = 0,
    every: int = 1,
    category: str | None = None,
    seen: bool | None = None,
    area: int = 1_000_000,
) -> list[Row]:
    """Rows of one object, annotated in every so many frames; F is J; the prompt does not count.

    J is as near to what is asked as counts of an object of ``area`` pixels can be.
    """
    rows = []
    for place, value in enumerate(j):
        hit = round(value * area)
        counts = FrameCounts(hit, area, hit, area, area, hit, hit)
        if place < prompt:
            counts = FrameCounts()
        rows.append(
            Row(
                video=video,
                object=object_id,
                category=category,
                seen=seen,
                frame=place * every,
                frame_name="",
                since_prompt=place - prompt,
                counted=place > prompt,
                j=counts.j,
                f=counts.f,
                in_truth=counts.area_truth > 0,
                in_prediction=counts.area_prediction > 0,
                **counts._asdict(),
            )
        )
    return rows


def make_table(tracks: Iterable[Sequence[Row]], protocol: str = PROTOCOL) -> EvaluationTable:
    """A table of the rows of some objects."""
    return EvaluationTable(find_protocol(protocol), tuple(row for rows in tracks for row in rows))


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
                    [float(value) for value in values * rng.uniform(0.8, 1, frames)],
                    object_id=object_id,
                    prompt=0 if object_id == 1 else int(rng.integers(0, frames // 2)),
                    category=str(rng.choice(["dog", "person", "zebra"])),
                    seen=bool(rng.random() < 0.7),
                    area=int(rng.integers(50, 20_000)),
                )
            )
    return make_table(tracks)


def save_run(dataset: fo.Dataset, eval_key: str, table: EvaluationTable) -> None:
    """Register a table as an evaluation run, as if the dataset's videos had been evaluated.

    ``Row.video`` is the name of a video's file without its suffix.
    """
    pairs = zip(*dataset.values(["id", "filepath"]), strict=True)
    ids = {Path(path).stem: id_ for id_, path in pairs}
    columns = Columns()
    for video, rows in groupby(table.rows, key=lambda row: row.video):
        found = list(rows)
        columns.add(ids[video], video, found, to_records(found))
    config = VOSEvaluationConfig(
        "frames.pred", "frames.truth", protocol=protocol_to_dict(table.protocol)
    )
    backend = config.build()
    backend.register_run(dataset, eval_key)
    results = VOSEvaluationResults(dataset, config, eval_key, columns, backend=backend)
    backend.save_run_results(dataset, eval_key, results)
