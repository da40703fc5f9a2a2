"""Evaluating the predictions of a FiftyOne collection.

:func:`evaluate` is the call for scripts and notebooks; :func:`evaluate_steps` is the same as a
generator of progress, for an operator that shows it live.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fiftyone.core.collections import SampleCollection
from pymongo.errors import PyMongoError

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.evaluation import Protocol, Rows, Summary, VideoFailure, find_protocol
from hs2s_core.evaluation.scores import summarise
from hs2s_core.jobs import Done, Item, Plan, Problem, Steps, Tick, Watch, Work, require, run_job

from ..jobs import Source, VideoJob, claim, drive
from ..labels.frame_fields import label_list
from ..videos.collection import items_of, select_videos, videos_of
from . import fields
from .backend import VOSEvaluation, VOSEvaluationConfig, VOSEvaluationResults
from .scoring import panel_metrics, sample_scores
from .settings import DEFAULT_PROTOCOL, EvaluateSettings, settings_errors
from .stored import with_labels, write_scores
from .video import Video

_log = logging.getLogger(__name__)


@checked_call
def evaluate(
    samples: SampleCollection,
    prediction_field: str,
    truth_field: str,
    eval_key: str,
    protocol: str | Protocol = DEFAULT_PROTOCOL,
    *,
    match: str = "ids",
    seen_categories: str | Collection[str] | None = None,
    meta: str | Path | None = None,
    progress: bool | Watch | None = None,
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
        match: ``ids``: labels with equal ``index``, else equal ``instance``, are the same object;
            ``overlap``: predicted objects belong to the true ones that they overlap most where
            those first appear, for models that number objects anew.
        seen_categories: categories of the training set; by default those that the dataset knows.
        meta: YouTube-VOS's ``meta.json``, for its categories and listed frames in place of the
            labels'; videos are found in it by ``video_id`` or file name.
        progress: True or False for a progress bar, or a function that is called with Progress;
            None follows FiftyOne's settings.

    Returns:
        The results: ``summary``, ``table``, ``failures``, ``notes``, ``rows``. A video that
        cannot be evaluated is listed in ``failures``; the others finish.

    Raises:
        HS2SError: before anything is written, for settings that cannot work; or if not one video
            could be evaluated, in which case no run is left.
    """
    settings = EvaluateSettings(
        prediction_field,
        truth_field,
        eval_key,
        find_protocol(protocol),
        match,
        seen_categories,
        meta,
    )
    return drive(evaluate_steps(samples, settings), progress)


@checked_call
def score(
    samples: SampleCollection,
    prediction_field: str,
    truth_field: str,
    protocol: str | Protocol = DEFAULT_PROTOCOL,
) -> Summary:
    """Only the scores, for the arguments of :func:`evaluate`; nothing is written.

    Videos that cannot be evaluated are logged and left out. Raises HS2SError if none can.
    """
    samples = videos_of(samples)
    settings = EvaluateSettings(
        prediction_field, truth_field, "unused", find_protocol(protocol)
    ).complete(samples)
    require(settings_errors(samples, settings, written=False))
    job = EvaluateJob(Source(samples), settings, written=False)
    report = drive(run_job(job, items_of(samples)), progress=False)
    for problem in report.failed:
        _log.warning("video '%s' was not evaluated: %s", problem.name, problem.reason)
    if not report.results:
        raise HS2SError("not one video could be evaluated; the log says why.")
    rows = Rows.join([result.rows for result in report.results.values()])
    return summarise(rows, settings.protocol)


def glance(
    samples: SampleCollection, settings: EvaluateSettings, *, seconds: float, videos: int
) -> Plan:
    """What a run would do, as far as looking at ``videos`` of them at most tells in that time.

    No mask is decoded. The rest is taken on trust and counted as unchecked: a form must answer
    quickly, and the run checks everything again.
    """
    deadline = time.monotonic() + seconds
    plan = Plan()
    for place, item in enumerate(items_of(samples)):
        reason = None
        if place >= videos or time.monotonic() > deadline:
            plan.unchecked += 1
        else:
            reason = Video(samples, *item, settings).problem()
        if reason is None:
            plan.todo.append(item)
        else:
            plan.problems.append(Problem(*item, reason))
    return plan


def evaluate_steps(
    samples: SampleCollection, settings: EvaluateSettings
) -> Steps[VOSEvaluationResults]:
    """Like :func:`evaluate`, step by step; closing the generator removes the run and its fields."""
    samples = videos_of(samples)
    settings = settings.complete(samples)
    require(settings_errors(samples, settings))
    dataset, key = samples._dataset, settings.eval_key
    with claim(f"{dataset._doc.id}.{key}", f"the evaluation {key!r}"):
        return (yield from _evaluate(samples, settings))


def _evaluate(samples: SampleCollection, settings: EvaluateSettings) -> Steps[VOSEvaluationResults]:
    dataset, key = samples._dataset, settings.eval_key

    def failed(item: Item, reason: str) -> None:
        select_videos(samples, item.key).set_values(f"{key}_note", [f"not evaluated: {reason}"])

    method = _register(samples, settings)
    try:
        job = EvaluateJob(Source(samples), settings)
        report = yield from run_job(job, items_of(samples), failed=failed)
        if not report.results:
            reasons = "\n".join(f"  {problem}" for problem in report.failed)
            raise HS2SError(f"not one video could be evaluated:\n{reasons}")
        results = VOSEvaluationResults(
            samples,
            method.config,
            key,
            Rows.join([result.rows for result in report.results.values()]),
            [item.key for item in report.results],
            failures=[VideoFailure(name, reason) for _, name, reason in report.failed],
            notes=[note for result in report.results.values() for note in result.notes],
            backend=method,
        )
        results.custom_metrics = panel_metrics(results.summary)
        method.save_run_results(samples, key, results)
        results.run_id = dataset._doc.evaluations[key].id
    except BaseException:
        with suppress(PyMongoError):  # of a database that is gone, the error above says all
            dataset.delete_evaluation(key)
        raise
    method.add_fields_to_sidebar_group(samples, key)
    return results


def _register(samples: SampleCollection, settings: EvaluateSettings) -> VOSEvaluation:
    """Announce the run, which removes an earlier one of the same key, and add its fields."""
    config = VOSEvaluationConfig(
        f"frames.{settings.prediction_field}",
        f"frames.{settings.truth_field}",
        protocol=asdict(settings.protocol),
        match=settings.match,
    )
    method = VOSEvaluation(config)
    method.register_run(samples, settings.eval_key)
    items = label_list(samples, settings.prediction_field)
    fields.declare(samples._dataset, settings.eval_key, items)
    return method


@dataclass
class VideoScores(Done):
    """What came of one video."""

    rows: Rows = field(default_factory=Rows)
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class EvaluateJob(VideoJob[VideoScores]):
    """An evaluation, as each process can open it."""

    settings: EvaluateSettings
    written: bool = True
    """Whether scores are stored with the labels."""

    def video(self, item: Item) -> Work[VideoScores]:
        """Score one video."""
        samples, key = self.source.samples, self.settings.eval_key
        table, frames = Video(samples, *item, self.settings).evaluate()
        rows, count = with_labels(table.rows, frames), len(frames)
        yield Tick(0.5, f"{count} frames scored", count)
        if self.written:
            scores = sample_scores(rows, count)
            scores["note"] = "\n".join(table.notes) or None
            items = label_list(samples, self.settings.prediction_field)
            write_scores(samples._dataset, item.key, key, items, rows, frames, scores)
        return VideoScores(count, rows=rows, notes=table.notes)
