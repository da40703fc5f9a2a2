"""What must be right before a propagation starts, found out without running the model."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Item, Plan, Problem, describe, require
from hs2s_core.wording import counted

from ..clips import Part
from ..frame_fields import has_labels
from ..prompts import OutOfTime
from ..videos import select_videos
from .settings import CLIPS, DONE, RUNNING, PropagateSettings, settings_errors
from .video import open_video


def make_plan(
    samples: SampleCollection, settings: PropagateSettings, *, seconds: float | None = None
) -> Plan:
    """Look at every video: files, prompts, sizes and existing labels. Nothing is written.

    With ``seconds``, videos beyond that time are taken on trust and counted as unchecked, also one
    whose labels take longer to read: a form must answer quickly, and the run checks everything
    again.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    scope = f"{samples._dataset._doc.id} {getattr(samples, '_stages', '')}"
    plan = Plan()
    for part, filepath, status in _rows(samples, settings):
        sample_id = part.key
        name = part.named(filepath.replace("\\", "/").rpartition("/")[2])
        if has_results(samples, part, status, settings):
            if settings.existing == "skip":
                plan.skipped.append(sample_id)
                continue
            plan.kept.add(sample_id)
            reason = _refusal(status, settings)
            if reason is not None:
                plan.problems.append(Problem(sample_id, name, reason))
                continue
        if deadline is None:
            verdict = _check_again(samples, sample_id, settings)
        elif time.monotonic() > deadline:
            verdict = _UNCHECKED
        else:
            verdict = _check_lately(samples, sample_id, settings, scope, deadline)
        if verdict.reason is None:
            plan.todo.append(Item(sample_id, name))
            plan.unchecked += not verdict.complete
        else:
            plan.problems.append(Problem(sample_id, name, verdict.reason))
    plan.kept.difference_update(item.key for item in plan.todo)
    return plan


def checked_plan(
    samples: SampleCollection, settings: PropagateSettings, *, skip_invalid: bool
) -> Plan:
    """The plan of a run that may start; raises HS2SError with all that is in its way."""
    require(settings_errors(samples, settings))
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


def has_results(
    samples: SampleCollection, part: Part, status: str | None, settings: PropagateSettings
) -> bool:
    """Whether a video's output is finished, or was put there by someone else."""
    if part.span is None and status in (DONE, CLIPS, RUNNING):
        # What a killed run left behind is no result.
        return status != RUNNING
    # A run that failed leaves no labels, so these are not from here.
    return has_labels(samples, settings.output_field, part.sample_id, part.span)


def _refusal(status: str | None, settings: PropagateSettings) -> str | None:
    """Why the labels that a video has may not be replaced, None if they may."""
    if settings.existing == "fail":
        return f"already has labels in {settings.output_field!r}"
    if status not in (DONE, CLIPS):
        return (
            f"has labels in {settings.output_field!r} that were not made by this operator; choose "
            "another output field, so that they are not overwritten, or clear them first"
        )
    return None


def _rows(
    samples: SampleCollection, settings: PropagateSettings
) -> Iterator[tuple[Part, str, str | None]]:
    """Every video, or every clip of them; with its file and the video's status."""
    ids, paths = samples.values(["id", "filepath"])
    states: list[str | None] = [None] * len(ids)
    if samples._dataset.has_sample_field(settings.status_field):
        # Of the dataset, because a view may hide the field.
        view = select_videos(samples, ids, ordered=True)
        states = view.values(settings.status_field)
    rows = dict(zip(ids, zip(paths, states, strict=True), strict=True))
    for part in map(Part.of, ids if settings.parts is None else settings.parts):
        if part.sample_id in rows:
            yield part, *rows[part.sample_id]


@dataclass(frozen=True)
class _Verdict:
    """What a look at one video told."""

    reason: str | None = None
    """Why it cannot be propagated; None if nothing is known to be in the way."""
    complete: bool = True
    """Whether there was time to look at everything."""


_UNCHECKED = _Verdict(complete=False)
# A form is resolved again at every keystroke; a verdict this old is still good enough for it.
_KEEP_SECONDS = 20.0
_verdicts: dict[tuple[str, str, str, str], tuple[float, _Verdict]] = {}


def _check_again(
    samples: SampleCollection,
    sample_id: str,
    settings: PropagateSettings,
    deadline: float | None = None,
) -> _Verdict:
    try:
        open_video(samples, sample_id, settings, deadline=deadline)
    except OutOfTime:
        return _UNCHECKED
    except Exception as error:
        return _Verdict(describe(error))
    return _Verdict()


def _check_lately(
    samples: SampleCollection,
    sample_id: str,
    settings: PropagateSettings,
    scope: str,
    deadline: float,
) -> _Verdict:
    """Like ``_check_again``, from memory where that is fresh.

    Also that a video takes too long is remembered, so that the next look gets to the others.
    """
    key = (scope, sample_id, settings.prompt_field, settings.policy)
    now = time.monotonic()
    if key not in _verdicts or now - _verdicts[key][0] > _KEEP_SECONDS:
        if len(_verdicts) > 10_000:
            _verdicts.clear()
        _verdicts[key] = (now, _check_again(samples, sample_id, settings, deadline))
    return _verdicts[key][1]
