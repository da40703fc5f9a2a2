"""Evaluating the predictions of a FiftyOne collection.

:func:`evaluate` is the call for scripts and notebooks; :func:`run` is the same as a generator of
progress, for an operator that shows it live.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import Protocol, Row, Summary, VideoFailure

from ..checks import describe
from ..progress import Progress, Steps, drive
from ..videos import select_videos, video_names, videos_of
from . import fields
from .backend import VOSEvaluation, VOSEvaluationConfig, VOSEvaluationResults
from .columns import Columns, Records, to_records
from .metrics import panel_metrics
from .scoring import sample_scores, summarise_columns
from .settings import DEFAULT_PROTOCOL, Settings, make_settings, require
from .video import FrameLabels, Video, VideoResult
from .writing import write_scores

_log = logging.getLogger(__name__)


def evaluate(
    samples: SampleCollection,
    prediction_field: str,
    truth_field: str,
    eval_key: str,
    protocol: str | Protocol = DEFAULT_PROTOCOL,
    *,
    match: str = "index",
    seen_categories: Collection[str] | None = None,
    meta: str | Path | None = None,
    progress: bool | Callable[[Progress], object] | None = None,
) -> VOSEvaluationResults:
    """Compute J and F of every object in every annotated frame, and store them with the dataset.

    Any model's masks can be evaluated: ``Detections`` with masks, filled ``Polylines`` or a
    ``Segmentation``. A frame is annotated where the truth field is not None. Scores are stored as

    * ``<eval_key>_jf``, ``_j``, ``_f`` of each predicted label (not of a Segmentation),
    * the same of each annotated frame: means over the objects that the protocol counts there,
    * the same of each sample, and ``_early``, ``_late``, ``_drop``, ``_first_failure``,
      ``_num_frames``, ``_length_bin`` and ``_note``,

    and as an evaluation run, which FiftyOne lists, loads, renames and deletes with its fields. A
    run of the same key is replaced, also one that was killed. The truth is only read.

    Args:
        samples: a dataset or view of videos; labels and frames that a view hides do not count.
        prediction_field: frame field with the predicted masks.
        truth_field: frame field with the true masks.
        eval_key: name of the run.
        protocol: a protocol of ``hs2s_core.evaluation`` or its name.
        match: ``index``: labels with equal ``index``, else equal ``instance``, are the same object;
            ``overlap``: predicted objects belong to the true ones that they overlap most where
            those first appear, for models that number objects anew.
        seen_categories: categories of the training set; by default those that the dataset knows.
        meta: YouTube-VOS's ``meta.json``, for its categories and listed frames in place of the
            labels'; videos are found in it by ``video_id`` or file name.
        progress: True or False for a progress bar, or a function that is called with Progress;
            None follows FiftyOne's settings.

    Returns:
        The results: ``summary``, ``table``, ``failures``, ``notes``, ``columns``. A video that
        cannot be evaluated is listed in ``failures``; the others finish.

    Raises:
        HS2SError: before anything is written, for settings that cannot work; or if not one video
            could be evaluated, in which case no run is left.
    """
    samples = videos_of(samples)
    settings = make_settings(
        samples,
        prediction_field,
        truth_field,
        eval_key,
        protocol,
        match=match,
        seen_categories=seen_categories,
        meta=meta,
    )
    return drive(run(samples, settings), progress)


def score(
    samples: SampleCollection,
    prediction_field: str,
    truth_field: str,
    protocol: str | Protocol = DEFAULT_PROTOCOL,
    *,
    match: str = "index",
) -> Summary:
    """Only the scores, for the arguments of :func:`evaluate`; nothing is written.

    Videos that cannot be evaluated are logged and left out. Raises HS2SError if none can.
    """
    samples = videos_of(samples)
    settings = make_settings(
        samples, prediction_field, truth_field, "unused", protocol, match=match
    )
    require(samples, settings, written=False)
    columns = Columns()
    for sample_id, name in video_names(samples).items():
        try:
            rows = Video(samples, sample_id, name, settings).evaluate().table.rows
        except Exception as error:  # the other videos must not suffer
            _log.warning("video '%s' was not evaluated: %s", name, describe(error))
        else:
            columns.add(sample_id, name, rows, to_records(rows))
    if not columns.videos:
        raise HS2SError("not one video could be evaluated; the log says why.")
    return summarise_columns(columns, settings.protocol)


@dataclass
class _Found:
    """What a run has found so far."""

    columns: Columns = field(default_factory=Columns)
    failures: list[VideoFailure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def run(samples: SampleCollection, settings: Settings) -> Steps[VOSEvaluationResults]:
    """Like :func:`evaluate`, step by step; closing the generator removes the run and its fields."""
    samples = videos_of(samples)
    require(samples, settings)
    dataset = samples._dataset
    names = video_names(samples)
    if not names:
        raise HS2SError("there is no video to evaluate; the collection is empty.")
    method = _register(samples, settings)
    items = fields.prediction_list(samples, settings.prediction_field)
    found = _Found()
    try:
        for place, (sample_id, name) in enumerate(names.items()):
            yield Progress(place / len(names), f"{place + 1}/{len(names)} {name}")
            _run_video(samples, Video(samples, sample_id, name, settings), items, found)
        if not found.columns.videos:
            reasons = "\n".join(f"  {video}: {reason}" for video, reason in found.failures)
            raise HS2SError(f"not one video could be evaluated:\n{reasons}")
        results = VOSEvaluationResults(
            samples,
            method.config,
            settings.eval_key,
            found.columns,
            failures=found.failures,
            notes=found.notes,
            backend=method,
        )
        results.custom_metrics = panel_metrics(results.summary)
        method.save_run_results(samples, settings.eval_key, results)
        results.run_id = dataset._doc.evaluations[settings.eval_key].id
    except BaseException:
        dataset.delete_evaluation(settings.eval_key)
        raise
    method.add_fields_to_sidebar_group(samples, settings.eval_key)
    yield Progress(1.0, "Finished")
    return results


def _register(samples: SampleCollection, settings: Settings) -> VOSEvaluation:
    """Announce the run, which removes an earlier one of the same key, and add its fields."""
    config = VOSEvaluationConfig(
        f"frames.{settings.prediction_field}",
        f"frames.{settings.truth_field}",
        protocol=asdict(settings.protocol),
        match=settings.match,
    )
    method = VOSEvaluation(config)
    method.register_run(samples, settings.eval_key)
    items = fields.prediction_list(samples, settings.prediction_field)
    fields.declare(samples._dataset, settings.eval_key, items)
    return method


def _run_video(samples: SampleCollection, video: Video, items: str | None, found: _Found) -> None:
    """Evaluate and write one video; trouble with it is noted and leaves the others unharmed."""
    settings = video.settings
    try:
        result = video.evaluate()
        rows = result.table.rows
        scores = sample_scores(rows, len(result.frames))
        scores["note"] = "\n".join(result.notes) or None
        write_scores(
            samples._dataset,
            video.sample_id,
            settings.eval_key,
            items,
            rows,
            result.frames,
            scores,
        )
    except Exception as error:
        reason = describe(error)
        found.failures.append(VideoFailure(video.name, reason))
        view = select_videos(samples, video.sample_id)
        view.set_values(f"{settings.eval_key}_note", [f"not evaluated: {reason}"])
        return
    found.columns.add(video.sample_id, video.name, rows, _records(result))
    found.notes += result.notes


def _records(result: VideoResult) -> Records:
    """The rows of a video with the ids of the labels they came from."""
    rows: Sequence[Row] = result.table.rows
    records = to_records(rows)
    frames: dict[int, FrameLabels] = {frame.frame: frame for frame in result.frames}
    for record, row in zip(records, rows, strict=True):
        labels = frames[row.frame]
        if row.object in labels.truth:
            record["truth_id"] = np.void(labels.truth[row.object].binary)
        for _, label_id, object_id, confidence in labels.predicted:
            if object_id == row.object:
                record["prediction_id"] = np.void(label_id.binary)
                record["confidence"] = np.nan if confidence is None else confidence
    return records
