"""From rows to what a sample, FiftyOne's panel and a reader are told."""

from __future__ import annotations

import math
from typing import Any

from hs2s_core.evaluation import GroupScore, Rows, Summary
from hs2s_core.evaluation.lengths import early_late, first_failures, length_bin
from hs2s_core.evaluation.rows import Records
from hs2s_core.evaluation.scores import score_objects

from .._bootstrap import NAME
from ..labels.conversion import NO_CLASS

TRUE_POSITIVE = 0.5
"""Least J of a true positive, as FiftyOne's panel counts."""
Match = tuple[str | None, str | None, float | None, float | None, str | None, str | None]
"""Truth label, predicted label, J, confidence, id of the truth's label and of the predicted one."""


def sample_scores(rows: Rows, frames: int) -> dict[str, Any]:
    """The sample fields of one video, by suffix; None where there is nothing to average.

    ``frames`` is the number of annotated frames.
    """
    objects = score_objects(rows)
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


def metric_values(summary: Summary) -> dict[str, float]:
    """J, F and J&F of a run; nothing if it has no overall score."""
    overall = summary.overall
    if overall is None:
        return {}
    return {"jf": overall.jf, "j": overall.j.mean, "f": overall.f.mean}


METRICS = {"jf": "J&F", "j": "J", "f": "F"}
"""Key of each metric of FiftyOne's evaluation panel -> label."""


def metric_operator(key: str) -> str:
    """Name of the operator that computes a metric."""
    return f"metric_{key}"


def panel_metrics(summary: Summary) -> dict[str, dict[str, Any]]:
    """What FiftyOne stores of custom metrics, as if their operators had computed them.

    Set directly, because the operators only exist where FiftyOne has loaded the plugin, and the
    numbers are known.
    """
    return {
        f"{NAME}/{metric_operator(key)}": {
            "key": key,
            "value": value,
            "label": METRICS[key],
            "lower_is_better": False,
        }
        for key, value in metric_values(summary).items()
    }


def matches(rows: Rows) -> list[Match]:
    """What FiftyOne's evaluation of detections makes its precision, recall and matrix of."""
    rows = rows[rows.counted & (rows.in_truth | rows.in_prediction)]
    found: list[Match] = []
    for place, in_truth, predicted, j, sure, truth_id, prediction_id in zip(
        rows.owner.tolist(),
        rows.in_truth.tolist(),
        rows.in_prediction.tolist(),
        rows.j.tolist(),
        rows.records["confidence"].tolist(),
        _ids(rows.records["truth_id"]),
        _ids(rows.records["prediction_id"]),
        strict=True,
    ):
        label = rows.infos[place].category or NO_CLASS
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
