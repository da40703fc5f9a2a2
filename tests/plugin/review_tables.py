"""Evaluation tables whose numbers are known or random, without a single mask."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from hs2s_core.evaluation import EvaluationTable, Row, find_protocol

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
    area: int = 100,
) -> list[Row]:
    """Rows of one object, annotated in every so many frames; F is J; the prompt does not count."""
    return [
        Row(
            video=video,
            object=object_id,
            category=category,
            seen=seen,
            frame=place * every,
            frame_name="",
            since_prompt=place - prompt,
            counted=place > prompt,
            j=value,
            f=value,
            area_truth=area if place >= prompt else 0,
            area_prediction=area,
            intersection=0,
            boundary_truth=0,
            boundary_prediction=0,
            matched_truth=0,
            matched_prediction=0,
            in_truth=place >= prompt,
            in_prediction=True,
        )
        for place, value in enumerate(j)
    ]


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
