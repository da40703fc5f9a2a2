"""From rows to what a sample, FiftyOne's panel and a reader are told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from hs2s_core.evaluation import (
    GroupScore,
    ObjectKey,
    ObjectScore,
    Protocol,
    Row,
    Summary,
    score_objects,
    summarise_objects,
)
from hs2s_core.evaluation.lengths import early_late, first_failures, length_bin

from .columns import Columns, Records, scores

TRUE_POSITIVE = 0.5
"""Least J of a true positive, as FiftyOne's panel counts."""
_NO_LABEL = "object"
Match = tuple[str | None, str | None, float | None, float | None, str | None, str | None]
"""Truth label, predicted label, J, confidence, id of the truth's label and of the predicted one."""


def sample_scores(rows: Sequence[Row], frames: int) -> dict[str, Any]:
    """The sample fields of one video, by suffix; None where there is nothing to average.

    ``frames`` is the number of annotated frames.
    """
    objects, _ = score_objects(rows)
    video = GroupScore.of(objects) if objects else None
    time = early_late(rows)
    failures = [frame for frame in first_failures(rows).values() if frame is not None]
    return {
        "jf": None if video is None else video.jf,
        "j": None if video is None else video.j.mean,
        "f": None if video is None else video.f.mean,
        "early": None if time.early is None else time.early.jf,
        "late": None if time.late is None else time.late.jf,
        "drop": time.drop,
        "first_failure": min(failures) + 1 if failures else None,
        "num_frames": frames,
        "length_bin": length_bin(frames),
    }


def summarise_columns(
    columns: Columns, protocol: Protocol, chosen: Records | None = None
) -> Summary:
    """``EvaluationTable.summary`` with the row objects of one video at a time.

    ``chosen`` are the records to use, all by default.
    """
    objects: list[ObjectScore] = []
    uncounted: list[ObjectKey] = []
    for _, rows in groupby(columns.rows(chosen), key=lambda row: row.video):
        found, others = score_objects(rows)
        objects += found
        uncounted += others
    return summarise_objects(objects, protocol, uncounted)


def metric_values(summary: Summary) -> dict[str, float]:
    """J, F and J&F of a run; nothing if it has no overall score."""
    overall = summary.overall
    if overall is None:
        return {}
    return {"j": overall.j.mean, "f": overall.f.mean, "jf": overall.jf}


def matches(columns: Columns) -> list[Match]:
    """What FiftyOne's evaluation of detections makes its precision, recall and matrix of."""
    records = columns.records
    records = records[
        records["counted"] & ((records["area_truth"] > 0) | (records["area_prediction"] > 0))
    ]
    found: list[Match] = []
    for video, object_id, in_truth, predicted, j, sure, truth_id, prediction_id in zip(
        records["video"].tolist(),
        records["object"].tolist(),
        (records["area_truth"] > 0).tolist(),
        (records["area_prediction"] > 0).tolist(),
        scores(records)[0].tolist(),
        records["confidence"].tolist(),
        _ids(records["truth_id"]),
        _ids(records["prediction_id"]),
        strict=True,
    ):
        label = columns.categories[video].get(object_id) or _NO_LABEL
        confidence = None if math.isnan(sure) else sure
        if in_truth and predicted and j >= TRUE_POSITIVE:
            found.append((label, label, j, confidence, truth_id, prediction_id))
            continue
        if in_truth:
            found.append((label, None, None, None, truth_id, None))
        if predicted:
            found.append((None, label, None, confidence, None, prediction_id))
    return found


def _ids(values: Records) -> list[str | None]:
    """Label ids as FiftyOne writes them; None where there is no label."""
    text, none = values.tobytes().hex(), "0" * 24
    ids = (text[start : start + 24] for start in range(0, len(text), 24))
    return [None if value == none else value for value in ids]
