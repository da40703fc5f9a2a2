"""Propagating masks through the videos of a FiftyOne collection.

:func:`propagate` is the call for scripts and notebooks; :func:`run` is the same as a generator
of progress, for an operator that shows it live.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.wording import counted

from .checks import (
    DONE,
    FAILED,
    RUNNING,
    Plan,
    Problem,
    Settings,
    describe,
    make_plan,
    open_video,
    settings_errors,
)
from .labels import to_detections
from .progress import Progress, Steps, drive
from .videos import select_videos, videos_of
from .writer import FrameWriter

__all__ = ["DEFAULT_OUTPUT", "Summary", "propagate"]

if TYPE_CHECKING:
    from hs2s_core.media import FrameSource
    from hs2s_core.models import VideoSegmenter

DEFAULT_OUTPUT = "hs2s"
"""The frame field that is written, where none is named."""
_REPORT_SECONDS = 0.25


@dataclass
class Summary:
    """What a run did."""

    output_field: str
    done: list[str] = field(default_factory=list)
    """Names of the videos that now have masks."""
    skipped: int = 0
    """How many videos had their masks already."""
    failed: list[Problem] = field(default_factory=list)
    """Each video that could not be propagated, and why."""
    notes: list[Problem] = field(default_factory=list)
    """What to know about videos that were."""
    frames: int = 0
    objects: int = 0
    seconds: float = 0.0

    @property
    def frames_per_second(self) -> float:
        """Speed of the whole run, loading and writing included."""
        return self.frames / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        lines = [
            f"{counted(len(self.done), 'video')} done, {self.skipped} skipped, {len(self.failed)} "
            f"failed: {counted(self.objects, 'object')} through {counted(self.frames, 'frame')} "
            f"in {self.seconds:.1f} s -> frames.{self.output_field}"
        ]
        return "\n".join(lines + [f"  {entry}" for entry in (*self.failed, *self.notes)])


def propagate(
    samples: SampleCollection,
    prompt_field: str,
    output_field: str = DEFAULT_OUTPUT,
    *,
    model: VideoSegmenter | str | Path | None = None,
    device: str = "auto",
    existing: str = "skip",
    online_steps: int = 0,
    policy: str = "auto",
    skip_invalid: bool = False,
    progress: bool | Callable[[Progress], object] | None = None,
) -> Summary:
    """Propagate the masks of ``prompt_field`` through each video, into ``output_field``.

    Each object starts at the first frame in which it has a mask, and is followed from there to the
    start and to the end of its video; further masks of it are given to the model too, see
    ``policy``. Results are frame-level ``Detections``: ``index``, ``instance`` and ``label`` come
    from the prompt, ``confidence`` from the model.

    Args:
        samples: a dataset or view of videos; where a view filters labels, only the visible ones
            are propagated.
        prompt_field: frame field with Detections, Polylines or a Segmentation. It is only read.
        output_field: frame field to write. The sample fields ``<output_field>_status`` and
            ``<output_field>_error`` say how each video ended.
        model: a loaded network, a ``.safetensors`` file or the name of shipped weights.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        existing: ``skip`` videos that have labels in the output field, ``overwrite`` those that
            this function made, or ``fail`` if there are any. Labels of others are never replaced.
        online_steps: training steps on the first masks of each video before it is propagated, with
            a copy of the model (the paper's online training); 0 for none.
        policy: which masks are given: ``all``, or only those of each object's ``first`` frame;
            ``auto`` is all, but first where the field is the truth that the dataset was loaded
            with.
        skip_invalid: go on without videos that cannot be propagated, instead of refusing all.
            Those that have labels in the output field keep them and their status.
        progress: True or False for a progress bar, or a function that is called with Progress;
            None follows FiftyOne's settings.

    Raises:
        HS2SError: before anything is written, naming each video that cannot be propagated.
    """
    settings = Settings(_bare(prompt_field), _bare(output_field), existing, online_steps, policy)
    steps = run(samples, settings, model=model, device=device, skip_invalid=skip_invalid)
    return drive(steps, progress)


def run(
    samples: SampleCollection,
    settings: Settings,
    *,
    model: VideoSegmenter | str | Path | None = None,
    device: str = "auto",
    skip_invalid: bool = False,
) -> Steps[Summary]:
    """Like :func:`propagate`, step by step; closing the generator undoes the current video."""
    started = time.monotonic()
    yield Progress(0.0, "Checking the videos")
    samples = videos_of(samples)
    plan = checked_plan(samples, settings, skip_invalid=skip_invalid)
    network: VideoSegmenter | None = None
    if plan.todo:
        yield Progress(0.0, "Loading the model")
        network = _load(model, device)
    summary = Summary(settings.output_field, skipped=len(plan.skipped), failed=plan.problems)
    _declare_fields(samples, settings)
    for problem in plan.problems:
        if problem.sample_id not in plan.kept:
            sample = samples._dataset[problem.sample_id]
            _undo(samples, sample, settings, FAILED, problem.reason)
    for place, sample_id in enumerate(plan.todo):
        assert network is not None
        # Closed here rather than by the garbage collector, which would swallow what goes wrong.
        with closing(_run_video(samples, sample_id, settings, network, summary)) as steps:
            for step in steps:
                fraction = (place + step.fraction) / len(plan.todo)
                yield Progress(fraction, f"{place + 1}/{len(plan.todo)} {step.label}")
    summary.seconds = time.monotonic() - started
    yield Progress(1.0, "Finished")
    return summary


def checked_plan(samples: SampleCollection, settings: Settings, *, skip_invalid: bool) -> Plan:
    """The plan of a run that may start; raises HS2SError with all that is in its way."""
    errors = settings_errors(samples, settings)
    if errors:
        raise HS2SError("; ".join(f"{name}: {reason}" for name, reason in errors.items()))
    plan = make_plan(samples, settings)
    if plan.problems and not (skip_invalid and (plan.todo or plan.skipped)):
        listed = "\n".join(f"  {problem}" for problem in plan.problems)
        advice = "Mend them, or leave them out with skip_invalid=True."
        if skip_invalid:
            advice = "Without them nothing is left to do: mend them, or choose other videos."
        raise HS2SError(
            f"{counted(len(plan.problems), 'video')} cannot be propagated, and nothing was "
            f"changed:\n{listed}\n{advice}"
        )
    return plan


def _run_video(
    samples: SampleCollection,
    sample_id: str,
    settings: Settings,
    model: VideoSegmenter,
    summary: Summary,
) -> Steps[None]:
    """One video, all or nothing: what fails or is stopped leaves no labels behind."""
    sample = samples._dataset[sample_id]
    name = Path(sample.filepath).name
    try:
        _set_status(sample, settings, RUNNING, None)
        _clear(samples, sample_id, settings)
        frames, objects, note = yield from _write_video(samples, sample_id, settings, model, name)
        _set_status(sample, settings, DONE, note)
    except Exception as error:
        # The other videos must not suffer: reported in the summary and on the sample.
        _undo(samples, sample, settings, FAILED, describe(error))
        summary.failed.append(Problem(sample_id, name, describe(error)))
    except BaseException:
        _undo(samples, sample, settings, None, None)
        raise
    else:
        summary.done.append(name)
        summary.frames += frames
        summary.objects += objects
        if note is not None:
            summary.notes.append(Problem(sample_id, name, note))


def _write_video(
    samples: SampleCollection,
    sample_id: str,
    settings: Settings,
    model: VideoSegmenter,
    name: str,
) -> Steps[tuple[int, int, str | None]]:
    from hs2s_core.propagation.clip import ClipSettings, walk_clip
    from hs2s_core.propagation.network import NetworkEngine

    sample, clip, prompts = open_video(samples, sample_id, settings)
    masks = Prompts(
        Prompt(each.frame, each.object_id, clip.to_frame(each.mask))
        for each in prompts.masks.each()
    )
    if settings.online_steps:
        yield Progress(0.0, f"{name}: learning its first masks")
        model = _adapt(model, clip.frames, masks, settings.online_steps)
    writer = FrameWriter(sample, settings.output_field)
    length, frames, told = len(clip.frames), 0, 0.0
    for done, total, result in walk_clip(NetworkEngine(model), clip.frames, masks, ClipSettings()):
        if result is not None:
            frames += 1
            if result.ids:
                id_map = clip.to_video(result.id_map)
                writer.add(result.index + 1, to_detections(id_map, prompts.objects, result.scores))
        if time.monotonic() - told > _REPORT_SECONDS:
            told = time.monotonic()
            yield Progress(done / (total or done), f"{name}: frame {frames} of {length}")
    writer.flush()
    notes = [*prompts.remarks, clip.remark(frames)]
    return frames, len(prompts.objects), " ".join(note for note in notes if note) or None


def _adapt(
    model: VideoSegmenter, frames: FrameSource, masks: Prompts, steps: int
) -> VideoSegmenter:
    from hs2s_core.training.online import adapt

    first = min(masks)
    return adapt(model, frames.at(first), masks[first], steps)


def _load(model: VideoSegmenter | str | Path | None, device: str) -> VideoSegmenter:
    if model is None or isinstance(model, (str, Path)):
        from hs2s_core.weights import load_model

        return load_model(model, device=device)
    return model


def _declare_fields(samples: SampleCollection, settings: Settings) -> None:
    dataset = samples._dataset
    if not dataset.has_frame_field(settings.output_field):
        dataset.add_frame_field(
            settings.output_field, fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections
        )
    for name in (settings.status_field, settings.error_field):
        if not dataset.has_sample_field(name):
            dataset.add_sample_field(name, fo.StringField)


def _set_status(
    sample: fo.Sample, settings: Settings, status: str | None, error: str | None
) -> None:
    sample[settings.status_field] = status
    sample[settings.error_field] = error
    sample.save()


def _clear(samples: SampleCollection, sample_id: str, settings: Settings) -> None:
    """Remove the labels of an earlier run, finished or not."""
    select_videos(samples, sample_id).clear_frame_field(settings.output_field)


def _undo(
    samples: SampleCollection,
    sample: fo.Sample,
    settings: Settings,
    status: str | None,
    error: str | None,
) -> None:
    sample.reload()  # forgets what was not saved
    _clear(samples, sample.id, settings)
    _set_status(sample, settings, status, error)


def _bare(path: str) -> str:
    """FiftyOne users write frame fields with and without ``frames.``."""
    return path.removeprefix("frames.")
