"""Evaluation tables as runs of a dataset, and as the panel has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import fiftyone as fo
from bson import ObjectId

from hs2s_core.evaluation import EvaluationTable
from hs2s_fiftyone.evaluation.backend import VOSEvaluationConfig, VOSEvaluationResults
from hs2s_fiftyone.evaluation.stored import with_labels
from hs2s_fiftyone.evaluation.video import FrameLabels
from hs2s_fiftyone.panels.review_data import Evaluated


def save_run(dataset: fo.Dataset, eval_key: str, table: EvaluationTable) -> None:
    """Register a table as an evaluation run, as if the dataset's videos had been evaluated.

    Its videos go by the names of their files without a suffix.
    """
    pairs = zip(*dataset.values(["id", "filepath"]), strict=True)
    ids = {Path(path).stem: id_ for id_, path in pairs}
    samples = tuple(ids[video.name] for video in table.rows.videos)
    frames = {row.frame for row in table.rows}
    unlabelled = [FrameLabels(ObjectId(), frame, [], {}) for frame in frames]
    rows = with_labels(table.rows, unlabelled)
    config = VOSEvaluationConfig("frames.pred", "frames.truth", protocol=asdict(table.protocol))
    backend = config.build()
    backend.register_run(dataset, eval_key)
    results = VOSEvaluationResults(dataset, config, eval_key, rows, samples, backend=backend)
    backend.save_run_results(dataset, eval_key, results)


def as_evaluated(table: EvaluationTable, pixels: Sequence[int | None] | None = None) -> Evaluated:
    """A table as the panel has it; videos go by their names."""
    videos = [video.name for video in table.rows.videos]
    return Evaluated(table.rows, videos, table.protocol, pixels or [None] * len(videos))
