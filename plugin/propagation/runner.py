"""Propagating masks through the videos of a FiftyOne collection.

:func:`propagate` is the call for scripts and notebooks; :func:`propagate_steps` is the same as a
generator of progress, for an operator that shows it live.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone as fo
from fiftyone.core.clips import ClipsView
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.jobs import Item, Progress, Steps, Summary, Watch, find_engine, inline, run_job

from ..drawing import drawing_problem, prepare_drawing
from ..jobs import Source, drive, noted_run, run_info, settle_killed
from ..labels.frame_fields import add_detections, add_fields, bare
from ..videos.clips import clips_of
from .corrections import ATTRIBUTES
from .plan import checked_plan
from .provenance import earlier_makings, how_made, run_key, without_video
from .settings import PropagateSettings
from .video import PropagateJob, note_failure

if TYPE_CHECKING:
    from hs2s_core.models import VideoSegmenter

__all__ = ["DEFAULT_OUTPUT", "propagate"]

DEFAULT_OUTPUT = "hs2s"
"""The frame field that is written, where none is named."""


@checked_call
def propagate(
    samples: SampleCollection,
    prompt_field: str,
    output_field: str = DEFAULT_OUTPUT,
    *,
    model: VideoSegmenter | str | Path | None = None,
    device: str = "auto",
    speed: str = "auto",
    overwrite: bool = False,
    online_steps: int = 0,
    policy: str = "auto",
    merge: str = "argmax",
    direction: str = "both",
    cuts: str = "ignore",
    hints: bool = False,
    first_frame: int = 1,
    last_frame: int | None = None,
    skip_invalid: bool = False,
    workers: int = 1,
    engine: str | None = None,
    progress: bool | Watch | None = None,
) -> Summary:
    """Propagate the masks of ``prompt_field`` through each video, into ``output_field``.

    Each object starts at the first frame in which it has a mask, and is followed from there to the
    start and to the end of its video; further masks of it are given to the model too, see
    ``policy``. Results are frame-level ``Detections``: ``index``, ``instance`` and ``label`` come
    from the prompt, ``confidence`` from the model.

    Args:
        samples: a dataset or view of videos; where a view filters labels, only the visible ones
            are propagated. Of a view of clips, each clip is taken for itself: masks in it are
            followed to its ends, and only its frames are written. Of a view of frames, the clip
            from a video's first to its last frame there; ``reload()`` shows the masks in it.
        prompt_field: frame field with Detections, Polylines or a Segmentation, or with Keypoints
            where ``hints``. It is only read.
        output_field: frame field to write. The sample fields ``<output_field>_status`` and
            ``<output_field>_error`` say how each video ended.
        model: a loaded network, a ``.safetensors`` file or the name of shipped weights.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        speed: ``exact``, ``fast`` or ``auto``, see :func:`hs2s_core.weights.load_model`.
        overwrite: replace labels in the output field that this function made; without, videos that
            have labels there are skipped. Labels of others, and corrections, are never replaced.
        online_steps: training steps on the given masks of each video before it is propagated, with
            a copy of the model (the paper's online training); 0 for none.
        policy: which masks are given: ``all``, or only those of each object's ``first`` frame;
            ``auto`` is all, but first where the field is the truth that the dataset was loaded
            with.
        merge: which of several objects gets a pixel: ``argmax``, the most probable there, or
            ``soft``, that of the best odds, normalised over all objects.
        direction: follow objects from given masks ``both`` ways, or only ``forward`` or
            ``backward``.
        cuts: ``report`` says of each video where its shots begin
            (:func:`hs2s_core.media.cuts.find_cuts`), ``stop`` also follows no object across such a
            frame. Both read the video once more.
        hints: give objects that have no mask by the first box, or points, that they have: a mask
            is made of it by colours alone (GrabCut), and its label says so (``origin``).
        first_frame: number, from 1, of the first frame that is wanted in each video. Only frames
            that are wanted are written, but masks in the others count.
        last_frame: number of the last one; None for the video's.
        skip_invalid: go on without videos that cannot be propagated, instead of refusing all.
            Those that have labels in the output field keep them and their status; those without a
            mask are not touched.
        workers: how many videos at once, each in a process with a model of its own.
        engine: ``inline``, ``process`` or ``ray``; None is ``process`` for several workers.
        progress: True or False for a progress bar, or a function that is called with Progress;
            None follows FiftyOne's settings.

    Raises:
        HS2SError: before anything is written, naming each video that cannot be propagated.
    """
    settings = PropagateSettings(
        bare(prompt_field),
        bare(output_field),
        overwrite=overwrite,
        online_steps=online_steps,
        policy=policy,
        merge=merge,
        direction=direction,
        cuts=cuts,
        hints=hints,
        first_frame=first_frame,
        last_frame=last_frame,
    )
    job = PropagateJob(Source(samples), settings, model, device, speed)
    steps = propagate_steps(job, skip_invalid=skip_invalid, workers=workers, engine=engine)
    return drive(steps, progress)


def propagate_steps(
    job: PropagateJob, *, skip_invalid: bool = False, workers: int = 1, engine: str | None = None
) -> Steps[Summary]:
    """Like :func:`propagate`, step by step; closing the generator undoes the current video."""
    from hs2s_core.devices import free_threads
    from hs2s_core.weights import find_weights, read_header

    runner = find_engine(engine, workers)
    yield Progress(0.0, "Checking the videos")
    shown, settings = job.source.samples, job.settings
    samples, parts = clips_of(shown)
    if parts is not None:
        settings = replace(settings, parts=parts)
    job = replace(job, source=Source(samples), settings=settings)
    settle_killed()
    plan = checked_plan(samples, settings, skip_invalid=skip_invalid)
    made = how_made(job)
    if plan.todo:
        yield Progress(0.0, "Loading the model")
        if runner is inline:
            job = replace(job, model=job.load())
        elif job.model is None or isinstance(job.model, (str, Path)):
            read_header(find_weights(job.model))  # a mistake is told before anything is written
    summary = Summary(
        f"frames.{settings.output_field}",
        skipped=len(plan.skipped),
        failed=list(plan.problems),
        left_out=len(plan.problems),
    )
    declare_output(samples, settings)
    if isinstance(shown, ClipsView):  # it has the same frames, but does not notice new fields
        _declare_labels(shown, settings.output_field)

    def failed(item: Item, reason: str) -> None:
        note_failure(samples, item.key, settings, reason)

    for problem in plan.problems:
        if problem.key not in plan.kept:
            failed(Item(problem.key, problem.name), problem.reason)
    key = run_key(settings.output_field)
    if not plan.todo:  # what is there was made as before
        made = run_info(samples, key).get("made", {})
    earlier = earlier_makings(samples, settings, made)

    def done(item: Item) -> None:
        nonlocal earlier
        left = without_video(earlier, item)
        if left != earlier:
            earlier = left
            note(earlier=earlier)

    # Processes and clusters choose for themselves.
    threads = free_threads() if runner is inline else nullcontext()
    with noted_run(samples, key, len(plan.todo), made=made, earlier=earlier) as note, threads:
        steps = run_job(job, plan.todo, engine=runner, failed=failed, done=done)
        summary.take((yield from steps))
    return summary


def declare_output(samples: SampleCollection, settings: PropagateSettings) -> None:
    """The fields that a run writes, and the label schema by which people can correct its masks."""
    add_detections(samples, settings.output_field)
    dataset = samples._dataset
    if drawing_problem(dataset, settings.output_field) is None:  # so that people can correct it
        prepare_drawing(dataset, settings.output_field)
    _declare_labels(samples, settings.output_field)
    names = (settings.status_field, settings.error_field)
    add_fields(dataset, {name: fo.StringField() for name in names})


def _declare_labels(samples: SampleCollection, field: str) -> None:
    add_detections(samples, field)
    attributes = {f"{field}.detections.{name}": kind() for name, kind in ATTRIBUTES.items()}
    add_fields(samples._dataset, frames=attributes)
